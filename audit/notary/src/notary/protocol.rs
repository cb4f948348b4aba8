//! What the front and the notary say to each other.

use serde::{Deserialize, Serialize};
use tollgate_audit::confinement::BlockedCall;
use tollgate_audit::ids::{CallId, HostId, LeafIndex, TreeSize};

/// The front says to the notary; one JSON object a packet, at most [`PACKET_BYTES_MAX`](crate::PACKET_BYTES_MAX).
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
        observer: bool,
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
