//! The ledger as its writer holds it: folder, lock, key, journal, tree, tiles.
//!
//! It must never hand out an index for an entry that is not written, open over data that is lost or changed, or sign
//! what is not on disk and remembered.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::call_counter::CallCounter;
use crate::checkpoint::{self, Checkpoint};
use crate::codec::EncodedEntry;
use crate::confinement::BlockedCall;
use crate::entry::{Entry, KeyRotation, LedgerKey, LedgerOpened};
use crate::frame::frame_bytes;
use crate::ids::{CallId, HostId, LeafHash, LeafIndex, RootHash, TreeSize};
use crate::journal::{AppendError, Journal};
use crate::key::{SigningKey, VerifierKey};
use crate::key_file::{self, beside};
use crate::ledger_error::{CheckpointError, OpenError, RotateKeyError, with_causes};
use crate::lock::{LedgerLock, LockError};
use crate::note::SignedNote;
use crate::record::{Kept, Record, RecordError};
use crate::recover::{Found, Known};
use crate::state::{Remembered, Resume, StateFile};
use crate::structure::{OpenCall, Structure};
use crate::tail::Tail;
use crate::tile_path::{TILE_LEVELS, TileKind, TilePath};
use crate::tile_store::TileStore;
use crate::tiles::{Tile, TileEdge, edge_tile};

/// A ledger open for writing; this process is its only writer.
///
/// Durability: an appended entry is in the page cache. It survives the death (SIGKILL) of any process; it
/// survives the loss of power only once a [`checkpoint`](Ledger::checkpoint) covers it. Dropping the ledger
/// tries to write a last checkpoint.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    key_path: PathBuf,
    origin: String,
    software: String,
    writer: Mutex<Writer>,
    // Locked before `writer`; held while syncing, so that checkpoints replace each other in order.
    publisher: Mutex<Publisher>,
    journal: File,
    recovery: Recovery,
    calls: CallCounter,
    _lock: LedgerLock,
}

/// What had to be mended when the ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of an unfinished frame at the end of the journal that were cut off.
    pub torn_bytes: u64,
    /// Calls whose host died; each now has a closer.
    pub closed_calls: Vec<CallId>,
    /// The entry from which on the journal was read; those before it were known by signed tiles.
    pub read_from: LeafIndex,
}

impl Ledger {
    /// Opens the ledger in the folder `dir` as its only writer, making it if it is new (folder mode 0700, files
    /// 0600), and records `software` and `now_ns` (wall clock, nanoseconds since the Unix epoch).
    ///
    /// Its key is in `<dir>.key` and what it remembers of itself in `<dir>.state`, both made if the ledger is new:
    /// beside the folder, since the folder may be served to anyone.
    ///
    /// A frame that a died writer left unfinished is cut off; each call that it left open is closed. The journal is
    /// read from its start, or from where the tiles of the newest checkpoint vouch for what comes before.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: in use, corrupt before its end, behind its checkpoint or what it remembers, or different from
    /// them, of another origin or key, or refused by the operating system.
    pub fn open(dir: &Path, origin: &str, software: &str, now_ns: u64) -> Result<Self, OpenError> {
        Self::open_for(&Opening { dir, key_path: None, origin, software, now_ns }, &mut NoHosts)
            .map(|(ledger, _)| ledger)
    }

    /// As [`Ledger::open`], with the key in the file `key_path`.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`].
    pub fn open_with_key(
        dir: &Path,
        key_path: &Path,
        origin: &str,
        software: &str,
        now_ns: u64,
    ) -> Result<Self, OpenError> {
        let opening = Opening { dir, key_path: Some(key_path), origin, software, now_ns };
        Self::open_for(&opening, &mut NoHosts).map(|(ledger, _)| ledger)
    }

    /// Opens the ledger while `hosts` may still be writing: their calls stay open, and are handed out.
    pub(crate) fn open_for(
        opening: &Opening<'_>,
        hosts: &mut impl LiveHosts,
    ) -> Result<(Self, HashMap<CallId, OpenCall>), OpenError> {
        let Opening { dir, key_path, origin, software, now_ns } = *opening;
        if !checkpoint::is_origin(origin) {
            return Err(OpenError::BadOrigin { origin: origin.to_owned() });
        }
        let io_error = |source| OpenError::Io { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error)?;
        let lock = LedgerLock::acquire(dir).map_err(|error| match error {
            LockError::Io(source) => io_error(source),
            LockError::Held { pid } => OpenError::InUse { pid },
        })?;
        let published = checkpoint::read(dir).map_err(OpenError::Checkpoint)?;
        let state_path = beside(dir, "state").map_err(io_error)?;
        let (state, remembered) = StateFile::open(&state_path).map_err(io_error)?;
        let remembered = remembered.map_err(|_malformed| OpenError::State { path: state_path })?;
        let journal = Journal::open(dir).map_err(io_error)?;

        let known = Known { dir, origin, published: published.as_ref(), remembered: remembered.as_ref() };
        let mut found = known.recover()?;
        if found.torn_bytes > 0 && finish_torn(&journal, &found, hosts).map_err(io_error)? {
            found = known.recover()?;
        }
        let live = found.structure.take_open(|call| hosts.is_live(call.host()));
        if hosts.are_there() {
            known.of_hosts(&found, |seen| hosts.saw(seen)).map_err(io_error)?;
        }
        let key_path = key_path.map_or_else(|| beside(dir, "key").map_err(io_error), |path| Ok(path.to_owned()))?;
        let key = ledger_key(&key_path, origin, &found)?;
        known.check_signature(&found, key.verifier().public_key())?;

        if found.torn_bytes > 0 {
            journal.truncate(found.tail.journal_bytes).map_err(io_error)?;
        }
        let tiles = TileStore::new(dir);
        tiles.prepare().map_err(io_error)?;
        let edge = known.mend_tiles(&found, &tiles)?;
        let partials = edge_tiles(edge.size());
        let ledger = Self {
            dir: dir.to_owned(),
            key_path,
            origin: origin.to_owned(),
            software: software.to_owned(),
            journal: journal.handle().map_err(io_error)?,
            recovery: Recovery {
                torn_bytes: found.torn_bytes,
                closed_calls: found.structure.open_calls(),
                read_from: LeafIndex(found.start.index),
            },
            writer: Mutex::new(Writer {
                journal,
                tail: std::mem::take(&mut found.tail),
                edge,
                tiles: tiles.clone(),
                unwritten: Vec::new(),
                spliced: 0,
            }),
            publisher: Mutex::new(Publisher {
                published: published.map(|published| published.checkpoint().size),
                key,
                old_key: None,
                state,
                resume: remembered.map(|remembered| remembered.resume).unwrap_or_default(),
                tiles,
                partials,
            }),
            calls: CallCounter::of(HostId::random().map_err(io_error)?),
            _lock: lock,
        };
        ledger.record_open(now_ns, &found.structure).map_err(OpenError::Append)?;
        Ok((ledger, live))
    }

    /// Appends `entries` in one write and returns the index of the first; of none, the index that comes next.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: none of them is in the ledger.
    pub fn append(&self, entries: &[EncodedEntry]) -> Result<LeafIndex, AppendError> {
        let mut writer = self.writer();
        let first = LeafIndex(writer.tail.frontier.size().0);
        if entries.is_empty() {
            return Ok(first);
        }
        if writer.spliced > 0 {
            return Err(AppendError::Stalled { reason: "an entry of a host is half written".to_owned() });
        }
        let end = writer.tail.journal_bytes;
        writer.journal.append(entries, end)?;
        writer.take(entries.iter().map(|entry| (entry.as_bytes(), entry.leaf())));
        Ok(first)
    }

    /// Moves up to `bytes` from a pipe behind the end of the journal. They become entries by
    /// [`Ledger::take_spliced`], when all of them have moved.
    pub(crate) fn splice(&self, pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
        let mut writer = self.writer();
        let at = writer.tail.journal_bytes + writer.spliced;
        let moved = writer.journal.splice(pipe, bytes, at)?;
        writer.spliced += moved as u64;
        Ok(moved)
    }

    /// Takes the entries whose frames were moved by [`Ledger::splice`], all of them, into the tree.
    pub(crate) fn take_spliced<'e>(&self, entries: impl Iterator<Item = (&'e [u8], LeafHash)>) {
        let mut writer = self.writer();
        writer.spliced = 0;
        writer.take(entries);
    }

    /// Brings all entries to disk. Appends go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Sync`] stops the ledger: what is on disk is then unknown. [`CheckpointError::Stopped`] ever
    /// after.
    pub fn sync(&self) -> Result<(), CheckpointError> {
        self.sync_journal(&self.publisher())
    }

    /// One at a time: the kernel tells of a failure once, and who comes after would pass for synced.
    fn sync_journal(&self, _alone: &MutexGuard<'_, Publisher>) -> Result<(), CheckpointError> {
        if self.writer().journal.is_stopped() {
            return Err(CheckpointError::Stopped);
        }
        self.journal.sync_data().map_err(|source| {
            self.writer().journal.stop(format!("it cannot be synced: {source}"));
            CheckpointError::Sync { source }
        })
    }

    /// Brings all entries to disk, writes the tiles that a tree of this size has, remembers size and root, and
    /// replaces the checkpoint file by a signed one. Appends go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]. An error of syncing stops the ledger: what is on disk is then unknown.
    pub fn checkpoint(&self) -> Result<Checkpoint, CheckpointError> {
        let mut publisher = self.publisher();
        let next = self.next_checkpoint()?;
        if publisher.published == Some(next.checkpoint.size) {
            return Ok(next.checkpoint);
        }
        self.sync_journal(&publisher)?;
        publisher.publish(&self.dir, &next).inspect_err(|error| {
            if error.is_by_sync() {
                self.writer().journal.stop(with_causes(error));
            }
        })?;
        Ok(next.checkpoint)
    }

    /// Goes on under a fresh key: an entry that both keys signed says so, then a checkpoint is signed by both. The old
    /// key is deleted.
    ///
    /// # Errors
    ///
    /// [`RotateKeyError`].
    pub fn rotate_key(&self, now_ns: u64) -> Result<VerifierKey, RotateKeyError> {
        let mut publisher = self.publisher();
        let fresh = SigningKey::generate(&self.origin).map_err(|source| RotateKeyError::Random { source })?;
        let next_path = key_file::next_path(&self.key_path);
        key_file::remove(&next_path).map_err(RotateKeyError::Key)?;
        key_file::create(&next_path, &fresh).map_err(RotateKeyError::Key)?;
        let entry = self.rotation(&publisher.key, &fresh, now_ns);
        self.append(&[Entry::LedgerOpened(entry).encode()]).map_err(RotateKeyError::Append)?;
        // On disk before the old key goes: the entry says which key is the ledger's.
        self.sync_journal(&publisher).map_err(RotateKeyError::Checkpoint)?;
        key_file::replace(&self.key_path, &next_path).map_err(RotateKeyError::Key)?;
        let verifier = fresh.verifier();
        publisher.old_key = Some(std::mem::replace(&mut publisher.key, fresh));
        drop(publisher);
        self.checkpoint().map_err(RotateKeyError::Checkpoint)?;
        Ok(verifier)
    }

    /// The number of entries.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.writer().tail.frontier.size()
    }

    /// The root over all entries.
    #[must_use]
    pub fn root(&self) -> RootHash {
        self.writer().tail.frontier.root()
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The ledger's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// The key that verifies this ledger's checkpoints.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.publisher().key.verifier()
    }

    /// What had to be mended when this ledger was opened.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    fn record_open(&self, time_ns: u64, structure: &Structure) -> Result<(), AppendError> {
        let public = self.verifier_key().public_key();
        let opened = self.opened(time_ns, Some(LedgerKey { public, rotated: None }));
        let closers = self.recovery.closed_calls.iter().map(|call| structure.closer(*call, HOST_DIED));
        let entries: Vec<_> = std::iter::once(Entry::LedgerOpened(opened))
            .chain(closers.map(Entry::Closer))
            .map(|entry| entry.encode())
            .collect();
        self.append(&entries)?;
        Ok(())
    }

    fn opened(&self, time_ns: u64, key: Option<LedgerKey>) -> LedgerOpened<'_> {
        LedgerOpened { origin: self.origin.as_str().into(), software: self.software.as_str().into(), time_ns, key }
    }

    fn rotation(&self, old: &SigningKey, fresh: &SigningKey, time_ns: u64) -> LedgerOpened<'_> {
        let (old_key, public) = (old.verifier().public_key(), fresh.verifier().public_key());
        let statement = self.opened(time_ns, None).rotation_statement(old_key, public);
        let [signature, old_signature] = [fresh, old].map(|key| key.sign(statement.as_bytes()));
        let rotated = Some(Box::new(KeyRotation { old_key, signature, old_signature }));
        self.opened(time_ns, Some(LedgerKey { public, rotated }))
    }

    fn next_checkpoint(&self) -> Result<NextCheckpoint, CheckpointError> {
        let mut writer = self.writer();
        if writer.journal.is_stopped() {
            return Err(CheckpointError::Stopped);
        }
        writer.write_tiles(&[]).map_err(|source| CheckpointError::Tiles { source })?;
        let (size, root) = (writer.tail.frontier.size(), writer.tail.frontier.root());
        Ok(NextCheckpoint {
            checkpoint: Checkpoint { origin: self.origin.clone(), size, root },
            partials: writer.edge.partials(),
            resume: writer.tail.resume(),
        })
    }

    fn publisher(&self) -> MutexGuard<'_, Publisher> {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the lock was held leaves journal and tree possibly apart: the ledger is then stopped.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.journal.stop("a thread that held it panicked".to_owned());
            writer
        })
    }
}

impl Record for Ledger {
    fn record(&self, entries: &[EncodedEntry], kept: Kept, _deadline: Instant) -> Result<(), RecordError> {
        self.append(entries).map_err(RecordError::none_taken)?;
        if kept == Kept::Disk {
            self.sync().map_err(|error| RecordError { taken: entries.len(), source: error.into() })?;
        }
        Ok(())
    }

    fn host(&self) -> HostId {
        self.calls.host()
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        self.calls.next(time_ms)
    }

    fn ready(&self) -> Result<(), AppendError> {
        if self.writer().journal.is_stopped() { Err(AppendError::Stopped) } else { Ok(()) }
    }
}

/// Which ledger to open, and what it records of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'o> {
    pub(crate) dir: &'o Path,
    /// By default `<dir>.key`.
    pub(crate) key_path: Option<&'o Path>,
    pub(crate) origin: &'o str,
    pub(crate) software: &'o str,
    pub(crate) now_ns: u64,
}

/// An entry of a host by which it is known after a notary's death.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfHost {
    /// It started this call.
    Call(CallId),
    /// It said what confines it.
    Enforcement(HostId),
    /// Its filter stopped a system call.
    Blocked(BlockedCall),
}

/// Hosts that may be writing while the ledger is opened.
pub(crate) trait LiveHosts {
    fn are_there(&self) -> bool;

    fn is_live(&self, host: HostId) -> bool;

    /// Hears of an entry of a host that the journal holds; the host may be live or not.
    fn saw(&mut self, seen: OfHost);

    /// Brings the rest of the frame that begins with `torn` to the journal by `splice`, if one of the hosts has it.
    fn finish(&mut self, torn: &[u8], splice: &mut SpliceRest<'_>) -> io::Result<bool>;
}

/// Moves so many bytes from a pipe to the journal, so far behind its end.
pub(crate) type SpliceRest<'s> = dyn FnMut(BorrowedFd<'_>, usize, u64) -> io::Result<usize> + 's;

struct NoHosts;

impl LiveHosts for NoHosts {
    fn are_there(&self) -> bool {
        false
    }

    fn is_live(&self, _host: HostId) -> bool {
        false
    }

    fn saw(&mut self, _seen: OfHost) {}

    fn finish(&mut self, _torn: &[u8], _splice: &mut SpliceRest<'_>) -> io::Result<bool> {
        Ok(false)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Where the first entry could not be written, no key is named yet by which a checkpoint could be told to be ours.
        if self.size() > TreeSize(0) {
            // Best effort: without it the next open still has the journal, which is the truth.
            self.checkpoint().ok();
        }
    }
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    tail: Tail,
    edge: TileEdge,
    tiles: TileStore,
    // Full tiles that could not be written yet.
    unwritten: Vec<Tile>,
    // Bytes behind the last entry of frames that have not all arrived.
    spliced: u64,
}

impl Writer {
    /// Takes `entries`, which are in the journal, into tree and tiles.
    fn take<'e>(&mut self, entries: impl Iterator<Item = (&'e [u8], LeafHash)>) {
        let mut full = Vec::new();
        for (entry, leaf) in entries {
            self.tail.push(entry, leaf, frame_bytes(entry));
            self.edge.push(entry, leaf, &mut |tile| full.push(tile));
        }
        // The entries stand, tiles or not; the next checkpoint tries again.
        if !full.is_empty() && self.write_tiles(&full).is_err() {
            self.unwritten.extend(full);
            if self.unwritten.len() > UNWRITTEN_TILES_MAX {
                self.journal.stop("too many tiles wait to be written".to_owned());
            }
        }
    }

    fn write_tiles(&mut self, full: &[Tile]) -> io::Result<()> {
        while let Some(tile) = self.unwritten.last() {
            self.tiles.write(tile)?;
            self.unwritten.pop();
        }
        full.iter().try_for_each(|tile| self.tiles.write(tile))
    }
}

/// A checkpoint about to be signed.
struct NextCheckpoint {
    checkpoint: Checkpoint,
    partials: Vec<Tile>,
    resume: Resume,
}

#[derive(Debug)]
struct Publisher {
    // The size of the checkpoint that stands.
    published: Option<TreeSize>,
    key: SigningKey,
    // Signs one more checkpoint, so that who knows the old key alone can follow.
    old_key: Option<SigningKey>,
    state: StateFile,
    // What is remembered.
    resume: Resume,
    tiles: TileStore,
    // Unfinished tiles that may have partial forms on disk.
    partials: Vec<TilePath>,
}

impl Publisher {
    /// Tiles, memory, signature, file: in this order.
    fn publish(&mut self, dir: &Path, next: &NextCheckpoint) -> Result<(), CheckpointError> {
        let tiles_failed = |source| CheckpointError::Tiles { source };
        next.partials.iter().try_for_each(|tile| self.tiles.write(tile)).map_err(tiles_failed)?;
        let mut resume = self.resume;
        if next.resume.index >= resume.index + RESUME_ENTRIES {
            self.tiles.sync().map_err(|source| CheckpointError::Sync { source })?;
            resume = next.resume;
        }
        let Checkpoint { origin, size, root } = next.checkpoint.clone();
        self.state
            .remember(&Remembered { origin, size, root, resume })
            .map_err(|source| CheckpointError::Remember { source })?;
        self.resume = resume;
        let keys: Vec<_> = std::iter::once(&self.key).chain(&self.old_key).collect();
        let note = SignedNote::sign(&next.checkpoint.to_string(), &keys);
        checkpoint::publish(dir, &note).map_err(CheckpointError::Publish)?;
        self.published = Some(next.checkpoint.size);
        self.old_key = None;
        self.remove_old_partials(next.checkpoint.size);
        Ok(())
    }

    /// Removes the partial forms of tiles that are full by now (C2SP tlog-tiles, "Partial Tiles").
    fn remove_old_partials(&mut self, size: TreeSize) {
        let unfinished = edge_tiles(size);
        for path in self.partials.iter().filter(|path| !unfinished.contains(path)) {
            // What stays is not wrong, merely of no use.
            self.tiles.remove_partials(*path).ok();
        }
        self.partials = unfinished;
    }
}

/// Joins the unfinished frame at the journal's end with its rest, if a host's pipe has it.
fn finish_torn(journal: &Journal, found: &Found, hosts: &mut impl LiveHosts) -> io::Result<bool> {
    let end = found.tail.journal_bytes + found.torn_bytes;
    let torn = journal.read_tail(found.tail.journal_bytes)?;
    hosts.finish(&torn, &mut |pipe, bytes, at| journal.splice(pipe, bytes, end + at))
}

/// The key of a ledger that holds `found`: the one in the key file, or a fresh one if the ledger has none yet.
fn ledger_key(path: &Path, origin: &str, found: &Found) -> Result<SigningKey, OpenError> {
    let next_path = key_file::next_path(path);
    let named = found.structure.keys().last().map(|(_, key)| *key);
    let is_named = |key: &SigningKey| named.is_none_or(|named| named == key.verifier().public_key());
    let ours = |key: &SigningKey| is_named(key) && key.verifier().name() == origin;
    let has_key = named.is_some() || found.start.index > 0;
    match (key_file::load(path).map_err(OpenError::Key)?, has_key) {
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

/// The unfinished tiles of a tree of `size`, by their full names.
fn edge_tiles(size: TreeSize) -> Vec<TilePath> {
    let hashes = (0..TILE_LEVELS).map(|level| TilePath::full(TileKind::Hashes { level }, edge_tile(size, level).0));
    hashes.chain([TilePath::full(TileKind::Entries, edge_tile(size, 0).0)]).collect()
}

const HOST_DIED: &str = "the host ended without closing the call";

/// Tiles of about 16,000 entries: what a disk that takes the journal but no tiles may make wait in memory.
const UNWRITTEN_TILES_MAX: usize = 128;

/// Entries after which tiles are brought to disk, and from which on recovery reads the journal again.
const RESUME_ENTRIES: u64 = 1 << 15;
