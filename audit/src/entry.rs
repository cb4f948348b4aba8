//! What the ledger can say: one variant of [`Entry`] per kind.
//!
//! Plain data. No entry may carry the plain text of arguments or results: salted digests only.

use crate::confinement::{BlockedCall, Enforcement, KernelRecord};
use crate::ids::{CallId, Digest, PublicKey, RootHash, Sequence, Signature, WriterId};
use crate::key::VerifierKey;
use crate::pairs::Pairs;
use crate::takeover::{Adoption, Takeover};
use crate::text::Text;
use crate::wire_enum::wire_enum;

/// Most intents that one closer lists (5 bytes each at most, to fit the entry); further ones are counted.
pub const CLOSER_SEQUENCES_MAX: usize = 512;

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A process opened the ledger; the first entry, and one more at each later start. Also, as kind `key-rotated`:
    /// the process goes on under another key.
    LedgerOpened(LedgerOpened<'a>),
    /// A policy came into force.
    Policy(Policy<'a>),
    /// A call starts.
    Call(Call<'a>),
    /// A tool asks for something; recorded before it takes effect.
    Intent(Intent<'a>),
    /// What came of an allowed intent.
    Outcome(Outcome<'a>),
    /// An intent was refused.
    Violation(Violation<'a>),
    /// A call ended.
    CallEnd(CallEnd<'a>),
    /// A call will never end, since its writer died.
    Closer(Closer<'a>),
    /// The private data of a call was erased.
    Erasure(Erasure<'a>),
    /// What confines a writer.
    Enforcement(Enforcement<'a>),
    /// A writer's filter stopped a system call.
    BlockedCall(BlockedCall),
    /// What the kernel's own audit says of a writer.
    KernelRecord(KernelRecord<'a>),
    /// A writer died, and the next one took over what no checkpoint covered.
    Takeover(Takeover),
    /// An operator let the ledger go on from a copy.
    Adoption(Adoption<'a>),
    /// A daemon read its policy again.
    Reload(Reload<'a>),
}

/// See [`Entry::LedgerOpened`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOpened<'a> {
    /// The ledger's name (C2SP tlog-checkpoint "origin"), the same for its whole life.
    pub origin: Text<'a>,
    /// Name and version of the software that writes.
    pub software: Text<'a>,
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The key that signs checkpoints from here on.
    pub key: LedgerKey,
}

/// The key that signs a ledger's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerKey {
    /// The key; its name is the ledger's origin.
    pub public: PublicKey,
    /// The entry is of kind `key-rotated`, and another key signed until here.
    // Boxed: rare, and it would triple the size of an entry.
    pub rotated: Option<Box<KeyRotation>>,
}

/// How a key took over. Both keys sign [`LedgerOpened::rotation_statement`], so that neither the holder of the old
/// key nor that of the new one alone can bring the change about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// The key that signed until here.
    pub old_key: PublicKey,
    /// By the new key.
    pub signature: Signature,
    /// By the old key.
    pub old_signature: Signature,
}

impl KeyRotation {
    /// Whether both keys have signed that `entry` hands over to the key `to`.
    #[must_use]
    pub fn is_signed(&self, entry: &LedgerOpened<'_>, to: PublicKey) -> bool {
        let statement = entry.rotation_statement(self.old_key, to);
        [(self.old_key, &self.old_signature), (to, &self.signature)].into_iter().all(|(key, signature)| {
            let key = VerifierKey::new(entry.origin.as_str(), key);
            key.is_ok_and(|key| key.verifies(statement.as_bytes(), signature))
        })
    }
}

impl LedgerOpened<'_> {
    /// What the keys of a rotation sign. It cannot be taken for a checkpoint, whose second line is a number.
    #[must_use]
    pub fn rotation_statement(&self, from: PublicKey, to: PublicKey) -> String {
        let Self { time_ns, origin, .. } = self;
        format!("tollgate key rotation\nledger {origin}\nfrom {from}\nto {to}\nat {time_ns}\n")
    }
}

/// See [`Entry::Policy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy<'a> {
    /// The capability set that results and is enforced.
    pub digest: Digest,
    /// The manifest of the tool's author.
    pub manifest: Digest,
    /// The operator's grant.
    pub grant: Digest,
    /// The tool's name.
    pub tool: Text<'a>,
    /// Who loaded it.
    pub by: Text<'a>,
    /// The folders that were opened, by where the tool sees them: `DEVICE:INODE PATH`, the path as it was resolved.
    pub folders: Pairs<'a, Text<'a>>,
    /// The tool's name in its manifest, where that is another one.
    pub declared: Option<Text<'a>>,
}

/// See [`Entry::Call`]. It has sequence 0 in its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// The call that starts.
    pub call: CallId,
    /// Who writes the entries of this call. Recorded where it is not the one that gave the call its id.
    pub writer: WriterId,
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The tool's name.
    pub tool: Text<'a>,
    /// The tool's version.
    pub version: Text<'a>,
    /// The component that runs.
    pub component: Digest,
    /// The operation called.
    pub operation: Text<'a>,
    /// Who was proven to ask, by the name that the policy gives; `None` where nobody was proven.
    pub agent: Option<Text<'a>>,
    /// The session that the daemon issued to this agent.
    pub session: Option<Text<'a>>,
    /// What the request says of itself.
    pub claims: Claims<'a>,
    /// What is recorded of the arguments beside their length.
    pub arguments: Recorded,
    /// Length of the arguments in bytes.
    pub arguments_bytes: u64,
    /// The capability set in force.
    pub capability_set: Digest,
}

/// What a request says of who asks and why. Nobody has proven any of it, and nothing may be allowed or limited by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The agent that asks.
    pub agent: Option<Text<'a>>,
    /// The agent's session.
    pub session: Option<Text<'a>>,
    /// The decision of the language model that led here.
    pub decision: Option<Text<'a>>,
    /// The reason the agent gives.
    pub reason: Option<Text<'a>>,
    /// The trace that the call is part of, such as a `traceparent` (W3C Trace Context).
    pub trace: Option<Text<'a>>,
}

/// What an entry says of a text that must not stand in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A digest that nobody can match with a guess without the call's [`Salt`](crate::Salt).
    Salted(Digest),
    /// Nothing.
    Nothing,
}

/// See [`Entry::Intent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent<'a> {
    /// The call that asks.
    pub call: CallId,
    /// The place of this entry in its call.
    pub seq: Sequence,
    /// Microseconds since the call started.
    pub at_us: u64,
    /// The function called, such as `wasi:filesystem/types.open-at`.
    pub function: Text<'a>,
    /// What is asked, and what the decision was made on.
    pub facts: Pairs<'a, Fact<'a>>,
    /// The decision.
    pub verdict: Verdict,
    /// The rule that allows it, or the rule that is missing.
    pub rule: Text<'a>,
    /// What this entry survives from before its effect on.
    pub durability: Durability,
}

/// A value on which a decision was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A path, an address, a set of flags.
    Text(Text<'a>),
    /// A size, a quota, an inode.
    Uint(u64),
    /// A switch.
    Bool(bool),
}

/// See [`Entry::Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The call that asked.
    pub call: CallId,
    /// The place of this entry in its call.
    pub seq: Sequence,
    /// The intent that it closes.
    pub of: Sequence,
    /// Microseconds since the call started.
    pub at_us: u64,
    /// `ok`, a WASI error code such as `no-entry`, or `abandoned`.
    pub result: Text<'a>,
    /// Bytes read through what was acquired.
    pub bytes_read: u64,
    /// Bytes written through what was acquired.
    pub bytes_written: u64,
    /// Calls made on what was acquired.
    pub calls: u64,
}

/// See [`Entry::Violation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<'a> {
    /// The call that asked.
    pub call: CallId,
    /// The place of this entry in its call.
    pub seq: Sequence,
    /// The intent that it closes.
    pub of: Sequence,
    /// Microseconds since the call started.
    pub at_us: u64,
    /// The function called.
    pub function: Text<'a>,
    /// The rule that is missing.
    pub rule: Text<'a>,
    /// Which layer refused.
    pub layer: Layer,
    /// What happens to the guest.
    pub action: Action,
    /// What the caller is told.
    pub message: Text<'a>,
}

/// See [`Entry::CallEnd`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd<'a> {
    /// The call that ended.
    pub call: CallId,
    /// The place of this entry in its call.
    pub seq: Sequence,
    /// Microseconds since the call started.
    pub at_us: u64,
    /// How it ended.
    pub class: CallClass,
    /// More on how it ended, for humans.
    pub detail: Text<'a>,
    /// What it used.
    pub usage: Usage,
    /// Host calls without authority (clocks, randomness), by function.
    pub counters: Pairs<'a, u64>,
    /// Entries of this call before this one.
    pub entries: u32,
    /// Root of the call's own tree, over the leaf hashes of those entries in order.
    pub root: RootHash,
    /// Digest of the result with the call's [`Salt`](crate::Salt), if it is recorded.
    pub result: Option<Digest>,
    /// The cap that ended the call, such as `fuel`.
    pub cap: Option<Text<'a>>,
}

/// See [`Entry::Closer`]. It stands outside the call's own sequence and tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closer<'a> {
    /// The call that never ended.
    pub call: CallId,
    /// The intents left open, rising; at most [`CLOSER_SEQUENCES_MAX`].
    pub of: Vec<Sequence>,
    /// Number of further open intents that are not listed. They are closed too.
    pub left_out: u64,
    /// Why it is closed.
    pub reason: Text<'a>,
}

/// See [`Entry::Erasure`]. It stands outside the call's own sequence and tree, and may come after the call's end, or of a
/// call of which the ledger has no other entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure<'a> {
    /// The call whose salt, arguments and result are erased from the side store.
    pub call: CallId,
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Who had it erased.
    pub by: Text<'a>,
    /// Why.
    pub reason: Option<Text<'a>>,
}

/// See [`Entry::Reload`]. It belongs to no call, and is not about the policy that the daemon started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload<'a> {
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Who had it read.
    pub by: Text<'a>,
    /// SHA-256 of the policy file's text.
    pub policy: Digest,
    /// Why it is refused, and the old policy stays; `None` where it holds from here on.
    pub refused: Option<Text<'a>>,
}

/// What a call used, and its caps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

impl Entry<'_> {
    /// The kind of this entry.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::LedgerOpened(LedgerOpened { key: LedgerKey { rotated: Some(_), .. }, .. }) => Kind::KeyRotated,
            Self::LedgerOpened(_) => Kind::LedgerOpened,
            Self::Policy(_) => Kind::Policy,
            Self::Call(_) => Kind::Call,
            Self::Intent(_) => Kind::Intent,
            Self::Outcome(_) => Kind::Outcome,
            Self::Violation(_) => Kind::Violation,
            Self::CallEnd(_) => Kind::CallEnd,
            Self::Closer(_) => Kind::Closer,
            Self::Erasure(_) => Kind::Erasure,
            Self::Enforcement(_) => Kind::Enforcement,
            Self::BlockedCall(_) => Kind::BlockedCall,
            Self::KernelRecord(_) => Kind::KernelRecord,
            Self::Takeover(_) => Kind::Takeover,
            Self::Adoption(_) => Kind::Adoption,
            Self::Reload(_) => Kind::Reload,
        }
    }

    /// The place of this entry among those of its call; `None` for what stands outside of them.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::LedgerOpened(_)
            | Self::Policy(_)
            | Self::Closer(_)
            | Self::Erasure(_)
            | Self::Enforcement(_)
            | Self::BlockedCall(_)
            | Self::KernelRecord(_)
            | Self::Takeover(_)
            | Self::Adoption(_)
            | Self::Reload(_) => None,
            Self::Call(_) => Some(Sequence(0)),
            Self::Intent(entry) => Some(entry.seq),
            Self::Outcome(entry) => Some(entry.seq),
            Self::Violation(entry) => Some(entry.seq),
            Self::CallEnd(entry) => Some(entry.seq),
        }
    }

    /// The call that this entry belongs to, or is about.
    #[must_use]
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::LedgerOpened(_)
            | Self::Policy(_)
            | Self::Enforcement(_)
            | Self::KernelRecord(_)
            | Self::Takeover(_)
            | Self::Adoption(_)
            | Self::Reload(_) => None,
            Self::Call(entry) => Some(entry.call),
            Self::Intent(entry) => Some(entry.call),
            Self::Outcome(entry) => Some(entry.call),
            Self::Violation(entry) => Some(entry.call),
            Self::CallEnd(entry) => Some(entry.call),
            Self::Closer(entry) => Some(entry.call),
            Self::Erasure(entry) => Some(entry.call),
            Self::BlockedCall(entry) => entry.call,
        }
    }

    /// The writer that this entry names: that of a call that starts, or the one that it is about.
    #[must_use]
    pub fn writer(&self) -> Option<WriterId> {
        match self {
            Self::Enforcement(entry) => Some(entry.writer),
            Self::BlockedCall(entry) => Some(entry.writer),
            Self::KernelRecord(entry) => Some(entry.writer),
            Self::Call(entry) => Some(entry.writer),
            Self::LedgerOpened(_)
            | Self::Policy(_)
            | Self::Intent(_)
            | Self::Outcome(_)
            | Self::Violation(_)
            | Self::CallEnd(_)
            | Self::Closer(_)
            | Self::Erasure(_)
            | Self::Takeover(_)
            | Self::Adoption(_)
            | Self::Reload(_) => None,
        }
    }
}

wire_enum! {
    /// The kind of an entry.
    Kind {
        /// See [`Entry::LedgerOpened`].
        LedgerOpened = 1 "ledger-opened",
        /// See [`Entry::Policy`].
        Policy = 2 "policy",
        /// See [`Entry::Call`].
        Call = 3 "call",
        /// See [`Entry::Intent`].
        Intent = 4 "intent",
        /// See [`Entry::Outcome`].
        Outcome = 5 "outcome",
        /// See [`Entry::Violation`].
        Violation = 6 "violation",
        /// See [`Entry::CallEnd`].
        CallEnd = 7 "call-end",
        /// See [`Entry::Closer`].
        Closer = 8 "closer",
        /// See [`LedgerKey::rotated`].
        KeyRotated = 9 "key-rotated",
        /// See [`Entry::Erasure`].
        Erasure = 10 "erasure",
        /// See [`Entry::Enforcement`].
        Enforcement = 11 "enforcement",
        /// See [`Entry::BlockedCall`].
        BlockedCall = 12 "blocked-call",
        /// See [`Entry::KernelRecord`].
        KernelRecord = 13 "kernel-record",
        /// See [`Entry::Takeover`].
        Takeover = 14 "takeover",
        /// See [`Entry::Adoption`].
        Adoption = 15 "adoption",
        /// See [`Entry::Reload`].
        Reload = 16 "reload",
    }
}

wire_enum! {
    /// The decision on an intent.
    Verdict {
        /// Refused: no effect.
        Deny = 0 "deny",
        /// May take effect.
        Allow = 1 "allow",
    }
}

wire_enum! {
    /// What an intent survives by the time its effect begins.
    Durability {
        /// The death (SIGKILL) of any process, not the loss of power.
        Pipe = 0 "pipe",
        /// The loss of power too: it was on disk.
        Disk = 1 "disk",
    }
}

wire_enum! {
    /// The layer that refused an intent.
    Layer {
        /// The check of the capability set.
        Gate = 0 "gate",
        /// The kernel, below an intent that the gate allowed.
        Kernel = 1 "kernel",
    }
}

wire_enum! {
    /// What a violation does to the guest.
    Action {
        /// The instance ends at once.
        Kill = 0 "kill",
        /// The guest gets a WASI error code and goes on.
        Deny = 1 "deny",
    }
}

wire_enum! {
    /// How a call ended.
    CallClass {
        /// The tool returned a result.
        Success = 0 "success",
        /// The tool returned an error of its own.
        ToolError = 1 "tool-error",
        /// The call was killed for a violation.
        Violation = 2 "violation",
        /// A cap (fuel, memory, deadline, output) ended it.
        Cap = 3 "cap",
        /// The guest trapped.
        Trap = 4 "trap",
        /// Tollgate itself failed.
        Internal = 5 "internal",
        /// The request was turned down before the guest ran: the call has this entry and its first, and nothing between.
        Rejected = 6 "rejected",
        /// Whoever asked for the call withdrew it. It may have run or not.
        Cancelled = 7 "cancelled",
    }
}
