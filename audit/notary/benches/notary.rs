//! What recording through a notary costs: `cargo bench -p tollgate-audit --bench notary -- [ENTRIES]` (10⁶ by default).
//!
//! The notary is a process of its own, as it is in use. Every figure is printed with its goal; nothing fails.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]
#![allow(clippy::disallowed_methods, reason = "this bench runs itself as the notary")]

use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::{CallClass, Durability, Kept, Record as _, Usage, verify};
use tollgate_ipc::Channel;
use tollgate_notary::{
    CALL_ENTRIES_MAX, CallEnding, CallStart, CallTrail, FactRef, FromNotary, Lease, Notary, NotaryEnds, NotaryOf,
    OutcomeTotals, Recorder, Room, Status, ToNotary, WriterKind,
};
use tollgate_testing::calls;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, folder] = args.as_slice()
        && role == "notary"
    {
        return notary(Path::new(folder));
    }
    // `cargo test --bench notary` runs this file too: a hundredth of it shows that it works.
    let shorter = if args.iter().any(|arg| arg == "--bench") { 1 } else { 100 };
    let entries = args.iter().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000 / shorter);
    let calls = 2_000 / shorter;
    let dir = tempfile::tempdir().unwrap();
    paced(&dir.path().join("paced"), calls);
    for kept in [Kept::Pipe, Kept::Journal, Kept::Disk] {
        ends(&dir.path().join(format!("{kept:?}")), kept, calls);
    }
    for entries in [entries / 10, entries] {
        let folder = dir.path().join(entries.to_string());
        flood(&folder, entries);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

struct Running {
    recorder: Arc<Recorder>,
    supervisor: Channel,
    child: Child,
    _end: NotaryEnds,
}

fn start(folder: &Path) -> Running {
    let (recorder, end) = Recorder::new().unwrap();
    let (supervisor, theirs) = Channel::pair().unwrap();
    supervisor.say_hello().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .arg("notary")
        .arg(folder)
        .stdin(Stdio::from(theirs))
        .spawn()
        .unwrap();
    supervisor
        .send_with(
            &ToNotary::Writer {
                writer: end.writer,
                kind: WriterKind::Worker,
                calls: vec![Lease::own(end.writer)],
                process: None,
            },
            &[end.pipe.as_fd(), end.acks.as_fd()],
        )
        .unwrap();
    supervisor.send(&ToNotary::Start { answers: None }).unwrap();
    assert!(matches!(supervisor.receive().unwrap(), Some((FromNotary::Ready { .. }, _))));
    recorder.set_status(Status::Ready);
    Running { recorder: Arc::new(recorder), supervisor, child, _end: end }
}

impl Running {
    fn finish(mut self) {
        self.recorder.close();
        self.supervisor.hang_up();
        assert!(self.child.wait().unwrap().success());
    }

    fn begin(&self) -> CallTrail {
        let start = calls::start(self.recorder.next_call(1_700_000_000_000));
        let deadline = start.started + Duration::from_secs(60);
        let start = CallStart { deadline, room: Room { entries: CALL_ENTRIES_MAX, bytes: u64::MAX }, ..start };
        CallTrail::begin(self.recorder.clone(), start)
    }
}

/// Calls with pauses between their intents, as tools make them.
fn paced(folder: &Path, calls: u64) {
    let running = start(folder);
    let mut took = Vec::new();
    for _call in 0..calls {
        let mut trail = running.begin();
        for _ in 0..30 {
            let since = Instant::now();
            let intent = intent(&mut trail);
            took.push(since.elapsed());
            trail.outcome(intent, OK);
            while since.elapsed() < Duration::from_micros(20) {
                std::hint::spin_loop();
            }
        }
        trail.end(ending(), Kept::Pipe).unwrap();
    }
    percentiles("intent, encoded and written", &mut took, "p50 ≤ 1 µs, p99 ≤ 5 µs");
    running.finish();
}

/// The end of a call, until it is kept so.
fn ends(folder: &Path, kept: Kept, calls: u64) {
    let running = start(folder);
    let mut took = Vec::new();
    for _call in 0..calls {
        let mut trail = running.begin();
        let intent = intent(&mut trail);
        trail.outcome(intent, OK);
        let since = Instant::now();
        trail.end(ending(), kept).unwrap();
        took.push(since.elapsed());
    }
    percentiles(&format!("end of a call, kept in the {kept:?}").to_lowercase(), &mut took, "");
    running.finish();
}

/// As many entries as go through.
fn flood(folder: &Path, entries: u64) {
    let running = start(folder);
    let (pid, since, mut written) = (running.child.id(), Instant::now(), 1);
    while written < entries {
        let mut trail = running.begin();
        for _ in 0..30 {
            let intent = intent(&mut trail);
            trail.outcome(intent, OK);
        }
        written += u64::from(trail.end(ending(), Kept::Pipe).unwrap().entries) + 1;
    }
    running.begin().end(ending(), Kept::Journal).unwrap();
    let (wall, (cpu, peak_kib)) = (since.elapsed(), usage(pid));
    let rate = |seconds: f64| written as f64 / seconds;
    println!(
        "notary: {written} entries in {wall:.2?}: {:.0}/s; {cpu:.2} s of processor: {:.0}/s on one core (≥ 300,000/s); \
         peak {:.1} MiB resident (≤ 16 MiB)",
        rate(wall.as_secs_f64()),
        rate(cpu),
        peak_kib as f64 / 1024.0
    );
    running.finish();
    let report = verify(folder, None).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings.first());
}

fn intent(trail: &mut CallTrail) -> tollgate_notary::IntentId {
    let facts = [("path", FactRef::Text("/docs/report.txt")), ("create", FactRef::Bool(false))];
    trail.intent("wasi:filesystem/types.open-at", &facts, "fs:/docs:read", Durability::Pipe).unwrap()
}

fn ending() -> CallEnding {
    CallEnding {
        class: CallClass::Success,
        detail: String::new(),
        usage: Usage::default(),
        counters: Vec::new(),
        result: None,
        cap: None,
    }
}

const OK: OutcomeTotals<'_> = OutcomeTotals { result: "ok", bytes_read: 4096, bytes_written: 0, calls: 3 };

/// Seconds of processor time, and the most memory resident, of a process (proc(5)).
fn usage(pid: u32) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|field| fields.get(*field).unwrap().parse::<u64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    (ticks as f64 / 100.0, peak.trim().trim_end_matches(" kB").parse().unwrap())
}

fn percentiles(what: &str, took: &mut [Duration], goal: &str) {
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or_default();
    println!("{what}: p50 {:.2?}, p99 {:.2?}, p99.9 {:.2?} ({goal})", at(500), at(990), at(999));
}

fn notary(folder: &Path) {
    let supervisor = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let of = NotaryOf { folder, origin: Some("example.com/bench"), software: "bench", now_ns: 1, holder: None };
    Notary::open(of, supervisor).unwrap().serve().unwrap();
}
