//! The example tools through the real gate, one file per tool: what a tool does under its grant, what is denied without it,
//! and its cap. The denials of probes and hostile guests are in `tests/vocabulary` and `tests/hostile.rs`.

mod clock;
mod csv_stats;
mod dice;
mod echo;
mod json_query;
mod note_book;
mod text_diff;

use serde_json::Value;
use tollgate::{CallError, Tool};
use tollgate_audit::Kind;
use tollgate_config::{Grant, MissingGrants, intersect};
use tollgate_workspace::{Lab, guest, manifest};

const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";

/// Tools with a test elsewhere: word-count in `tests/smoke.rs`, and what the benches call.
const TESTED_ELSEWHERE: [&str; 2] = ["word-count", "echo-read"];
const TESTED_HERE: [&str; 7] = ["echo", "json-query", "csv-stats", "note-book", "dice", "clock", "text-diff"];

#[test]
fn every_tool_is_tested() {
    let mut tested = [TESTED_HERE.as_slice(), &TESTED_ELSEWHERE].concat();
    let mut tools: Vec<&str> = tollgate_example_tools::TOOLS.iter().map(|tool| tool.name).collect();
    tested.sort_unstable();
    tools.sort_unstable();
    assert_eq!(tested, tools);
}

/// What a tool is missing where nothing is granted.
fn without_grants(name: &str) -> MissingGrants {
    intersect(&manifest(guest(name)), &Grant::default(), |_name| None).unwrap_err()
}

/// The code and the message with which a tool refuses.
fn refusal(lab: &mut Lab, tool: &Tool, operation: &str, arguments: &Value) -> (String, String) {
    let failure = lab.failure(tool, operation, &arguments.to_string());
    lab.verified();
    match failure.error {
        CallError::Tool { code, message } => (code, message),
        other => panic!("{operation} {arguments}: {other:?}"),
    }
}

/// Asserts that a tool without any folder finds nothing at a path: there is no handle to begin from, so it cannot even ask.
fn assert_sees_no_folder(lab: &mut Lab, tool: &Tool, operation: &str, arguments: &Value) {
    assert!(tool.capability_set().fs.is_empty());
    let intents = lab.verified().count(Kind::Intent);
    assert_eq!(refusal(lab, tool, operation, arguments).0, "not-found");
    assert_eq!(lab.verified().count(Kind::Intent), intents, "nothing was asked for");
}
