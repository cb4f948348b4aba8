//! Targets of requests (RFC 9112 §3.2.1, origin-form): what stands after the method, sent byte for byte as it was given. Must never
//! accept a path that one server reads otherwise than another, since a grant speaks of paths.
//!
//! ```text
//! target  = path [ "?" query ]                 at most 8 KiB
//! path    = 1*( "/" segment )                  at most 4 KiB; only the last segment may be empty
//! segment = *( pchar / triplet )               RFC 3986 §3.3
//! ```
//!
//! Refused beside what is not of this form:
//!
//! - `.` and `..`, also before a `;`, behind which some servers look for parameters (`..;x`), and what is nothing but dots, spaces and
//!   characters that hide, in whatever spelling;
//! - what [`PercentFault`] names: backslashes, double encoding, encoded characters that need none, controls, other than UTF-8.
//!
//! `;` and `%2F` are read in two ways by servers: a path that has one is taken where the grant says so alone.

use thiserror::Error;

use crate::fold::fold;
use crate::percent::{PercentFault, decode, is_plain_in_path};
use crate::query::Query;
use crate::shown::Shown;

/// Longest path, in bytes: half of a target.
pub const REQUEST_PATH_BYTES_MAX: usize = 4 << 10;
/// Longest target, in bytes: what servers take in a request line without being told to take more.
pub const TARGET_BYTES_MAX: usize = 8 << 10;

/// A path, and a query where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    text: String,
    path_bytes: usize,
    segments: Vec<String>,
    query: Option<Query>,
    has_semicolon: bool,
    has_encoded_slash: bool,
}

impl Target {
    /// The target that `text` is.
    ///
    /// # Errors
    ///
    /// A [`TargetFault`] that says what makes the text unusable.
    pub fn parse(text: &[u8]) -> Result<Self, TargetFault> {
        if text.len() > TARGET_BYTES_MAX {
            return Err(TargetFault::TooLong { bytes: text.len() });
        }
        let path_bytes = text.iter().position(|byte| *byte == b'?').unwrap_or(text.len());
        let (path, query) = text.split_at(path_bytes);
        let (segments, has_encoded_slash) = read_path(path)?;
        let query = query.split_first().map(|(_mark, query)| Query::parse(query)).transpose();
        let query = query.map_err(|byte| TargetFault::QueryByte { byte: Shown::of([byte]) })?;
        let Ok(text) = String::from_utf8(text.to_vec()) else { return Err(TargetFault::NotAscii) };
        let has_semicolon = segments.iter().any(|segment| segment.contains(';'));
        Ok(Self { text, path_bytes, segments, query, has_semicolon, has_encoded_slash })
    }

    /// The whole, as it was given and is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path, as it was given and is sent.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(..self.path_bytes).unwrap_or_default()
    }

    /// The segments of the path, decoded: what patterns are matched against. `/` has one, which is empty.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The query, if there is a `?`.
    #[must_use]
    pub const fn query(&self) -> Option<&Query> {
        self.query.as_ref()
    }

    /// Whether there is a `;` in the path, encoded or not.
    #[must_use]
    pub const fn has_semicolon(&self) -> bool {
        self.has_semicolon
    }

    /// Whether there is a `%2F` in the path.
    #[must_use]
    pub const fn has_encoded_slash(&self) -> bool {
        self.has_encoded_slash
    }
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetFault {
    /// The whole is longer than [`TARGET_BYTES_MAX`].
    #[error("the path with its query has {bytes} bytes; the maximum is {TARGET_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The path is longer than [`REQUEST_PATH_BYTES_MAX`].
    #[error("the path has {bytes} bytes; the maximum is {REQUEST_PATH_BYTES_MAX}")]
    PathTooLong {
        /// Its length.
        bytes: usize,
    },
    /// It does not begin with a slash: a whole URL, `*`, or nothing.
    #[error("the path `{path}` does not begin with `/`")]
    NoSlash {
        /// What was given.
        path: Shown,
    },
    /// Two slashes in a row, or with nothing but `%2F` between them.
    #[error("there is an empty segment in the path `{path}`: servers differ in whether `//` is `/`")]
    EmptySegment {
        /// The path.
        path: Shown,
    },
    /// A segment means this folder, the one above it or nothing, to some server.
    #[error(
        "the segment `{segment}` of the path is `.` or `..`, or some server takes it for one of them, or for nothing"
    )]
    DotSegment {
        /// The segment, as written.
        segment: Shown,
    },
    /// A segment can be read in two ways.
    #[error(transparent)]
    Percent(#[from] PercentFault),
    /// The query has a byte that no query has.
    #[error("there is `{byte}` in the query, which has to be percent-encoded there, or has no place there at all")]
    QueryByte {
        /// The first such byte.
        byte: Shown,
    },
    /// It is not ASCII.
    #[error("the path or its query is not ASCII")]
    NotAscii,
    /// There is a `;` in the path, and the grant does not say that there may be.
    #[error(
        "there is a `;` in the path, behind which some servers read parameters; the grant can allow that with `semicolon = true`"
    )]
    Semicolon,
    /// There is a `%2F` in the path, and the grant does not say that there may be.
    #[error(
        "there is a `%2F` in the path, which some servers take for a `/`; the grant can allow that with `encoded_slash = true`"
    )]
    EncodedSlash,
}

/// The segments of a path, decoded, and whether one of them has a slash.
fn read_path(path: &[u8]) -> Result<(Vec<String>, bool), TargetFault> {
    let Some(below) = path.strip_prefix(b"/") else { return Err(TargetFault::NoSlash { path: Shown::of(path) }) };
    if path.len() > REQUEST_PATH_BYTES_MAX {
        return Err(TargetFault::PathTooLong { bytes: path.len() });
    }
    let empty = || TargetFault::EmptySegment { path: Shown::of(path) };
    let (mut segments, mut has_slash) = (Vec::new(), false);
    let mut parts = below.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            return Err(empty());
        }
        let decoded = decode(part, is_plain_in_path)?;
        if decoded.text.split('/').any(is_dots) {
            return Err(TargetFault::DotSegment { segment: Shown::of(part) });
        }
        if decoded.has_slash && decoded.text.split('/').any(str::is_empty) {
            return Err(empty());
        }
        has_slash |= decoded.has_slash;
        segments.push(decoded.text);
    }
    Ok((segments, has_slash))
}

/// Whether some server takes a name for `.`, `..` or nothing: up to its `;`, in whatever spelling, and with dots or spaces at its end,
/// which Windows drops.
fn is_dots(name: &str) -> bool {
    let folded = fold(name);
    let before = folded.split(';').next().unwrap_or_default();
    !name.is_empty() && before.chars().all(|character| matches!(character, '.' | ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> TargetFault {
        Target::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_target_is_kept_as_it_is() {
        for (text, path, segments) in [
            ("/", "/", &[""][..]),
            ("/a/b", "/a/b", &["a", "b"]),
            ("/a/", "/a/", &["a", ""]),
            ("/a?", "/a", &["a"]),
            ("/a%20b?x=%zz&//..", "/a%20b", &["a b"]),
            ("/.well-known/a..b/...c", "/.well-known/a..b/...c", &[".well-known", "a..b", "...c"]),
            ("/v1/things:batch@2", "/v1/things:batch@2", &["v1", "things:batch@2"]),
        ] {
            let target = Target::parse(text.as_bytes()).unwrap();
            assert_eq!((target.as_str(), target.path()), (text, path));
            assert_eq!(target.segments(), segments, "{text}");
            assert_eq!(target.query().is_some(), text.contains('?'), "{text}");
        }
    }

    #[test]
    fn what_two_servers_read_in_two_ways_is_refused() {
        for text in [
            "/v1/../admin",
            "/v1/./a",
            "/..",
            "/.",
            "/v1/..;x",
            "/v1/.;/a",
            "/v1/..%3Bx",
            "/v1/...",
            "/v1/..%20",
            "/v1/a%2f..%2fadmin",
            "/v1/..%2fadmin",
            "/v1/%ef%bc%8e%ef%bc%8e/admin",
            "/v1/%e2%80%a5/admin",
            "/v1/%20/admin",
            "/v1/;x/admin",
            "/v1/%e2%80%8b/admin",
        ] {
            assert!(matches!(fault(text), TargetFault::DotSegment { .. }), "{text}: {}", fault(text));
        }
        for text in ["//v1/x", "/v1//admin", "//", "/a%2f%2fb", "/a/%2fb", "/a%2f"] {
            assert!(matches!(fault(text), TargetFault::EmptySegment { .. }), "{text}: {}", fault(text));
        }
        for text in ["", "*", "x", "http://api.test/", "?a", "\\a"] {
            assert!(matches!(fault(text), TargetFault::NoSlash { .. }), "{text}");
        }
        for text in [
            "/v1/%2e%2e/admin",
            "/v1/.%2E/",
            "/v1/%252e%252e/",
            "/v1/%61dmin",
            "/a\\b",
            "/a%5cb",
            "/a#b",
            "/a%00",
            "/ü",
            "/a b",
        ] {
            assert!(matches!(fault(text), TargetFault::Percent(_)), "{text}");
        }
        for text in ["/a?b#c", "/a?b c", "/a?\r\n", "/a?ü"] {
            assert!(matches!(fault(text), TargetFault::QueryByte { .. }), "{text}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let path = format!("/{}", "a".repeat(REQUEST_PATH_BYTES_MAX - 1));
        assert!(Target::parse(path.as_bytes()).is_ok());
        assert_eq!(fault(&format!("{path}a")), TargetFault::PathTooLong { bytes: REQUEST_PATH_BYTES_MAX + 1 });
        let target = format!("/?{}", "a".repeat(TARGET_BYTES_MAX - 2));
        assert!(Target::parse(target.as_bytes()).is_ok());
        assert_eq!(fault(&format!("{target}a")), TargetFault::TooLong { bytes: TARGET_BYTES_MAX + 1 });
    }

    #[test]
    fn what_a_grant_may_allow_is_told() {
        let target = |text: &str| Target::parse(text.as_bytes()).unwrap();
        for text in ["/a;b", "/a%3Bb", "/a%3bb"] {
            assert!(target(text).has_semicolon() && !target(text).has_encoded_slash(), "{text}");
        }
        for text in ["/a%2Fb", "/a%2fb"] {
            assert!(target(text).has_encoded_slash() && !target(text).has_semicolon(), "{text}");
        }
        assert!(!target("/a?b;c%2Fd").has_semicolon() && !target("/a?b;c%2Fd").has_encoded_slash());
    }
}
