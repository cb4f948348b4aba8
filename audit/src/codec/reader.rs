//! Reads the few forms of CBOR that entries use, and no form but the deterministic one.
//!
//! The bytes are untrusted: nothing here may panic, or reserve memory by a length that was merely claimed.

use std::borrow::Cow;

use crate::codec::form::{ARRAY, BYTES, FALSE, MAP, TEXT, TRUE, UINT};
use crate::codec::{ENTRY_BYTES_MAX, ENTRY_VERSION, TEXT_BYTES_MAX};
use crate::ids::Digest;
use crate::pairs::{PAIR_KEY_BYTES_MAX, PAIRS_MAX, order};
use crate::text::{Cut, Text};

/// Bytes are not an entry. Offsets count from the start of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than any entry.
    #[error("{bytes} bytes are more than an entry has ({ENTRY_BYTES_MAX})")]
    TooLong {
        /// Length of what was given.
        bytes: usize,
    },
    /// Of another version of the format. Nothing else of it is known.
    #[error("it has format {found}, and this program reads format {ENTRY_VERSION}")]
    Version {
        /// The version that the entry names.
        found: u64,
    },
    /// The bytes end within a value.
    #[error("the entry ends within the value at byte {offset}")]
    Ends {
        /// Where the value starts.
        offset: usize,
    },
    /// A value of another type than this field has.
    #[error("a value of another type than expected at byte {offset}")]
    Type {
        /// Where the value starts.
        offset: usize,
    },
    /// CBOR, but not in the one form that RFC 8949 §4.2.1 allows.
    #[error("not the deterministic form of CBOR at byte {offset}")]
    NotDeterministic {
        /// Where the value starts.
        offset: usize,
    },
    /// A key is unknown, missing or out of order.
    #[error("key {expected} expected before byte {offset}, found {found:?}")]
    Key {
        /// Where the value of the key found starts.
        offset: usize,
        /// The key that must come here.
        expected: u64,
        /// The key that came, if any.
        found: Option<u64>,
    },
    /// A key that this kind of entry does not have here.
    #[error("key {found} not expected before byte {offset}")]
    UnexpectedKey {
        /// Where its value starts.
        offset: usize,
        /// The key.
        found: u64,
    },
    /// A value that this field cannot have.
    #[error("no valid {field} at byte {offset}")]
    Value {
        /// Where the value starts or ends.
        offset: usize,
        /// The field.
        field: &'static str,
    },
    /// Bytes follow the entry.
    #[error("bytes follow the entry at byte {offset}")]
    Trailing {
        /// Where they start.
        offset: usize,
    },
}

/// Reads an entry map field by field. `keep` decides whether texts are borrowed or copied.
pub(super) struct Reader<'b, 'o> {
    bytes: &'b [u8],
    position: usize,
    keep: fn(&'b str) -> Cow<'o, str>,
    fields_left: u64,
    // A key that was read while its turn has not come.
    ahead: Option<u64>,
}

impl<'b, 'o> Reader<'b, 'o> {
    pub(super) fn start(bytes: &'b [u8], keep: fn(&'b str) -> Cow<'o, str>) -> Result<Self, DecodeError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(DecodeError::TooLong { bytes: bytes.len() });
        }
        let mut reader = Self { bytes, position: 0, keep, fields_left: 0, ahead: None };
        reader.fields_left = reader.head(MAP)?;
        Ok(reader)
    }

    pub(super) fn end(mut self) -> Result<(), DecodeError> {
        if let Some(found) = self.next_key()? {
            return Err(DecodeError::UnexpectedKey { offset: self.position, found });
        }
        let offset = self.position;
        if offset == self.bytes.len() { Ok(()) } else { Err(DecodeError::Trailing { offset }) }
    }

    pub(super) fn uint(&mut self, key: u64) -> Result<u64, DecodeError> {
        self.key(key)?;
        self.item_uint()
    }

    pub(super) fn optional_uint(&mut self, key: u64) -> Result<Option<u64>, DecodeError> {
        if self.has(key)? { self.item_uint().map(Some) } else { Ok(None) }
    }

    pub(super) fn bytes<const N: usize>(&mut self, key: u64) -> Result<[u8; N], DecodeError> {
        self.key(key)?;
        self.item_bytes()
    }

    pub(super) fn optional_bytes<const N: usize>(&mut self, key: u64) -> Result<Option<[u8; N]>, DecodeError> {
        if self.has(key)? { self.item_bytes().map(Some) } else { Ok(None) }
    }

    /// A text that is never cut.
    pub(super) fn str(&mut self, key: u64) -> Result<&'b str, DecodeError> {
        self.key(key)?;
        self.item_str()
    }

    pub(super) fn text(&mut self, key: u64) -> Result<Text<'o>, DecodeError> {
        self.key(key)?;
        self.item_text()
    }

    pub(super) fn optional_text(&mut self, key: u64) -> Result<Option<Text<'o>>, DecodeError> {
        if self.has(key)? { self.item_text().map(Some) } else { Ok(None) }
    }

    /// An array of at most `max` numbers.
    pub(super) fn uints(&mut self, key: u64, max: usize) -> Result<Vec<u64>, DecodeError> {
        self.key(key)?;
        let length = self.head(ARRAY)?;
        if usize::try_from(length).map_or(true, |length| length > max) {
            return Err(self.value("array"));
        }
        (0..length).map(|_| self.item_uint()).collect()
    }

    /// An array of at most `max` byte strings.
    pub(super) fn byte_strings<const N: usize>(&mut self, key: u64, max: usize) -> Result<Vec<[u8; N]>, DecodeError> {
        self.key(key)?;
        let length = self.head(ARRAY)?;
        if usize::try_from(length).map_or(true, |length| length > max) {
            return Err(self.value("array"));
        }
        (0..length).map(|_| self.item_bytes()).collect()
    }

    /// A map from names to values; how many were left out is a field of its own.
    pub(super) fn pairs<V>(
        &mut self,
        key: u64,
        read: impl Fn(&mut Self) -> Result<V, DecodeError>,
    ) -> Result<Vec<(Cow<'o, str>, V)>, DecodeError> {
        self.key(key)?;
        let length = self.head(MAP)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > PAIRS_MAX {
            return Err(self.value("number of pairs"));
        }
        let mut pairs = Vec::with_capacity(length);
        let mut last = None;
        for _ in 0..length {
            let name = self.item_str()?;
            if name.len() > PAIR_KEY_BYTES_MAX {
                return Err(self.value("name"));
            }
            if last.is_some_and(|last| order(last) >= order(name)) {
                return Err(DecodeError::NotDeterministic { offset: self.position });
            }
            last = Some(name);
            pairs.push(((self.keep)(name), read(self)?));
        }
        Ok(pairs)
    }

    pub(super) fn left_out(&mut self, key: u64) -> Result<u64, DecodeError> {
        match self.optional_uint(key)? {
            None => Ok(0),
            // Nothing left out has one form only: no key.
            Some(0) => Err(self.value("number left out")),
            Some(items) => Ok(items),
        }
    }

    pub(super) fn item_uint(&mut self) -> Result<u64, DecodeError> {
        self.head(UINT)
    }

    pub(super) fn item_bool(&mut self) -> Result<bool, DecodeError> {
        let offset = self.position;
        match self.take::<1>(offset)? {
            [FALSE] => Ok(false),
            [TRUE] => Ok(true),
            _ => Err(DecodeError::Type { offset }),
        }
    }

    pub(super) fn item_text(&mut self) -> Result<Text<'o>, DecodeError> {
        if !self.at(ARRAY) {
            let whole = self.item_str()?;
            return self.shown(whole).map(Text::from);
        }
        if self.head(ARRAY)? != 3 {
            return Err(self.value("cut text"));
        }
        let start = self.item_str()?;
        let shown = self.shown(start)?;
        let cut = Cut { bytes: self.item_uint()?, digest: Digest(self.item_bytes()?) };
        if cut.bytes <= start.len() as u64 {
            return Err(self.value("length of a cut text"));
        }
        Ok(Text::with_cut(shown, cut))
    }

    /// Whether an item of this major type comes next.
    pub(super) fn at(&self, major: u8) -> bool {
        self.bytes.get(self.position).is_some_and(|head| head & MAJOR == major)
    }

    /// The error for a value of `field` that was just read.
    pub(super) fn value(&self, field: &'static str) -> DecodeError {
        DecodeError::Value { offset: self.position, field }
    }

    fn key(&mut self, expected: u64) -> Result<(), DecodeError> {
        if self.has(expected)? {
            return Ok(());
        }
        Err(DecodeError::Key { offset: self.position, expected, found: self.ahead })
    }

    /// Whether `key` comes next; then its value is to be read.
    fn has(&mut self, key: u64) -> Result<bool, DecodeError> {
        let here = self.next_key()? == Some(key);
        if here {
            self.ahead = None;
        }
        Ok(here)
    }

    fn next_key(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.ahead.is_none() && self.fields_left > 0 {
            self.fields_left -= 1;
            self.ahead = Some(self.item_uint()?);
        }
        Ok(self.ahead)
    }

    fn item_bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let offset = self.position;
        if self.head(BYTES)? != N as u64 {
            return Err(self.value("length of bytes"));
        }
        self.take(offset)
    }

    pub(super) fn item_str(&mut self) -> Result<&'b str, DecodeError> {
        let offset = self.position;
        let length = usize::try_from(self.head(TEXT)?).or(Err(DecodeError::Ends { offset }))?;
        let (text, _) = self.rest().split_at_checked(length).ok_or(DecodeError::Ends { offset })?;
        self.position += length;
        std::str::from_utf8(text).or(Err(DecodeError::Value { offset, field: "UTF-8" }))
    }

    fn shown(&self, text: &'b str) -> Result<Cow<'o, str>, DecodeError> {
        if text.len() > TEXT_BYTES_MAX { Err(self.value("length of a text")) } else { Ok((self.keep)(text)) }
    }

    /// The argument of the next item's head, which must be of this major type and as short as can be
    /// (RFC 8949 §3, §4.2.1).
    fn head(&mut self, major: u8) -> Result<u64, DecodeError> {
        let offset = self.position;
        let [head] = self.take::<1>(offset)?;
        if head & MAJOR != major {
            return Err(DecodeError::Type { offset });
        }
        let (argument, shorter) = match head & !MAJOR {
            short @ 0..=23 => return Ok(u64::from(short)),
            24 => (u64::from(u8::from_be_bytes(self.take(offset)?)), 23),
            25 => (u64::from(u16::from_be_bytes(self.take(offset)?)), u64::from(u8::MAX)),
            26 => (u64::from(u32::from_be_bytes(self.take(offset)?)), u64::from(u16::MAX)),
            27 => (u64::from_be_bytes(self.take(offset)?), u64::from(u32::MAX)),
            // Reserved, or of indefinite length.
            _ => return Err(DecodeError::NotDeterministic { offset }),
        };
        if argument > shorter { Ok(argument) } else { Err(DecodeError::NotDeterministic { offset }) }
    }

    /// The next `N` bytes, of the value that starts at `offset`.
    fn take<const N: usize>(&mut self, offset: usize) -> Result<[u8; N], DecodeError> {
        let bytes = self.rest().first_chunk().ok_or(DecodeError::Ends { offset })?;
        self.position += N;
        Ok(*bytes)
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }
}

const MAJOR: u8 = 0b1110_0000;
