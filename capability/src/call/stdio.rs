//! Calls on the standard streams.

use serde::{Deserialize, Serialize};

use super::facts::{FactValue, Facts, FactsError, Unread};
use super::table::calls;

calls! {
    /// A call of `wasi:cli` for a standard stream, or a write to one.
    pub enum StdioCall {
        GetStdin "wasi:cli/stdin.get-stdin" counted,
        GetStdout "wasi:cli/stdout.get-stdout" counted,
        GetStderr "wasi:cli/stderr.get-stderr" counted,
        /// Any write to the stream of `get-stdout` or `get-stderr`.
        WriteStdio "wasi:io/streams.[method]output-stream.write" counted {
            /// Which stream.
            stream: Stdio = "stream",
            /// How many bytes.
            bytes: u64 = "bytes",
            /// Bytes left of the cap on captured output.
            left: u64 = "left",
        },
    }
}

impl StdioCall {
    /// The call that asks for `stream`.
    #[must_use]
    pub const fn get(stream: Stdio) -> Self {
        match stream {
            Stdio::Stdin => Self::GetStdin,
            Stdio::Stdout => Self::GetStdout,
            Stdio::Stderr => Self::GetStderr,
        }
    }

    /// Which stream the call is about.
    #[must_use]
    pub const fn stream(&self) -> Stdio {
        match self {
            Self::GetStdin => Stdio::Stdin,
            Self::GetStdout => Stdio::Stdout,
            Self::GetStderr => Stdio::Stderr,
            Self::WriteStdio { stream, .. } => *stream,
        }
    }
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the three standard streams")]
pub enum Stdio {
    Stdin,
    Stdout,
    Stderr,
}

impl Stdio {
    pub(crate) const ALL: [Self; 3] = [Self::Stdin, Self::Stdout, Self::Stderr];

    /// The word for it in manifests, grants and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

impl FactValue for Stdio {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.text(key, self.as_str());
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.word(key, &Self::ALL, Self::as_str, "a standard stream")
    }
}
