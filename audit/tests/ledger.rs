//! The ledger in its folder: recording, verifying, recovering, refusing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tollgate_audit::{
    Action, AppendError, CallId, Durability, Entry, Expected, Kept, Kind, Layer, LeafIndex, Problem, RoomFor, RootHash,
    Sequence, TreeSize, VerifyOptions, read, verify, verify_with,
};
use tollgate_ledger::{Ledger, OpenError, store_set};
use tollgate_notary::{CallStart, CallTrail, DenialRef, FactRef, Room};
use tollgate_testing::calls::{DENIAL, OK, begin, ending, open, record_call, start};
use tollgate_testing::entries::{OPEN_AT, ORIGIN};
use tollgate_testing::ledgers::{forget_checkpoint, report, tempdir};
use tollgate_testing::{entries, ledgers};

#[test]
fn a_recorded_call_verifies() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let summary = record_call(&ledger, 1);
    assert_eq!(summary.entries, 5);
    record_call(&ledger, 2);

    let live = report(dir.path());
    assert!(live.is_clean(), "{:?}", live.findings);
    assert_eq!((live.size, live.root), (ledger.size(), ledger.root()));
    assert_eq!(live.checkpoint, None);
    drop(ledger);

    let closed = report(dir.path());
    assert_eq!(closed.checkpoint.as_ref().map(|known| known.root), Some(live.root));
    assert_eq!(closed.origin.as_deref(), Some(ORIGIN));
    assert_eq!(closed.count(Kind::CallEnd), 2);
    assert_eq!(closed.count(Kind::Intent), 4);
    assert_eq!(closed.open_calls, []);
}

#[test]
fn entries_are_shown_in_order() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let summary = record_call(&ledger, 1);
    let entries: Vec<_> = read(dir.path()).unwrap().map(Result::unwrap).collect();
    let kinds: Vec<_> = entries.iter().map(|(_, entry)| entry.kind().as_str()).collect();
    assert_eq!(kinds, ["ledger-opened", "call", "intent", "intent", "violation", "outcome", "call-end"]);
    let json = entries[6].1.to_json();
    assert_eq!(json["kind"], "call-end");
    assert_eq!(json["root"], summary.root.to_string());
    assert_eq!(json["counters"]["wasi:clocks/wall-clock.now"], 1);
    assert_eq!(entries[2].1.to_json()["facts"]["path"], "/docs/report.txt");
}

#[test]
fn an_intent_is_in_the_journal_when_it_is_acknowledged() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin(&ledger, 1);
    assert_eq!(ledger.size(), TreeSize(1), "the call waits for its first intent");
    let intent = trail.intent(OPEN_AT, &[("path", FactRef::Text("/a"))], "fs", Durability::Disk).unwrap();
    assert_eq!(report(dir.path()).count(Kind::Intent), 1);
    assert_eq!(trail.open_intents(), [intent]);

    trail.outcome(intent, OK);
    trail.outcome(intent, OK);
    assert_eq!(report(dir.path()).count(Kind::Outcome), 0, "outcomes wait");
    trail.flush().unwrap();
    assert_eq!(report(dir.path()).count(Kind::Outcome), 1, "the first one stands");
    trail.end(ending(), Kept::Journal).unwrap();
    assert!(report(dir.path()).is_clean());
}

#[test]
fn the_kernels_refusal_closes_an_allowed_intent() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin(&ledger, 1);
    let intent = trail.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap();
    let denial = DenialRef { layer: Layer::Kernel, action: Action::Kill, ..DENIAL };
    trail.violated(intent, OPEN_AT, denial).unwrap();
    assert!(matches!(trail.violated(intent, OPEN_AT, denial), Err(AppendError::NotOpen { intent: Sequence(1) })));
    trail.end(ending(), Kept::Journal).unwrap();
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[test]
fn the_end_of_a_call_abandons_its_open_intents() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin(&ledger, 1);
    let left: Vec<_> = (0..100).map(|_| trail.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap()).collect();
    trail.outcome(left[50], OK);
    trail.end(ending(), Kept::Journal).unwrap();
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
    let abandoned = read(dir.path())
        .unwrap()
        .map(Result::unwrap)
        .filter(|(_, entry)| matches!(entry, Entry::Outcome(outcome) if outcome.result == "abandoned"));
    assert_eq!(abandoned.count(), 99);
}

#[test]
fn waiting_outcomes_are_bounded() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin(&ledger, 1);
    let intents: Vec<_> = (0..200).map(|_| trail.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap()).collect();
    intents.into_iter().for_each(|intent| trail.outcome(intent, OK));
    assert!(report(dir.path()).count(Kind::Outcome) >= 128);
}

const READ: &str = "fs:/docs:read";
const PATH: [(&str, FactRef<'_>); 1] = [("path", FactRef::Text("/docs/report.txt"))];

fn begin_with(ledger: &Arc<Ledger>, room: Room) -> CallTrail {
    CallTrail::begin(ledger.clone(), CallStart { room, ..start(CallId([1; 16])) })
}

/// Bytes that the entries of a call take in the journal, without those that begin and end it.
fn bytes_between(dir: &Path) -> u64 {
    let inner = |entry: &Entry<'_>| matches!(entry.kind(), Kind::Intent | Kind::Outcome | Kind::Violation);
    let entries = read(dir).unwrap().map(|entry| entry.unwrap().1).filter(inner);
    entries.map(|entry| entry.encode().as_bytes().len() as u64 + 6).sum()
}

#[test]
fn a_call_adds_no_more_entries_than_it_has_room_for() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin_with(&ledger, Room { entries: 5, bytes: 1 << 20 });
    let intent = trail.intent(OPEN_AT, &PATH, READ, Durability::Pipe).unwrap();
    trail.denied(OPEN_AT, &PATH, DENIAL).unwrap();
    for _again in 0..3 {
        let full = trail.intent(OPEN_AT, &PATH, READ, Durability::Pipe).unwrap_err();
        assert!(matches!(full, AppendError::CallFull { of: RoomFor::Entries, asked: 2, left: 1 }), "{full:?}");
        assert!(trail.denied(OPEN_AT, &PATH, DENIAL).is_err());
    }
    trail.outcome(intent, OK);
    let summary = trail.end(ending(), Kept::Journal).unwrap();
    assert_eq!(summary.entries, 5, "the start, and two for each call");
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.count(Kind::CallEnd), 1, "the end is recorded, whatever room there is");
}

#[test]
fn a_call_adds_no_more_bytes_than_it_has_room_for() {
    let bytes = 10_000;
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin_with(&ledger, Room { entries: 1000, bytes });
    let long = "x".repeat(500);
    let path = [("path", FactRef::Text(&long))];
    let mut denied = 0;
    let full = loop {
        match trail.denied(OPEN_AT, &path, DENIAL) {
            Ok(()) => denied += 1,
            Err(full) => break full,
        }
    };
    assert!(matches!(full, AppendError::CallFull { of: RoomFor::Bytes, asked, left } if asked > left), "{full:?}");
    trail.end(ending(), Kept::Journal).unwrap();
    let taken = bytes_between(dir.path());
    assert!(denied > 5 && taken <= bytes && taken > bytes - 2000, "{denied} denials with {taken} bytes");
    assert!(report(dir.path()).is_clean());
}

/// An intent that is open has taken the room for whatever closes it: an end as long as an entry can be.
#[test]
fn what_was_allowed_can_be_closed_when_there_is_no_room_left() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let bytes = 8000;
    let mut trail = begin_with(&ledger, Room { entries: 1000, bytes });
    let mut open = Vec::new();
    while let Ok(intent) = trail.intent(OPEN_AT, &PATH, READ, Durability::Pipe) {
        open.push(intent);
    }
    assert_eq!(open.len(), 2, "each has three KiB for its end");
    let long = "x".repeat(5000);
    let denial = DenialRef { rule: &long, message: &long, ..DENIAL };
    trail.violated(open[0], &long, denial).unwrap();
    trail.violated(open[1], &long, denial).unwrap();
    trail.end(ending(), Kept::Journal).unwrap();
    assert!(bytes_between(dir.path()) <= bytes, "{}", bytes_between(dir.path()));
    assert!(report(dir.path()).is_clean());
}

#[test]
fn an_outcome_gives_back_what_it_does_not_take() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let bytes = 20_000;
    let mut trail = begin_with(&ledger, Room { entries: 1000, bytes });
    let mut done = 0;
    while let Ok(intent) = trail.intent(OPEN_AT, &PATH, READ, Durability::Pipe) {
        trail.outcome(intent, OK);
        done += 1;
    }
    trail.end(ending(), Kept::Journal).unwrap();
    let taken = bytes_between(dir.path());
    assert!(done > 40 && taken <= bytes && taken > bytes - 4000, "{done} calls with {taken} bytes");
}

#[test]
fn calls_interleave() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    std::thread::scope(|scope| {
        for id in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || (0..20).for_each(|n| assert_eq!(record_call(ledger, id * 20 + n).entries, 5)));
        }
        (0..5).for_each(|_| drop(ledger.checkpoint().unwrap()));
    });
    let report = report(dir.path());
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.count(Kind::CallEnd), 80);
}

#[test]
fn a_dropped_call_is_closed_at_the_next_open() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut dropped = begin(&ledger, 1);
    let closed = dropped.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap();
    let _left = dropped.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap();
    dropped.outcome(closed, OK);
    drop(dropped);
    record_call(&ledger, 2);
    drop(ledger);
    let before = report(dir.path());
    assert_eq!(before.open_calls, [CallId([1; 16])]);
    assert!(before.is_clean());

    let ledger = open(dir.path());
    assert_eq!(ledger.recovery().closed_calls, [CallId([1; 16])]);
    let after = report(dir.path());
    assert!(after.is_clean(), "{:?}", after.findings);
    assert_eq!((after.open_calls.len(), after.count(Kind::Closer)), (0, 1));
    let (_, last) = read(dir.path()).unwrap().last().unwrap().unwrap();
    let Entry::Closer(closer) = last else { panic!("the last entry is no closer") };
    assert_eq!(closer.of, [Sequence(2)]);
    drop(ledger);

    open(dir.path());
    assert_eq!(report(dir.path()).count(Kind::Closer), 1, "closed once");
}

#[test]
fn a_second_opener_learns_who_holds_the_ledger() {
    let dir = tempdir().unwrap();
    let _ledger = open(dir.path());
    let second = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1);
    let pid = std::process::id();
    assert!(matches!(second, Err(OpenError::InUse { pid: Some(found) }) if found == pid));
}

#[test]
fn the_folder_is_its_owners_alone() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("new");
    drop(open(&dir));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in ["journal", "lock", "checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    for file in ["key", "state"] {
        assert_eq!(mode(&dir.with_extension(file)), 0o600, "{file}");
    }
}

#[test]
fn another_origin_is_refused() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let other = Ledger::open(dir.path(), "example.com/other", "tollgate test", 1);
    assert!(matches!(other, Err(OpenError::OtherOrigin { .. })));
    let none = Ledger::open(dir.path(), "two words", "tollgate test", 1);
    assert!(matches!(none, Err(OpenError::BadOrigin { .. })));
}

/// Without a checkpoint, as after a kill: whole frames stay, the torn one goes.
#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    forget_checkpoint(dir.path());
    let whole = journal(dir.path());
    let starts = frame_starts(&whole);
    let (last, before) = (starts[starts.len() - 1], starts[starts.len() - 2]);
    for length in before..whole.len() {
        fs::write(dir.path().join("journal"), &whole[..length]).unwrap();
        let kept = starts.iter().filter(|start| **start <= length).count() - 1;
        let torn = length - starts[kept];
        let found = report(dir.path());
        assert_eq!((found.size, found.is_clean()), (TreeSize(kept as u64), torn == 0));

        let ledger = open(dir.path());
        assert_eq!(ledger.recovery().torn_bytes, torn as u64);
        assert_eq!(ledger.recovery().closed_calls.len(), 1);
        drop(ledger);
        assert_eq!(journal(dir.path())[..starts[kept]], whole[..starts[kept]]);
        let mended = report(dir.path());
        assert!(mended.is_clean(), "{length}: {:?}", mended.findings);
        forget_checkpoint(dir.path());
    }
    assert!(last > before);
}

#[test]
fn data_behind_the_checkpoint_is_refused() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    let whole = journal(dir.path());
    let starts = frame_starts(&whole);
    for length in [0, starts[1], starts[3], starts[3] + 5, whole.len() - 1] {
        fs::write(dir.path().join("journal"), &whole[..length]).unwrap();
        let error = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1).unwrap_err();
        assert!(matches!(error, OpenError::DataLost { known: TreeSize(7), .. }), "{error}");
        assert_eq!(journal(dir.path()).len(), length, "what is left is not touched");
        let findings = report(dir.path()).findings;
        let lost = Problem::EntriesLost { size: TreeSize(7) };
        assert!(findings.iter().any(|finding| finding.problem == lost));
    }
}

/// A forger who recomputes the frame's check is still found out by the checkpoint.
#[test]
fn data_other_than_the_checkpoints_is_refused() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    let whole = journal(dir.path());
    let changed = reframed(&whole, 2, |entry| {
        let at = entry.windows(6).position(|window| window == b"report").unwrap();
        entry[at] = b'R';
    });
    fs::write(dir.path().join("journal"), changed).unwrap();
    let error = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1).unwrap_err();
    assert!(matches!(error, OpenError::DataChanged { size: TreeSize(7), .. }), "{error}");
    let problems: Vec<_> = report(dir.path()).findings.into_iter().map(|finding| finding.problem).collect();
    assert!(matches!(problems[0], Problem::CallRoot { .. }));
    assert!(problems.iter().any(|problem| matches!(problem, Problem::EntriesChanged { size: TreeSize(7), .. })));
}

#[test]
fn corruption_before_the_end_is_refused_with_its_place() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    forget_checkpoint(dir.path());
    let whole = journal(dir.path());
    let start = frame_starts(&whole)[3];
    for (at, to) in [(start + 9, 0xff), (start, 0x0b), (start + 1, 0xff), (start, 0xff)] {
        let mut changed = whole.clone();
        changed[at] = to;
        fs::write(dir.path().join("journal"), changed).unwrap();
        let error = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1).unwrap_err();
        let OpenError::Corrupt(corrupt) = error else { panic!("{error}") };
        assert_eq!((corrupt.index, corrupt.offset), (LeafIndex(3), start as u64));
    }
}

#[test]
fn a_frame_of_something_else_is_refused() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    forget_checkpoint(dir.path());
    let changed = reframed(&journal(dir.path()), 3, |entry| entry[2] = 9);
    fs::write(dir.path().join("journal"), changed).unwrap();
    let error = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1).unwrap_err();
    assert!(matches!(error, OpenError::NotAnEntry { index: LeafIndex(3), .. }), "{error}");
}

#[test]
fn a_malformed_checkpoint_is_refused() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    fs::write(dir.path().join("checkpoint"), "nothing\n").unwrap();
    let error = Ledger::open(dir.path(), ORIGIN, "tollgate test", 1).unwrap_err();
    assert!(matches!(error, OpenError::Checkpoint(_)), "{error}");
    let findings = report(dir.path()).findings;
    assert!(matches!(findings[0].problem, Problem::CheckpointMalformed { .. }));
}

#[test]
fn every_changed_byte_is_found() {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    for checkpoint in [true, false] {
        let whole = journal(dir.path());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(dir.path().join("journal"), changed).unwrap();
            let report = report(dir.path());
            assert!(!report.is_clean(), "byte {at}, checkpoint: {checkpoint}");
            let starts = frame_starts(&whole);
            let frame = starts.iter().rposition(|start| *start <= at).unwrap();
            assert_eq!(report.findings[0].index, LeafIndex(frame as u64));
            assert_eq!(report.findings[0].offset, starts[frame] as u64);
        }
        fs::write(dir.path().join("journal"), whole).unwrap();
        assert!(report(dir.path()).is_clean());
        if checkpoint {
            forget_checkpoint(dir.path());
        }
    }
}

/// In the journal by frame, in tiles by file and offset, in checkpoint and lock by file.
#[test]
fn every_changed_byte_of_every_file_is_found_and_named() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    record_call(&ledger, 1);
    ledger.checkpoint().unwrap();
    ledger.append(&vec![entries::policy(); 260]).unwrap();
    store_set(dir.path(), r#"{"tool":"word-count"}"#).unwrap();
    drop(ledger);
    fs::write(dir.path().join("lock"), "").unwrap();
    let files = ledgers::files(dir.path());
    assert_eq!(files.len(), 2 + 4 + 1 + 2, "journal, checkpoint, full, partial and older tiles, set, lock: {files:?}");
    for (name, whole) in files {
        let stride = if whole.len() > 1000 { whole.len() / 40 } else { 7 };
        for at in (0..whole.len()).step_by(stride) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(dir.path().join(&name), changed).unwrap();
            let report = report(dir.path());
            let first = report.findings.first().unwrap_or_else(|| panic!("{name}, byte {at}"));
            assert_eq!(first.file, name, "byte {at}: {first}");
            if name.starts_with("tile/") {
                assert_eq!((first.offset, &first.problem), (at as u64, &Problem::FileDiffers), "{name}");
            }
        }
        fs::write(dir.path().join(&name), whole).unwrap();
        assert!(report(dir.path()).is_clean());
    }
}

/// What comes after it is not known, so nothing is said of it; what comes before is judged.
#[test]
fn a_corrupt_frame_is_the_one_finding() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![entries::policy(); 399]).unwrap();
    ledger.checkpoint().unwrap();
    ledger.rotate_key(2).unwrap();
    ledger.append(&vec![entries::policy(); 200]).unwrap();
    drop(ledger);
    let options = VerifyOptions { key: report(dir.path()).signed_by, expected: None };
    let findings = || verify_with(dir.path(), &options).unwrap().findings;
    assert_eq!(findings(), []);
    let whole = journal(dir.path());
    let starts = frame_starts(&whole);
    for index in [0, 1, 100, 256, 300, 399, 400, 401, 511, 512, 598] {
        let mut changed = whole.clone();
        changed[starts[index] + 9] ^= 1;
        fs::write(dir.path().join("journal"), changed).unwrap();
        let found: Vec<_> = findings().into_iter().map(|finding| (finding.index.0, finding.problem)).collect();
        assert_eq!(found, [(index as u64, Problem::CorruptFrame)]);
    }
    let tile = dir.path().join("tile/entries/001");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[10] ^= 1;
    fs::write(tile, bytes).unwrap();
    fs::remove_file(dir.path().join("tile/0/000")).unwrap();
    let found: Vec<_> = findings().into_iter().map(|finding| (finding.file, finding.problem)).collect();
    let expected = [
        ("journal", Problem::CorruptFrame),
        ("tile/0/000", Problem::FileMissing),
        ("tile/entries/001", Problem::FileDiffers),
    ];
    assert_eq!(found, expected.map(|(file, problem)| (file.to_owned(), problem)));
}

#[test]
fn missing_and_strange_tiles_are_found() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![entries::policy(); 299]).unwrap();
    drop(ledger);
    for name in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"] {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        let found: Vec<_> =
            report(dir.path()).findings.into_iter().map(|finding| (finding.file, finding.problem)).collect();
        assert_eq!(found, [(name.to_owned(), Problem::FileMissing)]);
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    for name in ["tile/0/002", "tile/0/001.p/45", "tile/0/x000/001", "tile/2/000", "tile/other"] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [0; 32]).unwrap();
        let found: Vec<_> =
            report(dir.path()).findings.into_iter().map(|finding| (finding.file, finding.problem)).collect();
        assert_eq!(found, [(name.to_owned(), Problem::FileUnknown)]);
        fs::remove_file(path).unwrap();
    }
    assert!(report(dir.path()).is_clean());
    fs::write(dir.path().join("notes.txt"), "?").unwrap();
    let report = report(dir.path());
    assert_eq!((report.is_clean(), report.not_covered), (true, vec!["notes.txt".to_owned()]));
}

#[test]
fn a_root_known_from_elsewhere_is_compared() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let (size, root) = (ledger.size(), ledger.root());
    record_call(&ledger, 1);
    let problems = |expected| {
        let report = verify(dir.path(), Some(expected)).unwrap();
        report.findings.into_iter().map(|finding| finding.problem).collect::<Vec<_>>()
    };
    assert_eq!(problems(Expected { root, size: Some(size) }), []);
    assert_eq!(problems(Expected { root: ledger.root(), size: None }), []);
    let lost = Problem::EntriesLost { size: TreeSize(9) };
    assert_eq!(problems(Expected { root, size: Some(TreeSize(9)) }), [lost]);
    let changed = Problem::EntriesChanged { size: TreeSize(7), known: root, found: ledger.root() };
    assert_eq!(problems(Expected { root, size: None }), [changed]);
    let zero = RootHash([0; 32]);
    assert_eq!(problems(Expected { root: zero, size: Some(size) }).len(), 1);
}

#[test]
fn shared_between_threads() {
    fn sendable<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sendable::<CallTrail>();
    shared::<Arc<Ledger>>();
}

fn journal(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("journal")).unwrap()
}

/// Where each frame starts, and the end of the last one left out.
fn frame_starts(journal: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    loop {
        let at = starts[starts.len() - 1];
        let length = usize::from(u16::from_be_bytes([journal[at], journal[at + 1]]));
        let next = at + 2 + length + 4;
        if next == journal.len() {
            return starts;
        }
        starts.push(next);
    }
}

/// The journal with one entry changed (its length kept) and its frame's check recomputed.
fn reframed(journal: &[u8], index: usize, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let starts = frame_starts(journal);
    let (start, end) = (starts[index], starts[index + 1]);
    let mut journal = journal.to_vec();
    change(&mut journal[start + 2..end - 4]);
    let check = tollgate_audit::leaf_hash(&journal[start + 2..end - 4]).0;
    journal[end - 4..end].copy_from_slice(&check[..4]);
    journal
}
