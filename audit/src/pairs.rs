//! Named values of an entry (facts, counters), in the one order that deterministic CBOR allows.
//!
//! Nothing is dropped silently: what cannot be carried is counted.

use std::borrow::Cow;

/// Most pairs in one entry: facts of one host call are fewer than twenty, functions without authority about fifty.
pub const PAIRS_MAX: usize = 64;

/// Longest name of a pair in bytes: room for the name of any WASI 0.2 function with its package and interface.
pub const PAIR_KEY_BYTES_MAX: usize = 64;

/// Values by name, in the order of RFC 8949 §4.2.1: shorter names first, equally long ones bytewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs<'a, V> {
    pairs: Vec<(Cow<'a, str>, V)>,
    left_out: u64,
}

impl<'a, V> Pairs<'a, V> {
    /// Sorts `pairs`. Over-long names, repeated names after their first and pairs beyond [`PAIRS_MAX`] are left
    /// out and counted.
    pub fn new<K: Into<Cow<'a, str>>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        let given = pairs.len();
        pairs.retain(|(key, _)| key.len() <= PAIR_KEY_BYTES_MAX);
        pairs.sort_by(|(left, _), (right, _)| order(left).cmp(&order(right)));
        pairs.dedup_by(|(later, _), (first, _)| later == first);
        pairs.truncate(PAIRS_MAX);
        let left_out = given.saturating_sub(pairs.len()) as u64;
        Self { pairs, left_out }
    }

    /// The value called `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&V> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The pairs in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.pairs.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Number of pairs that were given but are not here.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Number of pairs left out when only the first `limit` are stored.
    pub fn left_out_at(&self, limit: usize) -> u64 {
        self.left_out.saturating_add(self.pairs.len().saturating_sub(limit) as u64)
    }

    /// The pairs as read from an entry, which has checked names, order and number.
    pub fn read(pairs: Vec<(Cow<'a, str>, V)>, left_out: u64) -> Self {
        Self { pairs, left_out }
    }
}

impl<V> Default for Pairs<'_, V> {
    fn default() -> Self {
        Self { pairs: Vec::new(), left_out: 0 }
    }
}

/// Compares as the encoded names compare: the length stands before the text.
pub fn order(key: &str) -> (usize, &[u8]) {
    (key.len(), key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_without_repeats() {
        let pairs = Pairs::new([("path", 1), ("b", 2), ("a", 3), ("path", 4)]);
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", &3), ("b", &2), ("path", &1)]);
        assert_eq!(pairs.left_out(), 1);
        assert_eq!(pairs.get("path"), Some(&1));
    }

    #[test]
    fn what_cannot_be_carried_is_counted() {
        let many = (0..PAIRS_MAX + 3).map(|n| (format!("{n:04}"), n));
        assert_eq!(Pairs::new(many).left_out(), 3);
        assert_eq!(Pairs::new([("k".repeat(PAIR_KEY_BYTES_MAX + 1), 0)]).left_out(), 1);
    }
}
