//! What a daemon and the gateway of one of its agents say to each other: packets on the control channel, messages on lanes.
//!
//! ```text
//! daemon ── ToGateway ──▶ gateway     control channel: one packet each, some with a descriptor
//! daemon ◀─ FromGateway ─ gateway
//!
//! daemon ◀──── Asked ──── gateway     lane: one question at a time,
//! daemon ───── Told ────▶ gateway           one answer, with pieces of the log before it
//! ```
//!
//! A gateway may have been broken into: the daemon takes what it says as its agent's requests, and as nothing else.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tollgate_ipc::MessageLimits;

/// What a daemon says to a gateway.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToGateway {
    /// Whose gateway it is, and within which limits. It comes first, behind the hello, and once.
    Begin {
        /// The agent's name.
        agent: String,
        /// Whether its clients must show a token before anything is answered.
        token: bool,
        /// The limits.
        limits: GatewayLimits,
    },
    /// A connected stream socket, of a Unix socket or of TCP, as the only descriptor.
    Client {
        /// The daemon's name for it.
        client: u64,
        /// Whether the client is one too many: it is told `busy` in the protocol that it speaks, and closed.
        is_busy: bool,
    },
    /// One end of a pair of stream sockets, as the only descriptor: a lane, with which one call can be made at a time.
    Lane,
    /// End the connections of clients at once: their tokens are not the agent's any more.
    Drop {
        /// Which: at most [`DROPPED_MAX`].
        clients: Vec<u64>,
    },
    /// There will be no more lanes than there are.
    NoLane,
    /// How many calls wait? Answered with [`FromGateway::Count`].
    Count,
    /// The list of tools may be another one than before.
    Changed,
    /// Take nothing new, finish what is under way, close idle connections, and end when none is left.
    Drain,
}

/// Bounds on what clients may take of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayLimits {
    /// Most connections that the daemon hands over at a time, those that are one too many included.
    pub connections: usize,
    /// Most calls that wait for a lane, of all connections, and most calls that one connection has under way.
    pub queue: usize,
    /// Most bytes of the header of an HTTP request.
    pub header_bytes: usize,
    /// Most bytes of the body of an HTTP request, and of a line of JSON-RPC.
    pub body_bytes: usize,
    /// Milliseconds without progress after which a connection is closed.
    pub idle_ms: u64,
    /// Milliseconds in which a client must have sent its first request, and the header of any HTTP request.
    pub handshake_ms: u64,
}

/// What a gateway says to its daemon, beside its lanes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromGateway {
    /// It is sealed, and takes clients.
    Ready,
    /// A call waits that no lane is free for: answered with [`ToGateway::Lane`] or [`ToGateway::NoLane`].
    WantLane,
    /// Answers [`ToGateway::Count`].
    Count {
        /// Calls that wait for a lane.
        waiting: usize,
    },
    /// A connection is over.
    Closed {
        /// Which.
        client: u64,
    },
    /// Whoever asked for a call does not want its answer any more.
    Cancel {
        /// Which, as in [`Asked::Call`].
        request: u64,
    },
}

/// What a gateway asks on a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Asked {
    /// Whether the token in the first blob is the agent's.
    Token {
        /// Who showed it.
        client: u64,
    },
    /// Which tools there are.
    Tools {
        /// Who asks.
        client: u64,
        /// In which form.
        format: Format,
    },
    /// A call. Its arguments, JSON text byte for byte as they came, are the first blob, its stdin the second.
    Call {
        /// Who asks.
        client: u64,
        /// The gateway's name for the call, given once.
        request: u64,
        /// What is called.
        named: Named,
        /// What the client says of itself.
        claims: Claims,
        /// Whether what the tool writes to stderr is to be told while it runs.
        logs: bool,
    },
    /// The receipt of a call.
    Receipt {
        /// Who asks.
        client: u64,
        /// The call's name in the ledger.
        call: String,
    },
    /// Whether calls would be taken.
    Ready,
}

/// What a call is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Named {
    /// An operation by the names that it has in the policy and in the ledger.
    Tool {
        /// The tool.
        tool: String,
        /// Which of its operations; its only one if none is named.
        operation: Option<String>,
    },
    /// An operation by the one name by which models have it. Its arguments are taken as its offered schema has them, and its output is
    /// told so.
    Offered {
        /// That name.
        name: String,
    },
}

/// The form of a list of tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Ours: everything that there is to know.
    #[default]
    Tollgate,
    /// MCP's `tools`.
    Mcp,
    /// The same, or the two tools that stand for all of them, as the policy has it (`serve.list`).
    McpByPolicy,
    /// Functions of `OpenAI`'s Responses API.
    Openai,
    /// Tools of Anthropic's Messages API.
    Anthropic,
    /// Function declarations of Gemini's API.
    Gemini,
}

/// What a client says of who asks, and why. Nothing follows from a claim: it goes on record as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The agent.
    pub agent: Option<String>,
    /// Its session.
    pub session: Option<String>,
    /// The step of the language model that led here.
    pub decision: Option<String>,
    /// Why, in its own words.
    pub reason: Option<String>,
    /// A trace, as W3C Trace Context writes it.
    pub trace: Option<String>,
}

/// What a daemon tells on a lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// Whether the token is the agent's.
    Token {
        /// Whether it is.
        is_right: bool,
    },
    /// The list of tools, JSON text, is the first blob.
    Tools,
    /// A piece of what a tool wrote to stderr is the first blob. Any number of these comes before the end of a call.
    Log,
    /// A call has its answer: output, as JSON text, stdout and stderr are the blobs.
    Answered {
        /// The call's name in the ledger.
        call: String,
        /// What it used: JSON text.
        usage: Box<RawValue>,
    },
    /// What a tool of the daemon's own answers, which is no call on record: JSON text is the first blob.
    Own,
    /// The receipt of a call, in its text form, is the first blob.
    Receipt,
    /// A call, or another question, has none. Stdout and stderr are the second and third blob.
    Failed {
        /// The call's name in the ledger, if it got one.
        call: Option<String>,
        /// What it used.
        usage: Option<Box<RawValue>>,
        /// Why.
        error: Failure,
    },
    /// Whether calls would be taken.
    Ready {
        /// Whether they would.
        ready: bool,
        /// Why not.
        why: Vec<String>,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The class of it, such as `violation` or `busy`.
    pub kind: String,
    /// The same for people.
    pub message: String,
    /// An object with what else there is to know, or null.
    pub details: Value,
}

impl Failure {
    /// Without details.
    #[must_use]
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), details: Value::Null }
    }
}

/// Clients that one packet has dropped.
pub const DROPPED_MAX: usize = 256;

/// What a daemon takes of a question. Claims and names are bounded where they are parsed.
#[must_use]
pub fn asked_limits(limits: &GatewayLimits) -> MessageLimits {
    MessageLimits { header: 1 << 20, values: 64, blobs: [limits.body_bytes, limits.body_bytes, 0] }
}

/// What a gateway takes of an answer: as much as a supervisor takes from a worker.
pub const TOLD_LIMITS: MessageLimits =
    MessageLimits { header: 16 << 20, values: 1 << 16, blobs: [256 << 20, 256 << 20, 256 << 20] };
