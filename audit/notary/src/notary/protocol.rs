//! What supervisors and the notary say to each other.
//!
//! The first supervisor started the notary. It may bring others, which borrow the notary: each says and hears the same on a channel
//! of its own, of its own writers.

use serde::{Deserialize, Serialize};
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::ids::{CallId, LeafIndex, TreeSize, WriterId};

use crate::writer::{Lease, WriterKind};

/// The supervisor says to the notary, after its hello; one message a packet, at most [`PACKET_BYTES_MAX`](tollgate_ipc::PACKET_BYTES_MAX).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToNotary {
    /// Here is a writer. With two descriptors: its pipe, its socket.
    Writer {
        /// Its id.
        writer: WriterId,
        /// What it is for: what it may write.
        kind: WriterKind,
        /// The calls that it may name.
        calls: Vec<Lease>,
        /// The process that it is alone in, if it is apart; `None` for one in the supervisor's own process.
        process: Option<u32>,
    },
    /// A writer may name these calls too, and the latest of those that it was given before ([`LEASES_MAX`](crate::LEASES_MAX)).
    Lease {
        /// The writer.
        writer: WriterId,
        /// The calls.
        calls: Lease,
    },
    /// The process of a writer apart has ended.
    Ended {
        /// The writer.
        writer: WriterId,
        /// How, such as `killed by signal 9 (SIGKILL): over its deadline`.
        how: String,
    },
    /// These are the writers that there are: open the ledger, or say that it is.
    Start {
        /// The token of the [`FromNotary::Retell`] that this answers; `None` where nobody asked.
        answers: Option<u64>,
    },
    /// Here is a supervisor that borrows this notary. With one descriptor: the notary's end of its channel. The first one alone may
    /// say it. Before the start: one that an earlier notary served.
    Supervisor {
        /// The first one's number for it: never 0, and never given twice.
        number: u32,
    },
    /// Nothing more comes: once my writers are over, say [`FromNotary::Left`] and hang up.
    Leave,
    /// Make a checkpoint of all that is there.
    Checkpoint,
    /// Where is the end of this call?
    Locate {
        /// The call.
        call: CallId,
    },
}

/// The notary says to a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromNotary {
    /// The ledger is open, and what the writers' pipes held is in it.
    Ready {
        /// Number of entries.
        size: TreeSize,
        /// The key that verifies its checkpoints.
        verifier_key: String,
        /// Whether it hears the kernel's own audit.
        observer: bool,
        /// The notary's process.
        process: u32,
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
    /// A writer must be ended, and be given nothing more to do: it wrote what it may not, or its filter stopped a system
    /// call. Said as soon as it is seen; [`FromNotary::Over`] follows.
    Condemned {
        /// The writer.
        writer: WriterId,
        /// What it did.
        fault: String,
    },
    /// All that came of a writer is in the ledger, and its calls are closed. Whoever starts notaries forgets it.
    Over {
        /// The writer.
        writer: WriterId,
        /// How it ended.
        ending: WriterEnding,
    },
    /// What is on disk is unknown: nothing more may be recorded until somebody has looked.
    Stopped {
        /// Why.
        reason: String,
    },
    /// The notary is gone, and another one follows, which says [`FromNotary::Retell`]; or none, and the channel closes. Said to those
    /// who borrow it by the supervisor that starts notaries, in the notary's place.
    Away,
    /// Another notary is there: say hello, tell of all writers and end with [`ToNotary::Start`].
    Retell {
        /// What tells this from what another notary asked.
        token: u64,
    },
    /// Answers [`ToNotary::Leave`]: all that came of the supervisor's writers is in the ledger. Nothing more comes.
    Left {
        /// Number of entries that a checkpoint on disk covers, among them all of these; or why there is none.
        covers: Result<TreeSize, String>,
    },
    /// A supervisor that borrows this notary is gone, with all of its writers, or was hung up on. Said to the first one, which
    /// forgets it.
    SupervisorGone {
        /// Its number.
        number: u32,
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
        /// Whether the ledger has the call: it is open, or one of the last few thousand that ended or were closed. No
        /// supervisor is told of calls of another one's writers.
        is_on_record: bool,
    },
}

/// How a writer ended, as the ledger tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriterEnding {
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
    /// It was begun in a format that is not read any more.
    OlderFormat,
    /// It belongs to another system.
    Foreign,
    /// It is damaged.
    Damaged,
    /// It is not what it remembers to be: restored from a copy, without its memory, or added to while it was closed.
    Broken,
}

#[cfg(test)]
mod tests {
    use tollgate_audit::confinement::{AUDIT_ARCH_X86_64, ThreadName};
    use tollgate_ipc::PACKET_BYTES_MAX;

    use super::*;
    use crate::LEASES_MAX;

    #[test]
    fn what_is_said_of_writers_is_read_back() {
        let writer = WriterId([7; 6]);
        let blocked = BlockedCall {
            writer,
            call: Some(CallId([1; 16])),
            thread: ThreadName::new("worker-1"),
            number: 257,
            arch: AUDIT_ARCH_X86_64,
            arguments: [u64::MAX; 6],
            instruction: u64::MAX,
        };
        let endings =
            [WriterEnding::Closed, WriterEnding::Blocked(blocked), WriterEnding::Condemned { fault: "why".to_owned() }];
        for ending in endings {
            let say = FromNotary::Over { writer, ending };
            let json = serde_json::to_vec(&say).unwrap();
            assert!(json.len() <= PACKET_BYTES_MAX);
            assert_eq!(serde_json::from_slice::<FromNotary>(&json).unwrap(), say);
        }
        let lease = Lease { issuer: writer, first: u32::MAX, calls: u32::MAX };
        for say in [
            FromNotary::Ready {
                size: TreeSize(u64::MAX),
                verifier_key: "k".repeat(1024),
                observer: true,
                process: u32::MAX,
            },
            FromNotary::Away,
            FromNotary::Retell { token: u64::MAX },
            FromNotary::Left { covers: Ok(TreeSize(u64::MAX)) },
            FromNotary::Left { covers: Err("why".to_owned()) },
            FromNotary::SupervisorGone { number: u32::MAX },
        ] {
            let json = serde_json::to_vec(&say).unwrap();
            assert!(json.len() <= PACKET_BYTES_MAX);
            assert_eq!(serde_json::from_slice::<FromNotary>(&json).unwrap(), say);
        }
        for say in [
            ToNotary::Supervisor { number: u32::MAX },
            ToNotary::Start { answers: None },
            ToNotary::Start { answers: Some(u64::MAX) },
            ToNotary::Leave,
            ToNotary::Writer { writer, kind: WriterKind::Worker, calls: vec![lease; LEASES_MAX], process: Some(42) },
            ToNotary::Writer { writer, kind: WriterKind::Supervisor, calls: Vec::new(), process: None },
            ToNotary::Lease { writer, calls: lease },
            ToNotary::Ended { writer, how: "exit code 159".to_owned() },
        ] {
            let json = serde_json::to_vec(&say).unwrap();
            assert!(json.len() <= PACKET_BYTES_MAX);
            assert_eq!(serde_json::from_slice::<ToNotary>(&json).unwrap(), say);
        }
    }
}
