//! What is wrong with an installed tool, told by file, and what lies among the tools that is none of theirs. Must never change anything.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tollgate_audit::Digest;
use tollgate_authority::files;
use tollgate_config::{MANIFEST_BYTES_MAX, Manifest, ToolName};
use tollgate_engine::Engine;
use tollgate_engine::artifact::ArtifactKey;
use tollgate_engine::error::with_causes;

use super::{
    ARTIFACT, COMPONENT, COMPONENT_BYTES_MAX, COMPONENTS, InstalledTool, LOCK, MANIFEST, OPERATIONS, RECORD, Registry,
    StoredError, UNFINISHED, digest_of, entries, is_hidden, is_no_file, is_of_before,
};

/// What is wrong with one file of an installed version.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It cannot be read, or is not there.
    #[error("`{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has another name (a hard link), by which it could be changed.
    #[error("`{}` has another name (a hard link), by which somebody could change it", path.display())]
    OtherName {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a file has its name, such as a folder.
    #[error("`{}` is no file", path.display())]
    NoFile {
        /// What it is.
        path: PathBuf,
        /// Whether the file is made of the component.
        is_made: bool,
    },
    /// It is another file than the one that was installed.
    #[error("`{}` was changed: it is {found}, and {expected} was installed", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What was installed.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// It is what was installed, and no manifest to this program.
    #[error("`{}` cannot be used: {why}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Its compiled code, or the list of its operations, is refused; both are made of the component.
    #[error("what was compiled is refused: {}", with_causes(.0))]
    Stored(#[source] StoredError),
}

impl Damage {
    /// Whether compiling the component again mends it.
    #[must_use]
    pub fn is_mended_by_compiling(&self) -> bool {
        match self {
            Self::Stored(_) => true,
            Self::Unreadable { .. }
            | Self::OtherName { .. }
            | Self::NoFile { .. }
            | Self::Changed { .. }
            | Self::Manifest { .. } => false,
        }
    }

    /// What has to be moved away before anything mends it; whether compiling the component again does then.
    #[must_use]
    pub fn in_the_way(&self) -> Option<(&Path, bool)> {
        match self {
            Self::NoFile { path, is_made } => Some((path, *is_made)),
            Self::Unreadable { .. }
            | Self::OtherName { .. }
            | Self::Changed { .. }
            | Self::Manifest { .. }
            | Self::Stored(_) => None,
        }
    }
}

/// Something among the installed tools that Tollgate did not put there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// Where.
    pub path: PathBuf,
    /// Whether it has the name of something of Tollgate's, so that commands fail by it.
    pub is_in_the_way: bool,
}

impl InstalledTool {
    /// All that is wrong with it: reads each of its files whole.
    #[must_use]
    pub fn damage(&self, key: &ArtifactKey, engine: &Engine) -> Vec<Damage> {
        let component = self.whole(self.component(), COMPONENT_BYTES_MAX, self.installed.component);
        let manifest = self.whole(self.manifest(), MANIFEST_BYTES_MAX as u64, self.installed.manifest);
        let manifest = manifest.and_then(|bytes| self.parsed(&bytes));
        let other_name = match self.with_other_name() {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(Damage::OtherName { path }),
            Err(source) => Err(Damage::Unreadable { path: self.folder(), source }),
        };
        let made = [self.artifact_file(), self.operations_file()].into_iter().filter(|path| is_no_file(path));
        let mut no_files: Vec<Damage> = made.map(|path| Damage::NoFile { path, is_made: true }).collect();
        let stored = if no_files.is_empty() { self.artifact(key, engine).map(drop) } else { Ok(()) };
        let stored = stored.map_err(Damage::Stored);
        let mut damage: Vec<Damage> =
            [component.map(drop), manifest, other_name, stored].into_iter().filter_map(Result::err).collect();
        damage.append(&mut no_files);
        damage
    }

    fn whole(&self, path: PathBuf, bytes_max: u64, expected: Digest) -> Result<Vec<u8>, Damage> {
        let bytes = match files::read(&path, bytes_max) {
            Ok(bytes) => bytes,
            Err(_other) if is_no_file(&path) => return Err(Damage::NoFile { path, is_made: false }),
            Err(source) => return Err(Damage::Unreadable { path, source }),
        };
        match Digest::of(&bytes) {
            found if found == expected => Ok(bytes),
            found => Err(Damage::Changed { path, expected, found }),
        }
    }

    fn parsed(&self, bytes: &[u8]) -> Result<(), Damage> {
        let (path, text) = (self.manifest(), String::from_utf8_lossy(bytes));
        let parsed = Manifest::parse(&text, &path.display().to_string());
        parsed.map(drop).map_err(|error| Damage::Manifest { path, why: error.to_string() })
    }
}

impl Registry {
    /// What is in the folder of tools, in that of components and in each component's that Tollgate puts nowhere, in order. What has the
    /// name of a tool's own file is damage of the tool, and not among these.
    ///
    /// # Errors
    ///
    /// A folder cannot be listed.
    pub fn foreign(&self) -> io::Result<Vec<Foreign>> {
        let mut foreign = Vec::new();
        for entry in entries(&self.folder)? {
            let (name, kind) = entry?;
            let path = self.folder.join(&name);
            let is_record = stem(&name, RECORD).is_some_and(|stem| stem.parse::<ToolName>().is_ok());
            let is_older = kind.is_dir() && is_of_before(&path);
            let is_own_file = [LOCK, UNFINISHED].iter().any(|own| name == *own);
            let is_as_named = if name == COMPONENTS { path.is_dir() } else { !is_own_file || !is_no_file(&path) };
            if !is_as_named {
                foreign.push(Foreign { path, is_in_the_way: true });
            } else if !is_own_file && name != COMPONENTS && !is_hidden(&name) && !is_record && !is_older {
                foreign.push(Foreign { path, is_in_the_way: false });
            }
        }
        if self.components().is_dir() {
            self.foreign_components(&mut foreign)?;
        }
        foreign.sort_unstable();
        Ok(foreign)
    }

    fn foreign_components(&self, foreign: &mut Vec<Foreign>) -> io::Result<()> {
        let components = self.components();
        for entry in entries(&components)? {
            let (name, kind) = entry?;
            let path = components.join(&name);
            let is_component = name.to_str().and_then(digest_of).is_some();
            if !is_component || !kind.is_dir() {
                // A component would have no place there.
                let one = Foreign { path, is_in_the_way: is_component };
                foreign.extend((!is_hidden(&name)).then_some(one));
                continue;
            }
            for entry in entries(&path)? {
                let (name, _) = entry?;
                let is_own = is_hidden(&name) || [COMPONENT, ARTIFACT, OPERATIONS].iter().any(|own| name == *own);
                let is_manifest = stem(&name, MANIFEST).and_then(digest_of).is_some();
                let one = Foreign { path: path.join(name), is_in_the_way: false };
                foreign.extend((!is_own && !is_manifest).then_some(one));
            }
        }
        Ok(())
    }

    /// Whether a writer was killed, so that the next one sweeps.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        match self.folder.join(UNFINISHED).try_exists() {
            Ok(there) => there,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }
}

fn stem<'n>(name: &'n OsStr, end: &str) -> Option<&'n str> {
    name.to_str()?.strip_suffix(end)
}
