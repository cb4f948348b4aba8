//! Calls that are withdrawn: in a loop, parked in a host call, in a queue, while their worker starts, and where nothing but the
//! end of the worker ends them.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tollgate::{Answer, CallError, CallFailure, Caller, Cancel, Control, Request, SupervisorSettings, Tool};
use tollgate_audit::{CallClass, Entry};
use tollgate_workspace::processes::{await_that, stands_still};
use tollgate_workspace::program::worker_command;

use crate::Scale;
use crate::lab::{SupervisorLab, sleep, sleeps, spec, start_worker, workers};
use crate::starts::Gate;

/// A guest that computes and one that is parked end at once, and nothing else does: their workers live, and go on.
pub(crate) fn a_cancelled_call_ends_wherever_it_is(_: Scale) {
    let lab = SupervisorLab::new();
    let mut spins = lab.set("spin", &[]);
    (spins.limits.deadline_ms, spins.limits.fuel) = (HOUR_MS, u64::MAX >> 1);
    let spinner = lab.supervisor.add(spec("spin", spins)).expect("a tool");
    let sleeper = lab.supervisor.add(spec("sleep-forever", sleeps(lab.folder(), HOUR_MS))).expect("a tool");
    let (mut cancelled, mut answered) = (Vec::new(), Vec::new());
    for tool in [&spinner, &sleeper] {
        let worker = start_worker(tool);
        let before = workers();
        for round in 1..=3 {
            let cancel = Cancel::new();
            let failure = thread::scope(|scope| {
                let running = scope.spawn(|| call_until(tool, &cancel));
                lab.await_calls("attack", cancelled.len() + answered.len() + 1);
                cancel.cancel();
                running.join().expect("a thread").expect_err("cancelled")
            });
            assert!(matches!(failure.error, CallError::Cancelled), "{round}: {failure:?}");
            cancelled.push(failure.call.expect("on record"));
        }
        assert_eq!(workers(), before, "{worker:?} lives");
        if tool.name() == "sleep-forever" {
            answered.push(sleep(tool, 1).expect("an answer").call);
        }
    }
    let record = lab.end(vec![spinner, sleeper], &answered);
    assert_eq!((cancelled.len(), record.closers(), record.enforcements().len()), (6, 0, 2));
    for call in cancelled {
        let entries = record.of(call);
        let Some(Entry::CallEnd(end)) = entries.last() else { panic!("{entries:?}") };
        assert_eq!((end.class, end.detail.as_str()), (CallClass::Cancelled, "the call was cancelled"));
    }
}

/// A call that waits for a thread of its worker leaves the queue, and the call before it goes on. One that waits for its worker's
/// start leaves that, which goes on too. Neither has run: the supervisor itself puts both on record.
pub(crate) fn a_cancelled_call_leaves_its_queue(_: Scale) {
    let gate = Gate::closed();
    let lab = SupervisorLab::with(SupervisorSettings { connections_max: 1, ..SupervisorSettings::new(gate.command()) });
    let specs = [(); 2].map(|()| spec("sleep-forever", sleeps(lab.folder(), HOUR_MS)));
    let tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    let withdrawn = |cancel: &Cancel, tool: &Tool| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| call_until(tool, cancel));
            // It is woken from wherever it is by then.
            thread::yield_now();
            cancel.cancel();
            waiting.join().expect("a thread").expect_err("cancelled")
        })
    };
    let starting = thread::scope(|scope| {
        let first = scope.spawn(|| sleep(&tools[0], 1));
        gate.await_start();
        let starting = withdrawn(&Cancel::new(), &tools[1]);
        gate.open();
        first.join().expect("a thread").expect("the start went on");
        starting
    });
    let cancel = Cancel::new();
    let (queued, held) = thread::scope(|scope| {
        let holds = scope.spawn(|| call_until(&tools[0], &cancel));
        // After the first, and the one that left the start.
        lab.await_calls("attack", 3);
        let queued = withdrawn(&Cancel::new(), &tools[1]);
        cancel.cancel();
        (queued, holds.join().expect("a thread").expect_err("cancelled"))
    });
    let already = Cancel::new();
    already.cancel();
    let never = call_until(&tools[0], &already).expect_err("cancelled");
    let record = lab.end(tools, &[]);
    assert!(matches!(held.error, CallError::Cancelled), "{held:?}");
    for failure in [starting, queued, never] {
        assert!(matches!(failure.error, CallError::Cancelled), "{failure:?}");
        record.assert_turned_down(failure.call.expect("on record"), CallClass::Cancelled);
    }
    assert_eq!(record.closers(), 0);
}

/// A worker that does not end a call is killed after the grace. The other calls of its compartment are told why.
pub(crate) fn a_call_that_does_not_end_takes_its_worker(_: Scale) {
    let grace = Duration::from_millis(50);
    let lab = SupervisorLab::with(SupervisorSettings { grace, ..SupervisorSettings::new(worker_command()) });
    let specs = [(); 2].map(|()| spec("sleep-forever", sleeps(lab.folder(), HOUR_MS)));
    let tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    let worker = start_worker(&tools[0]);
    let cancel = Cancel::new();
    let (stuck, mate) = thread::scope(|scope| {
        let stuck = scope.spawn(|| call_until(&tools[0], &cancel));
        let mate = scope.spawn(|| sleep(&tools[1], HOUR_MS));
        lab.await_calls("attack", 2);
        stop(worker);
        cancel.cancel();
        (stuck.join().expect("a thread").expect_err("cancelled"), mate.join().expect("a thread").expect_err("told"))
    });
    assert!(matches!(stuck.error, CallError::Cancelled), "{stuck:?}");
    let CallError::WorkerEnded { how } = &mate.error else { panic!("{mate:?}") };
    assert!(how.contains("a call that was cancelled did not end"), "{how}");
    let after = sleep(&tools[0], 1).expect("another worker").call;
    let record = lab.end(tools, &[after]);
    for failure in [stuck, mate] {
        let closer = record.closer(failure.call.expect("on record"));
        assert!(closer.reason.as_str().contains("a call that was cancelled did not end"), "{closer:?}");
    }
}

fn call_until(tool: &Tool, cancel: &Cancel) -> Result<Answer, Box<CallFailure>> {
    let arguments = if tool.name() == "spin" { "{}" } else { r#"{"millis": 3600000}"# };
    let request = Request { operation: "attack", arguments, stdin: Default::default(), caller: Caller::default() };
    tool.call_with(&request, &Control { cancel: Some(cancel.clone()), ..Control::default() })
}

/// As a system call that the kernel does not come back from.
fn stop(worker: Pid) {
    kill_process(worker, Signal::STOP).expect("a worker");
    await_that("every thread of the worker stands still", || stands_still(worker));
}

const HOUR_MS: u64 = 3_600_000;
