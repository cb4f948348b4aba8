//! Checkpoints, bare and signed.

use tollgate_audit::{Checkpoint, ORIGIN_BYTES_MAX, SignedCheckpoint, SignedNote, SigningKey};

use crate::note::{key, signed_by};
use crate::sample::KEY_SEED;
use crate::text;

/// A checkpoint that is read is written alike. A signed one is exactly a note whose text is a checkpoint, and
/// verifies exactly if a key of its origin's name has signed it. A bare one, signed by a key of its origin, is read
/// back and verifies.
pub fn checkpoint(bytes: &[u8]) {
    let Some(text) = text(bytes) else {
        return;
    };
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
        assert!((1..=ORIGIN_BYTES_MAX).contains(&checkpoint.origin.len()));
        sign_and_verify(&checkpoint);
    }
    let note = text.parse::<SignedNote>();
    let said = note.as_ref().ok().and_then(|note| note.unverified_text().parse::<Checkpoint>().ok());
    let signed = text.parse::<SignedCheckpoint>().ok();
    assert_eq!(signed.as_ref().map(SignedCheckpoint::unverified), said.as_ref(), "a note of a checkpoint");
    if let Some(signed) = signed {
        assert_eq!(signed.to_string(), text);
        sign_and_verify(signed.unverified());
        let key = key().verifier();
        let ours = signed.unverified().origin == key.name() && signed_by(signed.note(), &key);
        assert_eq!(signed.verify(&key).is_ok(), ours);
    }
}

fn sign_and_verify(checkpoint: &Checkpoint) {
    // Any origin can name a key.
    let key = SigningKey::from_seed(&checkpoint.origin, &KEY_SEED).expect("an origin that was read");
    let note = SignedNote::sign(&checkpoint.to_string(), &[&key]);
    let signed: SignedCheckpoint = note.to_string().parse().expect("a checkpoint that was signed");
    assert_eq!(signed.verify(&key.verifier()), Ok(checkpoint));
}
