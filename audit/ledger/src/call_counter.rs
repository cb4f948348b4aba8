//! Numbers the calls of one host. Whoever hands out its calls keeps it, in the host's process or in another.
//!
//! It must never give a number twice.

use std::sync::atomic::{AtomicU32, Ordering};

use tollgate_audit::ids::{CallId, HostId};

/// Gives each call of a host its id, from any thread. A host has one counter in its whole life.
#[derive(Debug)]
pub struct CallCounter {
    host: HostId,
    next: AtomicU32,
}

impl CallCounter {
    /// For the calls of `host`, which has run none.
    #[must_use]
    pub fn of(host: HostId) -> Self {
        Self { host, next: AtomicU32::new(0) }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The id of the next call, which starts at `time_ms` (milliseconds since the Unix epoch).
    pub fn next(&self, time_ms: u64) -> CallId {
        CallId::new(time_ms, self.host, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
