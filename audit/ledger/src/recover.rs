//! Recovery: what a ledger's folder holds when it is opened, and whether it may be gone on with.
//!
//! The journal is the truth. Nothing is changed here before all of it agrees with what was signed and remembered.

use std::io;
use std::path::Path;

use crate::ledger_error::OpenError;
use crate::tail::Tail;
use crate::tile_writer::TileWriter;
use tollgate_audit::checkpoint::SignedCheckpoint;
use tollgate_audit::codec::kind_and_call;
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::entry::{Entry, Kind};
use tollgate_audit::frame::{FrameError, Frames, Step, frame_bytes};
use tollgate_audit::ids::{CallId, LeafIndex, PublicKey, RootHash, TreeSize, WriterId};
use tollgate_audit::journal;
use tollgate_audit::key::VerifierKey;
use tollgate_audit::state::{Remembered, Resume};
use tollgate_audit::structure::{Problem, Structure};
use tollgate_audit::tile_store::TileStore;
use tollgate_audit::tiles::TileEdge;

/// What a ledger's folder holds.
pub(crate) struct Found {
    pub(crate) tail: Tail,
    pub(crate) structure: Structure,
    pub(crate) torn_bytes: u64,
    /// Where reading began.
    pub(crate) start: Resume,
    // What is wrong first among the entries that nobody vouched for: their frame's index and offset.
    wrong: Option<(LeafIndex, u64, Problem)>,
    roots: Vec<(TreeSize, RootHash)>,
}

/// What is known of a ledger before its journal is read.
#[derive(Clone, Copy)]
pub(crate) struct Known<'k> {
    pub(crate) dir: &'k Path,
    pub(crate) origin: &'k str,
    pub(crate) published: Option<&'k SignedCheckpoint>,
    pub(crate) remembered: Option<&'k Remembered>,
}

/// An entry of a writer by which it is known after a notary's death.
#[derive(Clone, Copy, Debug)]
pub enum OfWriter {
    /// It started this call.
    Call {
        /// The writer.
        writer: WriterId,
        /// The call.
        call: CallId,
    },
    /// It said what confines it.
    Enforcement(WriterId),
    /// Its filter stopped a system call.
    Blocked(BlockedCall),
}

impl Known<'_> {
    /// The same without what the ledger remembers.
    pub(crate) fn without_memory(&self) -> Self {
        Self { remembered: None, ..*self }
    }

    /// The same without a checkpoint that is newer than the journal: a copy that was made while the ledger was in use may
    /// have one.
    pub(crate) fn without_newer_checkpoint(&self, size: TreeSize) -> Self {
        Self { published: self.published.filter(|published| published.unverified().size <= size), ..*self }
    }

    /// What an operator gives up who adopts a ledger of `size`: what it remembers, or what a newer checkpoint signs.
    pub(crate) fn given_up(&self, size: TreeSize) -> Option<(TreeSize, RootHash)> {
        let keeps_checkpoint = self.published.is_none() || self.without_newer_checkpoint(size).published.is_some();
        let anchors = if keeps_checkpoint { Self { published: None, ..*self } } else { *self };
        anchors.newest()
    }

    fn newest(&self) -> Option<(TreeSize, RootHash)> {
        self.anchors().max_by_key(|(size, _)| *size)
    }

    /// How many of the first entries were signed, or were about to be.
    pub(crate) fn vouched(&self) -> TreeSize {
        self.newest().map(|(size, _)| size).unwrap_or_default()
    }

    /// Reads the journal, from as far on as tiles and memory allow, and compares it with what is known.
    pub(crate) fn recover(&self) -> Result<Found, OpenError> {
        // Whatever speaks against the short way is judged by the long one, and so are entries that nobody vouched for:
        // whether a call starts a second time, only those before it can tell.
        if let Some(found) = self.resume_point().and_then(|(start, edge)| self.scan(start, &edge).ok())
            && found.tail.frontier.size() <= self.vouched()
            && self.check(&found).is_ok()
        {
            return Ok(found);
        }
        let found = self.scan(Resume::default(), &TileEdge::default())?;
        self.check(&found)?;
        Ok(found)
    }

    /// Tiles from where recovery began up to the end, full and partial ones, written where they are missing or differ; and
    /// the edge then.
    pub(crate) fn mend_tiles(&self, found: &Found, store: &TileWriter) -> Result<TileEdge, OpenError> {
        let failed = |source| self.io_error(source);
        let mut edge = match found.start.index {
            0 => TileEdge::default(),
            _ => self.resume_point().map(|(_, edge)| edge).ok_or_else(|| failed(io::Error::other("tiles are gone")))?,
        };
        let size = found.tail.frontier.size();
        let mut frames = self.frames(found.start).map_err(failed)?;
        while edge.size() < size {
            let Ok(Step::Frame(frame)) = frames.step() else {
                return Err(failed(io::Error::other("the journal has changed meanwhile")));
            };
            let mut full = Vec::new();
            edge.push(frame.entry, frame.leaf, &mut |tile| full.push(tile));
            full.iter().try_for_each(|tile| store.mend_full(tile)).map_err(failed)?;
        }
        store.remove_beyond(size).map_err(failed)?;
        let published = self.published.map(|published| published.unverified().size).unwrap_or_default();
        store.mend_partials(&edge, published).map_err(failed)?;
        Ok(edge)
    }

    /// Names what writers are known by in the part of the journal that was read.
    pub(crate) fn of_writers(&self, found: &Found, mut saw: impl FnMut(OfWriter)) -> io::Result<()> {
        let mut frames = self.frames(found.start)?;
        while let Ok(Step::Frame(frame)) = frames.step() {
            let Some((Kind::Call | Kind::Enforcement | Kind::BlockedCall, _)) = kind_and_call(frame.entry) else {
                continue;
            };
            match Entry::decode(frame.entry) {
                Ok(Entry::Call(start)) => saw(OfWriter::Call { writer: start.writer, call: start.call }),
                Ok(Entry::Enforcement(enforcement)) => saw(OfWriter::Enforcement(enforcement.writer)),
                Ok(Entry::BlockedCall(blocked)) => saw(OfWriter::Blocked(blocked)),
                _ => {}
            }
        }
        Ok(())
    }

    fn resume_point(&self) -> Option<(Resume, TileEdge)> {
        let (resume, published) = (self.remembered?.resume, self.published?.unverified());
        if resume.index == 0 || resume.index > published.size.0 || !resume.index.is_multiple_of(256) {
            return None;
        }
        let edge = TileStore::new(self.dir).edge(TreeSize(resume.index), published.size).ok()?;
        Some((resume, edge))
    }

    fn frames(&self, start: Resume) -> io::Result<Frames<impl io::Read>> {
        let journal = journal::read_from(self.dir, start.offset)?;
        Ok(Frames::starting_at(journal, LeafIndex(start.index), start.offset))
    }

    fn scan(&self, start: Resume, edge: &TileEdge) -> Result<Found, OpenError> {
        let mut structure =
            if start.index == 0 { Structure::default() } else { Structure::resumed(self.first_origin()?) };
        let mut tail = Tail::starting_at(start, edge.frontier());
        let (mut roots, mut wrong) = (Vec::new(), None);
        let vouched = self.vouched();
        let mut frames = self.frames(start).map_err(|source| self.io_error(source))?;
        let torn_bytes = loop {
            let size = tail.frontier.size();
            if self.anchors().any(|(anchor, _)| anchor == size) {
                roots.push((size, tail.frontier.root()));
            }
            match frames.step() {
                Ok(Step::Frame(frame)) => {
                    let entry = Entry::decode(frame.entry).map_err(|source| OpenError::NotAnEntry {
                        index: frame.index,
                        offset: frame.offset,
                        source,
                    })?;
                    // What was vouched for is `verify`'s to judge; nothing else is signed before it is judged here.
                    let is_vouched = frame.index.0 < vouched.0;
                    structure.entry(frame.index, &entry, frame.leaf, &mut |problem| {
                        if !is_vouched && wrong.is_none() {
                            wrong = Some((frame.index, frame.offset, problem));
                        }
                    });
                    tail.push(frame.entry, frame.leaf, frame_bytes(frame.entry));
                }
                Ok(Step::Torn { bytes }) => break bytes,
                Ok(Step::End) => break 0,
                Err(FrameError::Io(source)) => return Err(self.io_error(source)),
                Err(FrameError::Corrupt(corrupt)) => return Err(OpenError::Corrupt(corrupt)),
            }
        };
        Ok(Found { tail, structure, torn_bytes, start, wrong, roots })
    }

    /// The origin that the journal's first entry names.
    fn first_origin(&self) -> Result<String, OpenError> {
        let mut frames = self.frames(Resume::default()).map_err(|source| self.io_error(source))?;
        let Ok(Step::Frame(frame)) = frames.step() else {
            return Err(self.other_origin(""));
        };
        match Entry::decode(frame.entry) {
            Ok(Entry::LedgerOpened(opened)) => Ok(opened.origin.to_string()),
            _ => Err(self.other_origin("")),
        }
    }

    /// Roots that the journal must have had.
    fn anchors(&self) -> impl Iterator<Item = (TreeSize, RootHash)> {
        let published = self.published.map(|published| (published.unverified().size, published.unverified().root));
        let remembered = self.remembered.map(|remembered| (remembered.size, remembered.root));
        published.into_iter().chain(remembered)
    }

    fn check(&self, found: &Found) -> Result<(), OpenError> {
        let size = found.tail.frontier.size();
        if size > TreeSize(0) && found.structure.origin() != Some(self.origin) {
            return Err(self.other_origin(found.structure.origin().unwrap_or_default()));
        }
        let published = self.published.map(|published| published.unverified().origin.as_str());
        let named = published.into_iter().chain(self.remembered.map(|remembered| remembered.origin.as_str()));
        if let Some(other) = named.into_iter().find(|named| *named != self.origin) {
            return Err(self.other_origin(other));
        }
        for (size, known) in self.anchors() {
            match found.roots.iter().find(|(at, _)| *at == size) {
                None => return Err(OpenError::DataLost { known: size, found: found.tail.frontier.size() }),
                Some((_, root)) if *root == known => {}
                Some((_, root)) => return Err(OpenError::DataChanged { size, known, found: *root }),
            }
        }
        if let Some(closed) = self.remembered.filter(|remembered| remembered.is_closed && remembered.size < size) {
            return Err(OpenError::AddedWhileClosed { closed: closed.size, found: size });
        }
        match &found.wrong {
            Some((index, offset, problem)) => {
                Err(OpenError::Senseless { index: *index, offset: *offset, problem: problem.clone() })
            }
            None => Ok(()),
        }
    }

    /// Compares the checkpoint's signature with the key that was in force at its size; `current` is the key in the
    /// key file.
    pub(crate) fn check_signature(&self, found: &Found, current: PublicKey) -> Result<(), OpenError> {
        let Some(published) = self.published else {
            return Ok(());
        };
        let size = published.unverified().size;
        let from_start = found.start.index == 0;
        let in_force = found.structure.key_at(size).or_else(|| (!from_start).then_some(current));
        let key = in_force.and_then(|key| VerifierKey::new(self.origin, key).ok());
        let is_ours = key.is_some_and(|key| published.verify(&key).is_ok());
        if is_ours { Ok(()) } else { Err(OpenError::CheckpointNotOurs) }
    }

    fn io_error(&self, source: io::Error) -> OpenError {
        OpenError::Io { path: self.dir.to_owned(), source }
    }

    fn other_origin(&self, found: &str) -> OpenError {
        OpenError::OtherOrigin { wanted: self.origin.to_owned(), found: found.to_owned() }
    }
}
