//! Workers that start and end while others do: no start waits for another one or for an end, and callers wait no longer than
//! they can.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tempfile::TempDir;
use tollgate::{CallError, CallFailure, CallId, ProcessCommand, SupervisorSettings, Tool, WorkerError};
use tollgate_workspace::chance::Chance;
use tollgate_workspace::processes::children_of;

use crate::Scale;
use tollgate_workspace::processes::await_that;
use tollgate_workspace::program::worker_command;

use crate::lab::{READS, SupervisorLab, call, read_many, sleep, sleeps, spec, workers};

/// Which of its workers the supervisor gave a call to, of those that get few: each has a lease of its own.
fn lease_of(call: CallId) -> (tollgate_audit::WriterId, u32) {
    (call.issuer(), call.count() / 1024)
}

/// The deadlock that there was: workers are ended for being idle at the moment when others start. Thousands of real starts.
pub(crate) fn workers_start_while_others_end(scale: Scale) {
    for batch in 0..scale.batches_of_starts {
        let lab = SupervisorLab::under("[workers]\nidle = \"10ms\"\n");
        let tools = [(); TOOLS].map(|()| long(&lab, "echo-read", &READS));
        let (started, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let answered: Vec<CallId> = thread::scope(|scope| {
            let callers = tools.iter().map(|tool| {
                let started = &started;
                let mut chance = Chance::of(scale.seed, batch * 100 + next.fetch_add(1, Ordering::Relaxed) as u64);
                scope.spawn(move || {
                    let (mut answered, mut seen) = (Vec::new(), BTreeSet::new());
                    while started.load(Ordering::Relaxed) < STARTS_OF_A_BATCH {
                        let answer = call(tool, "echo", "{}").expect("an answer");
                        answered.push(answer.call);
                        if seen.insert(lease_of(answer.call)) {
                            started.fetch_add(1, Ordering::Relaxed);
                        }
                        // Around the moment at which the worker is found idle.
                        thread::sleep(Duration::from_millis(chance.below(30)));
                    }
                    answered
                })
            });
            let callers: Vec<_> = callers.collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("a thread")).collect()
        });
        let workers: BTreeSet<_> = answered.iter().map(|call| lease_of(*call)).collect();
        let record = lab.end(tools.into(), &answered);
        assert!(workers.len() >= STARTS_OF_A_BATCH, "{}", workers.len());
        assert_eq!((record.enforcements().len(), record.closers()), (workers.len(), 0), "no start was in vain");
    }
}

/// While one tool's worker does not come up, workers of another start, are used, are found idle and end.
pub(crate) fn a_slow_start_holds_up_no_other_tool(_: Scale) {
    let gate = Gate::closed();
    let lab = SupervisorLab::with(SupervisorSettings {
        idle: Duration::from_millis(10),
        ..SupervisorSettings::new(gate.command())
    });
    let (slow, quick) = (long(&lab, "echo-read", &READS), lab.sleeper());
    let answered: Vec<CallId> = thread::scope(|scope| {
        let waiting = scope.spawn(|| read_many(&slow, 1));
        gate.await_start();
        let mut answered = Vec::new();
        for _worker in 0..5 {
            answered.push(sleep(&quick, 1).expect("an answer").call);
            await_that("the idle worker ends", || workers().is_empty());
        }
        gate.open();
        answered.push(waiting.join().expect("a thread").expect("an answer").call);
        answered
    });
    let record = lab.end(vec![slow, quick], &answered);
    assert_eq!((record.workers_of("sleep-forever").len(), record.workers_of("echo-read").len()), (5, 1));
}

/// A call that cannot wait for the worker any longer is told so. The start goes on, for whoever can.
pub(crate) fn a_caller_leaves_a_slow_start_at_its_deadline(_: Scale) {
    let gate = Gate::closed();
    let grace = Duration::from_millis(50);
    let lab = SupervisorLab::with(SupervisorSettings { grace, ..SupervisorSettings::new(gate.command()) });
    let specs = [50, 3_600_000].map(|deadline_ms| spec("sleep-forever", sleeps(lab.folder(), deadline_ms)));
    let tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    let failure = sleep(&tools[0], 1).expect_err("no worker in time");
    assert_no_worker(&failure, "takes longer than the call may wait");
    let answered = thread::scope(|scope| {
        let patient = scope.spawn(|| sleep(&tools[1], 1));
        gate.await_start();
        let failure = sleep(&tools[0], 1).expect_err("no worker in time, again");
        assert_no_worker(&failure, "takes longer than the call may wait");
        gate.open();
        patient.join().expect("a thread").expect("an answer from the same start").call
    });
    let record = lab.end(tools, &[answered]);
    assert_eq!((record.enforcements().len(), record.closers()), (1, 0), "one worker started");
}

/// A worker that stands still when it is told to end is killed; meanwhile its tool has another one, and so have others.
pub(crate) fn a_worker_that_does_not_end_holds_up_nobody(_: Scale) {
    let lab = SupervisorLab::under("[workers]\nidle = \"500ms\"\n");
    let (sleeper, reader) = (lab.sleeper(), long(&lab, "echo-read", &READS));
    let mut answered = vec![sleep(&sleeper, 1).expect("an answer").call];
    // It may be found idle before it is stopped, and then ends by itself.
    let stopped = workers();
    stopped.iter().for_each(|worker| kill_process(*worker, Signal::STOP).unwrap_or_default());
    await_that("the stopped worker is killed", || {
        answered.push(read_many(&reader, 1).expect("an answer").call);
        !children_of(getpid()).iter().any(|child| stopped.contains(child))
    });
    answered.push(sleep(&sleeper, 1).expect("an answer of another worker").call);
    let record = lab.end(vec![sleeper, reader], &answered);
    assert_eq!((record.workers_of("sleep-forever").len(), record.closers()), (2, 0));
}

/// A supervisor that ends does not wait until a worker has come up that never will.
pub(crate) fn ending_a_supervisor_ends_starts(_: Scale) {
    let gate = Gate::closed();
    let lab = SupervisorLab::with(SupervisorSettings::new(gate.command()));
    let slow = long(&lab, "echo-read", &READS);
    let (failure, ended) = thread::scope(|scope| {
        let waiting = scope.spawn(|| read_many(&slow, 1));
        gate.await_start();
        let ended = lab.finish();
        (waiting.join().expect("a thread").expect_err("a call without a worker"), ended)
    });
    assert_no_worker(&failure, "the supervisor has ended");
    let record = ended.judge(vec![slow], &[]);
    assert!(record.enforcements().is_empty(), "nothing ran");
}

fn assert_no_worker(failure: &CallFailure, words: &str) {
    let CallError::NoWorker(WorkerError::Start { reason }) = &failure.error else { panic!("{failure:?}") };
    assert!(reason.contains(words), "{reason}");
}

/// A tool whose calls may wait and run for an hour.
fn long(lab: &SupervisorLab, name: &str, grants: &[&str]) -> Tool {
    let mut set = lab.set(name, grants);
    set.limits.deadline_ms = 3_600_000;
    lab.supervisor.add(spec(name, set)).expect("a tool")
}

/// Keeps the first worker that is started from coming up.
pub(crate) struct Gate(TempDir);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn command(&self) -> ProcessCommand {
        let ProcessCommand { program, arguments } = worker_command();
        let role = [WAITS.into(), self.0.path().into()];
        ProcessCommand::new(program, role.into_iter().chain(arguments))
    }

    /// Waits until that worker's process is there.
    pub(crate) fn await_start(&self) {
        await_that("a worker that waits", || is_first(self.0.path()).exists());
    }

    pub(crate) fn open(&self) {
        fs::write(is_open(self.0.path()), "").expect("a file");
    }
}

/// The first argument of this program where it waits before it becomes a worker, if it is the first that does.
pub(crate) const WAITS: &str = "role-waits";

/// Waits for the gate, or until the supervisor is gone.
pub(crate) fn wait(folder: &Path, command: &[&str]) -> ExitCode {
    let supervisor = parent_id();
    if fs::File::create_new(is_first(folder)).is_ok() {
        while !is_open(folder).exists() {
            if parent_id() != supervisor {
                return ExitCode::FAILURE;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    crate::become_anew(command)
}

fn is_first(folder: &Path) -> PathBuf {
    folder.join("first")
}

fn is_open(folder: &Path) -> PathBuf {
    folder.join("open")
}

/// Real starts in one ledger; a soak has many of them.
const STARTS_OF_A_BATCH: usize = 2_000;

/// Tools whose workers start and end at the same time.
const TOOLS: usize = 4;
