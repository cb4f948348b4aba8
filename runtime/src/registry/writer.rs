//! Changes what is installed: one writer at a time, each change whole or not at all. Must never touch what a record refers to, nor what
//! it did not make itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tollgate_audit::Digest;
use tollgate_authority::{files, has_other_name};
use tollgate_config::ToolName;

use super::record::{Installed, IsCurrent, Record, RecordError};
use super::{
    ARTIFACT, COMPONENT, FindError, LOCK, MANIFEST, OPERATIONS, Registry, UNFINISHED, digest_of, entries, folder_of,
    is_hidden, is_link, is_of_before, manifest_name,
};

/// Whoever may change what is installed, until it is dropped.
#[derive(Debug)]
pub struct Writer {
    registry: Registry,
    // What an earlier one left could not be taken away: the mark of that stays.
    is_behind: bool,
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
    /// Why something that nothing refers to any more is still there. Every later writer tries again to take it away.
    pub left: Option<String>,
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
        let path = registry.folder.join(LOCK);
        let lock = unless_in_the_way(&path, lock.open(&path))?;
        lock.lock()?;
        let mut writer = Self { registry, is_behind: false, _lock: lock };
        if writer.registry.folder.join(UNFINISHED).try_exists()? {
            // What cannot be taken away only takes room: it must not be in the way of every change.
            writer.is_behind = writer.cleaned(writer.sweep()).is_some();
        }
        Ok(writer)
    }

    /// Installs a version of a tool, and makes it the current one. What is there already of it is looked at, and replaced where it is
    /// another.
    ///
    /// # Errors
    ///
    /// Something cannot be written; then what is installed is as it was, unless the last of it, which brings the change to disk, failed.
    /// A record of another format is not replaced, nor what a version of before installed.
    pub fn install(&self, name: &ToolName, new: New<'_>) -> Result<Done, RemoveError> {
        // What cannot be read is what an installation mends: nothing of it is gone on with.
        let old = match self.registry.find(name) {
            Ok(tool) => tool.map(|tool| tool.record),
            // A newer version of Tollgate wrote it, and reads it.
            Err(error @ FindError::NoRecord { source: RecordError::Format { .. }, .. }) => return Err(error.into()),
            Err(FindError::NoRecord { .. } | FindError::OtherName { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.put_new(name, old, new)
    }

    /// Installs a tool in the place of what a version of before installed under its name, if anything of that is still there.
    ///
    /// # Errors
    ///
    /// As for [`Writer::install`].
    pub fn move_here(&self, name: &ToolName, new: New<'_>) -> Result<Done, RemoveError> {
        match self.registry.find(name) {
            Err(FindError::Older { .. }) => self.put_new(name, None, new),
            Ok(_) | Err(_) => self.install(name, new),
        }
    }

    fn put_new(&self, name: &ToolName, old: Option<Record>, new: New<'_>) -> Result<Done, RemoveError> {
        self.begin()?;
        let installed = self.place(new)?;
        let before =
            old.as_ref().map(Record::current).filter(|before| before.component != installed.component).cloned();
        let (record, gone) = Record::with(old, installed);
        self.put(name, &record)?;
        let is_moved = self.hide_folder_of_before(name);
        let is_clean = match &is_moved {
            Ok(false) if gone.is_empty() => true,
            Ok(_) | Err(_) => false,
        };
        let left = self.cleaned(is_moved.and_then(|_moved| if is_clean { Ok(()) } else { self.sweep() }));
        // One that was replaced by itself is still there.
        let gone = gone.into_iter().filter(|gone| record.of(gone.component).is_none()).collect();
        Ok(Done { record, before, gone, left })
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

    /// Says anew where a version came from, as an absolute path: `None` if it is not installed.
    ///
    /// # Errors
    ///
    /// As for [`Writer::install`].
    pub fn set_from(&self, name: &ToolName, component: Digest, from: &str) -> Result<Option<Record>, RemoveError> {
        let Some(tool) = self.registry.find(name)? else { return Ok(None) };
        let Some(record) = tool.record.with_from(component, from) else { return Ok(None) };
        if record != tool.record {
            self.begin()?;
            self.put(name, &record)?;
            self.is_finished();
        }
        Ok(Some(record))
    }

    /// Removes a version of a tool, or all of them. Says why something of it is still there, as [`Done::left`] does.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Current`]; as for [`Writer::install`].
    pub fn remove(&self, name: &ToolName, component: Option<Digest>) -> Result<Option<String>, RemoveError> {
        let left = match component {
            None => None,
            Some(component) => {
                let Some(tool) = self.registry.find(name)? else { return Ok(None) };
                tool.record.without(component)?
            }
        };
        // Whose folder it is, nobody here knows.
        let path = self.registry.record_file(name);
        if path.is_dir() && !is_link(&path) {
            return Err(FindError::NoFile { path }.into());
        }
        // A full disk takes no new file, and gets room by this. Without it, what a kill leaves stays until the next sweep.
        self.begin().ok();
        match left {
            Some(record) => self.put(name, &record)?,
            None => {
                // What a version of before left would be found in its place.
                self.hide_folder_of_before(name)?;
                remove_if_there(&path)?;
                files::sync_folder(&self.registry.folder)?;
            }
        }
        Ok(self.cleaned(self.sweep()))
    }

    /// Puts what was compiled anew in the place of what is stored.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn mend(&self, component: Digest, artifact: &[u8], operations: &[u8]) -> io::Result<()> {
        let folder = folder_of(&self.registry.folder, component);
        self.begin()?;
        has_bytes(&folder, ARTIFACT, artifact)?;
        has_bytes(&folder, OPERATIONS, operations)?;
        self.is_finished();
        Ok(())
    }

    /// Takes away what no record refers to, as long as each can be read. Says why something is still there, as [`Done::left`] does.
    pub fn clean(&self) -> Option<String> {
        // Without the mark the next writer does not try again.
        self.begin().ok();
        self.cleaned(self.sweep())
    }

    /// An error is the first of those that there were; what else is not referred to is gone.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let tools = &self.registry.folder;
        let mut swept = Ok(());
        for entry in entries(tools)? {
            let (entry, kind) = entry?;
            if is_hidden(&entry) {
                let removed = remove_all(&tools.join(entry), kind);
                swept = swept.and(removed);
            }
        }
        let Some(kept) = self.kept()? else { return swept };
        let components = self.registry.components();
        for entry in entries(&components)? {
            let (entry, kind) = entry?;
            let path = components.join(&entry);
            match entry.to_str().and_then(digest_of) {
                Some(component) if kind.is_dir() => match kept.get(&component) {
                    Some(manifests) => {
                        let removed = sweep_component(&path, manifests);
                        swept = swept.and(removed);
                    }
                    None => {
                        // Under its name it is whole, or not there.
                        let hidden = files::hidden_name(&components)?;
                        let moved = named(&path, fs::rename(&path, &hidden));
                        let removed = moved.and_then(|()| remove_all(&hidden, kind));
                        swept = swept.and(removed);
                    }
                },
                Some(_) | None if is_hidden(&entry) => {
                    let removed = remove_all(&path, kind);
                    swept = swept.and(removed);
                }
                // Nothing of ours has such a name.
                Some(_) | None => {}
            }
        }
        swept
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
        let begun = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        unless_in_the_way(&path, begun.map(drop))
    }

    /// After a change was made, which a failure to clean up does not undo: why something is left, and then the next writer tries again.
    fn cleaned(&self, swept: io::Result<()>) -> Option<String> {
        match swept {
            Ok(()) => {
                self.is_finished();
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// One that stays costs the next writer a look at everything, and nothing else.
    fn is_finished(&self) {
        if !self.is_behind {
            fs::remove_file(self.registry.folder.join(UNFINISHED)).ok();
        }
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
                unless_in_the_way(&components, files::make_folder(&components))?;
                files::sync_folder(&self.registry.folder)?;
            }
            let hidden = files::hidden_name(&components)?;
            files::make_folder(&hidden)?;
            let written = contents.iter().try_for_each(|(name, bytes)| files::write_new(&hidden.join(name), bytes));
            let placed = written
                .and_then(|()| files::sync_folder(&hidden))
                .and_then(|()| unless_in_the_way(&folder, fs::rename(&hidden, &folder)));
            if let Err(error) = placed {
                // A disk that is full would stay so.
                fs::remove_dir_all(&hidden).ok();
                return Err(error);
            }
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

    /// Takes its name from the folder of a tool that a version of before installed, for a sweep to remove; whether there was one.
    fn hide_folder_of_before(&self, name: &ToolName) -> io::Result<bool> {
        let folder = self.registry.folder_of_before(name);
        if !is_of_before(&folder) {
            return Ok(false);
        }
        let hidden = files::hidden_name(&self.registry.folder)?;
        named(&folder, fs::rename(&folder, &hidden))?;
        files::sync_folder(&self.registry.folder)?;
        Ok(true)
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
    if is_there().unwrap_or(false) { Ok(()) } else { unless_in_the_way(&path, files::write(folder, name, bytes)) }
}

/// Takes away what is left of writers that were killed, and manifests that no record names.
fn sweep_component(folder: &Path, manifests: &BTreeSet<Digest>) -> io::Result<()> {
    let mut swept = Ok(());
    for entry in entries(folder)? {
        let (entry, kind) = entry?;
        let manifest = entry.to_str().and_then(|name| digest_of(name.strip_suffix(MANIFEST)?));
        if is_hidden(&entry) || manifest.is_some_and(|manifest| !manifests.contains(&manifest)) {
            let removed = remove_all(&folder.join(entry), kind);
            swept = swept.and(removed);
        }
    }
    swept
}

fn remove_all(path: &Path, kind: fs::FileType) -> io::Result<()> {
    named(path, if kind.is_dir() { fs::remove_dir_all(path) } else { remove_if_there(path) })
}

/// The same, where an error names the path.
fn named(path: &Path, done: io::Result<()>) -> io::Result<()> {
    done.map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
}

/// The same, where an error names the path if something of another kind stands there.
fn unless_in_the_way<T>(path: &Path, done: io::Result<T>) -> io::Result<T> {
    done.map_err(|error| {
        let is_in_the_way = matches!(error.kind(), ErrorKind::IsADirectory | ErrorKind::NotADirectory);
        if !is_in_the_way {
            return error;
        }
        io::Error::new(error.kind(), format!("`{}` is in the way: {error}", path.display()))
    })
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
