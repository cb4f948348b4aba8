//! What the ledger says of the kernel layer: how workers were confined, and what their filters stopped.
//!
//! It must never grow with the ledger: of blocked calls the first are listed, all are counted.

use serde::Serialize;

use super::CALLS_LISTED_MAX;
use tollgate_audit::confinement::{BlockedCall, Level};
use tollgate_audit::ids::{CallId, LeafIndex, WriterId};

/// The kernel layer below the calls of a report.
///
/// What stands outside of calls counts if it is of the report's period and no criterion asks for certain calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KernelLayer {
    /// Workers by what confines them, as they found by trying.
    pub workers: WorkerLevels,
    /// System calls that a worker's filter stopped; each ended its worker.
    pub blocked_calls: u64,
    /// The first of them, at most [`CALLS_LISTED_MAX`].
    pub blocked: Vec<BlockedNote>,
    /// Records of the kernel's own audit.
    pub kernel_records: u64,
}

/// Numbers of workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerLevels {
    /// Confined by all that Tollgate asks of a kernel.
    pub full: u64,
    /// By some of it.
    pub partial: u64,
    /// By nothing.
    pub none: u64,
}

/// A blocked system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlockedNote {
    /// Index of its entry.
    pub index: LeafIndex,
    /// The worker that made it.
    pub worker: WriterId,
    /// The call that its thread was running.
    pub call: Option<CallId>,
    /// The tool of that call.
    pub tool: Option<String>,
    /// The thread.
    pub thread: String,
    /// The number of the system call.
    pub number: u64,
    /// Its name, if it is a known one.
    pub name: Option<&'static str>,
}

impl KernelLayer {
    /// Whether the ledger says nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn worker(&mut self, level: Level) {
        let workers = match level {
            Level::None => &mut self.workers.none,
            Level::Partial => &mut self.workers.partial,
            Level::Full => &mut self.workers.full,
        };
        *workers += 1;
    }

    pub(super) fn blocked(&mut self, index: LeafIndex, blocked: &BlockedCall, tool: Option<&str>) {
        self.blocked_calls += 1;
        if self.blocked.len() < CALLS_LISTED_MAX {
            self.blocked.push(BlockedNote {
                index,
                worker: blocked.writer,
                call: blocked.call,
                tool: tool.map(str::to_owned),
                thread: blocked.thread.to_string(),
                number: blocked.number,
                name: blocked.name(),
            });
        }
    }
}
