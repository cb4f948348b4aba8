//! Golden ledgers, checked in: what was written then is read for ever, from the first release on.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "golden files are renewed as those of expect-test")]

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_audit::{
    Adoption, Call, CallClass, CallEnd, CallId, Closer, EncodedEntry, Entry, Intent, Kind, LeafIndex, Outcome, Problem,
    ReadCheckpointError, RootHash, Sequence, Takeover, TreeSize, Violation, call_root, disclose, find_call_end, prove,
    read, verify,
};
use tollgate_ledger::{Ledger, OpenError, store_set};
use tollgate_testing::entries::ORIGIN;
use tollgate_testing::ledgers::{files, report, tempdir};
use tollgate_testing::{calls, entries, ledgers};

const SEED: [u8; 32] = [7; 32];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/ledger-{name}"))
}

/// A copy that may be written.
fn copy(name: &str) -> ledgers::Folder {
    let dir = tempdir().unwrap();
    for (name, bytes) in files(&golden(name)) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

/// A copy with key and memory as they are when it was closed.
fn closed_copy(name: &str) -> ledgers::Folder {
    let dir = copy(name);
    ledgers::write_key(&dir.path().with_extension("key"), SEED);
    let report = report(dir.path());
    ledgers::remember(dir.path(), report.size, report.root, "closed");
    dir
}

/// A closed ledger verifies after it was opened once more, which is one entry.
fn is_gone_on_with(name: &str, size: u64) {
    let dir = closed_copy(name);
    drop(calls::open(dir.path()));
    let after = report(dir.path());
    assert!(after.is_clean(), "{:?}", after.findings);
    assert_eq!(after.size, TreeSize(size + 1));
}

#[test]
fn a_long_ledger_verifies_and_is_gone_on_with() {
    let before = verify(&golden("long"), None).unwrap();
    assert!(before.is_clean(), "{:?}", before.findings);
    assert_eq!((before.size, before.count(Kind::CallEnd)), (TreeSize(270), 1));
    let key = before.signed_by.unwrap();
    let call = find_call_end(&golden("long"), entries::SAMPLE_CALL).unwrap();
    let receipt = prove(&golden("long"), call).unwrap();
    assert_eq!(receipt.verify(&key).unwrap().0.kind(), Kind::CallEnd);
    is_gone_on_with("long", 270);
}

#[test]
fn private_data_and_caps_verify_and_are_gone_on_with() {
    let before = verify(&golden("private"), None).unwrap();
    assert!(before.is_clean(), "{:?}", before.findings);
    assert_eq!((before.size, before.count(Kind::CallEnd), before.count(Kind::Erasure)), (TreeSize(10), 2, 2));
    let key = before.signed_by.unwrap();
    let call = find_call_end(&golden("private"), entries::SAMPLE_CALL).unwrap();
    let receipt = prove(&golden("private"), call).unwrap();
    let (Entry::CallEnd(end), _) = receipt.verify(&key).unwrap() else { panic!("no end") };
    assert_eq!(end.cap, Some("fuel".into()));
    let disclosure = disclose(&golden("private"), entries::SAMPLE_CALL, &[Sequence(1)]).unwrap();
    assert!(disclosure.verify(&key).is_ok(), "what stands outside a call's tree is not disclosed with it");
    is_gone_on_with("private", 10);
}

#[test]
fn entries_about_writers_verify_and_are_gone_on_with() {
    let before = verify(&golden("writers"), None).unwrap();
    assert!(before.is_clean(), "{:?}", before.findings);
    let counts =
        [Kind::Enforcement, Kind::BlockedCall, Kind::KernelRecord, Kind::Closer].map(|kind| before.count(kind));
    assert_eq!((before.size, counts), (TreeSize(12), [1, 2, 1, 1]));
    let key = before.signed_by.unwrap();
    let disclosure = disclose(&golden("writers"), entries::SAMPLE_CALL, &[Sequence(2)]).unwrap();
    assert!(disclosure.verify(&key).is_ok(), "a blocked call stands outside the tree of the call that it names");
    is_gone_on_with("writers", 12);
}

#[test]
fn breaks_verify_and_are_gone_on_with() {
    let before = verify(&golden("breaks"), None).unwrap();
    assert!(before.is_clean(), "{:?}", before.findings);
    let counts =
        [Kind::Policy, Kind::Takeover, Kind::Adoption, Kind::Call, Kind::CallEnd].map(|kind| before.count(kind));
    assert_eq!((before.size, counts), (TreeSize(7), [2, 1, 1, 1, 1]));
    let taken: Vec<_> = before.taken_over.iter().map(|taken| (taken.first.0, taken.count, taken.is_adoption)).collect();
    assert_eq!(taken, [(1, 1, false), (0, 3, true)]);
    let key = before.signed_by.unwrap();
    let call = find_call_end(&golden("breaks"), entries::SAMPLE_CALL).unwrap();
    let receipt = prove(&golden("breaks"), call).unwrap();
    let (Entry::CallEnd(end), _) = receipt.verify(&key).unwrap() else { panic!("no end") };
    assert_eq!((end.class, end.entries), (CallClass::Rejected, 1));
    is_gone_on_with("breaks", 7);
}

#[test]
fn what_a_daemon_says_verifies_and_is_gone_on_with() {
    let before = verify(&golden("daemon"), None).unwrap();
    assert!(before.is_clean(), "{:?}", before.findings);
    let counts = [Kind::Call, Kind::CallEnd, Kind::Reload].map(|kind| before.count(kind));
    assert_eq!((before.size, counts), (TreeSize(5), [1, 1, 2]));
    let key = before.signed_by.unwrap();
    let call = find_call_end(&golden("daemon"), entries::SAMPLE_CALL).unwrap();
    let receipt = prove(&golden("daemon"), call).unwrap();
    let (Entry::CallEnd(end), _) = receipt.verify(&key).unwrap() else { panic!("no end") };
    assert_eq!(end.class, CallClass::Cancelled);
    is_gone_on_with("daemon", 5);
}

/// Anybody could have written a checkpoint without a signature, also one over the right entries.
#[test]
fn a_checkpoint_without_a_signature_is_none() {
    let dir = closed_copy("long");
    let signed = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    let (bare, _signatures) = signed.split_once("\n\n").unwrap();
    fs::write(dir.path().join("checkpoint"), format!("{bare}\n")).unwrap();
    let findings = report(dir.path()).findings;
    assert!(matches!(findings[0].problem, Problem::CheckpointMalformed { .. }), "{findings:?}");
    let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::Checkpoint(ReadCheckpointError::Malformed { .. })), "{error}");
}

const OLDER_FORMAT: &str =
    "this ledger has format 2; this program reads format 5: keep the ledger and the program that wrote it";

/// A ledger as it was written before format 5, whose first entry is of format 2.
#[test]
fn an_older_format_is_refused_by_its_number_and_stays_as_it_is() {
    let dir = copy("of-format-4");
    ledgers::write_key(&dir.path().with_extension("key"), SEED);
    ledgers::remember(dir.path(), TreeSize(12), RootHash([0xee; 32]), "closed");
    let around = dir.path().parent().unwrap();
    let before = files(around);
    let path = dir.path();
    let refusals: [Box<dyn std::error::Error>; 8] = [
        Box::new(Ledger::open(path, ORIGIN, "test", 1).unwrap_err()),
        Box::new(Ledger::open_with_key(path, &path.with_extension("key"), ORIGIN, "test", 1).unwrap_err()),
        Box::new(Ledger::reopen(path, "test", 1).unwrap_err()),
        Box::new(Ledger::adopt(path, "operator", "it is old", "test", 1).unwrap_err()),
        Box::new(read(path).unwrap_err()),
        Box::new(verify(path, None).unwrap_err()),
        Box::new(find_call_end(path, entries::SAMPLE_CALL).unwrap_err()),
        Box::new(disclose(path, entries::SAMPLE_CALL, &[Sequence(2)]).unwrap_err()),
    ];
    for refusal in refusals {
        let cause = refusal.source().map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some(OLDER_FORMAT), "{refusal:?}");
    }
    assert!(files(around) == before, "a byte has changed");
}

/// Time, key and entries given, every byte is.
#[test]
fn a_long_ledger_is_written_byte_for_byte() {
    written_as_golden("long", |ledger| {
        ledger.append(&call()).unwrap();
        ledger.checkpoint().unwrap();
        ledger.append(&vec![entries::policy(); 263]).unwrap();
    });
}

#[test]
fn private_data_and_caps_are_written_byte_for_byte() {
    written_as_golden("private", |ledger| {
        ledger.append(&private_calls()).unwrap();
        // What the entries of the samples name.
        store_set(ledger.folder(), "capability set").unwrap();
    });
}

#[test]
fn entries_about_writers_are_written_byte_for_byte() {
    written_as_golden("writers", |ledger| {
        ledger.append(&calls_of_a_stopped_writer()).unwrap();
        store_set(ledger.folder(), "capability set").unwrap();
        store_set(ledger.folder(), "another").unwrap();
    });
}

#[test]
fn breaks_are_written_byte_for_byte() {
    written_as_golden("breaks", |ledger| {
        ledger.append(&breaks()).unwrap();
        store_set(ledger.folder(), "capability set").unwrap();
    });
}

#[test]
fn what_a_daemon_says_is_written_byte_for_byte() {
    written_as_golden("daemon", |ledger| {
        ledger.append(&daemon()).unwrap();
        store_set(ledger.folder(), "capability set").unwrap();
    });
}

fn written_as_golden(name: &str, write: impl FnOnce(&Ledger)) {
    let dir = tempdir().unwrap();
    let key = dir.path().with_extension("key");
    ledgers::write_key(&key, SEED);
    write(&Ledger::open_with_key(dir.path(), &key, ORIGIN, "tollgate 0.5.0", 7).unwrap());
    let mut written = files(dir.path());
    written.remove("lock");
    let golden = golden(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::remove_dir_all(&golden).ok();
        for (name, bytes) in &written {
            let path = golden.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let golden = files(&golden);
    assert_eq!(written.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>());
    assert!(written == golden, "UPDATE_EXPECT=1 writes it anew");
}

/// A call that a cap ends, one of which nothing is recorded but that it was, and erasures during and after the first.
fn private_calls() -> Vec<EncodedEntry> {
    let [call, bare, intent, end, erasure] = entries::private_samples().try_into().unwrap();
    let outcome = entries::samples().swap_remove(4);
    let (Entry::Call(bare), Entry::CallEnd(end)) = (bare, end) else { panic!("other samples") };
    let tree: Vec<_> = [call, intent, outcome].iter().map(Entry::encode).collect();
    let leaves: Vec<_> = tree.iter().map(EncodedEntry::leaf).collect();
    let end = CallEnd { seq: Sequence(3), entries: 3, root: call_root(&leaves), ..end };
    let other = CallId([0xcb; 16]);
    let bare = Entry::Call(Call { call: other, ..bare }).encode();
    let root = call_root(&[bare.leaf()]);
    let (result, cap) = (None, None);
    let bare_end = CallEnd { call: other, seq: Sequence(1), entries: 1, root, result, cap, ..end.clone() };
    let [end, bare_end] = [end, bare_end].map(|end| Entry::CallEnd(end).encode());
    let [first, second, third] = tree.try_into().unwrap();
    let erasure = erasure.encode();
    vec![entries::policy(), first, bare, second, erasure.clone(), third, end, bare_end, erasure]
}

/// A policy with folders and a declared name, entries that were taken over and adopted, and a request that was turned down,
/// with a digest of its arguments whose salt nobody has.
fn breaks() -> Vec<EncodedEntry> {
    let [policy, takeover, adoption, end] = entries::break_samples().try_into().unwrap();
    let (Entry::Takeover(takeover), Entry::Adoption(adoption), Entry::CallEnd(end)) = (takeover, adoption, end) else {
        panic!("other samples")
    };
    let takeover = Takeover { first: LeafIndex(1), ..takeover };
    let adoption = Adoption { first: LeafIndex(0), count: 3, ..adoption };
    let call = entries::private_samples().swap_remove(0).encode();
    let end = CallEnd { root: call_root(&[call.leaf()]), ..end };
    let [takeover, adoption, end] =
        [Entry::Takeover(takeover), Entry::Adoption(adoption), Entry::CallEnd(end)].map(|entry| entry.encode());
    vec![policy.encode(), takeover, adoption, call, end, entries::policy()]
}

/// A policy that is read again within a call that is cancelled, and once more in vain.
fn daemon() -> Vec<EncodedEntry> {
    let [call, end, reload, refused] = entries::daemon_samples().try_into().unwrap();
    let Entry::CallEnd(end) = end else { panic!("no end") };
    let [call, reload, refused] = [call, reload, refused].map(|entry| entry.encode());
    let end = Entry::CallEnd(CallEnd { root: call_root(&[call.leaf()]), ..end }).encode();
    vec![call, reload, end, refused]
}

/// A writer that is stopped within one call while another one ends.
fn calls_of_a_stopped_writer() -> Vec<EncodedEntry> {
    let [call, _bare, intent, end, _erasure] = entries::private_samples().try_into().unwrap();
    let [enforcement, blocked, record] = entries::writer_samples().try_into().unwrap();
    let outcome = entries::samples().swap_remove(4);
    let (Entry::Call(start), Entry::CallEnd(end)) = (call.clone(), end) else { panic!("other samples") };
    let writer = entries::SAMPLE_CALL.issuer();
    let stopped = CallId::new(1_700_000_000_001, writer, 1);
    let tree: Vec<_> = [call, intent, outcome].iter().map(Entry::encode).collect();
    let leaves: Vec<_> = tree.iter().map(EncodedEntry::leaf).collect();
    let end = CallEnd { seq: Sequence(3), entries: 3, root: call_root(&leaves), ..end };
    let [first, second, third] = tree.try_into().unwrap();
    let reason = "the writer was stopped: blocked system call openat (257) on thread worker-1".into();
    vec![
        entries::policy(),
        enforcement.encode(),
        first,
        Entry::Call(Call { call: stopped, ..start }).encode(),
        second,
        Entry::BlockedCall(entries::blocked(writer, Some(stopped))).encode(),
        blocked.encode(),
        third,
        Entry::CallEnd(end).encode(),
        record.encode(),
        Entry::Closer(Closer { call: stopped, of: Vec::new(), left_out: 0, reason }).encode(),
    ]
}

/// A call with one allowed and one denied intent.
fn call() -> Vec<EncodedEntry> {
    let mut samples = entries::samples();
    let Entry::CallEnd(end) = samples.remove(6) else { panic!("no end") };
    let Entry::Violation(violation) = samples.remove(5) else { panic!("no violation") };
    let Entry::Outcome(outcome) = samples.remove(4) else { panic!("no outcome") };
    let Entry::Intent(intent) = samples.remove(3) else { panic!("no intent") };
    let denied = Intent { seq: Sequence(3), verdict: tollgate_audit::Verdict::Deny, ..intent.clone() };
    let entries = [
        samples.remove(2),
        Entry::Intent(Intent { seq: Sequence(1), ..intent }),
        Entry::Outcome(Outcome { seq: Sequence(2), of: Sequence(1), ..outcome }),
        Entry::Intent(denied),
        Entry::Violation(Violation { seq: Sequence(4), of: Sequence(3), ..violation }),
    ];
    let mut encoded: Vec<_> = entries.iter().map(Entry::encode).collect();
    let leaves: Vec<_> = encoded.iter().map(EncodedEntry::leaf).collect();
    let end = CallEnd { seq: Sequence(5), entries: 5, root: call_root(&leaves), ..end };
    encoded.push(Entry::CallEnd(end).encode());
    encoded
}

#[test]
fn an_unknown_call_has_no_receipt() {
    assert!(find_call_end(&golden("long"), CallId([0; 16])).is_err());
}
