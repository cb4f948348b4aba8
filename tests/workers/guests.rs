//! Guests that fail: their callers are told what they would be told by a call in this process, and the worker lives on.

use tollgate::CallError;
use tollgate_audit::Entry;
use tollgate_workspace::{Lab, guest};

use crate::Scale;
use crate::lab::{READS, SupervisorLab, assert_full, call, spec, workers};

/// Guests, their grants, and an operation that fails.
const FAILING: [(&str, &[&str], &str, &str); 9] = [
    ("panic", &[], "attack", r#"{"message": "no way out"}"#),
    ("recurse", &[], "attack", "{}"),
    ("recurse", &[], "frames", "{}"),
    ("eat-memory", &[], "attack", "{}"),
    ("eat-memory", &[], "until-refused", "{}"),
    ("spin", &["limit:fuel=1000000"], "attack", "{}"),
    ("spin", &["limit:fuel=1000000000000", "limit:deadline=200ms"], "attack", "{}"),
    ("sleep-forever", &["clock:monotonic=real", "limit:deadline=200ms"], "attack", "{}"),
    ("exit", &[], "attack", r#"{"code": 3}"#),
];

/// All are in one worker, beside a tool that works.
pub(crate) fn guests_that_fail_leave_their_worker(_: Scale) {
    let mut lab = Lab::new();
    let expected = FAILING.map(|(name, grants, operation, arguments)| {
        let tool = lab.tool(guest(name), grants);
        lab.failure(&tool, operation, arguments)
    });
    drop(lab);
    let lab = SupervisorLab::new();
    let mut specs: Vec<_> = FAILING.iter().map(|(name, grants, ..)| spec(name, lab.set(name, grants))).collect();
    specs.push(spec("echo-read", lab.set("echo-read", &READS)));
    let mut tools = lab.supervisor.add_compartment(specs).expect("tools");
    let reader = tools.pop().expect("the last one");
    let mut answered = vec![call(&reader, "echo", "{}").expect("an answer").call];
    let before = workers();
    assert_eq!(before.len(), 1);
    let mut failed = Vec::new();
    for _twice in 0..2 {
        for ((tool, (name, _, operation, arguments)), expected) in tools.iter().zip(FAILING).zip(&expected) {
            let failure = call(tool, operation, arguments).expect_err(name);
            assert_eq!(format!("{:?}", failure.error), format!("{:?}", expected.error), "{name} {operation}");
            assert_eq!(failure.output, expected.output, "{name} {operation}");
            let by_clock = matches!(&failure.error, CallError::Cap(hit) if hit.limit == 200);
            assert!(by_clock || failure.usage.fuel_used == expected.usage.fuel_used, "{name} {operation}");
            failed.push(failure.call.expect("a call that ran"));
            answered.push(call(&reader, "echo", "{}").expect("an answer").call);
        }
    }
    assert_eq!(workers(), before, "the worker lives on");
    tools.push(reader);
    let record = lab.end(tools, &[answered, failed.clone()].concat());
    assert_eq!(record.enforcements().len(), 1);
    assert_full(record.enforcements()[0]);
    assert_eq!(record.closers(), 0);
    for call in failed {
        assert!(matches!(record.of(call).last(), Some(Entry::CallEnd(_))), "each ended by itself");
    }
}
