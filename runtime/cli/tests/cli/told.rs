//! What is stored of a tool beside its machine code: its imports, as the compiler told them, and its operations, as a sealed
//! worker did. The code itself is loaded by sealed workers alone, whoever asks for what.
//!
//! Artifacts are forged here with the right key, as one could who has it, or as a compiler does that a component broke into.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate_audit::{Entry, Level, read, read_set};

use crate::desk::{Desk, Ran};
use tollgate_testing::hmac::hmac;

const QUERY: [&str; 4] = ["--op", "query", "--input", r#"{"document": {"a": 1}, "pointer": "/a"}"#];

/// The parts of an artifact, in the form that `runtime/engine/src/artifact/mod.rs` describes.
struct Parts {
    head: Vec<u8>,
    interfaces: Vec<u8>,
    operations: Vec<u8>,
    code: Vec<u8>,
}

impl Parts {
    fn of(stored: &[u8]) -> Self {
        let length = |at: usize| u32::from_le_bytes(stored[at..at + 4].try_into().unwrap()) as usize;
        let (interfaces, operations) = (120 + length(72), 120 + length(72) + length(76));
        Self {
            head: stored[..88].to_vec(),
            interfaces: stored[120..interfaces].to_vec(),
            operations: stored[interfaces..operations].to_vec(),
            code: stored[operations..].to_vec(),
        }
    }

    /// Sealed with the key of the desk.
    fn sealed(mut self, key: &Path) -> Vec<u8> {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap().to_le_bytes();
        self.head[72..76].copy_from_slice(&length(&self.interfaces));
        self.head[76..80].copy_from_slice(&length(&self.operations));
        self.head[80..88].copy_from_slice(&(self.code.len() as u64).to_le_bytes());
        let rest = [self.interfaces, self.operations, self.code].concat();
        let tag = hmac(&fs::read(key).unwrap(), &[&self.head[..], &rest].concat());
        [&self.head[..], &tag, &rest].concat()
    }
}

/// A desk where json-query is installed.
fn installed() -> Desk {
    let desk = Desk::with("json-query");
    let ran = desk.run(&["install", "tools/json-query.wasm"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    desk
}

fn artifact(desk: &Desk) -> PathBuf {
    desk.stored("json-query").artifact
}

/// The one artifact in the cache.
fn cached(desk: &Desk) -> PathBuf {
    let files: Vec<_> = fs::read_dir(desk.home().join("cache")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Changes an artifact, and seals it as if it had been made so.
fn forge(desk: &Desk, path: &Path, change: impl FnOnce(&mut Parts)) {
    let mut parts = Parts::of(&fs::read(path).unwrap());
    change(&mut parts);
    fs::write(path, parts.sealed(&desk.home().join("artifact.key"))).unwrap();
}

/// Changes what is stored of operations.
fn forge_operations(desk: &Desk, path: &Path, change: impl FnOnce(&mut Vec<Value>)) {
    forge(desk, path, |parts| {
        let mut operations: Vec<Value> = serde_json::from_slice(&parts.operations).unwrap();
        change(&mut operations);
        parts.operations = serde_json::to_vec(&operations).unwrap();
    });
    // What is stored beside it says the same.
    let beside = path.with_file_name("operations");
    if beside.exists() {
        let stored = fs::read(&beside).unwrap();
        let text = Parts::of(&fs::read(path).unwrap()).operations;
        let key = fs::read(desk.home().join("artifact.key")).unwrap();
        let tag = hmac(&key, &[&stored[..40], &text].concat());
        fs::write(beside, [&stored[..40], &tag, &text].concat()).unwrap();
    }
}

fn query(desk: &Desk, tool: &str) -> Ran {
    desk.run(&[&["run", tool], &QUERY[..]].concat())
}

#[test]
fn a_forged_seal_is_as_good_as_the_real_one() {
    let desk = installed();
    let before = fs::read(artifact(&desk)).unwrap();
    forge(&desk, &artifact(&desk), |_parts| {});
    assert_eq!(fs::read(artifact(&desk)).unwrap(), before, "so that the other tests show what they say");
    assert_eq!(query(&desk, "json-query").json(), json!({ "value": 1 }));
}

/// By cause: what would load that code would fail.
#[test]
fn whoever_looks_at_a_tool_does_not_load_its_code() {
    let desk = installed();
    let sound = desk.run(&["inspect", "json-query", "--json"]).json();
    desk.run(&["inspect", "tools/json-query.wasm", "--json"]).json();
    for (path, tool) in [(artifact(&desk), "json-query"), (cached(&desk), "tools/json-query.wasm")] {
        for code in [&b""[..], b"hello", &[0x7f; 1 << 16]] {
            forge(&desk, &path, |parts| parts.code = code.to_vec());
            assert_eq!(desk.run(&["inspect", tool, "--json"]).json()["imports"], sound["imports"], "{tool}");
            assert_eq!(desk.run(&["inspect", tool, "--kernel"]).code, 0, "{tool}");
            query(&desk, tool).fails(5, &["the engine failed"]);
        }
    }
    assert_eq!(desk.run(&["list"]).code, 0);
    assert!(desk.called().is_empty());
}

#[test]
fn imports_are_those_that_the_compiler_told() {
    let desk = installed();
    forge(&desk, &artifact(&desk), |parts| {
        let mut interfaces: Value = serde_json::from_slice(&parts.interfaces).unwrap();
        let launch = json!({ "interface": "acme:rockets/launch@1.0.0", "functions": ["go"] });
        interfaces["imports"].as_array_mut().unwrap().push(launch);
        parts.interfaces = serde_json::to_vec(&interfaces).unwrap();
    });
    let inspected = desk.run(&["inspect", "json-query", "--json"]);
    assert_eq!(inspected.code, 2, "{inspected:?}");
    assert_eq!(inspected.report()["imports"]["acme:rockets/launch@1.0.0"], json!(["go"]));
    assert_eq!(inspected.report()["unknown_imports"], json!(["acme:rockets/launch@1.0.0"]));
    // They are text, and decide nothing: what a component may do is decided where it runs.
    assert_eq!(query(&desk, "json-query").json(), json!({ "value": 1 }));
    for interfaces in ["", "{}", r#"{"imports":[],"exports":["a\u001b[31m"]}"#] {
        forge(&desk, &artifact(&desk), |parts| parts.interfaces = interfaces.as_bytes().to_vec());
        let refused = desk.run(&["inspect", "json-query"]);
        refused.fails(2, &["the installed tool `json-query` is refused", "nothing was run"]);
        assert!(!refused.stderr.contains('\u{1b}'), "{refused:?}");
    }
}

#[test]
fn operations_are_told_at_install_by_a_worker_that_may_do_nothing() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    let ledger = desk.path("ledger");
    let entries: Vec<Entry<'static>> = read(&ledger).unwrap().map(|entry| entry.unwrap().1).collect();
    let sealed = entries.iter().find_map(|entry| if let Entry::Enforcement(seal) = entry { Some(seal) } else { None });
    assert_eq!(sealed.unwrap().level, Level::Full);
    let calls: Vec<_> =
        entries.iter().filter_map(|entry| if let Entry::Call(call) = entry { Some(call) } else { None }).collect();
    let [asked] = calls[..] else { panic!("{entries:?}") };
    assert_eq!((asked.operation.as_str(), asked.tool.as_str()), ("tollgate:describe", "word-count"));
    // The tool needs a folder. Here it has none, and neither has its process, which is sealed by what all its tools may do.
    let set: Value = serde_json::from_str(&read_set(&ledger, asked.capability_set).unwrap().unwrap()).unwrap();
    assert!(set.get("fs").is_none_or(|fs| *fs == json!([])), "{set}");
    assert_eq!(sealed.unwrap().policies, [asked.capability_set]);
    let stored = Parts::of(&fs::read(desk.stored("word-count").artifact).unwrap());
    let operations: Vec<Value> = serde_json::from_slice(&stored.operations).unwrap();
    let names: Vec<&str> = operations.iter().map(|operation| operation["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"count"), "{names:?}");
}

#[test]
fn a_tool_that_says_something_else_than_is_stored_is_refused_by_name() {
    let desk = installed();
    let (sound, operations) = (fs::read(artifact(&desk)).unwrap(), desk.stored("json-query").operations);
    let told = fs::read(&operations).unwrap();
    let refused = |words: &[&str]| {
        let ran = query(&desk, "json-query");
        ran.fails(2, &["does not say the same of its operations", "do not run it"]);
        ran.says(words);
        fs::write(artifact(&desk), &sound).unwrap();
        fs::write(&operations, &told).unwrap();
    };
    forge_operations(&desk, &artifact(&desk), |operations| operations[0]["description"] = json!("Deletes all."));
    let first: Vec<Value> = serde_json::from_slice(&Parts::of(&sound).operations).unwrap();
    refused(&[&format!("`{}`", first[0]["name"].as_str().unwrap())]);
    forge_operations(&desk, &artifact(&desk), |operations| operations[0]["input_schema"] = json!("true"));
    refused(&[&format!("`{}`", first[0]["name"].as_str().unwrap())]);
    forge_operations(&desk, &artifact(&desk), |operations| operations.reverse());
    refused(&["their order"]);
    forge_operations(&desk, &artifact(&desk), |operations| {
        let mut more = operations[0].clone();
        more["name"] = json!("more");
        operations.push(more);
    });
    refused(&["`more`"]);
    assert!(desk.called().is_empty(), "nothing ran");
    assert_eq!(query(&desk, "json-query").json(), json!({ "value": 1 }));
}

#[test]
fn a_tool_that_is_run_by_its_path_must_say_what_it_said_first() {
    let desk = Desk::with("json-query");
    // Whoever only looks does not ask.
    assert_eq!(desk.run(&["inspect", "tools/json-query.wasm"]).code, 0);
    assert!(Parts::of(&fs::read(cached(&desk)).unwrap()).operations.is_empty());
    assert_eq!(query(&desk, "tools/json-query.wasm").json(), json!({ "value": 1 }));
    assert!(!Parts::of(&fs::read(cached(&desk)).unwrap()).operations.is_empty());
    assert_eq!(query(&desk, "tools/json-query.wasm").json(), json!({ "value": 1 }));
    forge_operations(&desk, &cached(&desk), |operations| operations[0]["description"] = json!("Deletes all."));
    query(&desk, "tools/json-query.wasm").fails(2, &["does not say the same of its operations", "first run"]);
    assert_eq!(desk.called(), ["query", "query"]);
}

#[test]
fn an_artifact_of_an_older_version_is_refused_or_compiled_again() {
    let desk = installed();
    assert_eq!(query(&desk, "tools/json-query.wasm").json(), json!({ "value": 1 }));
    for path in [artifact(&desk), cached(&desk)] {
        let mut stored = fs::read(&path).unwrap();
        stored[7] = b'1';
        fs::write(&path, stored).unwrap();
    }
    let ran = query(&desk, "json-query");
    ran.fails(
        2,
        &["the installed tool `json-query` is refused", "stored by another version of Tollgate", "compile it again"],
    );
    assert_eq!(query(&desk, "tools/json-query.wasm").json(), json!({ "value": 1 }), "compiled from its source");
    // What the error says is what helps.
    desk.run(&["doctor", "--fix"]).says(&["compiled again: json-query 0.1.0 sha256:"]);
    assert_eq!(query(&desk, "json-query").json(), json!({ "value": 1 }));
}

#[test]
fn an_installed_artifact_without_operations_is_refused() {
    let desk = installed();
    forge(&desk, &artifact(&desk), |parts| parts.operations.clear());
    query(&desk, "json-query").fails(2, &["does not say which operations the component has", "doctor --fix"]);
}

/// The two must be the same: a list of tools shows the one, and a worker is held to the other.
#[test]
fn an_installed_artifact_that_says_other_operations_than_are_stored_is_refused() {
    let desk = installed();
    let told = desk.stored("json-query").operations;
    let before = fs::read(&told).unwrap();
    forge_operations(&desk, &artifact(&desk), |operations| operations[0]["description"] = json!("Deletes all."));
    let forged = fs::read(&told).unwrap();
    fs::write(&told, &before).unwrap();
    query(&desk, "json-query").fails(2, &["other operations than those that are stored beside it", "doctor --fix"]);
    // What was not sealed with the key is told by nobody.
    let mut flipped = forged.clone();
    flipped[100] ^= 1;
    for damaged in [&flipped[..], &forged[..60], b""] {
        fs::write(&told, damaged).unwrap();
        query(&desk, "json-query").fails(2, &["is refused", "nothing was run"]);
        let shown = desk.run(&["show", "json-query"]);
        assert!(shown.code == 0 && shown.stdout.contains("cannot be told"), "{shown:?}");
        assert!(!shown.stdout.contains("Deletes all."), "{shown:?}");
    }
    assert!(desk.called().is_empty());
}

/// A guest that does in its list of operations what it may not: nothing is installed, and it is on record.
#[test]
fn a_tool_that_attacks_while_it_is_asked_is_not_installed() {
    let desk = Desk::with("json-query");
    let random =
        "(import \"wasi:random/random@0.2.6\" (instance $random (export \"get-random-u64\" (func (result u64)))))
        (core func $draw (canon lower (func $random \"get-random-u64\")))";
    let text = include_str!("../../../../tests/caps.wat")
        .replace(";;COMPONENT", random)
        .replace(";;MODULE", "(import \"random\" \"draw\" (func $draw (result i64)))")
        .replace(";;WITH", "(with \"random\" (instance (export \"draw\" (func $draw))))")
        .replace("(i32.const 1200))\n", "(drop (call $draw)) (i32.const 1200))\n");
    desk.file("tools/json-query.wasm", wat::parse_str(text).unwrap());
    let ran = desk.run(&["install", "tools/json-query.wasm"]);
    ran.fails(3, &["failed when asked for its operations", "random"]);
    assert!(!desk.home().join("tools").exists(), "nothing is installed");
    let violation = desk.entries().into_iter().find(|entry| entry["kind"] == "violation").expect("on record");
    assert_eq!(violation["rule"], "random", "{violation}");
}
