//! Whether the files that a project is built from changed. What a tool writes into a granted folder is none of them: a run
//! must not start the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::language::Language;

/// Files with their times of change and lengths.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

/// Files in the project's folder itself that count in any language.
const SETTINGS: [&str; 5] = ["tool.toml", "tollgate.toml", "Cargo.toml", "package.json", "requirements.txt"];

/// Folders of what is built or installed.
const SKIPPED: [&str; 3] = ["target", "node_modules", "__pycache__"];

/// Files that are looked at: more are no tool.
const FILES_MAX: usize = 10_000;

impl Snapshot {
    pub(super) fn of(folder: &Path, language: Language) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            // What cannot be read or is gone by now has no state: it shows when it can be read again.
            for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                    folders.push(path);
                } else if metadata.is_file() && (is_source(&path, language) || (next == folder && is_setting(&name))) {
                    files.insert(path, (metadata.modified().ok(), metadata.len()));
                }
            }
            if files.len() > FILES_MAX {
                break;
            }
        }
        Self(files)
    }
}

fn is_source(path: &Path, language: Language) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| language.sources().contains(&extension) || extension == "wit")
}

fn is_setting(name: &str) -> bool {
    SETTINGS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_settings_count_and_what_tools_write_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let snapshot = || Snapshot::of(folder.path(), Language::Rust);
        file("src/lib.rs", "1");
        file("tool.toml", "1");
        let before = snapshot();
        for written in
            ["notes/a.txt", "hello.wasm", "target/debug/build.rs", ".git/x.rs", "Cargo.lock", "sub/tool.toml"]
        {
            file(written, "x");
            assert_eq!(snapshot(), before, "{written}");
        }
        for source in ["src/lib.rs", "src/deep/er.rs", "tool.toml", "tollgate.toml", "vendor/wit/tool.wit"] {
            let before = snapshot();
            file(source, "changed");
            assert_ne!(snapshot(), before, "{source}");
        }
        let before = snapshot();
        fs::remove_file(folder.path().join("src/deep/er.rs")).unwrap();
        assert_ne!(snapshot(), before);
    }
}
