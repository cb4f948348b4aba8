//! Methods of requests, in capital letters as grants name them. Must never take one that turns a request into a tunnel or a mirror.

use std::fmt;

use thiserror::Error;

use crate::shown::Shown;

/// Longest method, in bytes: twice the longest that IANA lists (`UPDATEREDIRECTREF`), rounded down.
pub const METHOD_BYTES_MAX: usize = 32;

/// A method: capital letters, with hyphens between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(String);

impl Method {
    /// The method that `text` is, byte for byte.
    ///
    /// # Errors
    ///
    /// A [`MethodFault`] that says what makes the text unusable.
    pub fn parse(text: &[u8]) -> Result<Self, MethodFault> {
        let method = || Shown::of(text);
        if text.is_empty() || text.len() > METHOD_BYTES_MAX {
            return Err(MethodFault::Length { bytes: text.len() });
        }
        let sound = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_uppercase);
        if !text.split(|byte| *byte == b'-').all(sound) {
            return Err(MethodFault::Form { method: method() });
        }
        let Ok(text) = std::str::from_utf8(text) else { return Err(MethodFault::Form { method: method() }) };
        if NEVER.contains(&text) {
            return Err(MethodFault::Never { method: method() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The method as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no method that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MethodFault {
    /// It is empty, or longer than [`METHOD_BYTES_MAX`].
    #[error("the method has {bytes} bytes; it must have between 1 and {METHOD_BYTES_MAX}")]
    Length {
        /// Its length.
        bytes: usize,
    },
    /// It is written otherwise.
    #[error("the method `{method}` is not written in capital letters, with single hyphens between them")]
    Form {
        /// What was given.
        method: Shown,
    },
    /// No grant can name it.
    #[error(
        "the method `{method}` cannot be granted: it makes a tunnel (CONNECT), sends back what it was sent, credentials included \
         (TRACE, TRACK), or begins another protocol (PRI)"
    )]
    Never {
        /// What was given.
        method: Shown,
    },
}

/// RFC 9110 §9.3.6 and §9.3.8; TRACK is Microsoft's TRACE; PRI begins HTTP/2 (RFC 9113 §3.4).
const NEVER: [&str; 4] = ["CONNECT", "TRACE", "TRACK", "PRI"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_capital_letters() {
        for text in ["GET", "POST", "M-SEARCH", "VERSION-CONTROL"] {
            assert_eq!(Method::parse(text.as_bytes()).unwrap().as_str(), text);
        }
        for text in ["get", "Get", "G T", "G\0", "GET ", "-GET", "GET-", "A--B", "G1", "ＧＥＴ"] {
            assert!(matches!(Method::parse(text.as_bytes()), Err(MethodFault::Form { .. })), "{text}");
        }
        for text in NEVER {
            assert!(matches!(Method::parse(text.as_bytes()), Err(MethodFault::Never { .. })), "{text}");
        }
        assert_eq!(Method::parse(b""), Err(MethodFault::Length { bytes: 0 }));
        assert_eq!(Method::parse(&[b'A'; 33]), Err(MethodFault::Length { bytes: 33 }));
    }
}
