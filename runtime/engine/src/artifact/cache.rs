//! A cache of artifacts, for components that are run by their path. Its files are never trusted: one that does not verify counts as
//! absent.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tollgate_audit::Digest;
use tollgate_authority::files;

use super::{Artifact, ArtifactKey, EngineHash, STORED_BYTES_MAX};
use crate::engine::Engine;

/// A folder of artifacts.
#[derive(Debug, Clone)]
pub struct ArtifactCache {
    folder: PathBuf,
    most: CacheLimits,
}

/// How much the cache holds. The oldest artifacts are removed first.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Artifacts.
    pub(crate) artifacts: usize,
    /// Bytes of all of them.
    pub(crate) bytes: u64,
}

impl CacheLimits {
    /// More tools than an agent has, less than a browser's cache.
    pub const DEFAULT: Self = Self { artifacts: 64, bytes: 1 << 30 };
}

impl ArtifactCache {
    /// The cache in `folder`, which is made when something is put there.
    pub fn new(folder: PathBuf, most: CacheLimits) -> Self {
        Self { folder, most }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The artifact of a component for an engine, if it is there and sealed with `key`.
    pub fn get(&self, key: &ArtifactKey, component: Digest, engine: &Engine) -> Option<Artifact> {
        let path = self.folder.join(name(component, EngineHash::of(engine)));
        let stored = files::read(&path, STORED_BYTES_MAX).ok()?;
        Artifact::open(&stored, key, component, engine).ok()
    }

    /// Keeps an artifact, and no more than the limits allow.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written.
    pub fn put(&self, key: &ArtifactKey, artifact: &Artifact) -> io::Result<()> {
        files::make_folder(&self.folder)?;
        let name = name(artifact.component(), artifact.engine());
        files::write(&self.folder, &name, &artifact.seal(key))?;
        self.forget_the_oldest(&name)
    }

    fn forget_the_oldest(&self, newest: &str) -> io::Result<()> {
        let newest = self.folder.join(newest);
        let now = fs::metadata(&newest)?.modified()?;
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // What is gone by now needs no removing.
            let Some((path, metadata)) = entry.ok().and_then(known) else { continue };
            if is_left_over(&path, &metadata, now) {
                fs::remove_file(&path).ok();
            } else if is_artifact(&path) {
                kept.push((path == newest, metadata.modified()?, metadata.len(), path));
            }
        }
        kept.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0_u64;
        for (place, (is_newest, _, length, path)) in kept.iter().enumerate() {
            bytes = bytes.saturating_add(*length);
            if !is_newest && (place >= self.most.artifacts || bytes > self.most.bytes) {
                fs::remove_file(path).ok();
            }
        }
        Ok(())
    }
}

fn name(component: Digest, engine: EngineHash) -> String {
    // Half of the engine's hash is enough for a name: the file has all of it.
    let engine = engine.to_string();
    format!("{}-{}{SUFFIX}", hex::encode(component.0), engine.get(..32).unwrap_or(&engine))
}

fn known(entry: DirEntry) -> Option<(PathBuf, Metadata)> {
    let metadata = entry.metadata().ok()?;
    metadata.is_file().then(|| (entry.path(), metadata))
}

fn is_artifact(path: &Path) -> bool {
    path.to_string_lossy().ends_with(SUFFIX)
}

/// Whether a process that died while writing has left this file.
fn is_left_over(path: &Path, metadata: &Metadata, now: SystemTime) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(files::HIDDEN));
    let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
    is_hidden && age.is_some_and(|age| age > WRITING_TAKES_MAX)
}

const SUFFIX: &str = ".artifact";

/// No process writes one file for longer.
const WRITING_TAKES_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interfaces::Interfaces;

    const KEY: ArtifactKey = ArtifactKey([7; 32]);

    fn artifact(engine: &Engine, component: u8) -> Artifact {
        Artifact::compiled(Digest([component; 32]), engine, Interfaces::default(), vec![component; 1000])
    }

    fn age(path: &Path, seconds: u64) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn what_was_put_is_there_for_this_key_component_and_engine() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(1).unwrap();
        let cache = ArtifactCache::new(folder.path().join("deep/cache"), CacheLimits::DEFAULT);
        assert_eq!(cache.get(&KEY, Digest([1; 32]), &engine), None);
        cache.put(&KEY, &artifact(&engine, 1)).unwrap();
        assert_eq!(cache.get(&KEY, Digest([1; 32]), &engine), Some(artifact(&engine, 1)));
        assert_eq!(cache.get(&KEY, Digest([2; 32]), &engine), None);
        assert_eq!(cache.get(&ArtifactKey([8; 32]), Digest([1; 32]), &engine), None);
    }

    #[test]
    fn an_artifact_under_another_name_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(1).unwrap();
        let cache = ArtifactCache::new(folder.path().to_owned(), CacheLimits::DEFAULT);
        cache.put(&KEY, &artifact(&engine, 1)).unwrap();
        let path = |component| folder.path().join(name(Digest([component; 32]), EngineHash::of(&engine)));
        fs::rename(path(1), path(2)).unwrap();
        assert_eq!(cache.get(&KEY, Digest([2; 32]), &engine), None);
    }

    #[test]
    fn the_oldest_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(1).unwrap();
        let few = CacheLimits { artifacts: 3, bytes: 1 << 20 };
        let small = CacheLimits { artifacts: 100, bytes: 2500 };
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        fs::write(folder.path().join(".new-left"), "").unwrap();
        age(&folder.path().join(".new-left"), 1);
        fs::write(folder.path().join(".new-now"), "").unwrap();
        let there = |limits| {
            let cache = ArtifactCache::new(folder.path().to_owned(), limits);
            (1..=9).filter(|component| cache.get(&KEY, Digest([*component; 32]), &engine).is_some()).collect::<Vec<_>>()
        };
        for component in 1..=5 {
            ArtifactCache::new(folder.path().to_owned(), few).put(&KEY, &artifact(&engine, component)).unwrap();
            age(&folder.path().join(name(Digest([component; 32]), EngineHash::of(&engine))), u64::from(component));
        }
        assert_eq!(there(few), [3, 4, 5]);
        ArtifactCache::new(folder.path().to_owned(), small).put(&KEY, &artifact(&engine, 6)).unwrap();
        assert_eq!(there(small), [5, 6]);
        let exists = [".new-left", ".new-now", "notes.txt"].map(|name| folder.path().join(name).exists());
        assert_eq!(exists, [false, true, true]);
    }
}
