//! C2SP signed-note: a text, an empty line, and signature lines `— name base64(key id ‖ signature)`.
//!
//! Text without a signature of a key that the caller knows must never be handed out as signed. Signatures of
//! others (witnesses, keys to come) are kept as they are.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ids::Signature;
use crate::key::{KeyId, SigningKey, VerifierKey, is_origin};

/// Most bytes of a note: room for a hundred witnesses with large signatures.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

/// Most signatures of a note; the specification asks for at least 16.
pub const NOTE_SIGNATURES_MAX: usize = 128;

/// A text with signatures, none of them checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub id: KeyId,
    /// What the key's algorithm makes of the text.
    pub signature: Vec<u8>,
}

/// Bytes are not a signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNoteError {
    /// Longer than any note.
    #[error("longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// A control character other than a newline.
    #[error("a control character at byte {offset}")]
    ControlCharacter {
        /// Where it stands.
        offset: usize,
    },
    /// No text that ends in a newline, an empty line, and at least one signature.
    #[error("no text and signatures parted by an empty line")]
    Parts,
    /// A line after the empty one is no signature.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Counted from 1.
        line: usize,
    },
    /// More signatures than a note has.
    #[error("more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
}

/// The note is not signed as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyNoteError {
    /// No signature by any of the keys.
    #[error("no signature by a known key")]
    NoKnownKey,
    /// A signature in the name of a known key is not its.
    #[error("the signature of {name} is wrong")]
    WrongSignature {
        /// The name of the key.
        name: String,
    },
}

impl SignedNote {
    /// The text `text` with a signature by each of `keys`.
    ///
    /// # Panics
    ///
    /// Never; a text without its final newline gets one.
    #[must_use]
    pub fn sign(text: &str, keys: &[&SigningKey]) -> Self {
        let mut text = text.to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut note = Self { text, signatures: Vec::new() };
        for key in keys {
            let verifier = key.verifier();
            let signature = key.sign(note.text.as_bytes()).0.to_vec();
            note.signatures.push(NoteSignature { name: verifier.name().to_owned(), id: verifier.id(), signature });
        }
        note
    }

    /// The text by at least one of `keys`, all of whose signatures are right. Signatures of other keys are passed
    /// over, as the specification demands.
    ///
    /// # Errors
    ///
    /// [`VerifyNoteError`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<&str, VerifyNoteError> {
        let mut known = false;
        for line in &self.signatures {
            for key in keys.iter().filter(|key| key.name() == line.name && key.id() == line.id) {
                let signature = <[u8; 64]>::try_from(line.signature.as_slice()).map(Signature);
                if !signature.is_ok_and(|signature| key.verifies(self.text.as_bytes(), &signature)) {
                    return Err(VerifyNoteError::WrongSignature { name: line.name.clone() });
                }
                known = true;
            }
        }
        if known { Ok(&self.text) } else { Err(VerifyNoteError::NoKnownKey) }
    }

    /// The text, of which nothing is known yet.
    #[must_use]
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// All signatures, known and unknown, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line, such as the cosignature of a witness (C2SP tlog-cosignature).
    pub fn push(&mut self, signature: NoteSignature) {
        self.signatures.push(signature);
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for SignedNote {
    type Err = ParseNoteError;

    fn from_str(note: &str) -> Result<Self, ParseNoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(ParseNoteError::TooLong);
        }
        if let Some(offset) = note.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
            return Err(ParseNoteError::ControlCharacter { offset });
        }
        // The last empty line parts them: the text may hold others.
        let split = note.rfind("\n\n").ok_or(ParseNoteError::Parts)?;
        let (text, lines) = note.split_at_checked(split + 1).ok_or(ParseNoteError::Parts)?;
        let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(ParseNoteError::Parts)?;
        let mut signatures = Vec::new();
        for (line, text) in (1..).zip(lines.split('\n')) {
            if line > NOTE_SIGNATURES_MAX {
                return Err(ParseNoteError::TooManySignatures);
            }
            signatures.push(text.parse().or(Err(ParseNoteError::SignatureLine { line }))?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.0.as_slice(), &self.signature].concat();
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for NoteSignature {
    type Err = ParseNoteError;

    /// One signature line without its newline.
    fn from_str(line: &str) -> Result<Self, ParseNoteError> {
        let malformed = ParseNoteError::SignatureLine { line: 1 };
        let (name, bytes) = line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or(malformed)?;
        let bytes = STANDARD.decode(bytes).or(Err(malformed))?;
        let (id, signature) = bytes.split_first_chunk().ok_or(malformed)?;
        if !is_origin(name) || signature.is_empty() {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), id: KeyId(*id), signature: signature.to_vec() })
    }
}

const DASH: &str = "\u{2014} ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the documentation of Go's `golang.org/x/mod/sumdb/note`.
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const PEER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_note_of_the_go_implementation_verifies() {
        let note: SignedNote = NOTE.parse().unwrap();
        let text = note.verify(&[PEER.parse().unwrap()]).unwrap();
        assert!(text.ends_with("is.\n"));
        assert_eq!(note.to_string(), NOTE);
        assert_eq!(note.verify(&[]), Err(VerifyNoteError::NoKnownKey));
    }

    #[test]
    fn a_known_keys_wrong_signature_spoils_the_note() {
        let key = SigningKey::from_seed("one", &[1; 32]).unwrap();
        let other = SigningKey::from_seed("two", &[2; 32]).unwrap();
        let mut note = SignedNote::sign("text\n", &[&key, &other]);
        let keys = [key.verifier(), other.verifier()];
        assert_eq!(note.verify(&keys), Ok("text\n"));
        note.signatures[1].signature[3] ^= 1;
        assert_eq!(note.verify(&keys), Err(VerifyNoteError::WrongSignature { name: "two".to_owned() }));
        assert_eq!(note.verify(&keys[..1]), Ok("text\n"), "unknown keys do not count");
    }

    #[test]
    fn unknown_signatures_are_kept() {
        let key = SigningKey::from_seed("log", &[1; 32]).unwrap();
        let mut note = SignedNote::sign("text\n", &[&key]);
        note.push(NoteSignature { name: "witness".to_owned(), id: KeyId([4; 4]), signature: vec![9; 72] });
        let again: SignedNote = note.to_string().parse().unwrap();
        assert_eq!(again, note);
        assert_eq!(again.verify(&[key.verifier()]), Ok("text\n"));
    }

    #[test]
    fn other_texts_are_refused() {
        let line = NOTE.lines().last().unwrap();
        for note in [
            String::new(),
            "text\n".to_owned(),
            "text\n\n".to_owned(),
            format!("text\n\n{line}"),
            format!("text\n{line}\n"),
            format!("text\n\n{line}\n\n"),
            format!("text\r\n\n{line}\n"),
            format!("text\n\n{}\n", line.replace('\u{2014}', "-")),
            format!("text\n\n{}\n", line.trim_end_matches('=')),
            "text\n\n\u{2014} name AAAA\n".to_owned(),
            "text\n\n\u{2014} na+me x08go/ZJkuBS9UG/\n".to_owned(),
        ] {
            assert!(note.parse::<SignedNote>().is_err(), "{note:?}");
        }
        let many = format!("text\n\n{}", format!("{line}\n").repeat(NOTE_SIGNATURES_MAX + 1));
        assert_eq!(many.parse::<SignedNote>(), Err(ParseNoteError::TooManySignatures));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(
            text in "[a-z\n ]{0,30}",
            lines in prop::collection::vec("(\u{2014} [a-z]{0,3} [A-Za-z0-9+/]{0,24}={0,2}|\\PC{0,20})", 0..4),
        ) {
            let note = format!("{text}\n\n{}\n", lines.join("\n"));
            if let Ok(read) = note.parse::<SignedNote>() {
                prop_assert_eq!(read.to_string(), note);
            }
        }
    }
}
