//! Judges whether a policy that is found in a folder is the user's own: its file, and each folder on the way to it. Must never
//! follow a link in the policy's place.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fgetxattr_query, fstat, open, openat};
use rustix::io::Errno;

use super::policy_file_error::PolicyFileError;
use super::private_group::is_private_group;
use super::walk::{End, Step, absolute, walk_by};
use super::{ROOT, file_id, has_other_name, is_own};

/// Opens the policy that is found, if it is the user's own or root's and has no other name.
pub(super) fn open_found(path: &Path) -> Result<Option<File>, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let name = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed)?,
    };
    // Everything on a link's way decides where it leads, and a tool may have made what it leads to.
    if name.is_symlink() {
        return Err(PolicyFileError::Link { path: path.to_owned() });
    }
    let of_others = |metadata: &fs::Metadata| PolicyFileError::OfOthers {
        path: path.to_owned(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    };
    // Before it is opened: the message on a file that cannot be opened names its owner.
    if !is_trusted(name.uid()) {
        return Err(of_others(&name));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PolicyFileError::NotAFile { path: path.to_owned() });
    }
    if exposed_to(&file).map_err(failed)?.is_some() {
        return Err(of_others(&metadata));
    }
    if has_other_name(&metadata) {
        return Err(PolicyFileError::OtherName { path: path.to_owned() });
    }
    judge_way(path, &file)?;
    Ok(Some(file))
}

/// Judges the way to the policy. A user who may rename a name on it can put any file of this user's in the policy's place, such
/// as one that was obeyed before. So each folder that holds a name on the way counts, up to `/`, and those behind each link too.
fn judge_way(path: &Path, opened: &File) -> Result<(), PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let (exposed, end) = way(path).map_err(failed)?;
    if let Some(Exposed { folder, owner, group, mode }) = exposed {
        return Err(PolicyFileError::InFolderOfOthers { path: path.to_owned(), folder, owner, group, mode });
    }
    // The way was opened before it was judged, and once more as it was.
    let id = file_id(opened).map_err(|errno| failed(errno.into()))?;
    let same = end.is_some_and(|end| file_id(&end.file).is_ok_and(|end| end == id));
    if same { Ok(()) } else { Err(failed(io::Error::other("another file stands there now"))) }
}

/// The folder in which others than this user, and root, may put something else in the place of `folder` or of what stands in it.
/// None where nobody else may.
///
/// # Errors
///
/// A system call fails, or no folder stands there.
pub fn folder_of_others(folder: &Path) -> io::Result<Option<PathBuf>> {
    let (exposed, end) = way(&absolute(folder)?)?;
    let end = end.filter(|end| end.kind == FileType::Directory).ok_or(ErrorKind::NotADirectory)?;
    let own = exposed_to(&end.file)?.map(|_who| folder.to_owned());
    Ok(exposed.map(|exposed| exposed.folder).or(own))
}

/// A folder in which others may rename a name.
struct Exposed {
    folder: PathBuf,
    owner: u32,
    group: u32,
    mode: u32,
}

/// The first such folder on the way to `path`, and what stands at its end.
fn way(path: &Path) -> io::Result<(Option<Exposed>, Option<End>)> {
    let mut found = Ok(None);
    let walked = walk_by(path, |step| {
        if matches!(found, Ok(None)) {
            found = exposed(step);
        }
    })?;
    Ok((found?, walked.end))
}

/// In a sticky folder a name is renamed by the owner of what it names, and by the folder's owner.
fn exposed(step: Step<'_>) -> Result<Option<Exposed>, Errno> {
    let folder = fstat(step.folder)?;
    let (owner, group, mode) = (folder.st_uid, folder.st_gid, folder.st_mode & 0o7777);
    let is_kept = mode & STICKY != 0 && is_trusted(step.named.st_uid);
    let is_ours = is_trusted(owner) && (is_kept || !others_may_write(step.folder, &folder));
    Ok((!is_ours).then(|| Exposed { folder: step.path.to_owned(), owner, group, mode }))
}

/// Who else than this user, and root, may have written an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Another user, whose file it is.
    Owner,
    /// Those whom its mode or an access list lets write it.
    Writers,
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "it is another user's",
            Self::Writers => "others may write it",
        })
    }
}

/// Who else than this user, and root, may have written an open file or folder; none where nobody else may.
///
/// # Errors
///
/// `fstat(2)`.
pub fn exposed_to(file: &impl AsFd) -> io::Result<Option<Others>> {
    let stat = fstat(file)?;
    let writers = || others_may_write(file, &stat).then_some(Others::Writers);
    Ok(if is_trusted(stat.st_uid) { writers() } else { Some(Others::Owner) })
}

/// Whether an owner is this user, or root, who may do everything anyway.
fn is_trusted(owner: u32) -> bool {
    owner == ROOT || is_own(owner)
}

/// `S_ISVTX` (`inode(7)`).
const STICKY: u32 = 0o1000;

/// Whether others than the owner may write there. If there is an access list, the group's bits are the most that it allows.
fn others_may_write(file: &impl AsFd, stat: &Stat) -> bool {
    let (others, group) = (stat.st_mode & 0o002 != 0, stat.st_mode & 0o020 != 0);
    others || (group && !(is_private_group(stat.st_gid, stat.st_uid) && has_no_list(file)))
}

/// Whether there surely is no access list. `O_PATH` descriptors cannot be asked for attributes, so a folder is opened for that.
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
            return tollgate_testing::foreign::skipped("this file system keeps no access lists");
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
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
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
