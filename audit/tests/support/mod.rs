//! What the tests of this folder share: sample entries, and a call recorded from start to end.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tollgate_audit::{
    AUDIT_ARCH_X86_64, Action, Adoption, BlockedCall, Call, CallClass, CallEnd, CallId, Claims, Closer, Digest,
    Durability, EncodedEntry, Enforcement, Entry, Erasure, Fact, Frontier, Intent, Kept, KernelRecord, KeyRotation,
    Layer, LeafIndex, LedgerKey, LedgerOpened, Level, Outcome, Pairs, Policy, PublicKey, Recorded, Reload, Report,
    RootHash, Sequence, SigningKey, Takeover, ThreadName, TreeSize, Usage, Verdict, Violation, WriterId, verify,
};
use tollgate_ledger::Ledger;
use tollgate_notary::{CallEnding, CallStart, CallSummary, CallTrail, DenialRef, FactRef, OutcomeTotals, Room};

/// A folder for a ledger, with room beside it for key and state.
pub(crate) struct Folder {
    _around: TempDir,
    path: PathBuf,
}

pub(crate) fn tempdir() -> std::io::Result<Folder> {
    let around = tempfile::tempdir()?;
    let path = around.path().join("ledger");
    std::fs::create_dir(&path)?;
    Ok(Folder { _around: around, path })
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// All files below `dir` with their contents, by name.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

/// An entry that stands alone.
pub(crate) fn policy() -> EncodedEntry {
    samples()[1].encode()
}

/// The text of a key file (C2SP signed-note, as Go's `note.GenerateKey` writes it).
pub(crate) fn key_file(seed: [u8; 32]) -> String {
    let key = SigningKey::from_seed(ORIGIN, &seed).unwrap().verifier();
    let secret = STANDARD.encode([&[1][..], &seed].concat());
    format!("PRIVATE+KEY+{ORIGIN}+{}+{secret}\n", key.id())
}

/// A key file with permissions as they must be.
pub(crate) fn write_key(path: &Path, seed: [u8; 32]) {
    std::fs::write(path, key_file(seed)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Leaves the journal alone, as when a writer is killed before its first checkpoint.
pub(crate) fn forget_checkpoint(dir: &Path) {
    std::fs::remove_file(dir.join("checkpoint")).unwrap();
    std::fs::remove_dir_all(dir.join("tile")).unwrap();
    remember(dir, TreeSize(0), Frontier::new().root(), "open");
}

/// Writes the state file by hand: the ledger signed so much last, is `open` or `closed`, and is read from its start.
pub(crate) fn remember(dir: &Path, size: TreeSize, root: RootHash, word: &str) {
    let said = format!("tollgate-state-2 1 {ORIGIN} {size} {root} 0 0 {word}");
    let check = hex::encode(&Digest::of(said.as_bytes()).0[..8]);
    // The second slot: generations count from 1.
    let mut bytes = vec![0; 512];
    bytes.extend(format!("{said} {check}\n").into_bytes());
    bytes.resize(1024, 0);
    std::fs::write(dir.with_extension("state"), bytes).unwrap();
}

/// The journal's frames of these entries, as a writer without the key makes them.
pub(crate) fn frames(entries: &[EncodedEntry]) -> Vec<u8> {
    let frame = |entry: &EncodedEntry| {
        let length = u16::try_from(entry.as_bytes().len()).unwrap().to_be_bytes();
        [&length[..], entry.as_bytes(), &entry.leaf().0[..4]].concat()
    };
    entries.iter().flat_map(frame).collect()
}

/// Adds entries to a journal behind its writer's back.
pub(crate) fn forge(dir: &Path, entries: &[EncodedEntry]) {
    let mut journal = std::fs::OpenOptions::new().append(true).open(dir.join("journal")).unwrap();
    std::io::Write::write_all(&mut journal, &frames(entries)).unwrap();
}

/// The ledger, key and state as they are now: what a writer that is killed leaves.
pub(crate) fn as_left_by_a_kill(dir: &Path) -> Folder {
    let left = tempdir().unwrap();
    for (name, bytes) in files(dir).into_iter().filter(|(name, _)| name != "lock") {
        let path = left.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for beside in ["key", "state"] {
        let to = left.path().with_extension(beside);
        std::fs::copy(dir.with_extension(beside), &to).unwrap();
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    left
}

pub(crate) const ORIGIN: &str = "example.com/ledger";
pub(crate) const SAMPLE_CALL: CallId = CallId([0xca; 16]);
pub(crate) const OPEN_AT: &str = "wasi:filesystem/types.open-at";
pub(crate) const OK: OutcomeTotals<'_> = OutcomeTotals { result: "ok", bytes_read: 4096, bytes_written: 0, calls: 3 };
pub(crate) const DENIAL: DenialRef<'_> = DenialRef {
    rule: "fs:/docs:write",
    layer: Layer::Gate,
    action: Action::Deny,
    message: "policy does not allow writing below /docs",
};

/// A ledger that is opened with a key, and goes on under another one.
pub(crate) fn key_samples() -> Vec<Entry<'static>> {
    let [old, new] = [1, 2].map(|seed| SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap());
    let time_ns = 1_700_000_000_000_000_002;
    let [old_key, public] = [&old, &new].map(|key| key.verifier().public_key());
    let key = LedgerKey { public: old_key, rotated: None };
    let opened = LedgerOpened { origin: ORIGIN.into(), software: "tollgate 0.2.0".into(), time_ns, key };
    let statement = opened.rotation_statement(old_key, public);
    let [signature, old_signature] = [&new, &old].map(|key| key.sign(statement.as_bytes()));
    let rotated = Some(Box::new(KeyRotation { old_key, signature, old_signature }));
    let rotated = LedgerOpened { key: LedgerKey { public, rotated }, ..opened.clone() };
    vec![Entry::LedgerOpened(opened), Entry::LedgerOpened(rotated)]
}

/// Entries with and without what depends on the policy's `audit` settings, of the call in [`samples`].
pub(crate) fn private_samples() -> Vec<Entry<'static>> {
    let [_, _, call] = openings();
    let [intent, ..] = host_calls();
    let [end, _] = endings();
    let (Entry::Call(call), Entry::Intent(intent), Entry::CallEnd(end)) = (call, intent, end) else {
        panic!("other samples")
    };
    vec![
        Entry::Call(Call { arguments: Recorded::Salted(Digest::of(b"salted {}")), ..call.clone() }),
        Entry::Call(Call { arguments: Recorded::Nothing, ..call }),
        Entry::Intent(Intent { durability: Durability::Disk, ..intent }),
        Entry::CallEnd(CallEnd {
            class: CallClass::Cap,
            detail: "the call used up its fuel".into(),
            result: Some(Digest::of(b"salted result")),
            cap: Some("fuel".into()),
            ..end
        }),
        Entry::Erasure(Erasure {
            call: SAMPLE_CALL,
            time_ns: 1_700_000_000_000_000_003,
            by: "operator".into(),
            reason: Some("the user asked for it".into()),
        }),
    ]
}

/// One entry of each kind that is about a writer, of the call in [`samples`].
pub(crate) fn writer_samples() -> Vec<Entry<'static>> {
    let writer = SAMPLE_CALL.issuer();
    vec![
        Entry::Enforcement(enforcement(writer)),
        Entry::BlockedCall(blocked(writer, Some(SAMPLE_CALL))),
        Entry::KernelRecord(KernelRecord {
            writer,
            process: 4321,
            text: "audit(1700000000.000:77): auid=1000 uid=1000 gid=1000 ses=1 pid=4321 comm=\"worker-1\" \
                   exe=\"/usr/bin/tollgate\" sig=31 arch=c000003e syscall=257 compat=0 ip=0x7f0000001234 code=0x30000"
                .into(),
        }),
    ]
}

/// A policy with folders, breaks, and the end of a request that was turned down, right after the call's first.
pub(crate) fn break_samples() -> Vec<Entry<'static>> {
    let time_ns = 1_700_000_000_000_000_005;
    let (policy, [end, _]) = (samples().swap_remove(1), endings());
    let (Entry::Policy(policy), Entry::CallEnd(end)) = (policy, end) else { panic!("other samples") };
    vec![
        Entry::Policy(Policy {
            folders: Pairs::new([("/docs", "65024:131 /srv/docs".into())]),
            declared: Some("counter".into()),
            ..policy
        }),
        Entry::Takeover(Takeover { time_ns, first: LeafIndex(2), count: 1 }),
        Entry::Adoption(Adoption {
            time_ns,
            reason: "restored from last night's copy".into(),
            by: "uid:1000".into(),
            first: LeafIndex(2),
            count: 2,
            known: Some((TreeSize(300), RootHash([0xdd; 32]))),
        }),
        Entry::CallEnd(CallEnd {
            seq: Sequence(1),
            class: CallClass::Rejected,
            detail: "the arguments do not match the schema of `count`".into(),
            usage: Usage { fuel_used: 0, memory_peak_bytes: 0, output_bytes: 0, stdio_bytes: 0, ..usage() },
            counters: Pairs::new(Vec::<(&str, u64)>::new()),
            entries: 1,
            ..end
        }),
    ]
}

/// What a ledger has of a daemon: a call by a proven agent that claims to be another one, withdrawn right after its first entry,
/// and a policy that was read again, once in vain.
pub(crate) fn daemon_samples() -> Vec<Entry<'static>> {
    let ([_, _, call], [end, _]) = (openings(), endings());
    let (Entry::Call(call), Entry::CallEnd(end)) = (call, end) else { panic!("other samples") };
    let reload = Reload {
        time_ns: 1_700_000_000_000_000_006,
        by: "uid:1000".into(),
        policy: Digest::of(b"[tools.word-count]\n"),
        refused: None,
    };
    let refused = Reload {
        time_ns: 1_700_000_000_000_000_007,
        policy: Digest::of(b"[tools"),
        refused: Some("line 1: no closing bracket".into()),
        ..reload.clone()
    };
    vec![
        Entry::Call(Call {
            agent: Some("builder".into()),
            session: Some("5f0c-1".into()),
            claims: Claims {
                agent: Some("root".into()),
                session: Some("s-1".into()),
                decision: Some("d-42".into()),
                reason: Some("the user asked how long the report is".into()),
                trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            },
            ..call
        }),
        Entry::CallEnd(CallEnd {
            seq: Sequence(1),
            class: CallClass::Cancelled,
            detail: "the call was cancelled".into(),
            usage: Usage { output_bytes: 0, stdio_bytes: 0, ..usage() },
            counters: Pairs::new(Vec::<(&str, u64)>::new()),
            entries: 1,
            ..end
        }),
        Entry::Reload(reload),
        Entry::Reload(refused),
    ]
}

/// What confines this writer.
pub(crate) fn enforcement(writer: WriterId) -> Enforcement<'static> {
    let mut policies = [Digest::of(b"capability set"), Digest::of(b"another")];
    policies.sort_unstable();
    Enforcement {
        writer,
        time_ns: 1_700_000_000_000_000_004,
        level: Level::Partial,
        required: Level::Partial,
        landlock_abi: 3,
        handled_fs: 0x7fff,
        handled_net: 0,
        scoped: 0,
        threads: 6,
        ruleset: Digest::of(b"ruleset"),
        filter: Digest::of(b"filter"),
        plan: Digest::of(b"plan"),
        policies: policies.to_vec(),
        policies_left_out: 0,
        self_test: "12 of 12 as expected".into(),
    }
}

/// A system call of this writer that its filter stopped.
pub(crate) fn blocked(writer: WriterId, call: Option<CallId>) -> BlockedCall {
    BlockedCall {
        writer,
        call,
        thread: ThreadName::new("worker-1"),
        number: 257,
        arch: AUDIT_ARCH_X86_64,
        arguments: [0xffff_ffff_ffff_ff9c, 0x7f00_0000_2000, 0, 0, 0, 0],
        instruction: 0x7f00_0000_1234,
    }
}

/// One entry of each of the first eight kinds, in the order of their numbers. They belong to one call, yet not to one sound story.
pub(crate) fn samples() -> Vec<Entry<'static>> {
    let [opened, policy, call] = openings();
    let [intent, outcome, violation] = host_calls();
    let [end, closer] = endings();
    vec![opened, policy, call, intent, outcome, violation, end, closer]
}

fn sample_key() -> PublicKey {
    SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap().verifier().public_key()
}

fn openings() -> [Entry<'static>; 3] {
    let call = SAMPLE_CALL;
    [
        Entry::LedgerOpened(LedgerOpened {
            origin: ORIGIN.into(),
            software: "tollgate 0.1.0".into(),
            time_ns: 1_700_000_000_000_000_000,
            key: LedgerKey { public: sample_key(), rotated: None },
        }),
        Entry::Policy(Policy {
            digest: Digest::of(b"capability set"),
            manifest: Digest::of(b"manifest"),
            grant: Digest::of(b"grant"),
            tool: "word-count".into(),
            by: "operator".into(),
            folders: Pairs::default(),
            declared: None,
        }),
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
                decision: Some("d-42".into()),
                reason: Some("the user asked how long the report is".into()),
                ..Claims::default()
            },
            arguments: Recorded::Salted(Digest::of(b"salted {}")),
            arguments_bytes: 2,
            capability_set: Digest::of(b"capability set"),
        }),
    ]
}

fn host_calls() -> [Entry<'static>; 3] {
    let call = SAMPLE_CALL;
    [
        Entry::Intent(Intent {
            call,
            seq: Sequence(1),
            at_us: 24,
            function: OPEN_AT.into(),
            facts: Pairs::new([
                ("path", Fact::Text("/docs/report.txt".into())),
                ("create", Fact::Bool(false)),
                ("quota-left-bytes", Fact::Uint(1 << 20)),
            ]),
            verdict: Verdict::Allow,
            rule: "fs:/docs:read".into(),
            durability: Durability::Pipe,
        }),
        Entry::Outcome(Outcome {
            call,
            seq: Sequence(2),
            of: Sequence(1),
            at_us: 300,
            result: "ok".into(),
            bytes_read: 4096,
            bytes_written: 0,
            calls: 3,
        }),
        Entry::Violation(Violation {
            call,
            seq: Sequence(4),
            of: Sequence(3),
            at_us: 70_000,
            function: OPEN_AT.into(),
            rule: "fs:/docs:write".into(),
            layer: Layer::Kernel,
            action: Action::Kill,
            message: "policy does not allow writing below /docs".into(),
        }),
    ]
}

fn endings() -> [Entry<'static>; 2] {
    let call = SAMPLE_CALL;
    [
        Entry::CallEnd(CallEnd {
            call,
            seq: Sequence(5),
            at_us: 70_001,
            class: CallClass::Violation,
            detail: "".into(),
            usage: usage(),
            counters: Pairs::new([("wasi:clocks/monotonic-clock.now", 12)]),
            entries: 5,
            root: RootHash([0xee; 32]),
            result: None,
            cap: None,
        }),
        Entry::Closer(Closer {
            call,
            of: vec![Sequence(7), Sequence(300)],
            left_out: 0,
            reason: "the writer ended without closing the call".into(),
        }),
    ]
}

pub(crate) fn usage() -> Usage {
    Usage {
        fuel_used: 123_456,
        fuel_cap: 500_000_000,
        memory_peak_bytes: 1 << 20,
        memory_cap_bytes: 16 << 20,
        wall_us: 70_001,
        deadline_us: 2_000_000,
        output_bytes: 17,
        stdio_bytes: 0,
    }
}

pub(crate) fn open(dir: &Path) -> Arc<Ledger> {
    Arc::new(Ledger::open(dir, ORIGIN, "tollgate test", 1).unwrap())
}

/// A call that asks for one file it may read and one that it may not write, and ends.
pub(crate) fn record_call(ledger: &Arc<Ledger>, id: u8) -> CallSummary {
    let mut trail = begin(ledger, id);
    let path = [("path", FactRef::Text("/docs/report.txt")), ("create", FactRef::Bool(false))];
    let intent = trail.intent(OPEN_AT, &path, "fs:/docs:read", Durability::Pipe).unwrap();
    trail.denied(OPEN_AT, &path, DENIAL).unwrap();
    trail.outcome(intent, OK);
    trail.end(ending(), Kept::Journal).unwrap()
}

pub(crate) fn begin(ledger: &Arc<Ledger>, id: u8) -> CallTrail {
    CallTrail::begin(ledger.clone(), start(CallId([id; 16])))
}

pub(crate) fn start(call: CallId) -> CallStart {
    CallStart {
        call,
        started: Instant::now(),
        deadline: Instant::now(),
        room: Room { entries: 200_000, bytes: 64 << 20 },
        time_ns: 2,
        tool: "word-count".to_owned(),
        version: "1.0.0".to_owned(),
        component: Digest::of(b"component"),
        operation: "count".to_owned(),
        agent: None,
        session: None,
        claims: Claims::default(),
        arguments: Recorded::Salted(Digest::of(b"salted {}")),
        arguments_bytes: 2,
        capability_set: Digest::of(b"capability set"),
    }
}

/// The end of a call that did nothing, as an entry.
pub(crate) fn call_end(call: CallId, root: RootHash) -> CallEnd<'static> {
    let [Entry::CallEnd(sample), _] = endings() else { panic!("no end") };
    CallEnd { call, seq: Sequence(1), entries: 1, root, ..sample }
}

/// The start of this call as an entry.
pub(crate) fn call(call: CallId) -> Call<'static> {
    let [_, _, Entry::Call(sample)] = openings() else { panic!("no call") };
    Call { call, writer: call.issuer(), ..sample }
}

pub(crate) fn ending() -> CallEnding {
    CallEnding {
        class: CallClass::Success,
        detail: String::new(),
        usage: usage(),
        counters: vec![("wasi:clocks/wall-clock.now".to_owned(), 1)],
        result: Some(Digest::of(b"salted result")),
        cap: None,
    }
}

pub(crate) fn report(dir: &Path) -> Report {
    verify(dir, None).unwrap()
}
