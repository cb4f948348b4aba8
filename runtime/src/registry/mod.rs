//! Installed tools, as whoever reads them meets them. Readers take no lock and change nothing; [`Writer`] does.
//!
//! ```text
//! tools/NAME.json                         the record of a tool: its versions, which is current (record.rs)
//! tools/components.sha256/HEX/            a component, once, whichever tools have it
//!                         component.wasm
//!                         component.artifact   compiled code, under the HMAC of the local key
//!                         operations           what it can be called for, under an HMAC of its own
//!                         HEX.toml             a manifest with which it is installed, by its digest
//! tools/.lock                             held by whoever writes
//! tools/.unfinished                       is there while a writer is at work, or was killed
//! ```
//!
//! A record is replaced by one rename of a synced file, and all that it needs is on disk before: that rename is the whole effect of an
//! installation, an update, a rollback or a removal. Must never make a path of anything but a [`ToolName`] or a digest.

mod damage;
mod record;
mod selector;
mod writer;

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tollgate_audit::Digest;
use tollgate_authority::files::{self, HIDDEN};
use tollgate_authority::has_other_name;
use tollgate_config::ToolName;
use tollgate_engine::Engine;
use tollgate_engine::artifact::{
    Artifact, ArtifactError, ArtifactKey, EngineHash, START_BYTES, STORED_BYTES_MAX, TOLD_BYTES_MAX, open_operations,
};
use tollgate_engine::operations::OperationTexts;

pub use self::damage::{Damage, Foreign};
use self::record::{DIGEST_PREFIX, RECORD_BYTES_MAX, hex_of};
pub use self::record::{Installed, IsCurrent, Record, RecordError, VERSIONS_MAX, short};
pub use self::selector::{Choice, ChoiceError, DIGITS_MIN, Selector, SelectorError};
pub use self::writer::{Done, New, RemoveError, Writer};

/// Largest component that is read: 256 MiB, several times what a Python interpreter takes.
pub const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// The folder of all installed tools.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

/// A version of a tool that is installed, as its record has it.
#[derive(Debug, Clone)]
pub struct InstalledTool {
    /// The name by which it is called.
    pub name: ToolName,
    /// All versions of the tool.
    pub record: Record,
    /// This version.
    pub installed: Installed,
    stamp: Stamp,
    tools: PathBuf,
}

/// Tells a record from the one before it: it is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Why no version of a tool is found under a name that is taken.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Its record cannot be read.
    #[error("its record `{}` cannot be read", path.display())]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its record is none.
    #[error("its record `{}` cannot be used: {source}", path.display())]
    NoRecord {
        /// The record.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// Its record has another name (a hard link), by which it could be changed.
    #[error("its record `{}` has another name (a hard link), by which somebody could change it", path.display())]
    OtherName {
        /// The record.
        path: PathBuf,
    },
    /// Something else than a file has the name of its record: a folder, or a link that leads nowhere.
    #[error("`{}` has the name of its record, and is no file", path.display())]
    NoFile {
        /// What it is.
        path: PathBuf,
    },
    /// It lies where a version of before put it.
    #[error("it was installed by a version of Tollgate that kept its tools otherwise")]
    Older {
        /// Its folder.
        folder: PathBuf,
    },
    /// No version of it is the one that is asked for.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

/// Why an artifact of an installed tool is not used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// It does not verify, or belongs to something else.
    #[error(transparent)]
    Refused(#[from] ArtifactError),
    /// Its file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    /// It is older than the record of operations.
    #[error("it does not say which operations the component has")]
    Untold,
    /// Another list of operations is stored beside it.
    #[error("it says other operations than those that are stored beside it")]
    OtherOperations,
}

impl Registry {
    /// The tools that are installed below `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Their folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The current version of a tool, if one is installed under the name.
    ///
    /// # Errors
    ///
    /// [`FindError`], but for [`FindError::Choice`].
    pub fn find(&self, name: &ToolName) -> Result<Option<InstalledTool>, FindError> {
        self.select(&Selector { name: name.clone(), version: None })
    }

    /// The version of a tool that is meant, if one is installed under the name.
    ///
    /// # Errors
    ///
    /// [`FindError`].
    pub fn select(&self, selector: &Selector) -> Result<Option<InstalledTool>, FindError> {
        let name = selector.name.clone();
        let path = self.record_file(&name);
        let unreadable = |source| FindError::Unreadable { path: path.clone(), source };
        let file = match files::open(&path) {
            Ok(file) => file,
            Err(error) => return self.without_file(&name, path, error),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if has_other_name(&metadata) {
            return Err(FindError::OtherName { path });
        }
        // So that one read is enough, and one more at its end.
        let length = usize::try_from(metadata.len().min(RECORD_BYTES_MAX)).unwrap_or_default();
        let mut text = Vec::with_capacity(length + 1);
        file.take(RECORD_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > RECORD_BYTES_MAX {
            return Err(unreadable(ErrorKind::FileTooLarge.into()));
        }
        let record = Record::parse(&text).map_err(|source| FindError::NoRecord { path: path.clone(), source })?;
        let installed = selector.choose(&record)?.clone();
        Ok(Some(InstalledTool { name, installed, record, stamp: Stamp::of(&metadata), tools: self.folder.clone() }))
    }

    /// What is installed under a name whose record cannot be opened.
    fn without_file(
        &self,
        name: &ToolName,
        path: PathBuf,
        error: io::Error,
    ) -> Result<Option<InstalledTool>, FindError> {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let is_no_file = if is_missing { is_link(&path) } else { is_no_file(&path) };
        match is_missing {
            _ if is_no_file => Err(FindError::NoFile { path }),
            true => self.of_before(name),
            false => Err(FindError::Unreadable { path, source: error }),
        }
    }

    /// What a version of before installed, which kept each tool in a folder of its name.
    fn of_before(&self, name: &ToolName) -> Result<Option<InstalledTool>, FindError> {
        let folder = self.folder_of_before(name);
        if is_of_before(&folder) { Err(FindError::Older { folder }) } else { Ok(None) }
    }

    /// What tells whether the record of a tool was replaced; `None` if it has none. One system call.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    pub fn stamp(&self, name: &ToolName) -> io::Result<Option<Stamp>> {
        match fs::metadata(self.record_file(name)) {
            Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of all tools, in order; also of those whose record is damaged or no file, or that a version of before installed. No
    /// record is read.
    ///
    /// # Errors
    ///
    /// The folder is there and cannot be listed.
    pub fn names(&self) -> io::Result<Vec<ToolName>> {
        let mut names = Vec::new();
        for entry in entries(&self.folder)? {
            let (entry, kind) = entry?;
            let Some(text) = entry.to_str() else { continue };
            let of_record: Option<ToolName> = text.strip_suffix(RECORD).and_then(|name| name.parse().ok());
            let is_of_before = |name: &ToolName| kind.is_dir() && is_of_before(&self.folder_of_before(name));
            names.extend(of_record.or_else(|| text.parse().ok().filter(is_of_before)));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The artifact that is stored of a component, whichever tool has it, if it verifies, fits `engine`, and says the operations that
    /// are stored.
    ///
    /// # Errors
    ///
    /// [`StoredError`].
    pub fn artifact_of(&self, component: Digest, key: &ArtifactKey, engine: &Engine) -> Result<Artifact, StoredError> {
        artifact_in(&folder_of(&self.folder, component), component, key, engine)
    }

    /// Waits until nobody else writes here, and takes the place of who does.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or locked.
    pub fn write(&self) -> io::Result<Writer> {
        Writer::new(self.clone())
    }

    /// Where the record of a tool is.
    #[must_use]
    pub fn record_file(&self, name: &ToolName) -> PathBuf {
        self.folder.join(format!("{name}{RECORD}"))
    }

    /// The folder of a tool that a version of before installed.
    #[must_use]
    pub fn folder_of_before(&self, name: &ToolName) -> PathBuf {
        self.folder.join(name.as_str())
    }

    /// Where the files of a component are, whichever tools have it.
    #[must_use]
    pub fn component_folder(&self, component: Digest) -> PathBuf {
        folder_of(&self.folder, component)
    }

    fn components(&self) -> PathBuf {
        self.folder.join(COMPONENTS)
    }
}

impl InstalledTool {
    /// The folder that holds the files below, but for the record.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        folder_of(&self.tools, self.installed.component)
    }

    /// The file of the component.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.folder().join(COMPONENT)
    }

    /// The file of the manifest.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.folder().join(manifest_name(self.installed.manifest))
    }

    /// The file of the compiled code.
    #[must_use]
    pub fn artifact_file(&self) -> PathBuf {
        self.folder().join(ARTIFACT)
    }

    /// The file of what it can be called for.
    #[must_use]
    pub fn operations_file(&self) -> PathBuf {
        self.folder().join(OPERATIONS)
    }

    /// Each installed version of the tool.
    pub fn versions(&self) -> impl Iterator<Item = Self> {
        self.record.versions().iter().map(|installed| Self { installed: installed.clone(), ..self.clone() })
    }

    /// What tells whether its record was replaced since.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether it is the version that is called by the name alone.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.record.current().component == self.installed.component
    }

    /// The artifact, as [`Registry::artifact_of`] gives it.
    ///
    /// # Errors
    ///
    /// [`StoredError`].
    pub fn artifact(&self, key: &ArtifactKey, engine: &Engine) -> Result<Artifact, StoredError> {
        artifact_in(&self.folder(), self.installed.component, key, engine)
    }

    /// Whether the artifact was compiled for this engine, by its start alone: [`InstalledTool::artifact`] may refuse it all the same.
    ///
    /// # Errors
    ///
    /// [`StoredError`], but for [`StoredError::OtherOperations`].
    pub fn fits(&self, engine: EngineHash) -> Result<(), StoredError> {
        let file = files::open(&self.artifact_file())?;
        let length = file.metadata()?.len();
        let mut start = Vec::with_capacity(START_BYTES);
        file.take(START_BYTES as u64).read_to_end(&mut start)?;
        let is_told = Artifact::begins_as(&start, length, self.installed.component, engine)?;
        if is_told { Ok(()) } else { Err(StoredError::Untold) }
    }

    /// What it can be called for, without reading its code.
    ///
    /// # Errors
    ///
    /// It cannot be read, does not verify, or belongs to another component.
    pub fn operations(&self, key: &ArtifactKey) -> Result<OperationTexts, StoredError> {
        operations_in(&self.folder(), self.installed.component, key)
    }

    /// The first of its files that has another name (a hard link), by which it could be changed. They were made with one name each.
    ///
    /// # Errors
    ///
    /// A file cannot be looked at.
    pub fn with_other_name(&self) -> io::Result<Option<PathBuf>> {
        for path in [self.component(), self.manifest(), self.artifact_file(), self.operations_file()] {
            match fs::metadata(&path) {
                Ok(metadata) if has_other_name(&metadata) => return Ok(Some(path)),
                // A missing file is an error when it is read.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        let (device, inode, bytes) = (found.dev(), found.ino(), found.size());
        Self { device, inode, bytes, changed: (found.ctime(), found.ctime_nsec()) }
    }
}

fn artifact_in(folder: &Path, component: Digest, key: &ArtifactKey, engine: &Engine) -> Result<Artifact, StoredError> {
    let stored = files::read(&folder.join(ARTIFACT), STORED_BYTES_MAX)?;
    let artifact = Artifact::open(&stored, key, component, engine)?;
    match artifact.operations() {
        None => Err(StoredError::Untold),
        Some(operations) if *operations != operations_in(folder, component, key)? => Err(StoredError::OtherOperations),
        Some(_same) => Ok(artifact),
    }
}

fn operations_in(folder: &Path, component: Digest, key: &ArtifactKey) -> Result<OperationTexts, StoredError> {
    let stored = files::read(&folder.join(OPERATIONS), TOLD_BYTES_MAX)?;
    Ok(open_operations(&stored, key, component)?)
}

/// Names and kinds of what is in a folder; nothing, if that is not there.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<(OsString, fs::FileType)>>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten().map(|entry| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?))
    }))
}

/// Where a component is.
fn folder_of(tools: &Path, component: Digest) -> PathBuf {
    tools.join(COMPONENTS).join(hex_of(component))
}

/// The digest of these digits.
fn digest_of(hex: &str) -> Option<Digest> {
    format!("{DIGEST_PREFIX}{hex}").parse().ok()
}

/// Whether something is there that is no file, nor a link to one.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink())
}

/// Whether a name is that of what a writer has not finished.
fn is_hidden(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(HIDDEN))
}

/// The name of a manifest beside its component.
fn manifest_name(manifest: Digest) -> String {
    format!("{}{MANIFEST}", hex_of(manifest))
}

/// What is behind a tool's name in that of its record. No tool's name has a dot.
const RECORD: &str = ".json";
/// The folder of components.
const COMPONENTS: &str = "components.sha256";
const COMPONENT: &str = "component.wasm";
const ARTIFACT: &str = "component.artifact";
const OPERATIONS: &str = "operations";
/// What is behind a manifest's digest in its name.
const MANIFEST: &str = ".toml";
// No tool's name has a dot, so that no folder of a version of before is in the way of these.
const LOCK: &str = ".lock";
const UNFINISHED: &str = ".unfinished";
/// The manifest of a tool that a version of before installed.
const MANIFEST_BEFORE: &str = "tool.toml";

/// Whether a folder is that of a tool that a version of before installed: a folder without any of its files is none of ours.
fn is_of_before(folder: &Path) -> bool {
    files_of_before(folder).iter().any(|path| path.exists())
}

/// The component, the manifest and the artifact of a tool that a version of before installed in `folder`.
#[must_use]
pub fn files_of_before(folder: &Path) -> [PathBuf; 3] {
    [COMPONENT, MANIFEST_BEFORE, ARTIFACT].map(|name| folder.join(name))
}

#[cfg(test)]
mod tests;
