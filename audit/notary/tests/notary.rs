//! The notary and its writers: what is taken, what is refused, what a death leaves. The notary runs on a thread here; that
//! it may be killed as a process is tested where there is one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::pipe::SpliceFlags;
use tollgate_audit::{AppendError, CallId, Durability, Entry, Kept, Kind, LeafIndex, Record, TreeSize, WriterId, read};
use tollgate_ipc::Channel;
use tollgate_notary::{CallTrail, FromNotary, Notary, NotaryEnds, NotaryError, NotaryOf, Recorder, Status, ToNotary};
use tollgate_testing::calls::{OK, ending};
use tollgate_testing::entries::{OPEN_AT, ORIGIN};
use tollgate_testing::ledgers::{Folder, frame, report, tempdir};
use tollgate_testing::notary::{FAR, Running, begin, begin_until, kinds, record_call, tell_writer, verified};
use tollgate_testing::{entries, ledgers};

fn writer() -> (Arc<Recorder>, NotaryEnds) {
    let (recorder, end) = Recorder::new().unwrap();
    recorder.set_status(Status::Ready);
    (Arc::new(recorder), end)
}

#[test]
fn what_writers_write_becomes_the_ledger() {
    let dir = tempdir().unwrap();
    let (one, one_end) = writer();
    let (two, two_end) = writer();
    let notary = Running::ready(dir.path(), &[&one_end, &two_end]);
    for _ in 0..100 {
        record_call(&one, Kept::Pipe);
        record_call(&two, Kept::Pipe);
    }
    let last = record_call(&one, Kept::Journal);
    // In the journal when it says so: anyone may read it there.
    assert!(read(dir.path()).unwrap().any(|entry| matches!(entry.unwrap().1, Entry::CallEnd(end) if end.call == last)));
    record_call(&two, Kept::Disk);
    drop((one, two, one_end, two_end));
    let folder = notary.ended();
    assert_eq!(verified(&folder), TreeSize(1 + 202 * 4));
    assert!(report(&folder).checkpoint.is_some_and(|checkpoint| checkpoint.size == TreeSize(1 + 202 * 4)));
}

#[test]
fn many_threads_of_a_writer_wait_for_their_own_answers() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let notary = Running::ready(dir.path(), &[&end]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let recorder = &recorder;
            let kept = if thread % 2 == 0 { Kept::Disk } else { Kept::Journal };
            scope.spawn(move || {
                for _ in 0..20 {
                    record_call(recorder, kept);
                }
            });
        }
    });
    drop((recorder, end));
    assert_eq!(verified(&notary.ended()), TreeSize(1 + 160 * 4));
}

/// A socket holds some 280 answers; more threads than that wait at once.
#[test]
fn no_answer_is_lost_where_more_threads_wait_than_a_socket_holds() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    std::thread::scope(|scope| {
        for thread in 0..800 {
            let recorder = &recorder;
            let kept = if thread % 2 == 0 { Kept::Disk } else { Kept::Journal };
            scope.spawn(move || record_call(recorder, kept));
        }
        // All of them have written their ends, and ask, before there is a notary.
        while ends_in(&end.pipe) < 800 {
            std::thread::yield_now();
        }
        let notary = Running::ready(dir.path(), &[&end]);
        scope.spawn(|| drop(notary));
    });
}

/// How many calls end by what a pipe holds. It takes nothing out.
fn ends_in(pipe: &OwnedFd) -> usize {
    let (read, write) = rustix::pipe::pipe().unwrap();
    let bytes = rustix::pipe::fcntl_getpipe_size(pipe).unwrap();
    rustix::pipe::fcntl_setpipe_size(&write, bytes).unwrap();
    let mut copied = vec![0; rustix::pipe::tee(pipe, &write, bytes, SpliceFlags::NONBLOCK).unwrap_or_default()];
    let mut have = 0;
    while have < copied.len() {
        have += rustix::io::read(&read, &mut copied[have..]).unwrap();
    }
    let (mut rest, mut ends) = (&copied[..], 0);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at(u16::from_be_bytes(*length).into());
        ends += usize::from(Entry::decode(entry).unwrap().kind() == Kind::CallEnd);
        rest = &after[4..];
    }
    ends
}

#[test]
fn the_supervisor_may_ask_where_a_call_ended_and_for_a_checkpoint() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let notary = Running::ready(dir.path(), &[&end]);
    record_call(&recorder, Kept::Pipe);
    let call = record_call(&recorder, Kept::Pipe);
    assert_eq!(
        notary.ask(&ToNotary::Locate { call }),
        FromNotary::Located { index: Some(LeafIndex(8)), is_on_record: true }
    );
    let other = ToNotary::Locate { call: CallId([9; 16]) };
    assert_eq!(notary.ask(&other), FromNotary::Located { index: None, is_on_record: false });
    let FromNotary::Checkpoint { covers } = notary.ask(&ToNotary::Checkpoint) else { panic!("no checkpoint") };
    assert_eq!(covers, Ok(TreeSize(9)));
    drop((recorder, end));
    verified(&notary.ended());
}

#[test]
fn calls_of_a_writer_that_dies_are_closed() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let notary = Running::ready(dir.path(), &[&end]);
    let mut trail = begin(&recorder);
    trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    drop((trail, recorder, end));
    let folder = notary.ended();
    assert_eq!(kinds(&folder), [Kind::LedgerOpened, Kind::Call, Kind::Intent, Kind::Closer]);
    verified(&folder);
}

#[test]
fn a_supervisor_that_dies_before_the_start_loses_nothing_of_its_writers() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let call = record_call(&recorder, Kept::Pipe);
    let (supervisor, theirs) = Channel::pair().unwrap();
    supervisor.say_hello().unwrap();
    tell_writer(&supervisor, &end);
    drop((supervisor, recorder, end));
    let of = NotaryOf { folder: dir.path(), origin: Some(ORIGIN), software: "tollgate test", now_ns: 1, holder: None };
    Notary::open(of, theirs).unwrap().serve().unwrap();
    assert!(read(dir.path()).unwrap().any(|entry| matches!(entry.unwrap().1, Entry::CallEnd(end) if end.call == call)));
    verified(dir.path());
}

#[test]
fn a_writer_that_lies_is_condemned_and_others_go_on() {
    let wrong = [
        ("no frame", vec![0xff; 64]),
        ("an unfinished frame", vec![0, 200, 1, 2]),
        ("not an entry", frame(b"hello")),
        ("closer", frame(entries::samples()[7].encode().as_bytes())),
        ("another writer's", frame(entries::samples()[2].encode().as_bytes())),
    ];
    for (what, bytes) in wrong {
        let dir = tempdir().unwrap();
        let (good, good_end) = writer();
        let (liar, end, pipe) = liar();
        let notary = Running::ready(dir.path(), &[&good_end, &end]);
        rustix::io::write(&pipe, &bytes).unwrap();
        let FromNotary::Condemned { writer, fault } = notary.hear() else { panic!("{what} passes") };
        assert_eq!(writer, liar, "{fault}");
        record_call(&good, Kept::Journal);
        drop((good, good_end, end, pipe));
        let folder = notary.ended();
        assert_eq!(verified(&folder), TreeSize(5), "{what}: nothing of it is in the ledger");
    }
}

#[test]
fn a_condemned_writers_calls_are_closed_with_the_reason() {
    let dir = tempdir().unwrap();
    let (liar, end, pipe) = liar();
    let notary = Running::ready(dir.path(), &[&end]);
    let call = Entry::Call(entries::call(CallId::new(1, liar, 0))).encode();
    rustix::io::write(&pipe, &frame(call.as_bytes())).unwrap();
    rustix::io::write(&pipe, &frame(call.as_bytes())).unwrap();
    let FromNotary::Condemned { fault, .. } = notary.hear() else { panic!("a call twice passes") };
    assert!(fault.contains("a second time"), "{fault}");
    drop((end, pipe));
    let folder = notary.ended();
    let entries: Vec<_> = read(&folder).unwrap().map(|entry| entry.unwrap().1).collect();
    let Some(Entry::Closer(closer)) = entries.last() else { panic!("no closer: {entries:?}") };
    assert!(closer.reason.as_str().contains(&fault), "{closer:?}");
    verified(&folder);
}

#[test]
fn without_a_notary_nothing_begins_and_what_ends_is_kept() {
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let mut before = begin(&recorder);
    let intent = before.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    recorder.set_status(Status::Away);
    let refused = before.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe);
    assert!(matches!(refused, Err(AppendError::Away)), "{refused:?}");
    assert!(matches!(begin(&recorder).flush(), Err(AppendError::Away)));
    before.outcome(intent, OK);
    assert!(matches!(before.end(ending(), Kept::Pipe), Err(AppendError::Away)), "no answer may be given");
    // The next notary finds all of it in the pipe.
    let notary = Running::ready(dir.path(), &[&end]);
    recorder.set_status(Status::Ready);
    record_call(&recorder, Kept::Journal);
    drop((recorder, end));
    let folder = notary.ended();
    verified(&folder);
    assert_eq!(report(&folder).count(Kind::CallEnd), 2);
}

#[test]
fn a_question_that_is_lost_with_its_notary_is_not_waited_for() {
    let (recorder, end) = writer();
    let trail = begin(&recorder);
    let asked = std::thread::spawn(move || trail.end(ending(), Kept::Journal));
    // A notary hears it and dies, and the next one is there before anybody looks.
    let mut question = [0; 64];
    while rustix::net::recv(&end.acks, &mut question, rustix::net::RecvFlags::empty()).is_err() {
        std::thread::yield_now();
    }
    recorder.set_status(Status::Away);
    recorder.set_status(Status::Ready);
    let ended = asked.join().unwrap();
    assert!(matches!(ended, Err(AppendError::Away)), "{ended:?}");
}

#[test]
fn a_full_pipe_holds_the_writer_until_its_deadline() {
    let (recorder, end) = writer();
    let mut trail = begin_until(&recorder, Instant::now() + Duration::from_millis(100));
    let mut open = 0;
    let error = loop {
        match trail.intent(OPEN_AT, &[], &"x".repeat(800), Durability::Pipe) {
            Ok(_) => open += 1,
            Err(error) => break error,
        }
        assert!(open < 10_000, "the pipe has no end");
    };
    assert!(matches!(error, AppendError::Late), "{error}");
    // What did not fit waits, and goes in once a notary makes room.
    let dir = tempdir().unwrap();
    let notary = Running::ready(dir.path(), &[&end]);
    trail.end(ending(), Kept::Pipe).unwrap();
    drop((recorder, end));
    let folder = notary.ended();
    verified(&folder);
    assert_eq!(report(&folder).count(Kind::Intent), open + 1);
}

#[test]
fn a_notary_goes_on_where_another_one_was_cut_off() {
    // Wherever `splice` was cut off: the supervisor of the bytes is in the journal, the rest in the pipe.
    let dir = tempdir().unwrap();
    let (recorder, end) = writer();
    let notary = Running::ready(dir.path(), &[]);
    let folder = notary.ended();
    let before = std::fs::read(folder.join("journal")).unwrap();
    let known = report(&folder);

    let mut trail = begin(&recorder);
    let intent = trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    trail.outcome(intent, OK);
    trail.flush().unwrap();
    let mut written = vec![0; 4096];
    let count = rustix::io::read(&end.pipe, &mut written).unwrap();
    written.truncate(count);
    // Every length of the torn part modulo the frames' small numbers, without taking minutes.
    for cut in (0..count).step_by(7).chain([1, 2, 3, count - 1, count]) {
        let again = copy_of(&folder);
        std::fs::write(again.path().join("journal"), [&before, &written[..cut]].concat()).unwrap();
        // It was killed: the one before it closed the ledger.
        ledgers::remember(again.path(), known.size, known.root, "open");
        let (pipe, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, &written[cut..]).unwrap();
        drop(write);
        let rest = NotaryEnds { writer: end.writer, pipe, acks: end.acks.try_clone().unwrap() };
        let notary = Running::ready(again.path(), &[&rest]);
        drop(rest);
        let folder = notary.ended();
        verified(&folder);
        let kinds = kinds(&folder);
        for kind in [Kind::Call, Kind::Intent, Kind::Outcome, Kind::Closer] {
            assert_eq!(kinds.iter().filter(|found| **found == kind).count(), 1, "cut at {cut}: {kinds:?}");
        }
    }
}

#[test]
fn a_second_notary_is_refused_with_the_pid_of_the_first() {
    let dir = tempdir().unwrap();
    let first = Running::ready(dir.path(), &[]);
    let second = Running::start(dir.path(), &[]);
    let FromNotary::Unusable { message, .. } = second.hear() else { panic!("opened twice") };
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    assert!(matches!(second.thread.join().unwrap(), Err(NotaryError::Open { .. })));
    first.ended();
}

/// A copy of a ledger with what stands beside it.
fn copy_of(folder: &Path) -> Folder {
    let copy = tempdir().unwrap();
    for (name, bytes) in ledgers::files(folder) {
        let path = copy.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for beside in ["key", "state"] {
        let to = copy.path().with_extension(beside);
        std::fs::copy(folder.with_extension(beside), to).unwrap();
    }
    copy
}

/// A writer that writes what it likes.
fn liar() -> (WriterId, NotaryEnds, OwnedFd) {
    let (recorder, mut end) = Recorder::new().unwrap();
    let (read, write) = rustix::pipe::pipe().unwrap();
    end.pipe = read;
    (recorder.writer(), end, write)
}

#[test]
fn a_call_that_waits_for_room_holds_up_no_other() {
    let (recorder, end) = writer();
    let fill = |trail: &mut CallTrail| {
        while trail.intent(OPEN_AT, &[], &"x".repeat(800), Durability::Pipe).is_ok() {}
    };
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| fill(&mut begin_until(&recorder, Instant::now() + FAR)));
        // Comes back although the other one waits for an hour.
        fill(&mut begin_until(&recorder, Instant::now() + Duration::from_millis(100)));
        assert!(!patient.is_finished());
        recorder.close();
    });
    drop(end);
}

#[test]
fn a_call_that_ended_under_an_earlier_notary_cannot_come_again() {
    let dir = tempdir().unwrap();
    let (liar, end, pipe) = liar();
    let call = CallId::new(1, liar, 0);
    let whole = |call| {
        let start = Entry::Call(entries::call(call)).encode();
        let mut tree = tollgate_audit::Frontier::new();
        tree.append(start.leaf());
        let end = Entry::CallEnd(entries::call_end(call, tree.root())).encode();
        [frame(start.as_bytes()), frame(end.as_bytes())].concat()
    };
    let first = Running::ready(dir.path(), &[&end]);
    rustix::io::write(&pipe, &whole(call)).unwrap();
    // The notary goes, as if it had died; its writer stays.
    drop(first.supervisor);
    drop(pipe);
    first.thread.join().unwrap().unwrap();
    drop(end);

    let (pipe, write) = rustix::pipe::pipe().unwrap();
    let (_, other) = Recorder::new().unwrap();
    let again = NotaryEnds { writer: liar, pipe, acks: other.acks };
    let second = Running::ready(dir.path(), &[&again]);
    rustix::io::write(&write, &whole(call)).unwrap();
    let FromNotary::Condemned { fault, .. } = second.hear() else { panic!("the call comes again") };
    assert!(fault.contains("a second time"), "{fault}");
    drop((write, again));
    verified(&second.ended());
}
