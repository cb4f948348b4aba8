//! Changes files in folders below a ledger's, each on the way opened from the one before it ([`Place`]).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use tollgate_audit::beneath::{FOLDER, Place, is_absent};
use tollgate_audit::regular;

/// As [`Place::find`]; folders on the way are made if they are missing.
pub(crate) fn make<'a>(root: &Path, path: &'a str) -> io::Result<Place<'a>> {
    Place::on_the_way(root, path, |folder, name| make_in(folder, name))
}

/// Makes a folder of this name, unless there is something.
pub(crate) fn make_folder(place: &Place<'_>) -> io::Result<()> {
    Ok(make_in(place.folder(), place.name())?)
}

/// Makes the file anew, empty. Whatever had the name is unlinked, not followed and not written to.
pub(crate) fn create_fresh(place: &Place<'_>) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let make = || openat(place.folder(), place.name(), flags, Mode::from_raw_mode(regular::FILE_MODE));
    let made = match make() {
        Err(Errno::EXIST) => {
            unlinkat(place.folder(), place.name(), AtFlags::empty())?;
            make()
        }
        made => made,
    };
    Ok(made?.into())
}

/// Gives the file another name, in the place of what has that.
pub(crate) fn rename(place: &Place<'_>, to: &Place<'_>) -> io::Result<()> {
    Ok(renameat(place.folder(), place.name(), to.folder(), to.name())?)
}

/// Removes the file; whether there was one.
pub(crate) fn remove(place: &Place<'_>) -> io::Result<bool> {
    was_there(unlinkat(place.folder(), place.name(), AtFlags::empty()))
}

/// Removes the folder with the files in it; whether there was one. It stays if a folder is in it, which no ledger makes.
pub(crate) fn remove_folder(place: &Place<'_>) -> io::Result<bool> {
    let names = match place.names() {
        Err(error) if is_absent(&error) => return Ok(false),
        names => names?,
    };
    let folder = openat(place.folder(), place.name(), FOLDER | OFlags::PATH, Mode::empty())?;
    for (name, _) in names.iter().filter(|(_name, is_folder)| !is_folder) {
        was_there(unlinkat(&folder, &**name, AtFlags::empty()))?;
    }
    match unlinkat(place.folder(), place.name(), AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY) => Ok(true),
        removed => was_there(removed),
    }
}

/// For its owner alone. What is there already is looked at when it is opened.
fn make_in(folder: impl AsFd, name: &str) -> rustix::io::Result<()> {
    match mkdirat(folder, name, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn was_there(removed: rustix::io::Result<()>) -> io::Result<bool> {
    match removed {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        removed => Ok(removed.map(|()| true)?),
    }
}
