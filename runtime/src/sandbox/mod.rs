//! The second line of defence: a process gives up, for good, what it does not need. Files, network and signals by
//! `landlock(7)`, system calls by `seccomp(2)`, resources by `setrlimit(2)`.
//!
//! What a worker that runs tools may ask of the kernel is compiled from what its tools may do, purely: [`plan()`]. [`enforce`]
//! applies it in one order, and what comes out, [`Enforced`], is what lets a worker serve. Tollgate's own processes are
//! sealed by `trusted`, more simply.

mod descriptors;
pub mod enforce;
mod features;
mod filter;
mod kernel;
mod limits;
mod loading;
mod plan;
mod reach;
mod rights;
mod rows;
mod ruleset;
mod self_test;
pub mod signatures;
#[cfg(test)]
mod tests;
pub mod trap;
pub(crate) mod trusted;

pub use enforce::{Confined, EnforceError, Enforced, Filtered, Stripped, confine, strip};
pub use features::starts_processes_beside_itself;
pub use features::{Feature, FeatureGroup, features};
pub use filter::{Check, FilterError};
pub use kernel::{KernelOffer, LANDLOCK_ABI_FULL};
pub use limits::{LimitRow, Limited};
pub use plan::{FolderRule, KernelPlan, plan};
pub use reach::{OutOfReach, out_of_reach, path_out_of_reach};
pub use rights::FolderRights;
pub use rows::ROWS;
pub use rows::{BroughtBy, CallRow};
pub use ruleset::{FilesError, Handled};
pub use self_test::{Expected, SelfTestError, Tested, self_test};
