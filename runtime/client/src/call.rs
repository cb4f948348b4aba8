//! What is asked of a tool, what it answers, and what is known of a tool before it is called.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call of a tool's operation, to be made once or more often.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// The operation. A tool that has only one needs no name for it.
    pub operation: Option<String>,
    /// JSON text; `{}` by default. It reaches the tool byte for byte, but line breaks between its parts become spaces.
    pub arguments: String,
    /// What the tool may read from standard input, if it is granted; empty by default.
    pub stdin: Option<String>,
    /// What the caller says of itself; nothing by default.
    pub claims: Claims,
    /// Whether the daemon sends what the tool logs while it runs; `false` by default.
    pub follows_logs: bool,
}

/// What a caller says of who asks and why. It is recorded as a claim: it allows nothing, and no limit follows from it.
///
/// A daemon takes at most 16 KiB of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The step of the language model that led to the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Why the call is made, in the caller's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The trace that the call belongs to: `traceparent` as W3C Trace Context writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

impl Call {
    /// A call of a tool that has only one operation, with the arguments `{}`.
    #[must_use]
    pub fn new(tool: impl Into<String>) -> Self {
        Self {
            tool: tool.into(),
            operation: None,
            arguments: "{}".to_owned(),
            stdin: None,
            claims: Claims::default(),
            follows_logs: false,
        }
    }

    /// Names the operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Gives the arguments as a value.
    ///
    /// # Errors
    ///
    /// The value has no JSON form.
    pub fn arguments(self, arguments: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(arguments).map(|text| self.arguments_text(text))
    }

    /// Gives the arguments as JSON text. Text that is not JSON fails the call with [`Kind::Rejected`](crate::Kind::Rejected) before
    /// anything is sent.
    #[must_use]
    pub fn arguments_text(mut self, arguments: impl Into<String>) -> Self {
        self.arguments = arguments.into();
        self
    }

    /// Gives what the tool may read from standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<String>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Says who asks, and why.
    #[must_use]
    pub fn claims(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// Asks for what the tool logs while it runs: [`Invocation::logs`](crate::Invocation::logs).
    #[must_use]
    pub const fn follow_logs(mut self) -> Self {
        self.follows_logs = true;
        self
    }
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The call's name in the ledger.
    pub call: String,
    /// The tool's result: JSON text, byte for byte as the daemon sent it.
    pub output: String,
    /// What the call used.
    pub usage: Usage,
    /// What the tool wrote to standard output. What is not UTF-8 became U+FFFD.
    pub stdout: String,
    /// What the tool wrote to standard error, which is also its log.
    pub stderr: String,
}

impl Reply {
    /// The tool's result as a value.
    ///
    /// # Errors
    ///
    /// It is no `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.output)
    }
}

/// What a call used, and what it might have used. What a daemon does not tell is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel (wasmtime's unit) used.
    pub fuel_used: u64,
    /// Cap on fuel.
    pub fuel_cap: u64,
    /// Peak of linear memory in bytes.
    pub memory_peak_bytes: u64,
    /// Cap on linear memory in bytes.
    pub memory_cap_bytes: u64,
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// Cap on wall time in microseconds.
    pub deadline_us: u64,
    /// Length of the result in bytes.
    pub output_bytes: u64,
    /// Captured standard output and error in bytes.
    pub stdio_bytes: u64,
}

/// The tools of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Tools {
    /// Those that the agent may call.
    pub tools: Vec<ToolInfo>,
    /// Those that are the agent's and cannot be called at the moment.
    #[serde(default)]
    pub unavailable: Vec<Unavailable>,
    /// How many of the agent's tools are in neither list, since an answer has no more room.
    #[serde(default)]
    pub left_out: u64,
}

/// A tool that cannot be called at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Unavailable {
    /// Its name.
    #[serde(rename = "tool")]
    pub name: String,
    /// Why, for people.
    pub why: String,
}

/// A tool that the agent may call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ToolInfo {
    /// Its name.
    #[serde(rename = "tool")]
    pub name: String,
    /// Its version, if it has one.
    #[serde(default)]
    pub version: Option<String>,
    /// What it is for, in its author's words: untrusted text.
    #[serde(default)]
    pub description: Option<String>,
    /// The operations that the agent may call.
    pub operations: Vec<OperationInfo>,
}

/// An operation of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OperationInfo {
    /// Its name.
    pub name: String,
    /// What it does, in its author's words: untrusted text.
    #[serde(default)]
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    #[serde(default)]
    pub input_schema: Value,
    /// The JSON Schema of its result; null where there is none.
    #[serde(default)]
    pub output_schema: Value,
}
