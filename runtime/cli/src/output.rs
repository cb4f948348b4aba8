//! Text on its way to stdout and stderr. Text of a guest must never reach a terminal as it is: whatever passes here is
//! written out by [`tollgate_plain::output`], words and JSON alike.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Diagnostic;
use rustix::io::Errno;
pub(crate) use tollgate_plain::one_line;

use super::exit::Failure;

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("cannot write to standard output")]
#[diagnostic(help(
    "what was asked for is done; only its result is lost: look at the disk, or at where output goes to"
))]
struct OutputError {
    source: io::Error,
}

/// Whether there is still a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Listens,
    Gone,
}

/// Prints to stdout. A reader that has gone (`| head -1`) is no failure.
pub(crate) fn print(text: &str) -> Result<Reader, Failure> {
    let mut out = io::stdout().lock();
    print_to(&mut out, text)?;
    flush(&mut out)
}

/// As [`print()`], to a buffer of stdout that is flushed later.
pub(crate) fn print_to(out: &mut impl Write, text: &str) -> Result<Reader, Failure> {
    written(out.write_all(tollgate_plain::output(text).as_bytes()))
}

/// Hands a buffer of stdout on.
pub(crate) fn flush(out: &mut impl Write) -> Result<Reader, Failure> {
    written(out.flush())
}

fn written(result: io::Result<()>) -> Result<Reader, Failure> {
    let result = if WAS_CLOSED.load(Ordering::Relaxed) { Err(Errno::BADF.into()) } else { result };
    match result {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(source) => Err(Failure::Internal(miette::Report::new(OutputError { source }))),
    }
}

/// Prints to stderr; nobody is left to tell if it is gone.
pub(crate) fn eprint(text: &str) {
    eprint_own(&tollgate_plain::output(text));
}

/// As [`eprint`], with characters that steer the terminal: nothing that others wrote may be in `text`.
pub(crate) fn eprint_own(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

/// Whether standard output was closed when this process started. Rust's runtime opens `/dev/null` in its place before `main`, where
/// every result would be lost without an error.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[allow(unsafe_code, reason = "there is no other place that is reached before Rust's runtime")]
#[used]
// SAFETY: the section holds pointers to functions of this type, which the C library calls once before `main`.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

#[allow(unsafe_code, reason = "a file that may be closed has no owner")]
extern "C" fn look() {
    // SAFETY: takes numbers alone, and changes nothing.
    let answer = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(answer < 0, Ordering::Relaxed);
}

/// A path as one word of a shell, in quotes where it needs them.
pub(crate) fn shell_word(path: &Path) -> String {
    let shown = one_line(&path.display().to_string());
    if !shown.is_empty() && shown.chars().all(|char| char.is_alphanumeric() || "/._-+:@%,".contains(char)) {
        return shown;
    }
    format!("'{}'", shown.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        for (path, word) in [
            ("tools/word-count.wasm", "tools/word-count.wasm"),
            ("my tool/it's.wasm", r"'my tool/it'\''s.wasm'"),
            ("$HOME;x", "'$HOME;x'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
