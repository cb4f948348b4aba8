//! Sample entries, one at least of each kind: the same bytes each time.

use tollgate_audit::{
    AUDIT_ARCH_X86_64, Action, Adoption, BlockedCall, Call, CallClass, CallEnd, CallId, Claims, Closer, Digest,
    Durability, EncodedEntry, Enforcement, Entry, Erasure, Fact, Intent, KernelRecord, KeyRotation, Layer, LeafIndex,
    LedgerKey, LedgerOpened, Level, Outcome, Pairs, Policy, Recorded, Reload, RootHash, Sequence, SigningKey, Takeover,
    ThreadName, TreeSize, Usage, Verdict, Violation, WriterId,
};

pub const ORIGIN: &str = "example.com/ledger";
pub const SAMPLE_CALL: CallId = CallId([0xca; 16]);
pub const OPEN_AT: &str = "wasi:filesystem/types.open-at";

/// An entry that stands alone.
pub fn policy() -> EncodedEntry {
    Entry::Policy(policy_entry()).encode()
}

/// A ledger that is opened with a key, and goes on under another one.
pub fn key_samples() -> Vec<Entry<'static>> {
    let [old, new] = [1, 2].map(|seed| SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap());
    let time_ns = 1_700_000_000_000_000_002;
    let opened = LedgerOpened { software: "tollgate 0.2.0".into(), time_ns, ..ledger_opened(&old) };
    let rotated = rotated(&opened, [&old, &new]);
    vec![Entry::LedgerOpened(opened), Entry::LedgerOpened(rotated)]
}

/// Entries with and without what depends on the policy's `audit` settings, of the call in [`samples`].
pub fn private_samples() -> Vec<Entry<'static>> {
    let call = call(SAMPLE_CALL);
    vec![
        Entry::Call(Call { arguments: Recorded::Salted(Digest::of(b"salted {}")), ..call.clone() }),
        Entry::Call(Call { arguments: Recorded::Nothing, ..call }),
        Entry::Intent(Intent { durability: Durability::Disk, ..intent() }),
        Entry::CallEnd(CallEnd {
            class: CallClass::Cap,
            detail: "the call used up its fuel".into(),
            result: Some(Digest::of(b"salted result")),
            cap: Some("fuel".into()),
            ..call_ended()
        }),
        Entry::Erasure(erasure(SAMPLE_CALL)),
    ]
}

/// What is kept of a call has been erased.
pub fn erasure(call: CallId) -> Erasure<'static> {
    Erasure {
        call,
        time_ns: 1_700_000_000_000_000_003,
        by: "operator".into(),
        reason: Some("the user asked for it".into()),
    }
}

/// One entry of each kind that is about a writer, of the call in [`samples`].
pub fn writer_samples() -> Vec<Entry<'static>> {
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
pub fn break_samples() -> Vec<Entry<'static>> {
    let time_ns = 1_700_000_000_000_000_005;
    vec![
        Entry::Policy(Policy {
            folders: Pairs::new([("/docs", "65024:131 /srv/docs".into())]),
            declared: Some("counter".into()),
            ..policy_entry()
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
            ..call_ended()
        }),
    ]
}

/// What a ledger has of a daemon: a call by a proven agent that claims to be another one, withdrawn right after its first entry,
/// and a policy that was read again, once in vain.
pub fn daemon_samples() -> Vec<Entry<'static>> {
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
            ..call(SAMPLE_CALL)
        }),
        Entry::CallEnd(CallEnd {
            seq: Sequence(1),
            class: CallClass::Cancelled,
            detail: "the call was cancelled".into(),
            usage: Usage { output_bytes: 0, stdio_bytes: 0, ..usage() },
            counters: Pairs::new(Vec::<(&str, u64)>::new()),
            entries: 1,
            ..call_ended()
        }),
        Entry::Reload(reload),
        Entry::Reload(refused),
    ]
}

/// What confines this writer.
pub fn enforcement(writer: WriterId) -> Enforcement<'static> {
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
pub fn blocked(writer: WriterId, call: Option<CallId>) -> BlockedCall {
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
pub fn samples() -> Vec<Entry<'static>> {
    vec![
        Entry::LedgerOpened(ledger_opened(&SigningKey::from_seed(ORIGIN, &[1; 32]).unwrap())),
        Entry::Policy(policy_entry()),
        Entry::Call(call(SAMPLE_CALL)),
        Entry::Intent(intent()),
        Entry::Outcome(outcome()),
        Entry::Violation(violation()),
        Entry::CallEnd(call_ended()),
        Entry::Closer(closer()),
    ]
}

/// A ledger is opened with a key.
pub fn ledger_opened(key: &SigningKey) -> LedgerOpened<'static> {
    LedgerOpened {
        origin: ORIGIN.into(),
        software: "tollgate 0.1.0".into(),
        time_ns: 1_700_000_000_000_000_000,
        key: LedgerKey { public: key.verifier().public_key(), rotated: None },
    }
}

/// The ledger that is `opened` with the first key goes on under the second one.
pub fn rotated(opened: &LedgerOpened<'static>, [old, new]: [&SigningKey; 2]) -> LedgerOpened<'static> {
    let [old_key, public] = [old, new].map(|key| key.verifier().public_key());
    let statement = opened.rotation_statement(old_key, public);
    let [signature, old_signature] = [new, old].map(|key| key.sign(statement.as_bytes()));
    let rotated = Some(Box::new(KeyRotation { old_key, signature, old_signature }));
    LedgerOpened { key: LedgerKey { public, rotated }, ..opened.clone() }
}

pub fn policy_entry() -> Policy<'static> {
    Policy {
        digest: Digest::of(b"capability set"),
        manifest: Digest::of(b"manifest"),
        grant: Digest::of(b"grant"),
        tool: "word-count".into(),
        by: "operator".into(),
        folders: Pairs::default(),
        declared: None,
    }
}

/// The start of a call.
pub fn call(call: CallId) -> Call<'static> {
    Call {
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
    }
}

pub fn intent() -> Intent<'static> {
    Intent {
        call: SAMPLE_CALL,
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
    }
}

pub fn outcome() -> Outcome<'static> {
    Outcome {
        call: SAMPLE_CALL,
        seq: Sequence(2),
        of: Sequence(1),
        at_us: 300,
        result: "ok".into(),
        bytes_read: 4096,
        bytes_written: 0,
        calls: 3,
    }
}

pub fn violation() -> Violation<'static> {
    Violation {
        call: SAMPLE_CALL,
        seq: Sequence(4),
        of: Sequence(3),
        at_us: 70_000,
        function: OPEN_AT.into(),
        rule: "fs:/docs:write".into(),
        layer: Layer::Kernel,
        action: Action::Kill,
        message: "policy does not allow writing below /docs".into(),
    }
}

/// The end of a call that a violation ended.
pub fn call_ended() -> CallEnd<'static> {
    CallEnd {
        call: SAMPLE_CALL,
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
    }
}

pub fn closer() -> Closer<'static> {
    Closer {
        call: SAMPLE_CALL,
        of: vec![Sequence(7), Sequence(300)],
        left_out: 0,
        reason: "the writer ended without closing the call".into(),
    }
}

pub fn usage() -> Usage {
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

/// The end of a call that did nothing.
pub fn call_end(call: CallId, root: RootHash) -> CallEnd<'static> {
    CallEnd { call, seq: Sequence(1), entries: 1, root, ..call_ended() }
}
