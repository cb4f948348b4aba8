//! Changes what is installed: one writer at a time, each change whole or not at all. Must never touch what a record refers to, nor what
//! it did not make itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tollgate_audit::Digest;
use tollgate_authority::{files, has_other_name};
use tollgate_config::ToolName;

use super::record::{Installed, IsCurrent, Record};
use super::{
    ARTIFACT, COMPONENT, FindError, LOCK, MANIFEST, OPERATIONS, Registry, UNFINISHED, digest_of, entries, folder_of,
    is_hidden, is_of_before, manifest_name,
};

/// Whoever may change what is installed, until it is dropped.
#[derive(Debug)]
pub struct Writer {
    registry: Registry,
    // Lets go of the lock when it is closed.
    _lock: File,
}

/// What is installed.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its version, by its manifest.
    pub version: &'a str,
    /// The name in its manifest.
    pub declared: &'a str,
    /// The component's bytes.
    pub component: &'a [u8],
    /// The manifest's text.
    pub manifest: &'a str,
    /// As [`Artifact::seal`](tollgate_engine::Artifact::seal) gives it, with the operations.
    pub artifact: &'a [u8],
    /// As [`seal_operations`](tollgate_engine::artifact::seal_operations) gives it.
    pub operations: &'a [u8],
    /// The component's file, as an absolute path.
    pub from: Option<&'a str>,
    /// Now, in seconds since 1970.
    pub installed_s: u64,
}

/// What an installation has changed.
#[derive(Debug, Clone)]
pub struct Done {
    /// What is installed under the name now.
    pub record: Record,
    /// The version that was current, if it is another one.
    pub before: Option<Installed>,
    /// Versions that went, since there were too many.
    pub gone: Vec<Installed>,
}

/// Why nothing is removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The current version is not removed alone.
    #[error(transparent)]
    Current(#[from] IsCurrent),
    /// Its record cannot be used.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Writer {
    /// Waits for the lock, and takes away what a writer has left that was killed.
    pub(super) fn new(registry: Registry) -> io::Result<Self> {
        files::make_folder(&registry.folder)?;
        let mut options = OpenOptions::new();
        let lock = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(registry.folder.join(LOCK))?;
        lock.lock()?;
        let writer = Self { registry, _lock: lock };
        if writer.registry.folder.join(UNFINISHED).try_exists()? {
            writer.sweep()?;
            writer.is_finished();
        }
        Ok(writer)
    }

    /// Installs a version of a tool, and makes it the current one. What is there already of it is looked at, and replaced where it is
    /// another.
    ///
    /// # Errors
    ///
    /// Something cannot be written; then what is installed is as it was, unless the last of it, which brings the change to disk, failed.
    pub fn install(&self, name: &ToolName, new: New<'_>) -> Result<Done, RemoveError> {
        // What cannot be read is what an installation mends: nothing of it is gone on with.
        let old = match self.registry.find(name) {
            Ok(tool) => tool.map(|tool| tool.record),
            Err(FindError::Older { .. } | FindError::NoRecord { .. } | FindError::OtherName { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.begin()?;
        let installed = self.place(new)?;
        let before =
            old.as_ref().map(Record::current).filter(|before| before.component != installed.component).cloned();
        let (record, gone) = Record::with(old, installed);
        self.put(name, &record)?;
        self.remove_folder_of_before(name)?;
        if !gone.is_empty() {
            self.sweep()?;
        }
        self.is_finished();
        // One that was replaced by itself is still there.
        let gone = gone.into_iter().filter(|gone| record.of(gone.component).is_none()).collect();
        Ok(Done { record, before, gone })
    }

    /// Makes another installed version the current one: `None` if it is not installed.
    ///
    /// # Errors
    ///
    /// As for [`Writer::install`].
    pub fn make_current(&self, name: &ToolName, component: Digest) -> Result<Option<Record>, RemoveError> {
        let Some(tool) = self.registry.find(name)? else { return Ok(None) };
        let Some(record) = tool.record.rolled_back(component) else { return Ok(None) };
        if record != tool.record {
            self.begin()?;
            self.put(name, &record)?;
            self.is_finished();
        }
        Ok(Some(record))
    }

    /// Removes a version of a tool, or all of them.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Current`]; as for [`Writer::install`].
    pub fn remove(&self, name: &ToolName, component: Option<Digest>) -> Result<(), RemoveError> {
        let left = match component {
            None => None,
            Some(component) => {
                let Some(tool) = self.registry.find(name)? else { return Ok(()) };
                tool.record.without(component)?
            }
        };
        self.begin()?;
        match left {
            Some(record) => self.put(name, &record)?,
            None => {
                // What a version of before left would be found in its place.
                self.remove_folder_of_before(name)?;
                remove_if_there(&self.registry.record_file(name))?;
                files::sync_folder(&self.registry.folder)?;
            }
        }
        self.sweep()?;
        self.is_finished();
        Ok(())
    }

    /// Puts what was compiled anew in the place of what is stored.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn mend(&self, component: Digest, artifact: &[u8], operations: &[u8]) -> io::Result<()> {
        let folder = folder_of(&self.registry.folder, component);
        has_bytes(&folder, ARTIFACT, artifact)?;
        has_bytes(&folder, OPERATIONS, operations)
    }

    /// Takes away what no record refers to, as long as each can be read.
    ///
    /// # Errors
    ///
    /// A folder cannot be listed, or something not be removed.
    pub fn sweep(&self) -> io::Result<()> {
        let tools = &self.registry.folder;
        for entry in entries(tools)? {
            let (entry, kind) = entry?;
            if is_hidden(&entry) {
                remove_all(&tools.join(entry), kind)?;
            }
        }
        let Some(kept) = self.kept()? else { return Ok(()) };
        let components = self.registry.components();
        for entry in entries(&components)? {
            let (entry, kind) = entry?;
            let path = components.join(&entry);
            match entry.to_str().and_then(digest_of) {
                Some(component) if kind.is_dir() => match kept.get(&component) {
                    Some(manifests) => sweep_component(&path, manifests)?,
                    None => {
                        // Under its name it is whole, or not there.
                        let hidden = files::hidden_name(&components)?;
                        fs::rename(&path, &hidden)?;
                        fs::remove_dir_all(&hidden)?;
                    }
                },
                Some(_) | None if is_hidden(&entry) => remove_all(&path, kind)?,
                // Nothing of ours has such a name.
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// The components that are referred to, each with its manifests; `None` if a record cannot be read.
    fn kept(&self) -> io::Result<Option<BTreeMap<Digest, BTreeSet<Digest>>>> {
        let mut kept: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
        for name in self.registry.names()? {
            match self.registry.find(&name) {
                Ok(tool) => {
                    let versions = tool.iter().flat_map(|tool| tool.record.versions());
                    versions.for_each(|version| {
                        kept.entry(version.component).or_default().insert(version.manifest);
                    });
                }
                Err(FindError::Older { .. }) => {}
                Err(_unread) => return Ok(None),
            }
        }
        Ok(Some(kept))
    }

    /// Whatever is left from here on is swept away by the next writer.
    fn begin(&self) -> io::Result<()> {
        let path = self.registry.folder.join(UNFINISHED);
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
    }

    /// One that stays costs the next writer a look at everything, and nothing else.
    fn is_finished(&self) {
        fs::remove_file(self.registry.folder.join(UNFINISHED)).ok();
    }

    fn place(&self, new: New<'_>) -> io::Result<Installed> {
        let New { version, declared, component, manifest, artifact, operations, from, installed_s } = new;
        let (digest, manifest_digest) = (Digest::of(component), Digest::of(manifest.as_bytes()));
        let (components, folder) = (self.registry.components(), folder_of(&self.registry.folder, digest));
        let manifest_name = manifest_name(manifest_digest);
        let contents = [
            (COMPONENT, component),
            (ARTIFACT, artifact),
            (OPERATIONS, operations),
            (manifest_name.as_str(), manifest.as_bytes()),
        ];
        if folder.is_dir() {
            contents.iter().try_for_each(|(name, bytes)| has_bytes(&folder, name, bytes))?;
        } else {
            if !components.is_dir() {
                files::make_folder(&components)?;
                files::sync_folder(&self.registry.folder)?;
            }
            let hidden = files::hidden_name(&components)?;
            files::make_folder(&hidden)?;
            contents.iter().try_for_each(|(name, bytes)| files::write_new(&hidden.join(name), bytes))?;
            files::sync_folder(&hidden)?;
            fs::rename(&hidden, &folder)?;
            files::sync_folder(&components)?;
        }
        Ok(Installed {
            version: version.to_owned(),
            declared: declared.to_owned(),
            component: digest,
            bytes: component.len() as u64,
            manifest: manifest_digest,
            from: from.map(str::to_owned),
            installed_s,
        })
    }

    /// The one step by which a change is made.
    fn put(&self, name: &ToolName, record: &Record) -> io::Result<()> {
        let path = self.registry.record_file(name);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        files::write(&self.registry.folder, name, &record.to_text())
    }

    fn remove_folder_of_before(&self, name: &ToolName) -> io::Result<()> {
        let folder = self.registry.folder_of_before(name);
        if !is_of_before(&folder) {
            return Ok(());
        }
        let hidden = files::hidden_name(&self.registry.folder)?;
        fs::rename(&folder, &hidden)?;
        files::sync_folder(&self.registry.folder)?;
        fs::remove_dir_all(&hidden)
    }
}

/// Writes a file of a component unless it is there with these bytes, under this name alone.
fn has_bytes(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    let is_there = || -> io::Result<bool> {
        let file = files::open(&path)?;
        let metadata = file.metadata()?;
        if metadata.len() != bytes.len() as u64 || has_other_name(&metadata) {
            return Ok(false);
        }
        Ok(files::read(&path, bytes.len() as u64)? == bytes)
    };
    if is_there().unwrap_or(false) { Ok(()) } else { files::write(folder, name, bytes) }
}

/// Takes away what is left of writers that were killed, and manifests that no record names.
fn sweep_component(folder: &Path, manifests: &BTreeSet<Digest>) -> io::Result<()> {
    for entry in entries(folder)? {
        let (entry, kind) = entry?;
        let manifest = entry.to_str().and_then(|name| digest_of(name.strip_suffix(MANIFEST)?));
        if is_hidden(&entry) || manifest.is_some_and(|manifest| !manifests.contains(&manifest)) {
            remove_all(&folder.join(entry), kind)?;
        }
    }
    Ok(())
}

fn remove_all(path: &PathBuf, kind: fs::FileType) -> io::Result<()> {
    if kind.is_dir() { fs::remove_dir_all(path) } else { remove_if_there(path) }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
