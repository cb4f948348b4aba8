//! Counting one stream of text. No file is opened here, and a stream is never held in memory whole.

use std::collections::BTreeMap;
use std::io::{self, Read};

/// Longer runs count as words, but are not listed among the frequent ones.
const LISTED_WORD_BYTES_MAX: usize = 128;

/// How much of a stream is in memory at a time.
const BUFFER_BYTES: usize = 16 * 1024;

/// How often each word occurs, in lower case and without the punctuation around it.
pub(crate) type Frequencies = BTreeMap<String, u64>;

/// What a text measures.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Line feeds, and one for a last line without.
    pub(crate) lines: u64,
    /// Runs of anything but ASCII whitespace.
    pub(crate) words: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    /// Counts `text` to its end, and adds its words to `frequencies` if there are any to add to.
    pub(crate) fn of(mut text: impl Read, frequencies: Option<&mut Frequencies>) -> io::Result<Self> {
        let mut counter = Counter { tally: Self::default(), word: Vec::new(), last: None, frequencies };
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match text.read(&mut buffer) {
                Ok(0) => return Ok(counter.finish()),
                Ok(read) => counter.feed(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

struct Counter<'a> {
    tally: Tally,
    /// The word that the stream is in, cut at one byte above [`LISTED_WORD_BYTES_MAX`].
    word: Vec<u8>,
    last: Option<u8>,
    frequencies: Option<&'a mut Frequencies>,
}

impl Counter<'_> {
    fn feed(&mut self, chunk: &[u8]) {
        for &byte in chunk {
            self.tally.bytes += 1;
            self.tally.lines += u64::from(byte == b'\n');
            self.last = Some(byte);
            if byte.is_ascii_whitespace() {
                self.end_word();
            } else if self.word.len() <= LISTED_WORD_BYTES_MAX {
                self.word.push(byte);
            }
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.tally.words += 1;
        if let Some(frequencies) = &mut self.frequencies
            && let Some(word) = listed(&self.word)
        {
            *frequencies.entry(word).or_default() += 1;
        }
        self.word.clear();
    }

    fn finish(mut self) -> Tally {
        self.end_word();
        self.tally.lines += u64::from(self.last.is_some_and(|byte| byte != b'\n'));
        self.tally
    }
}

/// A word as it is listed, or none where it is too long, no text, or all punctuation.
fn listed(word: &[u8]) -> Option<String> {
    if word.len() > LISTED_WORD_BYTES_MAX {
        return None;
    }
    let word = str::from_utf8(word).ok()?.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time, so that every word crosses a read.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    fn tally(text: &str) -> (u64, u64, u64) {
        let tally = Tally::of(text.as_bytes(), None).unwrap();
        (tally.lines, tally.words, tally.bytes)
    }

    #[test]
    fn counts_like_wc_and_the_last_line_too() {
        assert_eq!(tally(""), (0, 0, 0));
        assert_eq!(tally("one\n"), (1, 1, 4));
        assert_eq!(tally("one\ntwo"), (2, 2, 7));
        assert_eq!(tally(" \t\n\n  a  b \r\n"), (3, 2, 13));
    }

    #[test]
    fn words_do_not_break_at_the_end_of_a_read() {
        let mut frequencies = Frequencies::new();
        let text = "Grüße, Welt! grüße";
        let tally = Tally::of(Trickle(text.as_bytes()), Some(&mut frequencies)).unwrap();
        assert_eq!(tally.words, 3);
        assert_eq!(frequencies, Frequencies::from([("grüße".into(), 2), ("welt".into(), 1)]));
    }

    #[test]
    fn overlong_words_count_but_are_not_listed() {
        let mut frequencies = Frequencies::new();
        let text = format!("{} {} --", "x".repeat(LISTED_WORD_BYTES_MAX + 1), "y".repeat(LISTED_WORD_BYTES_MAX));
        let tally = Tally::of(text.as_bytes(), Some(&mut frequencies)).unwrap();
        assert_eq!(tally.words, 3);
        assert_eq!(frequencies.into_keys().collect::<Vec<_>>(), ["y".repeat(LISTED_WORD_BYTES_MAX)]);
    }
}
