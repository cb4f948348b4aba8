//! Tollgate's manifest, grant and capability set, and the pure check over them.
//!
//! ```text
//! tool.toml ─▶ Manifest ─┐
//!                        ├─ CapabilitySet::intersect ─▶ CapabilitySet ─┐
//! tollgate.toml ─▶ Policy ─▶ Grant                                     ├─ check ─▶ Decision
//! --grant ─▶ AdhocGrant ──┘                                 HostCall ──┘
//! ```
//!
//! - [`Manifest`]: what a tool needs, in the guest's terms. Its author is not trusted; it only asks.
//! - [`Policy`] and [`Grant`]: what the operator gives. [`AdhocGrant`] is the same in one line.
//! - [`CapabilitySet`]: what is enforced. [`CapabilitySet::intersect`] makes it and refuses needs without a grant with the
//!   lines to add ([`MissingGrants`]); an empty set allows nothing.
//! - [`HostCall`]: one call of WASI 0.2 with the facts that its decision rests on; [`HostCall::from_facts`] makes it again
//!   out of the facts of a record.
//! - [`check`]: the decision. Pure and total, so that an auditor can repeat it from the ledger: [`RecordedSet`] reads back
//!   what [`CapabilitySet::to_canonical_json`] wrote, without the values of variables and arguments. [`PrivateSet`] has
//!   them, for the process that runs the tool, and is never stored.
//!
//! # Units and defaults
//!
//! Sizes are bytes, times milliseconds. [`Limits::DEFAULT`] holds where nobody says otherwise, [`WRITE_QUOTA_DEFAULT`] for
//! what a call may take of the disk below a folder. Nothing else has a default but stdout and stderr, which are captured. The whole
//! vocabulary, with what each word denies, is in `docs/manifest.md`.
//!
//! # Deliberately absent
//!
//! - I/O, clocks and the environment: a caller passes texts, and a closure that looks up variables.
//! - Containment of paths: a decision is on text and on what the caller found there; that what is opened stays below the
//!   folder is the kernel's work (`openat2`, `RESOLVE_BENEATH`).
//! - Network: no word grants it, [`check`] denies every call of `wasi:sockets`.
//! - Any word that nothing enforces.
#![forbid(unsafe_code)]

mod access;
mod adhoc;
mod audit;
mod binding;
mod call;
mod canonical;
mod check;
mod diagnostic;
mod disk;
mod durability;
mod facts;
mod from_facts;
mod functions;
mod grant;
mod host;
mod hosts;
mod intersect;
mod limits;
mod manifest;
mod missing;
mod names;
mod path;
mod patterns;
mod policy;
mod policy_name;
mod private;
mod reach;
mod reason;
mod recorded;
mod sandbox;
mod schema;
mod set;
mod standing;
mod texts;
mod units;

pub use access::{Access, AccessSet};
pub use adhoc::{AdhocGrant, GrantTextError};
pub use audit::{Acknowledge, ArgumentsRecord, AuditSettings};
pub use binding::{BindError, Binding, ComponentPin, PinFault, Subject};
pub use call::{AddressFamily, FileId, HandleFacts, HostCall, OpenFlags, Stdio, Target};
pub use canonical::CanonicalJsonError;
pub use check::{Decision, Denial, Rule, check};
pub use diagnostic::{DocumentError, SourceText, ValueError, key_span, source_text};
pub use disk::{DiskCost, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};
pub use durability::Durability;
pub use facts::{Fact, Facts};
pub use from_facts::FactsError;
pub use functions::SOCKET_METHODS;
pub use grant::{EnvValue, FsGrant, Grant, MergeError, QUOTA_BYTES_MAX};
pub use host::{HostPathError, refuse_host};
pub use hosts::{HOST_GRACE_MS_MAX, HOST_GRACE_MS_MIN, HOST_IDLE_MS_MAX, HOST_IDLE_MS_MIN, HostSettings};
pub use intersect::{Intersection, Narrowed, Unused, WRITE_QUOTA_DEFAULT};
pub use limits::{
    CALLS_MAX, DEADLINE_MS_MAX, FUEL_MAX, HANDLES_MAX, HOST_MEMORY_BYTES_MAX, JSON_BYTES_MAX, MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN, PartialLimits, RANDOM_BYTES_MAX, RECORD_BYTES_MAX, RECORDS_MAX, STDIO_BYTES_MAX,
};
pub use manifest::{FsNeed, MANIFEST_BYTES_MAX, Manifest, ManifestError, Needs, Operation, RandomNeed};
pub use missing::{Missing, MissingGrants};
pub use names::{
    CompartmentName, EnvName, GUEST_PATH_BYTES_MAX, GuestPath, NAME_TEXT_BYTES_MAX, NameError, OperationName, ToolName,
    ToolVersion,
};
pub use path::{Ending, FsPath, GrantIndex, NAME_BYTES_MAX, PATH_BYTES_MAX, PathFault};
pub use patterns::{PATTERN_BYTES_MAX, PATTERNS_MAX, PatternError, Patterns};
pub use policy::{POLICY_BYTES_MAX, POLICY_NAME, Policy, PolicyError};
pub use policy_name::{Carries, names_policy};
pub use private::{PRIVATE_BYTES_MAX, PrivateSet, PrivateSetError};
pub use reach::Reach;
pub use reason::Reason;
pub use recorded::{CANONICAL_BYTES_MAX, RecordedSet, RecordedSetError};
pub use sandbox::{SandboxLevel, SandboxSettings};
pub use schema::{manifest_schema, policy_schema};
pub use set::{
    COARSE_CLOCK_NS, Cap, CapabilitySet, ClockMode, FsCapability, Limits, OnViolation, RandomMode, Record, StdioSet,
};
pub use texts::{
    COMPARTMENT_TOOLS_MAX, DESCRIPTION_BYTES_MAX, FOLDERS_MAX, OPERATIONS_MAX, POLICY_ENTRIES_MAX, TextError,
    VALUE_BYTES_MAX, VALUES_MAX,
};
pub use units::{ByteSize, TimeSpan, UnitError};

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
