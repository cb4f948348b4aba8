//! What hosts, the front and the notary say to each other beside entries.
//!
//! A host is not trusted: nothing that it can send here has a length or a text.

use serde::{Deserialize, Serialize};

use crate::confinement::BlockedCall;
use crate::ids::{CallId, HostId, LeafIndex, TreeSize};
use crate::record::Kept;

/// A host asks: say when all that I wrote until now is kept so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) token: u64,
    pub(crate) kept: Kept,
}

/// The notary answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) token: u64,
    /// Whether it is kept as asked; if not, it never will be.
    pub(crate) done: bool,
}

pub(crate) const WAIT_BYTES: usize = 9;
pub(crate) const ANSWER_BYTES: usize = 9;

impl Wait {
    pub(crate) fn encode(self) -> [u8; WAIT_BYTES] {
        let kept = match self.kept {
            Kept::Pipe => 0,
            Kept::Journal => 1,
            Kept::Disk => 2,
        };
        with_token(self.token, kept)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (token, kept) = split_token(*bytes.as_array()?);
        let kept = match kept {
            0 => Kept::Pipe,
            1 => Kept::Journal,
            2 => Kept::Disk,
            3.. => return None,
        };
        Some(Self { token, kept })
    }
}

impl Answer {
    pub(crate) fn encode(self) -> [u8; ANSWER_BYTES] {
        with_token(self.token, u8::from(self.done))
    }

    pub(crate) fn decode(bytes: [u8; ANSWER_BYTES]) -> Self {
        let (token, done) = split_token(bytes);
        Self { token, done: done == 1 }
    }
}

/// The front says to the notary; one JSON object a packet, at most [`PACKET_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToNotary {
    /// Here is a host. With two descriptors: its pipe, its socket.
    Host {
        /// Its id.
        host: HostId,
        /// The process that it is alone in, if it is apart; `None` for one in the front's own process.
        process: Option<u32>,
    },
    /// The process of a host apart has ended.
    Ended {
        /// The host.
        host: HostId,
        /// How, such as `killed by signal 9 (SIGKILL): over its deadline`.
        how: String,
    },
    /// These are the hosts that there are: open the ledger.
    Start,
    /// Make a checkpoint of all that is there.
    Checkpoint,
    /// Where is the end of this call?
    Locate {
        /// The call.
        call: CallId,
    },
}

/// The notary says to the front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromNotary {
    /// The ledger is open, and what the hosts' pipes held is in it.
    Ready {
        /// Number of entries.
        size: TreeSize,
        /// The key that verifies its checkpoints.
        verifier_key: String,
        /// Whether it hears the kernel's own audit.
        witness: bool,
    },
    /// The ledger does not open.
    Unusable {
        /// What can be done about it.
        fault: LedgerFault,
        /// What is wrong, with its causes.
        message: String,
        /// The number of the operating system's error, if there is one among the causes.
        os_error: Option<i32>,
    },
    /// Nothing can be written; what comes waits.
    Stalled {
        /// Why.
        reason: String,
    },
    /// It goes on.
    Flowing,
    /// A host must be ended, and be given nothing more to do: it wrote what it may not, or its filter stopped a system
    /// call. Said as soon as it is seen; [`FromNotary::Over`] follows.
    Condemned {
        /// The host.
        host: HostId,
        /// What it did.
        fault: String,
    },
    /// All that came of a host is in the ledger, and its calls are closed. Whoever starts notaries forgets it.
    Over {
        /// The host.
        host: HostId,
        /// How it ended.
        ending: HostEnding,
    },
    /// What is on disk is unknown: nothing more may be recorded until somebody has looked.
    Stopped {
        /// Why.
        reason: String,
    },
    /// Answers [`ToNotary::Checkpoint`].
    Checkpoint {
        /// Number of entries that it covers; or why there is none.
        covers: Result<TreeSize, String>,
    },
    /// Answers [`ToNotary::Locate`].
    Located {
        /// The index of its `call-end` entry, if it is one of the last few thousand.
        index: Option<LeafIndex>,
        /// Whether the ledger has the call: it is open, or one of the last few thousand that ended or were closed.
        is_on_record: bool,
    },
}

/// How a host ended, as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostEnding {
    /// It wrote nothing wrong.
    Closed,
    /// Its filter stopped this system call, the first if there were several.
    Blocked(BlockedCall),
    /// It wrote what it may not.
    Condemned {
        /// What it did.
        fault: String,
    },
}

/// Whose turn it is when a ledger does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerFault {
    /// Another process has it.
    InUse,
    /// The operating system refuses.
    Unreachable,
    /// It belongs to another system.
    Foreign,
    /// It is damaged.
    Damaged,
    /// It is not what it remembers to be: restored from a copy, without its memory, or added to while it was closed.
    Broken,
}

/// Most bytes of a packet between front and notary.
pub const PACKET_BYTES_MAX: usize = 8192;

fn with_token(token: u64, tag: u8) -> [u8; 9] {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = token.to_le_bytes();
    [t0, t1, t2, t3, t4, t5, t6, t7, tag]
}

fn split_token(bytes: [u8; 9]) -> (u64, u8) {
    let [token @ .., tag] = bytes;
    (u64::from_le_bytes(token), tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::{AUDIT_ARCH_X86_64, ThreadName};

    #[test]
    fn what_is_said_of_hosts_is_read_back() {
        let host = HostId([7; 6]);
        let blocked = BlockedCall {
            host,
            call: Some(CallId([1; 16])),
            thread: ThreadName::new("worker-1"),
            number: 257,
            arch: AUDIT_ARCH_X86_64,
            arguments: [u64::MAX; 6],
            instruction: u64::MAX,
        };
        let endings =
            [HostEnding::Closed, HostEnding::Blocked(blocked), HostEnding::Condemned { fault: "why".to_owned() }];
        for ending in endings {
            let say = FromNotary::Over { host, ending };
            let json = serde_json::to_vec(&say).unwrap();
            assert!(json.len() <= PACKET_BYTES_MAX);
            assert_eq!(serde_json::from_slice::<FromNotary>(&json).unwrap(), say);
        }
        for say in [
            ToNotary::Host { host, process: Some(42) },
            ToNotary::Host { host, process: None },
            ToNotary::Ended { host, how: "exit code 159".to_owned() },
        ] {
            let json = serde_json::to_vec(&say).unwrap();
            assert_eq!(serde_json::from_slice::<ToNotary>(&json).unwrap(), say);
        }
    }
}
