//! The store of what the operator accepted: found policies that reach beyond their own folder, by their text and by where the
//! shown lines led; and folders inside others that tools may change, by device and inode. It also remembers in which folders
//! tools could make links, under any policy. The store is a folder with a file for each.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tollgate_audit::Digest;
use tollgate_capability::FileId;

use super::{has_other_name, is_own};
use crate::cause::{Place, advice};
use crate::files;

/// The store, in its folder.
#[derive(Debug, Clone)]
pub struct TrustStore {
    folder: PathBuf,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Others may have written it, or may write it.
    #[error("`{}` can be changed by others (its mode is {mode:03o}, its owner {owner})", path.display())]
    Exposed {
        /// The folder or file.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
        /// The owner's user id.
        owner: u32,
    },
    /// It is a link, and others may change where it leads.
    #[error("`{}` is a symbolic link, and what was accepted is kept in files and a folder of their own", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It has another name.
    #[error("`{}` has another name (a hard link), by which somebody could change it", path.display())]
    OtherName {
        /// The file.
        path: PathBuf,
    },
    /// The file was not written by this program.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("`{}` cannot be used", path.display())]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl TrustError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Link { .. } => {
                "put the folder or file itself in the link's place; to keep all elsewhere, set TOLLGATE_HOME".to_owned()
            }
            Self::OtherName { path } => format!(
                "look at it; then make it a file of its own: `cp {path} {path}.new && mv {path}.new {path}`",
                path = path.display()
            ),
            Self::Exposed { owner, .. } if !is_own(*owner) => {
                "run this as that user; or, to accept policies as this one, set TOLLGATE_HOME to a folder of its own"
                    .to_owned()
            }
            Self::Exposed { path, .. } => format!(
                "look what others wrote there; then make it yours alone (`chmod go-w {}`), or remove it and accept the policies \
                 anew with `tollgate trust`",
                path.display()
            ),
            Self::Damaged { .. } => {
                "look who wrote it; then remove it, and accept the policy or the folder anew with `tollgate trust`"
                    .to_owned()
            }
            Self::Unusable { source, .. } => advice(source, Place::TRUST),
        }
    }
}

/// A line of a policy that reaches farther than the policy's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptedLine {
    /// The keys that lead to the line.
    pub(super) keys: Vec<String>,
    /// The real path of the folder that the line means.
    pub(super) leads_to: Option<PathBuf>,
}

/// What is kept of one acceptance, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Stored {
    /// A policy with this text, in this file, and its lines that reach farther.
    Policy { path: String, text: Digest, lines: Vec<AcceptedLine> },
    /// A folder.
    Folder { path: String, device: u64, inode: u64 },
    /// A folder in which a tool was granted `create`. The kernel may give a removed folder's inode to another one: the time of
    /// their making tells them apart, if the file system has it.
    Created { path: String, device: u64, inode: u64, born_ns: Option<u64> },
}

/// What is known of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Nothing.
    New,
    /// It is bound to this folder.
    To(FileId),
}

impl TrustStore {
    /// The store in `folder`, which is made when it first takes something.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The lines with which the policy in the file `path` was accepted; `None` if it never was with exactly this text.
    pub(super) fn accepted(&self, path: &Path, text: &str) -> Result<Option<Vec<AcceptedLine>>, TrustError> {
        let name = policy_name(path);
        match self.read(&name)? {
            None => Ok(None),
            Some(Stored::Policy { text: accepted, lines, .. }) => {
                Ok((accepted == Digest::of(text.as_bytes())).then_some(lines))
            }
            Some(Stored::Folder { .. } | Stored::Created { .. }) => {
                Err(TrustError::Damaged { path: self.folder.join(name) })
            }
        }
    }

    /// Accepts the policy in the file `path` with this text, and forgets earlier texts.
    pub(super) fn accept(&self, path: &Path, text: &str, lines: Vec<AcceptedLine>) -> Result<(), TrustError> {
        let (shown, text) = (path.to_string_lossy().into_owned(), Digest::of(text.as_bytes()));
        self.write(&policy_name(path), &Stored::Policy { path: shown, text, lines })
    }

    /// Takes back the acceptance of the policy in the file `path`, whatever its text; returns whether it was accepted.
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub fn forget(&self, path: &Path) -> Result<bool, TrustError> {
        let file = self.folder.join(policy_name(path));
        match fs::remove_file(&file) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(TrustError::Unusable { path: file, source }),
        }
    }

    /// The folder that `path` was bound to.
    pub(super) fn bound(&self, path: &Path) -> Result<Bound, TrustError> {
        let name = folder_name(path);
        match self.read(&name)? {
            None => Ok(Bound::New),
            Some(Stored::Folder { device, inode, .. }) => Ok(Bound::To(FileId { device, inode })),
            Some(Stored::Policy { .. } | Stored::Created { .. }) => {
                Err(TrustError::Damaged { path: self.folder.join(name) })
            }
        }
    }

    /// Binds `path` to this folder, whatever it was bound to before.
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub fn bind(&self, path: &Path, to: FileId) -> Result<(), TrustError> {
        let (FileId { device, inode }, shown) = (to, path.to_string_lossy().into_owned());
        self.write(&folder_name(path), &Stored::Folder { path: shown, device, inode })
    }

    /// The path of this folder when a tool could first make links in it; `None` if no tool ever could. `born_ns` is when it was
    /// made, if known.
    pub(super) fn created_in(
        &self,
        folder: FileId,
        born_ns: impl FnOnce() -> Option<u64>,
    ) -> Result<Option<PathBuf>, TrustError> {
        let name = created_name(folder);
        match self.read(&name)? {
            None => Ok(None),
            Some(Stored::Created { path, born_ns: kept, .. }) => {
                let is_another = kept.zip(born_ns()).is_some_and(|(kept, own)| kept != own);
                Ok((!is_another).then(|| PathBuf::from(path)))
            }
            Some(Stored::Policy { .. } | Stored::Folder { .. }) => {
                Err(TrustError::Damaged { path: self.folder.join(name) })
            }
        }
    }

    /// Remembers for good that a tool can make links in this folder: the links may stay after the right is gone.
    pub(super) fn creates_in(&self, folder: FileId, path: &Path, born_ns: Option<u64>) -> Result<(), TrustError> {
        if self.created_in(folder, || born_ns)?.is_some() {
            return Ok(());
        }
        let (FileId { device, inode }, path) = (folder, path.to_string_lossy().into_owned());
        self.write(&created_name(folder), &Stored::Created { path, device, inode, born_ns })
    }

    fn read(&self, name: &str) -> Result<Option<Stored>, TrustError> {
        if !self.is_ours(&self.folder)? {
            return Ok(None);
        }
        let path = self.folder.join(name);
        if !self.is_ours(&path)? {
            return Ok(None);
        }
        let bytes =
            files::read(&path, KEPT_BYTES_MAX).map_err(|source| TrustError::Unusable { path: path.clone(), source })?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_not_ours| TrustError::Damaged { path })
    }

    /// Whether something is there. It must be this user's, and only this user may be able to change it.
    fn is_ours(&self, path: &Path) -> Result<bool, TrustError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(false),
            // This user accepted nothing in a place that this user cannot look at.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(false),
            Err(source) => return Err(TrustError::Unusable { path: path.to_owned(), source }),
        };
        if metadata.is_symlink() {
            return Err(TrustError::Link { path: path.to_owned() });
        }
        let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
        if mode & 0o022 != 0 || !is_own(owner) {
            return Err(TrustError::Exposed { path: path.to_owned(), mode, owner });
        }
        if !(metadata.is_dir() || metadata.is_file()) {
            return Err(TrustError::Damaged { path: path.to_owned() });
        }
        if has_other_name(&metadata) {
            return Err(TrustError::OtherName { path: path.to_owned() });
        }
        Ok(true)
    }

    fn write(&self, name: &str, kept: &Stored) -> Result<(), TrustError> {
        let failed = |source| TrustError::Unusable { path: self.folder.clone(), source };
        // No folder is made behind a link.
        if !self.is_ours(&self.folder)? {
            files::make_folder(&self.folder).map_err(failed)?;
            self.is_ours(&self.folder)?;
        }
        let text = serde_json::to_vec(kept).map_err(|error| failed(error.into()))?;
        if text.len() as u64 > KEPT_BYTES_MAX {
            return Err(failed(ErrorKind::FileTooLarge.into()));
        }
        files::write(&self.folder, name, &text).map_err(failed)
    }
}

/// The file that stands for a policy's path.
fn policy_name(path: &Path) -> String {
    hashed("policy", path)
}

fn folder_name(path: &Path) -> String {
    // Without doubled slashes and single dots, which mean nothing.
    hashed("folder", &path.components().collect::<PathBuf>())
}

fn created_name(folder: FileId) -> String {
    format!("created-{}-{}", folder.device, folder.inode)
}

fn hashed(kind: &str, path: &Path) -> String {
    let digest = Digest::of(path.as_os_str().as_bytes()).to_string();
    format!("{kind}-{}", digest.trim_start_matches("sha256:"))
}

/// Most bytes of one file: the lines of the largest policy, with the paths that they lead to.
const KEPT_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_policy_is_accepted_by_its_path_and_its_text() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("deep/trust"));
        let (one, other) = (Path::new("/p/tollgate.toml"), Path::new("/q/tollgate.toml"));
        let lines = || vec![AcceptedLine { keys: vec!["tools".to_owned()], leads_to: Some(PathBuf::from("/x")) }];
        let accepted = |path, text| store.accepted(path, text).unwrap();
        assert_eq!(accepted(one, "a"), None);
        store.accept(one, "a", lines()).unwrap();
        assert_eq!(accepted(one, "a"), Some(lines()));
        assert_eq!((accepted(one, "b"), accepted(other, "a")), (None, None));
        store.accept(one, "b", Vec::new()).unwrap();
        assert_eq!((accepted(one, "b"), accepted(one, "a")), (Some(Vec::new()), None), "one text at a time");
        assert!(store.forget(one).unwrap() && !store.forget(one).unwrap());
        assert_eq!(accepted(one, "b"), None);
    }

    #[test]
    fn what_has_another_name_or_is_a_link_accepts_nothing() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust"));
        let path = Path::new("/p/tollgate.toml");
        store.accept(path, "a", Vec::new()).unwrap();
        let (file, kept) = (store.folder().join(policy_name(path)), place.path().join("kept"));
        fs::hard_link(&file, &kept).unwrap();
        assert!(matches!(store.accepted(path, "a"), Err(TrustError::OtherName { path }) if path == file));
        fs::remove_file(&file).unwrap();
        symlink(&kept, &file).unwrap();
        assert!(matches!(store.accepted(path, "a"), Err(TrustError::Link { path }) if path == file));
        fs::remove_file(&file).unwrap();
        fs::rename(&kept, &file).unwrap();
        assert_eq!(store.accepted(path, "a").unwrap(), Some(Vec::new()));
        symlink("trust", place.path().join("link")).unwrap();
        let by_a_link = TrustStore::new(place.path().join("link"));
        assert!(matches!(by_a_link.accepted(path, "a"), Err(TrustError::Link { .. })));
        assert!(matches!(by_a_link.accept(path, "a", Vec::new()), Err(TrustError::Link { .. })));
        fs::rename(place.path().join("trust"), place.path().join("away")).unwrap();
        assert!(matches!(by_a_link.accept(path, "a", Vec::new()), Err(TrustError::Link { .. })));
        assert!(!place.path().join("trust").exists());
    }

    #[test]
    fn a_folder_stays_bound_until_it_is_bound_anew() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust"));
        let (path, id) = (Path::new("/w/docs"), FileId { device: 1, inode: 2 });
        assert_eq!(store.bound(path).unwrap(), Bound::New);
        store.bind(path, id).unwrap();
        assert_eq!(store.bound(path).unwrap(), Bound::To(id));
        store.bind(path, FileId { inode: 3, ..id }).unwrap();
        assert_eq!(store.bound(path).unwrap(), Bound::To(FileId { inode: 3, ..id }));
    }

    #[test]
    fn a_folder_in_which_a_tool_could_make_links_is_remembered_by_what_it_is() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust"));
        let id = FileId { device: 1, inode: 2 };
        let created_in = |id, born: Option<u64>| store.created_in(id, || born).unwrap();
        assert_eq!(created_in(id, Some(5)), None);
        store.creates_in(id, Path::new("/w"), Some(5)).unwrap();
        store.creates_in(id, Path::new("/renamed"), Some(5)).unwrap();
        assert_eq!(created_in(id, Some(5)), Some(PathBuf::from("/w")));
        assert_eq!(created_in(FileId { device: 2, ..id }, Some(5)), None);
        // Its number was given to another folder; where that cannot be told it is taken for the same.
        assert_eq!(created_in(id, Some(6)), None);
        assert_eq!(created_in(id, None), Some(PathBuf::from("/w")));
        store.creates_in(id, Path::new("/new"), Some(6)).unwrap();
        assert_eq!(created_in(id, Some(6)), Some(PathBuf::from("/new")));
    }

    #[test]
    fn what_others_may_have_written_accepts_nothing() {
        let place = tempfile::tempdir().unwrap();
        let store = TrustStore::new(place.path().join("trust"));
        let path = Path::new("/p/tollgate.toml");
        store.accept(path, "a", Vec::new()).unwrap();
        let file = store.folder().join(policy_name(path));
        for (exposed, mode) in [(&file, 0o620), (&file, 0o602), (&store.folder().to_owned(), 0o770)] {
            fs::set_permissions(exposed, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(store.accepted(path, "a"), Err(TrustError::Exposed { mode: found, .. }) if found == mode));
            fs::set_permissions(exposed, fs::Permissions::from_mode(if exposed == &file { 0o600 } else { 0o700 }))
                .unwrap();
        }
        fs::write(&file, "{}").unwrap();
        assert!(matches!(store.accepted(path, "a"), Err(TrustError::Damaged { .. })));
    }
}
