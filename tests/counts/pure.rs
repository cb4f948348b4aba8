//! Code that makes no system call and that every call of a guest goes through: the decision, its facts, the entries and their
//! frames.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::frame::push_frame;
use tollgate_audit::{
    CallClass, CallEnd, CallId, Durability, Entry, Fact, Intent, Outcome, Pairs, RootHash, Sequence, Usage, Verdict,
    WriterId, leaf_hash,
};
use tollgate_capability::{
    Access, Call, CapabilitySet, Decision, FileId, FsCall, FsCapability, FsPath, GrantIndex, HandleFacts, OpenFlags,
    Patterns, Target, check,
};
use tollgate_workspace::foreign::missing;

use crate::allocations::{Allocations, count_me_apart};
use crate::expected::{INSTRUCTIONS, Numbers, compare};

/// The first argument of a process that executes one piece of code many times.
pub(crate) const ROLE: &str = "role-pure";

/// Executions that are counted: enough for what differs from start to start (addresses, hash seeds) to be less than one
/// instruction of an execution.
const TIMES: u64 = 1_000;

/// The part whose numbers are of allocations.
const ALLOCATIONS: &str = "allocations";

type Piece = (&'static str, fn(&Inputs, &mut Vec<u8>));

const PIECES: [Piece; 11] = [
    ("check-open-allowed", |inputs, _| allowed(check(&inputs.set, &inputs.open))),
    ("check-open-denied", |inputs, _| denied(check(&inputs.set, &inputs.write))),
    ("check-read-of-a-handle", |inputs, _| allowed(check(&inputs.set, &inputs.read))),
    ("facts-of-an-open", |inputs, _| drop(black_box(inputs.open.facts()))),
    ("encode-intent", |inputs, _| drop(black_box(inputs.intent.encode()))),
    ("hash-of-intent", |inputs, _| hash(&inputs.encoded[0])),
    ("encode-outcome", |inputs, _| drop(black_box(inputs.outcome.encode()))),
    ("hash-of-outcome", |inputs, _| hash(&inputs.encoded[1])),
    ("encode-call-end", |inputs, _| drop(black_box(inputs.end.encode()))),
    ("hash-of-call-end", |inputs, _| hash(&inputs.encoded[2])),
    ("frame-of-an-intent", |inputs, frames| {
        frames.clear();
        push_frame(black_box(frames), &inputs.encoded[0]);
    }),
];

/// Instructions and allocations of each piece.
pub(crate) fn pure_code_costs_what_it_did() {
    let allocations = allocations();
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        compare(&[(ALLOCATIONS, &allocations)]);
        return missing("`valgrind`", "apt.log");
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Start, end, and one execution of each piece: all processes have these.
    let base = instructions(folder.path(), PIECES[0].0, 0);
    let count = |(name, _): Piece| {
        let more = instructions(folder.path(), name, TIMES).checked_sub(base).expect("executions take instructions");
        (name.to_owned(), (more + TIMES / 2) / TIMES)
    };
    // Two processes at a time.
    let (these, those) = PIECES.split_at(PIECES.len() / 2);
    let mut found: Numbers = thread::scope(|scope| {
        let threads =
            [these, those].map(|pieces| scope.spawn(move || pieces.iter().copied().map(count).collect::<Vec<_>>()));
        threads.into_iter().flat_map(|thread| thread.join().expect("counts")).collect()
    });
    // An entry is encoded and hashed in one. The hash is most of it, and by others: apart from it a change is seen.
    for entry in ["intent", "outcome", "call-end"] {
        let hash = found[&format!("hash-of-{entry}")];
        let whole = found.get_mut(&format!("encode-{entry}")).expect("a piece");
        *whole = whole.checked_sub(hash).expect("a hash is part of the encoding");
    }
    compare(&[(ALLOCATIONS, &allocations), (INSTRUCTIONS, &found)]);
}

/// The role: executes a piece so many times.
pub(crate) fn execute(name: &str, times: &str) -> ExitCode {
    let (_, piece) = PIECES.into_iter().find(|(known, _)| *known == name).expect("a piece of code");
    let times: u64 = times.parse().expect("a number");
    let (inputs, mut frames) = (Inputs::new(), Vec::new());
    PIECES.iter().for_each(|(_, each)| each(&inputs, &mut frames));
    for _ in 0..times {
        piece(black_box(&inputs), &mut frames);
    }
    ExitCode::SUCCESS
}

/// Allocations of each piece, once it was executed before.
fn allocations() -> Numbers {
    count_me_apart();
    let (inputs, mut frames) = (Inputs::new(), Vec::new());
    let counted = PIECES.into_iter().map(|(name, piece)| {
        piece(&inputs, &mut frames);
        let before = Allocations::here().apart;
        piece(&inputs, &mut frames);
        let after = Allocations::here().apart;
        (name.to_owned(), after - before)
    });
    counted.collect()
}

/// All instructions of a process that executes a piece so many times, its start and end among them.
fn instructions(folder: &Path, name: &str, times: u64) -> u64 {
    let out = folder.join(format!("{name}-{times}"));
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(std::env::current_exe().expect("this program")).args([ROLE, name]).arg(times.to_string());
    // What stands in the environment is copied at the start.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ended = command.env_clear().env("PATH", path).stdin(Stdio::null()).output().expect("valgrind");
    assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    let text = fs::read_to_string(&out).expect("what callgrind counted");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
    total.trim().parse().expect("a number")
}

/// What the pieces are given.
struct Inputs {
    set: CapabilitySet,
    /// Opens a file of the second folder to read, which is allowed.
    open: Call,
    /// The same to write, which is not.
    write: Call,
    read: Call,
    intent: Entry<'static>,
    outcome: Entry<'static>,
    end: Entry<'static>,
    /// These three.
    encoded: [EncodedEntry; 3],
}

impl Inputs {
    fn new() -> Self {
        let folders = ["/src", "/docs", "/out"].map(folder);
        let set = CapabilitySet { fs: folders.into(), ..CapabilitySet::default() };
        let reads = OpenFlags { read: true, follow: true, ..OpenFlags::default() };
        let handle = HandleFacts { grant: GrantIndex(1), rights: [Access::Read].into_iter().collect() };
        let (intent, outcome, end) = (intent(), outcome(), end());
        Self {
            set,
            open: open(reads),
            write: open(OpenFlags { write: true, ..reads }),
            read: Call::Fs(FsCall::Read { handle }),
            encoded: [intent.encode(), outcome.encode(), end.encode()],
            intent,
            outcome,
            end,
        }
    }
}

fn folder(guest: &str) -> FsCapability {
    FsCapability {
        patterns: Patterns::new(vec!["**/*.md".to_owned()], vec!["drafts/**".to_owned()]).expect("patterns"),
        write_quota: 1 << 20,
        ..FsCapability::new(guest, format!("/srv/tollgate{guest}"), [Access::Read, Access::List].into_iter().collect())
    }
}

fn open(flags: OpenFlags) -> Call {
    let path = FsPath::new(GrantIndex(1), "reports", "2026/../summary.md".to_owned());
    let target = Target::File { id: FileId { device: 2_049, inode: 1_234_567 }, links: 1 };
    Call::Fs(FsCall::OpenAt { path, flags, target, handles_open: 3, quota_left: 0 })
}

fn intent() -> Entry<'static> {
    let facts = [
        ("grant", Fact::Uint(1)),
        ("dir", Fact::Text("reports".into())),
        ("path", Fact::Text("2026/../summary.md".into())),
        ("flags", Fact::Text("read,follow".into())),
        ("target", Fact::Text("file".into())),
        ("device", Fact::Uint(2_049)),
        ("inode", Fact::Uint(1_234_567)),
        ("handles_open", Fact::Uint(3)),
    ];
    Entry::Intent(Intent {
        call: call(),
        seq: Sequence(2),
        at_us: 345,
        function: "wasi:filesystem/types.[method]descriptor.open-at".into(),
        facts: Pairs::new(facts),
        verdict: Verdict::Allow,
        rule: "fs:/docs".into(),
        durability: Durability::Pipe,
    })
}

fn outcome() -> Entry<'static> {
    Entry::Outcome(Outcome {
        call: call(),
        seq: Sequence(3),
        of: Sequence(2),
        at_us: 400,
        result: "ok".into(),
        bytes_read: 4_096,
        bytes_written: 0,
        calls: 3,
    })
}

fn end() -> Entry<'static> {
    let usage = Usage {
        fuel_used: 12_345,
        fuel_cap: 1_000_000_000,
        memory_peak_bytes: 1 << 20,
        memory_cap_bytes: 16 << 20,
        wall_us: 500,
        deadline_us: 10_000_000,
        output_bytes: 14,
        stdio_bytes: 0,
    };
    Entry::CallEnd(CallEnd {
        call: call(),
        seq: Sequence(4),
        at_us: 500,
        class: CallClass::Success,
        detail: "".into(),
        usage,
        counters: Pairs::new([("wasi:clocks/monotonic-clock.now", 2)]),
        entries: 4,
        root: RootHash([7; 32]),
        result: None,
        cap: None,
    })
}

fn call() -> CallId {
    CallId::new(1_790_000_000_000, WriterId([1; 6]), 1)
}

fn hash(entry: &EncodedEntry) {
    black_box(leaf_hash(black_box(entry.as_bytes())));
}

fn allowed(decision: Decision<'_>) {
    assert!(matches!(black_box(decision), Decision::Allow(_)));
}

fn denied(decision: Decision<'_>) {
    assert!(matches!(black_box(decision), Decision::Deny(_)));
}
