//! Reads a ledger entry by entry, for people and `jq`.
//!
//! It shows, it does not verify: only the frames' own checks are looked at.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::beside::beside;
use crate::checkpoint;
use crate::codec::{DecodeError, kind_and_call};
use crate::entry::{Entry, Kind};
use crate::frame::{CorruptFrame, FrameError, Frames, Step, whole_frames};
use crate::ids::{CallId, LeafHash, LeafIndex};
use crate::journal;
use crate::lock;
use crate::seek;
use crate::state::{self, Resume};

/// An entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal cannot be opened or read.
    #[error("the journal cannot be read")]
    Io {
        /// The cause.
        source: io::Error,
    },
    /// The frame is corrupt. Nothing after it can be read.
    #[error(transparent)]
    Corrupt(CorruptFrame),
    /// The bytes are not an entry. Reading can go on.
    #[error("entry {index} is not an entry")]
    NotAnEntry {
        /// Index of the entry.
        index: LeafIndex,
        /// What is wrong.
        source: DecodeError,
    },
    /// The journal ends within an entry, and nobody is about to write the rest.
    #[error("the journal ends within entry {index}, which starts at byte {offset}: {bytes} bytes of it are left out")]
    Torn {
        /// Index that the entry would have.
        index: LeafIndex,
        /// Where its frame starts, in bytes from the start of the journal.
        offset: u64,
        /// What there is of the frame.
        bytes: u64,
    },
    /// The journal ends before entries that were in it: its checkpoint or the file beside the ledger's folder counts them.
    #[error("the journal ends before its last entries: {known} entries are known to have been here")]
    Cut {
        /// How many entries there were.
        known: u64,
    },
}

/// The entries of a ledger in order, up to its end or to the first frame that cannot be read.
///
/// An unfinished frame at the end is not shown: nobody was told that its entry is in the ledger. [`Entries::whole`] tells of it.
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    frames: Option<Frames<File>>,
    // Where reading ended, unless at a frame that cannot be read.
    end: Option<(LeafIndex, u64)>,
    // Bytes of an unfinished frame there.
    torn: u64,
    latest: Option<LeafHash>,
}

/// The entries of the ledger in the folder `dir`. It may be open for writing elsewhere.
///
/// # Errors
///
/// [`ReadError::Io`] when there is no journal to open.
pub fn read(dir: &Path) -> Result<Entries, ReadError> {
    let journal = journal::open_to_read(dir).map_err(|source| ReadError::Io { source })?;
    Ok(Entries { dir: dir.to_owned(), frames: Some(Frames::new(journal)), end: None, torn: 0, latest: None })
}

/// The entries of the ledger in the folder `dir` from shortly before the first one of `call` on; all of them where that place
/// cannot be told, as where there is no such call.
///
/// # Errors
///
/// As [`read`].
pub fn read_for_call(dir: &Path, call: CallId) -> Result<Entries, ReadError> {
    let frames = seek::frames_for(dir, call).map_err(|source| ReadError::Io { source })?;
    Ok(Entries { dir: dir.to_owned(), frames: Some(frames), end: None, torn: 0, latest: None })
}

/// The entries from a place near the ledger's end on, without reading what stands before: from about `bytes` before the
/// place from which its writer would have to recover. `None` where that is the ledger's start, or cannot be told: then
/// [`read`] reads all of it.
///
/// Of a call that was open when the last checkpoint was signed, all entries are read.
#[must_use]
pub fn read_near_end(dir: &Path, bytes: u64) -> Option<Entries> {
    let remembered = state::read(&beside(dir, "state").ok()?).ok()?.ok()??;
    let Resume { index, offset } = remembered.resume;
    let before = offset.checked_sub(bytes).filter(|before| *before > 0)?;
    let mut block = vec![0; usize::try_from(bytes).ok()?];
    journal::read_from(dir, before).ok()?.read_exact(&mut block).ok()?;
    let (skipped, count) = if block.is_empty() { (0, 0) } else { whole_frames(&block)? };
    let (index, offset) = (LeafIndex(index.checked_sub(count)?), before + skipped as u64);
    let frames = Frames::starting_at(journal::read_from(dir, offset).ok()?, index, offset);
    Some(Entries { dir: dir.to_owned(), frames: Some(frames), end: None, torn: 0, latest: None })
}

impl Entries {
    /// The next entry that is `wanted` by its kind and its call. The others are not even decoded.
    pub fn next_of(
        &mut self,
        wanted: impl Fn(Kind, Option<CallId>) -> bool,
    ) -> Option<Result<(LeafIndex, Entry<'static>), ReadError>> {
        self.next_where(|entry| kind_and_call(entry).is_none_or(|(kind, call)| wanted(kind, call)))
    }

    /// Lets reading go on behind the end that it came to, if there is more by now; whether there is. Never behind a
    /// frame that cannot be read.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`].
    pub fn go_on(&mut self) -> Result<bool, ReadError> {
        let io = |source| ReadError::Io { source };
        let Some((index, offset)) = self.end else { return Ok(self.frames.is_some()) };
        let length = fs::metadata(self.dir.join(journal::JOURNAL_FILE)).map_err(io)?.len();
        if length <= offset {
            return Ok(false);
        }
        let journal = journal::read_from(&self.dir, offset).map_err(io)?;
        self.frames = Some(Frames::starting_at(journal, index, offset));
        self.end = None;
        Ok(true)
    }

    /// Whether nothing stood behind the end that reading came to. A frame that the ledger's writer is about to finish is waited
    /// for, at most 2 s, and not read.
    ///
    /// # Errors
    ///
    /// [`ReadError::Torn`], [`ReadError::Cut`], [`ReadError::Io`].
    pub fn whole(&self) -> Result<(), ReadError> {
        match self.end {
            Some((index, offset)) if self.torn > 0 => self.not_torn(index, offset),
            Some((index, offset)) => self.not_cut(index, offset),
            None => Ok(()),
        }
    }

    /// That an unfinished frame is the writer's, who goes on.
    fn not_torn(&self, index: LeafIndex, offset: u64) -> Result<(), ReadError> {
        let until = Instant::now() + WRITER_PATIENCE;
        loop {
            // Asked before: it may finish and end in between.
            let is_held = lock::is_probably_held(&self.dir);
            let journal =
                fs::metadata(self.dir.join(journal::JOURNAL_FILE)).map_err(|source| ReadError::Io { source })?;
            if journal.len() != offset + self.torn {
                return Ok(());
            }
            if !is_held || Instant::now() >= until {
                return Err(ReadError::Torn { index, offset, bytes: self.torn });
            }
            thread::sleep(WRITER_LOOK_EVERY);
        }
    }

    /// That as many entries are there as are known to have been.
    fn not_cut(&self, index: LeafIndex, offset: u64) -> Result<(), ReadError> {
        // Asked before: a writer counts entries behind the end when they are in the journal, which is longer by then.
        let known = known(&self.dir);
        let journal = fs::metadata(self.dir.join(journal::JOURNAL_FILE)).map_err(|source| ReadError::Io { source })?;
        // A reading that began near the end that is known may have begun behind the one that is.
        if journal.len() < offset || (journal.len() == offset && known > index.0) {
            return Err(ReadError::Cut { known: known.max(index.0) });
        }
        Ok(())
    }

    /// The index of the entry that comes next; `None` behind the end.
    #[must_use]
    pub fn index(&self) -> Option<LeafIndex> {
        self.frames.as_ref().map(Frames::index)
    }

    /// The leaf hash of the entry read last.
    #[must_use]
    pub fn latest_leaf(&self) -> Option<LeafHash> {
        self.latest
    }
}

impl Iterator for Entries {
    type Item = Result<(LeafIndex, Entry<'static>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_where(|_entry| true)
    }
}

impl Entries {
    fn next_where(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Option<<Self as Iterator>::Item> {
        let frames = self.frames.as_mut()?;
        let last = loop {
            let end = (frames.index(), frames.offset());
            match frames.step() {
                Ok(Step::Frame(frame)) => {
                    let index = frame.index;
                    self.latest = Some(frame.leaf);
                    if !wanted(frame.entry) {
                        continue;
                    }
                    let entry = Entry::decode_owned(frame.entry)
                        .map(|entry| (index, entry))
                        .map_err(|source| ReadError::NotAnEntry { index, source });
                    return Some(entry);
                }
                Ok(Step::Torn { bytes }) => {
                    (self.end, self.torn) = (Some(end), bytes);
                    break None;
                }
                Ok(Step::End) => {
                    (self.end, self.torn) = (Some(end), 0);
                    break None;
                }
                Err(FrameError::Io(source)) => break Some(Err(ReadError::Io { source })),
                Err(FrameError::Corrupt(corrupt)) => break Some(Err(ReadError::Corrupt(corrupt))),
            }
        };
        self.frames = None;
        last
    }
}

/// How many entries the ledger in `dir` is known to have had: none where nothing that can be read says so.
fn known(dir: &Path) -> u64 {
    let signed = checkpoint::read(dir).ok().flatten().map(|signed| signed.unverified().size.0);
    let state = || state::read(&beside(dir, "state").ok()?).ok()?.ok()?;
    signed.max(state().map(|remembered| remembered.size.0)).unwrap_or_default()
}

/// A writer finishes an entry within moments, unless its disk is slow.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);
const WRITER_LOOK_EVERY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;
    use crate::entry::{LedgerKey, LedgerOpened, Policy};
    use crate::frame::push_frame;
    use crate::ids::Digest;
    use crate::ids::PublicKey;
    use crate::pairs::Pairs;
    use crate::tree::leaf_hash;

    fn policy() -> Policy<'static> {
        let digest = Digest::of(b"");
        let (tool, by) = ("a".into(), "b".into());
        Policy { digest, manifest: digest, grant: digest, tool, by, folders: Pairs::default(), declared: None }
    }

    /// A frame of anything.
    fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
        out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
        out.extend(&leaf_hash(bytes).0[..4]);
    }

    #[test]
    fn reading_goes_on_behind_whole_frames_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = OpenOptions::new().create(true).append(true).open(dir.path().join("journal")).unwrap();
        let entry = |time_ns| {
            Entry::LedgerOpened(LedgerOpened {
                origin: "o".into(),
                software: "s".into(),
                time_ns,
                key: LedgerKey { public: PublicKey([0; 32]), rotated: None },
            })
            .encode()
        };
        let frame = |time_ns| {
            let mut frame = Vec::new();
            push_frame(&mut frame, &entry(time_ns));
            frame
        };
        journal.write_all(&frame(0)).unwrap();
        let mut entries = read(dir.path()).unwrap();
        assert!(entries.go_on().unwrap(), "not read yet");
        assert_eq!(entries.by_ref().map(|read| read.unwrap().0).collect::<Vec<_>>(), [LeafIndex(0)]);
        assert_eq!(entries.latest_leaf(), Some(entry(0).leaf()));
        assert!(!entries.go_on().unwrap());

        let second = frame(1);
        journal.write_all(&second[..9]).unwrap();
        assert!(entries.go_on().unwrap());
        assert!(entries.next().is_none(), "half a frame is no entry");
        let torn = entries.whole().unwrap_err().to_string();
        let offset = frame(0).len();
        let said =
            format!("the journal ends within entry 1, which starts at byte {offset}: 9 bytes of it are left out");
        assert_eq!(torn, said);
        journal.write_all(&second[9..]).unwrap();
        entries.whole().unwrap();
        assert!(entries.go_on().unwrap());
        assert_eq!(entries.by_ref().map(|read| read.unwrap().0).collect::<Vec<_>>(), [LeafIndex(1)]);
        assert_eq!(entries.latest_leaf(), Some(entry(1).leaf()));

        // Of a kind that is not wanted: it is passed over, though it is no entry.
        let mut broken = Vec::new();
        let mut bytes = Entry::Policy(policy()).encode().as_bytes().to_vec();
        bytes.push(0);
        push_bytes(&mut broken, &bytes);
        journal.write_all(&broken).unwrap();
        assert!(entries.go_on().unwrap());
        assert!(entries.next_of(|kind, _call| kind != Kind::Policy).is_none());
        let mut again = read(dir.path()).unwrap();
        let not_one = again.by_ref().nth(2).unwrap();
        assert!(matches!(not_one, Err(ReadError::NotAnEntry { index: LeafIndex(2), .. })), "{not_one:?}");

        journal.write_all(&[0; 99]).unwrap();
        assert!(entries.go_on().unwrap());
        assert!(matches!(entries.next(), Some(Err(ReadError::Corrupt(_)))));
        assert!(!entries.go_on().unwrap(), "never behind what cannot be read");
    }
}
