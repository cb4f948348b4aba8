//! Whether a policy that is found in a folder is the user's own: its file, and each folder on the way to it. Must never follow a
//! link that stands in the policy's place.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat, fgetxattr_query, fstat, open, openat};
use rustix::io::Errno;

use super::policy_file_error::PolicyFileError;
use super::private_group::is_private_group;
use super::walk::{Step, walk_by};
use super::{ROOT, has_other_name, is_own};

/// Opens what is found, if it is the user's own or root's, and has no other name.
pub(super) fn open_found(path: &Path) -> Result<Option<File>, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let name = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed)?,
    };
    // Where a link leads is decided by all that is on the way there, and a tool may have made what it leads to.
    if name.is_symlink() {
        return Err(PolicyFileError::Link { path: path.to_owned() });
    }
    let of_others = |metadata: &fs::Metadata| PolicyFileError::OfOthers {
        path: path.to_owned(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    };
    // One that cannot be opened is named by its owner.
    if !is_trusted(name.uid()) {
        return Err(of_others(&name));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PolicyFileError::NotAFile { path: path.to_owned() });
    }
    let found = fstat(&file).map_err(|errno| failed(errno.into()))?;
    if !is_trusted(found.st_uid) || others_may_write(&file, &found) {
        return Err(of_others(&metadata));
    }
    if has_other_name(&metadata) {
        return Err(PolicyFileError::OtherName { path: path.to_owned() });
    }
    judge_way(path, &found)?;
    Ok(Some(file))
}

/// Whoever may rename on the way to the policy puts any file of the user's in its place, such as one that was obeyed before. So
/// each folder counts that a name on the way is in, up to `/`, and those behind each link.
fn judge_way(path: &Path, opened: &Stat) -> Result<(), PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let mut fault = Ok(());
    let walked = walk_by(path, |step| {
        if fault.is_ok() {
            fault = judge_step(path, step);
        }
    });
    let walked = walked.map_err(failed)?;
    fault?;
    // The way was opened before it was judged, and once more as it was.
    let same = walked.end.is_some_and(|end| {
        fstat(&end.file).is_ok_and(|end| (end.st_dev, end.st_ino) == (opened.st_dev, opened.st_ino))
    });
    if same { Ok(()) } else { Err(failed(io::Error::other("another file stands there now"))) }
}

/// In a sticky folder a name is renamed by the owner of what it names, and by the folder's owner.
fn judge_step(path: &Path, step: Step<'_>) -> Result<(), PolicyFileError> {
    let failed = |errno: Errno| PolicyFileError::Read { path: path.to_owned(), source: errno.into() };
    let folder = fstat(step.folder).map_err(failed)?;
    let (owner, group, mode) = (folder.st_uid, folder.st_gid, folder.st_mode & 0o7777);
    let is_kept = mode & STICKY != 0 && is_trusted(step.named.st_uid);
    if is_trusted(owner) && (is_kept || !others_may_write(step.folder, &folder)) {
        return Ok(());
    }
    let (path, folder) = (path.to_owned(), step.path.to_owned());
    Err(PolicyFileError::InFolderOfOthers { path, folder, owner, group, mode })
}

/// The user, and root, who may do everything anyway.
pub fn is_trusted(owner: u32) -> bool {
    owner == ROOT || is_own(owner)
}

/// `S_ISVTX` (`inode(7)`).
const STICKY: u32 = 0o1000;

/// Whether others than the owner may write there. The bits of the group say what an access list allows at most.
pub fn others_may_write(file: &impl AsFd, stat: &Stat) -> bool {
    let (others, group) = (stat.st_mode & 0o002 != 0, stat.st_mode & 0o020 != 0);
    others || (group && !(is_private_group(stat.st_gid, stat.st_uid) && has_no_list(file)))
}

/// Whether there surely is no access list. A place (`O_PATH`) has no attributes to ask for, so a folder is opened for that.
fn has_no_list(file: &impl AsFd) -> bool {
    let list = |file: BorrowedFd<'_>| fgetxattr_query(file, "system.posix_acl_access");
    let found = match list(file.as_fd()) {
        Err(Errno::BADF) => openat(file, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|folder| list(folder.as_fd())),
        found => found,
    };
    matches!(found, Ok(0) | Err(Errno::NODATA | Errno::OPNOTSUPP))
}

#[cfg(test)]
#[path = "../../../tests/support/foreign.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    clippy::print_stdout,
    reason = "it is a module of the workspace's test library as well"
)]
mod foreign;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;
    use crate::PolicyFile;

    struct Ground {
        _folder: tempfile::TempDir,
        at: PathBuf,
    }

    impl Ground {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().canonicalize().unwrap();
            fs::create_dir(at.join("p")).unwrap();
            fs::write(at.join("p/tollgate.toml"), "").unwrap();
            Self { _folder: folder, at }
        }

        fn found(&self) -> Result<Option<PolicyFile>, PolicyFileError> {
            PolicyFile::found(&self.at.join("p"), None)
        }
    }

    #[test]
    fn what_others_may_have_written_is_not_obeyed() {
        let ground = Ground::new();
        let path = ground.at.join("p/tollgate.toml");
        for (mode, refused) in [(0o600, false), (0o644, false), (0o646, true), (0o666, true), (0o602, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = ground.found();
            assert_eq!(matches!(found, Err(PolicyFileError::OfOthers { .. })), refused, "{mode:o}: {found:?}");
        }
    }

    /// In which folder others may put another file in the policy's place.
    fn exposed(found: Result<Option<PolicyFile>, PolicyFileError>) -> Option<PathBuf> {
        match found {
            Ok(_) => None,
            Err(PolicyFileError::InFolderOfOthers { folder, .. }) => Some(folder),
            Err(error) => panic!("{error}"),
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_folder_above_a_found_policy_is_its_owners_alone_to_rename_in() {
        let ground = Ground::new();
        for (bits, refused) in [(0o777, true), (0o757, true), (0o1777, false), (0o711, false), (0o700, false)] {
            mode(&ground.at, bits);
            assert_eq!(exposed(ground.found()), refused.then(|| ground.at.clone()), "{bits:o}");
        }
        let stat = fs::metadata(&ground.at).unwrap();
        mode(&ground.at, 0o775);
        assert_eq!(exposed(ground.found()).is_none(), is_private_group(stat.gid(), stat.uid()));
    }

    #[test]
    fn the_folders_behind_each_link_on_the_way_to_a_found_policy_are_judged_too() {
        let ground = Ground::new();
        let open = ground.at.join("open");
        fs::create_dir(&open).unwrap();
        symlink("open", ground.at.join("way")).unwrap();
        fs::write(open.join("tollgate.toml"), "").unwrap();
        let by_a_link = || PolicyFile::found(&ground.at.join("way"), None);
        assert_eq!(exposed(by_a_link()), None);
        mode(&open, 0o777);
        assert_eq!(exposed(by_a_link()), Some(open.clone()));
        mode(&open, 0o755);
        // In a sticky folder a link of another user's can still be exchanged by that user.
        if rustix::process::geteuid().is_root() {
            mode(&ground.at, 0o1777);
            assert_eq!(exposed(by_a_link()), None);
            std::os::unix::fs::lchown(ground.at.join("way"), Some(65534), None).unwrap();
            assert_eq!(exposed(by_a_link()), Some(ground.at.clone()));
        }
    }

    #[test]
    fn an_access_list_lets_others_in_whatever_the_group() {
        let ground = Ground::new();
        let entry = |tag: u16, rights: u16, id: u32| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let no = u32::MAX;
        // Version 2; the owner, a user, the group, the mask, and others (`posix_acl_xattr.h`).
        let list = [entry(1, 7, no), entry(2, 7, 65534), entry(4, 5, no), entry(16, 7, no), entry(32, 5, no)].concat();
        let list = [&2_u32.to_le_bytes()[..], &list].concat();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&ground.at, "system.posix_acl_access", &list, flags).is_err() {
            return foreign::skipped("this file system keeps no access lists");
        }
        assert_eq!(exposed(ground.found()).as_deref(), Some(ground.at.as_path()));
    }

    #[test]
    fn what_is_no_file_is_not_passed_over() {
        let ground = Ground::new();
        let path = ground.at.join("p/tollgate.toml");
        fs::remove_file(&path).unwrap();
        assert!(ground.found().unwrap().is_none());
        fs::create_dir(&path).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::NotAFile { .. })));
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::NotAFile { .. })), "nor waited for");
        fs::remove_file(&path).unwrap();
        for target in ["nowhere", "own.toml"] {
            fs::write(ground.at.join("p/own.toml"), "").unwrap();
            symlink(target, &path).unwrap();
            assert!(matches!(ground.found(), Err(PolicyFileError::Link { .. })), "{target}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_policy_with_another_name_is_not_obeyed_found_or_given() {
        let ground = Ground::new();
        let (path, kept) = (ground.at.join("p/tollgate.toml"), ground.at.join("kept"));
        let given = || PolicyFile::given(Path::new("tollgate.toml"), &ground.at.join("p"));
        fs::hard_link(&path, &kept).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::OtherName { .. })));
        assert!(matches!(given(), Err(PolicyFileError::OtherName { .. })));
        // By a link the user names it all the same, and its other name counts.
        symlink("tollgate.toml", ground.at.join("p/link")).unwrap();
        let by_a_link = || PolicyFile::given(Path::new("link"), &ground.at.join("p"));
        assert!(matches!(by_a_link(), Err(PolicyFileError::OtherName { .. })));
        fs::remove_file(&kept).unwrap();
        assert!(ground.found().is_ok() && given().is_ok() && by_a_link().is_ok());
    }
}
