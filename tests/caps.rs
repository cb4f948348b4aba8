//! Each cap on a call ends it where it says, even where violations are denied only, and usage tells how near a call came.

use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tollgate::supervisor::Hears;
use tollgate::{Answer, Artifact, CallError, CallFailure, Caller, Cancel, CapHit, Control, LoadError, Request, Tool};
use tollgate_audit::{CallClass, Entry, Kind};
use tollgate_capability::{Cap, CapabilitySet, ClockMode, Limits, OnViolation, StdioSet};
use tollgate_config::Manifest;
use tollgate_workspace::expect::end;
use tollgate_workspace::processes::await_that;
use tollgate_workspace::{Lab, guest};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PAGE: u64 = 64 * KIB;
const STREAM_WRITE: &str = "wasi:io/streams.[method]output-stream.write";

fn hit(cap: Cap, asked: Option<u64>, limit: u64) -> CapHit {
    CapHit { cap, asked, limit }
}

/// A tool in WebAssembly text with one operation, `run`, which answers `{}`.
struct Wat {
    /// Imports of the component, and core functions lowered from them.
    component: &'static str,
    /// What the core module is instantiated with.
    with: &'static str,
    /// Further memories, tables and functions of the core module; imports come first.
    module: &'static str,
    /// What `run` does first.
    run: &'static str,
}

const NOTHING: Wat = Wat { component: "", with: "", module: "", run: "" };

impl Wat {
    fn component(&self, lab: &Lab) -> Artifact {
        let Self { component, with, module, run } = self;
        let text = include_str!("caps.wat")
            .replace(";;COMPONENT", component)
            .replace(";;WITH", with)
            .replace(";;MODULE", module)
            .replace(";;RUN", run);
        lab.component_of_bytes(&wat::parse_str(text).unwrap())
    }

    fn load(&self, lab: &mut Lab, set: CapabilitySet) -> Result<Tool, LoadError> {
        let manifest = "[tool]\nname = \"in-text\"\nversion = \"0.1.0\"\n\n[[operations]]\nname = \"run\"\n";
        let component = self.component(lab);
        lab.load_as(&Manifest::parse(manifest, "tool.toml").unwrap(), &component, set)
    }
}

fn limited(limits: Limits) -> CapabilitySet {
    CapabilitySet { limits, ..CapabilitySet::default() }
}

fn probe(lab: &mut Lab, limits: Limits) -> Tool {
    let set = CapabilitySet {
        stdio: StdioSet::OUTPUT,
        monotonic_clock: Some(ClockMode::Real),
        on_violation: OnViolation::Deny,
        ..limited(limits)
    };
    lab.tool_with(guest("probe-wasi"), set).unwrap()
}

/// The failure of a tool that fails when asked for its operations, and the class on the record.
fn load_failure(lab: &Lab, loaded: Result<Tool, LoadError>) -> (Box<CallFailure>, CallClass) {
    let Err(LoadError::Describe { source }) = loaded else { panic!("{loaded:?}") };
    let entries = lab.entries_of(source.call.unwrap());
    let class = end(&entries).class;
    assert_eq!(end(&entries).usage, source.usage);
    lab.verified();
    (source, class)
}

fn assert_cap(failure: &CallFailure, expected: CapHit) {
    let CallError::Cap(found) = &failure.error else { panic!("{failure:?}") };
    assert_eq!(*found, expected);
}

/// Two memories of a page, and a table, which grows to 64 KiB at 16 bytes an element.
const TWO_MEMORIES_AND_A_TABLE: Wat = Wat {
    module: "(memory $second 1) (table $table 0 funcref)",
    run: "(drop (table.grow $table (ref.null func) (i32.const 4096)))
          (drop (memory.grow $second (i32.const 1)))",
    ..NOTHING
};

#[test]
fn memory_is_summed_over_memories_and_tables() {
    let mut lab = Lab::new();
    let fits = limited(Limits { memory: 4 * PAGE, ..Limits::DEFAULT });
    let tool = TWO_MEMORIES_AND_A_TABLE.load(&mut lab, fits).unwrap();
    let answer = lab.call(&tool, "run", "{}").unwrap();
    assert_eq!((answer.usage.memory_peak_bytes, answer.usage.memory_cap_bytes), (4 * PAGE, 4 * PAGE));
    let a_byte_less = limited(Limits { memory: 4 * PAGE - 1, ..Limits::DEFAULT });
    let tool = TWO_MEMORIES_AND_A_TABLE.load(&mut lab, a_byte_less).unwrap();
    let failure = lab.capped(&tool, "run", "{}", hit(Cap::Memory, Some(4 * PAGE), 4 * PAGE - 1));
    assert_eq!(failure.usage.memory_peak_bytes, 3 * PAGE);
}

#[test]
fn memory_holds_for_what_a_module_starts_with() {
    let mut lab = Lab::new();
    let less_than_it_starts_with = limited(Limits { memory: 2 * PAGE - 1, ..Limits::DEFAULT });
    let loaded = TWO_MEMORIES_AND_A_TABLE.load(&mut lab, less_than_it_starts_with);
    let (failure, class) = load_failure(&lab, loaded);
    assert_cap(&failure, hit(Cap::Memory, Some(2 * PAGE), 2 * PAGE - 1));
    assert_eq!(class, CallClass::Cap);
}

const SPINS_WHEN_IT_STARTS: Wat = Wat { module: "(func $spin (loop $again (br $again))) (start $spin)", ..NOTHING };

#[test]
fn deadline_holds_over_instantiation() {
    let mut lab = Lab::new();
    let set = limited(Limits { deadline_ms: 200, fuel: 10_000_000_000_000, ..Limits::DEFAULT });
    let loaded = SPINS_WHEN_IT_STARTS.load(&mut lab, set);
    let (failure, class) = load_failure(&lab, loaded);
    // Who asks for operations waits for at least this long: fuel is the cap on the work.
    assert_cap(&failure, hit(Cap::Deadline, None, 20_000));
    assert_eq!(class, CallClass::Cap);
    assert!(failure.usage.wall_us >= 20_000_000);
}

#[test]
fn fuel_holds_over_instantiation() {
    let mut lab = Lab::new();
    let loaded = SPINS_WHEN_IT_STARTS.load(&mut lab, limited(Limits { fuel: 10_000, ..Limits::DEFAULT }));
    let (failure, class) = load_failure(&lab, loaded);
    assert_cap(&failure, hit(Cap::Fuel, None, 10_000));
    assert_eq!((class, failure.usage.fuel_used), (CallClass::Cap, 10_000));
}

#[test]
fn deadline_ends_a_guest_that_is_parked() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { deadline_ms: 200, ..Limits::DEFAULT });
    let century = 100 * 365 * 86_400 * 1_000_000_000_u64;
    let arguments = json!({ "call": "wait", "len": century }).to_string();
    let failure = lab.capped(&tool, "call", &arguments, hit(Cap::Deadline, None, 200));
    assert!(failure.usage.wall_us >= 200_000);
    assert_eq!(lab.answer(&tool, "call", r#"{"call": "wait", "len": 1000000}"#), json!({ "ok": null }));
}

#[test]
fn deadline_ends_a_guest_that_computes() {
    let mut lab = Lab::new();
    let wat = Wat { run: "(loop $again (br $again))", ..NOTHING };
    let set = limited(Limits { deadline_ms: 200, fuel: 10_000_000_000_000, ..Limits::DEFAULT });
    let tool = wat.load(&mut lab, set).unwrap();
    let failure = lab.capped(&tool, "run", "{}", hit(Cap::Deadline, None, 200));
    assert!(failure.usage.wall_us >= 200_000);
}

#[test]
fn fuel_is_enough_to_the_last_unit() {
    let mut lab = Lab::new();
    let tool = NOTHING.load(&mut lab, limited(Limits::DEFAULT)).unwrap();
    let used = lab.call(&tool, "run", "{}").unwrap().usage.fuel_used;
    assert!(used > 0);
    let tool = NOTHING.load(&mut lab, limited(Limits { fuel: used, ..Limits::DEFAULT })).unwrap();
    assert_eq!(lab.call(&tool, "run", "{}").unwrap().usage.fuel_used, used);
    let tool = NOTHING.load(&mut lab, limited(Limits { fuel: used - 1, ..Limits::DEFAULT })).unwrap();
    lab.capped(&tool, "run", "{}", hit(Cap::Fuel, None, used - 1));
}

#[test]
fn input_over_the_cap_never_reaches_the_guest() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { input: 100, ..Limits::DEFAULT });
    let of_length = |bytes: usize| format!("{:<bytes$}", r#"{"call": "initial-cwd"}"#);
    let before = lab.entries().len();
    let failure = lab.failure(&tool, "call", &of_length(101));
    assert_cap(&failure, hit(Cap::Input, Some(101), 100));
    assert_eq!((failure.usage.fuel_used, failure.usage.memory_peak_bytes), (0, 0));
    assert_eq!(lab.entries().len(), before + 2, "the call and its end: nothing ran");
    assert_eq!(lab.answer(&tool, "call", &of_length(100)), json!({ "ok": null }));
}

#[test]
fn output_over_the_cap_is_withheld() {
    let mut lab = Lab::new();
    let set = lab.set(guest("big-output"), &["limit:output=1KiB"]);
    let tool = lab.tool_with(guest("big-output"), set).unwrap();
    let failure = lab.capped(&tool, "attack", r#"{"bytes": 1025}"#, hit(Cap::Output, Some(1025), KIB));
    assert!(!failure.to_string().contains("xxx"));
    let answer = lab.call(&tool, "attack", r#"{"bytes": 1024}"#).unwrap();
    assert_eq!(answer.usage.output_bytes, KIB);
}

#[test]
fn stdout_and_stderr_share_one_cap() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { stdio: 100, ..Limits::DEFAULT });
    let write = |out: usize, err: usize| {
        let calls = [("stdout", out), ("stderr", err)].map(|(call, n)| json!({ "call": call, "text": "x".repeat(n) }));
        json!({ "calls": calls }).to_string()
    };
    let too_much = write(60, 41);
    let failure = lab.capped_by_gate(&tool, ("sequence", &too_much), hit(Cap::Stdio, Some(41), 100), STREAM_WRITE, 40);
    assert_eq!((failure.output.stdout.len(), failure.output.stderr.len()), (60, 0));
    assert_eq!(failure.usage.stdio_bytes, 60);
    let answer = lab.call(&tool, "sequence", &write(60, 40)).unwrap();
    assert_eq!((answer.streams.stdout.len(), answer.streams.stderr.len(), answer.usage.stdio_bytes), (60, 40, 100));
}

/// Takes pollables and drops none; the number of them is the first argument of the text.
const KEEPS_POLLABLES: Wat = Wat {
    component: r#"(import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
            (alias outer 1 $pollable (type $outer))
            (export "pollable" (type $own (eq $outer)))
            (export "subscribe-duration" (func (param "when" u64) (result (own $own))))))
        (core func $subscribe (canon lower (func $clock "subscribe-duration")))
        (core instance $wasi (export "subscribe" (func $subscribe)))"#,
    with: r#"(with "wasi" (instance $wasi))"#,
    module: r#"(import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
        (global $left (mut i32) (i32.const 8))"#,
    run: "(loop $again
            (drop (call $subscribe (i64.const 1)))
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $again (global.get $left)))",
};

#[test]
fn handles_of_every_kind_count() {
    let mut lab = Lab::new();
    let set = |handles| CapabilitySet {
        monotonic_clock: Some(ClockMode::Real),
        ..limited(Limits { handles, ..Limits::DEFAULT })
    };
    let tool = KEEPS_POLLABLES.load(&mut lab, set(8)).unwrap();
    assert_eq!(lab.answer(&tool, "run", "{}"), json!({}));
    for handles in [7, 6, 1, 0] {
        let tool = KEEPS_POLLABLES.load(&mut lab, set(handles)).unwrap();
        let limit = u64::from(handles);
        lab.capped(&tool, "run", "{}", hit(Cap::Handles, Some(limit + 1), limit));
    }
}

#[test]
fn random_bytes_are_capped_for_each_request() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("huge-random"), &["random=secure", "limit:random=1000"]);
    for (operation, function) in [
        ("attack", "wasi:random/random.get-random-bytes"),
        ("insecure", "wasi:random/insecure.get-insecure-random-bytes"),
    ] {
        let arguments = r#"{"bytes": 1001}"#;
        lab.capped_by_gate(&tool, (operation, arguments), hit(Cap::Random, Some(1001), 1000), function, 1000);
        assert_eq!(lab.answer(&tool, operation, r#"{"bytes": 1000}"#), json!({ "bytes": 1000 }));
    }
}

/// Holds wasmtime's text for it, by which `invoke` tells this cap from a trap.
#[test]
fn host_memory_caps_what_one_call_copies_out_of_the_guest() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { host_memory: 16 * KIB, ..Limits::DEFAULT });
    let arguments = |bytes: usize| json!({ "call": "stdout", "text": "x".repeat(bytes) }).to_string();
    let failure = lab.capped(&tool, "call", &arguments(20_000), hit(Cap::HostMemory, None, 16 * KIB));
    assert!(failure.output.stdout.is_empty());
    assert_eq!(lab.answer(&tool, "call", &arguments(4_000)), json!({ "ok": 4_000 }));
}

#[test]
fn host_memory_holds_before_a_byte_is_on_disk() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "before");
    let grants = &["fs:/docs=docs:read,write", "limit:host_memory=64KiB"];
    let tool = lab.tool(guest("probe-fs"), grants);
    let step = json!({
        "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["write"],
        "then": "write", "data": "x".repeat(100_000),
    });
    let arguments = json!({ "steps": [step] }).to_string();
    lab.capped(&tool, "raw", &arguments, hit(Cap::HostMemory, None, 64 * KIB));
    assert_eq!(std::fs::read_to_string(lab.path("docs/a.txt")).unwrap(), "before");
}

/// A call of a probe, which several threads may make at the same time.
fn call_probe(tool: &Tool, arguments: &str) -> Result<Answer, Box<CallFailure>> {
    let request = Request { operation: "call", arguments, stdin: Default::default(), caller: Caller::default() };
    tool.call(&request)
}

#[test]
fn calls_at_once_are_capped() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { calls: 1, ..Limits::DEFAULT });
    let calls = |lab: &Lab| lab.entries().iter().filter(|entry| entry.kind() == Kind::Call).count();
    let (before, mut turned_down) = (calls(&lab), None);
    thread::scope(|scope| {
        let first = scope.spawn(|| call_probe(&tool, r#"{"call": "wait", "len": 1000000000}"#));
        await_that("the first call has started", || calls(&lab) != before);
        let second = call_probe(&tool, r#"{"call": "initial-cwd"}"#).unwrap_err();
        assert_cap(&second, hit(Cap::Calls, Some(2), 1));
        turned_down = second.call;
        first.join().unwrap().unwrap();
    });
    let turned_down = turned_down.expect("on record, as any other call");
    let entries = lab.entries();
    let of_second: Vec<_> = entries.iter().filter(|entry| entry.call() == Some(turned_down)).collect();
    let [Entry::Call(_), Entry::CallEnd(end)] = of_second[..] else { panic!("{of_second:?}") };
    assert_eq!(
        (end.class, end.cap.as_ref().map(tollgate_audit::Text::as_str)),
        (CallClass::Cap, Some("calls")),
        "it never ran"
    );
    assert_eq!(calls(&lab), before + 2);
    assert_eq!(lab.answer(&tool, "call", r#"{"call": "initial-cwd"}"#), json!({ "ok": null }));
    lab.verified();
}

/// As in a worker: a call beyond the cap may wait for its turn instead of failing, and is withdrawn before it comes; so is one that runs.
#[test]
fn calls_in_process_wait_for_their_turn_and_are_withdrawn() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { calls: 1, ..Limits::DEFAULT });
    let calls = |lab: &Lab| lab.entries().iter().filter(|entry| entry.kind() == Kind::Call).count();
    let before = calls(&lab);
    let call = |arguments: &str, cancel: &Cancel| {
        let request = Request { operation: "call", arguments, stdin: Default::default(), caller: Caller::default() };
        let control = Control { cancel: Some(cancel.clone()), waits_its_turn: true, ..Control::default() };
        tool.call_with(&request, &control)
    };
    let [runs, waits, goes_on] = [(); 3].map(|()| Cancel::new());
    thread::scope(|scope| {
        let running = scope.spawn(|| call(r#"{"call": "wait", "len": 1000000000000}"#, &runs));
        await_that("the first call has started", || calls(&lab) != before);
        let waiting = scope.spawn(|| call(r#"{"call": "initial-cwd"}"#, &waits));
        let last = scope.spawn(|| call(r#"{"call": "initial-cwd"}"#, &goes_on));
        waits.cancel();
        let failure = waiting.join().unwrap().unwrap_err();
        assert!(matches!(failure.error, CallError::Cancelled), "{failure}");
        runs.cancel();
        let failure = running.join().unwrap().unwrap_err();
        assert!(matches!(failure.error, CallError::Cancelled), "{failure}");
        assert_eq!(end(&lab.entries_of(failure.call.unwrap())).class, CallClass::Cancelled);
        last.join().unwrap().unwrap();
    });
    lab.verified();
}

#[test]
fn what_a_tool_in_process_writes_to_its_standard_error_is_heard() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits::DEFAULT);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears: Hears = {
        let heard = Arc::clone(&heard);
        Arc::new(move |bytes: &[u8], _until| {
            heard.lock().unwrap().extend_from_slice(bytes);
            true
        })
    };
    let arguments = r#"{"call": "stderr", "text": "heard"}"#;
    let request = Request { operation: "call", arguments, stdin: Default::default(), caller: Caller::default() };
    let answer = tool.call_with(&request, &Control { hears: Some(hears), ..Control::default() }).unwrap();
    assert_eq!(*heard.lock().unwrap(), b"heard");
    assert_eq!(answer.streams.stderr, b"heard");
}

/// How many host calls a probe makes that are denied, and so recorded, one after the other.
fn denied_calls(calls: usize) -> String {
    json!({ "calls": vec![json!({ "call": "tcp-create" }); calls] }).to_string()
}

fn entries_between(entries: &[Entry<'_>]) -> u64 {
    entries.iter().filter(|entry| matches!(entry.kind(), Kind::Intent | Kind::Outcome | Kind::Violation)).count() as u64
}

#[test]
fn entries_that_a_call_adds_to_the_ledger_are_capped() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab, Limits { records: 20, ..Limits::DEFAULT });
    let just_fits = lab.call(&tool, "sequence", &denied_calls(10)).unwrap();
    assert_eq!(entries_between(&lab.entries_of(just_fits.call)), 20);
    let failure = lab.failure(&tool, "sequence", &denied_calls(11));
    assert_cap(&failure, hit(Cap::Records, Some(22), 20));
    let entries = lab.entries_of(failure.call.unwrap());
    assert_eq!(entries_between(&entries), 20, "nothing is recorded beyond the cap but the end");
    assert_eq!(end(&entries).counters.iter().map(|(_, calls)| calls).sum::<u64>(), 11);
    lab.verified();
}

/// The cap is the operator's to raise, and the end says which it is.
#[test]
fn opening_a_hundred_thousand_files_ends_with_a_cap_that_has_a_name() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "a");
    let fs = lab.set(guest("word-count"), &["fs:/docs=docs:read,list"]).fs;
    let limits = Limits { fuel: 100_000_000_000, deadline_ms: 300_000, ..Limits::DEFAULT };
    let mut set = CapabilitySet { fs, limits, ..CapabilitySet::default() };
    let tool = lab.tool_with(guest("probe-attack"), set.clone()).unwrap();
    let open = json!({ "do": "read", "path": "/docs/a.txt", "flags": ["read"], "times": 100_000 });
    let arguments = json!({ "steps": [open], "answer": "null" }).to_string();
    let failure = lab.failure(&tool, "play", &arguments);
    let CallError::Cap(found) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((found.cap, found.limit), (Cap::Records, 200_000));
    assert!(failure.to_string().contains("`limits.records`"), "{failure}");
    set.limits.records = 300_000;
    set.limits.record_bytes = 256 << 20;
    let raised = lab.tool_with(guest("probe-attack"), set).unwrap();
    assert_eq!(lab.answer(&raised, "play", &arguments), Value::Null);
    lab.verified();
}

#[test]
fn without_room_in_the_ledger_nothing_is_done() {
    let mut lab = Lab::new();
    lab.folder("docs");
    let mut set = lab.set(guest("probe-fs"), &["fs:/docs=docs:create"]);
    // The folder itself, and the first of two new ones.
    set.limits.records = 4;
    let tool = lab.tool_with(guest("probe-fs"), set).unwrap();
    let step = |path: &str| json!({ "op": "create-directory-at", "base": "/docs", "path": path });
    let arguments = json!({ "steps": [step("one"), step("two")] }).to_string();
    lab.capped(&tool, "raw", &arguments, hit(Cap::Records, Some(6), 4));
    assert!(lab.path("docs/one").is_dir() && !lab.path("docs/two").exists());
    lab.verified();
}

#[test]
fn bytes_that_a_call_adds_to_the_ledger_are_capped() {
    let mut lab = Lab::new();
    let limit = 8 * KIB;
    let tool = probe(&mut lab, Limits { record_bytes: limit, ..Limits::DEFAULT });
    let failure = lab.failure(&tool, "sequence", &denied_calls(200));
    let CallError::Cap(found) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((found.cap, found.limit), (Cap::RecordBytes, limit));
    assert!(found.asked.unwrap() > limit);
    let entries = lab.entries_of(failure.call.unwrap());
    let framed = |entry: &Entry<'_>| entry.encode().as_bytes().len() as u64 + 6;
    // Its start and its end are its own to have, and few bytes.
    let all: u64 = entries.iter().map(framed).sum();
    assert!(all > limit - KIB && all < limit + KIB, "{all} bytes");
    assert_eq!((end(&entries).class, end(&entries).cap.as_ref().unwrap().as_str()), (CallClass::Cap, "record_bytes"));
    lab.verified();
}

#[test]
fn a_call_that_answers_reports_what_it_used() {
    let mut lab = Lab::new();
    let limits = Limits { memory: 4 * MIB, fuel: 5_000_000, deadline_ms: 3_000, ..Limits::DEFAULT };
    let tool = probe(&mut lab, limits);
    let answer = lab.call(&tool, "call", r#"{"call": "stdout", "text": "hello"}"#).unwrap();
    let usage = answer.usage;
    assert!(usage.fuel_used > 0 && usage.fuel_used < usage.fuel_cap, "{usage:?}");
    assert!(usage.memory_peak_bytes > 0 && usage.memory_peak_bytes < usage.memory_cap_bytes, "{usage:?}");
    assert!(usage.wall_us > 0 && usage.wall_us < usage.deadline_us, "{usage:?}");
    assert_eq!((usage.fuel_cap, usage.memory_cap_bytes, usage.deadline_us), (5_000_000, 4 * MIB, 3_000_000));
    assert_eq!((usage.output_bytes, usage.stdio_bytes), (answer.output.len() as u64, 5));
    let entries = lab.entries_of(answer.call);
    assert_eq!(end(&entries).usage, usage);
    assert!(matches!(entries.last(), Some(Entry::CallEnd(_))));
}
