//! Identifiers and hashes, one type each, so that no two of them can be mixed up.
//!
//! They are plain values: nothing here touches the ledger.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

hex_type! {
    /// Names one call of a tool. Text form: 32 lower-case hex digits.
    ///
    /// 6 bytes of milliseconds since the Unix epoch, so that ids sort by time, 6 bytes of the issuer, who gives the call its id
    /// ([`CallId::issuer`]), 4 bytes that count the issuer's calls; all big-endian.
    CallId, 16, "call id"
}

hex_type! {
    /// Names one process that records, or that gives calls their ids; 6 bytes chosen at random by whoever starts it. Text form: 12 lower-case hex
    /// digits.
    WriterId, 6, "writer id"
}

hex_type! {
    /// The hash of a leaf: `SHA-256(0x00 ‖ entry)` (RFC 9162 §2.1.1). Text form: 64 lower-case hex digits.
    LeafHash, 32, "leaf hash"
}

hex_type! {
    /// The root of a Merkle tree (RFC 9162 §2.1.1). Text form: 64 lower-case hex digits.
    RootHash, 32, "root hash"
}

hex_type! {
    /// An Ed25519 public key (RFC 8032 §5.1.5), merely as bytes. Text form: 64 lower-case hex digits.
    PublicKey, 32, "public key"
}

hex_type! {
    /// An Ed25519 signature (RFC 8032 §5.1.6), merely as bytes. Text form: 128 lower-case hex digits.
    Signature, 64, "signature"
}

impl CallId {
    /// The id of the call number `count` of `issuer`, started at `time_ms`.
    #[must_use]
    pub fn new(time_ms: u64, issuer: WriterId, count: u32) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = time_ms.to_be_bytes();
        let [h0, h1, h2, h3, h4, h5] = issuer.0;
        let [c0, c1, c2, c3] = count.to_be_bytes();
        Self([t0, t1, t2, t3, t4, t5, h0, h1, h2, h3, h4, h5, c0, c1, c2, c3])
    }

    /// When the call started: milliseconds since the Unix epoch.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        let [t0, t1, t2, t3, t4, t5, ..] = self.0;
        u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5])
    }

    /// The writer that gave the call its id: a supervisor, or a process that runs guests itself.
    #[must_use]
    pub fn issuer(self) -> WriterId {
        let [_, _, _, _, _, _, h0, h1, h2, h3, h4, h5, ..] = self.0;
        WriterId([h0, h1, h2, h3, h4, h5])
    }

    /// The number of the call among those of its issuer.
    #[must_use]
    pub fn count(self) -> u32 {
        let [.., c0, c1, c2, c3] = self.0;
        u32::from_be_bytes([c0, c1, c2, c3])
    }
}

impl WriterId {
    /// A new one, at random.
    ///
    /// # Errors
    ///
    /// The operating system gives no randomness.
    pub fn random() -> io::Result<Self> {
        let mut writer = Self([0; 6]);
        getrandom::fill(&mut writer.0)?;
        Ok(writer)
    }
}

/// SHA-256 of a whole piece of data outside the tree: a component, a manifest, arguments.
///
/// Text form: `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DIGEST_PREFIX)?;
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wanted = ParseIdError { what: "digest", wanted: "`sha256:` and 64 lower-case hex digits" };
        text.strip_prefix(DIGEST_PREFIX).and_then(parse_hex).map(Self).ok_or(wanted)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The place of an entry in the ledger, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeafIndex(pub u64);

/// The number of entries in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TreeSize(pub u64);

/// The place of an entry among those of its call, counted from 0 (the `call` entry).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Sequence(pub u32);

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is not the identifier or hash that it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {wanted} expected")]
pub struct ParseIdError {
    what: &'static str,
    wanted: &'static str,
}

/// A byte string whose text form is lower-case hex and nothing else.
macro_rules! hex_type {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wanted = concat!("lower-case hex digits of ", $bytes, " bytes");
                parse_hex(text).map(Self).ok_or(ParseIdError { what: $what, wanted })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use hex_type;

const DIGEST_PREFIX: &str = "sha256:";

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// One spelling per value: upper-case digits are refused, so that texts can be compared as texts.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_are_read_back() {
        let call = CallId([0xab; 16]);
        assert_eq!(call.to_string(), "ab".repeat(16));
        assert_eq!(call.to_string().parse(), Ok(call));

        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "ab", &"AB".repeat(16), &"zz".repeat(16), &"ab".repeat(17)] {
            assert!(text.parse::<CallId>().is_err(), "{text}");
        }
        assert!("ab".repeat(32).parse::<Digest>().is_err(), "a digest names its algorithm");
    }
}
