//! What options give: a text, `@FILE`, or `-` for standard input. There is one maximum for every way of giving the same, and
//! standard input can be given once.

use std::io::{self, Read};
use std::path::Path;

use miette::Diagnostic;
use tollgate_capability::JSON_BYTES_MAX;

use super::exit::Failure;
use super::input::TEXT_BYTES_MAX;
use super::input::unread;
use tollgate::error::RejectError;
use tollgate::request::STDIN_BYTES_MAX;
use tollgate_authority::files;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum GivenError {
    #[error("cannot read standard input")]
    #[diagnostic(help("{help}"))]
    Stdin { help: &'static str, source: io::Error },
    #[error("{what} is not UTF-8 text")]
    #[diagnostic(help("save it as UTF-8"))]
    NotText { what: String },
    #[error(transparent)]
    #[diagnostic(help("give the tool a folder with the data instead of the data"))]
    TooLong(RejectError),
    #[error("standard input is given twice, with --input and with --stdin")]
    #[diagnostic(help("give one of them as a file"))]
    StdinTwice,
    #[error("`{option} -` would be standard {stream}, which {option} does not take")]
    #[diagnostic(help("a file that is called `-` is `./-`"))]
    NoStream { option: &'static str, stream: &'static str },
}

/// Where something comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    Text(&'a str),
    File(&'a Path),
    Stdin,
}

impl<'a> Source<'a> {
    /// Of a text, `@FILE`, `@-` or `-`.
    fn of_text(given: &'a str) -> Self {
        match given.strip_prefix('@') {
            None if given == "-" => Self::Stdin,
            None => Self::Text(given),
            Some(path) => Self::of_path(Path::new(path)),
        }
    }

    /// Of a path or `-`.
    fn of_path(given: &'a Path) -> Self {
        if is_dash(given) { Self::Stdin } else { Self::File(given) }
    }

    /// At most `max` bytes of it, and one more if there are more.
    fn read(self, max: u64) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Text(text) => Ok(text.as_bytes().to_vec()),
            Self::Stdin => beginning(io::stdin().lock(), max).map_err(|source| {
                let is_folder = source.kind() == io::ErrorKind::IsADirectory;
                let help =
                    if is_folder { "it is a folder: give a file there" } else { "give another file or pipe there" };
                Failure::usage(GivenError::Stdin { help, source })
            }),
            Self::File(path) => files::open(path)
                .and_then(|file| beginning(file, max))
                .map_err(|source| unread(path, "give a file that is there, for --input and --key after the @", source)),
        }
    }

    fn text(self, what: &'static str, max: u64) -> Result<String, Failure> {
        let bytes = self.read(max)?;
        if bytes.len() as u64 > max {
            return Err(too_long(what, max));
        }
        String::from_utf8(bytes).map_err(|_not_utf8| {
            let what = match self {
                Self::File(path) => format!("`{}`", path.display()),
                Self::Stdin => "standard input".to_owned(),
                Self::Text(_) => what.to_owned(),
            };
            Failure::usage(GivenError::NotText { what })
        })
    }
}

/// What a tool is given.
#[derive(Debug)]
pub(crate) struct Given {
    /// Its arguments, JSON text without a byte-order mark.
    pub(crate) arguments: String,
    /// Its standard input.
    pub(crate) stdin: Vec<u8>,
}

/// Reads what `--input` and `--stdin` give.
pub(crate) fn to_tool(input: &str, stdin: Option<&Path>) -> Result<Given, Failure> {
    let input = Source::of_text(input);
    let stdin = stdin.map(Source::of_path);
    if input == Source::Stdin && stdin == Some(Source::Stdin) {
        return Err(Failure::usage(GivenError::StdinTwice));
    }
    let mut arguments = input.text(RejectError::ARGUMENTS, JSON_BYTES_MAX)?;
    // A parser may ignore it (RFC 8259 §8.1), and editors on Windows write it; a tool is never given it.
    if arguments.starts_with(BYTE_ORDER_MARK) {
        arguments.drain(..BYTE_ORDER_MARK.len_utf8());
    }
    let stdin = stdin.map(|stdin| stdin.read(STDIN_BYTES_MAX)).transpose()?.unwrap_or_default();
    if stdin.len() as u64 > STDIN_BYTES_MAX {
        return Err(too_long(RejectError::STDIN, STDIN_BYTES_MAX));
    }
    Ok(Given { arguments, stdin })
}

/// A text that an option gives itself, or with `@FILE` or `@-`.
pub(crate) fn text(given: &str, what: &'static str) -> Result<String, Failure> {
    match given.strip_prefix('@') {
        Some(path) => Source::of_path(Path::new(path)).text(what, TEXT_BYTES_MAX),
        None => Ok(given.to_owned()),
    }
}

/// That a path is not `-`, where the file itself matters and not only its content.
pub(crate) fn must_be_a_file(option: &'static str, path: Option<&Path>) -> Result<(), Failure> {
    must_not_be(option, "input", path)
}

/// That a path is not `-`, where standard output is for something else.
pub(crate) fn must_not_be_stdout(option: &'static str, path: Option<&Path>) -> Result<(), Failure> {
    must_not_be(option, "output", path)
}

/// Whether a path stands for a standard stream.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn must_not_be(option: &'static str, stream: &'static str, path: Option<&Path>) -> Result<(), Failure> {
    if path.is_some_and(is_dash) { Err(Failure::usage(GivenError::NoStream { option, stream })) } else { Ok(()) }
}

fn too_long(what: &str, max: u64) -> Failure {
    Failure::usage(GivenError::TooLong(RejectError::TooLong { what: what.to_owned(), max }))
}

fn beginning(from: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_is_standard_input_and_a_path_to_one_is_not() {
        assert_eq!(Source::of_text("-"), Source::Stdin);
        assert_eq!(Source::of_text("@-"), Source::Stdin);
        assert_eq!(Source::of_text("@./-"), Source::File(Path::new("./-")));
        assert_eq!(Source::of_text("--"), Source::Text("--"));
        assert_eq!(Source::of_path(Path::new("-")), Source::Stdin);
        assert_eq!(Source::of_path(Path::new("./-")), Source::File(Path::new("./-")));
    }

    #[test]
    fn one_byte_more_than_the_maximum_is_read_and_no_more() {
        assert_eq!(beginning(&b"12345678"[..], 4).unwrap(), b"12345");
        assert_eq!(beginning(&b"1234"[..], 4).unwrap(), b"1234");
    }
}
