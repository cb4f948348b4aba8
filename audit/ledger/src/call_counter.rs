//! Numbers the calls of a process that runs guests itself. A supervisor's are numbered in the crate `tollgate-supervisor`.
//!
//! It must never give a number twice.

use std::sync::atomic::{AtomicU32, Ordering};

use tollgate_audit::ids::{CallId, WriterId};

/// Gives each call of a writer its id, from any thread. A writer has one counter in its whole life.
#[derive(Debug)]
pub struct CallCounter {
    writer: WriterId,
    next: AtomicU32,
}

impl CallCounter {
    /// For the calls of `writer`, which has run none.
    #[must_use]
    pub fn of(writer: WriterId) -> Self {
        Self { writer, next: AtomicU32::new(0) }
    }

    /// The writer.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// The id of the next call, which starts at `time_ms` (milliseconds since the Unix epoch).
    pub fn next(&self, time_ms: u64) -> CallId {
        CallId::new(time_ms, self.writer, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
