//! The entries of a folder, page by page: however many there are, a listing holds a few hundred of them. Each page is read
//! with the proof of a call that allows it.

use std::os::fd::OwnedFd;
use std::vec;

use rustix::fs::{FileType, Mode, OFlags, RawDir, RawDirEntry, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use tollgate_capability::{Call, FsCall};
use wasmtime_wasi::p2::bindings::filesystem::types::DirectoryEntry;

use super::stat::kind;
use crate::gate::{Checked, Failed};
use crate::handle::OnHandle;

/// An open listing, as the guest's table holds it.
pub(crate) struct Listing {
    folder: OwnedFd,
    page: vec::IntoIter<Result<DirectoryEntry, NotUtf8>>,
    ended: bool,
}

/// What comes next in a listing.
pub(crate) enum Next {
    /// An entry.
    Entry(DirectoryEntry),
    /// An entry whose name is not UTF-8: WASI has no word for it, and no guest can open it.
    Unnameable,
    /// Another page must be read first.
    Page,
    /// There is nothing more.
    End,
}

/// Bytes that the kernel fills at a time: some 1,000 usual entries, so that a usual folder takes two system calls.
const KERNEL_BYTES: usize = 32 << 10;
/// Entries after which a page is full. With what the kernel gives at a time, a page has 1,600 at most, and less than 100 KiB.
const PAGE_ENTRIES: usize = 256;

/// Opens the folder of a handle anew, since it may be open as a place only, and reads the first page.
pub(crate) fn list(on: OnHandle<Checked>) -> Result<Listing, Failed> {
    let (proof, folder) = on.into_parts();
    let Call::Fs(FsCall::ReadDirectory { .. }) = proof.call() else { return Err(Failed::Broken) };
    let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat2(&*folder, ".", oflags, Mode::empty(), ResolveFlags::BENEATH)?;
    let mut listing = Listing { folder, page: Vec::new().into_iter(), ended: false };
    listing.read_page()?;
    Ok(listing)
}

impl Listing {
    /// The next entry of the page.
    pub(crate) fn next(&mut self) -> Next {
        match self.page.next() {
            Some(Ok(entry)) => Next::Entry(entry),
            Some(Err(NotUtf8)) => Next::Unnameable,
            None if self.ended => Next::End,
            None => Next::Page,
        }
    }

    /// Reads the next page.
    pub(crate) fn turn(&mut self, on: OnHandle<Checked>) -> Result<(), Failed> {
        let (proof, _folder) = on.into_parts();
        let Call::Fs(FsCall::ReadDirectory { .. }) = proof.call() else { return Err(Failed::Broken) };
        Ok(self.read_page()?)
    }

    /// What fails ends the listing: a guest that goes on would ask for ever.
    fn read_page(&mut self) -> Result<(), Errno> {
        let mut page = Vec::new();
        let mut buffer = Vec::with_capacity(KERNEL_BYTES);
        let mut raw = RawDir::new(&self.folder, buffer.spare_capacity_mut());
        while page.len() < PAGE_ENTRIES || !raw.is_buffer_empty() {
            match raw.next() {
                Some(Ok(entry)) => page.extend(told(&self.folder, &entry)),
                Some(Err(Errno::INTR)) => {}
                Some(Err(errno)) => {
                    self.ended = true;
                    return Err(errno);
                }
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        self.page = page.into_iter();
        Ok(())
    }
}

/// A name that WASI cannot tell.
struct NotUtf8;

/// An entry for the guest, which is not told of `.` and `..`.
fn told(folder: &OwnedFd, entry: &RawDirEntry<'_>) -> Option<Result<DirectoryEntry, NotUtf8>> {
    let name = entry.file_name();
    if matches!(name.to_bytes(), b"." | b"..") {
        return None;
    }
    let mut found = entry.file_type();
    if found == FileType::Unknown {
        // Some file systems tell no kinds. What is gone by now has none.
        let oflags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let looked = openat2(folder, name, oflags, Mode::empty(), ResolveFlags::BENEATH).and_then(fstat);
        found = looked.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode));
    }
    let entry = |name: &str| DirectoryEntry { type_: kind(found), name: name.to_owned() };
    Some(name.to_str().map(entry).map_err(|_not_utf8| NotUtf8))
}
