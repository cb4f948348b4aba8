//! A ledger that is not what it remembers to be is not gone on with, unless somebody says why; then that is on record.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs;
use std::path::Path;

use tollgate_audit::{Adoption, Entry, Kind, LeafIndex, TreeSize, read};
use tollgate_ledger::{Ledger, OpenError};
use tollgate_testing::calls::{open, record_call};
use tollgate_testing::entries::{ORIGIN, policy};
use tollgate_testing::ledgers::{Folder, as_left_by_a_kill, forge, report, tempdir};

const REASON: &str = "restored from last night's copy";

fn adopt(dir: &Path) -> Result<Ledger, OpenError> {
    Ledger::adopt(dir, "uid:7", REASON, "test", 9)
}

/// A closed ledger of seven entries.
fn closed() -> Folder {
    let dir = tempdir().unwrap();
    record_call(&open(dir.path()), 1);
    dir
}

fn adoption(dir: &Path, at: usize) -> Adoption<'static> {
    let (_, entry) = read(dir).unwrap().nth(at).unwrap().unwrap();
    let Entry::Adoption(adoption) = entry else { panic!("{entry:?}") };
    adoption
}

fn gone_on_with(dir: &Path, entries: u64) {
    let found = report(dir);
    assert!(found.is_clean() && found.is_complete(), "{:?}", found.findings);
    assert_eq!((found.size, found.count(Kind::Adoption)), (TreeSize(entries), 1));
    drop(open(dir));
    assert!(matches!(adopt(dir), Err(OpenError::NothingToAdopt)));
}

#[test]
fn a_key_without_its_memory_is_not_a_new_ledgers() {
    let dir = closed();
    let state = dir.path().with_extension("state");
    let known = report(dir.path());
    let missing = || Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    fs::remove_file(&state).unwrap();
    assert!(matches!(missing(), OpenError::StateMissing { .. }), "removed");
    assert!(!state.exists(), "not made in passing");
    assert!(missing().to_string().contains("ledger.state is gone, "), "{}", missing());
    fs::write(&state, "").unwrap();
    assert!(matches!(missing(), OpenError::StateMissing { is_empty: true, .. }), "emptied");
    assert!(missing().to_string().contains("ledger.state is empty, "), "{}", missing());
    fs::remove_file(&state).unwrap();
    // Not even with nothing left of the ledger but its key.
    let aside = dir.path().with_extension("aside");
    fs::rename(dir.path(), &aside).unwrap();
    assert!(matches!(missing(), OpenError::StateMissing { .. }), "with its folder");
    fs::remove_dir_all(dir.path()).unwrap();
    fs::rename(&aside, dir.path()).unwrap();
    assert_eq!(Ledger::reopen(dir.path(), "test", 1).unwrap_err().to_string(), missing().to_string());

    let adopted = adopt(dir.path()).unwrap();
    assert_eq!(adopted.origin(), ORIGIN, "the key knows it");
    drop(adopted);
    let entry = adoption(dir.path(), 7);
    assert_eq!((entry.first, entry.count, entry.known), (LeafIndex(7), 0, None));
    assert_eq!((entry.by.as_str(), entry.reason.as_str(), entry.time_ns), ("uid:7", REASON, 9));
    assert_eq!(report(dir.path()).size, TreeSize(known.size.0 + 2));
    gone_on_with(dir.path(), 9);
}

#[test]
fn a_ledger_restored_from_a_copy_is_adopted() {
    let dir = closed();
    let copy = as_left_by_a_kill(dir.path());
    record_call(&open(dir.path()), 2);
    let newest = report(dir.path());
    fs::copy(dir.path().with_extension("state"), copy.path().with_extension("state")).unwrap();

    let error = Ledger::open(copy.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::DataLost { known: TreeSize(14), found: TreeSize(7) }), "{error}");
    drop(adopt(copy.path()).unwrap());
    let entry = adoption(copy.path(), 7);
    assert_eq!((entry.first, entry.count), (LeafIndex(7), 0));
    assert_eq!(entry.known, Some((newest.size, newest.root)), "what was lost is named");
    gone_on_with(copy.path(), 9);
}

/// The copy went on elsewhere: as long as what is remembered, and something else.
#[test]
fn a_ledger_of_another_history_is_adopted() {
    let dir = closed();
    let copy = as_left_by_a_kill(dir.path());
    drop(open(copy.path()));
    record_call(&open(copy.path()), 3);
    record_call(&open(dir.path()), 2);
    fs::copy(dir.path().with_extension("state"), copy.path().with_extension("state")).unwrap();
    let error = Ledger::open(copy.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::DataChanged { size: TreeSize(14), .. }), "{error}");
    drop(adopt(copy.path()).unwrap());
    assert_eq!(adoption(copy.path(), 15).first, LeafIndex(15));
    gone_on_with(copy.path(), 17);
}

#[test]
fn forged_entries_are_adopted_as_not_proven() {
    let dir = closed();
    forge(dir.path(), &[policy(), policy()]);
    assert!(matches!(Ledger::open(dir.path(), ORIGIN, "test", 1), Err(OpenError::AddedWhileClosed { .. })));
    drop(adopt(dir.path()).unwrap());
    let entry = adoption(dir.path(), 9);
    assert_eq!((entry.first, entry.count), (LeafIndex(7), 2));
    let found = report(dir.path());
    assert_eq!(found.taken_over.len(), 1);
    assert!(found.taken_over[0].is_adoption && found.taken_over[0].count == 2);
    gone_on_with(dir.path(), 11);
}

/// A copy that was made while the ledger was in use: first of its journal, which ends within an entry, then of its checkpoint.
#[test]
fn a_copy_whose_checkpoint_is_newer_than_its_journal_is_adopted_and_none_of_it_is_proven() {
    for with_state in [true, false] {
        let dir = closed();
        let known = report(dir.path());
        let (journal, state) = (dir.path().join("journal"), dir.path().with_extension("state"));
        let whole = fs::read(&journal).unwrap();
        fs::write(&journal, &whole[..whole.len() - 9]).unwrap();
        if !with_state {
            fs::remove_file(&state).unwrap();
        }
        let checkpoint = fs::read(dir.path().join("checkpoint")).unwrap();
        // Never without an operator's word.
        Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
        Ledger::reopen(dir.path(), "test", 1).unwrap_err();
        assert_eq!(fs::read(dir.path().join("checkpoint")).unwrap(), checkpoint, "nothing was signed");
        assert_eq!((state.exists(), fs::read(&journal).unwrap().len()), (with_state, whole.len() - 9));

        let adopted = adopt(dir.path()).unwrap();
        assert!(adopted.recovery().torn_bytes > 0);
        drop(adopted);
        let entry = adoption(dir.path(), 6);
        assert_eq!((entry.first, entry.count), (LeafIndex(0), 6));
        assert_eq!(entry.known, Some((known.size, known.root)), "what was lost is named");
        let found = report(dir.path());
        assert!(found.is_clean() && found.is_complete(), "{:?}", found.findings);
        let proven = format!("{}", tollgate_audit::Answer::of_ledger(&found, None));
        let unproven = "NOT proven: who wrote the 6 entries from 0 on, and that nothing is missing behind them: an operator \
                        adopted the ledger (entry 6).\n";
        assert!(proven.contains(unproven), "{proven}");
        // The call's end was lost: a closer follows what opening wrote.
        gone_on_with(dir.path(), 9);
    }
}

/// What the folder itself contradicts, nobody's word mends.
#[test]
fn a_ledger_that_contradicts_itself_is_not_adopted() {
    let dir = closed();
    let copy = as_left_by_a_kill(dir.path());
    let (checkpoint, journal) = (dir.path().join("checkpoint"), dir.path().join("journal"));
    record_call(&open(copy.path()), 3);
    record_call(&open(dir.path()), 2);
    let (right, whole) = (fs::read(&checkpoint).unwrap(), fs::read(&journal).unwrap());
    let refused = || {
        let (signed, there) = (fs::read(&checkpoint).unwrap(), fs::read(&journal).unwrap());
        let error = adopt(dir.path()).unwrap_err();
        assert_eq!((fs::read(&checkpoint).unwrap(), fs::read(&journal).unwrap()), (signed, there), "{error}");
        error
    };
    fs::copy(copy.path().join("checkpoint"), &checkpoint).unwrap();
    assert!(
        matches!(refused(), OpenError::DataChanged { size: TreeSize(14), .. }),
        "its checkpoint is of another history"
    );
    // One that is newer must be signed all the same.
    let other = tempdir().unwrap();
    for call in 1..=3 {
        record_call(&open(other.path()), call);
    }
    fs::copy(other.path().join("checkpoint"), &checkpoint).unwrap();
    assert!(matches!(refused(), OpenError::CheckpointNotOurs), "its checkpoint is of another key");
    fs::write(&checkpoint, &right).unwrap();
    for left in [0, 9] {
        fs::write(&journal, &whole[..left]).unwrap();
        let error = refused();
        assert!(matches!(error, OpenError::DataLost { known: TreeSize(14), found: TreeSize(0) }), "{left}: {error}");
    }
}

#[test]
fn a_sound_ledger_or_one_without_its_key_is_not_adopted() {
    let dir = closed();
    assert!(matches!(adopt(dir.path()), Err(OpenError::NothingToAdopt)));
    let state = dir.path().with_extension("state");
    fs::remove_file(&state).unwrap();
    fs::rename(dir.path().with_extension("key"), dir.path().with_extension("elsewhere")).unwrap();
    assert!(matches!(adopt(dir.path()), Err(OpenError::KeyMissing { .. })));
    assert!(!state.exists(), "nor is it a new ledger then");
    let nowhere = dir.path().with_extension("nowhere");
    assert!(matches!(adopt(&nowhere), Err(OpenError::Io { .. })));
    assert!(!nowhere.exists());
}

#[test]
fn a_ledger_keeps_the_name_that_was_drawn_for_it() {
    let names = [1, 2].map(|_| {
        let dir = tempdir().unwrap();
        let opened = |origin| tollgate_notary::NotaryOf {
            folder: dir.path(),
            origin,
            software: "test",
            now_ns: 1,
            holder: None,
        };
        let by_notary = |origin| {
            let (supervisor, theirs) = tollgate_ipc::Channel::pair().unwrap();
            supervisor.say_hello().unwrap();
            supervisor.send(&tollgate_notary::ToNotary::Start { answers: None }).unwrap();
            drop(supervisor);
            tollgate_notary::Notary::open(opened(origin), theirs).and_then(tollgate_notary::Notary::serve)
        };
        by_notary(None).unwrap();
        let name = report(dir.path()).origin.unwrap();
        by_notary(None).unwrap();
        by_notary(Some(&name)).unwrap();
        assert!(by_notary(Some("example.com/other")).is_err());
        assert_eq!(Ledger::reopen(dir.path(), "test", 1).unwrap().origin(), name);
        let found = report(dir.path());
        assert!(found.is_clean() && found.signed_by.unwrap().name() == name, "{:?}", found.findings);
        name
    });
    assert_ne!(names[0], names[1], "witnesses tell logs apart by it");
    for name in names {
        let digits = name.strip_prefix("tollgate.local/ledger/").unwrap();
        assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
}

/// Only root can give files away, so elsewhere there is nothing to try.
#[test]
fn a_ledger_of_another_user_is_refused() {
    let dir = closed();
    let (state, key) = (dir.path().with_extension("state"), dir.path().with_extension("key"));
    for path in [dir.path(), &state, &key] {
        if std::os::unix::fs::chown(path, Some(12_345), None).is_err() {
            return;
        }
        let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
        let text = tollgate_audit::with_causes(&error);
        assert!(text.contains("another user"), "{}: {text}", path.display());
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    }
    drop(open(dir.path()));
}
