//! The types of three providers' own packages take every tool in the form that is for them, and what their models would answer is a call.

use std::process::Command;

use serde_json::json;

use crate::mcp::official::installed;
use crate::serve::{Served, desk};

const POLICY: &str = "[tools.word-count]\nfs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\"] }\n\
     [tools.csv-stats]\nfs.\"/data\" = { host = \"../docs\", access = [\"read\"] }\n\
     [tools.text-diff]\nfs.\"/texts\" = { host = \"../docs\", access = [\"read\"] }\n\
     [tools.note-book]\nfs.\"/notes\" = { host = \"../notes\", access = [\"read\", \"write\", \"create\"] }\n\
     [tools.dice]\nrandom = \"secure\"\n[tools.clock]\nclocks = { wall = \"real\" }\n";

#[test]
fn the_providers_own_types_take_every_tool() {
    let Some(installed) = installed() else { return };
    let tools =
        ["clock", "csv-stats", "dice", "echo", "json-query", "note-book", "probe-mcp", "text-diff", "word-count"];
    let desk = desk(&tools, POLICY);
    desk.file("docs/t.csv", "a,b\n1,x\n2.5,y\n");
    desk.file("notes/other", "");
    let diff = |before: &str, after: &str| json!({ "before": before, "after": after, "context": 1 });
    let calls = json!({
        "clock_now": {},
        "clock_watch": { "readings": 3 },
        "clock_weekday": { "date": "2024-02-29" },
        "clock_days-between": { "from": "2024-02-28", "to": "2024-03-01" },
        "csv-stats_describe": { "path": "/data/t.csv", "header": true },
        "dice_roll": { "expression": "2d6-1d4+3" },
        "echo_echo": { "text": "ä\u{2028}" },
        "json-query_query": { "document": { "a": [1, null] }, "pointer": "/a" },
        "json-query_keys": { "document": [1] },
        "json-query_search": { "document": { "a": 1 }, "expression": "a" },
        "note-book_append": { "notes": [{ "text": "milk", "tag": "home" }] },
        "note-book_list": { "tag": "home" },
        "probe-mcp_simple-text": {},
        "probe-mcp_error": null,
        "probe-mcp_logging": {},
        "probe-mcp_streaming": {},
        "probe-mcp_schema": { "contactMethod": "phone", "phone": "1", "address": { "street": "s" } },
        "probe-mcp_list": ["a", { "c": [] }, 5, { "p": null, "q": 1 }],
        "probe-mcp_either": { "b": 255 },
        "probe-mcp_words": { "s": "", "n": -9_007_199_254_740_991_i64, "any": [], "not": 0, "x-y": "z" },
        "text-diff_diff": diff("a\nb\n", "a\nc\n"),
        "text-diff_diff-files": diff("/texts/a.txt", "/texts/b.txt"),
        "word-count_count": { "folder": "/docs" },
        "word-count_count-file": { "path": "/docs/a.txt" },
    });
    let served = Served::start(&desk);
    let plan = json!({ "socket": served.socket("local"), "calls": calls });
    let mut command = Command::new(installed.join("models/bin/python3"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/models.py")).arg(plan.to_string());
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().count(), 3, "{said}");
    served.stop();
}
