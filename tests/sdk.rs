//! What the guest SDK does of its own accord reaches the caller, and asks for nothing that the tool did not ask for.

use serde_json::json;
use tollgate::{CallError, Caller, Claims, Request, Tool};
use tollgate_audit::{Entry, Kind};
use tollgate_workspace::{Lab, guest};

/// A tool that may know its call's context, and read one file.
fn probe(lab: &mut Lab) -> Tool {
    lab.file("docs/a.txt", "a");
    lab.tool(guest("probe-sdk"), &["context", "fs:/docs=docs:read"])
}

/// Calls the probe, which fails, and gives its message.
fn failed(lab: &mut Lab, tool: &Tool, operation: &str, arguments: &str, code: &str) -> String {
    let failure = lab.told_by_tool(tool, operation, arguments, code);
    assert_eq!(failure.output.stderr, b"", "nothing is written");
    let CallError::Tool { message, .. } = failure.error else { panic!("{failure:?}") };
    message
}

#[test]
fn a_tool_that_computes_asks_for_nothing() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("echo"), &[]);
    assert_eq!(lab.answer(&tool, "echo", r#"{"text": "hello"}"#), "hello");
    assert_eq!(lab.verified().count(Kind::Intent), 0, "neither loading nor answering has an effect");
}

#[test]
fn records_are_lines_of_stderr_with_their_level() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    let answer = lab.call(&tool, "log", "{}").unwrap();
    let lines = "<3>an error\n<4>a warning\n<6>some information\n<7>2 lines\n<7>of detail\n";
    assert_eq!(String::from_utf8_lossy(&answer.streams.stderr), lines);
}

#[test]
fn the_context_is_that_of_the_call() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    let caller = Caller::from(Claims { session: Some("s-1".into()), ..Claims::default() });
    let request = Request { operation: "context", arguments: "{}", stdin: Default::default(), caller };
    let answer = tool.call(&request).unwrap();
    let told: serde_json::Value = serde_json::from_str(&answer.output).unwrap();
    assert_eq!((&told["id"], &told["session"]), (&json!(answer.call.to_string()), &json!("s-1")));
    let left_ms = told["deadline_left_ms"].as_u64().unwrap();
    assert!(left_ms < 2_000 && left_ms.is_multiple_of(100), "{left_ms}");
}

/// The standard library reads a variable before it starts one: that is not what is in the way.
#[test]
fn a_thread_that_cannot_start_is_told_as_a_thread() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    let message = failed(&mut lab, &tool, "spawn", "{}", "panic");
    assert!(message.contains("failed to spawn thread"), "{message}");
}

#[test]
fn rayon_computes_on_the_one_thread_and_makes_no_pool() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    let answer = lab.call(&tool, "sum-in-parallel", r#"{"below": 100000}"#).unwrap();
    assert_eq!(answer.output, "4999950000");
    let entries = lab.entries_of(answer.call);
    let intents: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Intent(intent) => Some((intent.function.as_str(), intent.rule.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        intents,
        [("wasi:cli/environment.get-environment", "empty")],
        "it reads its variables and asks for nothing"
    );
    for operation in ["pool", "try-spawn"] {
        let message = failed(&mut lab, &tool, operation, "{}", "thread");
        assert_eq!(message, "Not supported (os error 58)", "{operation}");
    }
}

#[test]
fn overflow_and_a_bad_index_are_errors_of_the_tool() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    assert_eq!(lab.answer(&tool, "add-one", r#"{"number": 254}"#), 255);
    let message = failed(&mut lab, &tool, "add-one", r#"{"number": 255}"#, "panic");
    assert!(message.ends_with(": attempt to add with overflow"), "{message}");
    let message = failed(&mut lab, &tool, "pick", r#"{"at": 3}"#, "panic");
    assert!(message.starts_with("panicked at example-tools/hostile/examples/probe_sdk.rs:"), "{message}");
    assert!(message.ends_with(": index out of bounds: the len is 3 but the index is 3"), "{message}");
}

#[test]
fn an_io_error_has_its_code() {
    let mut lab = Lab::new();
    let tool = probe(&mut lab);
    assert_eq!(lab.answer(&tool, "open", r#"{"path": "/docs/a.txt"}"#), json!(null));
    let message = failed(&mut lab, &tool, "open", r#"{"path": "/docs/b.txt"}"#, "not-found");
    assert!(message.starts_with("No such file or directory"), "{message}");
}
