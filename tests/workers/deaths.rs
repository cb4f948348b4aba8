//! A worker, or the notary, that is ended in the middle of calls.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, getpid, kill_process};
use tollgate::{CallError, CallFailure, CallId, ProcessCommand, Supervisor, SupervisorSettings, Tool, WorkerError};
use tollgate_audit::{CallClass, Salt};
use tollgate_capability::ArgumentsRecord;
use tollgate_ledger::SideStore;
use tollgate_workspace::processes::{children_of, kill};

use crate::Scale;
use tollgate_workspace::processes::{await_that, stands_still};
use tollgate_workspace::program::worker_command;

use crate::lab::{Stops, SupervisorLab, assert_full, notary_command, read_many, sleep, spec, start_worker, workers};

/// Ways for a worker to die that are no answer, and what is said of each.
const SIGNALS: [(Signal, &str); 4] = [
    (Signal::KILL, "signal: 9 (SIGKILL)"),
    (Signal::ABORT, "signal: 6 (SIGABRT)"),
    // Its handler lets the first one pass that is no guest's fault, for the instruction to fault again.
    (Signal::SEGV, "signal: 11 (SIGSEGV)"),
    (Signal::TERM, "signal: 15 (SIGTERM)"),
];

/// Two calls are lost with their worker. Those of another tool, at the same time, are not.
pub(crate) fn a_dead_worker_takes_its_calls_alone(_: Scale) {
    let lab = SupervisorLab::new();
    let (sleeper, reader) = (lab.sleeper(), lab.reader());
    let (mut victim, bystander) = (start_worker(&sleeper), start_worker(&reader));
    let mut answered = Vec::new();
    let mut lost = Vec::new();
    for (round, (signal, words)) in (1..).zip(SIGNALS) {
        let read = while_reading(&reader, || {
            thread::scope(|scope| {
                let calls = [(); 2].map(|()| scope.spawn(|| sleep(&sleeper, 50_000)));
                lab.await_calls("attack", round * 3 - 1);
                await_that("the worker is gone", || {
                    kill_process(victim, signal).is_err() || !workers().contains(&victim)
                });
                for call in calls {
                    let failure = call.join().expect("a thread").expect_err("a call without a worker");
                    assert_ended(&failure, words);
                    lost.push((failure.call.expect("a call that began"), words));
                }
            });
        });
        answered.extend(read);
        answered.push(sleep(&sleeper, 1).expect("a new worker").call);
        let new: Vec<_> = workers().into_iter().filter(|pid| ![victim, bystander].contains(pid)).collect();
        assert!(workers().contains(&bystander) && new.len() == 1, "{new:?} beside {bystander:?}");
        victim = new[0];
    }
    let record = lab.end(vec![sleeper, reader], &answered);
    let of_sleeper = record.workers_of("sleep-forever");
    assert_eq!((of_sleeper.len(), record.workers_of("echo-read").len()), (SIGNALS.len() + 1, 1));
    of_sleeper.into_iter().for_each(|worker| assert_full(record.enforcement(worker)));
    assert_eq!((record.enforcements().len(), record.closers()), (SIGNALS.len() + 2, lost.len()));
    for (call, words) in lost {
        let reason = record.closer(call).reason.as_str();
        assert_eq!(reason, format!("the writer ended without closing the call: {words}"));
    }
}

/// Between two calls: the next one has a new worker, and nobody is told anything.
pub(crate) fn a_worker_that_dies_idle_is_replaced(_: Scale) {
    let lab = SupervisorLab::new();
    let reader = lab.reader();
    let first = start_worker(&reader);
    let mut answered = vec![read_many(&reader, 1).expect("an answer").call];
    kill(first);
    await_that("the worker is gone", || !children_of(getpid()).contains(&first));
    answered.push(read_many(&reader, 1).expect("an answer from a new worker").call);
    let record = lab.end(vec![reader], &answered);
    assert_eq!((record.workers_of("echo-read").len(), record.closers()), (2, 0));
}

/// A worker that panics before it serves, with a message that would do something to a terminal.
pub(crate) fn what_a_worker_said_at_last_is_passed_on(_: Scale) {
    let ProcessCommand { program, .. } = worker_command();
    let command = ProcessCommand::new(program, [PANICS]);
    let lab = SupervisorLab::with(SupervisorSettings::new(command));
    let reader = lab.reader();
    let failure = read_many(&reader, 1).expect_err("a call without a worker");
    let CallError::NoWorker(WorkerError::Start { reason }) = &failure.error else { panic!("{failure:?}") };
    assert!(reason.starts_with("signal: 6 (SIGABRT): ") && reason.contains(": with  [31mwords"), "{reason:?}");
    let call = failure.call.expect("on record, as any other call");
    let record = lab.end(vec![reader], &[]);
    record.assert_turned_down(call, CallClass::Internal);
    assert!(record.enforcements().is_empty() && record.workers_of("echo-read").is_empty(), "nothing ran");
}

/// The first argument of this program where it panics as a worker would.
pub(crate) const PANICS: &str = "role-panics";

pub(crate) fn panic_as_a_worker() -> ! {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panicked| {
        usual(panicked);
        std::process::abort();
    }));
    panic!("with \x1b[31mwords");
}

/// Calls are answered or refused, and all that were answered are in the ledger. The workers stay.
pub(crate) fn a_dead_notary_takes_nothing(_: Scale) {
    let lab = SupervisorLab::new();
    let tools = [lab.reader(), lab.add("echo-read", &["fs:/data=data:read", "audit:acknowledge=disk"])];
    let before = tools.each_ref().map(start_worker);
    let answered = Mutex::new(Vec::new());
    let refused = Mutex::new(0_u64);
    let stop = AtomicBool::new(false);
    let count = || answered.lock().expect("a list").len();
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        for tool in tools.iter().chain(&tools[..1]) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match read_many(tool, 20).map_err(|failure| failure.error) {
                        Ok(answer) => answered.lock().expect("a list").push(answer.call),
                        Err(CallError::Unrecorded(reason)) => {
                            assert!(reason.contains("is away"), "{reason}");
                            *refused.lock().expect("a number") += 1;
                            thread::sleep(std::time::Duration::from_millis(1));
                        }
                        Err(other) => panic!("neither answered nor refused: {other:?}"),
                    }
                }
            });
        }
        for _death in 0..DEATHS {
            let (pid, done) = (lab.supervisor.notary().pid(), count());
            await_that("calls", || count() > done + CALLS_BETWEEN);
            kill(Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid"));
            await_that("another notary", || lab.supervisor.notary().pid() != pid);
        }
        let done = count();
        await_that("calls", || count() > done + CALLS_BETWEEN);
    });
    let mut answered = answered.into_inner().expect("a list");
    for tool in &tools {
        answered.push(read_many(tool, 1).expect("an answer").call);
    }
    let now = workers();
    assert!(
        now.len() == 2 && before.iter().all(|worker| now.contains(worker)),
        "the same workers: {before:?}, {now:?}"
    );
    println!("{} calls answered, {} refused", answered.len(), refused.into_inner().expect("a number"));
    let record = lab.end(tools.into(), &answered);
    assert_eq!(record.enforcements().len(), 2);
}

/// A worker that stands still never puts its call on record, and nothing of that call is kept. Where a call was on its way
/// to the ledger and its notary died, its texts are gone once the ledger is opened again.
pub(crate) fn texts_of_a_call_that_never_began_do_not_stay(_: Scale) {
    let lab = SupervisorLab::under("[workers]\ngrace = \"50ms\"\n");
    let mut set = lab.set("echo-read", &["fs:/data=data:read"]);
    (set.audit.arguments, set.limits.deadline_ms) = (ArgumentsRecord::Full, 2_000);
    let reader = lab.supervisor.add(spec("echo-read", set)).expect("a tool");
    let (victim, ledger) = (start_worker(&reader), lab.ledger());
    let answered = read_many(&reader, 1).expect("an answer").call;
    let named = || SideStore::find_calls(&ledger, usize::MAX, |_call| true).expect("a side store");
    let before = named();
    kill_process(victim, Signal::STOP).expect("a worker");
    await_that("every thread of the worker stands still", || stands_still(victim));
    let lost = read_many(&reader, 2).expect_err("a call without an answer");
    assert!(matches!(lost.error, CallError::Overran { .. }), "{lost:?}");
    assert_eq!((lost.call, named()), (None, before));
    let ended = lab.finish();
    drop(reader);
    let is_kept = |call| SideStore::find(&ledger, call).expect("a side store").is_some();
    let on_its_way = CallId::new(1_700_000_000_000, answered.issuer(), u32::MAX);
    // Whoever waited for a worker may hold it a moment longer.
    await_that("the side store is free", || SideStore::open(&ledger).is_ok());
    let store = SideStore::open(&ledger).expect("a side store");
    store.put_call(on_its_way, &Salt([1; 32]), Some(b"{}")).expect("a kept call");
    drop(store);
    assert!(is_kept(on_its_way) && is_kept(answered));
    let settings = SupervisorSettings::new(worker_command());
    Supervisor::start(notary_command(&ledger), &ledger, settings)
        .expect("a supervisor")
        .finish()
        .expect("a whole record");
    assert!(!is_kept(on_its_way) && is_kept(answered));
    let record = ended.judge(Vec::new(), &[answered]);
    assert!(record.of(on_its_way).is_empty());
}

/// A supervisor that ends does not wait for guests; what is held of it is no more than an error.
pub(crate) fn ending_a_supervisor_ends_its_calls(_: Scale) {
    let lab = SupervisorLab::new();
    let sleeper = lab.sleeper();
    start_worker(&sleeper);
    let (lost, ended) = thread::scope(|scope| {
        let call = scope.spawn(|| sleep(&sleeper, 50_000));
        lab.await_calls("attack", 1);
        let ended = lab.finish();
        (call.join().expect("a thread").expect_err("a call without a worker"), ended)
    });
    assert_ended(&lost, "exit status: 0");
    let refused = sleep(&sleeper, 1).expect_err("a call without a supervisor");
    assert!(matches!(refused.error, CallError::NoWorker(WorkerError::Start { .. })), "{refused:?}");
    let record = ended.judge(vec![sleeper], &[]);
    let reason = record.closer(lost.call.expect("a call that began")).reason.as_str();
    assert_eq!((reason, refused.call), ("the writer ended without closing the call: exit status: 0", None));
}

/// The error says how the worker ended.
fn assert_ended(failure: &CallFailure, words: &str) {
    let CallError::WorkerEnded { how } = &failure.error else { panic!("{:?}", failure.error) };
    assert_eq!(how, words);
}

/// Has calls answered on another thread, from before `act` until after it.
fn while_reading(reader: &Tool, act: impl FnOnce()) -> Vec<CallId> {
    let (stop, count) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let answered = || count.lock().expect("a list").len();
    thread::scope(|scope| {
        let _stops = Stops(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let answer = read_many(reader, 5).expect("undisturbed");
                count.lock().expect("a list").push(answer.call);
            }
        });
        await_that("calls", || answered() > 0);
        act();
        let done = answered();
        await_that("further calls", || answered() > done + 1);
    });
    count.into_inner().expect("a list")
}

const DEATHS: u32 = 4;
const CALLS_BETWEEN: usize = 30;
