//! Names are decided on, and then acted on by name, since the kernel knows no other way to move or remove one. So what
//! stands at a name is compared right before, and what came of it is looked at after: another file that was put there in
//! between is noticed. It is not moved back: that would be a second race.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;
use tollgate_capability::{FsPath, Target};

use super::place::Place;
use super::probe::{Root, names_of, target_of};
use crate::gate::Failed;

/// What was decided on, held open, so that its name may come and go.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) fd: OwnedFd,
    target: Target,
    /// Names that it had right before.
    links: u64,
}

impl Decided {
    /// What stands at a name now, if that is what was decided on; another is [`Failed::Raced`], and nothing was done.
    pub(super) fn at(place: &Place<'_>, decided: Target) -> Result<Self, Failed> {
        match (place.open_name(), decided) {
            (Ok(fd), _) => {
                let links = names_of(&fstat(&fd)?);
                let target = target_of(&fd);
                if target.id().is_none() || target.id() != decided.id() {
                    return Err(Failed::Raced);
                }
                Ok(Self { fd, target, links })
            }
            // Nothing was decided on but the kernel's own reason.
            (Err(Errno::NOENT), Target::Absent) => Err(Errno::NOENT.into()),
            (Err(errno), Target::Unknown | Target::Outside | Target::Mount | Target::Pseudo | Target::Symlink) => {
                Err(errno.into())
            }
            (Err(_gone), _) => Err(Failed::Raced),
        }
    }

    /// That it was this which got the name `new`. If it does not stand there, it has lost a name since it came there: it was
    /// replaced or removed. If it did not lose one, another was moved in its place.
    pub(super) fn moved_to(&self, new: &Place<'_>) -> Result<(), Failed> {
        match new.open_name() {
            Ok(there) if target_of(&there).id() == self.target.id() => Ok(()),
            Ok(_) | Err(_) if self.lost_a_name() => Ok(()),
            Ok(_) | Err(_) => Err(Failed::Exchanged),
        }
    }

    /// That it was this which lost its name.
    pub(super) fn was_removed_from(&self, place: &Place<'_>) -> Result<(), Failed> {
        let does_not_count = matches!(self.target, Target::Folder { .. }) && self.links < LINKS_OF_FOLDER;
        let stands = || place.open_name().is_ok_and(|there| target_of(&there).id() == self.target.id());
        let is_gone = self.lost_a_name() || (does_not_count && !stands());
        if is_gone { Ok(()) } else { Err(Failed::Exchanged) }
    }

    fn lost_a_name(&self) -> bool {
        fstat(&self.fd).map_or(true, |now| names_of(&now) < self.links)
    }
}

/// Names of a folder on file systems that count them: its own and `.`.
const LINKS_OF_FOLDER: u64 = 2;

/// That the folder which a link was made in is still the one that its path leads to: from elsewhere the link may lead out.
pub(super) fn folder_stayed(root: Root<'_>, path: &FsPath, place: &Place<'_>) -> Result<(), Failed> {
    let (folder, _name) = path.resolved().unwrap_or_default().rsplit_once('/').unwrap_or_default();
    match root.straight().openat2(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()) {
        Ok(there) if target_of(&there).id() == target_of(&place.folder).id() => Ok(()),
        Ok(_) | Err(_) => Err(Failed::Exchanged),
    }
}
