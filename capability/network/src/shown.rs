//! Texts of guests and policies inside messages. They must never reach a terminal or a log as they are.

use std::fmt;

/// A text that a refusal is about: printable ASCII, other bytes written out (`\x00`), cut after [`SHOWN_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(crate) fn of(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        match text.get(..SHOWN_BYTES_MAX) {
            Some(start) if start.len() < text.len() => Self(format!("{}...", start.escape_ascii())),
            Some(_) | None => Self(text.escape_ascii().to_string()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Most bytes of a text that a message shows: enough to find it again.
pub const SHOWN_BYTES_MAX: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_without_effects_and_cut() {
        assert_eq!(Shown::of("a\0b\x1b[31m\u{202e}").to_string(), r"a\x00b\x1b[31m\xe2\x80\xae");
        assert_eq!(Shown::of([b'x'; SHOWN_BYTES_MAX]).to_string(), "x".repeat(SHOWN_BYTES_MAX));
        assert_eq!(Shown::of([b'x'; 500]).to_string(), format!("{}...", "x".repeat(SHOWN_BYTES_MAX)));
    }
}
