//! Frames of the journal: `u16` length, big-endian ‖ entry ‖ first 4 bytes of the entry's leaf hash.
//!
//! The check finds accidents, the tree finds intent. A frame whose check fails must never be handed out.

use std::io::{self, Read};

use crate::codec::{CHECK_BYTES, ENTRY_BYTES_MAX, EncodedEntry, LENGTH_BYTES};
use crate::ids::{LeafHash, LeafIndex};
use crate::tree::leaf_hash;

/// Most bytes of a frame.
pub const FRAME_BYTES_MAX: usize = LENGTH_BYTES + ENTRY_BYTES_MAX + CHECK_BYTES;

/// A frame cannot be read, and it is not a write that was cut short at the end of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index} at byte {offset} of the journal is corrupt")]
pub struct CorruptFrame {
    /// Index of the entry.
    pub index: LeafIndex,
    /// Where its frame starts, in bytes from the start of the journal.
    pub offset: u64,
}

/// Puts the frame of `entry` at the end of `out`.
pub fn push_frame(out: &mut Vec<u8>, entry: &EncodedEntry) {
    let bytes = entry.as_bytes();
    // An encoded entry is never longer than ENTRY_BYTES_MAX.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let [c0, c1, c2, c3, ..] = entry.leaf().0;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[c0, c1, c2, c3]);
}

/// Length of the frame of `entry` in bytes.
pub fn frame_bytes(entry: &[u8]) -> u64 {
    (LENGTH_BYTES + entry.len() + CHECK_BYTES) as u64
}

/// One frame of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'f> {
    pub index: LeafIndex,
    /// Bytes from the start of the journal.
    pub offset: u64,
    pub entry: &'f [u8],
    pub leaf: LeafHash,
}

/// The next thing in a journal.
#[derive(Debug)]
pub enum Step<'f> {
    Frame(Frame<'f>),
    /// The journal ends within a frame: the last write was cut short.
    Torn {
        bytes: u64,
    },
    End,
}

/// Why there is no next thing.
#[derive(Debug)]
pub enum FrameError {
    Io(io::Error),
    Corrupt(CorruptFrame),
}

/// Reads a journal frame by frame in constant memory.
#[derive(Debug)]
pub struct Frames<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    at_end: bool,
    index: u64,
    offset: u64,
}

impl<R: Read> Frames<R> {
    pub fn new(source: R) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { source, buffer, start: 0, end: 0, at_end: false, index: 0, offset: 0 }
    }

    /// Reads from the frame of entry `index` on, at whose first byte, `offset` of the journal, `source` stands.
    pub fn starting_at(source: R, index: LeafIndex, offset: u64) -> Self {
        Self { index: index.0, offset, ..Self::new(source) }
    }

    /// Where the next frame starts, in bytes from the start of the journal.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn index(&self) -> LeafIndex {
        LeafIndex(self.index)
    }

    pub fn step(&mut self) -> Result<Step<'_>, FrameError> {
        self.fill().map_err(FrameError::Io)?;
        let (index, offset) = (LeafIndex(self.index), self.offset);
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        match parse(rest) {
            Parsed::Frame { entry, leaf, size } => {
                self.start += size;
                self.index += 1;
                self.offset += size as u64;
                Ok(Step::Frame(Frame { index, offset, entry, leaf }))
            }
            Parsed::Incomplete if rest.is_empty() => Ok(Step::End),
            parsed if self.at_end && parsed.may_be_torn(rest) => Ok(Step::Torn { bytes: rest.len() as u64 }),
            Parsed::Incomplete | Parsed::Mismatch { .. } | Parsed::BadLength => {
                Err(FrameError::Corrupt(CorruptFrame { index, offset }))
            }
        }
    }

    /// Makes sure that a whole frame is in the buffer, or all that is left.
    fn fill(&mut self) -> io::Result<()> {
        if self.at_end || self.end - self.start >= FRAME_BYTES_MAX {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while !self.at_end {
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            if free.is_empty() {
                break;
            }
            match self.source.read(free) {
                Ok(0) => self.at_end = true,
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The frame that some bytes begin with.
#[derive(Debug)]
pub enum Head<'b> {
    Frame {
        entry: &'b [u8],
        leaf: LeafHash,
        size: usize,
    },
    /// More bytes must come.
    Incomplete,
    Bad,
}

pub fn head(bytes: &[u8]) -> Head<'_> {
    match parse(bytes) {
        Parsed::Frame { entry, leaf, size } => Head::Frame { entry, leaf, size },
        Parsed::Incomplete => Head::Incomplete,
        Parsed::Mismatch { .. } | Parsed::BadLength => Head::Bad,
    }
}

/// Where in `block`, whose end is the end of a frame, whole frames begin that fill it to that end, and how many they are.
/// A frame is never longer than [`FRAME_BYTES_MAX`], so that one begins before that.
pub fn whole_frames(block: &[u8]) -> Option<(usize, u64)> {
    (0..block.len().min(FRAME_BYTES_MAX)).find_map(|start| {
        let (mut rest, mut count) = (block.get(start..)?, 0);
        while !rest.is_empty() {
            let Parsed::Frame { size, .. } = parse(rest) else { return None };
            rest = rest.get(size..)?;
            count += 1;
        }
        Some((start, count))
    })
}

/// The length of the whole frame that begins with `torn`, if that can be told.
pub fn whole_length(torn: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes(*torn.first_chunk::<LENGTH_BYTES>()?));
    (1..=ENTRY_BYTES_MAX).contains(&length).then_some(LENGTH_BYTES + length + CHECK_BYTES)
}

/// What stands at the start of some bytes.
enum Parsed<'b> {
    Frame { entry: &'b [u8], leaf: LeafHash, size: usize },
    Incomplete,
    Mismatch { size: usize },
    BadLength,
}

impl Parsed<'_> {
    /// Whether `rest`, the end of a journal, can be what a write left that was cut short: one frame and nothing
    /// after it. A changed length can make a frame in the middle look like that, so whole frames after its start
    /// speak against it.
    fn may_be_torn(&self, rest: &[u8]) -> bool {
        let last = match self {
            Self::Incomplete => true,
            Self::Mismatch { size } => *size == rest.len(),
            Self::Frame { .. } | Self::BadLength => false,
        };
        last && !(1..rest.len())
            .any(|start| matches!(parse(rest.get(start..).unwrap_or_default()), Parsed::Frame { .. }))
    }
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Parsed::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > ENTRY_BYTES_MAX {
        return Parsed::BadLength;
    }
    let Some((entry, rest)) = rest.split_at_checked(length) else {
        return Parsed::Incomplete;
    };
    let Some(check) = rest.first_chunk::<CHECK_BYTES>() else {
        return Parsed::Incomplete;
    };
    let leaf = leaf_hash(entry);
    let size = LENGTH_BYTES + length + CHECK_BYTES;
    if leaf.0.starts_with(check) { Parsed::Frame { entry, leaf, size } } else { Parsed::Mismatch { size } }
}

/// Reads of this many bytes are no longer what limits the speed of a scan.
const BUFFER_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, LedgerKey, LedgerOpened};
    use crate::ids::PublicKey;

    #[test]
    fn frames_are_read_back_across_buffers() {
        let count = BUFFER_BYTES / 1000 * 3;
        let journal = journal(count);
        let mut frames = Frames::new(journal.as_slice());
        for index in 0..count {
            let Ok(Step::Frame(frame)) = frames.step() else { panic!("no frame {index}") };
            assert_eq!(frame.index.0, index as u64);
        }
        assert!(matches!(frames.step(), Ok(Step::End)));
        assert_eq!(frames.offset(), journal.len() as u64);
    }

    #[test]
    fn whole_frames_are_found_in_a_block_that_begins_anywhere() {
        let whole = journal(40);
        let mut starts: Vec<usize> = Vec::new();
        let mut frames = Frames::new(&whole[..]);
        while let Ok(Step::Frame(frame)) = frames.step() {
            starts.push(usize::try_from(frame.offset).unwrap());
        }
        for from in 0..whole.len() {
            let expected = starts.iter().find(|start| **start >= from);
            let expected =
                expected.map(|start| (start - from, starts.iter().filter(|one| *one >= start).count() as u64));
            assert_eq!(whole_frames(&whole[from..]), expected, "{from}");
        }
        assert_eq!(whole_frames(&whole[..whole.len() - 1]), None, "it does not end with a frame");
    }

    #[test]
    fn a_changed_length_is_not_a_torn_tail() {
        let mut journal = journal(3);
        let frame_bytes = journal.len() / 3;
        journal[frame_bytes] = 0x0b;
        let mut frames = Frames::new(journal.as_slice());
        assert!(matches!(frames.step(), Ok(Step::Frame(_))));
        let Err(FrameError::Corrupt(corrupt)) = frames.step() else { panic!("not found") };
        assert_eq!(corrupt, CorruptFrame { index: LeafIndex(1), offset: frame_bytes as u64 });
    }

    fn journal(entries: usize) -> Vec<u8> {
        let software = "s".repeat(800);
        let mut out = Vec::new();
        for time_ns in 0..entries as u64 {
            // A large time keeps all frames equally long.
            let time_ns = u64::MAX - time_ns;
            let opened = LedgerOpened {
                origin: "o".into(),
                software: software.as_str().into(),
                time_ns,
                key: LedgerKey { public: PublicKey([0; 32]), rotated: None },
            };
            push_frame(&mut out, &Entry::LedgerOpened(opened).encode());
        }
        out
    }
}
