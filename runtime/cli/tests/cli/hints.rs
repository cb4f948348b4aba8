//! What a denial offers: never more than what was denied, and never without what narrows the grant that is there.

use crate::desk::{COUNT, Desk};

/// What `word-count` is told after it was denied to list, under a policy that grants it to read.
fn denied_to_list(more: &str) -> String {
    let desk = Desk::with("word-count");
    desk.file(
        "tollgate.toml",
        format!("[tools.word-count]\nfs.\"/docs\" = {{ host = \"docs\", access = [\"read\"]{more} }}\n"),
    );
    let ran = desk.run(&COUNT);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("  rule      fs:/docs:list\n"), "{}", ran.stderr);
    ran.stderr
}

const ACCESS: &str = "in tollgate.toml: fs.\"/docs\" = { …, access = [\"read\", \"list\"] } under [tools.word-count]";

#[test]
fn a_right_is_offered_for_one_run_where_that_drops_nothing() {
    let told = denied_to_list("");
    assert!(told.contains(ACCESS) && told.contains("or for one run: --grant 'fs:/docs="), "{told}");
}

#[test]
fn a_hint_drops_no_pattern_no_quota_and_no_durable_right() {
    for more in
        [", exclude = [\"*.secret\"]", ", include = [\"*.txt\"]", ", quota = \"1KiB\"", ", durable = [\"read\"]"]
    {
        let told = denied_to_list(more);
        assert!(told.contains(ACCESS), "{more}: {told}");
        assert!(!told.contains("--grant"), "{more}: {told}");
    }
}

#[test]
fn what_patterns_hide_is_not_offered() {
    let desk = Desk::with("word-count");
    desk.file(
        "tollgate.toml",
        "[tools.word-count]\nfs.\"/docs\" = { host = \"docs\", access = [\"read\", \"list\"], exclude = [\"a.txt\"] }\n",
    );
    let input = r#"{"path": "/docs/a.txt"}"#;
    let ran = desk.run(&["run", "tools/word-count.wasm", "--op", "count-file", "--input", input]);
    ran.fails(3, &["fs:/docs:patterns", "`include` and `exclude` of fs.\"/docs\" under [tools.word-count]"]);
    assert!(!ran.stderr.contains("--grant"), "{}", ran.stderr);
}

/// The policy grants less than the usual, and the manifest asks for nothing: it is the manifest's turn, not the policy's.
#[test]
fn what_is_granted_already_is_not_offered_in_a_greater_measure() {
    let cases = [
        ("random = { seed = 42 }", "random-u64", "random = \"seeded\" under [needs]", "secure"),
        ("clocks.wall = \"frozen\"", "wall-clock", "clocks.wall = \"frozen\" under [needs]", "coarse"),
        ("clocks.monotonic = \"frozen\"", "monotonic-clock", "clocks.monotonic = \"frozen\" under [needs]", "coarse"),
    ];
    for (grant, call, offered, greater) in cases {
        let desk = Desk::with("probe-wasi");
        desk.file("tollgate.toml", format!("[tools.probe-wasi]\n{grant}\n"));
        let input = format!(r#"{{"call": "{call}"}}"#);
        let ran = desk.run(&["run", "tools/probe-wasi.wasm", "--op", "call", "--input", &input]);
        ran.fails(3, &[offered]);
        assert!(!ran.stderr.contains(greater) && !ran.stderr.contains("--grant"), "{grant}: {}", ran.stderr);
    }
}

/// A need and a grant of one folder that have no right in common: a grant in its place would drop the patterns.
#[test]
fn more_rights_of_a_granted_folder_are_to_be_added_to_its_line() {
    let desk = Desk::with("word-count");
    desk.file(
        "tollgate.toml",
        "[tools.word-count]\nfs.\"/docs\" = { host = \"docs\", access = [\"write\"], exclude = [\"a.txt\"] }\n",
    );
    let ran = desk.run(&COUNT);
    ran.fails(2, &["# fs.\"/docs\" is there: add read,list to its `access`"]);
    assert!(!ran.stderr.contains("--grant") && !ran.stderr.contains("PATH"), "{}", ran.stderr);
}
