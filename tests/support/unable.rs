//! A ledger that cannot keep entries well: what a full or broken disk makes of a real one.

use std::sync::Arc;
use std::time::Instant;

use tollgate_audit::{AppendError, CallId, EncodedEntry, Kept, Record, RecordError, WriterId};
use tollgate_ledger::Ledger;

/// Takes entries that need not be kept so well, and refuses the others.
#[derive(Debug)]
pub struct Unable {
    /// Where entries go that it takes.
    pub ledger: Arc<Ledger>,
    /// From here on it is unable.
    pub from: Kept,
}

/// Why it refuses.
pub const UNABLE: &str = "this disk takes nothing";

impl Record for Unable {
    fn record(&self, entries: &[EncodedEntry], kept: Kept, deadline: Instant) -> Result<(), RecordError> {
        if kept >= self.from {
            let source = AppendError::Stalled { reason: UNABLE.to_owned() };
            return Err(RecordError { taken: 0, source });
        }
        self.ledger.record(entries, kept, deadline)
    }

    fn writer(&self) -> WriterId {
        self.ledger.writer()
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        self.ledger.next_call(time_ms)
    }

    fn ready(&self) -> Result<(), AppendError> {
        self.ledger.ready()
    }
}
