//! Tollgate's configuration language: manifests, policies and grants, and the capability set that they give.
//!
//! ```text
//! tool.toml ─▶ Manifest ───────────┐
//!                                  ├─ intersect ─▶ CapabilitySet
//! tollgate.toml ─▶ Policy ─▶ Grant ┤
//! --grant ─▶ AdhocGrant ───────────┘
//! ```
//!
//! - [`Manifest`]: what a tool needs, in the guest's terms. Its author is not trusted; it only asks.
//! - [`Policy`] and [`Grant`]: what the operator gives. [`AdhocGrant`] is the same in one line.
//! - [`intersect`] makes the [`CapabilitySet`](tollgate_capability::CapabilitySet), which is enforced, and refuses needs
//!   without a grant with the lines to add ([`MissingGrants`]).
//!
//! # Units and defaults
//!
//! Sizes are bytes, times milliseconds. [`Limits::DEFAULT`](tollgate_capability::Limits::DEFAULT) holds where nobody says
//! otherwise, [`WRITE_QUOTA_DEFAULT`] for what a call may take of the disk below a folder. Nothing else has a default but
//! stdout and stderr, which are captured. The whole vocabulary, with what each word denies, is in `docs/manifest.md`.
//!
//! # Deliberately absent
//!
//! - I/O, clocks and the environment: a caller passes texts, and a closure that looks up variables.
//! - Decisions: they are `tollgate-capability`'s, which knows nothing of this crate.
//! - Any word that nothing enforces.
#![forbid(unsafe_code)]

mod adhoc;
mod agent_error;
mod agents;
mod binding;
mod compile;
mod diagnostic;
mod grant;
mod host_path;
mod intersect;
mod limits;
mod manifest;
mod missing;
mod names;
mod nearest;
mod pin;
mod policy;
mod sandbox;
mod schema;
mod serve;
mod shared;
mod texts;
mod units;
mod workers;

pub use adhoc::{AdhocGrant, GrantTextError, MergeError};
pub use agent_error::AgentError;
pub use agents::{
    AGENT_TOOLS_MAX, AGENT_UIDS_MAX, AGENTS_MAX, Agent, AgentTool, LISTEN_BYTES_MAX, Proof, SOCKET_MODE_DEFAULT,
};
pub use binding::{BindError, Binding, Subject};
pub use compile::{COMPILE_CPU_MS_MAX, COMPILE_MS_MIN, COMPILE_TIME_MS_MAX, CompileSettings};
pub use diagnostic::{DocumentError, PolicyError, SourceText, ValueError, key_span, source_text};
pub use grant::{EnvValue, FsGrant, Grant, QUOTA_BYTES_MAX, WRITE_QUOTA_DEFAULT};
pub use host_path::{HostPathError, refuse_host};
pub use intersect::{Intersection, Narrowed, Unused, intersect};
pub use limits::{PartialLimits, show_limit};
pub use manifest::{
    FsNeed, MANIFEST_BYTES_MAX, Manifest, ManifestError, Needs, Operation, RandomNeed, manifest_schema,
};
pub use missing::{Missing, MissingGrants};
pub use names::{
    AgentName, CompartmentName, EnvName, GUEST_PATH_BYTES_MAX, GuestPath, NAME_TEXT_BYTES_MAX, NameError,
    OFFERED_BYTES_MAX, OfferedName, OperationName, ToolName, ToolVersion,
};
pub use pin::{ComponentPin, PinFault};
pub use policy::{Deployment, Grants, POLICY_BYTES_MAX, Policy, policy_schema};
pub use sandbox::{SandboxLevel, SandboxSettings};
pub use serve::{ServeBound, ServeSettings, ToolList};
pub use texts::{
    COMPARTMENT_TOOLS_MAX, DESCRIPTION_BYTES_MAX, FOLDERS_MAX, OPERATIONS_MAX, POLICY_ENTRIES_MAX, TextError,
    VALUE_BYTES_MAX, VALUES_MAX,
};
pub use units::{ByteSize, TimeSpan, UnitError};
pub use workers::{WORKER_GRACE_MS_MAX, WORKER_GRACE_MS_MIN, WORKER_IDLE_MS_MAX, WORKER_IDLE_MS_MIN, WorkerSettings};

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
