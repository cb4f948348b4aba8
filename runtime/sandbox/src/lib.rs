//! The second line of defence: a process gives up, for good, what it does not need. Files, network and signals go by `landlock(7)`,
//! system calls by `seccomp(2)`, resources by `setrlimit(2)`.
//!
//! This crate knows nothing of tools: its caller says in a [`KernelPlan`] what a process may ask of the kernel. [`enforce`]
//! applies the plan step by step; the proof at the end, [`Enforced`], lets a worker serve. [`trusted`] seals Tollgate's other
//! processes, more simply.
#![deny(unsafe_code)]

mod descriptors;
pub mod enforce;
mod features;
mod filter;
mod kernel;
mod limits;
mod loading;
mod plan;
mod rights;
mod ruleset;
mod self_test;
pub mod trap;
pub mod trusted;

pub use enforce::{Confined, EnforceError, Enforced, Filtered, Stripped, confine, strip, without_capabilities};
pub use features::{Feature, FeatureGroup, PAGEMAP_SCAN, features, starts_processes_beside_itself};
pub use filter::{ANY, Check, FilterError, NOT_EXECUTABLE};
pub use kernel::{KernelOffer, LANDLOCK_ABI_FULL};
pub use limits::{LimitRow, Limited};
pub use plan::{CallRow, FolderId, FolderRule, KernelPlan};
pub use rights::FolderRights;
pub use ruleset::{FilesError, Handled};
pub use self_test::{Expected, SelfTestError, Tested, self_test};
