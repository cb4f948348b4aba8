//! A hostile tool with a read-only grant: it is listed as one that changes nothing, and changes nothing, whichever way it tries.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::mcp::{Bridge, modern};
use crate::serve::{Served, desk};

const READS: &str =
    "[tools.probe-fs]\nfs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\", \"metadata\"] }\n";

/// Each way to change a file or a folder that the standard library has.
const BY_STD: [&str; 17] = [
    "write",
    "append",
    "overwrite",
    "create-new",
    "truncate",
    "set-len",
    "mkdir",
    "rmdir",
    "unlink",
    "rename",
    "hard-link",
    "symlink",
    "set-times",
    "copy",
    "mkdir-all",
    "rmdir-all",
    "write",
];

/// Each that WASI itself has.
fn by_wasi() -> Vec<Value> {
    let open = |more: Value| {
        let mut step = json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "data": "hacked", "offset": 1 });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    let at = |op: &str, path: &str, to: &str| json!({ "op": op, "base": "/docs", "path": path, "to": to });
    let mut steps: Vec<Value> = ["write", "write-via-stream", "append-via-stream", "set-size", "set-times"]
        .into_iter()
        .flat_map(|then| {
            [json!(["read", "write"]), json!(["write"]), json!(["read"])]
                .map(|flags| open(json!({ "flags": flags, "then": then })))
        })
        .collect();
    steps.extend([
        open(json!({ "open": ["truncate"], "flags": ["write"] })),
        open(json!({ "open": ["truncate"], "flags": ["read"] })),
        open(json!({ "open": ["create"], "flags": ["read"], "path": "new.txt" })),
        open(json!({ "open": ["create", "exclusive"], "flags": ["write"], "path": "new.txt", "then": "write" })),
        open(json!({ "open": ["directory"], "flags": ["mutate-directory"], "path": ".", "then": "set-times" })),
        json!({ "op": "preopen", "base": "/docs", "then": "set-times" }),
        json!({ "op": "set-times-at", "base": "/docs", "path": "a.txt" }),
        at("link-at", "a.txt", "hard"),
        at("symlink-at", "a.txt", "soft"),
        at("rename-at", "a.txt", "b.txt"),
        at("unlink-file-at", "a.txt", ""),
        at("remove-directory-at", "inner", ""),
        at("create-directory-at", "made", ""),
    ]);
    steps
}

/// What a file has, when that was changed, and how many names it has.
type Kept = (Option<Vec<u8>>, i64, i64, u64);

/// All that is in a folder.
fn state(folder: &Path) -> BTreeMap<String, Kept> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let content = found.is_file().then(|| fs::read(&path).unwrap());
        all.insert(path.display().to_string(), (content, found.mtime(), found.mtime_nsec(), found.nlink()));
        if found.is_dir() {
            all.extend(state(&path));
        }
    }
    all
}

#[test]
fn a_tool_that_is_listed_read_only_fails_to_write_in_every_way() {
    let desk = desk(&["probe-fs"], READS);
    fs::create_dir_all(desk.path("docs/inner")).unwrap();
    let before = state(&desk.path("docs"));
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    let list = client.ask("tools/list", modern(json!({})));
    for tool in list["result"]["tools"].as_array().unwrap() {
        let hints = &tool["annotations"];
        assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(true), &json!(false)), "{tool}");
    }
    let run = BY_STD
        .map(|op| ("run", json!({ "op": op, "path": path_of(op), "to": "/docs/new", "data": "hacked", "len": 1 })));
    let raw = by_wasi().into_iter().map(|step| ("raw", step));
    let mut denied = Vec::new();
    for (operation, step) in run.into_iter().chain(raw) {
        let arguments = json!({ "steps": [step] });
        let answer = client
            .ask("tools/call", modern(json!({ "name": format!("probe-fs_{operation}"), "arguments": arguments })));
        let result = &answer["result"];
        if result["isError"] == true {
            let class = &result["_meta"]["dev.tollgate/class"];
            assert_eq!(class, "violation", "{step}: {answer}");
            denied.push((step.clone(), result["_meta"]["dev.tollgate/call"].as_str().unwrap().to_owned()));
        } else {
            // A handle that was opened to be read takes no write, by WASI itself.
            let outcome = &result["structuredContent"]["result"][0];
            assert!(outcome["err"].is_object(), "{step}: {answer}");
        }
        assert_eq!(state(&desk.path("docs")), before, "{step}");
    }
    assert!(denied.len() > 30, "{}", denied.len());
    let read = json!({ "steps": [{ "op": "read", "path": "/docs/a.txt" }] });
    let answer = client.ask("tools/call", modern(json!({ "name": "probe-fs_run", "arguments": read })));
    assert!(answer["result"]["structuredContent"]["result"][0]["ok"].is_string(), "it reads: {answer}");
    client.end();
    served.stop();
    let shown = desk.run(&["audit", "show", "--kind", "call-end", "--json"]);
    let ends: Vec<Value> = shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (step, call) in denied {
        let end = ends.iter().find(|end| end["call"] == *call).unwrap_or_else(|| panic!("{step}: {call}"));
        assert_eq!(end["class"], "violation", "{step}: {end}");
    }
}

fn path_of(op: &str) -> &'static str {
    match op {
        "create-new" | "mkdir" | "mkdir-all" => "/docs/new",
        "rmdir" | "rmdir-all" => "/docs/inner",
        "symlink" => "a.txt",
        _other => "/docs/a.txt",
    }
}
