//! The few forms of CBOR that entries use, written deterministically.
//!
//! It must never fail: it writes to memory, and lengths in memory fit 64 bits.

use crate::codec::Limits;
use crate::codec::form::{self, ARRAY, BYTES, FALSE, MAP, TEXT, TRUE, UINT};
use crate::text::Text;

/// Writes an entry map field by field, keys rising.
pub(super) struct Writer<'v> {
    out: &'v mut Vec<u8>,
    limits: Limits,
    fields: u8,
}

impl<'v> Writer<'v> {
    /// Starts an entry map in place of what `out` holds.
    pub(super) fn start(out: &'v mut Vec<u8>, limits: Limits) -> Self {
        out.clear();
        out.push(MAP);
        Self { out, limits, fields: 0 }
    }

    /// Ends the map.
    pub(super) fn end(self) {
        debug_assert!(self.fields < 24, "an entry has few fields, its map head is one byte");
        if let Some(head) = self.out.first_mut() {
            *head = MAP | self.fields;
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn uint(&mut self, key: u64, value: u64) -> &mut Self {
        self.key(key);
        self.item_uint(value);
        self
    }

    pub(super) fn bytes(&mut self, key: u64, value: &[u8]) -> &mut Self {
        self.key(key);
        self.item_bytes(value);
        self
    }

    /// A text that is never cut.
    pub(super) fn str(&mut self, key: u64, value: &str) -> &mut Self {
        self.key(key);
        self.item_str(value);
        self
    }

    pub(super) fn text(&mut self, key: u64, value: &Text<'_>) -> &mut Self {
        self.key(key);
        self.item_text(value);
        self
    }

    pub(super) fn optional_text(&mut self, key: u64, value: Option<&Text<'_>>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    pub(super) fn uints(&mut self, key: u64, values: impl ExactSizeIterator<Item = u64>) -> &mut Self {
        self.key(key);
        self.head(ARRAY, values.len() as u64);
        values.for_each(|value| self.item_uint(value));
        self
    }

    pub(super) fn byte_strings<'b>(&mut self, key: u64, values: impl ExactSizeIterator<Item = &'b [u8]>) -> &mut Self {
        self.key(key);
        self.head(ARRAY, values.len() as u64);
        values.for_each(|value| self.item_bytes(value));
        self
    }

    /// A map of names to values, at most as many as the limits say.
    pub(super) fn pairs<'p, V: 'p>(
        &mut self,
        key: u64,
        pairs: &'p crate::pairs::Pairs<'_, V>,
        write: impl Fn(&mut Self, &V),
    ) -> &mut Self {
        self.key(key);
        let limit = self.limits.pairs;
        self.head(MAP, pairs.len().min(limit) as u64);
        for (name, value) in pairs.iter().take(limit) {
            self.item_str(name);
            write(self, value);
        }
        self
    }

    pub(super) fn item_uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    pub(super) fn item_bool(&mut self, value: bool) {
        self.out.push(if value { TRUE } else { FALSE });
    }

    /// The whole text, or an array of its start, its length and its digest.
    pub(super) fn item_text(&mut self, value: &Text<'_>) {
        match value.stored(self.limits.text_bytes) {
            (whole, None) => self.item_str(whole),
            (start, Some(cut)) => {
                self.head(ARRAY, 3);
                self.item_str(start);
                self.item_uint(cut.bytes);
                self.item_bytes(&cut.digest.0);
            }
        }
    }

    fn key(&mut self, key: u64) {
        self.fields += 1;
        self.item_uint(key);
    }

    fn item_bytes(&mut self, value: &[u8]) {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    fn item_str(&mut self, value: &str) {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn head(&mut self, major: u8, argument: u64) {
        let (head, length) = form::head(major, argument);
        self.out.extend_from_slice(head.get(..length).unwrap_or_default());
    }
}
