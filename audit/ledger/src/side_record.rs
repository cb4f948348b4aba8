//! Records of the side store: what each says of itself, and how they are read one after the other.
//!
//! Records are only ever added. A frame that fails its check, anywhere but at the end of a file, is corruption.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use tollgate_audit::ids::CallId;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Salt,
    Arguments,
    Result,
}

/// The frame of a record: kind, `u32` length of the content (big-endian), call, check over these, check of the content. The
/// content follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Where its frame starts.
    pub(crate) offset: u64,
    pub(crate) kind: RecordKind,
    pub(crate) call: CallId,
    pub(crate) length: u32,
    check: [u8; CHECK_BYTES],
}

/// The next thing in a side store.
#[derive(Debug)]
pub(crate) enum SideStep {
    Record(Record),
    /// It ends within a record: a write that was cut short.
    Torn,
    End,
}

/// Reads records in their order, and of their contents nothing.
#[derive(Debug)]
pub(crate) struct Records<'f> {
    reader: BufReader<&'f File>,
    offset: u64,
    end: u64,
}

/// Puts a whole record at the end of `out`. `content` is no longer than a `u32` can say.
pub(crate) fn push_record(out: &mut Vec<u8>, kind: RecordKind, call: CallId, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let said = said(kind, length, call);
    out.extend_from_slice(&said);
    out.extend_from_slice(&check(&said));
    out.extend_from_slice(&check(content));
    out.extend_from_slice(content);
}

impl Record {
    fn parse(offset: u64, frame: &[u8; FRAME_BYTES]) -> Option<Self> {
        let (said, rest) = frame.split_first_chunk::<SAID_BYTES>()?;
        let (found, rest) = rest.split_first_chunk::<CHECK_BYTES>()?;
        let [kind, l0, l1, l2, l3, call @ ..] = said;
        if check(said) != *found {
            return None;
        }
        Some(Self {
            offset,
            kind: RecordKind::from_byte(*kind)?,
            call: CallId(*call),
            length: u32::from_be_bytes([*l0, *l1, *l2, *l3]),
            check: *rest.first_chunk()?,
        })
    }

    /// Where the next record starts.
    pub(crate) fn end(&self) -> u64 {
        self.offset + (FRAME_BYTES as u64) + u64::from(self.length)
    }

    /// Its content; `None` if that is not what was written.
    pub(crate) fn content(&self, file: &File) -> io::Result<Option<Vec<u8>>> {
        let length = usize::try_from(self.length).map_err(io::Error::other)?;
        let mut content = vec![0; length];
        file.read_exact_at(&mut content, self.offset + FRAME_BYTES as u64)?;
        Ok((check(&content) == self.check).then_some(content))
    }
}

impl<'f> Records<'f> {
    /// Those from `offset` on, where a record starts, up to `end`.
    pub(crate) fn new(mut file: &'f File, offset: u64, end: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, file), offset, end })
    }

    /// Where the next record starts.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where they end.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn step(&mut self) -> io::Result<SideStep> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(SideStep::End);
        }
        let mut frame = [0; FRAME_BYTES];
        if left < frame.len() as u64 {
            return Ok(SideStep::Torn);
        }
        self.reader.read_exact(&mut frame)?;
        match Record::parse(self.offset, &frame) {
            Some(record) if record.end() <= self.end => {
                self.reader.seek_relative(i64::from(record.length))?;
                self.offset = record.end();
                Ok(SideStep::Record(record))
            }
            Some(_longer) => Ok(SideStep::Torn),
            // The file's length was on disk before its content when the power went.
            None if self.rest_is_zero()? => Ok(SideStep::Torn),
            None => {
                let reason = format!("the side store is corrupt at byte {}", self.offset);
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
        }
    }

    fn rest_is_zero(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match self.reader.read(&mut buffer)? {
                0 => return Ok(true),
                bytes if buffer.iter().take(bytes).all(|byte| *byte == 0) => {}
                _ => return Ok(false),
            }
        }
    }
}

impl RecordKind {
    fn byte(self) -> u8 {
        match self {
            Self::Salt => 1,
            Self::Arguments => 2,
            Self::Result => 3,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Salt, Self::Arguments, Self::Result].into_iter().find(|kind| kind.byte() == byte)
    }
}

fn said(kind: RecordKind, length: u32, call: CallId) -> [u8; SAID_BYTES] {
    let mut said = [kind.byte(); SAID_BYTES];
    if let Some((head, rest)) = said.split_at_mut_checked(1 + LENGTH_BYTES) {
        head.iter_mut().skip(1).zip(length.to_be_bytes()).for_each(|(to, byte)| *to = byte);
        rest.copy_from_slice(&call.0);
    }
    said
}

/// Finds accidents; the digests in the ledger find intent.
pub(crate) fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = <[u8; 32]>::from(Sha256::digest(bytes));
    [b0, b1, b2, b3, b4, b5, b6, b7]
}

const LENGTH_BYTES: usize = 4;
/// Kind, length and call.
const SAID_BYTES: usize = 1 + LENGTH_BYTES + 16;
pub(crate) const CHECK_BYTES: usize = 8;
pub(crate) const FRAME_BYTES: usize = SAID_BYTES + 2 * CHECK_BYTES;

/// Reads of this many bytes; contents that are longer are passed over.
const BUFFER_BYTES: usize = 64 * 1024;
