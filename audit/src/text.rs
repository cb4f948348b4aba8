//! Text of an entry: whole, or cut with the length and the digest of what was cut.
//!
//! A cut text must never pass for a whole one.

use std::borrow::Cow;
use std::fmt;

use crate::ids::Digest;

/// Text as an entry carries it.
///
/// Made from a string it is whole. Encoding cuts what does not fit an entry and keeps length and digest of
/// the whole, so that a text known from elsewhere can still be matched with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    shown: Cow<'a, str>,
    // Boxed: rare, and it would triple the size of every text.
    cut: Option<Box<Cut>>,
}

/// What a cut text was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Length of the whole text in bytes of UTF-8.
    pub bytes: u64,
    /// SHA-256 of the whole text.
    pub digest: Digest,
}

impl<'a> Text<'a> {
    /// The text, or the start of it that was kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Length and digest of the whole, if this is not the whole.
    #[must_use]
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_deref()
    }

    /// Whether this is `whole`, or was before it was cut.
    #[must_use]
    pub fn is(&self, whole: &str) -> bool {
        match self.cut() {
            None => self.shown == whole,
            Some(cut) => *cut == Cut::of(whole),
        }
    }

    pub fn with_cut(shown: Cow<'a, str>, cut: Cut) -> Self {
        Self { shown, cut: Some(Box::new(cut)) }
    }

    /// What to store when at most `limit` bytes may be shown: the shown text, and what was cut if anything was.
    pub fn stored(&self, limit: usize) -> (&str, Option<Cut>) {
        let (prefix, rest) = self.shown.split_at(self.shown.floor_char_boundary(limit));
        match self.cut() {
            Some(cut) => (prefix, Some(*cut)),
            None if rest.is_empty() => (prefix, None),
            None => (prefix, Some(Cut::of(&self.shown))),
        }
    }
}

impl Cut {
    fn of(whole: &str) -> Self {
        Self { bytes: whole.len() as u64, digest: Digest::of(whole.as_bytes()) }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self { shown: Cow::Borrowed(text), cut: None }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self { shown: Cow::Owned(text), cut: None }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(shown: Cow<'a, str>) -> Self {
        Self { shown, cut: None }
    }
}

/// Equal only if the text is whole.
impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.cut.is_none() && self.shown == other
    }
}

/// Equal only if the text is whole.
impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// A cut text says so: `/a/long/pa… (5000 bytes, sha256:…)`.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)?;
        match self.cut() {
            Some(cut) => write!(f, "… ({} bytes, {})", cut.bytes, cut.digest),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_at_a_character() {
        let text = Text::from("aé");
        assert_eq!(text.stored(3), ("aé", None));
        assert_eq!(text.stored(2), ("a", Some(Cut { bytes: 3, digest: Digest::of("aé".as_bytes()) })));
    }

    #[test]
    fn cut_again_keeps_the_first_digest() {
        let cut = Cut { bytes: 900, digest: Digest::of(b"whole") };
        let text = Text::with_cut(Cow::Borrowed("abcdef"), cut);
        assert_eq!(text.stored(3), ("abc", Some(cut)));
        assert_ne!(text, "abcdef");
    }
}
