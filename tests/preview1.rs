//! Components of the preview-1 adapter: most of what other languages make. Their runtimes look at standard input, environment
//! and arguments before anything else, and find nothing there unless it is granted.

use serde_json::json;
use tollgate::{CallError, Caller, Request};
use tollgate_audit::{Entry, Kind};
use tollgate_capability::{CapabilitySet, RecordScope, StdioSet};
use tollgate_wasi_proxy::Exited;
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, guest};

const STDOUT: &str = "wasi:io/streams.[method]output-stream.write";

fn look(lab: &mut Lab, set: CapabilitySet) -> serde_json::Value {
    let tool = lab.tool_with(guest("probe-preview1"), set).unwrap();
    let request =
        Request { operation: "look", arguments: "{}", stdin: "secret of the caller".into(), caller: Caller::default() };
    serde_json::from_str(&tool.call(&request).unwrap().output).unwrap()
}

#[test]
fn it_is_described_and_finds_nothing_where_nothing_is_granted() {
    let mut lab = Lab::new();
    let nothing = CapabilitySet { record: RecordScope::Every, ..CapabilitySet::default() };
    assert_eq!(look(&mut lab, nothing), json!({ "environment": 0, "arguments": 0, "stdin": 0 }));
    let report = lab.verified();
    assert_eq!(report.count(Kind::Violation), 0, "neither to describe nor to call it");
    let rules: std::collections::BTreeSet<String> = lab
        .entries()
        .iter()
        .filter_map(|entry| match entry {
            Entry::Intent(intent) => Some(intent.rule.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(rules, ["empty".to_owned()].into());
}

#[test]
fn it_finds_what_is_granted() {
    let mut lab = Lab::new();
    let set = CapabilitySet {
        env: [("LANG".to_owned(), "C".to_owned())].into(),
        args: vec!["tool".to_owned(), "--fast".to_owned()],
        stdio: StdioSet { stdin: true, ..StdioSet::EMPTY },
        ..CapabilitySet::default()
    };
    assert_eq!(look(&mut lab, set), json!({ "environment": 1, "arguments": 2, "stdin": 9 }));
}

#[test]
fn a_line_is_printed_where_that_is_granted_and_denied_where_not() {
    let mut lab = Lab::new();
    let tool = lab.tool_with(guest("probe-preview1"), CapabilitySet::default()).unwrap();
    lab.killed(&tool, "print", "{}", Denied::not_granted(STDOUT, "stdio:stdout"));
    lab.folder("docs");
    let tool = lab.tool(guest("probe-preview1"), &["fs:/docs=docs:read"]);
    let answer = lab.call(&tool, "print", "{}").unwrap();
    assert_eq!(
        (answer.output.as_str(), answer.streams.stdout.as_slice()),
        (r#"{"errno": 0}"#, b"printed\n".as_slice())
    );
}

#[test]
fn a_file_is_read_through_the_gate() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "alpha and more");
    let tool = lab.tool(guest("probe-preview1"), &["fs:/docs=docs:read"]);
    assert_eq!(lab.answer(&tool, "read", "{}"), "alpha");
    std::fs::remove_file(lab.path("docs/a.txt")).unwrap();
    assert_eq!(lab.answer(&tool, "read", "{}"), json!({ "errno": 44 }), "preview 1's noent");
}

/// The adapter's `proc_exit` has a number, and the function that it calls has none.
#[test]
fn an_exit_is_not_told_as_another_one() {
    let mut lab = Lab::new();
    let tool = lab.tool_with(guest("probe-preview1"), CapabilitySet::default()).unwrap();
    let failure = lab.crashed(&tool, "exit", "{}");
    assert!(matches!(failure.error, CallError::Exit { how: Exited::Failure }), "{failure}");
}
