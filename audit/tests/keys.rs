//! The ledger's key: made once, kept from others, changed only with the consent of both keys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tollgate_audit::{Entry, Kind, Problem, SignedCheckpoint, SigningKey, VerifyOptions, read, verify_with};
use tollgate_ledger::{Ledger, OpenError};
use tollgate_testing::calls::{open, record_call};
use tollgate_testing::entries::ORIGIN;
use tollgate_testing::ledgers::{forget_checkpoint, report, tempdir, write_key};
use tollgate_testing::{entries, ledgers};

#[test]
fn the_key_is_made_once_and_named_in_the_log() {
    let dir = tempdir().unwrap();
    let key = open(dir.path()).verifier_key();
    assert_eq!(open(dir.path()).verifier_key(), key);
    let found = report(dir.path());
    assert_eq!((found.keys, found.signed_by), (vec![key.clone()], Some(key.clone())));
    let (_, first) = read(dir.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(first.to_json()["key"], key.to_string());
    assert!(!ledgers::files(dir.path()).keys().any(|name| name.contains("key")), "the folder may be served");
}

#[test]
fn a_key_of_choice_is_used() {
    let dir = tempdir().unwrap();
    let path = dir.path().with_extension("elsewhere");
    write_key(&path, [3; 32]);
    let ledger = Ledger::open_with_key(dir.path(), &path, ORIGIN, "test", 1).unwrap();
    assert_eq!(ledger.verifier_key(), SigningKey::from_seed(ORIGIN, &[3; 32]).unwrap().verifier());
    drop(ledger);
    assert!(!dir.path().with_extension("key").exists());
    assert!(report(dir.path()).is_clean());
}

#[test]
fn a_missing_exposed_or_other_key_is_refused() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().with_extension("key");
    let open = || Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(), OpenError::Key(_)));
    write_key(&path, [9; 32]);
    assert!(matches!(open(), OpenError::OtherKey { .. }));
    fs::remove_file(&path).unwrap();
    assert!(matches!(open(), OpenError::KeyMissing { .. }));
    // Nothing of that changes when there is no checkpoint to compare with.
    forget_checkpoint(dir.path());
    assert!(matches!(open(), OpenError::KeyMissing { .. }));
}

#[test]
fn a_checkpoint_of_another_key_is_refused() {
    let dir = tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("checkpoint");
    let signed: SignedCheckpoint = fs::read_to_string(&path).unwrap().parse().unwrap();
    let other = SigningKey::from_seed(ORIGIN, &[9; 32]).unwrap();
    let forged = tollgate_audit::SignedNote::sign(signed.note().unverified_text(), &[&other]);
    fs::write(&path, forged.to_string()).unwrap();
    assert!(matches!(report(dir.path()).findings[0].problem, Problem::CheckpointSignature { .. }));
    let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::CheckpointNotOurs), "{error}");
    fs::write(&path, signed.note().unverified_text()).unwrap();
    assert!(matches!(report(dir.path()).findings[0].problem, Problem::CheckpointMalformed { .. }));
    let error = Ledger::open(dir.path(), ORIGIN, "test", 1).unwrap_err();
    assert!(matches!(error, OpenError::Checkpoint(_)), "{error}");
}

#[test]
fn a_rotation_is_signed_by_both_and_goes_on() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    record_call(&ledger, 1);
    let old = ledger.verifier_key();
    let new = ledger.rotate_key(5).unwrap();
    assert_eq!(ledger.verifier_key(), new);
    assert_ne!(old, new);
    // Who knows the old key alone can follow over the rotation.
    let text = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    let signed: SignedCheckpoint = text.parse().unwrap();
    assert!(signed.verify(&old).is_ok() && signed.verify(&new).is_ok());
    record_call(&ledger, 2);
    ledger.checkpoint().unwrap();
    let text = fs::read_to_string(dir.path().join("checkpoint")).unwrap();
    let signed: SignedCheckpoint = text.parse().unwrap();
    assert!(signed.verify(&old).is_err() && signed.verify(&new).is_ok());
    drop(ledger);

    assert_eq!(open(dir.path()).verifier_key(), new);
    let found = report(dir.path());
    assert!(found.is_clean(), "{:?}", found.findings);
    assert_eq!((found.count(Kind::KeyRotated), found.keys), (1, vec![old.clone(), new.clone()]));
    for key in [old, new] {
        let options = VerifyOptions { key: Some(key), expected: None };
        assert!(verify_with(dir.path(), &options).unwrap().is_clean());
    }
    let stranger = SigningKey::from_seed(ORIGIN, &[9; 32]).unwrap().verifier();
    let options = VerifyOptions { key: Some(stranger), expected: None };
    let found = verify_with(dir.path(), &options).unwrap();
    assert!(matches!(found.findings[0].problem, Problem::KeyUnknown { .. }));
}

/// The entry says which key is the ledger's, so either half of the exchange of files can be missing.
#[test]
fn a_rotation_is_finished_or_forgotten_after_a_crash() {
    let dir = tempdir().unwrap();
    let path = dir.path().with_extension("key");
    let next = dir.path().with_extension("key.next");
    let ledger = open(dir.path());
    let old_text = fs::read_to_string(&path).unwrap();
    let new = ledger.rotate_key(5).unwrap();
    drop(ledger);
    // Died after the entry, before the exchange.
    fs::rename(&path, &next).unwrap();
    fs::write(&path, &old_text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(open(dir.path()).verifier_key(), new);
    assert!(!next.exists());
    // Died before the entry.
    write_key(&next, [4; 32]);
    assert_eq!(open(dir.path()).verifier_key(), new);
    assert!(!next.exists());
    assert!(report(dir.path()).is_clean());
}

#[test]
fn a_change_of_key_without_consent_is_found() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let Entry::LedgerOpened(rotated) = entries::key_samples().remove(1) else { panic!("no rotation") };
    // Well signed, but not from the key that this ledger has.
    ledger.append(&[Entry::LedgerOpened(rotated.clone()).encode()]).unwrap();
    assert_eq!(report(dir.path()).findings[0].problem, Problem::KeyChanged);
    drop(ledger);

    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let mut forged = rotated;
    let ours = ledger.verifier_key().public_key();
    forged.key.rotated.as_mut().unwrap().old_key = ours;
    ledger.append(&[Entry::LedgerOpened(forged).encode()]).unwrap();
    assert_eq!(report(dir.path()).findings[0].problem, Problem::KeyRotationUnsigned);
}
