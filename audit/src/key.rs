//! Ed25519 keys: the pair that signs checkpoints, and the public half as C2SP signed-note writes it.
//!
//! A secret key must never be printed: its text form goes to the key file alone.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as DalekSignature, Signer as _, SigningKey as DalekKey, VerifyingKey};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ids::{PublicKey, Signature};

/// Most bytes of an origin: it names a log, usually as a URL without a scheme.
pub const ORIGIN_BYTES_MAX: usize = 255;

/// Four bytes that, with a key's name, tell keys of a note apart (C2SP signed-note, "Signatures"). A hint, no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

/// A public key with its name, as verifiers are given it.
///
/// Text form: `name+hash+base64(0x01 ‖ key)`, `hash` being the [`KeyId`] in hex (C2SP signed-note, "verifier key").
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

/// A key pair with its name, which for a ledger's key is the ledger's origin.
pub struct SigningKey {
    name: String,
    key: DalekKey,
}

/// A text or some bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// Not the parts that a key consists of.
    #[error("a verifier key reads `name+hash+key`")]
    Form,
    /// The name cannot be a key's.
    #[error("the name of a key has no spaces and no plus signs")]
    Name,
    /// The hash is not that of name and key.
    #[error("the hash of the key does not fit its name and bytes")]
    Hash,
    /// The key is of another algorithm than Ed25519 (0x01).
    #[error("the key is not of algorithm 1 (Ed25519)")]
    Algorithm,
    /// The bytes are no point of the curve.
    #[error("the bytes are no Ed25519 key")]
    Key,
}

impl VerifierKey {
    /// The key `key` under `name`.
    ///
    /// # Errors
    ///
    /// [`ParseKeyError::Name`], [`ParseKeyError::Key`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self, ParseKeyError> {
        if !is_origin(name) {
            return Err(ParseKeyError::Name);
        }
        let key = VerifyingKey::from_bytes(&key.0).or(Err(ParseKeyError::Key))?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key without its name.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.to_bytes())
    }

    /// `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key)`, its first four bytes.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.name, self.key.as_bytes())
    }

    /// Whether this key signed `message`. Keys and signatures in more than one form are refused (RFC 8032 §5.1.7,
    /// strictly).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.key.verify_strict(message, &DalekSignature::from_bytes(&signature.0)).is_ok()
    }
}

impl SigningKey {
    /// A fresh key from the kernel's randomness.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] when the kernel gives none.
    ///
    /// # Panics
    ///
    /// Never for a name that is an origin; see [`SigningKey::from_seed`].
    pub fn generate(name: &str) -> std::io::Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self { name: name.to_owned(), key: DalekKey::from_bytes(&seed) })
    }

    /// The key of a secret seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    ///
    /// [`ParseKeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, ParseKeyError> {
        if is_origin(name) {
            Ok(Self { name: name.to_owned(), key: DalekKey::from_bytes(seed) })
        } else {
            Err(ParseKeyError::Name)
        }
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }

    /// The text of a key file: `PRIVATE+KEY+name+hash+base64(0x01 ‖ seed)`, as Go's `note.GenerateKey` writes it.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![ED25519]);
        bytes.extend_from_slice(self.key.as_bytes());
        let encoded = Zeroizing::new(STANDARD.encode(&*bytes));
        let id = key_id(&self.name, self.key.verifying_key().as_bytes());
        Zeroizing::new(format!("{SECRET_PREFIX}{}+{id}+{}", self.name, *encoded))
    }

    pub fn from_secret_text(text: &str) -> Result<Self, ParseKeyError> {
        let parts = text.strip_prefix(SECRET_PREFIX).ok_or(ParseKeyError::Form)?;
        let (name, id, seed) = split(parts)?;
        let key = Self::from_seed(name, &seed)?;
        if key.verifier().id() == id { Ok(key) } else { Err(ParseKeyError::Hash) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifier())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl Serialize for VerifierKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for VerifierKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let (name, id, key) = split(text)?;
        let key = Self::new(name, PublicKey(*key))?;
        if key.id() == id { Ok(key) } else { Err(ParseKeyError::Hash) }
    }
}

/// The parts of `name+hash+base64(0x01 ‖ 32 bytes)`. Base64 may hold plus signs, names may not.
fn split(text: &str) -> Result<(&str, KeyId, Zeroizing<[u8; 32]>), ParseKeyError> {
    let (name, rest) = text.split_once('+').ok_or(ParseKeyError::Form)?;
    let (id, key) = rest.split_once('+').ok_or(ParseKeyError::Form)?;
    let mut id_bytes = [0; 4];
    hex::decode_to_slice(id, &mut id_bytes).or(Err(ParseKeyError::Form))?;
    let id = KeyId(id_bytes).to_string().eq(id).then_some(KeyId(id_bytes)).ok_or(ParseKeyError::Form)?;
    let bytes = Zeroizing::new(STANDARD.decode(key).or(Err(ParseKeyError::Form))?);
    let (algorithm, key) = bytes.split_first().ok_or(ParseKeyError::Form)?;
    if *algorithm != ED25519 {
        return Err(ParseKeyError::Algorithm);
    }
    let key = <[u8; 32]>::try_from(key).or(Err(ParseKeyError::Key))?;
    Ok((name, id, Zeroizing::new(key)))
}

fn key_id(name: &str, key: &[u8; 32]) -> KeyId {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key).finalize();
    let [b0, b1, b2, b3, ..] = <[u8; 32]>::from(hash);
    KeyId([b0, b1, b2, b3])
}

/// The signature type of signed-note for plain Ed25519.
const ED25519: u8 = 0x01;

pub const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// Whether `origin` may name a log (C2SP tlog-checkpoint, and key names of signed-note: no spaces, no plus signs).
pub fn is_origin(origin: &str) -> bool {
    !origin.is_empty()
        && origin.len() <= ORIGIN_BYTES_MAX
        && !origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the documentation of Go's `golang.org/x/mod/sumdb/note`.
    const PEER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PEER_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

    #[test]
    fn keys_of_the_go_implementation_are_read_and_written() {
        let key: VerifierKey = PEER.parse().unwrap();
        assert_eq!((key.name(), key.id()), ("PeterNeumann", KeyId([0xc7, 0x4f, 0x20, 0xa3])));
        assert_eq!(key.to_string(), PEER);
        let secret = SigningKey::from_secret_text(PEER_SECRET).unwrap();
        assert_eq!(secret.verifier(), key);
        assert_eq!(*secret.to_secret_text(), PEER_SECRET);
        assert!(key.verifies(b"m", &secret.sign(b"m")));
        assert!(!key.verifies(b"n", &secret.sign(b"m")));
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = SigningKey::from_secret_text(PEER_SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), format!("SigningKey({PEER})"));
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", ParseKeyError::Form),
            ("a+b", ParseKeyError::Form),
            (&PEER.replace("c74f20a3", "C74F20A3"), ParseKeyError::Form),
            (&PEER.replace("c74f20a3", "c74f20a4"), ParseKeyError::Hash),
            (&PEER.replace("PeterNeumann", "Peter"), ParseKeyError::Hash),
            (&PEER.replace("PeterNeumann", ""), ParseKeyError::Name),
            (&PEER.replace("+AR", "+BR"), ParseKeyError::Algorithm),
            (&format!("{PEER}\n"), ParseKeyError::Form),
        ] {
            assert_eq!(text.parse::<VerifierKey>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn texts_never_panic_and_are_read_back(text in "\\PC{0,40}", seed in any::<[u8; 32]>(), name in "[a-z./]{1,20}") {
            prop_assert!(text.parse::<VerifierKey>().is_err());
            let key = SigningKey::from_seed(&name, &seed).unwrap();
            prop_assert_eq!(key.verifier().to_string().parse(), Ok(key.verifier()));
            let again = SigningKey::from_secret_text(&key.to_secret_text()).unwrap();
            prop_assert_eq!(again.verifier(), key.verifier());
        }
    }
}
