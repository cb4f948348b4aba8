//! A supervisor that is killed: its workers die with it, its notary brings to the ledger what was acknowledged, and ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use rustix::process::Pid;
use tollgate::{CallId, Supervisor, SupervisorSettings};
use tollgate_ledger::Ledger;
use tollgate_workspace::chance::Chance;
use tollgate_workspace::judge::calls_in;
use tollgate_workspace::processes::{children_of, kill, reap_all};
use tollgate_workspace::{ORIGIN, guest, set_in};

use crate::Scale;
use tollgate_workspace::processes::await_that;
use tollgate_workspace::program::{data_in, worker_command};

use crate::lab::{READS, Record, notary_command, read_many, sleep, sleeps, spec};

/// The first argument of the supervisor that is killed.
pub(crate) const ROLE: &str = "role-driver";

pub(crate) fn a_dead_supervisor_takes_its_workers(scale: Scale) {
    for round in 0..ROUNDS {
        let mut chance = Chance::of(scale.seed, round);
        let folder = tempfile::tempdir().expect("a folder");
        data_in(folder.path());
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let mut driver = command.arg(ROLE).arg(folder.path()).stdout(Stdio::piped()).spawn().expect("a driver");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let mut acknowledged = Vec::new();
        for _call in 0..=chance.below(100) {
            let mut line = String::new();
            said.read_line(&mut line).expect("a pipe");
            acknowledged.push(call_of(line.trim_end()));
        }
        let pid = Pid::from_child(&driver);
        let children = children_of(pid).len();
        kill(pid);
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("a pipe");
        acknowledged.extend(rest.lines().map(call_of));
        drop(driver);
        let ended = reap_all(None);
        let well = ended.iter().filter(|ended| ended.status.exit_status() == Some(0)).count();
        let by_kill = ended.iter().filter(|ended| ended.status.terminating_signal() == Some(9)).count();
        assert_eq!((children, ended.len()), (3, 4), "a notary and two workers, beside their supervisor");
        // A worker that hears of the supervisor's end before the kernel tells it ends by itself, as the notary does.
        assert!(well >= 1 && by_kill >= 1 && well + by_kill == 4, "{well} ended well, {by_kill} by SIGKILL");
        drop(Ledger::open(&folder.path().join("ledger"), ORIGIN, "tests", 1).expect("a ledger that opens"));
        let record = Record::judged(folder, &acknowledged);
        let [sleeper] = record.workers_of("sleep-forever")[..] else { panic!("one worker") };
        let mut starts = record.entries.iter().filter_map(|entry| match entry {
            tollgate_audit::Entry::Call(start) if start.writer == sleeper => Some(start.call),
            _ => None,
        });
        let lost = starts.next_back().expect("the call that never ended");
        assert!(record.closer(lost).reason.as_str().starts_with("the writer ended without closing the call"));
    }
}

/// The supervisor: calls until it is killed, and says which calls were answered. One of its workers has a call that does
/// not end.
pub(crate) fn drive(folder: &Path) -> ExitCode {
    let ledger = folder.join("ledger");
    let settings = SupervisorSettings::new(worker_command());
    let supervisor = Supervisor::start(notary_command(&ledger), &ledger, settings).expect("a supervisor");
    let reads = set_in(folder, guest("echo-read"), &READS);
    let (reader, sleeper) = (
        supervisor.add(spec("echo-read", reads)).expect("a tool"),
        supervisor.add(spec("sleep-forever", sleeps(folder, 60_000))).expect("a tool"),
    );
    sleeper.operations().expect("a tool that loads");
    reader.operations().expect("a tool that loads");
    thread::scope(|scope| {
        scope.spawn(|| sleep(&sleeper, 50_000).expect("never"));
        await_that("a call that lasts", || calls_in(&ledger, "attack") > 0);
        for _thread in 0..2 {
            scope.spawn(|| {
                loop {
                    let answer = read_many(&reader, 3).expect("an answer");
                    let line = format!("{}\n", answer.call);
                    // One write, so that a line that is there is whole.
                    rustix::io::write(std::io::stdout(), line.as_bytes()).expect("a pipe");
                }
            });
        }
    });
    ExitCode::SUCCESS
}

fn call_of(line: &str) -> CallId {
    line.parse().unwrap_or_else(|_| panic!("no call: {line:?}"))
}

const ROUNDS: u64 = 4;
