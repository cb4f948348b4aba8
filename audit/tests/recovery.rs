//! Opening: from the newest signed tiles where they agree, from the start where they do not, not at all where what
//! was signed or remembered speaks against the data.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tollgate_audit::{CallId, Durability, Finding, Kind, LeafIndex, Problem, Prover, TreeSize, with_causes};
use tollgate_ledger::{Ledger, OpenError};
use tollgate_testing::calls::{begin, open, record_call};
use tollgate_testing::entries::{OPEN_AT, ORIGIN, policy};
use tollgate_testing::ledgers;
use tollgate_testing::ledgers::{Folder, files, report, tempdir};

/// A ledger with a resume point behind its start.
fn long() -> Folder {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    for _ in 0..4 {
        ledger.append(&vec![policy(); 10_000]).unwrap();
        ledger.checkpoint().unwrap();
    }
    record_call(&ledger, 1);
    dir
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_long_ledger_is_not_read_from_its_start() {
    let dir = long();
    let before = report(dir.path());
    let ledger = open(dir.path());
    assert!(ledger.recovery().read_from > LeafIndex(30_000), "{:?}", ledger.recovery());
    assert_eq!(ledger.size(), TreeSize(before.size.0 + 1));
    ledger.append(&vec![policy(); 1000]).unwrap();
    drop(ledger);
    let after = report(dir.path());
    assert!(after.is_clean(), "{:?}", after.findings);
}

/// Tiles are written in their own folders: what a crash leaves there is found where a tile is written next.
#[test]
fn a_tile_that_was_left_half_written_is_no_finding_and_goes() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 600]).unwrap();
    ledger.checkpoint().unwrap();
    drop(ledger);
    let left = ["entries/full.tmp", "entries/002.p/partial.tmp", "0/full.tmp", "0/002.p/partial.tmp"];
    let left = left.map(|name| dir.path().join("tile").join(name));
    left.iter().for_each(|path| fs::write(path, "cut sh").unwrap());
    let found = report(dir.path());
    assert!(found.is_clean(), "{:?}", found.findings);
    drop(open(dir.path()));
    assert!(left.iter().all(|path| !path.exists()), "{left:?}");
    // Any other file there is somebody's.
    fs::write(dir.path().join("tile/entries/notes.tmp"), "").unwrap();
    assert!(matches!(report(dir.path()).findings[0].problem, Problem::FileUnknown));
}

#[test]
fn a_call_left_open_long_ago_is_closed() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut trail = begin(&ledger, 1);
    let _left = trail.intent(OPEN_AT, &[], "fs", Durability::Pipe).unwrap();
    drop(trail);
    for _ in 0..4 {
        ledger.append(&vec![policy(); 20_000]).unwrap();
        ledger.checkpoint().unwrap();
    }
    drop(ledger);
    let ledger = open(dir.path());
    assert_eq!(ledger.recovery().closed_calls, [CallId([1; 16])]);
    drop(ledger);
    // From now on nothing holds recovery back.
    drop(open(dir.path()));
    assert!(open(dir.path()).recovery().read_from > LeafIndex(70_000));
    let after = report(dir.path());
    assert!(after.is_clean(), "{:?}", after.findings);
    assert_eq!(after.count(Kind::Closer), 1);
}

#[test]
fn without_tiles_it_is_read_from_its_start() {
    let dir = long();
    fs::remove_dir_all(dir.path().join("tile")).unwrap();
    assert_eq!(open(dir.path()).recovery().read_from, LeafIndex(0));
    let after = report(dir.path());
    assert!(after.is_clean(), "tiles are made anew: {:?}", after.findings);
}

#[test]
fn a_tile_that_disagrees_is_mended_from_the_journal() {
    let dir = long();
    let edge = files(dir.path()).into_keys().filter(|name| name.starts_with("tile/1/000.p/")).max().unwrap();
    for name in ["tile/0/150", "tile/entries/000", &edge] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, vec![0; whole.len()]).unwrap();
        // Of a tile behind the resume point only `verify` knows; so the way from the start is asked for.
        let known = report(dir.path());
        ledgers::remember(dir.path(), known.size, known.root, "closed");
        drop(open(dir.path()));
        assert_eq!(fs::read(&path).unwrap(), whole, "{name}");
    }
}

#[test]
fn partial_forms_of_unfinished_tiles_are_mended_at_open() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 299]).unwrap();
    ledger.checkpoint().unwrap();
    ledger.append(&vec![policy(); 20]).unwrap();
    drop(ledger);
    let whole = files(dir.path());
    for name in
        ["tile/0/001.p/44", "tile/0/001.p/64", "tile/1/000.p/1", "tile/entries/001.p/44", "tile/entries/001.p/64"]
    {
        let path = dir.path().join(name);
        for torn in [&[][..], &[0; 32], &whole[name][..40.min(whole[name].len() - 1)]] {
            fs::write(&path, torn).unwrap();
            let after = files_after_open(dir.path());
            assert_eq!(after[name], whole[name], "{name}");
        }
    }
    // The checkpoint's last: its rename never reached the disk.
    let now = report(dir.path()).size.0 - 256;
    for name in [format!("tile/0/001.p/{now}"), "tile/1/000.p/1".to_owned(), format!("tile/entries/001.p/{now}")] {
        let path = dir.path().join(&name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let copied = tempdir().unwrap();
        copy(dir.path(), copied.path());
        for beside in ["key", "state"] {
            fs::copy(dir.path().with_extension(beside), copied.path().with_extension(beside)).unwrap();
        }
        let _ledger = open(copied.path());
        assert_eq!(fs::read(copied.path().join(&name)).unwrap(), bytes, "{name}");
        let found = report(copied.path());
        assert!(found.is_clean(), "{:?}", found.findings);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn partial_forms_that_no_journal_makes_go_or_are_found() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 299]).unwrap();
    drop(ledger);
    let write = |name: &str| {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), [7; 64]).unwrap();
    };
    // Too wide, and of a tile that was full when the process died before it could say so.
    for name in ["tile/0/001.p/200", "tile/1/000.p/9", "tile/2/000.p/1", "tile/entries/001.p/255", "tile/0/000.p/7"] {
        write(name);
        let after = files_after_open(dir.path());
        assert!(!after.contains_key(name), "{name}");
        assert!(report(dir.path()).is_clean());
    }
    for name in ["tile/0/001.p/007", "tile/0/001.p/+7", "tile/0/001.p/256", "tile/0/001.p/notes"] {
        write(name);
        assert_eq!(files_after_open(dir.path())[name], [7; 64]);
        let found: Vec<_> = report(dir.path()).findings.into_iter().map(|found| (found.file, found.problem)).collect();
        assert_eq!(found, [(name.to_owned(), Problem::FileUnknown)]);
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}

fn files_after_open(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let _ledger = open(dir);
    files(dir)
}

#[test]
fn a_folder_put_back_from_an_older_copy_is_refused() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    record_call(&ledger, 1);
    drop(ledger);
    let older = tempdir().unwrap();
    copy(dir.path(), older.path());
    drop(open(dir.path()));
    fs::remove_dir_all(dir.path()).unwrap();
    fs::create_dir(dir.path()).unwrap();
    copy(older.path(), dir.path());
    // All in itself sound, and yet not what was signed last.
    let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::DataLost { known: TreeSize(8), found: TreeSize(7) }), "{error}");
    assert!(!report(dir.path()).is_clean());
    fs::write(dir.path().with_extension("state"), "something else").unwrap();
    let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::State { .. }), "{error}");
}

#[test]
fn tiles_of_lost_entries_go() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 99]).unwrap();
    ledger.checkpoint().unwrap();
    let kept = fs::read(dir.path().join("journal")).unwrap();
    let before = tempdir().unwrap();
    copy(dir.path(), before.path());
    let state = fs::read(dir.path().with_extension("state")).unwrap();
    ledger.append(&vec![policy(); 1000]).unwrap();
    // The power goes: full tiles were on disk, the journal's tail was not.
    copy(dir.path(), before.path());
    drop(ledger);
    fs::write(before.path().join("journal"), kept).unwrap();
    fs::write(before.path().with_extension("state"), state).unwrap();
    fs::copy(dir.path().with_extension("key"), before.path().with_extension("key")).unwrap();
    assert!(before.path().join("tile/0/003").exists());
    drop(open(before.path()));
    assert!(!before.path().join("tile/0/000").exists());
    let after = report(before.path());
    assert!(after.is_clean(), "{:?}", after.findings);
    assert_eq!(after.size, TreeSize(101));
}

#[test]
fn partial_tiles_stay_until_the_full_one_is_there() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.checkpoint().unwrap();
    ledger.append(&vec![policy(); 99]).unwrap();
    ledger.checkpoint().unwrap();
    let names = |dir: &Path| files(dir).into_keys().filter(|name| name.starts_with("tile/0")).collect::<Vec<_>>();
    assert_eq!(names(dir.path()), ["tile/0/000.p/1", "tile/0/000.p/100"]);
    drop(ledger);
    let ledger = open(dir.path());
    ledger.append(&vec![policy(); 200]).unwrap();
    ledger.checkpoint().unwrap();
    assert_eq!(names(dir.path()), ["tile/0/000", "tile/0/001.p/45"]);
}

/// A link in the place of a folder below `tile/`: what it leads to is neither read as the ledger's nor changed.
#[test]
fn no_link_in_the_place_of_a_folder_of_tiles_is_followed() {
    for name in ["tile", "tile/0", "tile/entries", "tile/0/001.p", "tile/entries/001.p"] {
        let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
        let ledger = open(dir.path());
        ledger.append(&vec![policy(); 299]).unwrap();
        ledger.checkpoint().unwrap();
        let folder = dir.path().join(name);
        fs::rename(&folder, elsewhere.path().join("moved")).unwrap();
        symlink(elsewhere.path().join("moved"), &folder).unwrap();
        let before = files(elsewhere.path());
        assert!(!before.is_empty());

        let found = report(dir.path()).findings;
        let is_named = |finding: &Finding| finding.file == name && matches!(finding.problem, Problem::FileUnknown);
        assert!(found.iter().any(is_named), "{name}: {found:?}");
        assert!(found.iter().any(|finding| matches!(finding.problem, Problem::FileMissing)), "{name}: {found:?}");
        if !name.ends_with(".p") {
            let mut prover = Prover::new(dir.path(), TreeSize(256));
            let proven = prover.entry(LeafIndex(3)).map(drop).and_then(|()| prover.inclusion(LeafIndex(3)).map(drop));
            let error = proven.unwrap_err();
            assert!(with_causes(&error).contains("is a link, or no folder"), "{name}: {error:?}");
        }

        // A ledger that runs can be unable to publish, and one that is opened can refuse: neither writes through the link.
        ledger.append(&vec![policy(); 300]).unwrap();
        let published = ledger.checkpoint().map(drop).map_err(|error| with_causes(&error));
        drop(ledger);
        let opened = Ledger::open(dir.path(), ORIGIN, "test", 1).map(drop).map_err(|error| with_causes(&error));
        assert_eq!(files(elsewhere.path()), before, "{name}: {published:?} {opened:?}");
        let errors: Vec<String> = [published, opened].into_iter().filter_map(Result::err).collect();
        assert!(errors.iter().all(|error| error.contains("is a link, or no folder")), "{name}: {errors:?}");
        assert!(!errors.is_empty() || name.ends_with(".p"), "{name}");
    }
}
