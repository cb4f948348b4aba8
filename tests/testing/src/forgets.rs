//! A record that keeps nothing, and the start of a call in it.

use std::time::{Duration, Instant};

use tollgate_audit::{AppendError, CallId, EncodedEntry, Kept, Record, RecordError, WriterId};
use tollgate_notary::{CallStart, Room};

use crate::calls;

/// A record that keeps nothing.
#[derive(Debug)]
pub struct Forgets;

impl Record for Forgets {
    fn record(&self, _entries: &[EncodedEntry], _kept: Kept, _deadline: Instant) -> Result<(), RecordError> {
        Ok(())
    }

    fn writer(&self) -> WriterId {
        WriterId([1; 6])
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        CallId::new(time_ms, self.writer(), 1)
    }

    fn ready(&self) -> Result<(), AppendError> {
        Ok(())
    }
}

/// A call of nobody's, which has an hour.
#[must_use]
pub fn start(room: Room) -> CallStart {
    let start = calls::start(Forgets.next_call(1));
    CallStart { deadline: start.started + Duration::from_secs(3_600), room, ..start }
}
