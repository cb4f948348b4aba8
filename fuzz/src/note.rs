//! Signed notes: text, empty line, signatures.

use tollgate_audit::{NOTE_SIGNATURES_MAX, NoteSignature, SignedNote, SigningKey, VerifierKey, VerifyNoteError};

use crate::sample::{KEY_SEED, ORIGIN};
use crate::text;

/// A note that is read is written alike, and so is each of its signatures. Without a known key it says nothing; with
/// one it says what that key signed, and both ways of asking agree. Signed anew, its text is read back and verifies.
pub fn note(bytes: &[u8]) {
    let Some(Ok(note)) = text(bytes).map(str::parse::<SignedNote>) else {
        return;
    };
    assert_eq!(note.to_string().as_bytes(), bytes);
    assert!((1..=NOTE_SIGNATURES_MAX).contains(&note.signatures().len()));
    for signature in note.signatures() {
        assert_eq!(signature.to_string().parse::<NoteSignature>().as_ref(), Ok(signature));
    }
    let key = key();
    assert_eq!(note.verify(&[]), Err(VerifyNoteError::NoKnownKey));
    assert_eq!(note.verify(&[key.verifier()]).is_ok(), signed_by(&note, &key.verifier()));

    let signed = SignedNote::sign(note.unverified_text(), &[&key]);
    let read: SignedNote = signed.to_string().parse().expect("a text that was a note's");
    assert_eq!(read, signed);
    assert_eq!(read.verify(&[key.verifier()]), Ok(note.unverified_text()));
}

/// The sample ledger's key.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, &KEY_SEED).expect("an origin")
}

/// Whether `key` has signed `note` and no signature in its name is wrong, found out signature by signature.
pub(crate) fn signed_by(note: &SignedNote, key: &VerifierKey) -> bool {
    let mut named = note.signatures().iter().filter(|line| line.name == key.name() && line.id == key.id()).peekable();
    let right = |line: &NoteSignature| match line.signature.as_slice().try_into() {
        Ok(signature) => key.verifies(note.unverified_text().as_bytes(), &tollgate_audit::Signature(signature)),
        Err(_length) => false,
    };
    named.peek().is_some() && named.all(right)
}
