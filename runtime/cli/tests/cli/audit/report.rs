//! `tollgate audit report`.

use std::fs;

use super::counted;

#[test]
fn a_report_comes_in_three_forms() {
    let desk = counted();
    let markdown = desk.run(&["audit", "report", "--by", "agent"]);
    assert_eq!((markdown.code, markdown.stderr.as_str()), (0, ""), "{markdown:?}");
    assert!(markdown.stdout.starts_with("# ") && markdown.stdout.contains("The ledger verifies"), "{markdown:?}");
    let json = desk.run(&["audit", "report", "--by", "agent", "--format", "json"]).json();
    assert_eq!((&json["group_by"], &json["integrity"]["clean"]), (&"agent".into(), &true.into()), "{json}");
    let html = desk.run(&["audit", "report", "--format", "html"]);
    assert!(html.stdout.starts_with("<!") && html.stdout.trim_end().ends_with("</html>"), "{html:?}");
}

#[test]
fn a_report_is_narrowed_and_saved() {
    let desk = counted();
    let report = desk.run(&["audit", "report", "--operation", "count", "--format", "json"]).json();
    assert_eq!((&report["total"]["calls"], &report["criteria"]["operation"]), (&1.into(), &"count".into()));
    let saved = desk.run(&["audit", "report", "--out", "report.md"]);
    assert_eq!((saved.code, saved.stdout.as_str(), saved.stderr.as_str()), (0, "", ""));
    assert!(fs::read_to_string(desk.path("report.md")).unwrap().starts_with("# "));
    desk.run(&["audit", "report", "--out", "nowhere/report.md"]).fails(2, &["cannot write `nowhere/report.md`"]);
    desk.run(&["audit", "report", "--ledger", "nowhere"]).fails(2, &["there is no ledger in `nowhere`"]);
    desk.run(&["audit", "report", "--by", "weather"]).fails(2, &["weather", "tool"]);
}

#[test]
fn a_report_on_a_ledger_that_does_not_verify_says_so() {
    let desk = counted();
    let journal = desk.path("ledger/journal");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let ran = desk.run(&["audit", "report", "--format", "json"]);
    assert_eq!((ran.code, &ran.report()["integrity"]["clean"]), (5, &false.into()), "{ran:?}");
}
