//! Why a call has no answer.

use std::fmt;

use serde_json::{Map, Value};

use crate::call::Usage;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Failure {
    /// The class of it.
    pub kind: Kind,
    /// What happened, for people. It may hold a tool's words: untrusted text.
    pub message: String,
    /// The call's name in the ledger. A call without one did not begin, or the daemon went away before it told the name.
    pub call: Option<String>,
    /// What else is known of a call that began.
    pub remains: Box<Remains>,
    was_never_sent: bool,
}

/// What is known of a call that failed, beside why.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Remains {
    /// More about the failure, by names that depend on its kind, such as the rule of a violation.
    pub details: Map<String, Value>,
    /// What the call used, if it ran.
    pub usage: Option<Usage>,
    /// What the tool wrote to standard output.
    pub stdout: String,
    /// What the tool wrote to standard error.
    pub stderr: String,
}

/// A class of failures. All but [`Kind::Disconnected`] are what the daemon says; the client itself uses [`Kind::Rejected`] and
/// [`Kind::Busy`] too, for calls that it does not send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request was turned down before the tool ran: its arguments, its size, its form; or the tool is not this agent's.
    Rejected,
    /// There is no such tool.
    UnknownTool,
    /// The agent's clients must show a token, and this one did not, or a wrong one.
    Unauthenticated,
    /// The tool says that it has no answer.
    Tool,
    /// The tool's answer is not JSON.
    Output,
    /// The tool crashed.
    Trap,
    /// The policy does not allow what the tool did.
    Violation,
    /// The call reached a limit.
    Cap,
    /// The call was cancelled.
    Cancelled,
    /// The process that ran the tool died, or could not be started.
    Worker,
    /// The daemon failed.
    Internal,
    /// Too many calls or connections; a later try may succeed.
    Busy,
    /// The tool is switched off.
    Off,
    /// Somebody must approve the call first.
    ApprovalNeeded,
    /// The connection is over: the daemon went away, sent what makes no sense, or closed a connection that was idle. Only the
    /// client says this, never a daemon.
    Disconnected,
    /// A class that this version does not know, in the daemon's word.
    Other(String),
}

impl Failure {
    /// A failure of a call of which nothing else is known.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), call: None, remains: Box::default(), was_never_sent: false }
    }

    /// Whether the tool is known not to have run, so that the call can be made again without doing anything twice.
    ///
    /// `false` means that it may have run. A call that was under way when the connection ended may have run, and may even have
    /// ended; the ledger knows.
    #[must_use]
    pub const fn is_known_not_to_have_run(&self) -> bool {
        match self.kind {
            Kind::Rejected
            | Kind::UnknownTool
            | Kind::Unauthenticated
            | Kind::Busy
            | Kind::Off
            | Kind::ApprovalNeeded => true,
            Kind::Disconnected => self.was_never_sent,
            Kind::Tool
            | Kind::Output
            | Kind::Trap
            | Kind::Violation
            | Kind::Cap
            | Kind::Cancelled
            | Kind::Worker
            | Kind::Internal
            | Kind::Other(_) => false,
        }
    }

    /// The connection ended. `was_sent` is whether the daemon may have the whole request.
    pub(crate) fn disconnected(message: &str, was_sent: bool) -> Self {
        Self { was_never_sent: !was_sent, ..Self::new(Kind::Disconnected, message) }
    }
}

impl Kind {
    /// The kind that a daemon names. No word of a daemon's means [`Kind::Disconnected`].
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        let known = KINDS.iter().find(|(name, _kind)| *name == word);
        known.map_or_else(|| Self::Other(word.to_owned()), |(_name, kind)| kind.clone())
    }

    /// Its word, as daemons and the ledger have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::Other(word) = self {
            return word;
        }
        KINDS.iter().find(|(_word, kind)| kind == self).map_or("disconnected", |(word, _kind)| word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The words of daemons.
const KINDS: [(&str, Kind); 14] = [
    ("rejected", Kind::Rejected),
    ("unknown-tool", Kind::UnknownTool),
    ("unauthenticated", Kind::Unauthenticated),
    ("tool", Kind::Tool),
    ("output", Kind::Output),
    ("trap", Kind::Trap),
    ("violation", Kind::Violation),
    ("cap", Kind::Cap),
    ("cancelled", Kind::Cancelled),
    ("worker", Kind::Worker),
    ("internal", Kind::Internal),
    ("busy", Kind::Busy),
    ("off", Kind::Off),
    ("approval-needed", Kind::ApprovalNeeded),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_its_kind() {
        for (word, kind) in KINDS {
            assert_eq!((Kind::of_word(word), kind.as_str()), (kind.clone(), word));
        }
        let later = Kind::of_word("of-later");
        assert_eq!((&later, later.as_str()), (&Kind::Other("of-later".to_owned()), "of-later"));
        assert_eq!(
            Kind::of_word("disconnected"),
            Kind::Other("disconnected".to_owned()),
            "no daemon says that it is gone"
        );
        assert_eq!(Kind::Disconnected.to_string(), "disconnected");
    }

    #[test]
    fn what_may_have_run_is_not_called_unrun() {
        let not_run = KINDS.iter().filter(|(_word, kind)| Failure::new(kind.clone(), "").is_known_not_to_have_run());
        let words: Vec<&str> = not_run.map(|(word, _kind)| *word).collect();
        assert_eq!(words, ["rejected", "unknown-tool", "unauthenticated", "busy", "off", "approval-needed"]);
        assert!(!Failure::new(Kind::Other("of-later".to_owned()), "").is_known_not_to_have_run());
        assert!(!Failure::new(Kind::Disconnected, "").is_known_not_to_have_run());
        assert!(!Failure::disconnected("", true).is_known_not_to_have_run());
        assert!(Failure::disconnected("", false).is_known_not_to_have_run());
    }

    /// Else every function that returns one is warned about (clippy's `result_large_err`).
    #[test]
    fn a_failure_is_small() {
        assert!(size_of::<Failure>() < 128, "{}", size_of::<Failure>());
    }
}
