//! The side store: salts and full texts of calls, in a folder beside the ledger's, from which the data of a call can be
//! erased while its entries, digests and proofs stand.
//!
//! It is made of shards, files to which records are added. Each process that keeps texts writes a shard of its own, so that
//! several can share a ledger. Nothing of what a shard holds may get into the ledger, and nothing of what was erased may stay
//! in it.

mod shard;
mod sweep;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use self::shard::{FULL, HEADER_BYTES, OPEN, Shard, Swept, is_named, must_be_private};
use crate::side_record::{RecordKind, Records, SideStep, push_record};
use tollgate_audit::beside::beside;
use tollgate_audit::ids::CallId;
use tollgate_audit::journal::JOURNAL_FILE;
use tollgate_audit::private::{Private, Salt};
use tollgate_audit::regular;
use tollgate_system::lock;

/// Longest text of a call that the side store keeps: as much as a tool may be given or answer.
pub const PRIVATE_BYTES_MAX: usize = 64 << 20;

/// The side store of a ledger, `<folder>.private` (mode 0700), open for writing.
///
/// Threads: any thread may put; puts wait for each other, and for an erasure by this process. Durability: what was put is
/// in the page cache. It survives the death (SIGKILL) of any process; it may be lost with the power, since no put waits for
/// the disk: then the ledger still has the digests, and nothing to compare them with. An erasure is on disk when it returns.
#[derive(Debug)]
pub struct SideStore {
    // Of the ledger.
    dir: PathBuf,
    // The side store's own.
    folder: PathBuf,
    // No call of this process begins before this byte of the journal.
    journal: u64,
    writer: Mutex<Writer>,
}

/// What an erasure removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Number of records; none when there was nothing left to erase.
    pub records: u64,
    /// Their contents in bytes.
    pub bytes: u64,
}

#[derive(Debug)]
struct Writer {
    shard: Shard,
    // Kept between puts for its memory.
    records: Vec<u8>,
    stopped: bool,
}

impl SideStore {
    /// Opens the side store of the ledger in the folder `dir`, which must exist, making it if there is none. It is for a
    /// process that has not begun any call of that ledger. Records go to a shard that no other process writes. What a writer
    /// that died left unfinished is overwritten and cut off.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::PermissionDenied`]: open to group or world, or another user's. [`io::ErrorKind::InvalidData`]:
    /// corrupt before its end, or no side store. Otherwise the operating system's.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let folder = beside(dir, EXTENSION)?;
        match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _made => must_be_private(&folder_at(&folder)?)?,
        }
        let journal = length_of(&dir.join(JOURNAL_FILE))?;
        let shards = open_shards(&folder)?.filter_map(|shard| shard.map(with_room).transpose());
        let newest = shards.last().transpose()?;
        let shard = newest.map_or_else(|| new_shard(&folder, journal), Ok)?;
        let writer = Writer { shard, records: Vec::new(), stopped: false };
        Ok(Self { dir: dir.to_owned(), folder, journal, writer: Mutex::new(writer) })
    }

    /// Keeps the salt of a call that is about to start, and its arguments, in one write and without waiting for the
    /// disk.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`]: longer than [`PRIVATE_BYTES_MAX`]. Otherwise the operating system refused the
    /// write. Nothing is kept then.
    pub fn put_call(&self, call: CallId, salt: &Salt, arguments: Option<&[u8]>) -> io::Result<()> {
        let arguments = arguments.map(|arguments| (RecordKind::Arguments, arguments));
        self.put(call, std::iter::once((RecordKind::Salt, &salt.0[..])).chain(arguments))
    }

    /// Keeps the result of a call, in one write and without waiting for the disk.
    ///
    /// # Errors
    ///
    /// As [`SideStore::put_call`].
    pub fn put_result(&self, call: CallId, result: &[u8]) -> io::Result<()> {
        self.put(call, std::iter::once((RecordKind::Result, result)))
    }

    /// Erases salt, arguments and result of `call`, and brings that to disk: each shard that has something of it is written
    /// anew without it, and the old file is overwritten with zeros. To be done again after a crash or an error, as often as
    /// need be; to be recorded in the ledger ([`Erasure`](tollgate_audit::Erasure)) when it is done.
    ///
    /// A file system that writes elsewhere than in place, snapshots, and a disk that moves its blocks keep copies that
    /// no program can reach from here. So does a crash just before the old file is overwritten.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`]: another process writes the shard that has it. Any: the data may still be there.
    pub fn erase(&self, call: CallId) -> io::Result<Erased> {
        let mut writer = self.writer();
        let mut erased = writer.shard.erase(|record| record.call == call)?;
        for path in shard_paths(&self.folder)? {
            if is_named(&writer.shard.file, &path)? || !has(&path, call)? {
                continue;
            }
            let in_use =
                || io::Error::new(io::ErrorKind::WouldBlock, "another process adds to what is to be erased from");
            let more = Shard::open(path)?.ok_or_else(in_use)?.erase(|record| record.call == call)?;
            erased.add(more);
        }
        Ok(erased)
    }

    /// Erases what is kept of calls that are not in the ledger, as when a worker died before the first entry of a call
    /// left it: nobody could find such a call by the ledger, nor erase it. It is for a process that has the ledger open and
    /// has not begun any call: what is not in the ledger now never will be. What other processes write is left alone. It reads
    /// what came since the last time.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: the journal, or this store, is corrupt. Otherwise the operating system's. Nothing is
    /// erased that is in the ledger.
    pub fn sweep(&self) -> io::Result<Erased> {
        let mut writer = self.writer();
        let mut erased = writer.shard.sweep(&self.dir)?;
        for shard in open_shards(&self.folder)? {
            let mut shard = shard?;
            erased.add(shard.sweep(&self.dir)?);
            if shard.end >= SHARD_BYTES {
                shard.fill(|| Ok(self.folder.join(format!("{:08}.{FULL}", next_number(&self.folder)?))))?;
            }
        }
        Ok(erased)
    }

    /// The calls that the side store of the ledger in `dir` has records of: `most` at most, of those that `are` asked for. It
    /// reads all shards; other processes may write them meanwhile.
    ///
    /// # Errors
    ///
    /// As [`SideStore::find`].
    pub fn find_calls(dir: &Path, most: usize, are: impl Fn(CallId) -> bool) -> io::Result<BTreeSet<CallId>> {
        let mut found = BTreeSet::new();
        for path in shard_paths_of(dir)? {
            read_shard(&path, |_file, records| {
                while found.len() < most
                    && let SideStep::Record(record) = records.step()?
                {
                    if are(record.call) {
                        found.insert(record.call);
                    }
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// What the side store of the ledger in `dir` keeps of `call`; `None` if there is nothing, or it was erased. It reads
    /// all shards; other processes may write them meanwhile.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: corrupt. Otherwise the operating system's.
    pub fn find(dir: &Path, call: CallId) -> io::Result<Option<Private>> {
        let (mut salt, mut arguments, mut result) = (None, None, None);
        for path in shard_paths_of(dir)? {
            let mut found = Vec::new();
            read_shard(&path, |file, records| {
                found.clear();
                while let SideStep::Record(record) = records.step()? {
                    if record.call != call {
                        continue;
                    }
                    match record.content(file)? {
                        Some(content) => found.push((record, content)),
                        // It is being written, or is torn.
                        None if record.end() == records.end() => break,
                        None => return Err(corrupt(record.offset)),
                    }
                }
                Ok(())
            })?;
            for (record, content) in found {
                match record.kind {
                    RecordKind::Salt => {
                        salt = Some(Salt(content.try_into().map_err(|_other_length| corrupt(record.offset))?));
                    }
                    RecordKind::Arguments => arguments = Some(content),
                    RecordKind::Result => result = Some(content),
                }
            }
        }
        Ok(salt.map(|salt| Private { call, salt, arguments, result }))
    }

    fn put<'t>(&self, call: CallId, texts: impl Iterator<Item = (RecordKind, &'t [u8])>) -> io::Result<()> {
        let mut guard = self.writer();
        let writer = &mut *guard;
        if writer.stopped {
            return Err(io::Error::other("the side store is stopped since an earlier write failed"));
        }
        writer.records.clear();
        for (kind, text) in texts {
            if text.len() > PRIVATE_BYTES_MAX {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the text is longer than the side store keeps",
                ));
            }
            push_record(&mut writer.records, kind, call, text);
        }
        if writer.shard.end >= SHARD_BYTES {
            writer.shard = new_shard(&self.folder, self.journal)?;
        }
        let written = writer.shard.add(&writer.records);
        if written.is_err() {
            writer.stopped = writer.shard.cut_off_rest().is_err();
        }
        writer.records.shrink_to(RECORDS_BYTES_KEPT);
        written
    }

    /// A panic while the lock was held leaves at most a record behind the shard's end, which the next one overwrites.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

impl Erased {
    fn add(&mut self, more: Self) {
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

/// What is at `path`, if it is a folder. A file is the side store of an older version.
fn folder_at(path: &Path) -> io::Result<fs::Metadata> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Ok(metadata);
    }
    let start = regular::open(path).map(|file| regular::read_start(&file, shard::MAGIC.len()))?;
    Err(io::Error::new(io::ErrorKind::InvalidData, shard::other(&start?)))
}

/// The paths of all shards, in the order in which they were made.
fn shard_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if [OPEN, FULL].map(OsStr::new).map(Some).contains(&path.extension()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The same for the ledger in `dir`; none if it has no side store.
fn shard_paths_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = beside(dir, EXTENSION)?;
    match folder_at(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(_folder) => shard_paths(&folder),
    }
}

/// The shards that records may be added to and that no other process has, each locked while it is held.
fn open_shards(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<Shard>>> {
    let paths = shard_paths(folder)?.into_iter().filter(|path| path.extension() == Some(OsStr::new(OPEN)));
    Ok(paths.filter_map(|path| Shard::open(path).transpose()))
}

fn with_room(shard: Shard) -> Option<Shard> {
    (shard.end < SHARD_BYTES).then_some(shard)
}

/// A shard behind all that there are. Several processes may look for a number at once.
fn new_shard(folder: &Path, journal: u64) -> io::Result<Shard> {
    for _attempt in 0..ATTEMPTS {
        let path = folder.join(format!("{:08}.{OPEN}", next_number(folder)?));
        if let Some(shard) = Shard::create(path, journal)? {
            return Ok(shard);
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "too many processes make shards of the side store at once"))
}

/// The number behind those of all shards, full or not. A shard whose name is no number, as of a copy, is read and has none.
fn next_number(folder: &Path) -> io::Result<u64> {
    let numbers = shard_paths(folder)?.into_iter().filter_map(|path| path.file_stem()?.to_str()?.parse::<u64>().ok());
    let last = numbers.max().unwrap_or(0);
    let none =
        || io::Error::other(format!("no number is left for a shard of the side store behind {last}: rename that one"));
    last.checked_add(1).ok_or_else(none)
}

/// Has `read` read the records of a shard, from the start again where the shard was written anew meanwhile.
fn read_shard(path: &Path, mut read: impl FnMut(&File, &mut Records<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut path = path.to_owned();
    for _attempt in 0..ATTEMPTS {
        let file = match regular::open(&path) {
            // It was filled meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.set_extension(FULL);
                regular::open(&path)?
            }
            file => file?,
        };
        let length = file.metadata()?.len();
        let was_read = if length < HEADER_BYTES {
            // It is being made.
            Ok(())
        } else {
            Swept::read(&file).and_then(|_swept| read(&file, &mut Records::new(&file, HEADER_BYTES, length)?))
        };
        if is_named(&file, &path)? {
            return was_read.map_err(|error| shard::in_file(&path, error));
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "the side store changes all the time"))
}

/// Whether a shard has something of a call.
fn has(path: &Path, call: CallId) -> io::Result<bool> {
    let mut has = false;
    read_shard(path, |_file, records| {
        has = false;
        while !has && let SideStep::Record(record) = records.step()? {
            has = record.call == call;
        }
        Ok(())
    })?;
    Ok(has)
}

/// The length of a file; 0 if there is none.
fn length_of(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        metadata => metadata.map(|metadata| metadata.len()),
    }
}

fn corrupt(offset: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the side store is corrupt at byte {offset}"))
}

const EXTENSION: &str = "private";
const FOLDER_MODE: u32 = 0o700;

/// A shard that is this long gets no more records. An erasure writes that much, and the longest call, anew.
const SHARD_BYTES: u64 = 4 << 20;

/// How often something may change between two steps.
const ATTEMPTS: u32 = 64;

/// Memory kept for the next put.
const RECORDS_BYTES_KEPT: usize = 64 * 1024;
