//! The tool's own refusal: a code for programs, a message for the agent. Must never hide what happened behind a code.

use std::fmt::Display;
use std::io;

use crate::Error;

impl Error {
    /// A refusal with a short stable `code` (`not-found`) and a `message` that tells an agent what to do.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The arguments are JSON, but not what the operation takes: code `invalid-arguments`.
    pub fn invalid_arguments(message: impl Into<String>) -> Self {
        Self::new("invalid-arguments", message)
    }

    /// The tool has no operation of this name: code `unknown-operation`.
    #[must_use]
    pub fn unknown_operation(operation: &str) -> Self {
        Self::new("unknown-operation", format!("this tool has no operation {operation:?}"))
    }

    /// The same code, and the message with what was being done before it: `cannot read /docs/a.txt: No such file …`.
    #[must_use]
    pub fn while_doing(self, what: impl Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

/// The code tells what an agent can act on, the same on every platform:
///
/// | code | kinds of [`io::ErrorKind`] |
/// |---|---|
/// | `not-found` | `NotFound` |
/// | `not-permitted` | `PermissionDenied`, `ReadOnlyFilesystem` |
/// | `already-exists` | `AlreadyExists` |
/// | `no-space` | `StorageFull`, `QuotaExceeded`, `FileTooLarge` |
/// | `not-a-folder`, `is-a-folder` | `NotADirectory`, `IsADirectory` |
/// | `io` | all others |
impl From<io::Error> for Error {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the kinds of another crate, which may grow")]
    fn from(error: io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound => "not-found",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "not-permitted",
            io::ErrorKind::AlreadyExists => "already-exists",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "no-space",
            io::ErrorKind::NotADirectory => "not-a-folder",
            io::ErrorKind::IsADirectory => "is-a-folder",
            _ => "io",
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_io_error_is_the_code() {
        let code = |kind: io::ErrorKind| Error::from(io::Error::from(kind)).code;
        assert_eq!(code(io::ErrorKind::NotFound), "not-found");
        assert_eq!(code(io::ErrorKind::PermissionDenied), "not-permitted");
        assert_eq!(code(io::ErrorKind::AlreadyExists), "already-exists");
        assert_eq!(code(io::ErrorKind::QuotaExceeded), "no-space");
        assert_eq!(code(io::ErrorKind::IsADirectory), "is-a-folder");
        assert_eq!(code(io::ErrorKind::Interrupted), "io");
    }

    #[test]
    fn what_was_being_done_comes_before_the_message() {
        let error = Error::from(io::Error::other("broken")).while_doing("cannot read /docs/a.txt");
        assert_eq!((error.code.as_str(), error.message.as_str()), ("io", "cannot read /docs/a.txt: broken"));
    }
}
