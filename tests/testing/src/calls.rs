//! A call recorded from start to end, into a ledger that this process holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tollgate_audit::{Action, CallClass, CallId, Claims, Digest, Durability, Kept, Layer, Recorded};
use tollgate_ledger::Ledger;
use tollgate_notary::{CallEnding, CallStart, CallSummary, CallTrail, DenialRef, FactRef, OutcomeTotals, Room};

use crate::entries::{OPEN_AT, ORIGIN, usage};

pub const OK: OutcomeTotals<'_> = OutcomeTotals { result: "ok", bytes_read: 4096, bytes_written: 0, calls: 3 };
pub const DENIAL: DenialRef<'_> = DenialRef {
    rule: "fs:/docs:write",
    layer: Layer::Gate,
    action: Action::Deny,
    message: "policy does not allow writing below /docs",
};

pub fn open(dir: &Path) -> Arc<Ledger> {
    Arc::new(Ledger::open(dir, ORIGIN, "tollgate test", 1).unwrap())
}

/// A call that asks for one file it may read and one that it may not write, and ends.
pub fn record_call(ledger: &Arc<Ledger>, id: u8) -> CallSummary {
    let mut trail = begin(ledger, id);
    let path = [("path", FactRef::Text("/docs/report.txt")), ("create", FactRef::Bool(false))];
    let intent = trail.intent(OPEN_AT, &path, "fs:/docs:read", Durability::Pipe).unwrap();
    trail.denied(OPEN_AT, &path, DENIAL).unwrap();
    trail.outcome(intent, OK);
    trail.end(ending(), Kept::Journal).unwrap()
}

pub fn begin(ledger: &Arc<Ledger>, id: u8) -> CallTrail {
    CallTrail::begin(ledger.clone(), start(CallId([id; 16])))
}

pub fn start(call: CallId) -> CallStart {
    CallStart {
        call,
        started: Instant::now(),
        deadline: Instant::now(),
        room: Room { entries: 200_000, bytes: 64 << 20 },
        time_ns: 2,
        tool: "word-count".to_owned(),
        version: "1.0.0".to_owned(),
        component: Digest::of(b"component"),
        operation: "count".to_owned(),
        agent: None,
        session: None,
        claims: Claims::default(),
        arguments: Recorded::Salted(Digest::of(b"salted {}")),
        arguments_bytes: 2,
        capability_set: Digest::of(b"capability set"),
    }
}

pub fn ending() -> CallEnding {
    CallEnding {
        class: CallClass::Success,
        detail: String::new(),
        usage: usage(),
        counters: vec![("wasi:clocks/wall-clock.now".to_owned(), 1)],
        result: Some(Digest::of(b"salted result")),
        cap: None,
    }
}
