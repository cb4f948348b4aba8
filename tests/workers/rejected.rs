//! Requests that a worker turns down, and calls that never reach the ledger. `tests/rejected.rs` is the same without workers.

use rustix::process::{Signal, kill_process};
use serde_json::json;
use tollgate::{CallError, RejectError};
use tollgate_audit::{CallClass, Entry};
use tollgate_capability::ArgumentsRecord;
use tollgate_ledger::SideStore;

use crate::Scale;
use tollgate_workspace::processes::{await_that, stands_still};

use crate::lab::{SupervisorLab, call, read_many, spec, start_worker};

/// What the sealed worker turns down is a call of two entries, of which the side store has nothing. Its worker stays.
pub(crate) fn what_a_worker_turns_down_is_on_record_and_not_kept(_: Scale) {
    let lab = SupervisorLab::new();
    let mut set = lab.set("echo-read", &["fs:/data=data:read"]);
    set.audit.arguments = ArgumentsRecord::Full;
    let reader = lab.supervisor.add(spec("echo-read", set)).expect("a tool");
    // Its schema has a pattern, which the sealed worker matches.
    let query = lab.add("json-query", &[]);
    let good = read_many(&reader, 1).expect("an answer").call;
    let store = std::fs::read(lab.folder().join("ledger.private/00000001.open")).expect("a side store");
    let mut rejected = Vec::new();
    for (operation, arguments) in [("none", "{}"), ("read-many", "{"), ("read-many", r#"{"path": "a-secret"}"#)] {
        rejected.push(call(&reader, operation, arguments).expect_err("turned down"));
    }
    let pointer = json!({ "document": {}, "pointer": "a" }).to_string();
    rejected.push(call(&query, "query", &pointer).expect_err("turned down"));
    let CallError::Rejected(RejectError::Schema { problems, .. }) = &rejected[3].error else { panic!("{rejected:?}") };
    assert!(problems[0].contains("does not match"), "{problems:?}");
    let after = std::fs::read(lab.folder().join("ledger.private/00000001.open")).expect("a side store");
    assert!(after == store, "the side store has not been touched");
    let again = read_many(&reader, 1).expect("an answer").call;
    assert!(SideStore::find(&lab.ledger(), again).expect("a store").is_some());
    let record = lab.end(vec![reader, query], &[good, again]);
    for failure in rejected {
        assert!(matches!(failure.error, CallError::Rejected(_)), "{failure:?}");
        let entries = record.of(failure.call.expect("a call on record"));
        let [Entry::Call(_), Entry::CallEnd(end)] = entries[..] else { panic!("{entries:?}") };
        assert_eq!((end.class, end.entries, end.result, end.usage.fuel_used), (CallClass::Rejected, 1, None, 0));
        assert!(!end.detail.as_str().contains("a-secret"));
    }
    assert_eq!((record.workers_of("echo-read").len(), record.closers()), (1, 0));
}

/// A worker that stands still before it takes a call is killed; the call is in no ledger, and nobody is told an id for it.
pub(crate) fn a_call_that_never_reached_the_ledger_has_no_id(_: Scale) {
    let lab = SupervisorLab::under("[workers]\ngrace = \"50ms\"\n");
    let mut set = lab.set("echo-read", &["fs:/data=data:read"]);
    set.limits.deadline_ms = 100;
    let reader = lab.supervisor.add(spec("echo-read", set)).expect("a tool");
    let worker = start_worker(&reader);
    kill_process(worker, Signal::STOP).expect("a worker");
    await_that("every thread of the worker stands still", || stands_still(worker));
    let failure = read_many(&reader, 1).expect_err("a call without an answer");
    assert!(matches!(failure.error, CallError::Overran { deadline_ms: 100, grace_ms: 50 }), "{failure:?}");
    assert_eq!(failure.call, None);
    let record = lab.end(vec![reader], &[]);
    let calls = record
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Call(call) if call.operation.as_str() == "read-many"));
    assert_eq!(calls.count(), 0);
}
