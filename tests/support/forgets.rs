//! A record that keeps nothing, and the start of a call in it. Also a module of the unit tests of `wasi-proxy`.

use std::time::{Duration, Instant};

use tollgate_audit::{
    AppendError, CallId, Claims, Digest, EncodedEntry, Kept, Record, RecordError, Recorded, WriterId,
};
use tollgate_notary::{CallStart, Room};

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
    let now = Instant::now();
    CallStart {
        call: Forgets.next_call(1),
        started: now,
        deadline: now + Duration::from_secs(3_600),
        room,
        time_ns: 1,
        tool: String::new(),
        version: String::new(),
        component: Digest::of(b""),
        operation: String::new(),
        agent: None,
        session: None,
        claims: Claims::default(),
        arguments: Recorded::Nothing,
        arguments_bytes: 0,
        capability_set: Digest::of(b""),
    }
}
