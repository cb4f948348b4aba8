//! Queries: sent as they are. Their names are read where a grant speaks of names; a query in which two programs could find
//! different names has none that can be granted.

use thiserror::Error;

use crate::percent::{PercentFault, decode};
use crate::shown::Shown;

/// Most names in a query that are looked at: as many as a form of a usual size has, twice over.
pub const QUERY_NAMES_MAX: usize = 256;

/// What follows the `?` of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    bytes: usize,
    names: Result<Vec<String>, QueryFault>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// The first byte that no query has: what cannot be seen, what is not ASCII, a space or a `#`.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, u8> {
        match text.iter().find(|byte| !byte.is_ascii_graphic() || **byte == b'#') {
            Some(byte) => Err(*byte),
            None => Ok(Self { bytes: text.len(), names: names(text) }),
        }
    }

    /// Its length, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The names in it, decoded, in their order. `a=1&b=2&a` has `a`, `b` and `a`.
    ///
    /// # Errors
    ///
    /// The [`QueryFault`] for which no two programs need find the same names.
    pub fn names(&self) -> Result<&[String], &QueryFault> {
        self.names.as_deref()
    }
}

/// Why the names of a query are not certain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryFault {
    /// A part has no name.
    #[error("a part of the query has no name")]
    NoName,
    /// There is a `;`, or an encoded one in a name, at which some servers part a query.
    #[error("there is a `;` in the query, at which some servers part it as at `&`")]
    Semicolon,
    /// A name has a space, as `+` or encoded.
    #[error("there is a space in the name `{name}` of the query, and servers differ in what they make of it")]
    Space {
        /// The name, as written.
        name: Shown,
    },
    /// A name or a value is percent-encoded in more than one way, or wrongly.
    #[error("the query cannot be read in one way only: {0}")]
    Percent(#[from] PercentFault),
    /// There are more than [`QUERY_NAMES_MAX`].
    #[error("the query has {count} parts; the maximum is {QUERY_NAMES_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

fn names(text: &[u8]) -> Result<Vec<String>, QueryFault> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.contains(&b';') {
        return Err(QueryFault::Semicolon);
    }
    let count = text.split(|byte| *byte == b'&').count();
    if count > QUERY_NAMES_MAX {
        return Err(QueryFault::TooMany { count });
    }
    text.split(|byte| *byte == b'&').map(name).collect()
}

fn name(part: &[u8]) -> Result<String, QueryFault> {
    let end = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
    let (name, value) = part.split_at(end);
    if name.is_empty() {
        return Err(QueryFault::NoName);
    }
    if let Some(triplet) = broken_triplet(value) {
        return Err(PercentFault::Triplet { part: Shown::of(triplet) }.into());
    }
    let decoded = decode(name, is_plain_in_query)?.text;
    if decoded.contains(';') {
        return Err(QueryFault::Semicolon);
    }
    if decoded.contains(['+', ' ']) {
        return Err(QueryFault::Space { name: Shown::of(name) });
    }
    Ok(decoded)
}

/// Whether a query can have a part of this name that every server finds.
pub(crate) fn is_certain(name: &str) -> bool {
    !name.is_empty()
        && !name.contains([';', ' ', '+', '\\'])
        && !name.contains(|character: char| character.is_ascii_control())
}

/// The end of `text` that begins with a `%` which begins no triplet: some servers leave out the part that has one.
fn broken_triplet(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|byte| *byte == b'%') {
        let (_, from) = rest.split_at(place);
        match from {
            [_percent, first, second, after @ ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => {
                rest = after;
            }
            _broken => return Some(from),
        }
    }
    None
}

/// All that can be seen, but for what separates or encodes.
const fn is_plain_in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'%' | b'#' | b'&' | b'=' | b';' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(text: &str) -> Result<Vec<String>, QueryFault> {
        names(text.as_bytes())
    }

    #[test]
    fn names_are_found_where_every_server_finds_them() {
        for (text, names) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a=1&b=2&a", &["a", "b", "a"]),
            ("a==&b=%26", &["a", "b"]),
            ("a%5B%5D=1", &["a[]"]),
            ("a[]=1&x.y=%c3%bc", &["a[]", "x.y"]),
        ] {
            assert_eq!(
                names_of(text).as_deref(),
                Ok(&*names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_query_that_servers_read_in_two_ways_has_no_names() {
        for text in ["&", "a&&b", "a&", "=1"] {
            assert_eq!(names_of(text), Err(QueryFault::NoName), "{text}");
        }
        for text in ["a=1;admin=2", "a%3Badmin=2"] {
            assert_eq!(names_of(text), Err(QueryFault::Semicolon), "{text}");
        }
        for text in ["a+b=1", "a%20b=1", "a%2Bb"] {
            assert!(matches!(names_of(text), Err(QueryFault::Space { .. })), "{text}");
        }
        for text in ["%61=1", "a%=1", "a=%", "a=%zz", "a%00=1", "a\\b=1", "%ff=1"] {
            assert!(matches!(names_of(text), Err(QueryFault::Percent(_))), "{text}");
        }
        assert_eq!(names_of(&["a"; 257].join("&")), Err(QueryFault::TooMany { count: 257 }));
    }

    #[test]
    fn a_byte_that_no_query_has_is_told() {
        for (text, byte) in [("a b", b' '), ("a#b", b'#'), ("a\0", 0), ("\u{e9}", 0xc3), ("a\r\nb", b'\r')] {
            assert_eq!(Query::parse(text.as_bytes()), Err(byte), "{text:?}");
        }
        assert_eq!(Query::parse(b"q=[]{}|^`\"<>'").map(|query| query.bytes()), Ok(13));
    }
}
