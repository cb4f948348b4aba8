//! `tollgate check` and `tollgate inspect`: what would be allowed, without running anything.

use serde_json::json;

use crate::desk::{DOCS, Desk};

/// A manifest that needs everything that there is.
const EVERYTHING: &str = r#"
[tool]
name = "everything"
version = "1.0.0"
[[operations]]
name = "run"
[[needs.fs]]
guest = "/docs"
access = ["read", "write", "create", "delete", "list", "metadata"]
[needs]
env = ["LANG"]
args = true
stdio = ["stdin", "stdout", "stderr"]
random = "secure"
clocks = { wall = "real", monotonic = "real" }
"#;

const GRANTS: [&str; 7] = [
    "fs:/docs=docs:read,write,create,delete,list,metadata",
    "env:LANG=C",
    "args=x",
    "stdio=stdin,stdout,stderr",
    "random=secure",
    "clock:wall=real",
    "clock:monotonic=real",
];

/// Each verb with the rule that decides it.
const VERBS: [(&[&str], &str); 13] = [
    (&["read", "/docs/a.txt"], "fs:/docs:read"),
    (&["write", "/docs/a.txt"], "fs:/docs:write"),
    (&["create", "/docs/new.txt"], "fs:/docs:create"),
    (&["delete", "/docs/a.txt"], "fs:/docs:delete"),
    (&["list", "/docs"], "fs:/docs:list"),
    (&["stat", "/docs/a.txt"], "fs:/docs:metadata"),
    (&["env"], "env"),
    (&["args"], "args"),
    (&["random", "16"], "random"),
    (&["wall-clock"], "clocks.wall"),
    (&["monotonic-clock"], "clocks.monotonic"),
    (&["stdio", "stdin"], "stdio:stdin"),
    (&["stdio", "stdout"], "stdio:stdout"),
];

#[test]
fn each_verb_is_allowed_by_its_rule() {
    let desk = Desk::new();
    desk.file("tool.toml", EVERYTHING);
    let grants: Vec<&str> = GRANTS.iter().flat_map(|grant| ["--grant", grant]).collect();
    for (verb, rule) in VERBS {
        let ran = desk.run(&[&["check", "tool.toml", "--json"], &grants[..], verb].concat());
        let report = ran.json();
        assert_eq!(report["verdict"], "allowed", "{verb:?}: {report}");
        assert!(rule.starts_with(report["rule"].as_str().unwrap()), "{verb:?}: {report}");
    }
    for (verb, rule) in [(&["tcp"][..], "net"), (&["udp"], "net"), (&["resolve", "example.com"], "net")] {
        let ran = desk.run(&[&["check", "tool.toml"], &grants[..], verb].concat());
        assert_eq!(ran.code, 3);
        assert!(
            ran.stdout.contains(&format!("rule      {rule}\n")) && ran.stdout.contains("nothing grants it"),
            "{ran:?}"
        );
    }
    assert!(!desk.path("ledger").exists());
}

#[test]
fn each_verb_is_denied_without_its_rule_and_says_what_would_allow_it() {
    let desk = Desk::new();
    let bare = "[tool]\nname = \"bare\"\nversion = \"1.0.0\"\n[[operations]]\nname = \"run\"\n[needs]\nstdio = []\n";
    desk.file("tool.toml", bare);
    let is_empty = |rule: &str| ["env", "args", "stdio:stdin"].contains(&rule);
    for (verb, _) in VERBS.into_iter().filter(|(_, rule)| is_empty(rule)) {
        let ran = desk.run(&[&["check", "tool.toml"], verb].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        assert!(ran.stdout.starts_with("allowed\n  rule      empty\n"), "there is nothing to see: {ran:?}");
    }
    for (verb, rule) in VERBS.into_iter().filter(|(_, rule)| !is_empty(rule)) {
        let ran = desk.run(&[&["check", "tool.toml"], verb].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "{ran:?}");
        let rule = if rule.starts_with("fs") { "fs" } else { rule };
        let said =
            ran.stdout.starts_with(&format!("denied\n  rule      {rule}\n")) && ran.stdout.contains("\n  to allow  ");
        assert!(said, "{verb:?}: {ran:?}");
    }
    for (verb, rule) in VERBS.into_iter().filter(|(_, rule)| rule.starts_with("fs")) {
        let right = rule.rsplit(':').next().unwrap();
        let others = ["read", "write", "create", "delete", "list", "metadata"].into_iter().filter(|one| *one != right);
        let others = others.collect::<Vec<_>>();
        let need = format!("[[needs.fs]]\nguest = \"/docs\"\naccess = {others:?}\n");
        desk.file("tool.toml", bare.replace("[needs]\nstdio = []\n", &need));
        let grant = format!("fs:/docs=docs:{}", others.join(","));
        let ran = desk.run(&[&["check", "tool.toml", "--grant", &grant], verb].concat());
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stdout.contains(&format!("rule      {rule}\n")), "{ran:?}");
        assert!(ran.stdout.contains(&format!("\"{right}\"")) && ran.stdout.contains("[[needs.fs]]"), "{ran:?}");
    }
}

#[test]
fn paths_are_decided_as_a_tool_would_ask() {
    let desk = Desk::with("word-count");
    std::os::unix::fs::symlink("../secret.txt", desk.path("docs/link")).unwrap();
    let check = |path: &str| {
        let ran = desk.run(&["check", "tools/word-count.toml", DOCS[0], DOCS[1], "--json", "read", path]);
        (ran.code, ran.report()["rule"].as_str().unwrap().to_owned())
    };
    assert_eq!(check("/docs/a.txt"), (0, "fs:/docs:read".into()));
    assert_eq!(check("/docs/x/../a.txt"), (0, "fs:/docs:read".into()));
    assert_eq!(check("/docs/../secret.txt"), (3, "fs:/docs:beneath".into()));
    assert_eq!(check("/docs/link"), (3, "fs:/docs:beneath".into()));
    assert_eq!(check("/docsx/a.txt"), (3, "fs".into()));
    // A tool starts at the root, as a run of the same tool shows.
    let named = ["docs/a.txt", "//docs/a.txt", "docs/./a.txt", "docs//a.txt"].map(|path| (path, true));
    let not_named = ["./docs/a.txt", "/./docs/a.txt", "docsx/a.txt", "a.txt"].map(|path| (path, false));
    for (path, is_named) in named.into_iter().chain(not_named) {
        let rule = if is_named { (0, "fs:/docs:read".to_owned()) } else { (3, "fs".to_owned()) };
        assert_eq!(check(path), rule, "{path}");
        let input = json!({ "path": path }).to_string();
        let count = ["run", "tools/word-count.wasm", "--op", "count-file", "--input", &input, DOCS[0], DOCS[1]];
        assert_eq!(desk.run(&count).code, if is_named { 0 } else { 1 }, "{path}");
    }
    assert_eq!(check("/etc/passwd"), (3, "fs".into()));
}

/// Both look at the disk in the same way.
#[test]
fn check_decides_as_a_run_does_whatever_stands_on_the_way() {
    let desk = Desk::with("probe-fs");
    std::fs::create_dir(desk.path("docs/sub")).unwrap();
    desk.file("docs/sub/b.txt", "beta");
    for (text, link) in [("..", "up"), ("nowhere", "gone"), ("sub", "alias"), ("tollgate.toml", "policy")] {
        std::os::unix::fs::symlink(text, desk.path("docs").join(link)).unwrap();
    }
    desk.file("docs/tollgate.toml", "");
    let rights = "host = \"docs\", access = [\"read\", \"write\", \"create\", \"delete\", \"list\", \"metadata\"]";
    let decided = |patterns: &str, verb: &str, path: &str, step: serde_json::Value| {
        desk.file("tollgate.toml", format!("[tools.probe-fs]\nfs.\"/docs\" = {{ {rights}{patterns} }}\n"));
        let checked = desk.run(&["check", "tools/probe-fs.toml", "--json", verb, path]);
        let rule = checked.report()["rule"].as_str().unwrap().to_owned();
        let input = json!({ "steps": [step] }).to_string();
        let ran = desk.run(&["run", "tools/probe-fs.wasm", "--op", "run", "--input", &input, "--json"]);
        assert_eq!(checked.code == 3, ran.code == 3, "{verb} {path}: {checked:?}, {ran:?}");
        if ran.code == 3 {
            assert_eq!(ran.report()["error"]["rule"], rule, "{verb} {path}: {checked:?}, {ran:?}");
        }
        (checked.code, rule)
    };
    let read = |path: &str| json!({ "op": "read", "path": path });
    let write = |path: &str| json!({ "op": "write", "path": path, "data": "x" });
    let denied = |rule: &str| (3, format!("fs:/docs:{rule}"));
    assert_eq!(decided("", "read", "/docs/sub/b.txt", read("/docs/sub/b.txt")), (0, "fs:/docs:read".to_owned()));
    assert_eq!(decided("", "create", "/docs/up/new", write("/docs/up/new")), denied("beneath"));
    assert_eq!(decided("", "write", "/docs/policy", write("/docs/policy")), denied("policy"));
    let excluding = ", exclude = [\"*.md\"]";
    assert_eq!(decided(excluding, "read", "/docs/alias/b.txt", read("/docs/alias/b.txt")), denied("patterns"));
    assert_eq!(decided(excluding, "read", "/docs/gone", read("/docs/gone")), denied("patterns"));
    let unlink = json!({ "op": "unlink", "path": "/docs/up" });
    assert_eq!(decided("", "delete", "/docs/up", unlink), (0, "fs:/docs:delete".to_owned()));
    assert!(desk.path("docs/up").symlink_metadata().is_err() && !desk.path("new").exists());
    assert_eq!(std::fs::read(desk.path("docs/tollgate.toml")).unwrap(), b"");
}

#[test]
fn inspect_tells_what_a_tool_could_do() {
    let desk = Desk::with("word-count");
    let ran = desk.run(&["inspect", "tools/word-count.wasm", DOCS[0], DOCS[1], "--grant", "env:LANG=C"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    for words in [
        "word-count 0.1.0\n  component  sha256:",
        "could do:\n  fs     /docs is FOLDER/docs: read,list\n  stdio  stdout, stderr\n  limits memory 32MiB, fuel 1000000000",
        "  wasi:filesystem/preopens@0.2.6 (1 function)\n",
        "narrowed by the grant:\n  limits.fuel: 2000000000 expected, 1000000000 holds\n",
        "granted, not needed:\n  env:LANG\n",
    ] {
        assert!(ran.stdout.contains(words), "no {words:?} in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("imported, not declared"), "what it imports beside is empty: {}", ran.stdout);
    let missing = desk.run(&["inspect", "tools/word-count.wasm"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stdout.contains("or on the command line:\n  --grant 'fs:/docs=PATH:read,list'\n"), "{missing:?}");
    assert!(!desk.path("ledger").exists());
}

#[test]
fn inspect_in_json_has_set_and_imports() {
    let desk = Desk::with("word-count");
    let report = desk.run(&["inspect", "tools/word-count.wasm", DOCS[0], DOCS[1], "--json"]).json();
    assert_eq!(report["capability_set"]["fs"][0]["access"], json!(["read", "list"]));
    assert_eq!(report["imports"]["wasi:cli/exit@0.2.6"], json!(["exit"]));
    assert_eq!((&report["missing"], &report["unknown_imports"]), (&json!(null), &json!([])));
    let missing = desk.run(&["inspect", "tools/word-count.wasm", "--json"]);
    assert_eq!(missing.code, 2);
    assert_eq!(missing.report()["missing"]["grants"], json!(["fs:/docs=PATH:read,list"]));
}

#[test]
fn inspect_shows_operations_as_far_as_they_are_known() {
    let desk = Desk::with("word-count");
    let inspect = |tool: &str| desk.run(&["inspect", tool, DOCS[0], DOCS[1]]);
    // Nobody asked the component yet.
    let declared = inspect("tools/word-count.wasm");
    assert!(declared.stdout.contains("\noperations:\n  count"), "{declared:?}");
    assert_eq!(
        desk.run(&["inspect", "tools/word-count.wasm", DOCS[0], DOCS[1], "--json"]).json()["operations"][0]["required"],
        json!(null)
    );
    assert!(!desk.path("ledger").exists());
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    let told = inspect("word-count");
    assert!(told.stdout.contains("  count(folder, [top])  "), "{told:?}");
    assert!(told.stdout.contains("  count-file(path)  "), "{told:?}");
    let operations = desk.run(&["inspect", "word-count", DOCS[0], DOCS[1], "--json"]).json()["operations"].clone();
    assert_eq!((&operations[0]["name"], &operations[0]["required"]), (&json!("count"), &json!(["folder"])));
    assert!(operations[0]["input_schema"]["properties"]["top"].is_object(), "{operations}");
    assert!(operations[1]["description"].as_str().is_some_and(|text| !text.is_empty()), "{operations}");
}

#[test]
fn inspect_says_that_a_component_is_no_tool() {
    let desk = Desk::new();
    desk.file("none.wasm", wat::parse_str("(component)").unwrap());
    let ran = desk.run(&["inspect", "none.wasm"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stdout.contains("\nno tool: it will not run:\n  the component exports no `tollgate:tool/tool@0.1.0`"),
        "{ran:?}"
    );
    assert_eq!(desk.run(&["run", "none.wasm"]).code, 2);
    let report = desk.run(&["inspect", "none.wasm", "--json"]).report();
    assert!(report["not_a_tool"].as_str().unwrap().contains("it exports nothing"), "{report}");
    assert!(desk.called().is_empty());
}

/// Before the question or after it.
#[test]
fn options_stand_on_either_side_of_the_question() {
    let desk = Desk::with("word-count");
    let tool = "tools/word-count.wasm";
    let before = desk.run(&[&["check", tool][..], &DOCS, &["read", "/docs/a.txt"]].concat());
    let after = desk.run(&[&["check", tool, "read", "/docs/a.txt"][..], &DOCS].concat());
    assert_eq!((before.code, &before.stdout), (0, &after.stdout), "{after:?}");
    desk.file("own.toml", "[tools.word-count]\nfs.\"/docs\" = { host = \"docs\", access = [\"read\", \"list\"] }\n");
    let given = desk.run(&["check", tool, "read", "/docs/a.txt", "--policy", "own.toml", "--on-violation", "deny"]);
    assert_eq!((given.code, &given.stdout), (0, &before.stdout), "{given:?}");
}

/// What is installed is refused once it is edited.
#[test]
fn nobody_is_told_to_edit_the_manifest_of_what_is_installed() {
    let desk = Desk::with("word-count");
    let question = ["write", "/docs/a.txt", "--grant", "fs:/docs=docs:read,list,write"];
    let by_path = desk.run(&[&["check", "tools/word-count.wasm"][..], &question].concat());
    assert!(by_path.stdout.contains("to allow  in tools/word-count.toml: [[needs.fs]] of /docs"), "{by_path:?}");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    let installed = desk.run(&[&["check", "word-count"][..], &question].concat());
    let help = "to allow  in the tool's manifest, or a copy of it, then `tollgate install PATH --name word-count --manifest FILE`: \
                [[needs.fs]] of /docs";
    assert!(installed.code == 3 && installed.stdout.contains(help), "{installed:?}");
    assert!(!installed.stdout.contains("components.sha256"), "{installed:?}");
}
