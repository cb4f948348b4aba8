//! What is asked of a tool, by whom, and what it answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tollgate_audit::{CallId, Usage};
use tollgate_capability::JSON_BYTES_MAX;
use tollgate_wasi_proxy::Stdout;

use crate::error::RejectError;

/// What is asked of a tool.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// Its arguments: JSON text without a byte-order mark, of at most `limits.input`.
    pub arguments: &'a str,
    /// What the guest may read from stdin, if it is granted: at most [`STDIN_BYTES_MAX`].
    pub stdin: Bytes,
    /// Who asks.
    pub caller: Caller,
}

/// Most bytes that a guest may be given on stdin: whoever has more gives it a folder.
pub const STDIN_BYTES_MAX: u64 = 64 << 20;

impl Request<'_> {
    /// Fails if the request is longer than any tool takes, since it could not be handed to a worker. The tool's own cap on
    /// arguments is checked later, when the call is on record.
    ///
    /// # Errors
    ///
    /// [`RejectError`], with the most that may be given.
    pub fn must_fit(&self) -> Result<(), RejectError> {
        let parts = [
            (RejectError::ARGUMENTS, self.arguments.len(), JSON_BYTES_MAX),
            (RejectError::STDIN, self.stdin.len(), STDIN_BYTES_MAX),
        ];
        let too_long = parts.into_iter().find(|(_, bytes, max)| *bytes as u64 > *max);
        too_long.map_or(Ok(()), |(what, _, max)| Err(RejectError::TooLong { what: what.to_owned(), max }))
    }
}

/// Who asks, as the ledger keeps it. By default nothing is proven and nothing claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who was proven to ask; `None` where nobody was, as in `tollgate run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Proven>,
    /// What the request says of itself.
    pub claims: Claims,
}

/// The agent that was proven to ask, by the means that the policy names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// The agent's name in the policy.
    pub agent: String,
    /// The session that was issued to it.
    pub session: String,
}

/// What a request says of who asks and why. None of it is proven: it goes on record, and nothing is allowed or limited by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The step of the language model that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Why, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The trace that the call is part of, such as a `traceparent` (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Caller {
    /// The session that a tool is told if it may ask: the issued one, or else the claimed one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        let issued = self.proven.as_ref().map(|proven| proven.session.as_str());
        issued.or(self.claims.session.as_deref())
    }
}

/// A caller of whom nothing was proven.
impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self { proven: None, claims }
    }
}

impl From<Claims> for tollgate_audit::Claims<'static> {
    fn from(claims: Claims) -> Self {
        let Claims { agent, session, decision, reason, trace } = claims;
        let text = |claim: Option<String>| claim.map(Into::into);
        Self {
            agent: text(agent),
            session: text(session),
            decision: text(decision),
            reason: text(reason),
            trace: text(trace),
        }
    }
}

/// The answer to a call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The tool's result, JSON text.
    pub output: String,
    /// What the call used.
    pub usage: Usage,
    /// What the guest wrote to its standard output and error.
    pub streams: Stdout,
    /// The call's id in the ledger.
    pub call: CallId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_told_the_issued_session_before_the_claimed_one() {
        let claims = Claims { session: Some("claimed".into()), ..Claims::default() };
        let claimed = Caller::from(claims);
        assert_eq!(claimed.session(), Some("claimed"));
        let proven = Some(Proven { agent: "builder".into(), session: "issued".into() });
        assert_eq!(Caller { proven, ..claimed }.session(), Some("issued"));
        assert_eq!(Caller::default().session(), None);
    }

    /// As the command line refuses it, whichever way it is given.
    #[test]
    fn more_than_any_tool_takes_is_refused_before_it_is_sent() {
        let fits = |arguments: usize, stdin: u64| {
            let arguments = " ".repeat(arguments);
            let stdin = vec![0; usize::try_from(stdin).unwrap()].into();
            Request { operation: "count", arguments: &arguments, stdin, caller: Caller::default() }.must_fit()
        };
        let arguments_max = usize::try_from(JSON_BYTES_MAX).unwrap();
        fits(arguments_max, STDIN_BYTES_MAX).unwrap();
        let long = fits(arguments_max + 1, 0).unwrap_err().to_string();
        assert_eq!(long, "the arguments are longer than 67108864 bytes, the most that any tool takes");
        let long = fits(0, STDIN_BYTES_MAX + 1).unwrap_err().to_string();
        assert_eq!(long, "standard input is longer than 67108864 bytes, the most that any tool takes");
    }
}
