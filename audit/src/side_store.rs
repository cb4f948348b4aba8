//! The side store: salts and full texts of calls, in one file beside the ledger's folder, from which the data of a call
//! can be erased while its entries, digests and proofs stand.
//!
//! Nothing of what it holds may get into the ledger, and nothing of what was erased may stay in it.

mod header;
mod sweep;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::header::{HEADER_BYTES, Header};
use crate::ids::CallId;
use crate::key_file::beside;
use crate::lock;
use crate::private::{Private, Salt};
use crate::regular;
use crate::side_record::{Record, RecordKind, RecordState, Records, SideStep, push_record};

/// Longest text of a call that the side store keeps: as much as a tool may be given or answer.
pub const PRIVATE_BYTES_MAX: usize = 64 << 20;

/// The side store of a ledger, `<folder>.private` (mode 0600), open for writing; this process is its only writer.
///
/// Durability: what was put is in the page cache. It survives the death (SIGKILL) of any process; it may be lost with
/// the power, since no put waits for the disk: then the ledger still has the digests, and nothing to compare them with.
/// An erasure is on disk when it returns.
#[derive(Debug)]
pub struct SideStore {
    // Of the ledger.
    dir: PathBuf,
    // Also the lock.
    file: File,
    writer: Mutex<Writer>,
}

/// What an erasure overwrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Number of records; none when there was nothing left to erase.
    pub records: u64,
    /// Their contents in bytes.
    pub bytes: u64,
}

#[derive(Debug)]
struct Writer {
    // Where the next record goes.
    end: u64,
    header: Header,
    // Kept between puts for its memory.
    records: Vec<u8>,
    stopped: bool,
}

impl SideStore {
    /// Opens the side store of the ledger in the folder `dir`, which must exist, making it if there is none. It is for
    /// the process that has the ledger open. A record that a died writer left unfinished is overwritten and cut off; an
    /// erasure that it left unfinished is finished.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`]: open elsewhere. [`io::ErrorKind::PermissionDenied`]: open to group or world.
    /// [`io::ErrorKind::InvalidData`]: corrupt before its end, or no side store. Otherwise the operating system's.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = regular::open_with(options, &beside(dir, EXTENSION)?)?;
        // The ledger is free a moment before its side store is: its front closes that one when its notary has gone.
        if !lock::take(&file, lock::ENDING_PATIENCE)? {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "the side store is open elsewhere"));
        }
        let metadata = file.metadata()?;
        if metadata.mode() & 0o077 != 0 || !regular::is_ours(&metadata) {
            let reason = "the side store is another user's, or open to others";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        let length = match metadata.len() {
            length if length < HEADER_BYTES => {
                // Part of a header at most: one that was being made.
                Header::NEW.write(&file)?;
                file.set_len(HEADER_BYTES)?;
                HEADER_BYTES
            }
            length => length,
        };
        let header = Header::read(&file)?.filter(|header| header.fits(length)).unwrap_or(Header::NEW);
        let end = recover(&file, header.hint, length)?;
        let writer = Writer { end, header, records: Vec::new(), stopped: false };
        Ok(Self { dir: dir.to_owned(), file, writer: Mutex::new(writer) })
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

    /// Overwrites salt, arguments and result of `call` in place with zeros and brings that to disk. What stays are the
    /// call's id and the lengths. To be done again after a crash or an error, as often as need be; to be recorded in the
    /// ledger ([`Erasure`](crate::Erasure)) when it is done.
    ///
    /// A file system that writes elsewhere than in place, snapshots, and a disk that moves its blocks keep copies that
    /// no program can reach from here.
    ///
    /// # Errors
    ///
    /// Any: the data may still be there.
    pub fn erase(&self, call: CallId) -> io::Result<Erased> {
        let mut writer = self.writer();
        let mut records = Records::new(&self.file, HEADER_BYTES, writer.end)?;
        let mut found = Vec::new();
        while let SideStep::Record(record) = records.step()? {
            if record.call == call && record.state != RecordState::Erased {
                found.push(record);
            }
        }
        if found.is_empty() {
            return Ok(Erased::default());
        }
        let erased = writer.erase(&self.file, HEADER_BYTES, &found)?;
        let end = writer.end;
        writer.set_hint(&self.file, end)?;
        Ok(erased)
    }

    /// Overwrites what is kept of calls that are not in the ledger, as when a worker died before the first entry of a call
    /// left it: nobody could find such a call by the ledger, nor erase it. It is for a process that has the ledger open and
    /// has not begun any call: what is not in the ledger now never will be. It reads what came since the last time.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: the journal, or this store, is corrupt. Otherwise the operating system's. Nothing is
    /// erased that is in the ledger.
    pub fn sweep(&self) -> io::Result<Erased> {
        self.writer().sweep(&self.file, &self.dir)
    }

    /// The calls that the side store of the ledger in `dir` has records of, erased ones too: `most` at most, of those that
    /// `are` asked for. It reads the whole file; the ledger may be open elsewhere.
    ///
    /// # Errors
    ///
    /// As [`SideStore::find`].
    pub fn find_calls(dir: &Path, most: usize, are: impl Fn(CallId) -> bool) -> io::Result<BTreeSet<CallId>> {
        let mut found = BTreeSet::new();
        let Some((file, length)) = open_to_read(dir)? else { return Ok(found) };
        let mut records = Records::new(&file, HEADER_BYTES, length)?;
        while found.len() < most
            && let SideStep::Record(record) = records.step()?
        {
            if are(record.call) {
                found.insert(record.call);
            }
        }
        Ok(found)
    }

    /// What the side store of the ledger in `dir` keeps of `call`; `None` if there is nothing, or it was erased. It reads
    /// the whole file; the ledger may be open elsewhere.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: corrupt. Otherwise the operating system's.
    pub fn find(dir: &Path, call: CallId) -> io::Result<Option<Private>> {
        let Some((file, length)) = open_to_read(dir)? else { return Ok(None) };
        let (mut salt, mut arguments, mut result) = (None, None, None);
        let mut records = Records::new(&file, HEADER_BYTES, length)?;
        while let SideStep::Record(record) = records.step()? {
            if record.call != call || record.state != RecordState::Live {
                continue;
            }
            let content = match record.content(&file)? {
                Some(content) => content,
                // Erased since its frame was read.
                None if record.state_now(&file)? != Some(RecordState::Live) => continue,
                // The last one is being written, or is torn.
                None if record.end() == length => break,
                None => return Err(corrupt(record.offset)),
            };
            match record.kind {
                RecordKind::Salt => {
                    salt = Some(Salt(content.try_into().map_err(|_other_length| corrupt(record.offset))?));
                }
                RecordKind::Arguments => arguments = Some(content),
                RecordKind::Result => result = Some(content),
            }
        }
        Ok(salt.map(|salt| Private { call, salt, arguments, result }))
    }

    fn put<'t>(&self, call: CallId, texts: impl Iterator<Item = (RecordKind, &'t [u8])>) -> io::Result<()> {
        let mut writer = self.writer();
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
        let written = self.file.write_all_at(&writer.records, writer.end);
        match written {
            Ok(()) => writer.end += writer.records.len() as u64,
            // What was written of it must not stand before what comes next, nor stay on the disk.
            Err(_) => writer.stopped = cut_off(&self.file, writer.end).is_err(),
        }
        writer.records.shrink_to(RECORDS_BYTES_KEPT);
        written
    }

    /// A panic while the lock was held leaves at most a record behind `end`, which the next one overwrites.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SideStore {
    fn drop(&mut self) {
        let mut writer = self.writer();
        if writer.end > writer.header.hint + HINT_BYTES && self.file.sync_data().is_ok() {
            let end = writer.end;
            // Best effort: without it the next open reads more.
            writer.set_hint(&self.file, end).ok();
        }
    }
}

impl Writer {
    fn set_hint(&mut self, file: &File, hint: u64) -> io::Result<()> {
        self.set_header(file, Header { hint, ..self.header })
    }

    fn set_header(&mut self, file: &File, header: Header) -> io::Result<()> {
        header.write(file)?;
        self.header = header;
        Ok(())
    }

    /// Erases `records`, none of which starts before `first`. If this process dies meanwhile, the next open reads from there
    /// and goes on here.
    fn erase(&mut self, file: &File, first: u64, records: &[Record]) -> io::Result<Erased> {
        let hint = self.header.hint.min(first);
        self.set_hint(file, hint)?;
        erase_all(file, records)?;
        let bytes = records.iter().map(|record| u64::from(record.length)).sum();
        Ok(Erased { records: records.len() as u64, bytes })
    }
}

/// The side store of the ledger in `dir` and its length; `None` if there is none.
fn open_to_read(dir: &Path) -> io::Result<Option<(File, u64)>> {
    let file = match regular::open(&beside(dir, EXTENSION)?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    if length < HEADER_BYTES {
        return Ok(None);
    }
    Header::read(&file)?;
    Ok(Some((file, length)))
}

/// Finishes what a died writer left: erasures, and the last record. Returns where the next one goes.
fn recover(file: &File, hint: u64, length: u64) -> io::Result<u64> {
    let mut records = Records::new(file, hint, length)?;
    let (mut last, mut erasing) = (None, Vec::new());
    while let SideStep::Record(record) = records.step()? {
        if record.state == RecordState::Erasing {
            erasing.push(record);
        }
        last = Some(record);
    }
    let whole = match last {
        Some(last) if last.state == RecordState::Live && last.content(file)?.is_none() => last.offset,
        _ => records.offset(),
    };
    if whole < length {
        cut_off(file, whole)?;
    }
    if !erasing.is_empty() {
        erase_all(file, &erasing)?;
    }
    Ok(whole)
}

/// Marks first, so that a record of which a part is gone never passes for a whole one; each step on disk before the next.
fn erase_all(file: &File, records: &[Record]) -> io::Result<()> {
    records.iter().try_for_each(|record| record.mark(file, RecordState::Erasing))?;
    file.sync_data()?;
    records.iter().try_for_each(|record| zero(file, record.erased_from(), record.end()))?;
    file.sync_data()?;
    records.iter().try_for_each(|record| record.mark(file, RecordState::Erased))?;
    file.sync_data()
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

fn corrupt(offset: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the side store is corrupt at byte {offset}"))
}

const EXTENSION: &str = "private";

/// Bytes that an open may have to read are not worth a sync when the store is closed.
const HINT_BYTES: u64 = 1 << 20;

/// Memory kept for the next put.
const RECORDS_BYTES_KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CALL: CallId = CallId([7; 16]);
    const OTHER: CallId = CallId([8; 16]);

    fn ledger() -> (tempfile::TempDir, PathBuf) {
        let around = tempfile::tempdir().unwrap();
        let dir = around.path().join("ledger");
        fs::create_dir(&dir).unwrap();
        (around, dir)
    }

    fn put(store: &SideStore, call: CallId) {
        store.put_call(call, &Salt([call.0[0]; 32]), Some(b"the arguments")).unwrap();
        store.put_result(call, b"the result").unwrap();
    }

    fn records(file: &File) -> Vec<Record> {
        let mut records = Records::new(file, HEADER_BYTES, file.metadata().unwrap().len()).unwrap();
        let mut found = Vec::new();
        while let SideStep::Record(record) = records.step().unwrap() {
            found.push(record);
        }
        found
    }

    /// However far an erasure came before its process died, the next open finishes it.
    #[test]
    fn an_erasure_cut_short_is_finished() {
        for zeroed_bytes in [0, 1, 8, 9, 18] {
            let (_around, dir) = ledger();
            let store = SideStore::open(&dir).unwrap();
            [CALL, OTHER].iter().for_each(|call| put(&store, *call));
            let of_call: Vec<_> = records(&store.file).into_iter().filter(|record| record.call == CALL).collect();
            assert_eq!(of_call.len(), 3);
            for record in &of_call {
                record.mark(&store.file, RecordState::Erasing).unwrap();
                store.file.write_all_at(&vec![0; zeroed_bytes], record.erased_from()).unwrap();
            }
            assert_eq!(SideStore::find(&dir, CALL).unwrap(), None, "gone from the first mark on");
            drop(store);

            let store = SideStore::open(&dir).unwrap();
            let bytes = fs::read(dir.with_extension("private")).unwrap();
            for record in &of_call {
                let place = usize::try_from(record.erased_from()).unwrap()..usize::try_from(record.end()).unwrap();
                assert!(bytes[place].iter().all(|byte| *byte == 0));
                assert_eq!(record.state_now(&store.file).unwrap(), Some(RecordState::Erased));
            }
            assert_eq!(store.erase(CALL).unwrap(), Erased::default());
            assert!(SideStore::find(&dir, OTHER).unwrap().is_some());
        }
    }

    #[test]
    fn what_was_closed_is_not_read_again_unless_an_erasure_was_cut_short() {
        let (_around, dir) = ledger();
        let store = SideStore::open(&dir).unwrap();
        put(&store, CALL);
        store.put_call(OTHER, &Salt([8; 32]), Some(&vec![b'x'; 2 << 20])).unwrap();
        drop(store);
        let store = SideStore::open(&dir).unwrap();
        let length = store.file.metadata().unwrap().len();
        assert_eq!(store.writer().header.hint, length);
        assert_eq!(store.erase(CALL).unwrap(), Erased { records: 3, bytes: 32 + 13 + 10 });
        assert_eq!(store.writer().header.hint, length);
        // As `erase` leaves it when it dies after its first step.
        put(&store, CALL);
        store.writer().set_hint(&store.file, HEADER_BYTES).unwrap();
        records(&store.file)[0].mark(&store.file, RecordState::Erasing).unwrap();
        drop(store);
        Header::NEW.write(&OpenOptions::new().write(true).open(dir.with_extension("private")).unwrap()).unwrap();
        let store = SideStore::open(&dir).unwrap();
        assert_eq!(records(&store.file)[0].state, RecordState::Erased);
    }

    /// A file that is only made shorter leaves its bytes on the disk. This one cannot be made shorter, so that they show.
    #[test]
    fn what_is_cut_off_was_overwritten_before() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        let file = File::from(memfd_create("torn", MemfdFlags::ALLOW_SEALING).unwrap());
        let mut records = Vec::new();
        push_record(&mut records, RecordKind::Arguments, CALL, b"the arguments");
        let whole = records.len();
        push_record(&mut records, RecordKind::Result, OTHER, &b"a torn secret ".repeat(9000));
        records.truncate(records.len() - 1);
        Header::NEW.write(&file).unwrap();
        file.write_all_at(&records, HEADER_BYTES).unwrap();
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        let length = HEADER_BYTES + records.len() as u64;
        let refused = recover(&file, HEADER_BYTES, length).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let mut bytes = vec![0xff; records.len()];
        file.read_exact_at(&mut bytes, HEADER_BYTES).unwrap();
        assert_eq!(bytes[..whole], records[..whole]);
        assert!(bytes[whole..].iter().all(|byte| *byte == 0), "no byte of it is left");
    }

    #[test]
    fn a_torn_hint_means_from_the_start() {
        let (_around, dir) = ledger();
        put(&SideStore::open(&dir).unwrap(), CALL);
        let path = dir.with_extension("private");
        let whole = fs::read(&path).unwrap();
        for hint in [u64::MAX, 1, HEADER_BYTES] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            Header { hint, ..Header::NEW }.write(&file).unwrap();
            file.write_all_at(&[0xff], header::MAGIC.len() as u64).unwrap();
            drop(file);
            assert_eq!(SideStore::open(&dir).unwrap().writer().end, whole.len() as u64);
        }
        fs::write(&path, [b'?'; 100]).unwrap();
        assert_eq!(SideStore::open(&dir).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let older = [&b"tollgate-private-1\n"[..], &whole[header::MAGIC.len()..]].concat();
        fs::write(&path, older).unwrap();
        let error = SideStore::open(&dir).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("version 1"), "{error}");
    }
}
