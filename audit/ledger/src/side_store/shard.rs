//! A shard: one file of the side store. Whoever holds its lock is its only writer.
//!
//! Records are added at its end. To erase some, the shard is written anew without them, and takes the place of the old one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollgate_audit::regular;
use tollgate_system::rename_new;

use super::Erased;
use crate::lock;
use crate::owner;
use crate::side_record::{CHECK_BYTES, Record, Records, SideStep, check};

/// A shard that this process writes.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    // Also the lock.
    pub(super) file: File,
    // Where the next record goes.
    pub(super) end: u64,
    pub(super) swept: Swept,
}

/// How far the calls of a shard have been compared with the ledger. It stands at the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Swept {
    /// Each record before this byte was compared.
    pub(super) until: u64,
    /// No call of a later record began before this byte of the journal.
    pub(super) journal: u64,
}

impl Shard {
    /// Makes a shard with this name, for calls that begin behind byte `journal` of the journal. `None` if there is one already.
    pub(super) fn create(path: PathBuf, journal: u64) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let file = match regular::open_with(options.read(true).write(true).create_new(true), &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            file => file?,
        };
        // Another process may have opened the file before the lock was taken. It leaves such a file alone once it sees the lock.
        if !lock::take(&file, LOCK_PATIENCE)? {
            return Ok(None);
        }
        let swept = Swept { until: HEADER_BYTES, journal };
        swept.write(&file)?;
        Ok(Some(Self { path, file, end: HEADER_BYTES, swept }))
    }

    /// Opens a shard for writing, and cuts off what a writer that died left unfinished. `None` if another process has it.
    pub(super) fn open(path: PathBuf) -> io::Result<Option<Self>> {
        Self::opened(path.clone()).map_err(|error| in_file(&path, error))
    }

    fn opened(path: PathBuf) -> io::Result<Option<Self>> {
        let Some(file) = lock_newest(&path)? else { return Ok(None) };
        let metadata = file.metadata()?;
        must_be_private(&metadata)?;
        let mut length = metadata.len();
        if length < HEADER_BYTES {
            // Its writer died before it had written the header.
            Swept::START.write(&file)?;
            file.set_len(HEADER_BYTES)?;
            length = HEADER_BYTES;
        }
        let swept = Swept::read(&file)?.filter(|swept| (HEADER_BYTES..=length).contains(&swept.until));
        let swept = swept.unwrap_or(Swept::START);
        discard(&rewritten(&path))?;
        let end = whole(&file, swept.until, length)?;
        if end < length {
            cut_off(&file, end)?;
        }
        Ok(Some(Self { path, file, end, swept }))
    }

    /// Adds whole records.
    pub(super) fn add(&mut self, records: &[u8]) -> io::Result<()> {
        self.file.write_all_at(records, self.end)?;
        self.end += records.len() as u64;
        Ok(())
    }

    /// Removes what a failed [`Shard::add`] left: it must not stand before what comes next, nor stay on the disk.
    pub(super) fn cut_off_rest(&self) -> io::Result<()> {
        cut_off(&self.file, self.end)
    }

    pub(super) fn set_swept(&mut self, swept: Swept) -> io::Result<()> {
        swept.write(&self.file)?;
        self.swept = swept;
        Ok(())
    }

    /// Erases the records that `is_meant`; nothing is written if there are none. It is on disk when this returns.
    ///
    /// The shard is written anew without them and put into its place. Then the old file, which has no name any more, is
    /// overwritten with zeros. If this process dies before that, the texts are left in blocks that no file has.
    pub(super) fn erase(&mut self, is_meant: impl FnMut(&Record) -> bool) -> io::Result<Erased> {
        self.erase_records(is_meant).map_err(|error| in_file(&self.path, error))
    }

    fn erase_records(&mut self, mut is_meant: impl FnMut(&Record) -> bool) -> io::Result<Erased> {
        let mut erased = Erased::default();
        let (mut kept, mut until) = (Vec::new(), HEADER_BYTES);
        let mut records = self.records(HEADER_BYTES)?;
        while let SideStep::Record(record) = records.step()? {
            if is_meant(&record) {
                erased.records += 1;
                erased.bytes += u64::from(record.length);
                continue;
            }
            if record.end() <= self.swept.until {
                until += record.end() - record.offset;
            }
            kept.push(record);
        }
        if erased.records > 0 {
            self.write_anew(&kept, Swept { until, ..self.swept })?;
        }
        Ok(erased)
    }

    fn write_anew(&mut self, kept: &[Record], swept: Swept) -> io::Result<()> {
        let path = rewritten(&self.path);
        discard(&path)?;
        let mut options = OpenOptions::new();
        let mut file = regular::open_with(options.read(true).write(true).create_new(true), &path)?;
        // Taken before the file gets the shard's name, so that there is no moment in which another process could.
        if !lock::take(&file, LOCK_PATIENCE)? {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process took the shard that is written anew",
            ));
        }
        swept.write(&file)?;
        file.seek(SeekFrom::Start(HEADER_BYTES))?;
        let mut end = HEADER_BYTES;
        for record in kept {
            end += copy(&self.file, record, &mut file)?;
        }
        file.sync_all()?;
        fs::rename(&path, &self.path)?;
        sync_folder_of(&self.path)?;
        let old = std::mem::replace(&mut self.file, file);
        self.end = end;
        self.swept = swept;
        zero(&old, 0, old.metadata()?.len())?;
        old.sync_data()
    }

    /// Its records from byte `from` on, where one starts.
    pub(super) fn records(&self, from: u64) -> io::Result<Records<'_>> {
        Records::new(&self.file, from, self.end)
    }

    /// Gives the shard a name by which nothing is added to it any more: its own number, or that of `spare` where another shard
    /// has its own, as when a copy was put into the folder. It takes no other shard's place.
    pub(super) fn fill(self, spare: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<()> {
        self.file.sync_data()?;
        match rename_new(&self.path, &self.path.with_extension(FULL)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => rename_new(&self.path, &spare()?)?,
            named => named?,
        }
        sync_folder_of(&self.path)
    }
}

impl Swept {
    /// Nothing was compared yet.
    const START: Self = Self { until: HEADER_BYTES, journal: 0 };

    fn write(self, file: &File) -> io::Result<()> {
        let places = [self.until, self.journal].map(u64::to_be_bytes);
        let places = places.as_flattened();
        file.write_all_at(&[MAGIC, places, &check(places)].concat(), 0)
    }

    /// `None` if a write of it was torn.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: this is no shard, or one of another version.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_LENGTH];
        file.read_exact_at(&mut header, 0)?;
        let parts = header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<PLACES_BYTES>());
        let Some((places, found)) = parts else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, other(&header)));
        };
        let mut numbers = places.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
        let (Some(until), Some(journal)) = (numbers.next(), numbers.next()) else { return Ok(None) };
        Ok((check(places) == found).then_some(Self { until, journal }))
    }
}

/// Which of the shards it is that is corrupt.
pub(super) fn in_file(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::InvalidData {
        return error;
    }
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", path.display()))
}

/// Why a file does not belong into a side store.
pub(super) fn other(header: &[u8]) -> String {
    match header.strip_prefix(NAME).and_then(<[u8]>::first) {
        Some(version @ b'0'..=b'9') => format!(
            "the side store is of version {}, and this program reads version 3: move it away, or delete it",
            version - b'0'
        ),
        Some(_) | None => "this is no side store".to_owned(),
    }
}

/// # Errors
///
/// [`io::ErrorKind::PermissionDenied`]: it is another user's, or open to others.
pub(super) fn must_be_private(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.mode() & 0o077 != 0 || !owner::is_ours(metadata) {
        let reason = "the side store is another user's, or open to others";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

/// The file that has this name, once it is locked. `None` if another process has it, or there is none.
fn lock_newest(path: &Path) -> io::Result<Option<File>> {
    for _attempt in 0..ATTEMPTS {
        let file = match regular::open_with(OpenOptions::new().read(true).write(true), path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if !lock::take(&file, Duration::ZERO)? {
            return Ok(None);
        }
        // It may have been written anew between the two steps.
        if is_named(&file, path)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether `path` still names this file.
pub(super) fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => named.map(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())),
    }
}

/// Where the whole records end.
fn whole(file: &File, from: u64, length: u64) -> io::Result<u64> {
    let mut records = Records::new(file, from, length)?;
    let mut last = None;
    while let SideStep::Record(record) = records.step()? {
        last = Some(record);
    }
    match last {
        Some(last) if last.content(file)?.is_none() => Ok(last.offset),
        Some(_) | None => Ok(records.offset()),
    }
}

/// Copies a whole record to the end of `to`; how many bytes that are.
fn copy(from: &File, record: &Record, to: &mut File) -> io::Result<u64> {
    let bytes = record.end() - record.offset;
    let mut whole = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    from.read_exact_at(&mut whole, record.offset)?;
    to.write_all(&whole)?;
    Ok(bytes)
}

/// Overwrites and removes what an erasure left that was interrupted.
fn discard(path: &Path) -> io::Result<()> {
    let file = match regular::open_with(OpenOptions::new().write(true), path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    zero(&file, 0, file.metadata()?.len())?;
    file.sync_data()?;
    fs::remove_file(path)
}

/// Cuts off what stands from `end` on. A file that is only made shorter leaves its bytes on the disk.
fn cut_off(file: &File, end: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length > end {
        zero(file, end, length)?;
        file.sync_data()?;
        file.set_len(end)?;
    }
    Ok(())
}

/// Overwrites the bytes from `at` to `end` in place.
fn zero(file: &File, mut at: u64, end: u64) -> io::Result<()> {
    let zeros = vec![0; 64 * 1024];
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(zeros.len());
        let bytes = zeros.get(..left).unwrap_or(&zeros);
        file.write_all_at(bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a shard is in a folder"))?;
    File::open(folder)?.sync_all()
}

/// Where the shard `path` is written anew.
fn rewritten(path: &Path) -> PathBuf {
    path.with_extension(REWRITTEN)
}

/// What a shard's name ends with while records may be added to it.
pub(super) const OPEN: &str = "open";
/// What it ends with afterwards.
pub(super) const FULL: &str = "full";
const REWRITTEN: &str = "new";

const NAME: &[u8] = b"tollgate-private-";
pub(super) const MAGIC: &[u8] = b"tollgate-private-3\n";
const PLACES_BYTES: usize = 2 * 8;
const HEADER_LENGTH: usize = MAGIC.len() + PLACES_BYTES + CHECK_BYTES;
pub(super) const HEADER_BYTES: u64 = HEADER_LENGTH as u64;

/// How long another process may look whether a new file is locked.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);

/// How often a file may be exchanged between two steps.
const ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests {
    use tollgate_audit::ids::CallId;

    use super::*;
    use crate::side_record::{RecordKind, push_record};

    fn shard(folder: &Path) -> Shard {
        let mut shard = Shard::create(folder.join("00000001.open"), 7).unwrap().unwrap();
        for number in 1..=3 {
            let mut record = Vec::new();
            push_record(&mut record, RecordKind::Arguments, CallId([number; 16]), &[number; 100]);
            shard.add(&record).unwrap();
        }
        shard
    }

    fn bytes_of(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// Who holds the old file open, and the disk's blocks, have zeros.
    #[test]
    fn what_is_erased_is_overwritten_where_it_stood_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut shard = shard(folder.path());
        let old = shard.file.try_clone().unwrap();
        let second = shard.records(HEADER_BYTES).unwrap().step().unwrap();
        let SideStep::Record(first) = second else { panic!("no record") };
        shard.set_swept(Swept { until: first.end(), journal: 9 }).unwrap();
        let erased = shard.erase(|record| record.call == CallId([1; 16])).unwrap();
        assert_eq!(erased, Erased { records: 1, bytes: 100 });
        assert!(bytes_of(&old).iter().all(|byte| *byte == 0));
        assert_eq!(shard.swept, Swept { until: HEADER_BYTES, journal: 9 });
        assert_eq!(shard.end, shard.file.metadata().unwrap().len());
        assert!(!folder.path().join("00000001.new").exists());
        assert!(Shard::open(folder.path().join("00000001.open")).unwrap().is_none(), "its lock came with it");
        drop(shard);
        let again = Shard::open(folder.path().join("00000001.open")).unwrap().unwrap();
        assert_eq!(again.swept, Swept { until: HEADER_BYTES, journal: 9 });
    }

    /// Before the rename all is as it was, and what was written anew is overwritten.
    #[test]
    fn an_erasure_that_died_before_its_rename_leaves_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        drop(shard(folder.path()));
        let [open, new] = ["00000001.open", "00000001.new"].map(|name| folder.path().join(name));
        fs::copy(&open, &new).unwrap();
        let left = File::open(&new).unwrap();
        let shard = Shard::open(open).unwrap().unwrap();
        assert!(!new.exists() && bytes_of(&left).iter().all(|byte| *byte == 0));
        assert_eq!(shard.end, HEADER_BYTES + 3 * (crate::side_record::FRAME_BYTES as u64 + 100));
    }

    /// A file that is only made shorter leaves its bytes on the disk. This one cannot be made shorter, so that they show.
    #[test]
    fn what_is_cut_off_was_overwritten_before() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        let file = File::from(memfd_create("torn", MemfdFlags::ALLOW_SEALING).unwrap());
        let mut records = Vec::new();
        push_record(&mut records, RecordKind::Arguments, CallId([7; 16]), b"the arguments");
        let kept = records.len();
        push_record(&mut records, RecordKind::Result, CallId([8; 16]), &b"a torn secret ".repeat(9000));
        records.truncate(records.len() - 1);
        Swept::START.write(&file).unwrap();
        file.write_all_at(&records, HEADER_BYTES).unwrap();
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        let end = whole(&file, HEADER_BYTES, HEADER_BYTES + records.len() as u64).unwrap();
        assert_eq!(end, HEADER_BYTES + kept as u64);
        assert_eq!(cut_off(&file, end).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        let bytes = bytes_of(&file).split_off(MAGIC.len() + PLACES_BYTES + CHECK_BYTES);
        assert_eq!(bytes[..kept], records[..kept]);
        assert!(bytes[kept..].iter().all(|byte| *byte == 0), "no byte of it is left");
    }

    #[test]
    fn a_torn_header_means_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000001.open");
        let end = shard(folder.path()).end;
        for until in [u64::MAX, 1, HEADER_BYTES] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            Swept { until, journal: 0 }.write(&file).unwrap();
            file.write_all_at(&[0xff], MAGIC.len() as u64).unwrap();
            drop(file);
            let shard = Shard::open(path.clone()).unwrap().unwrap();
            assert_eq!((shard.end, shard.swept), (end, Swept::START));
        }
        fs::write(&path, [b'?'; 100]).unwrap();
        assert_eq!(Shard::open(path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
