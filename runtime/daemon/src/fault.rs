//! What is wrong with a policy that was read again, as the operator is told: with the place and the help that a start has for it.

use miette::{Diagnostic, SourceSpan};
use serde::{Deserialize, Serialize};
use tollgate::error::with_causes;
use tollgate::service::OpenError;

use crate::sockets::SocketError;

/// Why a policy that was read again does not hold. The one before does.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be used.
    #[error(transparent)]
    Policy(#[from] OpenError),
    /// A socket that it names cannot be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The ledger takes nothing, so that nobody would find when the policy changed.
    #[error("the ledger does not take that the policy is another one: {why}")]
    Unrecorded {
        /// Why not.
        why: String,
    },
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What helps, if that is known.
    pub help: Option<String>,
    /// Where, if it is in the text of the policy.
    pub file: Option<FaultyFile>,
}

/// The text of a policy, with what is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultyFile {
    /// Its path, to be shown.
    pub name: String,
    /// All of it.
    pub text: String,
    /// The first place, from 1: its line and its column.
    pub place: (usize, usize),
    /// The places: what is there, offset and length in bytes.
    pub labels: Vec<(Option<String>, usize, usize)>,
}

impl Fault {
    pub(crate) fn of(error: &ReloadError) -> Self {
        let message = with_causes(error);
        match error {
            ReloadError::Policy(OpenError::Policy(policy)) => {
                Self { message, help: policy.help().map(|help| help.to_string()), file: FaultyFile::of(&**policy) }
            }
            ReloadError::Policy(_) | ReloadError::Socket(_) | ReloadError::Unrecorded { .. } => {
                Self { message, help: None, file: None }
            }
        }
    }

    /// Place and message, in the form of a compiler's.
    pub(crate) fn placed(&self) -> String {
        let Some(FaultyFile { name, place: (line, column), .. }) = &self.file else { return self.message.clone() };
        format!("{name}:{line}:{column}: {}", self.message)
    }
}

impl FaultyFile {
    fn of(error: &dyn Diagnostic) -> Option<Self> {
        let source = error.source_code()?;
        let labels: Vec<_> = error.labels()?.collect();
        let first: &SourceSpan = labels.first()?.inner();
        let at = source.read_span(first, 0, 0).ok()?;
        let place = (at.line() + 1, at.column() + 1);
        let whole = source.read_span(first, usize::MAX, usize::MAX).ok()?;
        let (name, start) = (whole.name().unwrap_or_default().to_owned(), whole.span().offset());
        let text = String::from_utf8_lossy(whole.data()).into_owned();
        let label = |label: &miette::LabeledSpan| {
            (label.label().map(str::to_owned), label.offset().saturating_sub(start), label.len())
        };
        Some(Self { name, text, place, labels: labels.iter().map(label).collect() })
    }
}

#[cfg(test)]
mod tests {
    use tollgate_authority::PolicyFile;

    use super::*;

    #[test]
    fn a_fault_has_the_place_and_the_help_that_a_start_has() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("tollgate.toml");
        let text = "[tools.grep]\nfs.\"/docs\" = { host = \"/docs\", acess = [\"read\"] }\n# the end\n";
        std::fs::write(&path, text).unwrap();
        let error = PolicyFile::given(&path, around.path()).unwrap_err();
        let (message, help) = (error.to_string(), error.help().unwrap().to_string());
        let fault = Fault::of(&ReloadError::Policy(OpenError::Policy(Box::new(error))));
        assert_eq!((&fault.message, fault.help.as_ref()), (&message, Some(&help)));
        assert_eq!(fault.placed(), format!("{}:2:32: {message}", path.display()));
        let file = fault.file.unwrap();
        assert_eq!(file.text, text);
        let [(_, offset, length)] = file.labels[..] else { panic!("{:?}", file.labels) };
        assert_eq!(&text[offset..offset + length], "acess");
    }
}
