//! How a daemon stands, for the operator.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::path_text;

/// How a daemon stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The version of what its processes, and the operator's commands, say to it.
    pub protocol: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The folder of its ledger. A path that is no UTF-8 text is in JSON the numbers of its bytes.
    #[serde(with = "path_text")]
    pub ledger: PathBuf,
    /// The file of its policy.
    #[serde(with = "path_text::option", default)]
    pub policy: Option<PathBuf>,
    /// SHA-256 of the text of the policy that holds.
    pub policy_digest: String,
    /// Whether calls are taken.
    pub ready: bool,
    /// Why not.
    pub why_not_ready: Vec<String>,
    /// Whether it is about to end: it has no agents any more, and goes once their last calls are over.
    #[serde(default)]
    pub ending: bool,
    /// Bytes that the ledger's disk has left.
    pub free_bytes: Option<u64>,
    /// Descriptors that its process has open.
    pub descriptors_open: Option<u64>,
    /// Most descriptors that it may have open (`RLIMIT_NOFILE`); none where there may be any number.
    pub descriptors_limit: Option<u64>,
    /// Milliseconds for which entries have been in the journal that no checkpoint covers yet.
    pub lag_ms: u64,
    /// Processes that run tools.
    pub workers: usize,
    /// Its agents, by name.
    pub agents: Vec<AgentStatus>,
}

/// How the door of an agent stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// The agent.
    pub agent: String,
    /// Its socket.
    #[serde(with = "path_text")]
    pub socket: PathBuf,
    /// Its port on the loopback interface.
    pub port: Option<u16>,
    /// The tools that the policy has for it and that nobody has installed.
    #[serde(default)]
    pub not_installed: Vec<String>,
    /// Those that an older version of Tollgate installed: `tollgate doctor --fix` moves them to where they can be called.
    #[serde(default)]
    pub to_move: Vec<String>,
    /// The process of its gateway, while it has clients.
    pub gateway: Option<u32>,
    /// Its connections.
    pub connections: usize,
    /// Its calls that run.
    pub running: usize,
    /// Its calls that wait for one of those to end, if its gateway says so.
    pub waiting: Option<usize>,
    /// Threads that make calls for it.
    pub lanes: usize,
}
