//! Tools run in a sealed process: what the gate allows, the kernel allows.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant;
use std::{fs, thread};

use serde_json::{Value, json};
use tollgate_audit::{AppendError, CallId, Digest, EncodedEntry, Kept, Record, RecordError, WriterId};
use tollgate_authority::hold;
use tollgate_capability::{Access, ArgumentsRecord, Cap, Limits};
use tollgate_config::{AdhocGrant, Grant, Manifest, intersect};
use tollgate_engine::call::ExecutorThread;
use tollgate_engine::executor::Executor;
use tollgate_engine::instance::EventLoop;
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::private::Noted;
use tollgate_engine::tool::LoadedTool;
use tollgate_engine::{Answer, CallError, CallFailure, Caller, Component, Engine, Provenance, Request};
use tollgate_example_tools::guest;
use tollgate_ipc::memory_file;
use tollgate_system::know_devtmpfs;

use super::*;

#[test]
fn tools_do_all_that_is_granted() {
    in_child("live::child_runs_tools");
}

/// Takes every entry.
#[derive(Debug)]
struct Anything;

impl Record for Anything {
    fn record(&self, _entries: &[EncodedEntry], _kept: Kept, _deadline: Instant) -> Result<(), RecordError> {
        Ok(())
    }

    fn writer(&self) -> WriterId {
        WriterId([0; 6])
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        CallId::new(time_ms, WRITER, 0)
    }

    fn ready(&self) -> Result<(), AppendError> {
        Ok(())
    }
}

fn step(fields: Value) -> Value {
    let mut step = json!({ "base": "/docs" });
    step.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    step
}

#[test]
#[ignore = "run as a child"]
fn child_runs_tools() {
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().canonicalize().unwrap().join("docs");
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("a"), "text").unwrap();
    let mut set = set(&[(&folder, Access::ALL.into_iter().collect())]);
    set.fs[0].guest = "/docs".to_owned();
    in_sealed_worker("probe-fs", set, |thread, tool| {
        // There is room for as much as all calls may take at once, within the limit on memory.
        let Limits { memory, calls, .. } = Limits::DEFAULT;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(usize::try_from(memory * u64::from(calls)).unwrap())));
        serve(thread, tool);
    });
}

/// A guest, its arguments, what it is granted, and what must come of it.
type Failing = (&'static str, &'static str, &'static [&'static str], fn(&CallError) -> bool);

/// Guests that fail, each in its own way.
const FAILING: &[Failing] = &[
    ("recurse", "{}", &[], |error| matches!(error, CallError::Trap { .. })),
    (
        "panic",
        r#"{"message": "on purpose"}"#,
        &[],
        |error| matches!(error, CallError::Tool { code, .. } if code == "panic"),
    ),
    ("exit", r#"{"code": 1}"#, &[], |error| matches!(error, CallError::Exit { .. })),
    ("eat-memory", "{}", &[], |error| is_cap(error, Cap::Memory)),
    ("grow-tables", "{}", &[], |error| is_cap(error, Cap::Memory)),
    ("spin", "{}", &["limit:fuel=1000000"], |error| is_cap(error, Cap::Fuel)),
    ("spin", "{}", &["limit:deadline=50ms", "limit:fuel=1000000000000"], |error| is_cap(error, Cap::Deadline)),
    ("sleep-forever", "{}", &["clock:monotonic=real", "limit:deadline=50ms"], |error| is_cap(error, Cap::Deadline)),
    ("flood-stdout", "{}", &[], |error| is_cap(error, Cap::Stdio)),
    ("huge-random", "{}", &["random=secure"], |error| is_cap(error, Cap::Random)),
    ("dial-out", "{}", &[], |error| matches!(error, CallError::Violation(_))),
    ("resolve-name", "{}", &[], |error| matches!(error, CallError::Violation(_))),
];

fn is_cap(error: &CallError, cap: Cap) -> bool {
    matches!(error, CallError::Cap(hit) if hit.cap == cap)
}

#[test]
fn guests_fail_as_they_do_without_a_seal() {
    in_child("live::child_runs_failing_guests");
}

#[test]
#[ignore = "run as a child"]
fn child_runs_failing_guests() {
    for (name, arguments, grants, as_it_should) in FAILING {
        let set = granted(&manifest(name), grants);
        in_sealed_worker(name, set, |thread, tool| {
            // Twice: the slot that one guest left is taken by the next.
            for _call in 0..2 {
                let failure = invoke(thread, tool, "attack", arguments).unwrap_err();
                assert!(as_it_should(&failure.error), "{name}: {failure}");
            }
        });
    }
}

fn granted(manifest: &Manifest, grants: &[&str]) -> CapabilitySet {
    let mut grant = Grant::default();
    for text in grants {
        grant.merge_adhoc(AdhocGrant::parse(text, Path::new("/")).unwrap()).unwrap();
    }
    intersect(manifest, &grant, |_name| None).unwrap().set
}

fn manifest(name: &str) -> Manifest {
    Manifest::parse(&fs::read_to_string(guest(name).manifest).unwrap(), "tool.toml").unwrap()
}

/// Loads a guest in a process of its own, seals that by the plan of `set`, and does `work` on a thread of it.
fn in_sealed_worker(name: &str, mut set: CapabilitySet, work: impl FnOnce(&mut ExecutorThread, &LoadedTool) + Send) {
    // What may be erased later is written outside a sealed worker: here, not at all.
    set.audit.arguments = ArgumentsRecord::None;
    let around = tempfile::tempdir().unwrap();
    let ledger = around.path().canonicalize().unwrap().join("ledger");
    fs::create_dir(&ledger).unwrap();
    let (manifest, bytes) = (manifest(name), fs::read(guest(name).component).unwrap());
    let compiled = compiled(set.limits.calls, &bytes);
    let code = memory_file("code", &compiled).unwrap();
    let plan = plan(&set);

    let ended = forked(|pipe| {
        set_evidence(pipe.as_raw_fd(), WRITER);
        let stripped = strip(&[pipe.as_fd(), code.as_fd()]).unwrap();
        let engine = Engine::for_mapped_code(set.limits.calls).unwrap();
        // What a supervisor does for its workers.
        let _held = hold(&mut set).unwrap();
        let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
        let loading = Loading::of(LoadOrder::new(&manifest, Digest::of(&bytes), set, provenance)).unwrap();
        loading.keep_sets(&ledger).unwrap();
        know_devtmpfs();
        let confined = stripped.confine(&plan, Level::Full).unwrap();
        let component = Component::from_memory_file(&engine, &code).unwrap();
        let (to_thread, go) = channel::<Option<Expected>>();
        let (to_ticker, ticker_go) = channel::<Expected>();
        let (to_main, tested) = channel::<Option<Tested>>();
        let from_ticker = to_main.clone();
        let ticker = move || {
            from_ticker.send(None).unwrap();
            from_ticker.send(Some(self_test(&ticker_go.recv().unwrap()).unwrap())).unwrap();
        };
        let executor = Executor::start(&engine, Arc::new(Anything), ticker).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                trap::name_thread("worker");
                let unsealed = Enforced::nothing_by_choice();
                let mut thread = ExecutorThread::new(&executor, EventLoop::new().unwrap(), &unsealed);
                let describing = Noted::of(CallId([1; 16]), None, None);
                let tool = loading.load(&mut thread, &component, &describing).unwrap();
                to_main.send(None).unwrap();
                to_main.send(Some(self_test(&go.recv().unwrap().unwrap()).unwrap())).unwrap();
                go.recv().unwrap();
                work(&mut thread, &tool);
            });
            // Both have started by then.
            assert_eq!([tested.recv().unwrap(), tested.recv().unwrap()], [None, None]);
            let filtered = confined.filter().unwrap();
            to_thread.send(Some(filtered.expected())).unwrap();
            to_ticker.send(filtered.expected()).unwrap();
            let [first, second] = [(); 2].map(|()| tested.recv().unwrap().unwrap());
            let all = [self_test(&filtered.expected()).unwrap(), first, second];
            let enforced = filtered.finish(&all).unwrap();
            assert_eq!(enforced.level(), Level::Full);
            to_thread.send(None).unwrap();
        });
    });
    assert!(ended.well(), "{name}: {ended:?}");
}

fn serve(thread: &mut ExecutorThread, tool: &LoadedTool) {
    for _call in 0..3 {
        let run = [
            json!({ "op": "read", "path": "/docs/a" }),
            json!({ "op": "write", "path": "/docs/new", "data": "x" }),
            json!({ "op": "append", "path": "/docs/new", "data": "y" }),
            json!({ "op": "overwrite", "path": "/docs/new", "data": "z" }),
            json!({ "op": "set-len", "path": "/docs/new", "len": 1 }),
            json!({ "op": "truncate", "path": "/docs/new" }),
            json!({ "op": "set-times", "path": "/docs/new" }),
            json!({ "op": "mkdir", "path": "/docs/folder" }),
            json!({ "op": "rename", "path": "/docs/new", "to": "/docs/folder/new" }),
            json!({ "op": "hard-link", "path": "/docs/folder/new", "to": "/docs/link" }),
            json!({ "op": "symlink", "path": "a", "to": "/docs/symlink" }),
            json!({ "op": "readlink", "path": "/docs/symlink" }),
            json!({ "op": "list", "path": "/docs" }),
            json!({ "op": "stat", "path": "/docs/a" }),
            json!({ "op": "lstat", "path": "/docs/symlink" }),
            json!({ "op": "fstat", "path": "/docs/a" }),
            json!({ "op": "open-dir", "path": "/docs/sub" }),
            json!({ "op": "unlink", "path": "/docs/link" }),
            json!({ "op": "unlink", "path": "/docs/symlink" }),
            json!({ "op": "unlink", "path": "/docs/folder/new" }),
            json!({ "op": "rmdir", "path": "/docs/folder" }),
        ];
        all_well(&ask(thread, tool, "run", &run));
        all_well(&ask(thread, tool, "raw", &raw_steps()));
    }
}

/// Every call on names that changes nothing, and every call on handles of a file and of a folder.
fn raw_steps() -> Vec<Value> {
    let on_names = ["set-times-at", "metadata-hash-at", "stat-at"].map(|op| step(json!({ "op": op, "path": "a" })));
    let on_both = ["close", "sync", "sync-data", "get-flags", "get-type", "stat", "metadata-hash", "is-same-object"];
    let on_file = [
        "read",
        "read-via-stream",
        "advise",
        "write",
        "write-via-stream",
        "append-via-stream",
        "set-size",
        "set-times",
    ];
    let opened = |then: &&str, path: &str, flags: &[&str]| {
        step(json!({ "op": "open-at", "path": path, "flags": flags, "then": then, "data": "text", "offset": 0 }))
    };
    let file = on_both.iter().chain(&on_file).map(|then| opened(then, "a", &["read", "write"]));
    let folder = on_both.iter().chain(&["read-directory"]).map(|then| opened(then, "sub", &["read"]));
    on_names.into_iter().chain(file).chain(folder).collect()
}

fn all_well(answers: &Value) {
    for (number, answer) in answers.as_array().unwrap().iter().enumerate() {
        assert!(answer.get("err").is_none(), "step {number}: {answer}");
    }
}

fn ask(thread: &mut ExecutorThread, tool: &LoadedTool, operation: &str, steps: &[Value]) -> Value {
    let answer = invoke(thread, tool, operation, &json!({ "steps": steps }).to_string());
    let answer = answer.unwrap_or_else(|failure| panic!("{operation}: {failure}"));
    serde_json::from_str(&answer.output).unwrap()
}

fn invoke(
    thread: &mut ExecutorThread,
    tool: &LoadedTool,
    operation: &str,
    arguments: &str,
) -> Result<Answer, Box<CallFailure>> {
    let request = Request { operation, arguments, stdin: Default::default(), caller: Caller::default() };
    thread.call(tool, &request, (CallId([2; 16]), None), None, || Ok(()))
}
