//! Resource limits of a worker, by `setrlimit(2)`: what it may take is computed from the caps on its calls. They can be
//! lowered later, never raised: `setrlimit` and `prlimit64` are not among a worker's system calls.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Serialize, Serializer};
use tollgate_capability::Limits;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LimitRow {
    /// On what.
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

    /// Whether it is set only once code is loaded and threads are started: both need what it takes away.
    pub(super) const fn comes_last(self) -> bool {
        match self {
            Self::FileSize | Self::Processes => true,
            Self::Core | Self::MessageQueues | Self::LockedMemory | Self::Files | Self::Data => false,
        }
    }

    /// The limit that a shell may have set lower, with its name and the option of `ulimit`; none where a worker has 0.
    pub(crate) const fn of_shell(self) -> Option<(Resource, &'static str, &'static str)> {
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

/// Files that a worker has open beside those of its calls: standard streams, pipe, sockets, connections, `/proc/self/pagemap`,
/// one image per memory of a component, with room to spare.
const FILES_OF_WORKER: u64 = 256;
/// Files that a call has open for a moment, beside the guest's handles: a probe, and the folders of two names.
const FILES_OF_CALL: u64 = 8;
/// Bytes of memory that a worker takes beside its calls: the program, code being loaded, arenas of the heap.
const DATA_OF_WORKER: u64 = 512 << 20;
/// Bytes of memory that a call takes beside its caps: its native stack, its thread's stack, its pool slots for tables (16
/// of 8 MiB, which count whole), its store.
const DATA_OF_CALL: u64 = 160 << 20;

/// The limits of a worker that runs calls under these caps, and that may or may not write files.
pub(super) fn of_worker(caps: &Limits, writes: bool) -> Vec<LimitRow> {
    let calls = u64::from(caps.calls);
    let files = calls.saturating_mul(u64::from(caps.handles).saturating_add(FILES_OF_CALL));
    // Twice, since a slot of the pool keeps what an earlier call let it grow to while the next one fills another.
    let of_guest = caps.memory.saturating_mul(2);
    let texts = [caps.input, caps.output, caps.stdio, caps.random, caps.host_memory.saturating_mul(2)];
    let of_call = texts.into_iter().fold(of_guest.saturating_add(DATA_OF_CALL), u64::saturating_add);
    let mut rows = vec![
        LimitRow { resource: Limited::Core, most: 0, why: "a dump would hold what guests hold" },
        LimitRow { resource: Limited::MessageQueues, most: 0, why: "there are none" },
        LimitRow { resource: Limited::LockedMemory, most: 0, why: "nothing is locked" },
        LimitRow {
            resource: Limited::Files,
            most: files.saturating_add(FILES_OF_WORKER),
            why: "handles of each call, and the worker's own",
        },
        LimitRow {
            resource: Limited::Data,
            most: calls.saturating_mul(of_call).saturating_add(DATA_OF_WORKER),
            why: "memory, texts and stacks of each call, and the worker's own",
        },
        LimitRow { resource: Limited::Processes, most: 0, why: "every thread is started by then" },
    ];
    if !writes {
        rows.push(LimitRow { resource: Limited::FileSize, most: 0, why: "no folder may be written" });
    }
    rows
}

/// The limits of a worker that runs the calls of two workers: what adds up is added up, and what one of them may do without
/// limit has none.
pub(super) fn united(one: &[LimitRow], other: &[LimitRow]) -> Vec<LimitRow> {
    let of_both = |row: &LimitRow| {
        let twin = other.iter().find(|twin| twin.resource == row.resource)?;
        let most = match row.resource {
            Limited::Files => row.most.saturating_add(twin.most).saturating_sub(FILES_OF_WORKER),
            Limited::Data => row.most.saturating_add(twin.most).saturating_sub(DATA_OF_WORKER),
            Limited::Core | Limited::MessageQueues | Limited::LockedMemory | Limited::FileSize | Limited::Processes => {
                row.most.max(twin.most)
            }
        };
        Some(LimitRow { most, ..*row })
    };
    one.iter().filter_map(of_both).collect()
}

impl LimitRow {
    /// Sets it for this process; a limit that is lower already stays.
    pub(super) fn set(self) -> io::Result<()> {
        let resource = self.resource.resource();
        let now = getrlimit(resource);
        let most = now.maximum.map_or(self.most, |maximum| maximum.min(self.most));
        Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
    }
}
