//! A notary that several supervisors share: each records by itself, none reaches another's writers, and what one of them says or fails
//! to do ends neither the notary nor the record of others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

use std::os::fd::AsFd as _;
use std::path::Path;

use tollgate_audit::lock::{Holder, holder};
use tollgate_audit::{CallId, Entry, Kept, TreeSize, WriterId};
use tollgate_ipc::Channel;
use tollgate_notary::{FromNotary, Lease, Notary, NotaryOf, ToNotary, WriterEnding, WriterKind};
use tollgate_testing::calls::ending;
use tollgate_testing::entries::ORIGIN;
use tollgate_testing::ledgers::tempdir;
use tollgate_testing::notary::{Running, Writer, reasons, record_call, tell_writer, tell_writer_in, verified};
use tollgate_testing::{entries, ledgers};

/// The channel of a supervisor that borrows the notary and has not said anything.
fn lend(notary: &Running, number: u32) -> Channel {
    let (borrower, theirs) = Channel::pair().unwrap();
    notary.supervisor.send_with(&ToNotary::Supervisor { number }, &[theirs.as_fd()]).unwrap();
    borrower
}

/// The channel of one that the notary serves.
fn borrow(notary: &Running, number: u32) -> Channel {
    let borrower = lend(notary, number);
    borrower.say_hello().unwrap();
    borrower.send(&ToNotary::Start { answers: None }).unwrap();
    assert!(matches!(hear(&borrower), FromNotary::Ready { process, .. } if process == std::process::id()));
    borrower
}

fn hear(channel: &Channel) -> FromNotary {
    channel.receive().unwrap().unwrap().0
}

/// The channel is closed, after what was said on it before.
fn is_closed(channel: &Channel) {
    while let Some((said, _)) = channel.receive::<FromNotary>().unwrap() {
        assert!(matches!(said, FromNotary::Located { .. }), "{said:?}");
    }
    assert!(channel.send(&ToNotary::Leave).is_err_and(|error| error.is_gone()));
}

fn locate(channel: &Channel, call: CallId) -> bool {
    channel.send(&ToNotary::Locate { call }).unwrap();
    let FromNotary::Located { index, is_on_record } = hear(channel) else { panic!("no answer") };
    assert!(is_on_record || index.is_none());
    is_on_record
}

#[test]
fn two_supervisors_record_at_once_and_the_notary_outlives_the_one_that_started_it() {
    let dir = tempdir().unwrap();
    let (one, two) = (Writer::new(), Writer::new());
    let socket = Path::new("/run/tollgate/operator");
    let of_daemon = Holder { pid: 4_000_000, daemon: Some(socket.to_owned()) };
    let (supervisor, theirs) = Channel::pair().unwrap();
    supervisor.say_hello().unwrap();
    tell_writer(&supervisor, &one.end);
    supervisor.send(&ToNotary::Start { answers: None }).unwrap();
    let (folder, lock) = (dir.path().to_owned(), of_daemon.clone());
    let thread = std::thread::spawn(move || {
        let (origin, holder) = (Some(ORIGIN), Some(&lock));
        let of = NotaryOf { folder: &folder, origin, software: "tollgate test", now_ns: 1, holder };
        Notary::open(of, theirs)?.serve()
    });
    let notary = Running { folder: dir.path().to_owned(), supervisor, thread };
    notary.is_ready();
    assert_eq!(holder(dir.path()), Some(of_daemon), "whom to ask");
    let borrower = borrow(&notary, 1);
    tell_writer(&borrower, &two.end);
    std::thread::scope(|scope| {
        for recorder in [&one.recorder, &two.recorder] {
            scope.spawn(move || {
                for _call in 0..50 {
                    record_call(recorder, Kept::Journal);
                }
            });
        }
    });
    let (open, running) = (one.begin().call(), two.begin());
    // As where a daemon is killed, with all that it has: its call is closed, and the other one goes on.
    let Running { folder, supervisor, thread } = notary;
    drop((supervisor, one));
    let call = running.end(ending(), Kept::Disk).unwrap().call;
    record_call(&two.recorder, Kept::Disk);
    assert!(locate(&borrower, call));
    assert_eq!(holder(&folder), Some(Holder { pid: std::process::id(), daemon: None }), "the daemon is gone");
    let writer = two.id();
    drop(two);
    assert_eq!(hear(&borrower), FromNotary::Over { writer, ending: WriterEnding::Closed });
    borrower.send(&ToNotary::Leave).unwrap();
    let FromNotary::Left { covers: Ok(covers) } = hear(&borrower) else { panic!("not on disk") };
    is_closed(&borrower);
    thread.join().unwrap().unwrap();
    assert_eq!(reasons(&folder).into_keys().collect::<Vec<_>>(), [open]);
    assert_eq!(verified(&folder), covers);
    assert_eq!(covers, TreeSize(1 + 100 * 4 + 3 + 1 + 2 * 4));
}

#[test]
fn a_supervisor_that_leaves_hears_that_all_is_on_disk_and_others_go_on() {
    let dir = tempdir().unwrap();
    let (one, two) = (Writer::new(), Writer::new());
    let notary = Running::ready(dir.path(), &[&one.end]);
    let borrower = borrow(&notary, 1);
    tell_writer(&borrower, &two.end);
    let (open, running) = (two.begin().call(), one.begin());
    // Its call is not over when it leaves.
    borrower.send(&ToNotary::Leave).unwrap();
    assert!(locate(&borrower, open), "it is still heard");
    let writer = two.id();
    drop(two);
    assert_eq!(hear(&borrower), FromNotary::Over { writer, ending: WriterEnding::Closed });
    assert_eq!(hear(&borrower), FromNotary::Left { covers: Ok(TreeSize(1 + 3 + 3 + 1)) });
    is_closed(&borrower);
    assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 1 });
    running.end(ending(), Kept::Disk).unwrap();
    drop(one);
    let folder = notary.ended();
    assert_eq!(reasons(&folder).into_keys().collect::<Vec<_>>(), [open]);
    verified(&folder);
}

/// What a supervisor may not say, with its own writer and that of another.
fn abuses(own: &Writer, other: &Writer) -> Vec<(&'static str, ToNotary, bool)> {
    let stolen = Lease::own(other.id());
    let new = WriterId([0xee; 6]);
    let writer = |writer, calls| ToNotary::Writer { writer, kind: WriterKind::Worker, calls, process: None };
    let how = "by somebody else".to_owned();
    vec![
        ("another supervisor's", ToNotary::Lease { writer: other.id(), calls: Lease::own(own.id()) }, false),
        ("another supervisor's", ToNotary::Ended { writer: other.id(), how }, false),
        ("another supervisor's", writer(other.id(), vec![Lease::own(own.id())]), true),
        ("another supervisor's to give", writer(new, vec![stolen]), true),
        ("another supervisor's to give", ToNotary::Lease { writer: own.id(), calls: stolen }, false),
        ("another supervisor's to give", ToNotary::Lease { writer: new, calls: stolen }, false),
        ("not its to bring", ToNotary::Supervisor { number: 9 }, false),
        ("without its two descriptors", writer(new, Vec::new()), false),
    ]
}

#[test]
fn one_that_says_what_it_may_not_is_closed_alone() {
    let count = abuses(&Writer::new(), &Writer::new()).len();
    // Against the first supervisor and against another borrowed one.
    for (case, is_first) in (0..count).flat_map(|case| [(case, true), (case, false)]) {
        let dir = tempdir().unwrap();
        let [first, second, own] = [(); 3].map(|()| Writer::new());
        let notary = Running::ready(dir.path(), &[&first.end]);
        let (good, bad) = (borrow(&notary, 1), borrow(&notary, 2));
        tell_writer(&good, &second.end);
        tell_writer(&bad, &own.end);
        let (of_first, of_second, of_bad) = (first.begin(), second.begin(), own.begin().call());
        assert!(locate(&bad, of_bad) && locate(&good, of_second.call()));
        let other = if is_first { &first } else { &second };
        let (expected, say, has_ends) = abuses(&own, other).swap_remove(case);
        let ends = [own.end.pipe.as_fd(), own.end.acks.as_fd()];
        bad.send_with(&say, if has_ends { &ends } else { &[] }).unwrap();
        is_closed(&bad);
        assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 2 });
        for trail in [of_first, of_second] {
            trail.end(ending(), Kept::Disk).unwrap();
        }
        for other in [&first, &second] {
            record_call(&other.recorder, Kept::Journal);
        }
        drop((good, bad, first, second, own));
        let folder = notary.ended();
        let closed = reasons(&folder);
        let reason = &closed[&of_bad];
        assert!(reason.starts_with("its supervisor made no sense: ") && reason.contains(expected), "{reason}");
        assert_eq!(closed.len(), 1, "{expected}");
        assert_eq!(verified(&folder), TreeSize(1 + 4 * 4 + 3 + 1), "{expected}");
    }
}

#[test]
fn what_is_no_message_or_no_pipe_closes_one_alone() {
    let says: [&dyn Fn(&Channel); 4] = [
        &|bad| bad.send(&"garbage").unwrap(),
        &|bad| bad.send(&serde_json::json!({ "protocol": 99 })).unwrap(),
        &|bad| bad.send(&serde_json::json!({ "say": "start", "answers": null, "more": 1 })).unwrap(),
        &|bad| {
            let own = Writer::new();
            // A pipe's end to write into, of which nobody could tell when its writers are gone.
            let pipe = own.recorder.pipe().unwrap();
            let calls = vec![Lease::own(own.id())];
            let say = ToNotary::Writer { writer: own.id(), kind: WriterKind::Worker, calls, process: None };
            bad.send_with(&say, &[pipe.as_fd(), own.end.acks.as_fd()]).unwrap();
        },
    ];
    for say in says {
        let dir = tempdir().unwrap();
        let first = Writer::new();
        let notary = Running::ready(dir.path(), &[&first.end]);
        let bad = borrow(&notary, 1);
        say(&bad);
        is_closed(&bad);
        assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 1 });
        record_call(&first.recorder, Kept::Journal);
        drop(first);
        assert_eq!(verified(&notary.ended()), TreeSize(5));
    }
}

#[test]
fn calls_of_others_are_located_by_nobody() {
    let dir = tempdir().unwrap();
    let (one, two) = (Writer::new(), Writer::new());
    let notary = Running::ready(dir.path(), &[&one.end]);
    let borrower = borrow(&notary, 1);
    tell_writer(&borrower, &two.end);
    let ended = [&one, &two].map(|own| record_call(&own.recorder, Kept::Journal));
    let running = [&one, &two].map(Writer::begin);
    for (channel, own) in [(&notary.supervisor, 0), (&borrower, 1)] {
        for calls in [ended, [running[0].call(), running[1].call()]] {
            assert!(locate(channel, calls[own]), "its own");
            assert!(!locate(channel, calls[1 - own]), "another one's");
        }
    }
    drop((running, one, two, borrower));
    verified(&notary.ended());
}

#[test]
fn one_supervisor_too_many_is_hung_up_on() {
    let dir = tempdir().unwrap();
    let first = Writer::new();
    let notary = Running::ready(dir.path(), &[&first.end]);
    let mut borrowers: Vec<_> = (1..64).map(|number| borrow(&notary, number)).collect();
    is_closed(&lend(&notary, 64));
    assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 64 });
    drop(borrowers.swap_remove(0));
    assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 1 });
    borrowers.push(borrow(&notary, 65));
    record_call(&first.recorder, Kept::Journal);
    drop((first, borrowers));
    verified(&notary.ended());
}

#[test]
fn one_that_asks_and_does_not_read_is_hung_up_on_and_its_calls_are_recorded() {
    let dir = tempdir().unwrap();
    let (one, two) = (Writer::new(), Writer::new());
    let notary = Running::ready(dir.path(), &[&one.end]);
    let borrower = borrow(&notary, 1);
    tell_writer(&borrower, &two.end);
    let running = two.begin();
    while borrower.send(&ToNotary::Locate { call: running.call() }).is_ok() {}
    assert_eq!(notary.hear(), FromNotary::SupervisorGone { number: 1 });
    is_closed(&borrower);
    running.end(ending(), Kept::Journal).unwrap();
    record_call(&one.recorder, Kept::Journal);
    drop((one, two));
    let folder = notary.ended();
    assert!(reasons(&folder).is_empty());
    assert_eq!(verified(&folder), TreeSize(1 + 2 * 4));
}

/// The end of a notary's channel to a borrowed supervisor that an earlier notary served, handed to the next one.
fn hand_over(supervisor: &Channel, number: u32) -> Channel {
    let (borrower, theirs) = Channel::pair().unwrap();
    supervisor.send_with(&ToNotary::Supervisor { number }, &[theirs.as_fd()]).unwrap();
    borrower
}

#[test]
fn a_supervisor_that_never_tells_anew_is_given_up() {
    let dir = tempdir().unwrap();
    let one = Writer::new();
    let mut silent = Vec::new();
    let notary = Running::start_after(dir.path(), |supervisor| {
        silent.extend([7, 8].map(|number| hand_over(supervisor, number)));
        tell_writer(supervisor, &one.end);
        // One that talks without end is not waited for longer.
        silent[1].say_hello().unwrap();
        silent[1].send(&ToNotary::Start { answers: None }).unwrap();
    });
    notary.is_ready();
    for (channel, number) in silent.iter().zip([7, 8]) {
        assert!(matches!(hear(channel), FromNotary::Retell { .. }));
        is_closed(channel);
        assert_eq!(notary.hear(), FromNotary::SupervisorGone { number });
    }
    record_call(&one.recorder, Kept::Journal);
    drop(one);
    assert_eq!(verified(&notary.ended()), TreeSize(5));
}

/// What the notary before had not read comes first: a rest of a telling, its start, a question.
#[test]
fn what_is_told_twice_counts_once_and_a_rest_of_a_telling_is_none() {
    let dir = tempdir().unwrap();
    let [one, two, three] = [(); 3].map(|()| Writer::new());
    let running = [&one, &two, &three].map(Writer::begin);
    let mut borrower = None;
    let notary = Running::start_after(dir.path(), |supervisor| {
        let channel = hand_over(supervisor, 7);
        tell_writer(&channel, &two.end);
        channel.send(&ToNotary::Lease { writer: two.id(), calls: Lease::own(two.id()) }).unwrap();
        channel.send(&ToNotary::Start { answers: Some(1) }).unwrap();
        channel.send(&ToNotary::Locate { call: running[1].call() }).unwrap();
        borrower = Some(channel);
        tell_writer(supervisor, &one.end);
    });
    let borrower = borrower.unwrap();
    let FromNotary::Retell { token } = hear(&borrower) else { panic!("not asked") };
    borrower.say_hello().unwrap();
    tell_writer(&borrower, &two.end);
    tell_writer_in(&borrower, &three.end, Some(4_000_000));
    borrower.send(&ToNotary::Start { answers: Some(token) }).unwrap();
    notary.is_ready();
    assert!(matches!(hear(&borrower), FromNotary::Ready { .. }), "and no answer");
    for trail in running {
        trail.end(ending(), Kept::Disk).unwrap();
    }
    for own in [&one, &two, &three] {
        record_call(&own.recorder, Kept::Journal);
    }
    // No call of its own comes a second time, by whichever telling it was leased.
    let again = Entry::Call(entries::call(CallId::new(1, two.id(), 0))).encode();
    rustix::io::write(two.recorder.pipe().unwrap(), &ledgers::frame(again.as_bytes())).unwrap();
    let FromNotary::Condemned { writer, fault } = hear(&borrower) else { panic!("a call twice passes") };
    assert!(writer == two.id() && fault.contains("a second time"), "{fault}");
    drop((one, two, three, borrower));
    let folder = notary.ended();
    assert!(reasons(&folder).is_empty());
    assert_eq!(verified(&folder), TreeSize(1 + 6 * 4));
}
