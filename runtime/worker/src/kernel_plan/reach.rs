//! What a tool's process will not be able to do although the tool is granted it: a worker has no capabilities, so modes of files
//! hold for it, also if it is root's. The kernel is asked from a thread that has given up what a worker gives up. For messages
//! alone: a call that is made anyway meets the kernel's own answer.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access as Mode, AtFlags, CWD, accessat};
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, CapabilitySet};
use tollgate_sandbox::without_capabilities;

/// Rights that are granted at a place where the kernel does not give them to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfReach {
    /// The place, on the host.
    pub path: PathBuf,
    /// The rights.
    pub access: AccessSet,
    /// Why: the kernel's words, and whose the place is.
    pub reason: String,
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, access, reason } = self;
        write!(f, "the tool's process will not be able to {access} in `{}`: {reason}", path.display())
    }
}

/// The parts of a capability set that the kernel will not give the tool's process. Asks about the granted folders themselves, not
/// about what is in them.
#[must_use]
pub fn out_of_reach(set: &CapabilitySet) -> Vec<OutOfReach> {
    let places = set.fs.iter().map(|fs| (fs.host.clone(), fs.access.iter().map(|right| (right, in_folder(right)))));
    ask(places.map(|(path, modes)| (path, modes.collect())).collect())
}

/// The same for one right at one path. For the rights to make and to remove, the folder that holds the name is asked about.
#[must_use]
pub fn path_out_of_reach(path: &Path, right: Access) -> Option<OutOfReach> {
    let (asked, mode) = match right {
        Access::Read | Access::List => (path, Mode::READ_OK),
        Access::Write => (path, Mode::WRITE_OK),
        Access::Create | Access::Delete => (path.parent().unwrap_or(path), Mode::WRITE_OK | Mode::EXEC_OK),
        Access::Metadata => (path, Mode::EXISTS),
    };
    ask(vec![(asked.to_owned(), vec![(right, mode)])]).pop()
}

/// What a folder must give for a right below it.
fn in_folder(right: Access) -> Mode {
    match right {
        Access::Read | Access::Write | Access::Metadata => Mode::EXEC_OK,
        Access::List => Mode::READ_OK | Mode::EXEC_OK,
        Access::Create | Access::Delete => Mode::WRITE_OK | Mode::EXEC_OK,
    }
}

/// Asks as a worker would. Returns nothing where that cannot be asked.
fn ask(places: Vec<(PathBuf, Vec<(Access, Mode)>)>) -> Vec<OutOfReach> {
    let refused = move || places.iter().filter_map(|(path, modes)| refused(path, modes)).collect();
    without_capabilities(refused).unwrap_or_default()
}

/// The rights that the kernel refuses this thread at a path; none where it gives all, or where nothing is there.
fn refused(path: &Path, modes: &[(Access, Mode)]) -> Option<OutOfReach> {
    let mut first = None;
    let refused = modes.iter().filter(|(_, mode)| match accessat(CWD, path, *mode, AtFlags::EACCESS) {
        Err(errno @ (Errno::ACCESS | Errno::ROFS)) => {
            first.get_or_insert(errno);
            true
        }
        Ok(()) | Err(_) => false,
    });
    let access: AccessSet = refused.map(|(right, _)| *right).collect();
    Some(OutOfReach { path: path.to_owned(), access, reason: reason(path, first?) })
}

fn reason(path: &Path, errno: Errno) -> String {
    let said = io::Error::from(errno);
    if errno == Errno::ROFS {
        return said.to_string();
    }
    let user = rustix::process::geteuid().as_raw();
    let whose = fs::metadata(path).map_or_else(
        |_out_of_reach| "a folder on the way to it is closed to that user".to_owned(),
        |found| format!("this is user {}'s, with mode {:03o}", found.uid(), found.mode() & 0o7777),
    );
    format!("{said}; it runs as user {user} without capabilities (CAP_DAC_OVERRIDE among them), and {whose}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use tollgate_capability::FsCapability;

    use super::*;

    fn granted(host: &Path, access: &[Access]) -> CapabilitySet {
        let fs = FsCapability::new("/docs", host, access.iter().copied().collect());
        CapabilitySet { fs: vec![fs], ..CapabilitySet::default() }
    }

    #[test]
    fn a_folder_that_only_capabilities_open_is_out_of_a_workers_reach() {
        let folder = tempfile::tempdir().unwrap();
        let all = granted(folder.path(), &Access::ALL);
        assert_eq!(out_of_reach(&all), []);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let found = out_of_reach(&all);
        assert_eq!(found[0].access, [Access::Create, Access::Delete].into_iter().collect(), "{found:?}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o000)).unwrap();
        let found = out_of_reach(&all);
        assert_eq!(found[0].access, Access::ALL.into_iter().collect(), "{found:?}");
        assert!(found[0].to_string().contains("mode 000"), "{found:?}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn another_users_volume_is_out_of_roots_reach() {
        if !rustix::process::geteuid().is_root() {
            return tollgate_testing::foreign::skipped("only root can give a folder away");
        }
        let around = tempfile::tempdir().unwrap();
        let (volume, file) = (around.path().join("volume"), around.path().join("volume/file"));
        fs::create_dir(&volume).unwrap();
        fs::write(&file, "theirs").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&volume, fs::Permissions::from_mode(0o755)).unwrap();
        for path in [&volume, &file] {
            chown(path, Some(1000), Some(1000)).unwrap();
        }
        let found = out_of_reach(&granted(&volume, &[Access::Read, Access::List, Access::Create]));
        assert_eq!(found[0].access, [Access::Create].into_iter().collect(), "{found:?}");
        assert!(found[0].reason.contains("runs as user 0 without capabilities"), "{found:?}");
        assert!(found[0].reason.ends_with("this is user 1000's, with mode 755"), "{found:?}");
        let file_found = path_out_of_reach(&file, Access::Read).unwrap();
        assert!(file_found.reason.ends_with("this is user 1000's, with mode 600"), "{file_found:?}");
        assert_eq!(path_out_of_reach(&file, Access::Metadata), None);
        // This process itself can still do all of it.
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }
}
