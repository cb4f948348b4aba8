//! A ledger that is the same every time: entries by hand, a key from a known seed, no clock.

use std::sync::OnceLock;

use tollgate_audit::{
    Action, Adoption, BlockedCall, Call, CallClass, CallEnd, CallId, Claims, Digest, Durability, Enforcement, Entry,
    Frontier, Intent, KernelRecord, Layer, LeafIndex, Level, Outcome, Recorded, Reload, RootHash, Sequence, SigningKey,
    Takeover, ThreadName, TreeSize, Usage, Verdict, VerifierKey, Violation, WriterId, call_root, leaf_hash,
};
use tollgate_ledger::Ledger;
use tollgate_testing::entries;
pub use tollgate_testing::entries::ORIGIN;
use tollgate_testing::ledgers::{key_file, state_file};

use crate::folder::{Files, Folder};
use crate::frames::{frame, frames};

/// The seed of its key.
pub const KEY_SEED: [u8; 32] = [1; 32];

/// The seeds of keys that a journal can name.
const SEEDS: [[u8; 32]; 2] = [KEY_SEED, [2; 32]];

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
        let key = key_file(ORIGIN, KEY_SEED).into_bytes();
        let state = state_file(ORIGIN, TreeSize(0), Frontier::new().root(), "open");
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
        files.insert("ledger.state".to_owned(), state_file(ORIGIN, TreeSize(covered as u64), tree.root(), "open"));
        Self { files, key, entries, covered, covered_bytes }
    }
}

/// The seed of a key that samples use.
pub(crate) fn seed_of(key: tollgate_audit::PublicKey) -> Option<[u8; 32]> {
    let is_of = |seed: &[u8; 32]| SigningKey::from_seed(ORIGIN, seed).is_ok_and(|of| of.verifier().public_key() == key);
    SEEDS.into_iter().find(is_of)
}

/// `ledger-opened`, with the key of a seed.
#[must_use]
pub fn opened(seed: [u8; 32]) -> Vec<u8> {
    bytes(&Entry::LedgerOpened(entries::ledger_opened(&key_of(seed))))
}

/// `key-rotated`, from the key of one seed to that of another.
#[must_use]
pub fn rotated(old: [u8; 32], new: [u8; 32]) -> Vec<u8> {
    let [old, new] = [old, new].map(key_of);
    bytes(&Entry::LedgerOpened(entries::rotated(&entries::ledger_opened(&old), [&old, &new])))
}

fn key_of(seed: [u8; 32]) -> SigningKey {
    SigningKey::from_seed(ORIGIN, &seed).expect("an origin")
}

/// An entry that stands alone.
#[must_use]
pub fn policy() -> Vec<u8> {
    entries::policy().as_bytes().to_vec()
}

/// What is kept of a call has been erased.
#[must_use]
pub fn erasure(call: CallId) -> Vec<u8> {
    bytes(&Entry::Erasure(entries::erasure(call)))
}

/// What confines a writer.
#[must_use]
pub fn enforcement(writer: WriterId) -> Vec<u8> {
    bytes(&Entry::Enforcement(Enforcement {
        level: Level::Full,
        required: Level::Full,
        landlock_abi: 7,
        handled_fs: 0xffff,
        handled_net: 3,
        scoped: 3,
        policies: vec![Digest::of(b"capability set")],
        ..entries::enforcement(writer)
    }))
}

/// A system call that a writer's filter stopped.
#[must_use]
pub fn blocked(writer: WriterId, call: Option<CallId>) -> Vec<u8> {
    bytes(&Entry::BlockedCall(BlockedCall { thread: ThreadName::new("executor-1"), ..entries::blocked(writer, call) }))
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

fn started(call: CallId) -> Entry<'static> {
    let start = entries::call(call);
    Entry::Call(Call {
        claims: Claims { decision: None, ..start.claims },
        arguments: if is_full(call) { start.arguments } else { Recorded::Nothing },
        ..start
    })
}

fn intent(call: CallId, seq: u32, verdict: Verdict) -> Entry<'static> {
    let durability = if is_full(call) { Durability::Disk } else { Durability::Pipe };
    Entry::Intent(Intent { call, seq: Sequence(seq), verdict, durability, ..entries::intent() })
}

fn outcome(call: CallId, seq: u32, of: u32) -> Entry<'static> {
    Entry::Outcome(Outcome { call, seq: Sequence(seq), of: Sequence(of), ..entries::outcome() })
}

fn violation(call: CallId, seq: u32, of: u32) -> Entry<'static> {
    let (seq, of, layer, action) = (Sequence(seq), Sequence(of), Layer::Gate, Action::Deny);
    Entry::Violation(Violation { call, seq, of, layer, action, ..entries::violation() })
}

fn call_end(call: CallId, seq: u32, root: RootHash) -> Entry<'static> {
    let is_full = is_full(call);
    Entry::CallEnd(CallEnd {
        call,
        seq: Sequence(seq),
        class: if is_full { CallClass::Cap } else { CallClass::Success },
        usage: Usage { fuel_used: 123_456, fuel_cap: 500_000_000, wall_us: 70_001, ..Usage::default() },
        entries: seq,
        root,
        result: is_full.then(|| Digest::of(b"salted result")),
        cap: is_full.then(|| "fuel".into()),
        ..entries::call_ended()
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

/// Makes the ledger longer than a tile of 256.
const ASKS: u32 = 124;
