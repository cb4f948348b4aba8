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
use tollgate_capability::Manifest;

use super::exit::Failure;
use super::{load, output};
use crate::cli::language::Language;
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

/// The manifest's name in a project's folder.
const MANIFEST: &str = "tool.toml";

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

/// How to run the tool whose project is in `folder`; `None` if that is no project.
pub(crate) fn how_to_run(folder: &Path) -> Option<String> {
    if !folder.join(MANIFEST).is_file() || language(folder).is_err() {
        return None;
    }
    // A component in this folder has no folder before its name.
    let here = folder.as_os_str().is_empty() || folder == Path::new(".");
    let (this, build) = if here {
        ("this folder".to_owned(), "tollgate build".to_owned())
    } else {
        let shown = output::one_line(&folder.display().to_string());
        (format!("the folder `{shown}`"), format!("tollgate build {shown}"))
    };
    // What is wrong with a manifest is said when it is built.
    let Ok((manifest, ..)) = load::manifest_file(&folder.join(MANIFEST)) else {
        return Some(format!("{this} is a tool's project: build it with `{build}`"));
    };
    let component = folder.join(format!("{}.wasm", manifest.name));
    let is_built = component.is_file();
    let component = output::one_line(&component.display().to_string());
    Some(if is_built {
        format!("{this} is a tool's project: what is built of it is `{component}`")
    } else {
        format!("{this} is a tool's project, and not built: `{build}`, then run `{component}`")
    })
}

fn language(folder: &Path) -> Result<Language, Failure> {
    let found: Vec<_> = Language::ALL.into_iter().filter(|language| folder.join(language.mark()).is_file()).collect();
    if let [one] = found[..] {
        return Ok(one);
    }
    let marks: Vec<_> = found.iter().map(|language| language.mark()).collect();
    let found = if marks.is_empty() { "none of their files".to_owned() } else { marks.join(" and ") };
    Err(Failure::usage(ProjectError::NoLanguage { folder: folder.to_owned(), found }))
}
