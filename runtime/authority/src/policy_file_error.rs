//! Why a policy file is not obeyed, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan};
use tollgate_config::{PolicyError, SourceText};

use super::is_own;
use super::trust::TrustError;
use crate::cause::{self, Place};

/// Why a policy is not obeyed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(help("{}", unread_help(source)))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not text.
    #[error("`{}` is not UTF-8 text", path.display())]
    #[diagnostic(help("save it as UTF-8"))]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// What is found is no file.
    #[error("`{}` is found here as the policy, and is not a file", path.display())]
    #[diagnostic(help("rename it, or give the policy with --policy"))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// What is found is a symbolic link.
    #[error("`{}` is found here as the policy, and it is a symbolic link", path.display())]
    #[diagnostic(help("give the policy with --policy, or put a copy in its place"))]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It has another name.
    #[error("the policy `{path}` has another name (a hard link), by which somebody could change it", path = path.display())]
    #[diagnostic(help("read it; then make it a file of its own: `cp {path} {path}.new && mv {path}.new {path}`", path = path.display()))]
    OtherName {
        /// The file.
        path: PathBuf,
    },
    /// It is what a daemon is to obey, and somebody else wrote it, or may.
    #[error("the policy `{}` belongs to another user, or others may write it", path.display())]
    #[diagnostic(help("read it; then make it yours alone: `chmod go-w {}`, as its owner", path.display()))]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else wrote it, or may.
    #[error(
        "`{}` is found here as the policy, and others may have written it: its owner is the user {owner}, its mode {mode:03o}",
        path.display()
    )]
    #[diagnostic(help("read it; then {}", advice(*owner, path)))]
    OfOthers {
        /// The file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The permission bits.
        mode: u32,
    },
    /// Somebody else may put another file in its place.
    #[error(
        "`{}` is found here as the policy, and others may put another file in its place: the owner of the folder `{}` is the \
         user {owner}, its group {group}, its mode {mode:03o}", path.display(), folder.display()
    )]
    #[diagnostic(help("read it; then {}", advice(*owner, folder)))]
    InFolderOfOthers {
        /// The file.
        path: PathBuf,
        /// The folder that a name on the way to the file is in.
        folder: PathBuf,
        /// The group of the folder.
        group: u32,
        /// The user id of the folder's owner.
        owner: u32,
        /// The permission bits of the folder.
        mode: u32,
    },
    /// It does not parse.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Policy(#[from] PolicyError),
    /// It was found, and reaches farther than its own folder.
    #[error("`{file}` is found here, not given, and reaches farther than {}: {reach}", bound(*accepted))]
    #[diagnostic(help(
        "read the lines, and look where they lead; then run `tollgate trust {file}`{}, which accepts the policy as it is now, or \
         give it with --policy {file}", if *accepted { " again" } else { "" }
    ))]
    ReachesFarther {
        /// The file, as errors show it.
        file: String,
        /// Whether it was accepted, when its lines led elsewhere.
        accepted: bool,
        /// What it reaches for.
        reach: String,
        /// Its text.
        #[source_code]
        text: SourceText,
        /// The lines.
        #[label(collection)]
        lines: Vec<LabeledSpan>,
    },
    /// Whether it was accepted cannot be told.
    #[error("whether the policy `{}` was accepted cannot be told", path.display())]
    #[diagnostic(help("{}", source.advice()))]
    Trust {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
}

/// What to do about a policy that is not read.
fn unread_help(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return "give a file that is there with --policy; a relative path starts at this folder".to_owned();
    }
    cause::advice(error, Place::INPUT)
}

/// What to do about a file or folder of `owner` that others may change.
fn advice(owner: u32, path: &Path) -> String {
    // Nobody but its owner changes its mode, and in a user namespace the owner may be nobody.
    if is_own(owner) {
        return format!("make it yours alone (`chmod go-w {}`), or give the policy with --policy", path.display());
    }
    "give the policy with --policy, or put a copy of your own into a folder of your own".to_owned()
}

/// What a found policy stays within.
const fn bound(accepted: bool) -> &'static str {
    if accepted { "what was accepted" } else { "its own folder" }
}
