//! The side store: kept, found, torn, erased.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run themselves as a child")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tollgate_audit::{Call, CallEnd, CallId, Compared, Digest, Entry, Private, Recorded, Salt};
use tollgate_ledger::{Erased, Ledger, PRIVATE_BYTES_MAX, SideStore};
use tollgate_testing::ledgers::tempdir;
use tollgate_testing::{calls, entries};

/// Bytes before the first record.
const HEADER: usize = 43;

/// Bytes of a record beside its content.
const FRAME: usize = 37;

const DIR: &str = "TOLLGATE_AUDIT_TEST_DIR";

fn call(number: u64) -> CallId {
    CallId(u128::from(number).to_be_bytes())
}

fn salt(number: u64) -> Salt {
    Salt(Digest::of(&number.to_be_bytes()).0)
}

fn arguments(number: u64) -> Vec<u8> {
    format!("<arguments of {number}>").into_bytes()
}

fn result(number: u64) -> Vec<u8> {
    format!("<result of {number}>").repeat(20).into_bytes()
}

fn put(store: &SideStore, number: u64) {
    store.put_call(call(number), &salt(number), Some(&arguments(number))).unwrap();
    store.put_result(call(number), &result(number)).unwrap();
}

fn whole(number: u64) -> Option<Private> {
    let (arguments, result) = (Some(arguments(number)), Some(result(number)));
    Some(Private { call: call(number), salt: salt(number), arguments, result })
}

/// The first shard.
fn path(dir: &Path) -> PathBuf {
    dir.with_extension("private").join("00000001.open")
}

/// All bytes of the side store.
fn bytes_of(dir: &Path) -> Vec<u8> {
    let shards = fs::read_dir(dir.with_extension("private")).unwrap();
    shards.flat_map(|shard| fs::read(shard.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[test]
fn what_is_kept_is_found() {
    let dir = tempdir().unwrap();
    assert_eq!(SideStore::find(dir.path(), call(1)).unwrap(), None);
    let store = SideStore::open(dir.path()).unwrap();
    (1..=3).for_each(|number| put(&store, number));
    store.put_call(call(4), &salt(4), None).unwrap();
    store.put_call(call(5), &salt(5), Some(b"")).unwrap();
    assert_eq!(SideStore::find(dir.path(), call(2)).unwrap(), whole(2), "also while it is open elsewhere");
    drop(store);
    assert_eq!(SideStore::find(dir.path(), call(3)).unwrap(), whole(3));
    let bare = |number, arguments| Some(Private { call: call(number), salt: salt(number), arguments, result: None });
    assert_eq!(SideStore::find(dir.path(), call(4)).unwrap(), bare(4, None));
    assert_eq!(SideStore::find(dir.path(), call(5)).unwrap(), bare(5, Some(Vec::new())));
    assert_eq!(SideStore::find(dir.path(), call(6)).unwrap(), None);
    assert_eq!(fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = format!("{:?}", whole(1));
    assert!(!shown.contains("<arg"), "{shown}");
}

#[test]
fn each_writer_has_a_shard_of_its_own() {
    let dir = tempdir().unwrap();
    let [first, second] = [1, 2].map(|number| {
        let store = SideStore::open(dir.path()).unwrap();
        put(&store, number);
        store
    });
    assert!(path(dir.path()).with_file_name("00000002.open").exists());
    for number in [1, 2] {
        assert_eq!(SideStore::find(dir.path(), call(number)).unwrap(), whole(number));
    }
    assert_eq!(SideStore::find_calls(dir.path(), 9, |_call| true).unwrap(), [1, 2].map(call).into());
    assert_eq!(first.erase(call(2)).unwrap_err().kind(), ErrorKind::WouldBlock, "another one adds to it");
    assert_eq!(SideStore::find(dir.path(), call(2)).unwrap(), whole(2));
    drop(second);
    assert_eq!(first.erase(call(2)).unwrap().records, 3);
    assert_eq!(SideStore::find(dir.path(), call(2)).unwrap(), None);
    assert_eq!(SideStore::find(dir.path(), call(1)).unwrap(), whole(1));
    drop(first);
    put(&SideStore::open(dir.path()).unwrap(), 3);
    assert_eq!(fs::read_dir(dir.path().with_extension("private")).unwrap().count(), 2, "there is room in those");
}

#[test]
fn what_others_may_read_is_refused() {
    let dir = tempdir().unwrap();
    drop(SideStore::open(dir.path()).unwrap());
    let folder = dir.path().with_extension("private");
    for (path, mode, right) in [(path(dir.path()), 0o640, 0o600), (folder, 0o750, 0o700)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(SideStore::open(dir.path()).unwrap_err().kind(), ErrorKind::PermissionDenied);
        fs::set_permissions(&path, fs::Permissions::from_mode(right)).unwrap();
    }
}

#[test]
fn a_side_store_of_an_older_version_is_refused_by_its_number() {
    let dir = tempdir().unwrap();
    for (content, said) in [("tollgate-private-2\nmore", "version 2"), ("what", "no side store"), ("", "no side store")]
    {
        fs::write(dir.path().with_extension("private"), content).unwrap();
        for error in [SideStore::open(dir.path()).unwrap_err(), SideStore::find(dir.path(), call(1)).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

/// Shards fill up, are swept once more and then only read.
#[test]
fn a_full_shard_is_followed_by_another() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    let store = SideStore::open(dir.path()).unwrap();
    let text = vec![b't'; 1 << 20];
    for number in 1..=10 {
        begin(&store, &ledger, number, number != 3);
        store.put_result(CallId([number; 16]), &text).unwrap();
    }
    drop(store);
    let names = || {
        let names = fs::read_dir(dir.path().with_extension("private")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["00000001.open", "00000002.open", "00000003.open"]);
    let store = SideStore::open(dir.path()).unwrap();
    assert_eq!(store.sweep().unwrap().records, 3);
    // A megabyte less than it had: records may be added to it again.
    assert_eq!(names(), ["00000001.open", "00000002.full", "00000003.open"]);
    let kept: Vec<u8> = (1..=10).filter(|number| is_kept(dir.path(), *number)).collect();
    assert_eq!(kept, [1, 2, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(store.erase(CallId([6; 16])).unwrap().records, 3, "from a full one");
    assert!(!is_kept(dir.path(), 6) && is_kept(dir.path(), 7));
}

/// As when an old copy of a shard was put back into the folder: no shard takes another one's place, and none is read for a number
/// that it has not.
#[test]
fn a_shard_that_fills_up_takes_no_other_ones_place() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    let folder = dir.path().with_extension("private");
    let store = SideStore::open(dir.path()).unwrap();
    let text = vec![b't'; 1 << 20];
    for number in 1..=9 {
        begin(&store, &ledger, number, true);
        store.put_result(CallId([number; 16]), &text).unwrap();
    }
    drop(store);
    fs::rename(folder.join("00000001.open"), folder.join("00000002.full")).unwrap();
    fs::rename(folder.join("00000003.open"), folder.join("copy.full")).unwrap();
    SideStore::open(dir.path()).unwrap().sweep().unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|name| name.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["00000002.full", "00000003.open", "00000004.full", "copy.full"]);
    let kept: Vec<u8> = (1..=9).filter(|number| is_kept(dir.path(), *number)).collect();
    assert_eq!(kept, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    fs::rename(folder.join("00000004.full"), folder.join(format!("{}.full", u64::MAX))).unwrap();
    fs::remove_file(folder.join("00000003.open")).unwrap();
    let error = SideStore::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("rename that one"), "{error}");
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let dir = tempdir().unwrap();
    let store = SideStore::open(dir.path()).unwrap();
    let error = store.put_call(call(1), &salt(1), Some(&vec![b'x'; PRIVATE_BYTES_MAX + 1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    put(&store, 2);
    assert_eq!(SideStore::find(dir.path(), call(1)).unwrap(), None);
    assert_eq!(SideStore::find(dir.path(), call(2)).unwrap(), whole(2));
}

/// Wherever a write was cut short: what came before is there, what comes next is found.
#[test]
fn a_torn_tail_is_cut_off() {
    let dir = tempdir().unwrap();
    let file = path(dir.path());
    put(&SideStore::open(dir.path()).unwrap(), 1);
    let before = fs::read(&file).unwrap().len();
    put(&SideStore::open(dir.path()).unwrap(), 2);
    let bytes = fs::read(&file).unwrap();
    for length in 0..bytes.len() {
        for zeros in [0, 1, 100] {
            let torn = [&bytes[..length], &vec![0; zeros][..]].concat();
            // A file that is shorter than its header is one that was being made.
            if length < HEADER && zeros > 0 {
                continue;
            }
            fs::write(&file, &torn).unwrap();
            if length >= before {
                assert_eq!(SideStore::find(dir.path(), call(1)).unwrap(), whole(1), "{length}");
            }
            put(&SideStore::open(dir.path()).unwrap(), 3);
            if length >= before {
                assert_eq!(SideStore::find(dir.path(), call(1)).unwrap(), whole(1), "{length}");
            }
            assert_eq!(SideStore::find(dir.path(), call(3)).unwrap(), whole(3), "{length}, {zeros}");
        }
    }
}

#[test]
fn corruption_before_the_end_is_an_error() {
    let dir = tempdir().unwrap();
    let file = path(dir.path());
    let store = SideStore::open(dir.path()).unwrap();
    (1..=2).for_each(|number| put(&store, number));
    drop(store);
    let bytes = fs::read(&file).unwrap();
    // Frame, check, and content of the first salt.
    for at in HEADER..HEADER + FRAME + 32 {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&file, &changed).unwrap();
        let error = SideStore::find(dir.path(), call(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{at}");
    }
}

#[test]
fn what_is_erased_leaves_no_trace() {
    let dir = tempdir().unwrap();
    let store = SideStore::open(dir.path()).unwrap();
    (1..=3).for_each(|number| put(&store, number));
    let long = b"secret of 2 ".repeat(100_000);
    store.put_call(call(2), &salt(2), Some(&long)).unwrap();
    let before = fs::read(path(dir.path())).unwrap();
    assert!(holds(&before, &arguments(2)) && holds(&before, b"secret of 2") && holds(&before, &salt(2).0));

    let contents = 2 * 32 + arguments(2).len() + result(2).len() + long.len();
    assert_eq!(store.erase(call(2)).unwrap(), Erased { records: 5, bytes: contents as u64 });
    let after = fs::read(path(dir.path())).unwrap();
    for trace in [&b"nts of 2"[..], b"sult of 2", b"ret of 2", &salt(2).0[..4], &call(2).0] {
        assert!(!holds(&after, trace));
    }
    // No digest of it either, by which a guess could be confirmed.
    for text in [arguments(2), result(2), long] {
        assert!(holds(&before, &Digest::of(&text).0[..8]));
        assert!(!holds(&after, &Digest::of(&text).0[..8]));
    }
    assert_eq!(after.len() + contents + 5 * FRAME, before.len());

    assert_eq!(store.erase(call(2)).unwrap(), Erased::default(), "again");
    assert_eq!(store.erase(call(9)).unwrap(), Erased::default(), "unknown");
    put(&store, 4);
    drop(store);
    drop(SideStore::open(dir.path()).unwrap());
    assert_eq!(SideStore::find(dir.path(), call(2)).unwrap(), None);
    for number in [1, 3, 4] {
        assert_eq!(SideStore::find(dir.path(), call(number)).unwrap(), whole(number));
    }
}

#[test]
fn calls_are_named_until_they_are_erased() {
    let dir = tempdir().unwrap();
    assert!(SideStore::find_calls(dir.path(), 9, |_call| true).unwrap().is_empty(), "there is no side store");
    let store = SideStore::open(dir.path()).unwrap();
    (1..=4).for_each(|number| put(&store, number));
    store.erase(call(2)).unwrap();
    let named = |most, least| SideStore::find_calls(dir.path(), most, |named| named >= call(least)).unwrap();
    assert_eq!(named(9, 0), [1, 3, 4].map(call).into());
    assert_eq!(named(9, 3), [3, 4].map(call).into());
    assert_eq!(named(1, 0).len(), 1);
}

/// Puts the texts of a call and records it, or only puts them: as when its worker dies before the first entry.
fn begin(store: &SideStore, ledger: &Arc<Ledger>, number: u8, is_recorded: bool) {
    let call = CallId([number; 16]);
    store.put_call(call, &salt(number.into()), Some(&arguments(number.into()))).unwrap();
    if is_recorded {
        calls::record_call(ledger, number);
    }
}

fn is_kept(dir: &Path, number: u8) -> bool {
    SideStore::find(dir, CallId([number; 16])).unwrap().is_some()
}

#[test]
fn texts_of_calls_that_never_began_are_swept_and_no_others() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    let store = SideStore::open(dir.path()).unwrap();
    [(1, true), (2, false), (3, true)].into_iter().for_each(|(n, recorded)| begin(&store, &ledger, n, recorded));
    // One that has not ended is on record all the same.
    let open = calls::begin(&ledger, 4);
    begin(&store, &ledger, 4, false);
    drop((open, store));

    let store = SideStore::open(dir.path()).unwrap();
    assert!(is_kept(dir.path(), 2), "to open is not to sweep");
    assert_eq!(store.sweep().unwrap(), Erased { records: 2, bytes: 32 + arguments(2).len() as u64 });
    let bytes = fs::read(path(dir.path())).unwrap();
    assert!(!holds(&bytes, &arguments(2)) && !holds(&bytes, &salt(2).0));
    assert_eq!([1, 2, 3, 4].map(|number| is_kept(dir.path(), number)), [true, false, true, true]);
    assert_eq!(store.sweep().unwrap(), Erased::default(), "again");
    // From where the last sweep ended.
    [(5, false), (6, true)].into_iter().for_each(|(n, recorded)| begin(&store, &ledger, n, recorded));
    assert_eq!(store.sweep().unwrap().records, 2);
    assert_eq!([1, 3, 4, 5, 6].map(|number| is_kept(dir.path(), number)), [true, true, true, false, true]);
}

/// Sizes at which the next sweep begins later, in the store and in the journal.
#[test]
fn sweeps_of_a_ledger_that_grows_erase_nothing_that_is_on_record() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    let text = vec![b't'; 30_000];
    for round in 0..12_u8 {
        let store = SideStore::open(dir.path()).unwrap();
        assert_eq!(store.sweep().unwrap().records, u64::from(round > 0) * 2, "the one of the round before");
        let [recorded, unrecorded] = [2 * round + 1, 2 * round + 2];
        begin(&store, &ledger, recorded, true);
        begin(&store, &ledger, unrecorded, false);
        store.put_result(CallId([recorded; 16]), &text).unwrap();
        ledger.append(&vec![entries::policy(); 700]).unwrap();
    }
    let kept: Vec<u8> = (1..=24).filter(|number| is_kept(dir.path(), *number)).collect();
    let expected: Vec<u8> = (0..12).map(|round| 2 * round + 1).chain([24]).collect();
    assert_eq!(kept, expected);
}

/// The ledger is restored from a copy, or begun anew, and becomes longer than the old one was: what began before the place
/// where the last sweep ended is on record too.
#[test]
fn a_ledger_that_became_shorter_is_read_from_its_start() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    ledger.append(&vec![entries::policy(); 50]).unwrap();
    let store = SideStore::open(dir.path()).unwrap();
    begin(&store, &ledger, 1, false);
    assert_eq!(store.sweep().unwrap().records, 2, "which notes where the journal ends");
    drop((ledger, store));
    for beside in ["key", "state"] {
        fs::remove_file(dir.path().with_extension(beside)).unwrap();
    }
    fs::remove_dir_all(dir.path()).unwrap();

    let ledger = calls::open(dir.path());
    let store = SideStore::open(dir.path()).unwrap();
    assert_eq!(store.sweep().unwrap(), Erased::default());
    begin(&store, &ledger, 2, true);
    ledger.append(&vec![entries::policy(); 100]).unwrap();
    begin(&store, &ledger, 3, false);
    drop(store);
    let store = SideStore::open(dir.path()).unwrap();
    assert_eq!(store.sweep().unwrap().records, 2);
    assert_eq!([2, 3].map(|number| is_kept(dir.path(), number)), [true, false]);
}

#[test]
fn nothing_is_swept_by_a_journal_that_cannot_be_read() {
    let dir = tempdir().unwrap();
    let ledger = calls::open(dir.path());
    let store = SideStore::open(dir.path()).unwrap();
    let journal = dir.path().join("journal");
    // What stands before is not looked at: no call of this store began there.
    let before = fs::read(&journal).unwrap().len();
    [(1, true), (2, false)].into_iter().for_each(|(n, recorded)| begin(&store, &ledger, n, recorded));
    let whole = fs::read(&journal).unwrap();
    let mut changed = whole.clone();
    changed[before + 10] ^= 1;
    fs::write(&journal, changed).unwrap();
    assert_eq!(store.sweep().unwrap_err().kind(), ErrorKind::InvalidData);
    fs::remove_file(&journal).unwrap();
    assert_eq!(store.sweep().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(is_kept(dir.path(), 1) && is_kept(dir.path(), 2));
    fs::write(&journal, whole).unwrap();
    assert_eq!(store.sweep().unwrap().records, 2);
    assert!(is_kept(dir.path(), 1) && !is_kept(dir.path(), 2));
}

#[test]
fn the_texts_are_compared_with_the_entries() {
    let private = whole(1).unwrap();
    let (Entry::Call(entry), Entry::CallEnd(end)) =
        (entries::samples().swap_remove(2), entries::samples().swap_remove(6))
    else {
        panic!("other samples")
    };
    let arguments_bytes = arguments(1).len() as u64;
    let started = |recorded| Call { call: call(1), arguments: recorded, arguments_bytes, ..entry.clone() };
    let salted = started(Recorded::Salted(salt(1).arguments(&arguments(1))));
    assert_eq!(private.check_arguments(&salted), Compared::Same);
    assert_eq!(private.check_arguments(&started(Recorded::Nothing)), Compared::NotRecorded);
    for other in [
        Call { call: call(2), ..salted.clone() },
        Call { arguments_bytes: 1, ..salted.clone() },
        started(Recorded::Salted(salt(2).arguments(&arguments(1)))),
        started(Recorded::Salted(salt(1).result(&arguments(1)))),
        started(Recorded::Salted(Digest::of(&arguments(1)))),
    ] {
        assert_eq!(private.check_arguments(&other), Compared::Different);
    }

    let ended = |result| CallEnd { call: call(1), result, ..end.clone() };
    assert_eq!(private.check_result(&ended(Some(salt(1).result(&result(1))))), Compared::Same);
    assert_eq!(private.check_result(&ended(Some(salt(1).arguments(&result(1))))), Compared::Different);
    assert_eq!(private.check_result(&ended(None)), Compared::NotRecorded);

    let bare = Private { arguments: None, result: None, ..private };
    assert_eq!(bare.check_arguments(&salted), Compared::NotKept);
    assert_eq!(bare.check_result(&ended(None)), Compared::NotKept);
}

/// Killed while it keeps and erases: what it said it kept is found, what it said it erased is gone, what it was erasing
/// is gone once the store is open again.
#[test]
fn a_killed_writer_keeps_and_erases_what_it_said() {
    let dir = tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let mut child = Command::new(exe)
        .args(["--exact", "child_keeps_and_erases_until_killed", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = |line: String| line.strip_prefix("done ").and_then(|n| n.parse::<u64>().ok());
    let enough = lines.by_ref().map(Result::unwrap).filter_map(said).find(|n| *n >= 50);
    child.kill().unwrap();
    child.wait().unwrap();
    let done = lines.map_while(Result::ok).filter_map(said).last().or(enough).unwrap();

    drop(SideStore::open(dir.path()).unwrap());
    let bytes = bytes_of(dir.path());
    for number in 1..=done {
        if number % 2 == 0 {
            assert_eq!(SideStore::find(dir.path(), call(number)).unwrap(), None);
            assert!(!holds(&bytes, &arguments(number)) && !holds(&bytes, &result(number)));
        } else {
            assert_eq!(SideStore::find(dir.path(), call(number)).unwrap(), whole(number));
        }
    }
    let store = SideStore::open(dir.path()).unwrap();
    store.erase(call(done + 1)).unwrap();
    assert!(!holds(&bytes_of(dir.path()), &arguments(done + 1)));
}

#[test]
#[ignore = "run as a child"]
fn child_keeps_and_erases_until_killed() {
    let store = SideStore::open(Path::new(&std::env::var_os(DIR).unwrap())).unwrap();
    for number in 1_u64.. {
        put(&store, number);
        if number % 2 == 0 {
            store.erase(call(number)).unwrap();
        }
        let mut out = std::io::stdout().lock();
        // In one write, so that a line is never cut short by the kill.
        out.write_all(format!("\ndone {number}\n").as_bytes()).unwrap();
    }
}

/// Kept, kept without arguments, erased: byte for byte.
#[test]
fn golden_bytes() {
    let dir = tempdir().unwrap();
    let store = SideStore::open(dir.path()).unwrap();
    put(&store, 1);
    store.put_call(call(2), &salt(2), None).unwrap();
    put(&store, 3);
    store.erase(call(3)).unwrap();
    drop(store);
    let bytes = fs::read(path(dir.path())).unwrap();
    let lines = bytes.chunks(64).map(|chunk| hex::encode(chunk) + "\n");
    expect_test::expect_file!["golden/private.txt"].assert_eq(&lines.collect::<String>());
}
