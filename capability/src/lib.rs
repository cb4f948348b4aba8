//! Tollgate's decision core: the capability set, the calls of the host, and the pure check over both.
//!
//! ```text
//! CapabilitySet ─┐
//!                ├─ check ─▶ Decision
//! Call ──────────┘
//! ```
//!
//! - [`CapabilitySet`]: what is enforced; an empty set allows nothing. `tollgate-config` makes it of a manifest and a grant.
//! - [`Call`]: one call of WASI 0.2 with the facts that its decision rests on; [`Call::from_facts`] makes it again
//!   out of the facts of a record.
//! - [`check`]: the decision. Pure and total, so that an auditor can repeat it from the ledger: [`RecordedSet`] reads back
//!   what [`CapabilitySet::to_canonical_json`] wrote, without the values of variables and arguments. [`PrivateSet`] has
//!   them, for the process that runs the tool, and is never stored.
//!
//! Sizes are bytes, times milliseconds. [`Limits::DEFAULT`] holds where nobody says otherwise.
//!
//! # Deliberately absent
//!
//! - The language of manifests and policies, and how its errors are shown: who only repeats decisions needs neither.
//! - I/O, clocks and the environment.
//! - Containment of paths: a decision is on text and on what the caller found there; that what is opened stays below the
//!   folder is the kernel's work (`openat2`, `RESOLVE_BENEATH`).
//! - Network: no word grants it, [`check`] denies every call of `wasi:sockets`.
//! - Any word that nothing enforces.
#![forbid(unsafe_code)]

mod access;
mod call;
mod canonical;
mod check;
mod disk;
mod limits;
mod path;
mod patterns;
mod policy_name;
mod private_set;
mod reach;
mod reason;
mod record_settings;
mod recorded;
mod rule;
mod set;
mod standing;

pub use access::{Access, AccessSet};
pub use call::{
    AddressFamily, Call, ClockCall, ContextCall, EnvCall, Fact, Facts, FactsError, FileId, FsCall, FsPlace,
    HTTP_FUNCTIONS, HandleFacts, OpenFlags, RandomCall, RefusedCall, SOCKET_METHODS, SocketCall, Stdio, StdioCall,
    Target,
};
pub use canonical::CanonicalJsonError;
pub use check::{Decision, check};
pub use disk::{DiskCost, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES};
pub use limits::{
    CALLS_MAX, DEADLINE_MS_MAX, FUEL_MAX, HANDLES_MAX, HOST_MEMORY_BYTES_MAX, JSON_BYTES_MAX, MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN, RANDOM_BYTES_MAX, RECORD_BYTES_MAX, RECORDS_MAX, STDIO_BYTES_MAX,
};
pub use path::{Ending, FsPath, GrantIndex, NAME_BYTES_MAX, PATH_BYTES_MAX, PathFault};
pub use patterns::{PATTERN_BYTES_MAX, PATTERNS_MAX, PatternError, Patterns};
pub use policy_name::{Carries, POLICY_NAME, names_policy};
pub use private_set::{PRIVATE_BYTES_MAX, PrivateSet, PrivateSetError};
pub use reach::Reach;
pub use reason::Reason;
pub use record_settings::{Acknowledge, ArgumentsRecord, AuditSettings};
pub use recorded::{CANONICAL_BYTES_MAX, RecordedSet, RecordedSetError};
pub use rule::{Denial, Rule};
pub use set::{
    COARSE_CLOCK_NS, Cap, CapabilitySet, ClockMode, FsCapability, Limits, OnViolation, RandomMode, RecordScope,
    StdioSet,
};

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
