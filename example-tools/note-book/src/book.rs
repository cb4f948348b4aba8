//! The lines of a note book: reading them, and adding one. Must never change a line that is there.

use std::io::{BufRead, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_guest::Error;

/// Longest line: what WASI writes at once. So a line is written whole, or denied whole where the quota ends.
const LINE_BYTES_MAX: usize = 4096;

/// A note, and a line of the file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct Note {
    /// From 1, in the order in which they were appended.
    pub(crate) number: u64,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
}

/// A line that is no note.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// Its number, from 1.
    pub(crate) line: u64,
    /// How it begins, at most 80 bytes of it.
    start: String,
}

/// Where the next note goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) last_number: u64,
    /// The last line lacks its line feed.
    torn: bool,
}

/// What a file holds besides its notes.
#[derive(Debug)]
pub(crate) struct BookRead {
    pub(crate) end: End,
    pub(crate) damaged: Vec<Damaged>,
}

/// Reads a file line by line and hands each note to `take`.
pub(crate) fn read(mut file: impl BufRead, mut take: impl FnMut(Note)) -> Result<BookRead, Error> {
    let mut read = BookRead { end: End { last_number: 0, torn: false }, damaged: Vec::new() };
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if file.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        read.end.torn = !bytes.ends_with(b"\n");
        match serde_json::from_slice::<Note>(&bytes) {
            Ok(note) => {
                read.end.last_number = read.end.last_number.max(note.number);
                take(note);
            }
            Err(_) => read.damaged.push(Damaged { line, start: start(&bytes) }),
        }
    }
    Ok(read)
}

/// Writes a note as one line behind `end`, in one write, and moves `end`.
pub(crate) fn append(file: &mut impl Write, note: &Note, end: &mut End) -> Result<(), Error> {
    let json = serde_json::to_string(note).map_err(|error| Error::new("internal", error.to_string()))?;
    let line = format!("{}{json}\n", if end.torn { "\n" } else { "" });
    if line.len() > LINE_BYTES_MAX {
        let message = format!("as a line of the file it has {} bytes; at most {LINE_BYTES_MAX} are taken", line.len());
        return Err(Error::new("too-long", message));
    }
    file.write_all(line.as_bytes())?;
    *end = End { last_number: note.number, torn: false };
    Ok(())
}

fn start(line: &[u8]) -> String {
    let start = line.get(..80).unwrap_or(line);
    String::from_utf8_lossy(start).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: u64, text: &str) -> Note {
        Note { number, text: text.into(), tag: None }
    }

    #[test]
    fn a_line_is_one_write_of_bounded_length() {
        struct Writes(Vec<usize>);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut writes = Writes(Vec::new());
        let mut end = End { last_number: 0, torn: true };
        let frame = "\n{\"number\":1,\"text\":\"\"}\n".len();
        append(&mut writes, &note(1, &"x".repeat(LINE_BYTES_MAX - frame)), &mut end).unwrap();
        assert_eq!(writes.0, [LINE_BYTES_MAX]);
        assert_eq!((end.last_number, end.torn), (1, false));
        let error = append(&mut writes, &note(2, &"\n".repeat(LINE_BYTES_MAX / 2)), &mut end).unwrap_err();
        assert_eq!((error.code.as_str(), writes.0.len(), end.last_number), ("too-long", 1, 1));
    }

    #[test]
    fn lines_that_are_no_notes_are_told_of() {
        let file = b"{\"number\":7,\"text\":\"kept\"}\n\n{\"number\":\"x\"}\n\xff\n{\"number\":8,\"te";
        let mut notes = Vec::new();
        let read = read(file.as_slice(), |note| notes.push(note)).unwrap();
        assert_eq!(notes, [note(7, "kept")]);
        assert_eq!(read.damaged.iter().map(|damaged| damaged.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(read.damaged[3].start, "{\"number\":8,\"te");
        assert_eq!((read.end.last_number, read.end.torn), (7, true));
    }
}
