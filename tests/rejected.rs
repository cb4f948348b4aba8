//! A request that is turned down is a call: its entry and its deadline come before anything looks into its arguments, its
//! end says `rejected`, and neither salt nor text of it is kept. In this process; `tests/workers/rejected.rs` is the same for
//! workers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tollgate::authority::DecidingPlaces;
use tollgate::{
    Artifact, CallError, CallFailure, Caller, Engine, InProcess, Provenance, RejectError, Request, Tool, ToolSpec,
};
use tollgate_audit::{
    AppendError, CallClass, CallId, EncodedEntry, Entry, Kept, Record, RecordError, Recorded, WriterId, read,
};
use tollgate_capability::{ArgumentsRecord, Cap, CapabilitySet};
use tollgate_ledger::{Ledger, SideStore};
use tollgate_workspace::{Lab, ORIGIN, guest, manifest, set_in};

const SECRET: &str = "a-secret-that-an-agent-passed-on";

/// Requests that are turned down, each for a reason of its own, and what the ledger says of it.
fn rejected() -> [(&'static str, String, &'static str); 5] {
    let many = format!("[\"{SECRET}\"{}]", ",0".repeat(1 << 20));
    [
        ("no-such", json!({ "path": SECRET }).to_string(), "the tool has no such operation"),
        ("read-many", format!("{{\"path\": \"{SECRET}\""), "the arguments are not JSON"),
        ("read-many", json!({ "path": [SECRET] }).to_string(), "the arguments do not match the schema of `read-many`"),
        (
            "read-many",
            json!({ "path": "/a", SECRET: 1 }).to_string(),
            "the arguments do not match the schema of `read-many`",
        ),
        ("read-many", many, "the arguments have more than 1048576 values; give fewer, or a file"),
    ]
}

/// A tool that keeps all of a call, and what it may read.
fn full(set: CapabilitySet) -> CapabilitySet {
    let mut set = set;
    set.audit.arguments = ArgumentsRecord::Full;
    set.limits.input = 16 << 20;
    set
}

#[test]
fn a_rejected_request_is_a_call_of_two_entries_and_nothing_of_it_is_kept() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "text");
    let tool = guest("echo-read");
    let set = full(lab.set(tool, &["fs:/data=docs:read"]));
    let tool = lab.tool_with(tool, set).unwrap();
    let good = lab.call(&tool, "read-many", r#"{"path": "/data/a.txt", "times": 1}"#).unwrap().call;
    assert!(SideStore::find(&lab.ledger(), good).unwrap().is_some(), "of a call that ran all is kept");
    let store = fs::read(lab.path("ledger.private/00000001.open")).unwrap();
    for (operation, arguments, detail) in rejected() {
        let before = lab.entries().len();
        let failure = lab.failure(&tool, operation, &arguments);
        assert!(matches!(failure.error, CallError::Rejected(_)), "{failure:?}");
        let call = failure.call.expect("a call on record");
        let entries = lab.entries_of(call);
        let [Entry::Call(start), Entry::CallEnd(end)] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(lab.entries().len(), before + 2);
        assert_eq!((start.operation.as_str(), start.arguments_bytes), (operation, arguments.len() as u64));
        assert!(matches!(start.arguments, Recorded::Salted(_)));
        assert_eq!((end.class, end.detail.as_str(), end.entries), (CallClass::Rejected, detail, 1));
        assert_eq!((end.result, &end.cap, end.usage), (None, &None, failure.usage));
        assert_eq!((end.usage.fuel_used, end.usage.memory_peak_bytes), (0, 0), "no guest ran");
        assert_eq!(SideStore::find(&lab.ledger(), call).unwrap(), None);
    }
    // Nothing was put and taken back: it costs the same however much the store holds.
    assert!(
        fs::read(lab.path("ledger.private/00000001.open")).unwrap() == store,
        "the side store has not been touched"
    );
    let journal = fs::read(lab.path("ledger/journal")).unwrap();
    assert!(!journal.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "no text of arguments");
    lab.verified();
}

#[test]
fn arguments_over_their_cap_are_a_call_that_the_cap_ended() {
    let mut lab = Lab::new();
    let set = CapabilitySet {
        limits: tollgate_capability::Limits { input: 100, ..Default::default() },
        ..Default::default()
    };
    let tool = lab.tool_with(guest("json-query"), set).unwrap();
    let failure = lab.failure(&tool, "query", &" ".repeat(101));
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap, hit.asked, hit.limit), (Cap::Input, Some(101), 100));
    let entries = lab.entries_of(failure.call.unwrap());
    let [Entry::Call(start), Entry::CallEnd(end)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((start.arguments, start.arguments_bytes), (Recorded::Nothing, 101), "not even their digest is made");
    assert_eq!((end.class, end.cap.as_ref().map(|cap| cap.as_str())), (CallClass::Cap, Some("input")));
    assert_eq!(SideStore::find(&lab.ledger(), failure.call.unwrap()).unwrap(), None);
    lab.verified();
}

/// A ledger that can be closed, and that can be slow.
#[derive(Debug)]
struct Moody {
    ledger: Arc<Ledger>,
    // Entries that it still takes.
    takes: AtomicU64,
    slow_ms: AtomicU64,
}

impl Record for Moody {
    fn record(&self, entries: &[EncodedEntry], kept: Kept, deadline: Instant) -> Result<(), RecordError> {
        thread::sleep(Duration::from_millis(self.slow_ms.load(Ordering::SeqCst)));
        let refused = || RecordError { taken: 0, source: AppendError::Stalled { reason: "closed".to_owned() } };
        let taken =
            self.takes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(entries.len() as u64));
        taken.map_err(|_closed| refused())?;
        self.ledger.record(entries, kept, deadline)
    }

    fn writer(&self) -> WriterId {
        self.ledger.writer()
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        self.ledger.next_call(time_ms)
    }

    fn ready(&self) -> Result<(), AppendError> {
        self.ledger.ready()
    }
}

/// A tool over such a ledger.
struct Scene {
    folder: tempfile::TempDir,
    record: Arc<Moody>,
    tool: Tool,
}

impl Scene {
    fn new(deadline_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let opened = Arc::new(Ledger::open(&ledger, ORIGIN, "tests", 0).unwrap());
        let record = Arc::new(Moody { ledger: opened, takes: AtomicU64::new(u64::MAX), slow_ms: AtomicU64::new(0) });
        let engine = Engine::new(1).unwrap();
        let in_process =
            InProcess::start_unsealed(&engine, Arc::clone(&record) as _, &ledger, DecidingPlaces::none()).unwrap();
        let guest = guest("json-query");
        let component = Artifact::compile_unsealed(&engine, &fs::read(guest.component).unwrap()).unwrap();
        let mut set = full(set_in(folder.path(), guest, &[]));
        set.limits.deadline_ms = deadline_ms;
        let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
        let tool = in_process.add(ToolSpec::new(component, &manifest(guest), set, provenance)).unwrap();
        Self { folder, record, tool }
    }

    fn fails(&mut self, arguments: &str) -> Box<CallFailure> {
        let request = Request { operation: "query", arguments, stdin: Default::default(), caller: Caller::default() };
        self.tool.call(&request).expect_err("a call that fails")
    }

    fn entries(&self) -> Vec<Entry<'static>> {
        read(&self.folder.path().join("ledger")).unwrap().map(|entry| entry.unwrap().1).collect()
    }
}

/// If the entry did not come first, the arguments would be looked at, and the request be turned down for them.
#[test]
fn a_request_is_not_looked_at_before_its_call_is_on_record() {
    let mut scene = Scene::new(10_000);
    let before = scene.entries().len();
    scene.record.takes.store(0, Ordering::SeqCst);
    for arguments in ["{", "{}", r#"{"document": {}, "pointer": ""}"#] {
        let failure = scene.fails(arguments);
        assert!(matches!(failure.error, CallError::Unrecorded(_)), "{failure:?}");
        assert_eq!(failure.call, None, "an id that is in no ledger names nothing");
    }
    assert_eq!(scene.entries().len(), before);
    let store = fs::metadata(scene.folder.path().join("ledger.private/00000001.open")).unwrap().len();
    scene.record.takes.store(u64::MAX, Ordering::SeqCst);
    let failure = scene.fails("{");
    assert!(matches!(failure.error, CallError::Rejected(RejectError::NotJson { .. })), "{failure:?}");
    assert_eq!(scene.entries().iter().filter(|entry| entry.call() == failure.call).count(), 2);
    assert_eq!(fs::metadata(scene.folder.path().join("ledger.private/00000001.open")).unwrap().len(), store);
}

/// A call whose first entry is in the ledger and whose end is not: its id is told, since the ledger has it.
#[test]
fn a_call_whose_end_is_not_recorded_has_its_id() {
    let mut scene = Scene::new(10_000);
    scene.record.takes.store(1, Ordering::SeqCst);
    let failure = scene.fails("{");
    let call = failure.call.expect("a call on record");
    let entries: Vec<_> = scene.entries().into_iter().filter(|entry| entry.call() == Some(call)).collect();
    assert!(matches!(entries.as_slice(), [Entry::Call(_)]), "{entries:?}");
}

/// The deadline runs from before the entry: one that is over when the arguments are looked at ends the call there.
#[test]
fn the_deadline_runs_before_arguments_are_looked_at() {
    let mut scene = Scene::new(2_000);
    scene.record.slow_ms.store(2_100, Ordering::SeqCst);
    let failure = scene.fails(r#"{"document": {}, "pointer": ""}"#);
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap, hit.limit), (Cap::Deadline, 2_000));
    let entries: Vec<_> = scene.entries().into_iter().filter(|entry| entry.call() == failure.call).collect();
    let [Entry::Call(_), Entry::CallEnd(end)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((end.class, end.usage.fuel_used), (CallClass::Cap, 0), "no guest ran");
    assert_eq!(SideStore::find(&scene.folder.path().join("ledger"), failure.call.unwrap()).unwrap(), None);
}
