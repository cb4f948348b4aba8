//! A rename to a new name where the file system knows no rename that replaces nothing (FUSE, NFS, 9p and others). Nothing that
//! appears at the new name meanwhile must be replaced, but for a folder that is empty.

use std::os::fd::AsRawFd as _;

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;
use tollgate_capability::Target;

use super::exchange::Decided;
use super::place::Place;
use super::probe::Roots;
use crate::gate::Failed;

/// Gives what was decided on its new name. A file has both names for a moment, since a link replaces nothing: if the process
/// dies in between, it keeps both. A folder can have no second name: it is looked whether the new one is free, and a folder
/// that appears there then is replaced if it is empty, as `rename` does.
pub(super) fn rename(
    roots: &Roots,
    (old, source): (&Place<'_>, Target),
    new: &Place<'_>,
    decided: &Decided,
) -> Result<(), Failed> {
    if let Target::Folder { .. } = source {
        match new.open_name() {
            Ok(_stands) => return Err(Failed::Raced),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        return move_folder(old, new, decided);
    }
    // A sealed host has the system call only where the set brings it, as for `link-at`.
    if !roots.may_link() {
        return Err(Errno::NOTSUP.into());
    }
    link_held(decided, new)?;
    // From here on something was done: another file at the old name by now was put there by somebody else.
    let still = Decided::at(old, source).map_err(|_other| Failed::Exchanged)?;
    // Whatever the reason: the file keeps both names, which takes room.
    rustix::fs::unlinkat(&old.folder, old.name, AtFlags::empty()).map_err(|_errno| Errno::IO)?;
    still.was_removed_from(old)
}

/// Plain `renameat`: of a folder it replaces an empty folder at most.
pub(super) fn move_folder(old: &Place<'_>, new: &Place<'_>, decided: &Decided) -> Result<(), Failed> {
    rustix::fs::renameat_with(&old.folder, old.name, &new.folder, new.name, RenameFlags::empty())?;
    decided.moved_to(new)
}

/// `linkat`, of the very file that is held.
pub(super) fn link_held(held: &Decided, new: &Place<'_>) -> Result<(), Failed> {
    let this = format!("/proc/self/fd/{}", held.fd.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, this, &new.folder, new.name, AtFlags::SYMLINK_FOLLOW)?)
}
