//! Files in memory that nobody can change, for what one process hands to another.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;
use tollgate_system::of_call;

/// Makes a file in memory with these bytes that nobody can change.
///
/// # Errors
///
/// The operating system's, with the name of the call where a filter or a limit is to blame.
pub fn memory_file(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let made = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
    let mut file = File::from(made.map_err(|errno| of_call("memfd_create", errno))?);
    file.write_all(bytes).map_err(|error| of_call("write to a file in memory", error))?;
    while_pages_are_held(|| fcntl_add_seals(&file, SEALED), |errno| Some(errno.raw_os_error()))
        .map_err(|errno| of_call("fcntl(F_ADD_SEALS)", errno))?;
    Ok(file.into())
}

/// Seals a file in memory by `seal`, again as long as the kernel says `EBUSY`. The kernel does while anything in it still holds a
/// page of that file, such as a list of pages that a CPU has yet to put away (`memfd_wait_for_pins` in its `mm/memfd.c`), and has
/// then waited for a tenth of a second. So this need not sleep, which a sealed process may not. It gives up after some seconds.
///
/// # Errors
///
/// Those of `seal`.
pub fn while_pages_are_held<T, E>(
    mut seal: impl FnMut() -> Result<T, E>,
    number: impl Fn(&E) -> Option<i32>,
) -> Result<T, E> {
    for _attempt in 1..SEAL_ATTEMPTS {
        match seal() {
            Err(error) if number(&error) == Some(Errno::BUSY.raw_os_error()) => {}
            sealed => return sealed,
        }
    }
    seal()
}

/// Whether `file` is one that [`memory_file`] made: nobody can change it.
pub fn is_sealed(file: &OwnedFd) -> bool {
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SEALED))
}

/// All bytes of a file in memory, also if it was read before.
///
/// # Errors
///
/// `lseek(2)`, `read(2)`.
pub fn read_memory_file(file: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(file);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

const SEAL_ATTEMPTS: u32 = 32;

const SEALED: SealFlags = SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: i32 = Errno::BUSY.raw_os_error();
    const PERM: i32 = Errno::PERM.raw_os_error();

    /// Seals that are refused with these numbers, one after the other; how the last attempt ended, and how many there were.
    fn sealed(numbers: &[i32]) -> (Result<(), i32>, usize) {
        let (mut left, mut attempts) = (numbers.iter(), 0);
        let seal = || {
            attempts += 1;
            left.next().map_or(Ok(()), |number| Err(*number))
        };
        (while_pages_are_held(seal, |number| Some(*number)), attempts)
    }

    #[test]
    fn a_seal_is_tried_again_while_pages_are_held_and_for_no_other_reason() {
        assert_eq!(sealed(&[]), (Ok(()), 1));
        assert_eq!(sealed(&[BUSY; 3]), (Ok(()), 4));
        assert_eq!(sealed(&[BUSY, PERM]), (Err(PERM), 2));
        assert_eq!(sealed(&[BUSY; 100]), (Err(BUSY), 32));
    }
}
