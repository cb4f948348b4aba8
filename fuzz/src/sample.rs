//! A ledger that is the same every time: entries by hand, a key from a known seed, no clock.

use std::sync::OnceLock;

use tollgate_audit::{
    AUDIT_ARCH_X86_64, Action, Adoption, BlockedCall, Call, CallClass, CallEnd, CallId, Claims, Digest, Durability,
    Enforcement, Entry, Erasure, Fact, Frontier, Intent, KernelRecord, KeyRotation, Layer, LeafIndex, LedgerKey,
    LedgerOpened, Level, Outcome, Pairs, Policy, Recorded, Reload, RootHash, Sequence, SigningKey, Takeover,
    ThreadName, TreeSize, Usage, Verdict, VerifierKey, Violation, WriterId, call_root, leaf_hash,
};
use tollgate_ledger::Ledger;

use crate::folder::{Files, Folder};
use crate::frames::{frame, frames};

/// The name of the sample ledger.
pub const ORIGIN: &str = "example.com/ledger";

/// The seed of its key.
pub const KEY_SEED: [u8; 32] = [1; 32];

/// The seeds of keys that a journal can name, each with `0x01 ‖ seed` in Base64.
const KEYS: [([u8; 32], &str); 2] = [
    (KEY_SEED, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"),
    ([2; 32], "AQICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"),
];

/// A ledger with a full tile, a checkpoint, and entries after it.
#[derive(Debug)]
pub struct Sample {
    /// Its files.
    pub files: Files,
    /// Its key.
    pub key: VerifierKey,
    /// Its entries.
    pub entries: Vec<Vec<u8>>,
    /// How many of them the checkpoint covers.
    pub covered: usize,
    /// How many bytes of the journal these are.
    pub covered_bytes: usize,
}

/// The sample ledger.
#[must_use]
pub fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(Sample::new)
}

impl Sample {
    fn new() -> Self {
        let mut entries = vec![opened(KEY_SEED), policy()];
        entries.extend(call(CallId([1; 16]), ASKS, true));
        entries.extend(call(CallId([2; 16]), 1, true));
        entries.push(erasure(CallId([2; 16])));
        let journal: Vec<u8> = entries.iter().flat_map(|entry| frame(entry)).collect();
        let key = key_file_text(ORIGIN, KEY_SEED).into_bytes();
        let state = state_file(ORIGIN, 0, Frontier::new().root(), false);
        let files = [("ledger/journal".to_owned(), journal), ("ledger.key".to_owned(), key)];
        let folder = Folder::with(&files.into_iter().chain([("ledger.state".to_owned(), state)]).collect());
        let ledger = Ledger::open(&folder.ledger(), ORIGIN, "tollgate-fuzz", 3).expect("a sound ledger");
        let key = ledger.verifier_key();
        // Signs a checkpoint.
        drop(ledger);
        let mut files = folder.files();
        let journal = files.get_mut("ledger/journal").expect("a journal");
        let (covered, covered_bytes) = (frames(journal).0.len(), journal.len());
        let tail = [vec![policy()], call(CallId([3; 16]), 2, false)].concat();
        journal.extend(tail.iter().flat_map(|entry| frame(entry)));
        let entries = frames(journal).0.into_iter().map(<[u8]>::to_vec).collect();
        // Its writer died.
        let signed = frames(&journal[..covered_bytes]).0;
        let mut tree = Frontier::new();
        signed.iter().for_each(|entry| tree.append(leaf_hash(entry)));
        files.insert("ledger.state".to_owned(), state_file(ORIGIN, covered as u64, tree.root(), false));
        Self { files, key, entries, covered, covered_bytes }
    }
}

/// The text of a key file, if the seed is one of those that samples use.
#[must_use]
pub fn key_file_text(origin: &str, seed: [u8; 32]) -> String {
    let (_, secret) = KEYS.iter().find(|(known, _)| *known == seed).expect("a seed of a sample");
    let key = SigningKey::from_seed(origin, &seed).expect("an origin").verifier();
    format!("PRIVATE+KEY+{origin}+{}+{secret}\n", key.id())
}

/// A state file: so much was signed last, and whether the ledger was closed.
#[must_use]
pub(crate) fn state_file(origin: &str, size: u64, root: RootHash, is_closed: bool) -> Vec<u8> {
    let word = if is_closed { "closed" } else { "open" };
    let said = format!("tollgate-state-2 1 {origin} {size} {root} 0 0 {word}");
    let digest = Digest::of(said.as_bytes()).to_string();
    let check = digest.strip_prefix("sha256:").and_then(|hex| hex.get(..16)).expect("a digest");
    let mut bytes = vec![0; SLOT_BYTES];
    bytes.extend(format!("{said} {check}\n").into_bytes());
    bytes.resize(2 * SLOT_BYTES, 0);
    bytes
}

const SLOT_BYTES: usize = 512;

/// The seed of a key that samples use.
pub(crate) fn seed_of(key: tollgate_audit::PublicKey) -> Option<[u8; 32]> {
    let is_of = |seed: &[u8; 32]| SigningKey::from_seed(ORIGIN, seed).is_ok_and(|of| of.verifier().public_key() == key);
    KEYS.iter().map(|(seed, _)| *seed).find(is_of)
}

/// `ledger-opened`, with the key of a seed.
#[must_use]
pub fn opened(seed: [u8; 32]) -> Vec<u8> {
    let public = SigningKey::from_seed(ORIGIN, &seed).expect("an origin").verifier().public_key();
    bytes(&Entry::LedgerOpened(ledger_opened(LedgerKey { public, rotated: None })))
}

/// `key-rotated`, from the key of one seed to that of another.
#[must_use]
pub fn rotated(old: [u8; 32], new: [u8; 32]) -> Vec<u8> {
    let [old, new] = [old, new].map(|seed| SigningKey::from_seed(ORIGIN, &seed).expect("an origin"));
    let [old_key, public] = [&old, &new].map(|key| key.verifier().public_key());
    let mut entry = ledger_opened(LedgerKey { public, rotated: None });
    let statement = entry.rotation_statement(old_key, public);
    let [signature, old_signature] = [&new, &old].map(|key| key.sign(statement.as_bytes()));
    entry.key.rotated = Some(Box::new(KeyRotation { old_key, signature, old_signature }));
    bytes(&Entry::LedgerOpened(entry))
}

/// An entry that stands alone.
#[must_use]
pub fn policy() -> Vec<u8> {
    bytes(&Entry::Policy(Policy {
        digest: Digest::of(b"capability set"),
        manifest: Digest::of(b"manifest"),
        grant: Digest::of(b"grant"),
        tool: "word-count".into(),
        by: "operator".into(),
        folders: Pairs::default(),
        declared: None,
    }))
}

/// What is kept of a call has been erased.
#[must_use]
pub fn erasure(call: CallId) -> Vec<u8> {
    bytes(&Entry::Erasure(Erasure {
        call,
        time_ns: 1_700_000_000_000_000_003,
        by: "operator".into(),
        reason: Some("the user asked for it".into()),
    }))
}

/// What confines a writer.
#[must_use]
pub fn enforcement(writer: WriterId) -> Vec<u8> {
    bytes(&Entry::Enforcement(Enforcement {
        writer,
        time_ns: 1_700_000_000_000_000_004,
        level: Level::Full,
        required: Level::Full,
        landlock_abi: 7,
        handled_fs: 0xffff,
        handled_net: 3,
        scoped: 3,
        threads: 6,
        ruleset: Digest::of(b"ruleset"),
        filter: Digest::of(b"filter"),
        plan: Digest::of(b"plan"),
        policies: vec![Digest::of(b"capability set")],
        policies_left_out: 0,
        self_test: "12 of 12 as expected".into(),
    }))
}

/// A system call that a writer's filter stopped.
#[must_use]
pub fn blocked(writer: WriterId, call: Option<CallId>) -> Vec<u8> {
    bytes(&Entry::BlockedCall(BlockedCall {
        writer,
        call,
        thread: ThreadName::new("executor-1"),
        number: 257,
        arch: AUDIT_ARCH_X86_64,
        arguments: [u64::MAX - 99, 0x7f00_0000_2000, 0, 0, 0, 0],
        instruction: 0x7f00_0000_1234,
    }))
}

/// What the kernel says of it.
#[must_use]
pub fn kernel_record(writer: WriterId) -> Vec<u8> {
    let text = "audit(1700000000.000:77): pid=4321 comm=\"executor-1\" sig=31 arch=c000003e syscall=257";
    bytes(&Entry::KernelRecord(KernelRecord { writer, process: 4321, text: text.into() }))
}

/// The next writer took these entries over.
#[must_use]
pub fn takeover(first: u64, count: u64) -> Vec<u8> {
    let first = LeafIndex(first);
    bytes(&Entry::Takeover(Takeover { time_ns: 1_700_000_000_000_000_005, first, count }))
}

/// An operator let the ledger go on.
#[must_use]
pub fn adoption(first: u64, count: u64, known: Option<u64>) -> Vec<u8> {
    bytes(&Entry::Adoption(Adoption {
        time_ns: 1_700_000_000_000_000_006,
        reason: "restored from a copy".into(),
        by: "operator".into(),
        first: LeafIndex(first),
        count,
        known: known.map(|size| (TreeSize(size), RootHash([7; 32]))),
    }))
}

/// The policy was read again, or was not taken.
#[must_use]
pub fn reload(refused: bool) -> Vec<u8> {
    bytes(&Entry::Reload(Reload {
        time_ns: 1_700_000_000_000_000_007,
        by: "operator".into(),
        policy: Digest::of(b"policy"),
        refused: refused.then(|| "line 1: no closing bracket".into()),
    }))
}

/// A call by an agent that was proven to ask, which claims to be another one and withdraws it.
#[must_use]
pub fn cancelled(id: CallId) -> Vec<Vec<u8>> {
    let Entry::Call(start) = started(id) else { panic!("the start of a call") };
    let claims = Claims { session: Some("s-1".into()), trace: Some("00-4bf9-00f0-01".into()), ..start.claims };
    let start = Call { agent: Some("builder".into()), session: Some("5f0c-1".into()), claims, ..start };
    let start = bytes(&Entry::Call(start));
    let Entry::CallEnd(end) = call_end(id, 1, call_root(&[leaf_hash(&start)])) else { panic!("the end of a call") };
    let end = CallEnd { class: CallClass::Cancelled, result: None, cap: None, ..end };
    vec![start, bytes(&Entry::CallEnd(end))]
}

/// A call that asks `asks` times for what it gets and once for what it does not. Unless it has `ended`, its last
/// intent is open. Calls of even number have what the policy's `audit` settings and caps add.
#[must_use]
pub fn call(call: CallId, asks: u32, ended: bool) -> Vec<Vec<u8>> {
    let mut entries = vec![bytes(&started(call))];
    for ask in 0..asks {
        let seq = 1 + 2 * ask;
        entries.push(bytes(&intent(call, seq, Verdict::Allow)));
        if ended || ask + 1 < asks {
            entries.push(bytes(&outcome(call, seq + 1, seq)));
        }
    }
    if ended {
        let seq = 1 + 2 * asks;
        entries.push(bytes(&intent(call, seq, Verdict::Deny)));
        entries.push(bytes(&violation(call, seq + 1, seq)));
        let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        entries.push(bytes(&call_end(call, seq + 2, call_root(&leaves))));
    }
    entries
}

fn ledger_opened(key: LedgerKey) -> LedgerOpened<'static> {
    LedgerOpened { origin: ORIGIN.into(), software: "tollgate 0.1.0".into(), time_ns: 1_700_000_000_000_000_000, key }
}

fn started(call: CallId) -> Entry<'static> {
    Entry::Call(Call {
        call,
        writer: call.issuer(),
        time_ns: 1_700_000_000_000_000_001,
        tool: "word-count".into(),
        version: "1.0.0".into(),
        component: Digest::of(b"component"),
        operation: "count".into(),
        agent: None,
        session: None,
        claims: Claims {
            agent: Some("agent-7".into()),
            reason: Some("the user asked how long the report is".into()),
            ..Claims::default()
        },
        arguments: if is_full(call) { Recorded::Salted(Digest::of(b"salted {}")) } else { Recorded::Nothing },
        arguments_bytes: 2,
        capability_set: Digest::of(b"capability set"),
    })
}

fn intent(call: CallId, seq: u32, verdict: Verdict) -> Entry<'static> {
    Entry::Intent(Intent {
        call,
        seq: Sequence(seq),
        at_us: 24,
        function: OPEN_AT.into(),
        facts: Pairs::new([
            ("path", Fact::Text("/docs/report.txt".into())),
            ("create", Fact::Bool(false)),
            ("quota-left-bytes", Fact::Uint(1 << 20)),
        ]),
        verdict,
        rule: "fs:/docs:read".into(),
        durability: if is_full(call) { Durability::Disk } else { Durability::Pipe },
    })
}

fn outcome(call: CallId, seq: u32, of: u32) -> Entry<'static> {
    let (seq, of) = (Sequence(seq), Sequence(of));
    Entry::Outcome(Outcome {
        call,
        seq,
        of,
        at_us: 300,
        result: "ok".into(),
        bytes_read: 4096,
        bytes_written: 0,
        calls: 3,
    })
}

fn violation(call: CallId, seq: u32, of: u32) -> Entry<'static> {
    Entry::Violation(Violation {
        call,
        seq: Sequence(seq),
        of: Sequence(of),
        at_us: 70_000,
        function: OPEN_AT.into(),
        rule: "fs:/docs:write".into(),
        layer: Layer::Gate,
        action: Action::Deny,
        message: "policy does not allow writing below /docs".into(),
    })
}

fn call_end(call: CallId, seq: u32, root: RootHash) -> Entry<'static> {
    let is_full = is_full(call);
    Entry::CallEnd(CallEnd {
        call,
        seq: Sequence(seq),
        at_us: 70_001,
        class: if is_full { CallClass::Cap } else { CallClass::Success },
        detail: "".into(),
        usage: Usage { fuel_used: 123_456, fuel_cap: 500_000_000, wall_us: 70_001, ..Usage::default() },
        counters: Pairs::new([("wasi:clocks/monotonic-clock.now", 12)]),
        entries: seq,
        root,
        result: is_full.then(|| Digest::of(b"salted result")),
        cap: is_full.then(|| "fuel".into()),
    })
}

/// A request that was turned down; one that `ran` all the same has entries that it may not have.
#[must_use]
pub fn rejected(id: CallId, ran: bool) -> Vec<Vec<u8>> {
    let mut entries = if ran { call(id, 0, true) } else { vec![bytes(&started(id))] };
    if ran {
        entries.pop();
    }
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let seq = u32::try_from(entries.len()).expect("few entries");
    let Entry::CallEnd(end) = call_end(id, seq, call_root(&leaves)) else { panic!("the end of a call") };
    entries.push(bytes(&Entry::CallEnd(CallEnd { class: CallClass::Rejected, result: None, cap: None, ..end })));
    entries
}

fn is_full(call: CallId) -> bool {
    call.count().is_multiple_of(2)
}

fn bytes(entry: &Entry<'_>) -> Vec<u8> {
    entry.encode().as_bytes().to_vec()
}

const OPEN_AT: &str = "wasi:filesystem/types.open-at";

/// Makes the ledger longer than a tile of 256.
const ASKS: u32 = 124;
