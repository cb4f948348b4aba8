//! Files in memory that nobody can change, for what one process hands to another.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use tollgate_ledger::of_call;

/// A file in memory that nobody can change any more.
pub(crate) fn memory_file(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let made = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let mut file = File::from(made.map_err(|errno| of_call("memfd_create", errno))?);
    file.write_all(bytes).map_err(|error| of_call("write to a file in memory", error))?;
    fcntl_add_seals(&file, SEALED).map_err(|errno| of_call("fcntl(F_ADD_SEALS)", errno))?;
    Ok(file.into())
}

/// Whether `file` is one that [`memory_file`] made: nobody can change it.
pub(crate) fn is_sealed(file: &OwnedFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALED))
}

/// All bytes of a file in memory, wherever it was read before.
pub(crate) fn read_memory_file(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

const SEALED: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);
