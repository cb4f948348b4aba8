//! The ways in which people name a call.

use std::fmt;
use std::str::FromStr;

use tollgate_audit::ids::CallId;

/// Calls that an id means: the whole id, its first digits, or its first and last digits around an ellipsis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPattern {
    head: String,
    tail: String,
}

/// A text names no call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a call id: up to {CALL_ID_DIGITS} digits of 0 to 9 and a to f expected, or its start and end around `…`")]
pub struct ParseCallPatternError;

impl CallPattern {
    /// Whether `call` is one of them.
    #[must_use]
    pub fn matches(&self, call: CallId) -> bool {
        let mut digits = [0; CALL_ID_DIGITS];
        // They are as many as an id has.
        hex::encode_to_slice(call.0, &mut digits).is_ok()
            && digits.starts_with(self.head.as_bytes())
            && digits.ends_with(self.tail.as_bytes())
    }

    /// The call, if its whole id is given.
    #[must_use]
    pub fn whole(&self) -> Option<CallId> {
        format!("{}{}", self.head, self.tail).parse().ok()
    }
}

impl FromStr for CallPattern {
    type Err = ParseCallPatternError;

    fn from_str(text: &str) -> Result<Self, ParseCallPatternError> {
        let (head, tail) = text.split_once('…').or_else(|| text.split_once("...")).unwrap_or((text, ""));
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if head.is_empty() || head.len() + tail.len() > CALL_ID_DIGITS || !hex(head) || !hex(tail) {
            return Err(ParseCallPatternError);
        }
        Ok(Self { head: head.to_owned(), tail: tail.to_owned() })
    }
}

impl fmt::Display for CallPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        if self.tail.is_empty() { Ok(()) } else { write!(f, "…{}", self.tail) }
    }
}

const CALL_ID_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_start_and_both_ends() {
        let call = CallId([0x0a, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f]);
        for text in [call.to_string().as_str(), "0", "0abc", "0abc…7f", "0a...7f", "0abc…"] {
            let pattern = text.parse::<CallPattern>().unwrap();
            assert!(pattern.matches(call), "{text}");
            assert_eq!(pattern.whole(), (text.len() == CALL_ID_DIGITS).then_some(call), "{text}");
        }
        for text in ["1", "0abd", "0abc…7e"] {
            assert!(!text.parse::<CallPattern>().unwrap().matches(call), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "…7f", "0A", "xyz", "0a…zz", &"0".repeat(33)] {
            assert_eq!(text.parse::<CallPattern>(), Err(ParseCallPatternError), "{text}");
        }
    }
}
