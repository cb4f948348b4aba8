//! Installed tools: a folder for each, under its name, with component, manifest and artifact. A tool is installed, replaced and
//! removed as a whole. Must never make a path of anything but a [`ToolName`].

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tollgate_audit::Digest;
use tollgate_authority::{files, has_other_name};
use tollgate_config::ToolName;
use tollgate_engine::Engine;
use tollgate_engine::artifact::{
    Artifact, ArtifactError, ArtifactKey, HEAD_BYTES, STORED_BYTES_MAX, declared_component,
};
use tollgate_system::{knows_no_rename_flags, rename_new_by};

/// Largest component that is read: 256 MiB, several times what a Python interpreter takes.
pub const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// The folder of all installed tools.
#[derive(Debug, Clone)]
pub struct Registry {
    folder: PathBuf,
}

/// A tool that is installed.
#[derive(Debug, Clone)]
pub struct InstalledTool {
    /// The name by which it is called.
    pub name: ToolName,
    folder: PathBuf,
}

/// The files of a tool.
#[derive(Debug, Clone, Copy)]
pub struct ToolFiles<'a> {
    /// The component's bytes.
    pub component: &'a [u8],
    /// The manifest's text.
    pub manifest: &'a str,
    /// As [`Artifact::seal`] gives it.
    pub artifact: &'a [u8],
}

/// What happens to an installed tool of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It stays, and nothing is installed.
    Stays,
    /// It is replaced.
    Goes,
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
}

impl Registry {
    /// The tools that are installed below `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The tool of this name.
    pub fn find(&self, name: &ToolName) -> Option<InstalledTool> {
        let tool = InstalledTool { name: name.clone(), folder: self.folder.join(name.as_str()) };
        tool.folder.is_dir().then_some(tool)
    }

    /// All tools, by name.
    ///
    /// # Errors
    ///
    /// The folder is there and cannot be listed.
    pub fn tools(&self) -> io::Result<Vec<InstalledTool>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut tools = Vec::new();
        for entry in entries {
            // Hidden folders are being made or removed; other names are no tools.
            let name = entry?.file_name().into_string().ok().and_then(|name| name.parse().ok());
            tools.extend(name.and_then(|name| self.find(&name)));
        }
        tools.sort_unstable_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        Ok(tools)
    }

    /// Installs a tool.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] where [`Present::Stays`]; otherwise the folder cannot be written.
    pub fn install(&self, name: &ToolName, tool: ToolFiles<'_>, present: Present) -> io::Result<InstalledTool> {
        files::make_folder(&self.folder)?;
        let (new, folder) = (files::hidden_name(&self.folder)?, self.folder.join(name.as_str()));
        let placed = place(&new, &folder, tool, present);
        // By now it holds the old tool, or one that was not finished; or it was moved away.
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        placed?;
        files::sync_folder(&self.folder)?;
        Ok(InstalledTool { name: name.clone(), folder })
    }

    /// Removes a tool.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self, tool: &InstalledTool) -> io::Result<()> {
        // Renamed first: under its name a tool is whole, or not there.
        let old = files::hidden_name(&self.folder)?;
        fs::rename(&tool.folder, &old)?;
        files::sync_folder(&self.folder)?;
        fs::remove_dir_all(&old)
    }
}

impl InstalledTool {
    /// The folder that holds the files below.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of the component.
    pub fn component(&self) -> PathBuf {
        self.folder.join(COMPONENT)
    }

    /// The file of the manifest.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join(MANIFEST)
    }

    /// The file of the compiled code.
    pub(crate) fn artifact_file(&self) -> PathBuf {
        self.folder.join(ARTIFACT)
    }

    /// The artifact, if it verifies, belongs to the component and to `engine`, and says which operations it has.
    ///
    /// # Errors
    ///
    /// It cannot be read, does not verify, belongs to another component or engine, or does not say its operations.
    pub fn artifact(&self, key: &ArtifactKey, component: Digest, engine: &Engine) -> Result<Artifact, StoredError> {
        let stored = files::read(&self.folder.join(ARTIFACT), STORED_BYTES_MAX)?;
        let artifact = Artifact::open(&stored, key, component, engine)?;
        if artifact.operations().is_some() { Ok(artifact) } else { Err(StoredError::Untold) }
    }

    /// The digest of the component that it was installed with, and its length, without reading it. Only running the tool shows
    /// whether the component still is that one.
    ///
    /// # Errors
    ///
    /// The stored file cannot be read, or is no artifact.
    pub fn told_component(&self) -> io::Result<(Digest, u64)> {
        let mut head = [0; HEAD_BYTES];
        File::open(self.folder.join(ARTIFACT))?.read_exact(&mut head)?;
        let digest = declared_component(&head).ok_or(ErrorKind::InvalidData)?;
        Ok((digest, fs::metadata(self.component())?.len()))
    }

    /// The first of its files that has another name (a hard link), by which it could be changed. They were made with one name each.
    ///
    /// # Errors
    ///
    /// A file cannot be looked at.
    pub fn with_other_name(&self) -> io::Result<Option<PathBuf>> {
        for name in [COMPONENT, MANIFEST, ARTIFACT] {
            let path = self.folder.join(name);
            match fs::metadata(&path) {
                Ok(metadata) if has_other_name(&metadata) => return Ok(Some(path)),
                // A missing file is an error when it is read.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// When it was installed, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// The folder is not there, or does not say its time.
    pub fn installed_s(&self) -> io::Result<u64> {
        let modified: SystemTime = fs::metadata(self.folder.join(ARTIFACT))?.modified()?;
        Ok(modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// Writes a tool into the folder `new`, then puts that in the place of `folder`.
fn place(new: &Path, folder: &Path, tool: ToolFiles<'_>, present: Present) -> io::Result<()> {
    files::make_folder(new)?;
    let contents = [(COMPONENT, tool.component), (MANIFEST, tool.manifest.as_bytes()), (ARTIFACT, tool.artifact)];
    for (name, bytes) in contents {
        files::write_new(&new.join(name), bytes)?;
    }
    files::sync_folder(new)?;
    match (rename_new_by(new, folder, rename_as), present) {
        (Err(error), Present::Goes) if error.kind() == ErrorKind::AlreadyExists => exchange(new, folder, rename_as),
        (moved, _) => moved,
    }
}

/// A rename with flags, as the kernel does it.
type Rename = fn(&Path, &Path, RenameFlags) -> Result<(), Errno>;

fn rename_as(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
    renameat_with(CWD, from, CWD, to, flags)
}

/// Exchanges the folders `new` and `folder`.
fn exchange(new: &Path, folder: &Path, rename: Rename) -> io::Result<()> {
    match rename(new, folder, RenameFlags::EXCHANGE) {
        Err(error) if knows_no_rename_flags(error) => {
            // A crash in between leaves no tool of this name, and both tools under hidden names.
            let old = files::hidden_name(folder.parent().unwrap_or(folder))?;
            plain(rename, folder, &old)?;
            match plain(rename, new, folder) {
                Ok(()) => plain(rename, &old, new),
                Err(error) => {
                    plain(rename, &old, folder)?;
                    Err(error)
                }
            }
        }
        moved => Ok(moved?),
    }
}

/// A rename of folders without flags: it replaces nothing but an empty folder.
fn plain(rename: Rename, from: &Path, to: &Path) -> io::Result<()> {
    match rename(from, to, RenameFlags::empty()) {
        Err(Errno::NOTEMPTY) => Err(ErrorKind::AlreadyExists.into()),
        moved => Ok(moved?),
    }
}

const COMPONENT: &str = "component.wasm";
const MANIFEST: &str = "tool.toml";
const ARTIFACT: &str = "component.artifact";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const FIRST: ToolFiles<'_> = ToolFiles { component: b"one", manifest: "1", artifact: b"a" };
    const SECOND: ToolFiles<'_> = ToolFiles { component: b"two", manifest: "2", artifact: b"b" };

    fn names(registry: &Registry) -> Vec<String> {
        registry.tools().unwrap().iter().map(|tool| tool.name.to_string()).collect()
    }

    #[test]
    fn a_tool_is_installed_replaced_and_removed_as_a_whole() {
        let around = tempfile::tempdir().unwrap();
        let registry = Registry::new(around.path().join("deep/tools"));
        let name: ToolName = "word-count".parse().unwrap();
        assert!(names(&registry).is_empty() && registry.find(&name).is_none());
        let tool = registry.install(&name, FIRST, Present::Stays).unwrap();
        assert_eq!(fs::read(tool.component()).unwrap(), b"one");
        assert_eq!(fs::metadata(tool.component()).unwrap().permissions().mode() & 0o777, 0o600);
        let error = registry.install(&name, SECOND, Present::Stays).unwrap_err();
        assert_eq!((error.kind(), fs::read(tool.component()).unwrap()), (ErrorKind::AlreadyExists, b"one".to_vec()));
        registry.install(&name, SECOND, Present::Goes).unwrap();
        assert_eq!(fs::read_to_string(tool.manifest()).unwrap(), "2");
        assert_eq!(names(&registry), ["word-count"]);
        registry.remove(&tool).unwrap();
        assert_eq!(fs::read_dir(around.path().join("deep/tools")).unwrap().count(), 0, "nothing is left over");
    }

    /// As on FUSE and NFS.
    fn without_flags(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
        if flags.is_empty() { rename_as(from, to, flags) } else { Err(Errno::INVAL) }
    }

    #[test]
    fn without_flags_of_renames_tools_are_placed_and_exchanged_all_the_same() {
        let around = tempfile::tempdir().unwrap();
        let [new, tool] = ["new", "tool"].map(|name| around.path().join(name));
        let make = |folder: &Path, text: &str| {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("component"), text).unwrap();
        };
        let text = |folder: &Path| fs::read_to_string(folder.join("component")).unwrap();
        make(&new, "one");
        rename_new_by(&new, &tool, without_flags).unwrap();
        assert_eq!((text(&tool).as_str(), new.exists()), ("one", false));
        make(&new, "two");
        let taken = rename_new_by(&new, &tool, without_flags).unwrap_err();
        assert_eq!((taken.kind(), text(&tool).as_str(), text(&new).as_str()), (ErrorKind::AlreadyExists, "one", "two"));
        exchange(&new, &tool, without_flags).unwrap();
        assert_eq!((text(&tool).as_str(), text(&new).as_str()), ("two", "one"));
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2, "nothing is left over");
    }

    /// Not even a byte of it: a list of many tools would read them all.
    #[test]
    fn what_a_tool_was_installed_with_is_told_without_reading_its_component() {
        let around = tempfile::tempdir().unwrap();
        let registry = Registry::new(around.path().to_owned());
        let head = [&b"TGARTFC2"[..], &[7; 32], &[0; 48]].concat();
        let files = ToolFiles { artifact: &head, ..FIRST };
        let tool = registry.install(&"a-tool".parse().unwrap(), files, Present::Stays).unwrap();
        // A component that is read never ends.
        fs::remove_file(tool.component()).unwrap();
        std::os::unix::fs::symlink("/dev/zero", tool.component()).unwrap();
        assert_eq!(tool.told_component().unwrap(), (Digest([7; 32]), 0));
        fs::write(around.path().join("a-tool").join(ARTIFACT), &head[..80]).unwrap();
        assert!(tool.told_component().is_err());
    }

    #[test]
    fn only_folders_with_names_of_tools_are_listed() {
        let around = tempfile::tempdir().unwrap();
        let registry = Registry::new(around.path().to_owned());
        for name in ["b-tool", "a-tool"] {
            registry.install(&name.parse().unwrap(), FIRST, Present::Stays).unwrap();
        }
        fs::create_dir(around.path().join(".new-0123")).unwrap();
        fs::create_dir(around.path().join("No Tool")).unwrap();
        fs::write(around.path().join("file"), "").unwrap();
        assert_eq!(names(&registry), ["a-tool", "b-tool"]);
    }
}
