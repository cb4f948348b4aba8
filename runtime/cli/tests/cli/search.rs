//! `serve.list = "search"`: two tools in the place of all. What they lead to is the real tool's, on record and in what is told.

use serde_json::{Value, json};

use crate::mcp::{Bridge, calls, modern, posted};
use crate::serve::{POLICY, Served, desk};

const SEARCH: &str = "[serve]\nlist = \"search\"\n";

#[test]
fn two_tools_find_and_call_all_others() {
    let desk = desk(&["word-count", "json-query"], &format!("{POLICY}{SEARCH}"));
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    let list = client.ask("tools/list", modern(json!({})));
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["find-tool", "call-tool"]);
    assert!(list["result"]["tools"].to_string().len() <= 1_500);
    let mut ask = |name: &str, arguments: Value| {
        client.ask("tools/call", modern(json!({ "name": name, "arguments": arguments })))["result"].take()
    };
    let found = ask("find-tool", json!({ "query": "count words of a folder", "limit": 1 }));
    assert_eq!(found["isError"], false, "{found}");
    assert_eq!(found["content"], json!([{ "type": "text", "text": found["structuredContent"].to_string() }]));
    let tool = &found["structuredContent"]["tools"][0];
    assert_eq!(
        (&tool["name"], &tool["inputSchema"]["type"]),
        (&json!("word-count_count"), &json!("object")),
        "{found}"
    );
    let called = ask("call-tool", json!({ "name": tool["name"], "arguments": { "folder": "/docs" } }));
    assert_eq!((&called["isError"], &called["structuredContent"]["words"]), (&json!(false), &json!(10)), "{called}");
    // Whoever knows a name may use it, and a wrong one is told to the model.
    let direct = ask("word-count_count", json!({ "folder": "/docs" }));
    assert_eq!(direct["structuredContent"], called["structuredContent"]);
    let wrong = ask("call-tool", json!({ "name": "word-count_nothing" }));
    let text = "no tool is offered as `word-count_nothing`: `find-tool` finds names";
    assert_eq!((&wrong["isError"], &wrong["content"][0]["text"]), (&json!(true), &json!(text)));
    for (name, arguments) in [("find-tool", json!({})), ("call-tool", json!({ "tool": "x" })), ("call-tool", json!({}))]
    {
        let refused = ask(name, arguments);
        assert_eq!(refused["_meta"], json!({ "dev.tollgate/class": "rejected" }), "{refused}");
    }
    let denied =
        ask("call-tool", json!({ "name": "word-count_count-file", "arguments": { "path": "/docs/../secret.txt" } }));
    assert_eq!(denied["_meta"]["dev.tollgate/rule"], "fs:/docs:beneath", "{denied}");
    client.end();
    // Other lists stay whole.
    let list = crate::mcp::asked(
        served.socket("local"),
        "GET /v1/tools?format=openai HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    assert!(list.1["tools"].as_array().unwrap().len() > 2, "{}", list.1);
    let params =
        json!({ "name": "call-tool", "arguments": { "name": "word-count_count", "arguments": { "folder": "/docs" } } });
    let over_http =
        posted(served.socket("local"), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }));
    assert_eq!(over_http.1["result"]["structuredContent"], called["structuredContent"]);
    served.stop();
    let recorded: Vec<(String, String)> = calls(&desk)
        .iter()
        .map(|entry| (entry["tool"].as_str().unwrap().to_owned(), entry["operation"].as_str().unwrap().to_owned()))
        .filter(|(_, operation)| !operation.starts_with("tollgate:"))
        .collect();
    let of = |operation: &str| ("word-count".to_owned(), operation.to_owned());
    assert_eq!(recorded, [of("count"), of("count"), of("count-file"), of("count")], "the real tools, and nothing else");
}

#[test]
fn who_lists_all_has_no_tool_of_the_daemons_own() {
    let desk = desk(&["word-count"], POLICY);
    let _served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    for name in ["find-tool", "call-tool"] {
        let none = client.ask("tools/call", modern(json!({ "name": name, "arguments": { "query": "x" } })));
        assert_eq!(none["error"]["code"], -32602, "{none}");
    }
    desk.file("tollgate-home/tollgate.toml", format!("{POLICY}{SEARCH}"));
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
    let list = client.ask("tools/list", modern(json!({})));
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 2, "the policy is read again: {list}");
    client.end();
}
