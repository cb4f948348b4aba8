//! Text on its way to stdout and stderr. Text of a guest must never reach a terminal as it is.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use miette::Diagnostic;

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
    written(out.write_all(text.as_bytes()))
}

/// Hands a buffer of stdout on.
pub(crate) fn flush(out: &mut impl Write) -> Result<Reader, Failure> {
    written(out.flush())
}

fn written(result: io::Result<()>) -> Result<Reader, Failure> {
    match result {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(source) => Err(Failure::Internal(miette::Report::new(OutputError { source }))),
    }
}

/// Prints to stderr; nobody is left to tell if it is gone.
pub(crate) fn eprint(text: &str) {
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

/// `text` in one line, without what could steer a terminal or pass for a line of Tollgate's own.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                // Writing to a String cannot fail.
                write!(line, "{}", character.escape_unicode()).unwrap_or_default();
            }
            _ if character.is_control() => {
                write!(line, "{}", character.escape_debug()).unwrap_or_default();
            }
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn one_line_steers_no_terminal() {
        assert_eq!(one_line("a\u{1b}[31m\nb\u{9b}\u{202e}\t'ü'"), "a\\u{1b}[31m\\nb\\u{9b}\\u{202e}\\t'ü'");
    }
}
