//! Manifest ∩ grant: the one place where a capability set is made. It must never hold more than the manifest needs or
//! more than the grant gives.

use std::collections::BTreeMap;
use std::fmt;

use tollgate_capability::{
    Access, AccessSet, Cap, CapabilitySet, ClockMode, FsCapability, Limits, RandomMode, RecordScope, Stdio, StdioSet,
};

use crate::grant::{EnvValue, FsGrant, Grant, WRITE_QUOTA_DEFAULT};
use crate::limits::show_limit;
use crate::manifest::{FsNeed, Manifest, RandomNeed};
use crate::missing::{Missing, MissingGrants};
use crate::names::{EnvName, GuestPath};
use crate::texts;

/// What a tool with this manifest may do under this grant. `host_env` looks up a variable of the operator's
/// environment; it is asked only for variables that the manifest needs and the grant takes from there.
///
/// | of | the set holds |
/// |---|---|
/// | a folder | the rights that are both needed and granted; none in common is a missing grant |
/// | durable rights | those of the folder's rights that the grant makes durable |
/// | environment | the variables needed, with the granted values |
/// | arguments | the granted ones, if needed |
/// | stdin | if both needed and granted |
/// | stdout, stderr | if needed, and the grant has no `stdio` or names them there |
/// | a clock | the coarser of what is needed and what is granted |
/// | random bytes | as granted, if needed |
/// | the call's context | if needed and granted |
/// | a cap | the lower of what the manifest expects and the grant's ceiling. Where the grant says nothing, the default is the ceiling; where the manifest says nothing, the grant's value holds, or the default |
/// | a write quota | the grant's or [`WRITE_QUOTA_DEFAULT`]; 0 without a right that takes room on the disk, to write or to create |
/// | a violation | as the grant says |
/// | the record | the stricter of both |
/// | audit settings | as the grant says |
///
/// # Errors
///
/// [`MissingGrants`] lists every need without a grant, and what to add.
pub fn intersect(
    manifest: &Manifest,
    grant: &Grant,
    host_env: impl FnMut(&str) -> Option<String>,
) -> Result<Intersection, MissingGrants> {
    let mut meet = Meet { manifest, grant, missing: Vec::new(), narrowed: Vec::new(), unused: Vec::new() };
    let set = CapabilitySet {
        fs: meet.folders(),
        env: meet.environment(host_env),
        args: meet.arguments(),
        stdio: meet.stdio(),
        wall_clock: meet.wall_clock(),
        monotonic_clock: meet.monotonic_clock(),
        random: meet.random(),
        context: meet.context(),
        limits: meet.limits(),
        on_violation: grant.on_violation,
        record: stricter(manifest.record, grant.record),
        audit: grant.audit,
    };
    if meet.missing.is_empty() {
        Ok(Intersection { set, narrowed: meet.narrowed, unused: meet.unused })
    } else {
        Err(MissingGrants { tool: manifest.name.clone(), missing: meet.missing })
    }
}
/// A capability set, and where manifest and grant differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intersection {
    /// What is enforced.
    pub set: CapabilitySet,
    /// Needed, and granted only in part.
    pub narrowed: Vec<Narrowed>,
    /// Granted, and not needed: the tool does not get it.
    pub unused: Vec<Unused>,
}

/// A need that the grant meets in part. The tool starts, and may be denied what is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Narrowed {
    /// Rights below a folder.
    Folder {
        /// The folder.
        guest: GuestPath,
        /// The rights needed and not granted.
        left_out: AccessSet,
    },
    /// An output stream that the grant's `stdio` does not name.
    Stdio(Stdio),
    /// A coarser wall clock.
    WallClock {
        /// What is needed.
        needed: ClockMode,
        /// What is granted.
        granted: ClockMode,
    },
    /// A coarser monotonic clock.
    MonotonicClock {
        /// What is needed.
        needed: ClockMode,
        /// What is granted.
        granted: ClockMode,
    },
    /// A seeded generator in place of a secure one.
    Random,
    /// A lower cap; without a ceiling in the grant, the default.
    Limit {
        /// Which cap.
        cap: Cap,
        /// What the manifest expects.
        expected: u64,
        /// What holds.
        holds: u64,
    },
}

impl fmt::Display for Narrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { guest, left_out } => write!(f, "fs:{guest}: needed and not granted: {left_out}"),
            Self::Stdio(stream) => write!(f, "stdio: needed and not granted: {}", stream.as_str()),
            Self::WallClock { needed, granted } => {
                write!(f, "clocks.wall: {} needed, {} granted", needed.as_str(), granted.as_str())
            }
            Self::MonotonicClock { needed, granted } => {
                write!(f, "clocks.monotonic: {} needed, {} granted", needed.as_str(), granted.as_str())
            }
            Self::Random => f.write_str("random: secure needed, seeded granted"),
            Self::Limit { cap, expected, holds } => {
                let (expected, holds) = (show_limit(*cap, *expected), show_limit(*cap, *holds));
                write!(f, "limits.{}: {expected} expected, {holds} holds", cap.as_str())
            }
        }
    }
}

/// A grant that the manifest does not need.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unused {
    /// A folder.
    Folder(GuestPath),
    /// Rights below a folder that is needed.
    FolderAccess {
        /// The folder.
        guest: GuestPath,
        /// The rights granted and not needed.
        access: AccessSet,
    },
    /// An environment variable.
    Env(EnvName),
    /// The argument vector.
    Args,
    /// A standard stream.
    Stdio(Stdio),
    /// The wall clock.
    WallClock,
    /// The monotonic clock.
    MonotonicClock,
    /// Random bytes.
    Random,
    /// The call's context.
    Context,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(guest) => write!(f, "fs:{guest}"),
            Self::FolderAccess { guest, access } => write!(f, "fs:{guest}:{access}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Args => f.write_str("args"),
            Self::Stdio(stream) => write!(f, "stdio:{}", stream.as_str()),
            Self::WallClock => f.write_str("clocks.wall"),
            Self::MonotonicClock => f.write_str("clocks.monotonic"),
            Self::Random => f.write_str("random"),
            Self::Context => f.write_str("context"),
        }
    }
}

/// An intersection being made.
struct Meet<'a> {
    manifest: &'a Manifest,
    grant: &'a Grant,
    missing: Vec<Missing>,
    narrowed: Vec<Narrowed>,
    unused: Vec<Unused>,
}

impl Meet<'_> {
    fn folders(&mut self) -> Vec<FsCapability> {
        let (needs, grants) = (&self.manifest.needs.fs, &self.grant.fs);
        let needed = |guest: &GuestPath| needs.iter().any(|need| need.guest == *guest);
        self.unused.extend(grants.keys().filter(|guest| !needed(guest)).cloned().map(Unused::Folder));
        needs.iter().filter_map(|need| self.folder(need, grants.get(&need.guest))).collect()
    }

    fn folder(&mut self, need: &FsNeed, grant: Option<&FsGrant>) -> Option<FsCapability> {
        let guest = || need.guest.clone();
        let granted = grant.map_or(AccessSet::EMPTY, |grant| grant.access);
        let access = need.access.intersection(granted);
        let (Some(grant), false) = (grant, access.is_empty()) else {
            self.missing.push(Missing::Folder { guest: guest(), access: need.access, granted });
            return None;
        };
        let left_out = need.access.difference(granted);
        if !left_out.is_empty() {
            self.narrowed.push(Narrowed::Folder { guest: guest(), left_out });
        }
        let unused = granted.difference(need.access);
        if !unused.is_empty() {
            self.unused.push(Unused::FolderAccess { guest: guest(), access: unused });
        }
        let quota = grant.quota.map_or(WRITE_QUOTA_DEFAULT, crate::ByteSize::bytes);
        Some(FsCapability {
            guest: need.guest.to_string(),
            host: grant.host.clone(),
            opened: None,
            access,
            durable: access.intersection(grant.durable),
            patterns: grant.patterns.clone(),
            write_quota: if access.contains(Access::Write) || access.contains(Access::Create) { quota } else { 0 },
            mounts: grant.mounts,
        })
    }

    fn environment(&mut self, mut host_env: impl FnMut(&str) -> Option<String>) -> BTreeMap<String, String> {
        let names = &self.manifest.needs.env;
        self.unused.extend(self.grant.env.keys().filter(|name| !names.contains(name)).cloned().map(Unused::Env));
        let mut environment = BTreeMap::new();
        for name in names {
            match env_value(name, self.grant.env.get(name), &mut host_env) {
                Ok(value) => {
                    environment.insert(name.to_string(), value);
                }
                Err(missing) => self.missing.push(missing),
            }
        }
        environment
    }

    fn arguments(&mut self) -> Vec<String> {
        match (self.manifest.needs.args, &self.grant.args) {
            (true, Some(args)) => return args.clone(),
            (true, None) => self.missing.push(Missing::Args),
            (false, Some(_)) => self.unused.push(Unused::Args),
            (false, None) => {}
        }
        Vec::new()
    }

    fn stdio(&mut self) -> StdioSet {
        let needed = self.manifest.needs.stdio;
        let granted = self.grant.stdio.unwrap_or(StdioSet::OUTPUT);
        let mut both = Vec::new();
        for stream in [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr] {
            match (needed.contains(stream), granted.contains(stream), stream) {
                (true, true, _) => both.push(stream),
                (true, false, Stdio::Stdin) => self.missing.push(Missing::Stdin { granted }),
                (true, false, Stdio::Stdout | Stdio::Stderr) => self.narrowed.push(Narrowed::Stdio(stream)),
                (false, true, _) if self.grant.stdio.is_some() => self.unused.push(Unused::Stdio(stream)),
                (false, _, _) => {}
            }
        }
        both.into_iter().collect()
    }

    fn wall_clock(&mut self) -> Option<ClockMode> {
        match (self.manifest.needs.wall_clock, self.grant.wall_clock) {
            (Some(needed), Some(granted)) => {
                if granted > needed {
                    self.narrowed.push(Narrowed::WallClock { needed, granted });
                }
                return Some(needed.max(granted));
            }
            (Some(needed), None) => self.missing.push(Missing::WallClock(needed)),
            (None, Some(_)) => self.unused.push(Unused::WallClock),
            (None, None) => {}
        }
        None
    }

    fn monotonic_clock(&mut self) -> Option<ClockMode> {
        match (self.manifest.needs.monotonic_clock, self.grant.monotonic_clock) {
            (Some(needed), Some(granted)) => {
                if granted > needed {
                    self.narrowed.push(Narrowed::MonotonicClock { needed, granted });
                }
                return Some(needed.max(granted));
            }
            (Some(needed), None) => self.missing.push(Missing::MonotonicClock(needed)),
            (None, Some(_)) => self.unused.push(Unused::MonotonicClock),
            (None, None) => {}
        }
        None
    }

    fn random(&mut self) -> Option<RandomMode> {
        match (self.manifest.needs.random, self.grant.random) {
            (Some(needed), Some(granted)) => {
                if needed == RandomNeed::Secure && granted != RandomMode::Secure {
                    self.narrowed.push(Narrowed::Random);
                }
                return Some(granted);
            }
            (Some(_), None) => self.missing.push(Missing::Random),
            (None, Some(_)) => self.unused.push(Unused::Random),
            (None, None) => {}
        }
        None
    }

    fn context(&mut self) -> bool {
        match (self.manifest.needs.context, self.grant.context) {
            (true, true) => return true,
            (true, false) => self.missing.push(Missing::Context),
            (false, true) => self.unused.push(Unused::Context),
            (false, false) => {}
        }
        false
    }

    /// The manifest is the tool author's, so it can lower a cap and never raise it above what the operator or the default
    /// says.
    fn limits(&mut self) -> Limits {
        let mut limits = Limits::DEFAULT;
        for cap in Cap::ALL {
            let ceiling = self.grant.limits.get(cap).unwrap_or_else(|| Limits::DEFAULT.get(cap));
            let expected = self.manifest.limits.get(cap).unwrap_or(ceiling);
            let holds = expected.min(ceiling);
            if holds < expected {
                self.narrowed.push(Narrowed::Limit { cap, expected, holds });
            }
            limits.set(cap, holds);
        }
        limits
    }
}

fn env_value(
    name: &EnvName,
    granted: Option<&EnvValue>,
    mut host_env: impl FnMut(&str) -> Option<String>,
) -> Result<String, Missing> {
    match granted {
        Some(EnvValue::Literal(text)) => Ok(text.clone()),
        Some(EnvValue::FromHost(host)) => host_env(host.as_str())
            .and_then(|value| texts::value("the value", value).ok())
            .ok_or_else(|| Missing::HostEnv { name: name.clone(), host: host.clone() }),
        None => Err(Missing::Env(name.clone())),
    }
}

fn stricter(one: RecordScope, other: RecordScope) -> RecordScope {
    match (one, other) {
        (RecordScope::Acquire, RecordScope::Acquire) => RecordScope::Acquire,
        (RecordScope::Every, _) | (_, RecordScope::Every) => RecordScope::Every,
    }
}
