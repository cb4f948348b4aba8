//! Percent-encoding, taken apart once and strictly: no text that leaves this module has a second spelling beside the case of its
//! hexadecimal digits. Must never decode what it decoded.

use thiserror::Error;

use crate::shown::Shown;

/// What a part of a path, or a name in a query, says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Its text.
    pub(crate) text: String,
    /// Whether there is a `/` in it, which was written as `%2F`.
    pub(crate) has_slash: bool,
}

/// Why a text cannot be taken apart in one way only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PercentFault {
    /// It has a byte that has no place there.
    #[error("there is `{byte}` in `{part}`, which has to be percent-encoded there, or has no place there at all")]
    Byte {
        /// The first such byte.
        byte: Shown,
        /// Where it stands.
        part: Shown,
    },
    /// A `%` without two hexadecimal digits.
    #[error("there is a `%` in `{part}` that is not followed by two hexadecimal digits")]
    Triplet {
        /// Where it stands.
        part: Shown,
    },
    /// A percent sign that is encoded, and would begin another triplet once it is decoded.
    #[error("`{part}` is percent-encoded twice: whoever decodes it twice reads another text")]
    Twice {
        /// Where it stands.
        part: Shown,
    },
    /// A character is encoded that needs no encoding.
    #[error("`{triplet}` in `{part}` is a second spelling of a character that is never percent-encoded")]
    Needless {
        /// The triplet.
        triplet: Shown,
        /// Where it stands.
        part: Shown,
    },
    /// A control character is encoded.
    #[error("there is an encoded control character in `{part}`")]
    Control {
        /// Where it stands.
        part: Shown,
    },
    /// There is a backslash, encoded or not.
    #[error("there is a backslash in `{part}`, which some servers take for a slash")]
    Backslash {
        /// Where it stands.
        part: Shown,
    },
    /// What it stands for is not UTF-8.
    #[error("what `{part}` stands for is not UTF-8: some servers read other characters in it")]
    NotUtf8 {
        /// Where it stands.
        part: Shown,
    },
}

/// Decodes `part`, in which `plain` says which bytes may stand as they are.
///
/// # Errors
///
/// A [`PercentFault`] for any text that another program could read otherwise.
pub(crate) fn decode(part: &[u8], plain: fn(u8) -> bool) -> Result<Decoded, PercentFault> {
    let shown = || Shown::of(part);
    let (mut text, mut has_slash) = (Vec::with_capacity(part.len()), false);
    let mut rest = part;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (triplet, after) = triplet(after).ok_or_else(|| PercentFault::Triplet { part: shown() })?;
                let decoded = one(triplet, after, part)?;
                has_slash |= decoded == b'/';
                text.push(decoded);
                rest = after;
            }
            b'\\' => return Err(PercentFault::Backslash { part: shown() }),
            byte if plain(*byte) => text.push(*byte),
            byte => return Err(PercentFault::Byte { byte: Shown::of([*byte]), part: shown() }),
        }
    }
    let Ok(text) = String::from_utf8(text) else { return Err(PercentFault::NotUtf8 { part: shown() }) };
    if text.contains(char::is_control) {
        return Err(PercentFault::Control { part: shown() });
    }
    Ok(Decoded { text, has_slash })
}

/// The two hexadecimal digits that begin `text`, and what follows them.
fn triplet(text: &[u8]) -> Option<(&[u8; 2], &[u8])> {
    text.split_first_chunk::<2>().filter(|(digits, _)| digits.iter().all(u8::is_ascii_hexdigit))
}

/// The byte that a triplet stands for, if it is the one spelling of that byte.
fn one(digits: &[u8; 2], after: &[u8], part: &[u8]) -> Result<u8, PercentFault> {
    let shown = || Shown::of(part);
    let decoded = digits.iter().fold(0, |value, digit| value << 4 | hex_value(*digit));
    match decoded {
        b'\\' => Err(PercentFault::Backslash { part: shown() }),
        b'%' if triplet(after).is_some() => Err(PercentFault::Twice { part: shown() }),
        byte if is_unreserved(byte) => {
            let triplet = Shown::of([b"%", digits.as_slice()].concat());
            Err(PercentFault::Needless { triplet, part: shown() })
        }
        byte => Ok(byte),
    }
}

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _not_a_digit => 0,
    }
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What stands as it is in a segment of a path: `pchar` of RFC 3986 §3.3 without `%`.
pub(crate) const fn is_plain_in_path(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(part: &str) -> PercentFault {
        decode(part.as_bytes(), is_plain_in_path).unwrap_err()
    }

    #[test]
    fn a_text_is_decoded_once() {
        for (part, text) in [
            ("", ""),
            ("a-b", "a-b"),
            ("a%20b", "a b"),
            ("%c3%BC", "ü"),
            ("100%25", "100%"),
            ("%25x", "%x"),
            ("a%2fb", "a/b"),
        ] {
            let decoded = decode(part.as_bytes(), is_plain_in_path).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.has_slash), (text, text.contains('/')), "{part}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        for part in ["%", "%4", "%zz", "a%", "%%41"] {
            assert!(matches!(fault(part), PercentFault::Triplet { .. }), "{part}");
        }
        for part in ["%252e", "a%25AFb", "%2541"] {
            assert!(matches!(fault(part), PercentFault::Twice { .. }), "{part}");
        }
        for part in ["%61", "%2e", "%2E", "%7e", "%2D", "%5F", "%30"] {
            assert!(matches!(fault(part), PercentFault::Needless { .. }), "{part}");
        }
        for part in ["%00", "%1f", "%7F", "%0d%0a", "%c2%85"] {
            assert!(matches!(fault(part), PercentFault::Control { .. }), "{part}");
        }
        for part in ["a\\b", "%5c", "%5C"] {
            assert!(matches!(fault(part), PercentFault::Backslash { .. }), "{part}");
        }
        for part in ["%ff", "%c0%ae", "%c0%af", "%ed%a0%80", "%c3"] {
            assert!(matches!(fault(part), PercentFault::NotUtf8 { .. }), "{part}");
        }
        for part in ["a b", "a#b", "a?b", "a\"b", "a<b", "a[b", "a{b", "a|b", "a^b", "a`b", "a\0b", "ü"] {
            assert!(matches!(fault(part), PercentFault::Byte { .. }), "{part}");
        }
    }
}
