//! Calls of one worker at the same time.

use std::thread;
use std::time::Duration;

use tollgate::{CallError, CapHit, SupervisorSettings, Tool};
use tollgate_audit::Entry;
use tollgate_capability::Cap;

use crate::Scale;
use tollgate_workspace::program::worker_command;

use crate::lab::{SupervisorLab, sleep, sleeps, spec, start_worker, workers};

/// As many as `limits.calls`, in one process; one more is turned down. None of them ends by itself, so that all that began
/// run at the same time.
pub(crate) fn calls_of_a_worker_run_at_the_same_time(_: Scale) {
    let lab = SupervisorLab::new();
    let sleeper = limited(&lab, HOUR_MS, 4);
    let worker = start_worker(&sleeper);
    let (ended, lost) = thread::scope(|scope| {
        let calls = [(); 4].map(|()| scope.spawn(|| sleep(&sleeper, HOUR_MS)));
        lab.await_calls("attack", 4);
        let failure = sleep(&sleeper, 1).expect_err("one too many");
        let CallError::Cap(hit) = failure.error else { panic!("{failure:?}") };
        assert_eq!(hit, CapHit { cap: Cap::Calls, asked: Some(5), limit: 4 });
        assert!(failure.call.is_some(), "on record, as any other call");
        assert_eq!(workers(), [worker]);
        let ended = lab.finish();
        let lost = calls.map(|call| call.join().expect("a thread").expect_err("a call without a worker"));
        (ended, lost.map(|failure| failure.call.expect("a call that began")))
    });
    let record = ended.judge(vec![sleeper], &[]);
    let places = |is_it: fn(&Entry<'_>) -> bool| -> Vec<usize> {
        let of_them = |entry: &Entry<'_>| is_it(entry) && entry.call().is_some_and(|call| lost.contains(&call));
        (0..).zip(&record.entries).filter(|(_, entry)| of_them(entry)).map(|(place, _)| place).collect()
    };
    let starts = places(|entry| matches!(entry, Entry::Call(_)));
    let ends = places(|entry| matches!(entry, Entry::Closer(_)));
    assert_eq!((starts.len(), ends.len(), record.enforcements().len()), (4, 4, 1));
    assert!(starts.iter().max() < ends.iter().min(), "all began before one ended: {starts:?}, {ends:?}");
}

/// The time that a call waits for its turn is not taken from its guest: it waits longer than its whole deadline for the only
/// connection, and is answered. A busy machine makes the wait longer, and has all of the deadline for a call that does nothing.
pub(crate) fn a_call_that_waited_has_its_whole_deadline(_: Scale) {
    let grace = Duration::from_millis(HOUR_MS);
    let lab = SupervisorLab::with(SupervisorSettings {
        connections_max: 1,
        grace,
        ..SupervisorSettings::new(worker_command())
    });
    let specs = [HOUR_MS, DEADLINE_MS].map(|deadline_ms| spec("sleep-forever", sleeps(lab.folder(), deadline_ms)));
    let tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    start_worker(&tools[0]);
    let answered = thread::scope(|scope| {
        let holds_the_connection = scope.spawn(|| sleep(&tools[0], DEADLINE_MS + DEADLINE_MS / 2));
        lab.await_calls("attack", 1);
        let waited = sleep(&tools[1], 1).expect("an answer").call;
        [holds_the_connection.join().expect("a thread").expect("an answer").call, waited]
    });
    let record = lab.end(tools, &answered);
    assert_eq!((record.enforcements().len(), record.closers()), (1, 0));
}

fn limited(lab: &SupervisorLab, deadline_ms: u64, calls: u32) -> Tool {
    let mut set = sleeps(lab.folder(), deadline_ms);
    set.limits.calls = calls;
    lab.supervisor.add(spec("sleep-forever", set)).expect("a tool")
}

const HOUR_MS: u64 = 3_600_000;

/// Of a call that waits for longer.
const DEADLINE_MS: u64 = 5_000;
