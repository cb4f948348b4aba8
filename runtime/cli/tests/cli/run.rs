//! `tollgate run`: results, arguments, where manifest and policy come from, exit codes.

use expect_test::expect;
use serde_json::json;

use crate::desk::{COUNT, DOCS, Desk};

#[test]
fn a_result_is_one_line_of_json_and_nothing_else() {
    let answer = Desk::with("word-count").count(&[]).json();
    assert_eq!((&answer["files"], &answer["words"]), (&json!(2), &json!(10)));
}

#[test]
fn json_tells_output_usage_streams_and_call() {
    let desk = Desk::with("word-count");
    let report =
        desk.count(&["--json", "--agent", "writer", "--reason", "why not", "--trace", "00-4bf9-00f0-01"]).json();
    assert_eq!((&report["ok"], &report["output"]["files"]), (&json!(true), &json!(2)));
    assert_eq!((&report["stdout"], &report["stderr"]), (&json!(""), &json!("")));
    assert!(report["usage"]["fuel"]["used"].as_u64() > Some(1000), "{report}");
    assert_eq!(report["usage"]["memory"]["cap_bytes"], 32 << 20);
    let call = report["call"].as_str().unwrap();
    let entries = desk.entries();
    let entry = entries.iter().find(|entry| entry["operation"] == "count").unwrap();
    let claims = json!({ "agent": "writer", "reason": "why not", "trace": "00-4bf9-00f0-01" });
    assert_eq!((entry["call"].as_str(), &entry["claims"]), (Some(call), &claims), "{entry}");
    assert_eq!((entry.get("agent"), entry.get("session")), (None, None), "nobody was proven: {entry}");
}

#[test]
fn a_result_over_several_lines_becomes_one_and_keeps_its_digits() {
    let desk = Desk::with("echo-read");
    let input = "{\"a\":\r\n  [1.10, 12345678901234567890]}\n";
    desk.file("in.json", input);
    let args = ["run", "tools/echo-read.wasm", "--grant", "fs:/data=docs:read", "--op", "echo", "--input", "@in.json"];
    let ran = desk.run(&args);
    ran.json();
    assert!(ran.stdout.contains("[1.10, 12345678901234567890]}"), "{ran:?}");
    let ran = desk.run(&[&args[..], &["--json"]].concat());
    ran.json();
    assert!(ran.stdout.contains("[1.10, 12345678901234567890]}"), "{ran:?}");
}

#[test]
fn arguments_come_from_a_file_or_from_standard_input() {
    let desk = Desk::with("json-query");
    let input = r#"{"document": {"a": "ü"}, "pointer": "/a"}"#;
    desk.file("in.json", input);
    let run = |input: &'static str| ["run", "tools/json-query.wasm", "--op", "query", "--input", input];
    assert_eq!(desk.run(&run("@in.json")).json()["value"], "ü");
    assert_eq!(desk.run_with_input(&run("-"), input.as_bytes()).json()["value"], "ü");
    desk.run_with_input(&run("-"), b"\xff{}").fails(2, &["standard input is not UTF-8 text"]);
    desk.run(&run("@nothing.json")).fails(2, &["cannot read `nothing.json`", "No such file"]);
    assert_eq!(desk.run_with_input(&run("@-"), input.as_bytes()).json()["value"], "ü");
}

/// RFC 8259 §8.1 lets a parser ignore it, and editors write it.
#[test]
fn a_byte_order_mark_before_arguments_is_ignored_however_they_are_given() {
    let desk = Desk::with("json-query");
    let input = "\u{feff}{\"document\": {\"a\": 1}, \"pointer\": \"/a\"}";
    desk.file("in.json", input);
    let run = |input: &str| desk.run(&["run", "tools/json-query.wasm", "--op", "query", "--input", input]);
    assert_eq!(run("@in.json").json()["value"], 1);
    assert_eq!(run(input).json()["value"], 1);
    let piped = ["run", "tools/json-query.wasm", "--op", "query", "--input", "-"];
    assert_eq!(desk.run_with_input(&piped, input.as_bytes()).json()["value"], 1);
    run(&input.replace('{', "\u{feff}{")).fails(2, &["are not JSON"]);
}

/// By a file, by standard input and by the library (`invoke.rs`); the kernel takes no text of a command that is as long.
#[test]
fn the_most_that_is_taken_is_the_same_for_every_way_of_giving_it() {
    let desk = Desk::with("json-query");
    std::fs::remove_file(desk.path("tools/json-query.toml")).unwrap();
    let long = std::fs::File::create(desk.path("long")).unwrap();
    long.set_len((64 << 20) + 1).unwrap();
    let start = ["run", "tools/json-query.wasm", "--op", "keys", "--grant", "stdio=stdin"];
    let from_long = |args: &[&str]| {
        let mut command = desk.command(&[&start, args].concat());
        command.stdin(std::fs::File::open(desk.path("long")).unwrap());
        desk.ran(&command.output().unwrap())
    };
    let too_long = "longer than 67108864 bytes, the most that any tool takes";
    for args in [["--input", "@long"], ["--input", "-"]] {
        from_long(&args).fails(2, &["the arguments are", too_long]);
    }
    for args in [["--stdin", "long"], ["--stdin", "-"]] {
        from_long(&args).fails(2, &["standard input is", too_long]);
    }
    assert_eq!(desk.called().len(), 0, "nothing was called");
    // Below that, the tool's own cap holds, for every way too.
    let input = r#"{"document": {"a": 1}}"#;
    desk.file("in.json", input);
    let capped = [&start[..], &["--grant", "limit:input=20"]].concat();
    for given in [input, "@in.json", "-"] {
        let ran = desk.run_with_input(&[&capped[..], &["--input", given]].concat(), input.as_bytes());
        ran.fails(4, &["`limits.input` is 20 bytes, and 22 bytes asked for"]);
    }
}

#[test]
fn a_dash_is_a_standard_stream_or_is_refused() {
    let desk = Desk::with("json-query");
    let start = ["run", "tools/json-query.wasm", "--op", "keys"];
    let run = |args: &[&str]| desk.run(&[&start, args].concat());
    run(&["--manifest", "-"]).fails(2, &["`--manifest -` would be standard input", "`./-`"]);
    run(&["--policy", "-"]).fails(2, &["`--policy -` would be standard input", "`./-`"]);
    run(&["--input", "-", "--receipt", "-"]).fails(2, &["`--receipt -` would be standard output", "`./-`"]);
    assert!(!desk.path("-").exists());
    std::fs::remove_file(desk.path("tools/json-query.toml")).unwrap();
    let granted = ["--grant", "stdio=stdin"];
    run(&[&granted[..], &["--input", "-", "--stdin", "-"]].concat()).fails(2, &["standard input is given twice"]);
    let input = r#"{"document": {"a": 1}}"#;
    let piped = |args: &[&str]| desk.run_with_input(&[&start, args].concat(), input.as_bytes()).json();
    assert_eq!(piped(&[&granted[..], &["--input", input, "--stdin", "-"]].concat()), json!({ "keys": ["a"] }));
    assert_eq!(piped(&["--input", "-"]), json!({ "keys": ["a"] }));
}

#[test]
fn the_only_operation_is_the_default() {
    let desk = Desk::with("panic");
    desk.run(&["run", "tools/panic.wasm"]).says(&["on purpose"]);
    assert_eq!(desk.called(), ["attack"]);
    let desk = Desk::with("json-query");
    desk.run(&["run", "tools/json-query.wasm"]).fails(2, &["several operations: query, keys", "--op"]);
    let ran = desk.run(&["run", "tools/json-query.wasm", "--op", "qeury"]);
    ran.fails(2, &["no operation `qeury`", "query, keys"]);
    // It was asked for, and is on record; the tool never ran.
    assert_eq!(desk.called(), ["qeury"]);
    assert_eq!(desk.entries().last().unwrap()["class"], "rejected");
}

#[test]
fn every_exit_code_has_its_cause() {
    let desk = Desk::with("word-count");
    for name in ["panic", "exit", "eat-memory", "spin", "sleep-forever", "resolve-name"] {
        desk.place(name);
    }
    assert_eq!(desk.count(&[]).code, 0);
    desk.run(&["run", "tools/panic.wasm"]).fails(1, &["the tool says: panicked at ", ": on purpose"]);
    desk.run(&["run", "tools/exit.wasm"]).fails(1, &["called exit with a failure"]);
    desk.count(&["--input", "{}"]).fails(2, &["cannot be used multiple times"]);
    desk.run(&["run", "tools/resolve-name.wasm"]).fails(3, &["denied by policy: the name `secret.example.com`"]);
    desk.run(&["run", "tools/eat-memory.wasm", "--op", "attack"]).fails(4, &["`limits.memory` is 16MiB"]);
    desk.run(&["run", "tools/spin.wasm", "--grant", "limit:fuel=1000000"]).fails(4, &["`limits.fuel` is 1000000"]);
    let sleep =
        ["run", "tools/sleep-forever.wasm", "--grant", "clock:monotonic=real", "--grant", "limit:deadline=50ms"];
    desk.run(&sleep).fails(4, &["`limits.deadline` is 50ms"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let args = ["run", "tools/word-count.wasm", "--op", "count", "--input", r#"{"folder": "/docs"}"#, DOCS[0], DOCS[1]];
    let output = desk.command(&args).stdout(full).output().unwrap();
    desk.ran(&output).fails(5, &["cannot write to standard output", "No space left"]);
}

#[test]
fn failures_in_json_say_what_kind_they_are() {
    let desk = Desk::with("word-count");
    desk.place("eat-memory");
    let escape = r#"{"path": "/docs/../secret.txt"}"#;
    let run = ["run", "tools/word-count.wasm", "--json", "--op", "count-file", "--input"];
    let violation = desk.run(&[&run[..], &[escape], &DOCS].concat());
    assert_eq!(violation.code, 3);
    let error = &violation.report()["error"];
    assert_eq!((&error["kind"], &error["rule"]), (&json!("violation"), &json!("fs:/docs:beneath")));
    assert!(error["advice"].as_str().unwrap().contains("operator's policy"));
    let rejected = desk.run(&[&run[..], &["{}"], &DOCS].concat());
    assert_eq!((rejected.code, &rejected.report()["error"]["kind"]), (2, &json!("rejected")));
    let missing = desk.run(&[&run[..], &["{}"]].concat());
    assert_eq!((missing.code, &missing.report()["error"]["kind"]), (2, &json!("usage")));
    assert!(missing.report()["error"]["help"].as_str().unwrap().contains("--grant 'fs:/docs=PATH:read,list'"));
    let cap = desk.run(&["run", "tools/eat-memory.wasm", "--op", "attack", "--json"]);
    assert_eq!((cap.code, &cap.report()["error"]["cap"]), (4, &json!("memory")));
    desk.file("tools/text.wasm", "hello");
    let load = desk.run(&["run", "tools/text.wasm", "--json"]);
    assert_eq!((load.code, &load.report()["error"]["kind"]), (2, &json!("load")));
}

#[test]
fn without_a_manifest_the_tool_needs_what_is_granted() {
    let desk = Desk::with("word-count");
    std::fs::remove_file(desk.path("tools/word-count.toml")).unwrap();
    assert_eq!(desk.count(&[]).json()["files"], 2);
    desk.run(&COUNT).fails(1, &["not-found"]);
    let ran = desk.run(&[&COUNT[..], &["--grant", "fs:/docs=docs:list"]].concat());
    ran.fails(3, &["fs:/docs:read", "--grant 'fs:/docs=FOLDER/docs:read,list'"]);
    assert!(!ran.stderr.contains("needs.fs"), "{ran:?}");
    desk.file("tools/+.wasm", "");
    desk.run(&["run", "tools/+.wasm"]).fails(2, &["gives no name for a tool", "--name"]);
}

#[test]
fn manifests_beside_the_component_and_by_name_are_found() {
    let desk = Desk::with("word-count");
    desk.run(&COUNT).fails(2, &["needs what nothing grants"]);
    std::fs::rename(desk.path("tools/word-count.toml"), desk.path("tools/tool.toml")).unwrap();
    desk.run(&COUNT).fails(2, &["needs what nothing grants"]);
    std::fs::rename(desk.path("tools/tool.toml"), desk.path("other.toml")).unwrap();
    desk.run(&[&COUNT[..], &["--manifest", "other.toml"]].concat()).fails(2, &["needs what nothing grants"]);
}

#[test]
fn the_policy_of_the_working_folder_holds_and_grants_come_on_top() {
    let desk = Desk::with("word-count");
    let policy = "[variables]\ntexts = \"docs\"\n[tools.word-count]\n\
                  fs.\"/docs\" = { host = \"${texts}\", access = [\"read\", \"list\"] }\n";
    desk.file("tollgate.toml", policy);
    assert_eq!(desk.run(&COUNT).json()["files"], 2);
    // Enough to list the operations, not to count this.
    desk.file("docs/long.txt", "word ".repeat(100_000));
    let capped = desk.run(&[&COUNT[..], &["--grant", "limit:fuel=1000000"]].concat());
    capped.fails(4, &["`limits.fuel` is 1000000", "tools.word-count"]);
    let starved = desk.run(&[&COUNT[..], &["--grant", "limit:fuel=10"]].concat());
    starved.fails(4, &["failed when asked for its operations", "`limits.fuel`", "raise this cap"]);
    // Relative folders start at the policy, not at the working folder.
    std::fs::remove_file(desk.path("tollgate.toml")).unwrap();
    desk.file("etc/policy.toml", policy);
    desk.file("etc/docs/one.txt", "one\n");
    assert_eq!(desk.run(&[&COUNT[..], &["--policy", "etc/policy.toml"]].concat()).json()["files"], 1);
}

#[test]
fn a_denial_says_what_why_and_who_could_allow_it() {
    let desk = Desk::with("word-count");
    let ran = desk.run(&[&COUNT[..], &["--grant", "fs:/docs=docs:read"]].concat());
    assert_eq!(ran.code, 3);
    expect![[r#"
        denied by policy: `/docs/.`
          This is the operator's policy, not a fault: trying the same thing another way is denied too.
          rule      fs:/docs:list
          why       it is not granted
          function  wasi:filesystem/types.[method]descriptor.open-at
          to allow  in tollgate.toml: fs."/docs" = { …, access = ["read", "list"] } under [tools.word-count]
                    or for one run: --grant 'fs:/docs=FOLDER/docs:read,list'
          call      CALL
    "#]]
    .assert_eq(&ran.golden());
    let escape =
        ["run", "tools/word-count.wasm", "--op", "count-file", "--input", r#"{"path": "/docs/../secret.txt"}"#];
    desk.run(&[&escape[..], &DOCS].concat()).fails(3, &["`/docs/../secret.txt`", "fs:/docs:beneath"]);
    // The guest goes on with an error code, and makes of it what it can.
    desk.run(&[&escape[..], &DOCS, &["--on-violation", "deny"]].concat()).fails(1, &["[not-permitted]"]);
}

#[test]
fn a_cap_says_which_and_where_to_raise_it() {
    let desk = Desk::with("spin");
    let ran = desk.run(&["run", "tools/spin.wasm", "--grant", "limit:fuel=100000"]);
    expect![[r#"
        stopped by a cap: `limits.fuel` is 100000
          to raise  in tollgate.toml: limits.fuel = 200000 under [tools.spin]
                    or for one run: --grant limit:fuel=200000
          call      CALL
    "#]]
    .assert_eq(&ran.golden());
    desk.place("eat-memory");
    let ran = desk.run(&["run", "tools/eat-memory.wasm", "--op", "attack"]);
    ran.says(&["to raise  in tools/eat-memory.toml: memory = \"32MiB\" under [limits]"]);
}

#[test]
fn what_a_tool_prints_cannot_steer_the_terminal() {
    let desk = Desk::with("panic");
    let input = r#"{"message": "\u001b[31mred\u0007\u009b"}"#;
    let ran = desk.run(&["run", "tools/panic.wasm", "--input", input]);
    ran.fails(1, &["\\u{1b}[31mred"]);
    assert!(!ran.stderr.chars().any(|character| character.is_control() && character != '\n'), "{ran:?}");
}

#[test]
fn standard_input_for_a_tool_needs_a_grant() {
    let desk = Desk::with("json-query");
    let run =
        ["run", "tools/json-query.wasm", "--op", "keys", "--stdin", "docs/a.txt", "--input", r#"{"document": {}}"#];
    desk.run(&run).fails(2, &["--stdin is given", "--grant stdio=stdin,stdout,stderr"]);
    std::fs::remove_file(desk.path("tools/json-query.toml")).unwrap();
    assert_eq!(desk.run(&[&run[..], &["--grant", "stdio=stdin,stdout,stderr"]].concat()).json(), json!({"keys": []}));
}
