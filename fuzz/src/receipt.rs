//! Receipts and disclosures.

use tollgate_audit::{Checkpoint, Disclosure, Entry, Receipt, SigningKey, VerifierKey};

use crate::sample::{ORIGIN, Sample, sample};
use crate::text;

/// What is read is written alike. What verifies by the sample ledger's key is what that ledger holds at that place,
/// under its one checkpoint; nothing verifies by another key of the same name.
pub fn receipt(bytes: &[u8]) {
    let Some(text) = text(bytes) else {
        return;
    };
    let sample = sample();
    if let Ok(receipt) = text.parse::<Receipt>() {
        assert_eq!(receipt.to_string(), text);
        assert!(receipt.verify(&other_key()).is_err());
        if let Ok((entry, checkpoint)) = receipt.verify(&sample.key) {
            assert_eq!(at(sample, receipt.index().0), Some(entry));
            the_one(checkpoint, sample);
        }
    }
    if let Ok(disclosure) = text.parse::<Disclosure>() {
        assert_eq!(disclosure.to_string(), text);
        assert!(disclosure.verify(&other_key()).is_err());
        if let Ok(disclosed) = disclosure.verify(&sample.key) {
            let end = Entry::CallEnd(disclosed.end);
            assert_eq!(at(sample, disclosure.receipt().index().0).as_ref(), Some(&end));
            the_one(disclosed.checkpoint, sample);
            for entry in &disclosed.entries {
                assert_eq!(entry.call(), end.call());
                assert!(sample.entries.iter().any(|held| Entry::decode(held).as_ref() == Ok(entry)), "{entry:?}");
            }
        }
    }
}

fn at(sample: &Sample, index: u64) -> Option<Entry<'_>> {
    let place = usize::try_from(index).ok().filter(|place| *place < sample.covered)?;
    Entry::decode(&sample.entries[place]).ok()
}

fn the_one(checkpoint: &Checkpoint, sample: &Sample) {
    let text = String::from_utf8_lossy(&sample.files["ledger/checkpoint"]);
    assert!(text.starts_with(&checkpoint.to_string()), "{checkpoint:?}");
}

fn other_key() -> VerifierKey {
    SigningKey::from_seed(ORIGIN, &[9; 32]).expect("an origin").verifier()
}
