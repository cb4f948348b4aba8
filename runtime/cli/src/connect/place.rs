//! Where a client's configuration file is, and how it is changed. A project may be somebody else's, cloned and never read: nothing in it
//! may lead out of it, or make this program wait.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, fsync, mkdirat, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use tollgate_authority::files;

/// A client's configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Of the project in the working folder, by its path from there. No link is followed.
    Project(PathBuf),
    /// Of the user, by an absolute path. Links are followed, if the file at their end is the user's own.
    Home(PathBuf),
}

/// The file as it was read, and the folder that it was read from: what is written goes there, whatever the path leads to by then.
#[derive(Debug)]
pub(super) struct Held {
    folder: OwnedFd,
    name: OsString,
    // None where there is no file.
    mode: Option<Mode>,
    text: String,
}

/// Longest file that is changed.
const BYTES_MAX: u64 = 1 << 20;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

impl Place {
    /// Its path, for people.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Project(path) | Self::Home(path) => path,
        }
    }

    /// Reads the file, which need not be there, and makes the folders that it is to stand in. The error says what is wrong with it.
    pub(super) fn hold(&self) -> Result<Held, String> {
        match self {
            Self::Project(path) => in_project(Path::new("."), path),
            Self::Home(path) => in_home(path, rustix::process::geteuid().as_raw()),
        }
    }
}

/// Each step is one name below the folder before it.
fn in_project(working_folder: &Path, path: &Path) -> Result<Held, String> {
    let mut folder = open(working_folder, FOLDER, Mode::empty()).map_err(|errno| errno.to_string())?;
    for step in path.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = step else { return Err("it is not in the working folder".to_owned()) };
        let below = || openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        let opened = match below() {
            Err(Errno::NOENT) => mkdirat(&folder, name, Mode::from_raw_mode(0o777)).and_then(|()| below()),
            opened => opened,
        };
        folder = opened.map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => format!("`{}` is a link, or no folder", name.display()),
            other => other.to_string(),
        })?;
    }
    Held::of(folder, name_of(path)?, None)
}

fn in_home(path: &Path, user: u32) -> Result<Held, String> {
    let resolved = match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => new_in_home(path),
        resolved => resolved,
    };
    let resolved = resolved.map_err(|error| error.to_string())?;
    let folder = resolved.parent().ok_or("it is in no folder")?;
    let folder = open(folder, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(|errno| errno.to_string())?;
    Held::of(folder, name_of(&resolved)?, Some(user))
}

/// Where a file that is not there is to be. A link at the end, which leads nowhere, is not followed.
fn new_in_home(path: &Path) -> io::Result<PathBuf> {
    let (folder, name) = path.parent().zip(path.file_name()).ok_or(ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?.join(name))
}

fn name_of(path: &Path) -> Result<OsString, String> {
    path.file_name().map(OsString::from).ok_or_else(|| "it has no name".to_owned())
}

impl Held {
    /// Reads a regular file, of `owner` if that is given.
    fn of(folder: OwnedFd, name: OsString, owner: Option<u32>) -> Result<Self, String> {
        // A FIFO would be waited for, and a terminal taken.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&folder, &name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Self { folder, name, mode: None, text: String::new() }),
            Err(Errno::LOOP) => return Err("it is a link that is not followed".to_owned()),
            Err(errno) => return Err(errno.to_string()),
        };
        let found = fstat(&file).map_err(|errno| errno.to_string())?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err("it is not a regular file".to_owned());
        }
        if owner.is_some_and(|owner| owner != found.st_uid) {
            return Err(format!("it belongs to another user ({})", found.st_uid));
        }
        let mut bytes = Vec::new();
        File::from(file).take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(format!("it has more than {BYTES_MAX} bytes"));
        }
        let text = String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 text ({error})"))?;
        Ok(Self { folder, name, mode: Some(Mode::from_raw_mode(found.st_mode & 0o777)), text })
    }

    /// What stands in the file; nothing where there is none.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Puts another text in its place: on disk whole, or not at all.
    pub(super) fn replace(&self, text: &str) -> io::Result<()> {
        let new = files::hidden_name(Path::new(""))?;
        let written = self.write(&new, text);
        if written.is_err() {
            // Best effort: it only takes room.
            unlinkat(&self.folder, &new, AtFlags::empty()).ok();
        }
        written
    }

    fn write(&self, new: &Path, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, new, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(text.as_bytes())?;
        if let Some(mode) = self.mode {
            fchmod(&file, mode)?;
        }
        file.sync_all()?;
        renameat(&self.folder, new, &self.folder, &self.name)?;
        Ok(fsync(&self.folder)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{CWD, mknodat};

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<OsString> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_of_a_project_is_made_and_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::new(".vscode/mcp.json");
        let held = in_project(folder.path(), path).unwrap();
        assert_eq!(held.text(), "");
        held.replace("one").unwrap();
        let file = folder.path().join(path);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let held = in_project(folder.path(), path).unwrap();
        assert_eq!(held.text(), "one");
        held.replace("two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(names(&folder.path().join(".vscode")), ["mcp.json"]);
    }

    #[test]
    fn nothing_leads_out_of_a_project() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("mcp.json"), "{}").unwrap();
        symlink(other.path(), folder.path().join(".vscode")).unwrap();
        let refused = |path: &str| in_project(folder.path(), Path::new(path)).unwrap_err();
        assert_eq!(refused(".vscode/mcp.json"), "`.vscode` is a link, or no folder");
        assert_eq!(refused("../mcp.json"), "it is not in the working folder");
        symlink(other.path().join("mcp.json"), folder.path().join(".mcp.json")).unwrap();
        assert_eq!(refused(".mcp.json"), "it is a link that is not followed");
        symlink(other.path().join("new.json"), folder.path().join("new.json")).unwrap();
        assert_eq!(refused("new.json"), "it is a link that is not followed");
        assert_eq!(names(other.path()), ["mcp.json"]);
        assert_eq!(fs::read_to_string(other.path().join("mcp.json")).unwrap(), "{}");
    }

    #[test]
    fn only_regular_files_of_some_length_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| in_project(folder.path(), Path::new(name)).unwrap_err();
        mknodat(CWD, folder.path().join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::write(folder.path().join("long"), vec![b'x'; (1 << 20) + 1]).unwrap();
        fs::write(folder.path().join("bytes"), b"\xff").unwrap();
        assert_eq!(refused("fifo"), "it is not a regular file");
        assert_eq!(refused("folder"), "it is not a regular file");
        assert_eq!(refused("long"), "it has more than 1048576 bytes");
        assert!(refused("bytes").starts_with("it is not UTF-8 text"));
        fs::write(folder.path().join("long"), vec![b'x'; 1 << 20]).unwrap();
        assert_eq!(in_project(folder.path(), Path::new("long")).unwrap().text().len(), 1 << 20);
    }

    #[test]
    fn a_link_in_the_home_leads_to_a_file_of_the_users_own() {
        let (home, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let user = rustix::process::geteuid().as_raw();
        let (link, file) = (home.path().join("mcp.json"), files.path().join("mcp.json"));
        fs::write(&file, "{}").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(in_home(&link, user + 1).unwrap_err(), format!("it belongs to another user ({user})"));
        in_home(&link, user).unwrap().replace("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let new = home.path().join(".cursor/mcp.json");
        in_home(&new, user).unwrap().replace("new").unwrap();
        assert_eq!(fs::read_to_string(&new).unwrap(), "new");
        symlink(home.path().join("nowhere"), home.path().join("dangling")).unwrap();
        let refused = in_home(&home.path().join("dangling"), user).unwrap_err();
        assert_eq!(refused, "it is a link that is not followed");
    }
}
