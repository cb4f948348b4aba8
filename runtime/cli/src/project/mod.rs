//! A tool's project on disk: `tollgate new` makes one, `build` builds it, `dev` does so again on every change.

mod build;
mod builder;
mod dev;
mod new;
mod sdk;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_config::Manifest;

use super::exit::Failure;
use super::load;
use crate::language::Language;
use crate::unbuilt::MANIFEST;
pub(crate) use build::build;
pub(crate) use dev::dev;
pub(crate) use new::new;

/// A tool's project.
#[derive(Debug)]
struct Project {
    /// Absolute.
    folder: PathBuf,
    manifest: Manifest,
    manifest_text: String,
    language: Language,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ProjectError {
    #[error("`{}` is no tool's project: there is no `{MANIFEST}`", folder.display())]
    #[diagnostic(help(
        "`tollgate new NAME` makes a project; give the folder of one (`tollgate build FOLDER`, `tollgate dev FOLDER`), or \
                      go there"
    ))]
    NoManifest { folder: PathBuf },
    #[error("`{}` cannot be told as Rust, Python or JavaScript: it has {found}", folder.display())]
    #[diagnostic(help("a project has one of `Cargo.toml`, `tool.py` and `tool.js` beside `{MANIFEST}`"))]
    NoLanguage { folder: PathBuf, found: String },
    #[error("`{}` cannot be used", folder.display())]
    #[diagnostic(help("give the folder of a tool's project, or go there"))]
    Folder { folder: PathBuf, source: std::io::Error },
}

impl Project {
    fn open(folder: &Path) -> Result<Self, Failure> {
        let unusable = |source| Failure::usage(ProjectError::Folder { folder: folder.to_owned(), source });
        let absolute = fs::canonicalize(folder).map_err(unusable)?;
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            return Err(Failure::usage(ProjectError::NoManifest { folder: folder.to_owned() }));
        }
        let (manifest, manifest_text, _from) = load::manifest_file(&path)?;
        Ok(Self { language: language(folder)?, folder: absolute, manifest, manifest_text })
    }

    /// Where its component goes.
    fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.manifest.name))
    }
}

fn language(folder: &Path) -> Result<Language, Failure> {
    let found = Language::marked(folder);
    if let [one] = found[..] {
        return Ok(one);
    }
    let marks: Vec<_> = found.iter().map(|language| language.mark()).collect();
    let found = if marks.is_empty() { "none of their files".to_owned() } else { marks.join(" and ") };
    Err(Failure::usage(ProjectError::NoLanguage { folder: folder.to_owned(), found }))
}
