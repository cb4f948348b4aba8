//! What a tool logs while it runs, kept until it is read, within a bound.

use std::collections::VecDeque;

/// Most bytes of the log of a call that are kept unread; each piece counts for 64 bytes more than it has.
pub const LOG_BYTES_MAX: usize = 1 << 20;

/// A piece of what a tool logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// Some text, which may begin and end anywhere in a line: untrusted.
    Text(String),
    /// Nobody read the log for so long that more than [`LOG_BYTES_MAX`] was unread: from here a part of it was dropped. All of it
    /// is in the answer, as `stderr`.
    Dropped {
        /// Bytes of the part.
        bytes: u64,
    },
}

/// The unread pieces of a call's log, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pieces: VecDeque<LogPiece>,
    bytes: usize,
}

impl Unread {
    pub(crate) fn push(&mut self, text: String) {
        let cost = cost(&text);
        if self.bytes + cost <= LOG_BYTES_MAX {
            self.bytes += cost;
            self.pieces.push_back(LogPiece::Text(text));
        } else if let Some(LogPiece::Dropped { bytes }) = self.pieces.back_mut() {
            *bytes += text.len() as u64;
        } else {
            self.pieces.push_back(LogPiece::Dropped { bytes: text.len() as u64 });
        }
    }

    pub(crate) fn pop(&mut self) -> Option<LogPiece> {
        let piece = self.pieces.pop_front()?;
        if let LogPiece::Text(text) = &piece {
            self.bytes -= cost(text);
        }
        Some(piece)
    }
}

const fn cost(text: &str) -> usize {
    text.len() + PIECE_BYTES
}

/// What it costs to keep a piece, beside its text.
const PIECE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_marked() {
        let mut unread = Unread::default();
        let half = "x".repeat(LOG_BYTES_MAX / 2 - PIECE_BYTES);
        for text in [&half, &half, "a", "bc"] {
            unread.push(text.to_owned());
        }
        assert_eq!(unread.pop(), Some(LogPiece::Text(half.clone())));
        unread.push("behind".to_owned());
        unread.push(half.clone());
        assert_eq!(unread.pop(), Some(LogPiece::Text(half.clone())));
        assert_eq!(unread.pop(), Some(LogPiece::Dropped { bytes: 3 }));
        assert_eq!(unread.pop(), Some(LogPiece::Text("behind".to_owned())));
        assert_eq!(unread.pop(), Some(LogPiece::Dropped { bytes: half.len() as u64 }));
        assert_eq!((unread.pop(), unread.bytes), (None, 0));
    }

    #[test]
    fn pieces_cost_memory_even_if_they_say_nothing() {
        let mut unread = Unread::default();
        for _piece in 0..LOG_BYTES_MAX {
            unread.push(String::new());
        }
        assert_eq!(unread.pieces.len(), LOG_BYTES_MAX / PIECE_BYTES + 1);
    }
}
