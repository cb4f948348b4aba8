//! note-book: writing, and the quota on it.

use std::fs;

use serde_json::{Value, json};
use tollgate::{CallError, Tool};
use tollgate_capability::{CapabilitySet, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES, Reason};
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, exists, guest};

use crate::{OPEN_AT, assert_sees_no_folder, refusal, without_grants};

/// What is left for notes once the file is there.
const QUOTA: u64 = 4 << 10;
const FILE: u64 = INODE_CHARGE_BYTES + NAME_CHARGE_BYTES + "notes.jsonl".len() as u64;
const NOTES: &[&str] = &["fs:/notes=notes:read,write,create"];
const WRITE: &str = "wasi:filesystem/types.[method]descriptor.write";

fn with_folder() -> Lab {
    let lab = Lab::new();
    lab.folder("notes");
    lab
}

fn set(lab: &Lab) -> CapabilitySet {
    let mut set = lab.set(guest("note-book"), NOTES);
    set.fs[0].write_quota = FILE + QUOTA;
    set
}

fn file(lab: &Lab) -> String {
    fs::read_to_string(lab.path("notes/notes.jsonl")).unwrap()
}

fn append(notes: &[Value]) -> String {
    json!({ "notes": notes }).to_string()
}

fn note(text: &str) -> Value {
    json!({ "text": text })
}

fn texts(lab: &mut Lab, tool: &Tool) -> Vec<String> {
    let listed = lab.answer(tool, "list", "{}");
    listed["notes"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn notes_are_kept_from_call_to_call() {
    let mut lab = with_folder();
    let tool = lab.tool(guest("note-book"), NOTES);
    assert_eq!(
        lab.answer(&tool, "list", "{}"),
        json!({ "notes": [], "total": 0 }),
        "without a file there are no notes"
    );
    let first = append(&[json!({ "text": "milk", "tag": "buy" }), note("call Ada")]);
    assert_eq!(lab.answer(&tool, "append", &first), json!({ "numbers": [1, 2] }));
    let second = append(&[json!({ "text": "bread", "tag": "buy" })]);
    assert_eq!(lab.answer(&tool, "append", &second), json!({ "numbers": [3] }));
    let newest = lab.answer(&tool, "list", r#"{"tag": "buy", "limit": 1}"#);
    assert_eq!(newest, json!({ "notes": [{ "number": 3, "text": "bread", "tag": "buy" }], "total": 2 }));
    assert_eq!(file(&lab).lines().count(), 3);
    let long = refusal(&mut lab, &tool, "append", &json!({ "notes": [note(&"x".repeat(5000))] }));
    assert_eq!(long.0, "too-long");
    assert_eq!(file(&lab).lines().count(), 3);
    lab.verified();
}

/// Four notes of 1,000 bytes and more fit into 4 KiB, the fifth does not.
fn five_notes() -> (String, [String; 5]) {
    let texts = ["a", "b", "c", "d", "e"].map(|letter| letter.repeat(980));
    (append(&texts.each_ref().map(|text| note(text))), texts)
}

#[test]
fn the_note_that_goes_over_the_quota_is_denied_and_those_before_it_stay() {
    let mut lab = with_folder();
    let set = set(&lab);
    let tool = lab.tool_with(guest("note-book"), set).unwrap();
    let (arguments, written) = five_notes();
    let line = u64::try_from(json!({ "number": 5, "text": written[4] }).to_string().len() + 1).unwrap();
    let failure = lab.failure(&tool, "append", &arguments);
    let CallError::Violation(violation) = &failure.error else { panic!("{failure:?}") };
    let reason = Reason::OverLimit { asked: line, left: QUOTA - 4 * line };
    assert_eq!((violation.rule.as_str(), violation.reason), ("fs:/notes:quota", reason));
    assert_eq!(file(&lab).len() as u64, 4 * line, "nothing of the fifth is written");
    assert_eq!(texts(&mut lab, &tool), written[..4]);
    // The quota is on one call: the next may write as much again.
    assert_eq!(lab.answer(&tool, "append", &append(&[note("later")])), json!({ "numbers": [5] }));
    lab.verified();
}

#[test]
fn a_tool_that_goes_on_after_a_denied_write_says_so() {
    let mut lab = with_folder();
    let set = CapabilitySet { on_violation: tollgate_capability::OnViolation::Deny, ..set(&lab) };
    let tool = lab.tool_with(guest("note-book"), set).unwrap();
    let (arguments, written) = five_notes();
    let refused = refusal(&mut lab, &tool, "append", &serde_json::from_str(&arguments).unwrap());
    // WASI's streams tell that a write failed, not why.
    assert_eq!(refused.0, "io", "{}", refused.1);
    assert_eq!(texts(&mut lab, &tool), written[..4]);
}

#[test]
fn a_torn_line_is_told_of_and_not_written_on() {
    let mut lab = with_folder();
    let tool = lab.tool(guest("note-book"), NOTES);
    lab.answer(&tool, "append", &append(&[note("one")]));
    let torn = file(&lab) + r#"{"number":2,"te"#;
    fs::write(lab.path("notes/notes.jsonl"), &torn).unwrap();
    assert_eq!(lab.answer(&tool, "append", &append(&[note("two")])), json!({ "numbers": [2] }));
    assert_eq!(file(&lab), torn + "\n{\"number\":2,\"text\":\"two\"}\n");
    let listed = lab.answer(&tool, "list", "{}");
    assert_eq!((&listed["total"], &listed["damaged"][0]["line"]), (&json!(2), &json!(2)));
}

#[test]
fn each_right_is_needed_and_no_other() {
    let missing = without_grants("note-book").toml_lines();
    let line = r#"fs."/notes" = { host = "PATH", access = ["read", "write", "create"] }"#;
    assert_eq!(missing, format!("[tools.note-book]\n{line}"));

    let mut lab = with_folder();
    let appended = append(&[note("one")]);
    for (rights, rule) in [("read,write", "fs:/notes:create"), ("read,create", "fs:/notes:write")] {
        let tool = lab.tool(guest("note-book"), &[&format!("fs:/notes=notes:{rights}")]);
        lab.killed(&tool, "append", &appended, Denied::not_granted(OPEN_AT, rule));
        assert!(!exists(&lab.path("notes/notes.jsonl")), "{rights}");
    }
    let tool = lab.tool(guest("note-book"), NOTES);
    lab.answer(&tool, "append", &appended);
    let blind = lab.tool(guest("note-book"), &["fs:/notes=notes:write,create"]);
    lab.killed(&blind, "list", "{}", Denied::not_granted(OPEN_AT, "fs:/notes:read"));
    let reader = lab.tool(guest("note-book"), &["fs:/notes=notes:read"]);
    assert_eq!(texts(&mut lab, &reader), ["one"], "to list takes no right to write");

    let mut set = set(&lab);
    set.fs.clear();
    let nowhere = lab.tool_with(guest("note-book"), set).unwrap();
    assert_sees_no_folder(&mut lab, &nowhere, "append", &serde_json::from_str(&appended).unwrap());
    assert_eq!(file(&lab).lines().count(), 1);
}

#[test]
fn writes_are_in_the_ledger_where_that_is_asked_for() {
    let mut lab = with_folder();
    let mut set = set(&lab);
    set.record = tollgate_capability::RecordScope::Every;
    let tool = lab.tool_with(guest("note-book"), set).unwrap();
    let answer = lab.call(&tool, "append", &append(&[note("one"), note("two")])).unwrap();
    let entries = lab.entries_of(answer.call);
    let writes = entries.iter().filter(|entry| match entry {
        tollgate_audit::Entry::Intent(intent) => intent.function.as_str() == WRITE,
        _ => false,
    });
    assert_eq!(writes.count(), 2, "each note is one write");
}
