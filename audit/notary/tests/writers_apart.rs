//! Writers in processes of their own: they come and go while others write, are condemned for what they do, and leave the
//! reason in the ledger. What is written into their pipes is written here; where the kernel itself must speak, by a child.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]
#![allow(clippy::disallowed_methods, reason = "tests that run this program as a child")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tollgate_audit::{AppendError, CallId, Durability, Entry, Kept, Kind, Record as _, TreeSize, WriterId, read};
use tollgate_ledger::CallCounter;
use tollgate_notary::{
    CallStart, CallTrail, FromNotary, NotaryEnds, Recorder, Status, ToNotary, WriterEnding, WriterEnds, WriterKind,
};
use tollgate_testing::calls::{OK, ending, start};
use tollgate_testing::entries::OPEN_AT;
use tollgate_testing::ledgers::{frame, report, tempdir};
use tollgate_testing::notary::{
    FAR, Running, Writer, begin, kinds, reasons, record_call, tell_writer, tell_writer_in, tell_writer_of, verified,
};
use tollgate_testing::{entries, foreign};

/// What the notary says next, other than answers to questions.
fn over(notary: &Running, writer: WriterId) -> WriterEnding {
    let FromNotary::Over { writer: found, ending } = notary.hear() else { panic!("not over") };
    assert_eq!(found, writer);
    ending
}

#[test]
fn how_its_process_ended_stands_in_the_ledger() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_000));
    writer.write(&Entry::Enforcement(entries::enforcement(writer.id())));
    let mut trail = begin(&writer.recorder);
    trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    drop(trail);
    // As long as somebody may write and nobody says that it has ended.
    notary.says_nothing();
    let how = "killed by signal 9 (SIGKILL): over its deadline".to_owned();
    notary.supervisor.send(&ToNotary::Ended { writer: writer.id(), how: how.clone() }).unwrap();
    let writer = writer.die();
    assert_eq!(over(&notary, writer), WriterEnding::Closed);
    let folder = notary.ended();
    let expected = [Kind::LedgerOpened, Kind::Enforcement, Kind::Call, Kind::Intent, Kind::Closer];
    assert_eq!(kinds(&folder), expected);
    let reasons: Vec<_> = reasons(&folder).into_values().collect();
    assert_eq!(reasons, [format!("the writer ended without closing the call: {how}")]);
    verified(&folder);
}

#[test]
fn a_supervisor_records_that_its_policy_was_read_again_and_a_worker_does_not() {
    let dir = tempdir().unwrap();
    let [_, _, Entry::Reload(held), Entry::Reload(refused)] = &entries::daemon_samples()[..] else { panic!("samples") };
    let (supervisor, worker) = (Writer::new(), Writer::new());
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_of(&notary.supervisor, &supervisor.end, WriterKind::Supervisor, None);
    tell_writer(&notary.supervisor, &worker.end);
    let deadline = Instant::now() + FAR;
    for reload in [held, refused] {
        supervisor.recorder.reload(reload.clone(), deadline).unwrap();
        let last = read(dir.path()).unwrap().last().unwrap().unwrap().1;
        assert_eq!(last, Entry::Reload(reload.clone()), "it is in the journal by now");
    }
    worker.write(&Entry::Reload(held.clone()));
    let FromNotary::Condemned { writer, fault } = notary.hear() else { panic!("not condemned") };
    assert_eq!((writer, fault.as_str()), (worker.id(), "an entry of kind reload, which is not its to write"));
    supervisor.recorder.set_status(Status::Away);
    let away = supervisor.recorder.reload(held.clone(), deadline).unwrap_err();
    assert!(matches!(away, AppendError::Away), "{away:?}");
    drop((supervisor, worker));
    let folder = notary.ended();
    assert_eq!(kinds(&folder), [Kind::LedgerOpened, Kind::Reload, Kind::Reload], "and nothing of the others");
    verified(&folder);
}

/// How long that is: `how_a_process_ended_is_awaited_for_a_while_and_not_where_nobody_will_say_it` of the notary itself.
#[test]
fn a_supervisor_that_says_nothing_is_not_waited_for_for_ever() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_000));
    begin(&writer.recorder).flush().unwrap();
    let writer = writer.die();
    assert_eq!(over(&notary, writer), WriterEnding::Closed);
    let folder = notary.ended();
    let reasons: Vec<_> = reasons(&folder).into_values().collect();
    assert_eq!(reasons, ["the writer ended without closing the call"], "nobody said how");
    verified(&folder);
}

#[test]
fn a_supervisor_that_is_gone_is_not_waited_for() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_000));
    begin(&writer.recorder).flush().unwrap();
    writer.die();
    verified(&notary.ended());
}

#[test]
fn a_process_that_ended_is_over_though_somebody_holds_its_pipe() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_000));
    record_call(&writer.recorder, Kept::Pipe);
    notary.supervisor.send(&ToNotary::Ended { writer: writer.id(), how: "exit code 1".to_owned() }).unwrap();
    assert_eq!(over(&notary, writer.id()), WriterEnding::Closed);
    assert_eq!(verified(&notary.ended()), TreeSize(5));
}

#[test]
fn a_blocked_system_call_condemns_its_writer_at_once() {
    let dir = tempdir().unwrap();
    let (writer, other) = (Writer::new(), Writer::new());
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &other.end, Some(4_000_000));
    let mut stopped = begin(&writer.recorder);
    stopped.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    let mut beside = begin(&writer.recorder);
    let intent = beside.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    let (call, idle) = (stopped.call(), beside.call());
    let blocked = writer.block(Some(call));
    // What another thread did before the process ended is not lost.
    beside.outcome(intent, OK);
    beside.flush().unwrap();
    writer.block(None);
    // Only now the notary hears of it: all of the above is in the pipe, however slow this test is.
    tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_001));
    let FromNotary::Condemned { writer: condemned, fault } = notary.hear() else { panic!("not condemned") };
    assert_eq!((condemned, fault.as_str()), (writer.id(), "blocked system call openat (257) on thread worker-1"));
    drop((stopped, beside));
    let id = writer.die();
    record_call(&other.recorder, Kept::Journal);
    notary.supervisor.send(&ToNotary::Ended { writer: id, how: "exit code 159".to_owned() }).unwrap();
    assert_eq!(over(&notary, id), WriterEnding::Blocked(blocked));
    drop(other);
    let folder = notary.ended();
    let reason = "the writer was stopped: blocked system call openat (257) on thread worker-1".to_owned();
    assert_eq!(reasons(&folder), [(call, reason.clone()), (idle, reason)].into());
    let report = report(&folder);
    assert_eq!((report.count(Kind::BlockedCall), report.count(Kind::Outcome)), (2, 2));
    verified(&folder);
}

#[test]
fn a_blocked_writer_that_does_not_end_is_closed_all_the_same() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::ready(dir.path(), &[&writer.end]);
    let blocked = writer.block(None);
    assert!(matches!(notary.hear(), FromNotary::Condemned { .. }));
    assert_eq!(over(&notary, writer.id()), WriterEnding::Blocked(blocked));
    writer.write(&Entry::Call(entries::call(CallId::new(1, writer.id(), 9))));
    drop(writer);
    assert_eq!(kinds(&notary.ended()), [Kind::LedgerOpened, Kind::BlockedCall]);
}

#[test]
fn a_writer_that_lies_about_itself_is_condemned() {
    let entries = |writer: WriterId| {
        let enforcement = || Entry::Enforcement(entries::enforcement(writer));
        let call = |count| Entry::Call(entries::call(CallId::new(1, writer, count)));
        let other = WriterId([0xee; 6]);
        let record = entries::writer_samples().swap_remove(2);
        let Entry::KernelRecord(record) = record else { panic!("no record") };
        let record = Entry::KernelRecord(tollgate_audit::KernelRecord { writer, ..record });
        let blocked = |writer, call| Entry::BlockedCall(entries::blocked(writer, call));
        [
            ("a second time what confines it", vec![enforcement(), enforcement()]),
            ("before it said what confines it", vec![call(0), enforcement()]),
            ("which is another one", vec![Entry::Enforcement(entries::enforcement(other))]),
            ("which is another one", vec![blocked(other, None)]),
            ("which was not given to it", vec![blocked(writer, Some(CallId::new(1, other, 0)))]),
            ("has not started", vec![blocked(writer, Some(CallId::new(1, writer, 0)))]),
            ("an entry of kind kernel-record", vec![record]),
        ]
    };
    for case in 0..entries(WriterId([0; 6])).len() {
        let dir = tempdir().unwrap();
        let (writer, good) = (Writer::new(), Writer::new());
        let notary = Running::ready(dir.path(), &[&writer.end, &good.end]);
        let (expected, entries) = entries(writer.id())[case].clone();
        entries.iter().for_each(|entry| writer.write(entry));
        let FromNotary::Condemned { writer: condemned, fault } = notary.hear() else { panic!("{expected}") };
        assert_eq!(condemned, writer.id());
        assert!(fault.contains(expected), "{fault}");
        assert_eq!(over(&notary, writer.id()), WriterEnding::Condemned { fault: fault.clone() });
        record_call(&good.recorder, Kept::Journal);
        drop((writer, good));
        let folder = notary.ended();
        assert!(reasons(&folder).into_values().all(|reason| reason.contains(&fault)));
        verified(&folder);
    }
}

#[test]
fn a_writer_that_was_confined_before_its_notary_died_is_so_once() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let first = Running::ready(dir.path(), &[&writer.end]);
    writer.write(&Entry::Enforcement(entries::enforcement(writer.id())));
    first.ask(&ToNotary::Checkpoint);
    // The notary goes as if it had died; the writer stays. Its pipe is another one here, so that the first one ends.
    let Writer { recorder, pipe, end } = writer;
    drop((recorder, pipe));
    let (way, other) = WriterEnds::new().unwrap();
    let again = NotaryEnds { writer: end.writer, ..other };
    drop(end);
    drop(first.supervisor);
    first.thread.join().unwrap().unwrap();

    let second = Running::ready(dir.path(), &[&again]);
    let entry = Entry::Enforcement(entries::enforcement(again.writer)).encode();
    rustix::io::write(&way.pipe, &frame(entry.as_bytes())).unwrap();
    let FromNotary::Condemned { fault, .. } = second.hear() else { panic!("confined twice") };
    assert!(fault.contains("a second time what confines it"), "{fault}");
    drop((way, again));
    verified(&second.ended());
}

#[test]
fn a_writer_that_ended_while_there_was_no_notary_is_closed_with_the_reason() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    begin(&writer.recorder).flush().unwrap();
    let blocked = writer.block(None);
    let notary = Running::start_after(dir.path(), |supervisor| {
        tell_writer_in(supervisor, &writer.end, Some(4_000_000));
        supervisor.send(&ToNotary::Ended { writer: writer.id(), how: "exit code 159".to_owned() }).unwrap();
    });
    let id = writer.die();
    notary.is_ready();
    assert!(matches!(notary.hear(), FromNotary::Condemned { .. }));
    assert_eq!(over(&notary, id), WriterEnding::Blocked(blocked));
    verified(&notary.ended());
}

#[test]
fn many_writers_come_and_go_while_others_write() {
    const WRITERS: usize = 96;
    let dir = tempdir().unwrap();
    let (steady, steady_end) = {
        let writer = Writer::new();
        (writer.recorder, writer.end)
    };
    let notary = Running::ready(dir.path(), &[&steady_end]);
    let mut calls = BTreeSet::new();
    let mut alive: Vec<Writer> = Vec::new();
    let mut over: BTreeMap<WriterId, WriterEnding> = BTreeMap::new();
    let mut ended = Vec::new();
    for number in 0..WRITERS {
        let writer = Writer::new();
        tell_writer_in(&notary.supervisor, &writer.end, Some(4_000_000 + u32::try_from(number).unwrap()));
        writer.write(&Entry::Enforcement(entries::enforcement(writer.id())));
        calls.insert(record_call(&writer.recorder, Kept::Pipe));
        calls.insert(record_call(&steady, Kept::Pipe));
        alive.push(writer);
        // From 64 on they go again, some of them stopped.
        if alive.len() > 64 {
            let writer = alive.swap_remove(number % 64);
            calls.insert(record_call(&writer.recorder, Kept::Journal));
            if number % 3 == 0 {
                writer.block(None);
            }
            let writer = writer.die();
            ended.push(writer);
            notary.supervisor.send(&ToNotary::Ended { writer, how: "exit code 0".to_owned() }).unwrap();
        }
    }
    calls.insert(record_call(&steady, Kept::Disk));
    for writer in alive {
        calls.insert(record_call(&writer.recorder, Kept::Journal));
        let writer = writer.die();
        ended.push(writer);
        notary.supervisor.send(&ToNotary::Ended { writer, how: "exit code 0".to_owned() }).unwrap();
    }
    while over.len() < WRITERS {
        match notary.hear() {
            FromNotary::Over { writer, ending } => assert_eq!(over.insert(writer, ending), None),
            FromNotary::Condemned { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(over.keys().copied().eq(ended.into_iter().collect::<BTreeSet<_>>()));
    drop((steady, steady_end));
    let folder = notary.ended();
    let found = read(&folder).unwrap().filter_map(|entry| match entry.unwrap().1 {
        Entry::CallEnd(end) => Some(end.call),
        _other => None,
    });
    assert_eq!(found.collect::<BTreeSet<_>>(), calls, "none is lost");
    assert_eq!(report(&folder).count(Kind::Enforcement), WRITERS as u64);
    verified(&folder);
}

/// A test of this program, as a process that reads its standard input first if it likes.
fn child(test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_supervisor_numbers_the_calls_of_a_writer_apart() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let counter = CallCounter::of(writer.id());
    let notary = Running::ready(dir.path(), &[&writer.end]);
    for count in 0..3 {
        let call = counter.next(1_700_000_000_000);
        assert_eq!((call.issuer(), call.count()), (writer.id(), count));
        let start = CallStart { deadline: Instant::now() + FAR, ..start(call) };
        let trail = CallTrail::begin(writer.recorder.clone(), start);
        trail.end(ending(), Kept::Journal).unwrap();
    }
    drop(writer);
    assert_eq!(verified(&notary.ended()), TreeSize(1 + 3 * 2));
}

#[test]
fn a_closed_record_has_no_pipe() {
    let (recorder, _end) = Recorder::new().unwrap();
    recorder.set_status(Status::Ready);
    assert!(recorder.pipe().is_some());
    recorder.close();
    assert!(recorder.pipe().is_none());
    let encoded = Entry::Enforcement(entries::enforcement(recorder.writer())).encode();
    let refused = recorder.record(&[encoded], Kept::Pipe, Instant::now());
    assert!(matches!(refused.unwrap_err().source, AppendError::Closed { .. }));
}

/// A system call of a child under a filter reaches the ledger by the kernel's own audit.
#[test]
fn the_kernel_is_the_second_witness() {
    let dir = tempdir().unwrap();
    let writer = Writer::new();
    let notary = Running::start(dir.path(), &[]);
    let FromNotary::Ready { observer, .. } = notary.hear() else { panic!("not ready") };
    if !observer {
        foreign::skipped("this process may not hear the kernel's audit (CAP_AUDIT_READ)");
        drop(writer);
        notary.ended();
        return;
    }
    let mut child = child("child_makes_a_system_call_that_is_logged");
    tell_writer_in(&notary.supervisor, &writer.end, Some(child.id()));
    // Another one that nothing is said of.
    let other = Writer::new();
    tell_writer(&notary.supervisor, &other.end);
    record_call(&other.recorder, Kept::Journal);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    // A busy kernel says it a little later. What it said is in the ledger at once.
    let records = || read(dir.path()).unwrap().filter(|entry| is_record(&entry.as_ref().unwrap().1)).count();
    for _look in 0..LOOKS_MAX {
        if records() == 16 {
            break;
        }
        notary.says_nothing();
        std::thread::sleep(Duration::from_millis(5));
    }
    let blocked = writer.block(None);
    assert!(matches!(notary.hear(), FromNotary::Condemned { .. }));
    let id = writer.die();
    notary.supervisor.send(&ToNotary::Ended { writer: id, how: "exit code 159".to_owned() }).unwrap();
    assert_eq!(over(&notary, id), WriterEnding::Blocked(blocked));
    drop(other);
    let folder = notary.ended();
    let records: Vec<_> = read(&folder)
        .unwrap()
        .filter_map(|entry| match entry.unwrap().1 {
            Entry::KernelRecord(record) => Some(record),
            _other => None,
        })
        .collect();
    assert_eq!(records.len(), 16, "as many as are kept of a writer");
    for record in records {
        assert_eq!((record.writer, record.process), (id, u64::from(child.id())));
        let number = format!(" syscall={LOGGED} ");
        assert!(record.text.as_str().contains(&number), "{}", record.text);
    }
    verified(&folder);
}

fn is_record(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::KernelRecord(_))
}

/// Minutes: a kernel that has said nothing by then will not.
const LOOKS_MAX: usize = 20_000;

#[cfg(target_arch = "x86_64")]
const LOGGED: i64 = 110;
#[cfg(target_arch = "aarch64")]
const LOGGED: i64 = 173;

#[test]
#[ignore = "run as a child"]
fn child_makes_a_system_call_that_is_logged() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let rules = [(LOGGED, Vec::new())].into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Log, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    for _ in 0..40 {
        assert!(rustix::process::getppid().is_some());
    }
}
