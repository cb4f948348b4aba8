//! What a policy says of workers: how long they may overrun and be idle, and how well they must be sealed.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tollgate::compiler::{CompileError, CompileLimits, Compiler};
use tollgate::{CallError, Engine, LoadError, ProcessCommand, SupervisorSettings, Tool, WorkerError};
use tollgate_audit::{CallClass, Level};

use crate::Scale;
use tollgate_workspace::processes::await_that;
use tollgate_workspace::program::{compiler_command, worker_command};

use crate::lab::{SupervisorLab, assert_full, parse, read_many, sleep, sleeps, spec, start_worker, workers};

/// A worker that stands still is given the grace of the policy beyond the deadline of its call, and no less.
pub(crate) fn grace_is_how_long_a_worker_may_overrun(_: Scale) {
    for grace_ms in [50, 700] {
        let lab = SupervisorLab::under(&format!("[workers]\ngrace = \"{grace_ms}ms\"\n"));
        let sleeper = lab.add("sleep-forever", &["clock:monotonic=real"]);
        let worker = start_worker(&sleeper);
        let lost = thread::scope(|scope| {
            let started = Instant::now();
            let call = scope.spawn(|| sleep(&sleeper, 50_000));
            lab.await_calls("attack", 1);
            kill_process(worker, Signal::STOP).expect("a worker");
            let failure = call.join().expect("a thread").expect_err("a call without an answer");
            let CallError::Overran { deadline_ms: 1_000, grace_ms: given } = failure.error else {
                panic!("{failure:?}")
            };
            assert_eq!(given, grace_ms);
            assert!(started.elapsed() >= Duration::from_millis(1_000 + grace_ms), "{:?}", started.elapsed());
            failure.call.expect("a call that began")
        });
        assert!(!workers().contains(&worker), "killed before its caller is told");
        let answered = sleep(&sleeper, 1).expect("a new worker").call;
        let record = lab.end(vec![sleeper], &[answered]);
        assert_eq!(record.workers_of("sleep-forever").len(), 2);
        let reason = record.closer(lost).reason.as_str();
        assert!(
            reason.starts_with("the writer ended without closing the call: signal: 9 (SIGKILL): it gave no"),
            "{reason}"
        );
    }
}

/// CPU time and the clock, each by itself, over a component that takes more than a second of either.
pub(crate) fn what_a_policy_says_of_compiling_holds(_: Scale) {
    let component =
        wat::parse_str(format!("(component (core module {}))", FUNCTION.repeat(30_000))).expect("a component");
    let under = |policy: &str| {
        let limits = CompileLimits::of(parse(policy).deployment.compile);
        // By one thread, so that the clock is not faster than the CPU.
        let compiler = Compiler::new(compiler_command(), CompileLimits { threads: 1, ..limits });
        compiler.compile(&Engine::new(1).expect("an engine"), &component)
    };
    let second = Duration::from_secs(1);
    let LoadError::Compile(CompileError::TooMuchCpu { limit, .. }) = under("compile.cpu = \"1s\"").expect_err("CPU")
    else {
        panic!("not by the CPU")
    };
    assert_eq!(limit, second);
    let LoadError::Compile(CompileError::TooLong { limit, .. }) = under("compile.time = \"1s\"").expect_err("time")
    else {
        panic!("not by the clock")
    };
    assert_eq!(limit, second);
}

const FUNCTION: &str = "(func (param i32) (result i32) local.get 0 i32.const 3 i32.mul local.get 0 i32.xor i32.const 5 i32.mul \
                        local.get 0 i32.xor i32.const 7 i32.mul local.get 0 i32.xor i32.const 9 i32.mul local.get 0 i32.xor)";

/// Calls that share a worker with one that is killed for overrunning are lost with it, and told how.
pub(crate) fn a_worker_that_overruns_while_others_wait(_: Scale) {
    let lab = SupervisorLab::under("[workers]\ngrace = \"50ms\"\n");
    let specs = [1_000, 60_000].map(|deadline_ms| spec("sleep-forever", sleeps(lab.folder(), deadline_ms)));
    let tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    let worker = start_worker(&tools[0]);
    thread::scope(|scope| {
        let calls = tools.iter().map(|tool| scope.spawn(|| sleep(tool, 50_000))).collect::<Vec<_>>();
        lab.await_calls("attack", 2);
        kill_process(worker, Signal::STOP).expect("a worker");
        let errors: Vec<_> =
            calls.into_iter().map(|call| call.join().expect("a thread").expect_err("lost").error).collect();
        assert!(matches!(errors[0], CallError::Overran { deadline_ms: 1_000, grace_ms: 50 }), "{errors:?}");
        let CallError::WorkerEnded { how } = &errors[1] else { panic!("{errors:?}") };
        assert!(how.contains("it gave no answer 50 ms after the deadline of 1000 ms"), "{how}");
    });
    let answered = sleep(&tools[1], 1).expect("a new worker").call;
    let record = lab.end(tools, &[answered]);
    assert_eq!((record.enforcements().len(), record.closers()), (2, 2));
}

/// A worker without calls ends, one with a call does not; the next call has another one.
pub(crate) fn idle_workers_end(_: Scale) {
    let lab = SupervisorLab::under("[workers]\nidle = \"50ms\"\n");
    let sleeper = lab.sleeper();
    let first = start_worker(&sleeper);
    let mut answered = Vec::new();
    await_that("the worker ends", || !workers().contains(&first));
    answered.push(sleep(&sleeper, 400).expect("an answer, though it took longer than an idle worker stays").call);
    let second = workers();
    assert!(!second.contains(&first) && second.len() <= 1, "{second:?}");
    await_that("the second ends", || workers().is_empty());
    answered.push(sleep(&sleeper, 1).expect("an answer").call);
    let record = lab.end(vec![sleeper], &answered);
    let workers = record.workers_of("sleep-forever");
    assert_eq!((workers.len(), record.closers()), (3, 0));
    workers.into_iter().for_each(|worker| assert_full(record.enforcement(worker)));
}

/// The default. A kernel without Landlock has no tools run, and the error names the key.
pub(crate) fn require_full(_: Scale) {
    refused_without_landlock("");
    refused_without_landlock("[sandbox]\nrequire = \"full\"\n");
}

/// As `full` where nothing at all is enforced; the record says what was asked for.
pub(crate) fn require_partial(_: Scale) {
    refused_without_landlock("[sandbox]\nrequire = \"partial\"\n");
    let lab = SupervisorLab::under("[sandbox]\nrequire = \"partial\"\n");
    let reader = lab.reader();
    let answered = read_many(&reader, 1).expect("an answer").call;
    let record = lab.end(vec![reader], &[answered]);
    let enforcement = record.enforcement(record.worker_of(answered));
    assert_eq!((enforcement.level, enforcement.required), (Level::Full, Level::Partial), "{enforcement:?}");
}

/// Tools run without Landlock, and the record says that they do.
pub(crate) fn require_none(_: Scale) {
    let (lab, reader) = without("[sandbox]\nrequire = \"none\"\n");
    let answered = read_many(&reader, 1).expect("an answer").call;
    let record = lab.end(vec![reader], &[answered]);
    let enforcement = record.enforcement(record.worker_of(answered));
    assert_eq!((enforcement.level, enforcement.required), (Level::None, Level::None), "{enforcement:?}");
    assert_eq!(enforcement.landlock_abi, 0);
}

fn refused_without_landlock(policy: &str) {
    let (lab, reader) = without(policy);
    let Err(LoadError::NoWorker(WorkerError::BelowFloor { reason })) = reader.operations() else { panic!("{policy}") };
    assert!(reason.contains("sandbox.require = \"none\"") && reason.contains("Landlock"), "{reason}");
    let failure = read_many(&reader, 1).expect_err("a call without a worker");
    let CallError::NoWorker(WorkerError::BelowFloor { reason: again }) = &failure.error else { panic!("{failure:?}") };
    assert_eq!(again, &reason);
    let call = failure.call.expect("on record, as any other call");
    let record = lab.end(vec![reader], &[]);
    record.assert_turned_down(call, CallClass::Internal);
    assert!(record.workers_of("echo-read").is_empty() && record.enforcements().is_empty(), "nothing ran");
}

/// A supervisor whose workers see no Landlock.
fn without(policy: &str) -> (SupervisorLab, Tool) {
    let ProcessCommand { program, mut arguments } = worker_command();
    arguments.insert(0, WITHOUT_LANDLOCK.into());
    let lab =
        SupervisorLab::with(SupervisorSettings::of(&parse(policy).deployment, ProcessCommand { program, arguments }));
    let reader = lab.reader();
    (lab, reader)
}

/// The first argument of this program where it lays a filter upon itself and goes on as what the others say.
pub(crate) const WITHOUT_LANDLOCK: &str = "role-without-landlock";

/// A kernel without Landlock, as the program sees it.
pub(crate) fn without_landlock(command: &[&str]) -> ExitCode {
    let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().expect("a known machine");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).expect("a filter");
    let filter: BpfProgram = filter.try_into().expect("a filter");
    seccompiler::apply_filter(&filter).expect("a kernel with seccomp");
    crate::become_anew(command)
}
