//! Resource limits of a process, by `setrlimit(2)`. Under a filter without `setrlimit` and `prlimit64` they stay for good.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Serialize, Serializer};

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitRow {
    /// The resource.
    pub resource: Limited,
    /// The most, in the unit of `setrlimit(2)`: bytes, or how many.
    pub most: u64,
    /// Why this much.
    pub why: &'static str,
}

/// What a limit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// Bytes of a core dump.
    Core,
    /// Bytes in message queues.
    MessageQueues,
    /// Bytes that may not be swapped out.
    LockedMemory,
    /// Open files.
    Files,
    /// Bytes of private memory that can be written.
    Data,
    /// Bytes that a file may have.
    FileSize,
    /// Processes and threads of this user.
    Processes,
}

impl Limited {
    /// The name, as in `RLIMIT_*`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "CORE",
            Self::MessageQueues => "MSGQUEUE",
            Self::LockedMemory => "MEMLOCK",
            Self::Files => "NOFILE",
            Self::Data => "DATA",
            Self::FileSize => "FSIZE",
            Self::Processes => "NPROC",
        }
    }

    /// Whether it is set only once code is loaded and threads are started, which need what it takes away.
    pub(crate) const fn comes_last(self) -> bool {
        match self {
            Self::FileSize | Self::Processes => true,
            Self::Core | Self::MessageQueues | Self::LockedMemory | Self::Files | Self::Data => false,
        }
    }

    /// The limit that a shell may have set lower, with its name and the option of `ulimit`; `None` for limits that are 0 in a
    /// worker.
    pub const fn of_shell(self) -> Option<(Resource, &'static str, &'static str)> {
        match self {
            Self::Files => Some((Resource::Nofile, "RLIMIT_NOFILE", "-n")),
            Self::Data => Some((Resource::Data, "RLIMIT_DATA", "-d")),
            Self::Core | Self::MessageQueues | Self::LockedMemory | Self::FileSize | Self::Processes => None,
        }
    }

    const fn resource(self) -> Resource {
        match self {
            Self::Core => Resource::Core,
            Self::MessageQueues => Resource::Msgqueue,
            Self::LockedMemory => Resource::Memlock,
            Self::Files => Resource::Nofile,
            Self::Data => Resource::Data,
            Self::FileSize => Resource::Fsize,
            Self::Processes => Resource::Nproc,
        }
    }
}

impl Serialize for Limited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl LimitRow {
    /// Sets it for this process; a limit that is lower already stays.
    pub(crate) fn set(self) -> io::Result<()> {
        let resource = self.resource.resource();
        let now = getrlimit(resource);
        let most = now.maximum.map_or(self.most, |maximum| maximum.min(self.most));
        Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
    }
}
