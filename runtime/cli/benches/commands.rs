//! What each command costs on a ledger of 10⁶ entries, in a home of 10,000 tools: time, peak of memory, bytes read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench starts the program, prints what it measures, and stops at the first thing that is wrong"
)]

#[path = "../tests/cli/desk.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod desk;
#[path = "../tests/cli/large.rs"]
mod large;

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use desk::{DOCS, Desk};
use tollgate_audit::CallId;

struct Scale {
    entries: u64,
    tools: usize,
    rounds: usize,
}

const WHOLE: Scale = Scale { entries: 1_000_000, tools: 10_000, rounds: 5 };
/// `cargo test --benches` runs this file too: it shows that it works.
const QUICK: Scale = Scale { entries: 5_000, tools: 50, rounds: 1 };

/// `CALL` is another call each time, from the ledger's middle, `LATE` one of the last, `SHORT` the short form of one.
const ON_LEDGER: [&str; 25] = [
    "key",
    "show --last 10",
    "show --limit 10",
    "show --last 10 --kind violation",
    "show --call LATE",
    "show --call CALL",
    "show --call CALL --private",
    "show --call SHORT",
    "show --from 1h",
    "show --tool nothing",
    "show",
    "show --json",
    "prove --call CALL",
    "prove --call CALL --intent 1",
    "consistency noted ledger --key @key",
    "replay --call LATE",
    "replay",
    "report --call LATE",
    "report",
    "report --format html",
    "export --call LATE",
    "export",
    "verify",
    "verify --checkpoint noted",
    "erase --call CALL",
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let given = |word: &str| args.iter().any(|arg| arg == word);
    let scale = if given("--bench") && !given("--quick") { WHOLE } else { QUICK };
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm", "--name", "word-count"]).code, 0);
    large::multiply(&desk.home(), "word-count", scale.tools);
    desk.count(&["--grant", "audit:arguments=full"]).json();
    let calls = large::lengthen(&desk.path("ledger"), scale.entries);
    std::fs::copy(desk.path("ledger/checkpoint"), desk.path("noted")).unwrap();
    desk.file("key", desk.key());
    println!("{} entries, {} tools, {} times each\n", scale.entries, scale.tools, scale.rounds);
    println!("| command | p50 (ms) | peak (MiB) | read (MiB) |\n|---|---|---|---|");
    let measured = |name: &str, command: &dyn Fn(usize) -> Command| {
        let mut costs: Vec<Cost> = (0..scale.rounds).map(|round| cost(command(round))).collect();
        costs.sort_unstable_by_key(|cost| cost.took);
        let median = &costs[costs.len() / 2];
        let (ms, mib) = (median.took.as_secs_f64() * 1e3, |bytes: u64| bytes as f64 / f64::from(1 << 20));
        println!("| {name} | {ms:.1} | {:.0} | {:.1} |", mib(median.peak_bytes), mib(median.read_bytes));
    };
    let input = ["--op", "count", "--input", r#"{"folder": "/docs"}"#];
    let on_tools: [(&str, &[&str]); 7] = [
        ("list", &["list"]),
        ("list --json", &["list", "--json"]),
        ("run NAME", &[&["run", "word-count"], &input[..], &DOCS].concat()),
        ("inspect NAME", &[&["inspect", "word-count"], &DOCS[..]].concat()),
        ("check", &[&["check", "tools/word-count.toml"], &DOCS[..], &["read", "/docs/a.txt"]].concat()),
        ("install, as it is installed", &["install", "tools/word-count.wasm", "--name", "word-count"]),
        ("doctor", &["doctor"]),
    ];
    for (name, args) in on_tools {
        measured(&format!("`{name}`"), &|_round| desk.command(args));
    }
    for name in ON_LEDGER {
        measured(&format!("`audit {name}`"), &|round| {
            let words = name.split(' ').map(|word| call_named(word, &calls, round));
            desk.command(&std::iter::once("audit".to_owned()).chain(words).collect::<Vec<_>>())
        });
    }
}

fn call_named(word: &str, calls: &[CallId], round: usize) -> String {
    let call = |place: usize| calls[place].to_string();
    match word {
        "CALL" => call(calls.len() / 2 + round),
        "LATE" => call(calls.len() - 1 - round),
        "SHORT" => format!("{}…{}", &call(calls.len() / 2)[..4], &call(calls.len() / 2)[20..]),
        word => word.to_owned(),
    }
}

struct Cost {
    took: Duration,
    peak_bytes: u64,
    read_bytes: u64,
}

/// Runs a command whose output nobody reads.
fn cost(mut command: Command) -> Cost {
    let start = Instant::now();
    command.stdout(File::create("/dev/null").unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let read_bytes = large::bytes_read(&child);
    let took = start.elapsed();
    let peak_bytes = wait(&mut child);
    Cost { took, peak_bytes, read_bytes }
}

/// Waits for a process that has ended, and says the most memory that it had at a time.
#[allow(unsafe_code, reason = "the standard library does not say what a process used")]
fn wait(child: &mut std::process::Child) -> u64 {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: both places are this function's own, and as large as the call writes.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    // SAFETY: all zeros are a usage, and the call wrote over them at most.
    let usage = unsafe { usage.assume_init() };
    let mut said = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(waited == pid && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}: {said}");
    u64::try_from(usage.ru_maxrss).unwrap() << 10
}
