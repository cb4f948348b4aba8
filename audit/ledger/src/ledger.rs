//! The ledger as its writer holds it: folder, lock, key, journal, tree, tiles.
//!
//! It must never hand out an index for an entry that is not written, open over data that is lost or changed, or sign
//! what is not on disk and remembered.

mod opening;

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use self::opening::NoWriters;
pub use self::opening::{Adopts, LiveWriters, Opening, SpliceRest};
use crate::call_counter::CallCounter;
use crate::journal::Journal;
use crate::key_file;
use crate::ledger_error::{CheckpointError, OpenError, RotateKeyError};
use crate::lock::LedgerLock;
use crate::publish;
pub use crate::recover::OfWriter;
use crate::state::StateFile;
use crate::tail::Tail;
use crate::tile_writer::TileWriter;
use tollgate_audit::append_error::AppendError;
use tollgate_audit::causes::with_causes;
use tollgate_audit::checkpoint::Checkpoint;
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::entry::{Entry, KeyRotation, LedgerKey, LedgerOpened};
use tollgate_audit::frame::frame_bytes;
use tollgate_audit::ids::{CallId, LeafHash, LeafIndex, PublicKey, RootHash, TreeSize, WriterId};
use tollgate_audit::journal;
use tollgate_audit::key::{SigningKey, VerifierKey};
use tollgate_audit::note::SignedNote;
use tollgate_audit::record::{Kept, Record, RecordError};
use tollgate_audit::state::{Remembered, Resume};
use tollgate_audit::structure::Structure;
use tollgate_audit::takeover::Takeover;
use tollgate_audit::tile_path::{TILE_LEVELS, TileKind, TilePath};
use tollgate_audit::tiles::{Tile, TileEdge, edge_tile};
use tollgate_system::lock;

/// A ledger open for writing; this process is its only writer.
///
/// Durability: an appended entry is in the page cache. It survives the death (SIGKILL) of any process; it
/// survives the loss of power only once a [`checkpoint`](Ledger::checkpoint) covers it. Dropping the ledger
/// tries to write a last checkpoint, and to remember that the ledger is closed.
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
    // What it took over is named in it. Before, it must sign nothing.
    is_begun: bool,
    lock: LedgerLock,
}

/// What had to be mended when the ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of an unfinished frame at the end of the journal that were cut off.
    pub torn_bytes: u64,
    /// Calls whose writer died; each now has a closer.
    pub closed_calls: Vec<CallId>,
    /// Entries that a dead writer left and no checkpoint covered; a [`Takeover`](tollgate_audit::Takeover) names them.
    pub taken_over: u64,
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
    /// A frame that a died writer left unfinished is cut off; entries that it left and no checkpoint covers are judged and
    /// named by a [`Takeover`]; each call that it left open is closed. The journal is read from its
    /// start if there are such entries, otherwise from where the tiles of the newest checkpoint vouch for what comes
    /// before.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: in use, corrupt before its end, behind its checkpoint or what it remembers, or different from
    /// them, added to while it was closed, of another origin or key, without its memory, or refused by the operating
    /// system.
    pub fn open(dir: &Path, origin: &str, software: &str, now_ns: u64) -> Result<Self, OpenError> {
        let opening =
            Opening { dir, key_path: None, origin: Some(origin), software, now_ns, holder: None, adopts: None };
        Self::open_for(&opening, &mut NoWriters).map(|(ledger, _)| ledger)
    }

    /// As [`Ledger::open`], with the key in the file `key_path`; a new ledger gets the one that is there.
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
        let (key_path, origin) = (Some(key_path), Some(origin));
        let opening = Opening { dir, key_path, origin, software, now_ns, holder: None, adopts: None };
        Self::open_for(&opening, &mut NoWriters).map(|(ledger, _)| ledger)
    }

    /// Opens a ledger that is there, under the name that it has.
    ///
    /// # Errors
    ///
    /// As [`Ledger::open`]; [`OpenError::Io`] if there is no journal in `dir`.
    pub fn reopen(dir: &Path, software: &str, now_ns: u64) -> Result<Self, OpenError> {
        must_exist(dir)?;
        let opening = Opening { dir, key_path: None, origin: None, software, now_ns, holder: None, adopts: None };
        Self::open_for(&opening, &mut NoWriters).map(|(ledger, _)| ledger)
    }

    /// Goes on with a ledger that is not what it remembers to be: its folder was restored from a copy, the state file
    /// beside it is gone, or somebody added entries while it was closed. What the folder's checkpoint does not cover is
    /// not proven; an [`Adoption`](tollgate_audit::Adoption) says which entries these are, why `by` let it go on, and what it
    /// remembered. All in the folder must fit its checkpoint, unless that signs more entries than there are, as in a copy that
    /// was made while the ledger was in use: then none of them are proven. The key must be the ledger's.
    ///
    /// # Errors
    ///
    /// [`OpenError::NothingToAdopt`]: it is what it remembers to be. Otherwise as [`Ledger::open`].
    pub fn adopt(dir: &Path, by: &str, reason: &str, software: &str, now_ns: u64) -> Result<Self, OpenError> {
        must_exist(dir)?;
        let adopts = Some(Adopts { by, reason });
        let opening = Opening { dir, key_path: None, origin: None, software, now_ns, holder: None, adopts };
        Self::open_for(&opening, &mut NoWriters).map(|(ledger, _)| ledger)
    }

    /// Has its lock name this process, as when the one that it named is gone.
    ///
    /// # Errors
    ///
    /// The lock file cannot be written; the ledger is locked all the same.
    pub fn name_this_process(&self) -> io::Result<()> {
        self.lock.name_this_process()
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
            return Err(AppendError::Stalled { reason: "an entry of a writer is half written".to_owned() });
        }
        let end = writer.tail.journal_bytes;
        writer.journal.append(entries, end)?;
        writer.take(entries.iter().map(|entry| (entry.as_bytes(), entry.leaf())));
        Ok(first)
    }

    /// Moves up to `bytes` from a pipe behind the end of the journal. They become entries by
    /// [`Ledger::take_spliced`], when all of them have moved.
    pub fn splice(&self, pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
        let mut writer = self.writer();
        let at = writer.tail.journal_bytes + writer.spliced;
        let moved = writer.journal.splice(pipe, bytes, at)?;
        writer.spliced += moved as u64;
        Ok(moved)
    }

    /// Takes the entries whose frames were moved by [`Ledger::splice`], all of them, into the tree.
    pub fn take_spliced<'e>(&self, entries: impl Iterator<Item = (&'e [u8], LeafHash)>) {
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

    /// First what was taken over, so that no checkpoint covers it without that.
    fn record_open(&self, time_ns: u64, takeover: Option<Takeover>, structure: &Structure) -> Result<(), AppendError> {
        let public = self.verifier_key().public_key();
        let opened = self.opened(time_ns, public);
        let closers = self.recovery.closed_calls.iter().map(|call| structure.closer(*call, WRITER_DIED));
        let entries: Vec<_> = takeover
            .map(Entry::Takeover)
            .into_iter()
            .chain([Entry::LedgerOpened(opened)])
            .chain(closers.map(Entry::Closer))
            .map(|entry| entry.encode())
            .collect();
        self.append(&entries)?;
        Ok(())
    }

    fn opened(&self, time_ns: u64, public: PublicKey) -> LedgerOpened<'_> {
        let key = LedgerKey { public, rotated: None };
        LedgerOpened { origin: self.origin.as_str().into(), software: self.software.as_str().into(), time_ns, key }
    }

    fn rotation(&self, old: &SigningKey, fresh: &SigningKey, time_ns: u64) -> LedgerOpened<'_> {
        let (old_key, public) = (old.verifier().public_key(), fresh.verifier().public_key());
        let mut entry = self.opened(time_ns, public);
        let statement = entry.rotation_statement(old_key, public);
        let [signature, old_signature] = [fresh, old].map(|key| key.sign(statement.as_bytes()));
        entry.key.rotated = Some(Box::new(KeyRotation { old_key, signature, old_signature }));
        entry
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

    /// Remembers that nobody appends any more, if nothing came behind the last checkpoint.
    fn close(&self, size: TreeSize) -> Result<(), CheckpointError> {
        let mut publisher = self.publisher();
        let writer = self.writer();
        let is_all = writer.spliced == 0 && writer.tail.frontier.size() == size && !writer.journal.is_stopped();
        drop(writer);
        if !is_all {
            return Ok(());
        }
        let closed = Remembered { is_closed: true, ..publisher.remembered.clone() };
        publisher.state.remember(&closed).map_err(|source| CheckpointError::Remember { source })?;
        publisher.remembered = closed;
        Ok(())
    }

    fn publisher(&self) -> MutexGuard<'_, Publisher> {
        lock(&self.publisher)
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

    fn writer(&self) -> WriterId {
        self.calls.writer()
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        self.calls.next(time_ms)
    }

    fn ready(&self) -> Result<(), AppendError> {
        if self.writer().journal.is_stopped() { Err(AppendError::Stopped) } else { Ok(()) }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Where the first entries could not be written, nothing says yet whose the others are.
        if self.is_begun {
            // Best effort: without it the next open still has the journal, which is the truth.
            self.checkpoint().and_then(|closing| self.close(closing.size)).ok();
        }
    }
}

#[derive(Debug)]
struct Writer {
    journal: Journal,
    tail: Tail,
    edge: TileEdge,
    tiles: TileWriter,
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
    // What it holds.
    remembered: Remembered,
    tiles: TileWriter,
    // Unfinished tiles that may have partial forms on disk.
    partials: Vec<TilePath>,
}

impl Publisher {
    /// Tiles, memory, signature, file: in this order.
    fn publish(&mut self, dir: &Path, next: &NextCheckpoint) -> Result<(), CheckpointError> {
        let tiles_failed = |source| CheckpointError::Tiles { source };
        next.partials.iter().try_for_each(|tile| self.tiles.write(tile)).map_err(tiles_failed)?;
        let mut resume = self.remembered.resume;
        if next.resume.index >= resume.index + RESUME_ENTRIES {
            self.tiles.sync().map_err(|source| CheckpointError::Sync { source })?;
            resume = next.resume;
        }
        let Checkpoint { origin, size, root } = next.checkpoint.clone();
        self.remembered = Remembered { origin, size, root, resume, is_closed: false };
        self.state.remember(&self.remembered).map_err(|source| CheckpointError::Remember { source })?;
        let keys: Vec<_> = std::iter::once(&self.key).chain(&self.old_key).collect();
        let note = SignedNote::sign(&next.checkpoint.to_string(), &keys);
        publish::publish(dir, &note).map_err(CheckpointError::Publish)?;
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

/// The unfinished tiles of a tree of `size`, by their full names.
fn edge_tiles(size: TreeSize) -> Vec<TilePath> {
    let hashes = (0..TILE_LEVELS).map(|level| TilePath::full(TileKind::Hashes { level }, edge_tile(size, level).0));
    hashes.chain([TilePath::full(TileKind::Entries, edge_tile(size, 0).0)]).collect()
}

fn must_exist(dir: &Path) -> Result<(), OpenError> {
    journal::open_to_read(dir).map(drop).map_err(|source| OpenError::Io { path: dir.to_owned(), source })
}

const WRITER_DIED: &str = "the writer ended without closing the call";

/// Tiles of about 16,000 entries: what a disk that takes the journal but no tiles may make wait in memory.
const UNWRITTEN_TILES_MAX: usize = 128;

/// Entries after which tiles are brought to disk, and from which on recovery reads the journal again.
const RESUME_ENTRIES: u64 = 1 << 15;
