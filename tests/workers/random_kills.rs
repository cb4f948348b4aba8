//! Eight threads call five tools while workers, and at times the notary, are killed at random: every call comes back, and what
//! was answered is in the ledger.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use tollgate::{CallError, CallId, Tool, WorkerError};
use tollgate_workspace::chance::Chance;
use tollgate_workspace::processes::kill;

use crate::Scale;
use crate::lab::{READS, SupervisorLab, read_many, spec, workers};

pub(crate) fn random_kills(scale: Scale) {
    let Scale { rounds, seed, .. } = scale;
    println!("random_kills: {rounds} rounds; again with TOLLGATE_SOAK_SEED={seed}");
    for round in 0..rounds {
        run(Chance::of(seed, round));
    }
}

fn run(mut chance: Chance) {
    let lab = SupervisorLab::new();
    let specs = [(); 2].map(|()| spec("echo-read", lab.set("echo-read", &READS)));
    let mut tools = lab.supervisor.add_compartment(specs.into()).expect("tools");
    for acknowledge in ["pipe", "journal", "disk"] {
        tools.push(lab.add("echo-read", &[&READS[..], &[&format!("audit:acknowledge={acknowledge}")]].concat()));
    }
    let seen = Seen::default();
    let mut kills = (0_u64, 0_u64);
    thread::scope(|scope| {
        let chances: Vec<_> = (0..THREADS).map(|thread| Chance::of(chance.below(u64::MAX), thread)).collect();
        let call = |chance| {
            let (tools, seen) = (&tools, &seen);
            scope.spawn(move || calls(tools, seen, chance))
        };
        let threads: Vec<_> = chances.into_iter().map(call).collect();
        let mut next = 0;
        while threads.iter().any(|thread| !thread.is_finished()) {
            if seen.ended.load(Ordering::Relaxed) < next {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            next = seen.ended.load(Ordering::Relaxed) + 10 + chance.below(50);
            let victims = workers();
            if kills.1 < NOTARIES_MAX && chance.below(4) == 0 {
                Pid::from_raw(lab.supervisor.notary().pid().cast_signed()).into_iter().for_each(kill);
                kills.1 += 1;
            } else if let Ok(count @ 1..) = u64::try_from(victims.len()) {
                kill(victims[usize::try_from(chance.below(count)).expect("a small number")]);
                kills.0 += 1;
            }
        }
    });
    let Seen { answered, failed, .. } = seen;
    let (answered, failed) = (answered.into_inner().expect("a list"), failed.into_inner().expect("a list"));
    println!("killed: {} workers, {} notaries; answered {}; failed {failed:?}", kills.0, kills.1, answered.len());
    assert_eq!(answered.len() as u64 + failed.values().sum::<u64>(), THREADS * CALLS, "every call comes back");
    assert!(kills.0 > 0 && answered.len() as u64 > THREADS * CALLS / 10, "there is something to see");
    let mut last = Vec::new();
    for tool in &tools {
        last.push(until_answered(tool));
    }
    lab.end(tools, &[answered, last].concat());
}

/// What came of the calls.
#[derive(Default)]
struct Seen {
    ended: AtomicU64,
    answered: Mutex<Vec<CallId>>,
    failed: Mutex<BTreeMap<&'static str, u64>>,
}

fn calls(tools: &[Tool], seen: &Seen, mut chance: Chance) {
    for _call in 0..CALLS {
        let tool = &tools[usize::try_from(chance.below(tools.len() as u64)).expect("a small number")];
        match read_many(tool, chance.below(8)) {
            Ok(answer) => seen.answered.lock().expect("a list").push(answer.call),
            Err(failure) => {
                *seen.failed.lock().expect("a list").entry(why(&failure.error)).or_default() += 1;
                // While the notary is away, calls are refused at once: most shall meet it.
                thread::sleep(Duration::from_millis(5));
            }
        }
        seen.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a call failed, in a word; only the death of a worker or of the notary is a reason.
fn why(error: &CallError) -> &'static str {
    let text = format!("{error:?}");
    match error {
        CallError::WorkerEnded { how } if how.contains("signal: 9 (SIGKILL)") => "its worker died",
        CallError::Unrecorded(_) if text.contains("is away") => "the notary was away",
        CallError::NoWorker(WorkerError::Start { .. }) if text.contains("signal: 9 (SIGKILL)") => "a new worker died",
        CallError::NoWorker(_) if text.contains("is away") => "a new worker had no notary",
        _ => panic!("neither answered nor for a death: {text}"),
    }
}

/// Once nobody is killed any more.
fn until_answered(tool: &Tool) -> CallId {
    loop {
        match read_many(tool, 1) {
            Ok(answer) => return answer.call,
            Err(failure) => println!("at the end: {}", why(&failure.error)),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

const THREADS: u64 = 8;
const CALLS: u64 = 125;

/// A supervisor gives up a notary that dies 20 times in ten seconds.
const NOTARIES_MAX: u64 = 10;
