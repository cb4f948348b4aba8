//! Files that the command line is given.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::cause::{self, Place};
use super::exit::Failure;
use tollgate_authority::files;

/// Largest text file that is read.
pub(crate) const TEXT_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum InputError {
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(help("{help}"))]
    Read { path: PathBuf, help: String, source: io::Error },
    #[error("`{}` is larger than {max_bytes} bytes", path.display())]
    #[diagnostic(help("give the right file; nothing of this size is expected here"))]
    TooLarge { path: PathBuf, max_bytes: u64 },
    #[error("`{}` is not UTF-8 text", path.display())]
    #[diagnostic(help("save it as UTF-8"))]
    NotText { path: PathBuf },
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path, help: &'static str) -> Result<String, Failure> {
    let bytes = read(path, TEXT_BYTES_MAX, help)?;
    String::from_utf8(bytes).map_err(|_not_utf8| Failure::usage(InputError::NotText { path: path.to_owned() }))
}

/// Reads a regular file of at most `max_bytes`.
pub(crate) fn read(path: &Path, max_bytes: u64, help: &str) -> Result<Vec<u8>, Failure> {
    files::read(path, max_bytes).map_err(|source| {
        if source.kind() == ErrorKind::FileTooLarge {
            Failure::usage(InputError::TooLarge { path: path.to_owned(), max_bytes })
        } else {
            unread(path, help, source)
        }
    })
}

/// Why a file was not read. `help` is for a path that leads nowhere: all else has its cause in what stands there.
pub(crate) fn unread(path: &Path, help: &str, source: io::Error) -> Failure {
    let leads_nowhere = matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let help = if leads_nowhere { help.to_owned() } else { cause::advice(&source, Place::INPUT) };
    Failure::usage(InputError::Read { path: path.to_owned(), help, source })
}
