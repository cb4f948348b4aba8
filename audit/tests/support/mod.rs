//! What the tests of this folder share: sample entries, and a call recorded from start to end.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tollgate_audit::{
    Action, Call, CallClass, CallEnd, CallEnding, CallId, CallStart, CallSummary, CallTrail, Closer, DenialRef, Digest,
    Entry, Fact, FactRef, Intent, Layer, Ledger, LedgerOpened, Outcome, OutcomeTotals, Pairs, Policy, Report, RootHash,
    Sequence, Usage, Verdict, Violation, verify,
};

pub(crate) const ORIGIN: &str = "example.com/ledger";
pub(crate) const SAMPLE_CALL: CallId = CallId([0xca; 16]);
pub(crate) const OPEN_AT: &str = "wasi:filesystem/types.open-at";
pub(crate) const OK: OutcomeTotals<'_> = OutcomeTotals { result: "ok", bytes_read: 4096, bytes_written: 0, calls: 3 };
pub(crate) const DENIAL: DenialRef<'_> = DenialRef {
    rule: "fs:/docs:write",
    layer: Layer::Gate,
    action: Action::Deny,
    message: "policy does not allow writing below /docs",
};

/// One entry of each kind, in the order of their numbers. They belong to one call, yet not to one sound story.
pub(crate) fn samples() -> Vec<Entry<'static>> {
    let [opened, policy, call] = openings();
    let [intent, outcome, violation] = host_calls();
    let [end, closer] = endings();
    vec![opened, policy, call, intent, outcome, violation, end, closer]
}

fn openings() -> [Entry<'static>; 3] {
    let call = SAMPLE_CALL;
    [
        Entry::LedgerOpened(LedgerOpened {
            origin: ORIGIN.into(),
            software: "tollgate 0.1.0".into(),
            time_ns: 1_700_000_000_000_000_000,
        }),
        Entry::Policy(Policy {
            digest: Digest::of(b"capability set"),
            manifest: Digest::of(b"manifest"),
            grant: Digest::of(b"grant"),
            tool: "word-count".into(),
            by: "operator".into(),
        }),
        Entry::Call(Call {
            call,
            time_ns: 1_700_000_000_000_000_001,
            tool: "word-count".into(),
            version: "1.0.0".into(),
            component: Digest::of(b"component"),
            operation: "count".into(),
            agent: Some("agent-7".into()),
            session: None,
            decision: Some("d-42".into()),
            reason: Some("the user asked how long the report is".into()),
            arguments: Digest::of(b"{}"),
            arguments_bytes: 2,
            capability_set: Digest::of(b"capability set"),
        }),
    ]
}

fn host_calls() -> [Entry<'static>; 3] {
    let call = SAMPLE_CALL;
    [
        Entry::Intent(Intent {
            call,
            seq: Sequence(1),
            at_us: 24,
            function: OPEN_AT.into(),
            facts: Pairs::new([
                ("path", Fact::Text("/docs/report.txt".into())),
                ("create", Fact::Bool(false)),
                ("quota-left-bytes", Fact::Uint(1 << 20)),
            ]),
            verdict: Verdict::Allow,
            rule: "fs:/docs:read".into(),
        }),
        Entry::Outcome(Outcome {
            call,
            seq: Sequence(2),
            of: Sequence(1),
            at_us: 300,
            result: "ok".into(),
            bytes_read: 4096,
            bytes_written: 0,
            calls: 3,
        }),
        Entry::Violation(Violation {
            call,
            seq: Sequence(4),
            of: Sequence(3),
            at_us: 70_000,
            function: OPEN_AT.into(),
            rule: "fs:/docs:write".into(),
            layer: Layer::Kernel,
            action: Action::Kill,
            message: "policy does not allow writing below /docs".into(),
        }),
    ]
}

fn endings() -> [Entry<'static>; 2] {
    let call = SAMPLE_CALL;
    [
        Entry::CallEnd(CallEnd {
            call,
            seq: Sequence(5),
            at_us: 70_001,
            class: CallClass::Violation,
            detail: "".into(),
            usage: usage(),
            counters: Pairs::new([("wasi:clocks/monotonic-clock.now", 12)]),
            entries: 5,
            root: RootHash([0xee; 32]),
        }),
        Entry::Closer(Closer {
            call,
            of: vec![Sequence(7), Sequence(300)],
            left_out: 0,
            reason: "the host ended without closing the call".into(),
        }),
    ]
}

pub(crate) fn usage() -> Usage {
    Usage {
        fuel_used: 123_456,
        fuel_cap: 500_000_000,
        memory_peak_bytes: 1 << 20,
        memory_cap_bytes: 16 << 20,
        wall_us: 70_001,
        deadline_us: 2_000_000,
        output_bytes: 17,
        stdio_bytes: 0,
    }
}

pub(crate) fn open(dir: &Path) -> Arc<Ledger> {
    Arc::new(Ledger::open(dir, ORIGIN, "tollgate test", 1).unwrap())
}

/// A call that asks for one file it may read and one that it may not write, and ends.
pub(crate) fn record_call(ledger: &Arc<Ledger>, id: u8) -> CallSummary {
    let mut trail = begin(ledger, id);
    let path = [("path", FactRef::Text("/docs/report.txt")), ("create", FactRef::Bool(false))];
    let intent = trail.intent(OPEN_AT, &path, "fs:/docs:read").unwrap();
    trail.denied(OPEN_AT, &path, DENIAL).unwrap();
    trail.outcome(intent, OK);
    trail.end(ending()).unwrap()
}

pub(crate) fn begin(ledger: &Arc<Ledger>, id: u8) -> CallTrail {
    let start = CallStart {
        call: CallId([id; 16]),
        started: Instant::now(),
        time_ns: 2,
        tool: "word-count".to_owned(),
        version: "1.0.0".to_owned(),
        component: Digest::of(b"component"),
        operation: "count".to_owned(),
        agent: None,
        session: None,
        decision: None,
        reason: None,
        arguments: Digest::of(b"{}"),
        arguments_bytes: 2,
        capability_set: Digest::of(b"capability set"),
    };
    CallTrail::begin(Arc::clone(ledger), start)
}

pub(crate) fn ending() -> CallEnding {
    CallEnding {
        class: CallClass::Success,
        detail: String::new(),
        usage: usage(),
        counters: vec![("wasi:clocks/wall-clock.now".to_owned(), 1)],
    }
}

pub(crate) fn report(dir: &Path) -> Report {
    verify(dir, None).unwrap()
}
