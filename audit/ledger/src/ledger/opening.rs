//! Opening a ledger: what its folder, its key and its memory say is compared before anything is changed, and what a dead
//! writer left is judged and named before anything is signed.
//!
//! It must never take a ledger whose memory is gone for a new one, nor sign entries that were added while it was closed.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{Ledger, Publisher, Recovery, Writer, edge_tiles};
use crate::call_counter::CallCounter;
use crate::journal::Journal;
use crate::key_file;
use crate::ledger_error::OpenError;
use crate::lock::{LedgerLock, LockError};
use crate::owner;
use crate::recover::{Found, Known, OfWriter};
use crate::state::StateFile;
use crate::tile_writer::TileWriter;
use tollgate_audit::beside::beside;
use tollgate_audit::checkpoint::{self, Checkpoint, SignedCheckpoint};
use tollgate_audit::entry::{Entry, LedgerKey, LedgerOpened};
use tollgate_audit::frame::frame_bytes;
use tollgate_audit::ids::{CallId, LeafIndex, TreeSize, WriterId};
use tollgate_audit::journal::{self, OlderFormat};
use tollgate_audit::key::{SigningKey, is_origin};
use tollgate_audit::lock::Holder;
use tollgate_audit::show;
use tollgate_audit::state::{Remembered, Resume};
use tollgate_audit::structure::OpenCall;
use tollgate_audit::takeover::{Adoption, Takeover};
use tollgate_audit::tree::Frontier;

/// Which ledger to open, and what it records of that.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'o> {
    pub dir: &'o Path,
    /// By default `<dir>.key`.
    pub key_path: Option<&'o Path>,
    /// By default the name that the ledger has; that of a new one is drawn.
    pub origin: Option<&'o str>,
    pub software: &'o str,
    pub now_ns: u64,
    /// Whom its lock names; by default this process.
    pub holder: Option<&'o Holder>,
    /// Whoever lets it go on although it is not what it remembers to be.
    pub adopts: Option<Adopts<'o>>,
}

/// Who lets a ledger go on, and why.
#[derive(Clone, Copy, Debug)]
pub struct Adopts<'o> {
    pub by: &'o str,
    pub reason: &'o str,
}

/// Writers that may be writing while the ledger is opened.
pub trait LiveWriters {
    fn are_there(&self) -> bool;

    fn is_live(&self, writer: WriterId) -> bool;

    /// Hears of an entry of a writer that the journal holds; the writer may be live or not.
    fn saw(&mut self, seen: OfWriter);

    /// Brings the rest of the frame that begins with `torn` to the journal by `splice`, if one of the writers has it.
    fn finish(&mut self, torn: &[u8], splice: &mut SpliceRest<'_>) -> io::Result<bool>;
}

/// Moves so many bytes from a pipe to the journal, so far behind its end.
pub type SpliceRest<'s> = dyn FnMut(BorrowedFd<'_>, usize, u64) -> io::Result<usize> + 's;

pub(super) struct NoWriters;

impl LiveWriters for NoWriters {
    fn are_there(&self) -> bool {
        false
    }

    fn is_live(&self, _writer: WriterId) -> bool {
        false
    }

    fn saw(&mut self, _seen: OfWriter) {}

    fn finish(&mut self, _torn: &[u8], _splice: &mut SpliceRest<'_>) -> io::Result<bool> {
        Ok(false)
    }
}

impl Ledger {
    /// Opens the ledger while `writers` may still be writing: their calls stay open, and are handed out.
    pub fn open_for(
        opening: &Opening<'_>,
        writers: &mut impl LiveWriters,
    ) -> Result<(Self, HashMap<CallId, OpenCall>), OpenError> {
        let dir = opening.dir;
        let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
        let mut place = opening.enter()?;
        let mut state = place.state.take();
        let of_journal = |source| OpenError::Io { path: dir.join(journal::JOURNAL_FILE), source };
        let mut journal = Journal::open(dir).map_err(of_journal)?;
        let known = place.known(dir);
        let mut found = opening.recover(&known, &place.key_path, &journal, writers)?;
        let live = found.structure.take_open(|writer| writers.is_live(writer));
        if writers.are_there() {
            known.of_writers(&found, |seen| writers.saw(seen)).map_err(io_error)?;
        }
        if state.is_none() && !names_a_key(&found) && opening.adopts.is_none() {
            // Before its key, so that a key without a state is one that has lost it.
            let mut made = StateFile::create(&place.state_path).map_err(io_error)?;
            made.remember(&opening.start_from(&known)).map_err(io_error)?;
            state = Some(made);
        }
        let key = ledger_key(&place.key_path, &place.origin, &found)?;
        known.check_signature(&found, key.verifier().public_key())?;
        if found.torn_bytes > 0 {
            journal.truncate(found.tail.journal_bytes).map_err(io_error)?;
        }
        let size = found.tail.frontier.size();
        let takeover = opening.takeover(size, &known);
        if let Some(adopts) = opening.adopts {
            adopts.record(opening.opened(&place.origin, &key), &known, &mut found, &mut journal)?;
        }
        let known = known.without_newer_checkpoint(size);
        let remembered = opening.start_from(&known);
        let mut state = state.map_or_else(|| StateFile::create(&place.state_path), Ok).map_err(io_error)?;
        // Before anything is appended: from here on a crash may leave entries.
        if place.remembered.as_ref() != Some(&remembered) {
            state.remember(&remembered).map_err(io_error)?;
        }
        let tiles = TileWriter::new(dir);
        tiles.prepare().map_err(io_error)?;
        let edge = known.mend_tiles(&found, &tiles)?;
        let writer = Writer {
            journal,
            tail: std::mem::take(&mut found.tail),
            edge,
            tiles: tiles.clone(),
            unwritten: Vec::new(),
            spliced: 0,
        };
        let published = known.published.map(|published| published.unverified().size);
        let partials = edge_tiles(writer.edge.size());
        let publisher = Publisher { published, key, old_key: None, state, remembered, tiles, partials };
        let recovery = Recovery {
            torn_bytes: found.torn_bytes,
            closed_calls: found.structure.open_calls(),
            taken_over: takeover.map_or(0, |takeover| takeover.count),
            read_from: LeafIndex(found.start.index),
        };
        let mut ledger = Self::assemble(opening, place, writer, publisher, recovery).map_err(io_error)?;
        ledger.record_open(opening.now_ns, takeover, &found.structure).map_err(OpenError::Append)?;
        ledger.is_begun = true;
        Ok((ledger, live))
    }

    fn assemble(
        opening: &Opening<'_>,
        place: Place,
        writer: Writer,
        publisher: Publisher,
        recovery: Recovery,
    ) -> io::Result<Self> {
        Ok(Self {
            dir: opening.dir.to_owned(),
            key_path: place.key_path,
            origin: place.origin,
            software: opening.software.to_owned(),
            journal: writer.journal.handle()?,
            recovery,
            writer: Mutex::new(writer),
            publisher: Mutex::new(publisher),
            calls: CallCounter::of(WriterId::random()?),
            is_begun: false,
            lock: place.lock,
        })
    }
}

/// What stands around a journal, the ledger being locked.
struct Place {
    lock: LedgerLock,
    published: Option<SignedCheckpoint>,
    key_path: PathBuf,
    state_path: PathBuf,
    state: Option<StateFile>,
    remembered: Option<Remembered>,
    origin: String,
}

impl Place {
    fn known<'k>(&'k self, dir: &'k Path) -> Known<'k> {
        let (published, remembered) = (self.published.as_ref(), self.remembered.as_ref());
        Known { dir, origin: &self.origin, published, remembered }
    }
}

impl Opening<'_> {
    /// Locks the ledger and reads what stands around its journal.
    fn enter(&self) -> Result<Place, OpenError> {
        let dir = self.dir;
        if let Some(origin) = self.origin.filter(|origin| !is_origin(origin)) {
            return Err(OpenError::BadOrigin { origin: origin.to_owned() });
        }
        // Before the lock file is written: a ledger that is refused for its format stays as it is.
        if let Err(source) = journal::open_to_read(dir)
            && OlderFormat::is_cause_of(&source)
        {
            return Err(OpenError::Io { path: dir.to_owned(), source });
        }
        let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
        // Without dots at its end, which name nothing until the folder before them is there.
        let named: PathBuf = dir.components().collect();
        DirBuilder::new().recursive(true).mode(0o700).create(named).map_err(io_error)?;
        if !owner::is_ours(&std::fs::metadata(dir).map_err(io_error)?) {
            return Err(io_error(owner::not_ours()));
        }
        let lock = LedgerLock::acquire(dir, self.holder).map_err(|error| match error {
            LockError::Io(source) => io_error(source),
            LockError::Held { pid } => OpenError::InUse { pid },
        })?;
        let published = checkpoint::read(dir).map_err(OpenError::Checkpoint)?;
        let key_path =
            self.key_path.map_or_else(|| beside(dir, "key").map_err(io_error), |path| Ok(path.to_owned()))?;
        let state_path = beside(dir, "state").map_err(io_error)?;
        let of_state = |source| OpenError::Io { path: state_path.clone(), source };
        let (state, remembered) = match StateFile::open(&state_path).map_err(of_state)? {
            Ok(Some((state, remembered))) => (Some(state), Some(remembered)),
            Ok(None) if self.adopts.is_none() && self.was_there(&key_path).map_err(io_error)? => {
                return Err(OpenError::StateMissing { is_empty: state_path.exists(), path: state_path });
            }
            Err(malformed) if self.adopts.is_none() => {
                let path = state_path;
                return Err(if malformed.is_older {
                    OpenError::OlderState { path }
                } else {
                    OpenError::State { path }
                });
            }
            Ok(None) | Err(_) => (None, None),
        };
        let named = remembered.as_ref().map(|remembered| remembered.origin.clone());
        let origin = match self.origin.map(str::to_owned).or(named) {
            Some(origin) => origin,
            None => self.name(&key_path, published.as_ref())?,
        };
        Ok(Place { lock, published, key_path, state_path, state, remembered, origin })
    }

    /// Whether the key says that this ledger has been there before. One that the caller brings may be a new ledger's.
    fn was_there(&self, key_path: &Path) -> io::Result<bool> {
        let has_key = key_path.try_exists()?;
        let is_new = || journal::open_to_read(self.dir).and_then(|journal| Ok(journal.metadata()?.len() == 0));
        Ok(has_key && (self.key_path.is_none() || !is_new().unwrap_or(true)))
    }

    /// The name of a ledger that remembers none: its key's, else what its folder says, else a new one.
    fn name(&self, key_path: &Path, published: Option<&SignedCheckpoint>) -> Result<String, OpenError> {
        if let Some(key) = key_file::load(key_path).map_err(OpenError::Key)? {
            return Ok(key.verifier().name().to_owned());
        }
        if let Some(published) = published {
            return Ok(published.unverified().origin.clone());
        }
        match show::read(self.dir).ok().and_then(|mut entries| entries.next()) {
            Some(Ok((_, Entry::LedgerOpened(opened)))) => Ok(opened.origin.to_string()),
            _ => drawn_origin().map_err(|source| OpenError::Io { path: self.dir.to_owned(), source }),
        }
    }

    /// What the journal holds, if it may be gone on with.
    fn recover(
        &self,
        known: &Known<'_>,
        key_path: &Path,
        journal: &Journal,
        writers: &mut impl LiveWriters,
    ) -> Result<Found, OpenError> {
        let io_error = |source| OpenError::Io { path: self.dir.to_owned(), source };
        let found = known.recover();
        if self.adopts.is_none() {
            let found = found?;
            let is_whole = found.torn_bytes == 0 || !finish_torn(journal, &found, writers).map_err(io_error)?;
            return if is_whole { Ok(found) } else { known.recover() };
        }
        match found {
            // One that lost every entry names no key, and has one: it is not new.
            Ok(found) if known.remembered.is_none() && (names_a_key(&found) || is_emptied(&found, key_path)) => {
                Ok(found)
            }
            Ok(_sound) => Err(OpenError::NothingToAdopt),
            Err(OpenError::DataLost { .. } | OpenError::DataChanged { .. } | OpenError::AddedWhileClosed { .. }) => {
                adoptable(&known.without_memory())
            }
            Err(error) => Err(error),
        }
    }

    /// What a dead writer left, of a ledger of this size.
    fn takeover(&self, size: TreeSize, known: &Known<'_>) -> Option<Takeover> {
        let first = LeafIndex(known.vouched().0);
        let count = size.0.checked_sub(first.0).filter(|count| *count > 0 && self.adopts.is_none())?;
        Some(Takeover { time_ns: self.now_ns, first, count })
    }

    /// The first entry of a ledger that has none.
    fn opened<'o>(&'o self, origin: &'o str, key: &SigningKey) -> LedgerOpened<'o> {
        let key = LedgerKey { public: key.verifier().public_key(), rotated: None };
        LedgerOpened { origin: origin.into(), software: self.software.into(), time_ns: self.now_ns, key }
    }

    /// What to remember from the start on: that the ledger is open, and how far it was vouched for.
    fn start_from(&self, known: &Known<'_>) -> Remembered {
        if let Some(remembered) = known.remembered.filter(|_| self.adopts.is_none()) {
            return Remembered { is_closed: false, ..remembered.clone() };
        }
        let published = known.published.map(SignedCheckpoint::unverified).filter(|_| self.adopts.is_some());
        let (size, root) = match published {
            Some(Checkpoint { size, root, .. }) => (*size, *root),
            None => (TreeSize(0), Frontier::new().root()),
        };
        Remembered { origin: known.origin.to_owned(), size, root, resume: Resume::default(), is_closed: false }
    }
}

impl Adopts<'_> {
    /// Writes the break into the journal, before the memory of it is overwritten. One that has lost every entry starts with
    /// `opened`.
    fn record(
        &self,
        opened: LedgerOpened<'_>,
        known: &Known<'_>,
        found: &mut Found,
        journal: &mut Journal,
    ) -> Result<(), OpenError> {
        let size = found.tail.frontier.size();
        let signed = known.without_memory().without_newer_checkpoint(size).vouched();
        let is_emptied = size == TreeSize(0);
        let (at, first) = if is_emptied { (1, 1) } else { (size.0, signed.0) };
        let adoption = Entry::Adoption(Adoption {
            time_ns: opened.time_ns,
            reason: self.reason.into(),
            by: self.by.into(),
            first: LeafIndex(first),
            count: at.saturating_sub(first),
            known: known.given_up(size),
        });
        let start = is_emptied.then_some(Entry::LedgerOpened(opened));
        let entries: Vec<_> = start.iter().chain([&adoption]).map(Entry::encode).collect();
        journal.append(&entries, found.tail.journal_bytes).map_err(OpenError::Append)?;
        let io_error = |source| OpenError::Io { path: known.dir.to_owned(), source };
        journal.handle().and_then(|file| file.sync_data()).map_err(io_error)?;
        for entry in &entries {
            found.tail.push(entry.as_bytes(), entry.leaf(), frame_bytes(entry.as_bytes()));
        }
        Ok(())
    }
}

/// What the journal of a copy holds. Its checkpoint may be newer, and then speaks for none of it.
fn adoptable(known: &Known<'_>) -> Result<Found, OpenError> {
    match known.recover() {
        Err(OpenError::DataLost { known: signed, found: size }) => {
            let found = known.without_newer_checkpoint(size).recover()?;
            if names_a_key(&found) { Ok(found) } else { Err(OpenError::DataLost { known: signed, found: size }) }
        }
        found => found,
    }
}

fn is_emptied(found: &Found, key_path: &Path) -> bool {
    found.tail.frontier.size() == TreeSize(0) && key_path.exists()
}

fn names_a_key(found: &Found) -> bool {
    found.start.index > 0 || !found.structure.keys().is_empty()
}

/// Joins the unfinished frame at the journal's end with its rest, if a writer's pipe has it.
fn finish_torn(journal: &Journal, found: &Found, writers: &mut impl LiveWriters) -> io::Result<bool> {
    let end = found.tail.journal_bytes + found.torn_bytes;
    let torn = journal.read_tail(found.tail.journal_bytes)?;
    writers.finish(&torn, &mut |pipe, bytes, at| journal.splice(pipe, bytes, end + at))
}

/// The key of a ledger that holds `found`: the one in the key file, or a fresh one if the ledger has none yet.
fn ledger_key(path: &Path, origin: &str, found: &Found) -> Result<SigningKey, OpenError> {
    let next_path = key_file::next_path(path);
    let named = found.structure.keys().last().map(|(_, key)| *key);
    let is_named = |key: &SigningKey| named.is_none_or(|named| named == key.verifier().public_key());
    let ours = |key: &SigningKey| is_named(key) && key.verifier().name() == origin;
    match (key_file::load(path).map_err(OpenError::Key)?, names_a_key(found)) {
        (Some(key), _) if ours(&key) => {
            // A rotation that was not recorded.
            key_file::remove(&next_path).map_err(OpenError::Key)?;
            Ok(key)
        }
        (found_key, true) => match key_file::load(&next_path).map_err(OpenError::Key)? {
            // A rotation that was recorded, and then the process died.
            Some(next) if ours(&next) && named.is_some() => {
                key_file::replace(path, &next_path).map_err(OpenError::Key)?;
                Ok(next)
            }
            _ if found_key.is_none() => Err(OpenError::KeyMissing { path: path.to_owned() }),
            _ => Err(OpenError::OtherKey { path: path.to_owned() }),
        },
        (Some(_), false) => Err(OpenError::OtherKey { path: path.to_owned() }),
        (None, false) => {
            let io_error = |source| OpenError::Io { path: path.to_owned(), source };
            let key = SigningKey::generate(origin).map_err(io_error)?;
            // By way of another name: a process that is killed meanwhile leaves no half of a key.
            key_file::remove(&next_path).map_err(OpenError::Key)?;
            key_file::create(&next_path, &key).map_err(OpenError::Key)?;
            key_file::replace(path, &next_path).map_err(OpenError::Key)?;
            Ok(key)
        }
    }
}

/// A name that no other ledger has: witnesses tell logs apart by it (C2SP tlog-checkpoint, "origin").
fn drawn_origin() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(format!("{ORIGIN_PREFIX}{}", hex::encode(random)))
}

/// 16 hex digits follow.
const ORIGIN_PREFIX: &str = "tollgate.local/ledger/";
