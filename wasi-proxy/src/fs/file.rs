//! Effects on open files, on the calling thread: each takes the proof of a call on that very file. Only regular files and
//! folders get here, so a read or write ends by itself.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, Timestamps, openat2};
use rustix::io::{Errno, ReadWriteFlags, pread, pwrite, pwritev2};
use tollgate_capability::{Call, FsCall};

use crate::gate::{Checked, Failed, Performed, Permit};
use crate::handle::OnHandle;

/// Bytes of one read: 64 KiB, so that a guest cannot make the host allocate more by asking.
pub(crate) const READ_BYTES_MAX: usize = 64 << 10;

/// Reads up to `size` bytes at `offset`; fewer than asked are no end of the file, none are.
pub(crate) fn read_at(on: OnHandle<Checked>, size: usize, offset: u64) -> Result<Vec<u8>, Failed> {
    let (proof, file) = on.into_parts();
    let Call::Fs(FsCall::Read { .. }) = proof.call() else { return Err(Failed::Broken) };
    let mut bytes = Vec::with_capacity(size.min(READ_BYTES_MAX));
    loop {
        match pread(&*file, rustix::buffer::spare_capacity(&mut bytes), offset) {
            Ok(_read) => return Ok(bytes),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Writes all of `bytes` at `offset`, or at the end of the file; never more than the call was allowed.
pub(crate) fn write(on: OnHandle<Checked>, bytes: &[u8], offset: Option<u64>) -> Result<u64, Failed> {
    let (proof, file) = on.into_parts();
    let Call::Fs(FsCall::Write { bytes: allowed, .. }) = proof.call() else { return Err(Failed::Broken) };
    if bytes.len() as u64 > *allowed {
        return Err(Failed::Broken);
    }
    let written = match offset {
        Some(offset) => {
            write_all(bytes, |rest, done| pwrite(&*file, rest, offset.checked_add(done).ok_or(Errno::FBIG)?))
        }
        None => write_all(bytes, |rest, _done| pwritev2(&*file, &[io::IoSlice::new(rest)], 0, ReadWriteFlags::APPEND)),
    };
    Ok(written?)
}

fn write_all(mut rest: &[u8], mut write: impl FnMut(&[u8], u64) -> Result<usize, Errno>) -> Result<u64, Errno> {
    let mut done = 0;
    while !rest.is_empty() {
        match write(rest, done) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                done += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// `ftruncate` to the size that was decided on.
pub(crate) fn set_size(on: OnHandle<Permit>) -> Performed<()> {
    let (permit, file) = on.into_parts();
    permit.perform(|call| {
        let Call::Fs(FsCall::SetSize { size, .. }) = call else { return Err(Failed::Broken) };
        Ok(rustix::fs::ftruncate(&*file, *size)?)
    })
}

/// What a handle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder that may be listed.
    Listed,
    /// A folder that may not be listed, so that a sealed host cannot open it as more than a place.
    Place,
}

/// `futimens`. A folder is opened anew for it, since it may be open as a place only.
pub(crate) fn set_open_times(on: OnHandle<Permit>, kind: Kind, times: &Timestamps) -> Performed<()> {
    let (permit, file) = on.into_parts();
    permit.perform(|call| {
        let Call::Fs(FsCall::SetTimes { .. }) = call else { return Err(Failed::Broken) };
        match kind {
            Kind::File => Ok(rustix::fs::futimens(&*file, times)?),
            Kind::Listed => Ok(rustix::fs::futimens(opened_anew(&file)?, times)?),
            Kind::Place => Err(Errno::ACCESS.into()),
        }
    })
}

fn opened_anew(folder: &std::fs::File) -> Result<OwnedFd, Errno> {
    let oflags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(folder, ".", oflags, Mode::empty(), ResolveFlags::BENEATH)
}

/// What is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// `fsync`.
    All,
    /// `fdatasync`.
    Data,
}

/// Flushes a file.
pub(crate) fn sync(on: OnHandle<Checked>, flush: Flush) -> Result<(), Failed> {
    let (proof, file) = on.into_parts();
    let Call::Fs(FsCall::Sync { .. }) = proof.call() else { return Err(Failed::Broken) };
    flushed(&*file, flush)
}

/// Flushes a folder, which is open as a place only: it is opened anew to be flushed.
pub(crate) fn sync_folder(on: OnHandle<Checked>, flush: Flush) -> Result<(), Failed> {
    let (proof, folder) = on.into_parts();
    let Call::Fs(FsCall::Sync { .. }) = proof.call() else { return Err(Failed::Broken) };
    flushed(opened_anew(&folder)?, flush)
}

fn flushed(fd: impl std::os::fd::AsFd, flush: Flush) -> Result<(), Failed> {
    let flushed = match flush {
        Flush::All => rustix::fs::fsync(fd),
        Flush::Data => rustix::fs::fdatasync(fd),
    };
    Ok(flushed?)
}
