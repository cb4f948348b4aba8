//! Entries as bytes: deterministic CBOR (RFC 8949 §4.2.1) with integer keys, as `entry.cddl` words it.
//!
//! Encoding always succeeds and always fits [`ENTRY_BYTES_MAX`]. Decoding accepts exactly what encoding can
//! produce: whatever is read back would be written as the same bytes. Verification must never depend on that
//! and hashes the stored bytes.

pub mod blocked_frame;
mod decode;
mod encode;
mod reader;
mod writer;

use std::borrow::Cow;

use crate::entry::{Entry, Kind};
use crate::ids::{CallId, LeafHash};
use crate::tree::leaf_hash;

pub use self::reader::DecodeError;

/// Most bytes of an encoded entry: with its frame it stays below `PIPE_BUF` (4096), so that one write to a pipe
/// is atomic.
pub const ENTRY_BYTES_MAX: usize = 3 * 1024;

/// Most bytes of a text, or of the part of it that an entry shows: three such texts fit beside all other fields.
pub const TEXT_BYTES_MAX: usize = 896;

/// The version of the entry format, which every entry names. Versions 1 to 4 were never released, and none of their
/// entries is read.
pub const ENTRY_VERSION: u64 = 5;

/// Bytes of the length before an entry in its frame.
pub const LENGTH_BYTES: usize = 2;

/// Bytes of the check behind it.
pub const CHECK_BYTES: usize = 4;

/// An entry as stored, with its leaf hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedEntry {
    bytes: Vec<u8>,
    leaf: LeafHash,
}

impl EncodedEntry {
    /// The bytes that are stored and hashed, at most [`ENTRY_BYTES_MAX`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The hash of these bytes as a leaf.
    #[must_use]
    pub fn leaf(&self) -> LeafHash {
        self.leaf
    }
}

/// The version of an entry by the bytes at its start alone.
pub fn version(entry: &[u8]) -> Option<u64> {
    let [_map, 0x00, version @ 0..=23, ..] = entry else { return None };
    Some(u64::from(*version))
}

/// Kind and call of an entry by the bytes at its start alone, which stand at fixed places.
pub fn kind_and_call(entry: &[u8]) -> Option<(Kind, Option<CallId>)> {
    let [_map, 0x00, _version, 0x01, kind, rest @ ..] = entry else {
        return None;
    };
    let kind = Kind::from_number(u64::from(*kind))?;
    let call = rest.strip_prefix(&[0x02, form::BYTES | 16]).and_then(|rest| rest.first_chunk());
    Some((kind, call.copied().map(CallId)))
}

impl<'a> Entry<'a> {
    /// The entry as bytes. Always fits: the more there is, the shorter texts are cut ([`Text`](crate::Text)) and
    /// the more pairs are left out and counted ([`Pairs`](crate::Pairs)).
    #[must_use]
    pub fn encode(&self) -> EncodedEntry {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        for limits in LIMITS {
            encode::entry(self, limits, &mut bytes);
            if bytes.len() <= ENTRY_BYTES_MAX {
                break;
            }
        }
        debug_assert!(bytes.len() <= ENTRY_BYTES_MAX, "the last limits fit every kind of entry");
        EncodedEntry { leaf: leaf_hash(&bytes), bytes }
    }

    /// Reads an entry whose texts point into `bytes`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when `bytes` is anything but one entry in its one deterministic encoding: unknown, missing
    /// or misplaced keys, numbers that are longer than needed, values out of range, bytes after the end.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        decode::entry(bytes, Cow::Borrowed)
    }
}

impl Entry<'static> {
    /// Reads an entry with texts of its own.
    ///
    /// # Errors
    ///
    /// As [`Entry::decode`].
    pub fn decode_owned(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::entry(bytes, |text| Cow::Owned(text.to_owned()))
    }
}

/// How much of an entry is stored.
#[derive(Clone, Copy)]
struct Limits {
    text_bytes: usize,
    pairs: usize,
}

/// Tried in order until the entry fits. With the last, the largest kind (an intent) has 12 facts of at most
/// 66 + 110 bytes, two texts of 112 and 50 bytes beside.
const LIMITS: [Limits; 3] = [
    Limits { text_bytes: TEXT_BYTES_MAX, pairs: crate::pairs::PAIRS_MAX },
    Limits { text_bytes: 256, pairs: 32 },
    Limits { text_bytes: 64, pairs: 12 },
];

/// Room that most entries never outgrow.
const USUAL_BYTES: usize = 256;

/// First bytes of items (RFC 8949 §3.1): major types, and the two simple values in use.
mod form {
    pub(super) const UINT: u8 = 0 << 5;
    pub(super) const BYTES: u8 = 2 << 5;
    pub(super) const TEXT: u8 = 3 << 5;
    pub(super) const ARRAY: u8 = 4 << 5;
    pub(super) const MAP: u8 = 5 << 5;
    pub(super) const SIMPLE: u8 = 7 << 5;
    pub(super) const FALSE: u8 = SIMPLE | 20;
    pub(super) const TRUE: u8 = SIMPLE | 21;

    /// Major type and argument in the fewest bytes (§3, §4.2.1), and how many these are.
    pub(super) const fn head(major: u8, argument: u64) -> ([u8; 9], usize) {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = argument.to_be_bytes();
        match argument {
            0..=23 => ([major | b7, 0, 0, 0, 0, 0, 0, 0, 0], 1),
            24..=0xff => ([major | 24, b7, 0, 0, 0, 0, 0, 0, 0], 2),
            0x100..=0xffff => ([major | 25, b6, b7, 0, 0, 0, 0, 0, 0], 3),
            0x1_0000..=0xffff_ffff => ([major | 26, b4, b5, b6, b7, 0, 0, 0, 0], 5),
            0x1_0000_0000..=u64::MAX => ([major | 27, b0, b1, b2, b3, b4, b5, b6, b7], 9),
        }
    }
}

/// Keys of the entry map. One meaning each, whatever the kind. The next key is the one after the last; 46 stays free.
mod key {
    pub(super) const VERSION: u64 = 0;
    pub(super) const KIND: u64 = 1;
    pub(super) const CALL: u64 = 2;
    pub(super) const SEQ: u64 = 3;
    pub(super) const OF: u64 = 4;
    pub(super) const AT_US: u64 = 5;
    pub(super) const TIME_NS: u64 = 6;
    pub(super) const FUNCTION: u64 = 7;
    pub(super) const FACTS: u64 = 8;
    pub(super) const VERDICT: u64 = 9;
    pub(super) const RULE: u64 = 10;
    pub(super) const RESULT: u64 = 11;
    pub(super) const BYTES_READ: u64 = 12;
    pub(super) const BYTES_WRITTEN: u64 = 13;
    pub(super) const CALLS: u64 = 14;
    pub(super) const LAYER: u64 = 15;
    pub(super) const ACTION: u64 = 16;
    pub(super) const MESSAGE: u64 = 17;
    pub(super) const LEFT_OUT: u64 = 18;
    pub(super) const CLASS: u64 = 19;
    pub(super) const DETAIL: u64 = 20;
    pub(super) const USAGE: u64 = 21;
    pub(super) const COUNTERS: u64 = 22;
    pub(super) const ENTRIES: u64 = 23;
    pub(super) const ROOT: u64 = 24;
    pub(super) const TOOL: u64 = 25;
    pub(super) const TOOL_VERSION: u64 = 26;
    pub(super) const COMPONENT: u64 = 27;
    pub(super) const OPERATION: u64 = 28;
    // Up to REASON as the request says it.
    pub(super) const CLAIMED_AGENT: u64 = 29;
    pub(super) const CLAIMED_SESSION: u64 = 30;
    pub(super) const DECISION: u64 = 31;
    pub(super) const REASON: u64 = 32;
    pub(super) const ARGUMENTS: u64 = 33;
    pub(super) const ARGUMENTS_BYTES: u64 = 34;
    pub(super) const CAPABILITY_SET: u64 = 35;
    pub(super) const MANIFEST: u64 = 36;
    pub(super) const GRANT: u64 = 37;
    pub(super) const BY: u64 = 38;
    pub(super) const ORIGIN: u64 = 39;
    pub(super) const SOFTWARE: u64 = 40;
    pub(super) const PUBLIC_KEY: u64 = 41;
    pub(super) const OLD_PUBLIC_KEY: u64 = 42;
    pub(super) const SIGNATURE: u64 = 43;
    pub(super) const OLD_SIGNATURE: u64 = 44;
    pub(super) const DURABILITY: u64 = 45;
    pub(super) const RESULT_DIGEST: u64 = 47;
    pub(super) const CAP: u64 = 48;
    pub(super) const WRITER: u64 = 49;
    pub(super) const LEVEL: u64 = 50;
    pub(super) const REQUIRED: u64 = 51;
    pub(super) const LANDLOCK_ABI: u64 = 52;
    pub(super) const HANDLED_FS: u64 = 53;
    pub(super) const HANDLED_NET: u64 = 54;
    pub(super) const SCOPED: u64 = 55;
    pub(super) const THREADS: u64 = 56;
    pub(super) const RULESET: u64 = 57;
    pub(super) const FILTER: u64 = 58;
    pub(super) const PLAN: u64 = 59;
    pub(super) const POLICIES: u64 = 60;
    pub(super) const SELF_TEST: u64 = 61;
    pub(super) const THREAD: u64 = 62;
    pub(super) const NUMBER: u64 = 63;
    pub(super) const ARCH: u64 = 64;
    pub(super) const REGISTERS: u64 = 65;
    pub(super) const INSTRUCTION: u64 = 66;
    pub(super) const PROCESS: u64 = 67;
    pub(super) const RECORD: u64 = 68;
    pub(super) const FIRST: u64 = 69;
    pub(super) const COUNT: u64 = 70;
    pub(super) const KNOWN_SIZE: u64 = 71;
    pub(super) const KNOWN_ROOT: u64 = 72;
    pub(super) const FOLDERS: u64 = 73;
    pub(super) const DECLARED: u64 = 74;
    pub(super) const AGENT: u64 = 75;
    pub(super) const SESSION: u64 = 76;
    pub(super) const TRACE: u64 = 77;
    pub(super) const POLICY_TEXT: u64 = 78;
}
