//! The capability set: manifest ∩ grant, what is enforced. An empty set allows nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::access::{Access, AccessSet};
use crate::call::{FileId, Stdio};
use crate::patterns::Patterns;
use crate::policy_name::names_policy;
use crate::record_settings::AuditSettings;

/// Everything a tool may do. Made of manifest and grant by `tollgate_config::intersect`, or empty.
///
/// It has no serde form on purpose, since it holds values that may be secrets: the text that is kept of it is
/// [`CapabilitySet::to_canonical_json`]. [`PrivateSet`](crate::PrivateSet) hands it whole to another process of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilitySet {
    /// Folders, in the order in which the guest sees them as preopens.
    pub fs: Vec<FsCapability>,
    /// Environment variables the guest sees.
    pub env: BTreeMap<String, String>,
    /// Argument vector the guest sees.
    pub args: Vec<String>,
    /// Standard streams the guest may use: without stdin it is at its end. Output is captured, never inherited.
    pub stdio: StdioSet,
    /// `wasi:clocks/wall-clock`; `None` denies.
    pub wall_clock: Option<ClockMode>,
    /// `wasi:clocks/monotonic-clock`; `None` denies.
    pub monotonic_clock: Option<ClockMode>,
    /// `wasi:random`; `None` denies.
    pub random: Option<RandomMode>,
    /// Id, session and time left of the call that the guest answers, by `tollgate:tool/call.get-context`.
    pub context: bool,
    /// The caps on a call.
    pub limits: Limits,
    /// What happens when a call is denied.
    pub on_violation: OnViolation,
    /// Which calls are recorded by themselves.
    pub record: RecordScope,
    /// What is kept of arguments and results, and when a result may be handed out.
    pub audit: AuditSettings,
}

/// One granted folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsCapability {
    /// Where the guest sees it: absolute, normalised, such as `/docs`.
    pub guest: String,
    /// The host folder it is: absolute, as resolved when the policy was loaded.
    pub host: PathBuf,
    /// Which folder that was; `None` if nobody looked. Where it is given, no other folder is opened in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<FileId>,
    /// What may be done below it.
    pub access: AccessSet,
    /// Which of these rights are used only once the intent is on disk
    /// ([`CapabilitySet::is_durable`](crate::CapabilitySet::is_durable)).
    pub durable: AccessSet,
    /// Which files below it.
    pub patterns: Patterns,
    /// How many bytes of the disk one call may take below it, in all ([`Call::disk_cost`](crate::Call::disk_cost)).
    pub write_quota: u64,
    /// Whether what is mounted below it is part of it.
    // Left out where it is not granted: a set says what there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mounts: bool,
}

impl FsCapability {
    /// The folder `host`, with these rights and nothing more: every file in it, no room on its disk, no mounts.
    #[must_use]
    pub fn new(guest: impl Into<String>, host: impl Into<PathBuf>, access: AccessSet) -> Self {
        Self {
            guest: guest.into(),
            host: host.into(),
            opened: None,
            access,
            durable: AccessSet::EMPTY,
            patterns: Patterns::default(),
            write_quota: 0,
            mounts: false,
        }
    }
}

impl FsCapability {
    /// Whether what stands at `below` is not there for the tool: the name of a policy, in whatever spelling
    /// ([`names_policy`]), in a folder in which the tool may change something. The working folder of the next run may be any
    /// folder in it.
    #[must_use]
    pub fn hides(&self, below: &str) -> bool {
        let name = || below.split('/').rev().find(|name| !matches!(*name, "" | "."));
        self.hides_policies() && name().is_some_and(names_policy)
    }

    /// Whether policies are not there for the tool, since it may change something in the folder.
    #[must_use]
    pub fn hides_policies(&self) -> bool {
        self.may_change()
    }

    /// Whether the tool may change something below it.
    #[must_use]
    pub fn may_change(&self) -> bool {
        [Access::Write, Access::Create, Access::Delete].iter().any(|right| self.access.contains(*right))
    }
}

/// Which standard streams may be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdioSet {
    /// Bytes that the caller hands in.
    pub stdin: bool,
    /// Captured.
    pub stdout: bool,
    /// Captured.
    pub stderr: bool,
}

impl StdioSet {
    /// No stream.
    pub const EMPTY: Self = Self { stdin: false, stdout: false, stderr: false };
    /// What is needed, and granted, where nothing is said: stdout and stderr.
    pub const OUTPUT: Self = Self { stdin: false, stdout: true, stderr: true };

    /// Whether `stream` may be read or written.
    #[must_use]
    pub const fn contains(self, stream: Stdio) -> bool {
        match stream {
            Stdio::Stdin => self.stdin,
            Stdio::Stdout => self.stdout,
            Stdio::Stderr => self.stderr,
        }
    }
}

impl FromIterator<Stdio> for StdioSet {
    fn from_iter<I: IntoIterator<Item = Stdio>>(streams: I) -> Self {
        let mut set = Self::EMPTY;
        for stream in streams {
            match stream {
                Stdio::Stdin => set.stdin = true,
                Stdio::Stdout => set.stdout = true,
                Stdio::Stderr => set.stderr = true,
            }
        }
        set
    }
}

/// What a clock shows, the finest first. The coarser of manifest and grant holds. The wall clock's mode is that of the times of
/// files too; the monotonic clock's that of waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockMode {
    /// The host's time.
    Real,
    /// The host's time, rounded down to 100 ms: too wide to time code with. Times of files are rounded too; a wait ends when
    /// the clock takes a step.
    Coarse,
    /// One instant for the whole call: its start for the wall clock, zero for the monotonic clock. Files have no times, since
    /// one that the tool writes would tell the present; a wait is over at once.
    Frozen,
}

impl ClockMode {
    /// The word for it in manifests and grants.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Coarse => "coarse",
            Self::Frozen => "frozen",
        }
    }
}

/// Step of a coarse clock: 100 ms, too wide to time code with.
pub const COARSE_CLOCK_NS: u64 = 100_000_000;

/// Where random bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RandomMode {
    /// The operating system's generator.
    Secure,
    /// A generator seeded by the operator: the same bytes in every call.
    Seeded(u64),
}

/// What happens when a call is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnViolation {
    /// The instance ends before the first byte; the caller gets the violation.
    #[default]
    Kill,
    /// The guest gets WASI's error code and goes on. Where a function has no error to give, the instance ends.
    Deny,
}

/// Which calls are recorded by themselves; every call is checked and counted either way. The stricter of manifest and
/// grant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Record"))]
#[serde(rename_all = "lowercase")]
pub enum RecordScope {
    /// Calls that acquire something, and every denial.
    #[default]
    Acquire,
    /// Every gated call.
    Every,
}

/// The caps on one call. Each has a default; none can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes over all linear memories and tables (an element counts as 16).
    pub memory: u64,
    /// Fuel units: about one per WebAssembly instruction.
    pub fuel: u64,
    /// Milliseconds over everything: instantiation, running, parked host calls.
    pub deadline_ms: u64,
    /// Bytes of JSON arguments.
    pub input: u64,
    /// Bytes of JSON output.
    pub output: u64,
    /// Bytes captured from stdout and stderr together.
    pub stdio: u64,
    /// Open handles of every kind: descriptors, streams, pollables.
    pub handles: u32,
    /// Bytes per request for random bytes.
    pub random: u64,
    /// Bytes that one host call may copy out of the guest.
    pub host_memory: u64,
    /// Calls of one tool at the same time.
    pub calls: u32,
    /// Entries that the call may add to the ledger, beside its start and its end.
    pub records: u32,
    /// Bytes of these entries, as they stand in the ledger.
    pub record_bytes: u64,
}

impl Limits {
    /// What holds where neither manifest nor grant says otherwise.
    pub const DEFAULT: Self = Self {
        memory: 64 << 20,
        fuel: 1_000_000_000,
        deadline_ms: 5_000,
        input: 1 << 20,
        output: 1 << 20,
        stdio: 64 << 10,
        handles: 64,
        random: 64 << 10,
        host_memory: 8 << 20,
        calls: 16,
        records: 200_000,
        record_bytes: 64 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The name of a cap, as in `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "one per field of Limits")]
pub enum Cap {
    Memory,
    Fuel,
    Deadline,
    Input,
    Output,
    Stdio,
    Handles,
    Random,
    HostMemory,
    Calls,
    Records,
    RecordBytes,
}

impl Cap {
    /// The key in `[limits]`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Input => "input",
            Self::Output => "output",
            Self::Stdio => "stdio",
            Self::Handles => "handles",
            Self::Random => "random",
            Self::HostMemory => "host_memory",
            Self::Calls => "calls",
            Self::Records => "records",
            Self::RecordBytes => "record_bytes",
        }
    }
}
