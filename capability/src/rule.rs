//! The rules of a capability set by name, as `check`, ledger and errors give them. Must never decide.

use std::fmt;

use crate::access::Access;
use crate::call::Stdio;
use crate::reason::Reason;
use crate::set::Cap;

/// A call that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial<'s> {
    /// The rule that would have to hold.
    pub missing: Rule<'s>,
    /// Why it does not.
    pub reason: Reason,
}

/// A rule of a capability set. Its text (`Display`) is what ledger and errors show, such as `fs:/docs:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'s> {
    /// `fs:/docs:read`: a right below a granted folder.
    Fs {
        /// The folder, as the guest sees it.
        guest: &'s str,
        /// The right.
        access: Access,
    },
    /// `fs:/docs`: the folder itself.
    FsPreopen {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:beneath`: paths stay below the folder.
    FsBeneath {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:patterns`: include and exclude patterns.
    FsPatterns {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:regular`: only regular files and folders are opened, linked or renamed.
    FsRegular {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:quota`: what one call may take of the disk ([`Call::disk_cost`](crate::Call::disk_cost)).
    FsQuota {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:no-gain`: a file moved or linked elsewhere must not gain rights there.
    FsNoGain {
        /// The folder it goes to.
        guest: &'s str,
    },
    /// `fs:/work:policy`: the name of a policy is not to be made in a folder that the tool may change.
    FsPolicy {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:mounts`: other mounts below the folder.
    FsMounts {
        /// The folder, as the guest sees it.
        guest: &'s str,
    },
    /// `fs:/docs:place`: where a granted folder stands, it stays.
    FsPlace {
        /// The folder through which the place is named.
        guest: &'s str,
    },
    /// `fs:/docs:same`: what is changed is what was decided on.
    FsSame {
        /// The folder.
        guest: &'s str,
    },
    /// `fs`: any folder at all.
    FsAny,
    /// `empty`: what is not granted of stdin, environment and arguments is empty, and any program may look at it.
    Empty,
    /// `env`.
    Env,
    /// `args`.
    Args,
    /// `stdio:stdin` and so on.
    Stdio(Stdio),
    /// `clocks.wall`.
    WallClock,
    /// `clocks.monotonic`.
    MonotonicClock,
    /// `random`.
    Random,
    /// `context`.
    Context,
    /// `limits.handles` and so on: a cap, never a permission.
    Limit(Cap),
    /// `net`: no capability grants it.
    Network,
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fs { guest, access } => write!(f, "fs:{guest}:{access}"),
            Self::FsPreopen { guest } => write!(f, "fs:{guest}"),
            Self::FsBeneath { guest } => write!(f, "fs:{guest}:beneath"),
            Self::FsPatterns { guest } => write!(f, "fs:{guest}:patterns"),
            Self::FsRegular { guest } => write!(f, "fs:{guest}:regular"),
            Self::FsQuota { guest } => write!(f, "fs:{guest}:quota"),
            Self::FsNoGain { guest } => write!(f, "fs:{guest}:no-gain"),
            Self::FsPolicy { guest } => write!(f, "fs:{guest}:policy"),
            Self::FsMounts { guest } => write!(f, "fs:{guest}:mounts"),
            Self::FsPlace { guest } => write!(f, "fs:{guest}:place"),
            Self::FsSame { guest } => write!(f, "fs:{guest}:same"),
            Self::FsAny => f.write_str("fs"),
            Self::Empty => f.write_str("empty"),
            Self::Env => f.write_str("env"),
            Self::Args => f.write_str("args"),
            Self::Stdio(stream) => write!(f, "stdio:{}", stream.as_str()),
            Self::WallClock => f.write_str("clocks.wall"),
            Self::MonotonicClock => f.write_str("clocks.monotonic"),
            Self::Random => f.write_str("random"),
            Self::Context => f.write_str("context"),
            Self::Limit(cap) => write!(f, "limits.{}", cap.as_str()),
            Self::Network => f.write_str("net"),
        }
    }
}
