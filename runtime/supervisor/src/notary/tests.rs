//! The supervisor and a notary that dies, that cannot be started, that has no room: this program is the notary.

#![allow(clippy::disallowed_methods, reason = "tests that run themselves as the notary")]

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tollgate_audit::{AppendError, CallId, Entry, Kept, Record as _, TreeSize, read, verify};
use tollgate_ipc::Channel;
use tollgate_notary::{CallTrail, FromNotary, Notary, NotaryOf, Recorder, ToNotary};
use tollgate_system::ProcessCommand;
use tollgate_testing::calls::ending;
use tollgate_testing::entries;

use super::NotaryProcess;

/// A notary whose program is a link to this one, which a test may take away.
struct Scene {
    around: tempfile::TempDir,
    notary: NotaryProcess,
    recorder: Arc<Recorder>,
}

impl Scene {
    fn start(child: &str) -> Self {
        let around = tempfile::tempdir().unwrap();
        let program = around.path().join("notary");
        link(&program);
        let arguments = ["--exact", child, "--ignored", "--nocapture", "--skip"].map(Into::into);
        // The environment of a notary is empty: where its ledger is stands in its arguments.
        let ledger = around.path().join("ledger").into_os_string();
        let command = ProcessCommand::new(program, arguments.into_iter().chain([ledger]));
        let notary = NotaryProcess::start(command).unwrap();
        let recorder = notary.recorder().unwrap();
        recorder.ready().unwrap();
        Self { around, notary, recorder }
    }

    fn program(&self) -> PathBuf {
        self.around.path().join("notary")
    }

    fn ledger(&self) -> PathBuf {
        self.around.path().join("ledger")
    }

    /// Has an entry recorded, and kept in the journal.
    fn record(&self) {
        let until = Instant::now() + PATIENCE;
        self.recorder.record(&[entries::policy()], Kept::Journal, until).unwrap();
    }

    fn kill(&self) {
        let pid = Pid::from_raw(i32::try_from(self.notary.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }

    /// Waits until the recorder says this of the notary.
    fn await_status(&self, is: impl Fn(&Result<(), AppendError>) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let ready = self.recorder.ready();
            if is(&ready) {
                return;
            }
            assert!(!matches!(ready, Err(AppendError::Closed { .. })), "it is closed for good: {ready:?}");
            assert!(Instant::now() < until, "{ready:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn link(program: &Path) {
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), program).unwrap();
}

fn stalled_by(ready: &Result<(), AppendError>, part: &str) -> bool {
    matches!(ready, Err(AppendError::Stalled { reason }) if reason.contains(part))
}

#[test]
fn a_notary_that_cannot_be_started_for_a_while_is_not_closed_for_good() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    scene.record();
    std::fs::remove_file(scene.program()).unwrap();
    scene.kill();
    scene.await_status(|ready| stalled_by(ready, "no other notary can be started at the moment: No such file"));
    link(&scene.program());
    scene.await_status(Result::is_ok);
    scene.record();
    let ledger = scene.ledger();
    scene.notary.finish().unwrap();
    let entries = read(&ledger).unwrap().map(|entry| entry.unwrap().1);
    assert_eq!(entries.filter(|entry| matches!(entry, Entry::Policy(_))).count(), 2);
    assert!(verify(&ledger, None).unwrap().is_clean());
}

#[test]
fn a_supervisor_that_ends_while_no_notary_can_be_started_says_so() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    scene.record();
    std::fs::remove_file(scene.program()).unwrap();
    scene.kill();
    scene.await_status(|ready| stalled_by(ready, "no other notary can be started"));
    let failure = scene.notary.finish().unwrap_err().to_string();
    assert!(failure.contains("another one could not be started for 1 s: No such file"), "{failure}");
}

#[test]
fn a_notary_that_has_no_room_from_its_start_on_is_stalled_and_goes_on_by_itself() {
    let scene = Scene::start("notary::tests::child_has_no_room_the_second_time");
    scene.kill();
    scene.await_status(|ready| stalled_by(ready, "no room"));
    assert_eq!(scene.notary.checkpoint().unwrap(), TreeSize(7));
    scene.await_status(Result::is_ok);
    scene.notary.finish().unwrap();
}

/// As where somebody stopped it, or its file system stands still.
#[test]
fn a_notary_that_stands_still_is_named_and_left_with_what_its_pipes_hold() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    let (notary, ledger) = (Pid::from_raw(i32::try_from(scene.notary.pid()).unwrap()).unwrap(), scene.ledger());
    kill_process(notary, Signal::STOP).unwrap();
    let failure = scene.notary.end_within(Duration::from_millis(200)).unwrap_err().to_string();
    let pid = notary.as_raw_pid();
    assert!(failure.contains(&format!("the process {pid} is stopped (`kill -CONT {pid}` has it go on)")), "{failure}");
    drop(scene.notary);
    kill_process(notary, Signal::CONT).unwrap();
    let until = Instant::now() + PATIENCE;
    while test_kill_process(notary).is_ok() && !verify(&ledger, None).is_ok_and(|report| report.is_clean()) {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A call that is running.
fn begin(recorder: &Arc<Recorder>) -> CallTrail {
    let mut trail = tollgate_testing::notary::begin(recorder);
    trail.flush().unwrap();
    trail
}

/// Ends it; what is kept of that survives the notary.
fn end(trail: CallTrail) -> CallId {
    trail.end(ending(), Kept::Disk).unwrap().call
}

fn ready(recorder: &Recorder) {
    let until = Instant::now() + PATIENCE;
    while let Err(not_ready) = recorder.ready() {
        assert!(!matches!(not_ready, AppendError::Closed { .. }), "it is closed for good: {not_ready:?}");
        assert!(Instant::now() < until, "{not_ready:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only ends are looked for")]
fn ends(ledger: &Path) -> Vec<CallId> {
    let ends = read(ledger).unwrap().filter_map(|entry| match entry.unwrap().1 {
        Entry::CallEnd(end) => Some(end.call),
        _other => None,
    });
    ends.collect()
}

/// Both have a call open when the notary is killed, again and again; both go on.
#[test]
fn a_notary_that_is_killed_is_followed_by_one_that_serves_all_supervisors_again() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    let ledger = scene.ledger();
    let borrowed = NotaryProcess::borrow(scene.notary.lend().unwrap()).unwrap();
    assert!(borrowed.is_borrowed() && borrowed.pid() == scene.notary.pid());
    let (one, two) = (&scene.recorder, borrowed.recorder().unwrap());
    ready(&two);
    let mut calls = Vec::new();
    for _kill in 0..3 {
        let running = [begin(one), begin(&two)];
        let killed = scene.notary.pid();
        scene.kill();
        let until = Instant::now() + PATIENCE;
        while scene.notary.pid() == killed || borrowed.pid() != scene.notary.pid() {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(1));
        }
        ready(one);
        ready(&two);
        calls.extend(running.map(end));
        // A writer that came in between, and a question.
        let other = borrowed.recorder().unwrap();
        ready(&other);
        let call = end(begin(&other));
        assert!(borrowed.is_on_record(call).unwrap() && !scene.notary.is_on_record(call).unwrap());
        calls.push(call);
    }
    borrowed.finish().unwrap();
    let covered = verify(&ledger, None).unwrap();
    assert!(covered.checkpoint.is_some_and(|checkpoint| checkpoint.size >= TreeSize(2 * 9)), "on disk");
    calls.push(end(begin(one)));
    scene.notary.finish().unwrap();
    let mut found = ends(&ledger);
    found.sort();
    calls.sort();
    assert_eq!(found, calls, "none is lost, none is there twice");
    assert!(verify(&ledger, None).unwrap().is_clean());
}

#[test]
fn a_supervisor_that_ends_leaves_its_notary_to_those_who_borrow_it() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    let ledger = scene.ledger();
    let borrowed = NotaryProcess::borrow(scene.notary.lend().unwrap()).unwrap();
    let (lender, two) = (scene.notary, borrowed.recorder().unwrap());
    ready(&two);
    assert!(borrowed.lend().is_err(), "it is not lent on");
    let running = begin(&two);
    let call = end(begin(&scene.recorder));
    lender.end().unwrap();
    assert!(lender.lend().is_err(), "it is over");
    let calls = [call, end(running)];
    borrowed.finish().unwrap();
    assert_eq!(ends(&ledger), calls);
    assert!(verify(&ledger, None).unwrap().is_clean());
}

#[test]
fn who_borrows_a_notary_that_is_gone_for_good_is_told_so() {
    let scene = Scene::start("notary::tests::child_is_a_notary");
    let borrowed = NotaryProcess::borrow(scene.notary.lend().unwrap()).unwrap();
    let two = borrowed.recorder().unwrap();
    ready(&two);
    std::fs::remove_file(scene.program()).unwrap();
    scene.kill();
    scene.notary.finish().unwrap_err();
    let until = Instant::now() + PATIENCE;
    while !matches!(two.ready(), Err(AppendError::Closed { .. })) {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(two.ready(), Err(AppendError::Closed { reason }) if reason == "the daemon's notary is gone"));
    assert!(borrowed.checkpoint().is_err());
    let failure = borrowed.finish().unwrap_err().to_string();
    assert!(failure.contains("the daemon's notary is gone"), "{failure}");
}

/// The argument behind `--skip`, by which no test is skipped.
fn ledger() -> PathBuf {
    std::env::args_os().next_back().unwrap().into()
}

#[test]
#[ignore = "run as a notary"]
fn child_is_a_notary() {
    let folder = ledger();
    let of = NotaryOf {
        folder: &folder,
        origin: Some("example.com/ledger"),
        software: "tollgate test",
        now_ns: 1,
        holder: None,
    };
    Notary::open(of, std::io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap().serve().unwrap();
}

/// Says what a notary says whose disk is full when it takes over from another one.
#[test]
#[ignore = "run as a notary"]
fn child_has_no_room_the_second_time() {
    let supervisor = Channel::new(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    assert!(supervisor.hear_hello().unwrap());
    let mut has_writers = false;
    while let Some((say, _fds)) = supervisor.receive::<ToNotary>().unwrap() {
        match say {
            ToNotary::Writer { .. } | ToNotary::Lease { .. } => has_writers = true,
            ToNotary::Start { .. } => {
                if has_writers {
                    supervisor.send(&FromNotary::Stalled { reason: "no room".to_owned() }).unwrap();
                }
                let (size, verifier_key) = (TreeSize(1), String::new());
                supervisor
                    .send(&FromNotary::Ready { size, verifier_key, observer: false, process: std::process::id() })
                    .unwrap();
            }
            ToNotary::Checkpoint => {
                supervisor.send(&FromNotary::Flowing).unwrap();
                supervisor.send(&FromNotary::Checkpoint { covers: Ok(TreeSize(7)) }).unwrap();
            }
            ToNotary::Ended { .. } | ToNotary::Locate { .. } | ToNotary::Supervisor { .. } | ToNotary::Leave => {}
        }
    }
}

/// Longer than any of it takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);
