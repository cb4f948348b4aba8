//! Receipts and disclosures: what they prove, and that nothing in them can be changed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use proptest::prelude::*;
use tollgate_audit::{
    CallId, Disclosure, Entry, Kind, LeafIndex, Receipt, ReceiptError, Sequence, SigningKey, VerifierKey,
    VerifyReceiptError, disclose, find_call_end, prove,
};
use tollgate_testing::calls::{open, record_call};
use tollgate_testing::entries;
use tollgate_testing::ledgers::{Folder, tempdir};

fn recorded() -> (Folder, VerifierKey, LeafIndex) {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    for id in 0..60 {
        record_call(&ledger, id);
    }
    let end = find_call_end(dir.path(), record_call(&ledger, 200).call).unwrap();
    record_call(&ledger, 201);
    let key = ledger.verifier_key();
    (dir, key, end)
}

#[test]
fn a_receipt_proves_the_end_of_a_call() {
    let (dir, key, end) = recorded();
    assert_eq!(find_call_end(dir.path(), CallId([200; 16])).unwrap(), end);
    let text = prove(dir.path(), end).unwrap().to_string();
    let receipt: Receipt = text.parse().unwrap();
    assert_eq!(receipt.to_string(), text);
    let (entry, checkpoint) = receipt.verify(&key).unwrap();
    assert_eq!((entry.kind(), entry.call()), (Kind::CallEnd, Some(CallId([200; 16]))));
    assert_eq!(checkpoint.size.0, 60 * 6 + 1 + 12);

    let other = SigningKey::from_seed(entries::ORIGIN, &[1; 32]).unwrap().verifier();
    assert!(matches!(receipt.verify(&other), Err(VerifyReceiptError::Signature { .. })));
    let renamed = VerifierKey::new("example.com/other", key.public_key()).unwrap();
    assert!(matches!(receipt.verify(&renamed), Err(VerifyReceiptError::Signature { .. })));
}

#[test]
fn a_receipt_with_any_changed_character_proves_nothing() {
    let (dir, key, end) = recorded();
    let text = prove(dir.path(), end).unwrap().to_string();
    for at in (0..text.len()).step_by(5) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let Ok(receipt) = changed.parse::<Receipt>() else { continue };
        assert!(receipt.verify(&key).is_err(), "byte {at}");
    }
}

#[test]
fn an_entry_beyond_the_checkpoint_has_no_receipt_yet() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    assert!(matches!(prove(dir.path(), LeafIndex(0)), Err(ReceiptError::Unsigned)));
    ledger.checkpoint().unwrap();
    let end = find_call_end(dir.path(), record_call(&ledger, 1).call).unwrap();
    assert!(matches!(prove(dir.path(), end), Err(ReceiptError::NotCovered { .. })));
    ledger.checkpoint().unwrap();
    prove(dir.path(), end).unwrap();
    assert!(matches!(find_call_end(dir.path(), CallId([9; 16])), Err(ReceiptError::NoCallEnd { .. })));
}

#[test]
fn a_disclosure_shows_the_chosen_entries_alone() {
    let (dir, key, _) = recorded();
    let call = CallId([200; 16]);
    let text = disclose(dir.path(), call, &[Sequence(1), Sequence(4)]).unwrap().to_string();
    let disclosure: Disclosure = text.parse().unwrap();
    assert_eq!(disclosure.to_string(), text);
    let shown = disclosure.verify(&key).unwrap();
    let kinds: Vec<_> = shown.entries.iter().map(Entry::kind).collect();
    assert_eq!((kinds, shown.end.call), (vec![Kind::Intent, Kind::Outcome], call));

    for chosen in [vec![], vec![Sequence(4), Sequence(1)], vec![Sequence(1); 2], vec![Sequence(5)]] {
        assert!(matches!(disclose(dir.path(), call, &chosen), Err(ReceiptError::Call(_))), "{chosen:?}");
    }
    // The entry says where it stands, so that it cannot be shown as another one.
    let moved = text.replacen("entry 4 ", "entry 3 ", 1).parse::<Disclosure>().unwrap();
    assert!(moved.verify(&key).is_err());
    let other = disclose(dir.path(), CallId([3; 16]), &[Sequence(1), Sequence(4)]).unwrap().to_string();
    let (head, _) = other.split_once("\n\n").unwrap();
    let (_, tail) = text.split_once("\n\n").unwrap();
    let crossed: Disclosure = format!("{head}\n\n{tail}").parse().unwrap();
    assert!(matches!(crossed.verify(&key), Err(VerifyReceiptError::Call { .. })));
    for at in (0..text.len()).step_by(5) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let Ok(disclosure) = changed.parse::<Disclosure>() else { continue };
        assert!(disclosure.verify(&key).is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn parsers_never_panic_and_write_what_they_read(
        head in "(c2sp.org/tlog-proof@v1|tollgate/call-disclosure@v1|\\PC{0,9})",
        lines in prop::collection::vec("(extra [A-Za-z0-9+/]{0,12}={0,2}|entry [0-9]{1,3} [A-Za-z0-9+/]{4}|index [0-9]{0,4}|[A-Za-z0-9+/]{43}=|\\PC{0,12})", 0..8),
    ) {
        let text = format!("{head}\n{}\n", lines.join("\n"));
        if let Ok(read) = text.parse::<Receipt>() {
            prop_assert_eq!(read.to_string(), text.clone());
        }
        if let Ok(read) = text.parse::<Disclosure>() {
            prop_assert_eq!(read.to_string(), text);
        }
    }
}
