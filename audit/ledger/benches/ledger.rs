//! What the ledger costs: `cargo bench -p tollgate-audit --bench ledger -- [ENTRIES]` (10⁶ by default).
//!
//! Every figure is printed with what it must stay below or above; only the machine's speed decides, so nothing fails.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use tollgate_audit::{
    CallId, Digest, Durability, EncodedEntry, Entry, Fact, Intent, LeafIndex, Pairs, Policy, Prover, Salt, Sequence,
    TreeSize, Verdict, prove, verify,
};
use tollgate_ledger::{Ledger, SideStore};

fn main() {
    // `cargo test --bench ledger` runs this file too: a hundredth of it shows that it works.
    let shorter = if std::env::args().any(|arg| arg == "--bench") { 1 } else { 100 };
    let entries = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000 / shorter);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("ledger");
    encode(200_000 / shorter);
    append(&dir, entries);
    verify_all(&dir);
    reopen(&dir);
    proofs(&dir, 200 / shorter);
    single(&dir, 50_000 / shorter);
    private(&dir, 100_000 / shorter);
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, "example.com/bench", "bench", 1).unwrap()
}

fn encode(rounds: u64) {
    let start = Instant::now();
    for seq in 0..rounds {
        black_box(intent(seq).encode());
    }
    line("intent: encode and hash", start.elapsed(), rounds, "≤ 1 µs with its write");
}

/// As a notary does: entries come in groups, a checkpoint every 100 ms.
fn append(dir: &Path, entries: u64) {
    let ledger = open(dir);
    let group: Vec<EncodedEntry> = (0..64).map(|n| if n % 2 == 0 { policy() } else { policy_of("tool-2") }).collect();
    let (start, mut last, mut checkpoints) = (Instant::now(), Instant::now(), 0);
    while ledger.size().0 < entries {
        ledger.append(&group).unwrap();
        if last.elapsed() > Duration::from_millis(100) {
            ledger.checkpoint().unwrap();
            (last, checkpoints) = (Instant::now(), checkpoints + 1);
        }
    }
    ledger.checkpoint().unwrap();
    let size = ledger.size().0;
    line("append in groups of 64, checkpoint every 100 ms", start.elapsed(), size, "≥ 300,000/s");
    println!("  {checkpoints} checkpoints, {} bytes an entry", group.first().map_or(0, |entry| entry.as_bytes().len()));
}

fn verify_all(dir: &Path) {
    let start = Instant::now();
    let report = verify(dir, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
    line("verify: all hashes, tiles, bundles, structure", start.elapsed(), report.size.0, "≥ 500,000/s");
}

fn reopen(dir: &Path) {
    let start = Instant::now();
    let ledger = open(dir);
    let (took, from) = (start.elapsed(), ledger.recovery().read_from);
    println!("open {} entries: {took:.1?}, read from {from} (10⁷ ≤ 5 s)", ledger.size());
    drop(ledger);
    std::fs::remove_file(dir.with_extension("state")).unwrap();
    let start = Instant::now();
    let ledger = Ledger::adopt(dir, "bench", "its memory is gone", "bench", 1).unwrap();
    println!("adopt {} entries without memory: {:.1?}", ledger.size(), start.elapsed());
}

fn proofs(dir: &Path, rounds: u64) {
    let size = prove(dir, LeafIndex(0)).unwrap().checkpoint().unverified().size;
    let at = |n: u64| LeafIndex(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size.0);
    let start = Instant::now();
    (0..rounds).for_each(|n| drop(black_box(prove(dir, at(n)).unwrap())));
    line("receipt of any entry", start.elapsed(), rounds, "≤ 2 ms");
    let start = Instant::now();
    for n in 0..rounds {
        black_box(Prover::new(dir, size).consistency(TreeSize(at(n).0)).unwrap());
    }
    line("consistency with any earlier size", start.elapsed(), rounds, "≤ 2 ms");
}

fn single(dir: &Path, rounds: u64) {
    let ledger = open(dir);
    let entries: Vec<_> = (0..rounds).map(|seq| [intent(seq).encode()]).collect();
    let mut took: Vec<_> = entries
        .iter()
        .map(|entry| {
            let start = Instant::now();
            ledger.append(entry).unwrap();
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or_default();
    println!("append one by one: p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}", at(500), at(990), at(999));
}

/// Salt and digest as well: all that a call with private arguments costs more.
fn private(dir: &Path, rounds: u64) {
    let store = SideStore::open(dir).unwrap();
    let (salt, arguments) = (Salt([7; 32]), [b'x'; 200]);
    let start = Instant::now();
    for n in 0..rounds {
        black_box(salt.arguments(&arguments));
        store.put_call(CallId(u128::from(n).to_be_bytes()), &salt, Some(&arguments)).unwrap();
    }
    line("side store: keep salt and 200 bytes of a call", start.elapsed(), rounds, "≤ 5 µs");
    drop(store);
    let start = Instant::now();
    drop(SideStore::open(dir).unwrap());
    println!("side store: open {rounds} calls {:.1?}", start.elapsed());
    let start = Instant::now();
    black_box(SideStore::find(dir, CallId([0xff; 16])).unwrap());
    println!("side store: look through {rounds} calls {:.1?}", start.elapsed());
}

fn line(what: &str, took: Duration, count: u64, goal: &str) {
    let seconds = took.as_secs_f64();
    let (rate, each) = (count as f64 / seconds, seconds * 1e6 / count as f64);
    println!("{what}: {each:.2} µs each, {rate:.0}/s ({count} in {seconds:.2} s; {goal})");
}

fn policy() -> EncodedEntry {
    policy_of("word-count")
}

fn policy_of(tool: &str) -> EncodedEntry {
    let digest = Digest::of(tool.as_bytes());
    let (manifest, grant) = (digest, digest);
    Entry::Policy(Policy {
        digest,
        manifest,
        grant,
        tool: tool.into(),
        by: "operator".into(),
        folders: Pairs::default(),
        declared: None,
    })
    .encode()
}

fn intent(seq: u64) -> Entry<'static> {
    Entry::Intent(Intent {
        call: CallId([7; 16]),
        seq: Sequence(u32::try_from(seq).unwrap()),
        at_us: 24,
        function: "wasi:filesystem/types.open-at".into(),
        facts: Pairs::new([("path", Fact::Text("/docs/report.txt".into())), ("create", Fact::Bool(false))]),
        verdict: Verdict::Allow,
        rule: "fs:/docs:read".into(),
        durability: Durability::Pipe,
    })
}
