//! echo: the smallest tool, and the cap on what it is given.

use serde_json::json;
use tollgate::CallError;
use tollgate_audit::Kind;
use tollgate_workspace::{Lab, guest};

#[test]
fn it_answers_what_it_is_given_and_asks_for_nothing() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("echo"), &["limit:input=1KiB"]);
    assert_eq!(lab.answer(&tool, "echo", r#"{"text": "hello"}"#), json!("hello"));
    assert_eq!(lab.verified().count(Kind::Intent), 0);
    let failure = lab.failure(&tool, "echo", &json!({ "text": "x".repeat(1024) }).to_string());
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap.as_str(), hit.limit), ("input", 1024));
}
