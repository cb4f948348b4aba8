//! The example tools answer, and what they did is in the ledger.

use tollgate_audit::{Entry, Kind};
use tollgate_workspace::{Lab, guest};

#[test]
fn word_count_counts_a_granted_folder() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "to be or not to be\n");
    lab.file("docs/sub/b.txt", "that is\nthe question\n");
    let tool = lab.tool(guest("word-count"), &["fs:/docs=docs:read,list"]);
    let answer = lab.answer(&tool, "count", r#"{"folder": "/docs"}"#);
    assert_eq!(answer["files"], 2);
    assert_eq!(answer["lines"], 3);
    assert_eq!(answer["words"], 10);
    let report = lab.verified();
    assert_eq!(report.count(Kind::Violation), 0);
    let opened: Vec<String> = lab
        .entries()
        .iter()
        .filter_map(|entry| match entry {
            Entry::Intent(intent) => Some(intent.rule.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(opened, ["fs:/docs", "fs:/docs:list", "fs:/docs:list", "fs:/docs:read", "fs:/docs:read"]);
}

#[test]
fn json_query_needs_nothing() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("json-query"), &[]);
    let answer = lab.answer(&tool, "query", r#"{"document": {"a": [1, {"b": 2}]}, "pointer": "/a/1/b"}"#);
    assert_eq!(answer["value"], 2);
    assert_eq!(lab.verified().count(Kind::Intent), 0);
}
