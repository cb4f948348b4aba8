//! MCP on the built program, spoken by hand, over the bridge and over HTTP: a list, a call, a denial, and what the ledger has of them.
//! Official clients are for others to add here: what they need is a [`Bridge`] or the socket of a [`Served`].

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::serve::{POLICY, Served, desk};

/// `tollgate mcp`, as a client starts it.
struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Bridge {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    fn say(&mut self, message: &Value) {
        self.stdin.as_mut().unwrap().write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} {:?}", self.errors()))
    }

    fn errors(&mut self) -> String {
        let mut said = String::new();
        drop(self.stdin.take());
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        self.hear()
    }

    fn initialize(&mut self) -> Value {
        let client = json!({ "name": "raw", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let opened = self.ask("initialize", params);
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        opened
    }

    /// Ends it from the client's side.
    fn end(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

fn modern(mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
        "dev.tollgate/agent": "somebody",
        "dev.tollgate/session": "s-1",
        "traceparent": TRACE,
    });
    params
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

fn calls(desk: &Desk) -> Vec<Value> {
    let shown = desk.run(&["audit", "show", "--kind", "call", "--json"]);
    shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_client_lists_and_calls_over_the_bridge_in_both_eras() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut old = Bridge::start(&mut desk.command(&["mcp"]));
    assert_eq!(old.initialize()["result"]["serverInfo"]["name"], "tollgate");
    let list = old.ask("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"word-count_count"), "{names:?}");
    for tool in tools {
        let hints = json!({
            "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
        });
        assert_eq!(tool["annotations"], hints);
        assert_eq!((&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]), (&json!("object"), &json!("object")));
    }
    let call = json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } });
    let first = old.ask("tools/call", call.clone());
    assert_eq!(first["result"]["isError"], false, "{first}");
    let structured = first["result"]["structuredContent"].clone();
    assert_eq!(first["result"]["content"][0]["text"], structured.to_string());
    let mut new = Bridge::start(&mut desk.command(&["mcp", "--agent", "local"]));
    let second = new.ask("tools/call", modern(call));
    assert_eq!(second["result"]["structuredContent"], structured);
    old.end();
    new.end();
    drop(served.stop());
    let entries = calls(&desk);
    let id = second["result"]["_meta"]["dev.tollgate/call"].as_str().unwrap();
    let entry = entries.iter().find(|entry| entry["call"] == id).unwrap_or_else(|| panic!("{id} in {entries:?}"));
    let text = entry.to_string();
    for part in ["\"agent\":\"local\"", "somebody", "s-1", TRACE, "\"count\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_denial_tells_the_model_that_another_way_is_denied_too() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    let arguments = json!({ "path": "/docs/../secret.txt" });
    let denied = client.ask("tools/call", json!({ "name": "word-count_count-file", "arguments": arguments }));
    let result = &denied["result"];
    assert_eq!(result["isError"], true, "{denied}");
    assert_eq!(result["_meta"]["dev.tollgate/class"], "violation", "{denied}");
    assert_eq!(result["_meta"]["dev.tollgate/rule"], "fs:/docs:beneath", "{denied}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("rule: fs:/docs:beneath") && text.contains("another way is denied too"), "{text}");
    client.end();
    drop(served.stop());
    let call = result["_meta"]["dev.tollgate/call"].as_str().unwrap();
    assert!(calls(&desk).iter().any(|entry| entry["call"] == call));
}

#[test]
fn what_is_no_tool_and_what_is_no_argument() {
    let desk = desk(&["word-count"], POLICY);
    let _served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    let unknown = client.ask("tools/call", json!({ "name": "word-count_nothing" }));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let wrong = client.ask("tools/call", json!({ "name": "word-count_count", "arguments": { "folder": 1 } }));
    assert_eq!(wrong["result"]["isError"], true, "{wrong}");
    assert_eq!(wrong["result"]["_meta"]["dev.tollgate/class"], "rejected");
    client.end();
}

/// Whoever listens is told of each change of what is installed, and the next list and the next call are of the new version.
#[test]
fn a_change_of_what_is_installed_is_told_and_holds_from_the_next_call_on() {
    let desk = desk(&["word-count"], POLICY);
    desk.place("json-query");
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    let list = |client: &mut Bridge| client.ask("tools/list", json!({})).to_string();
    assert!(list(&mut client).contains("\"word-count_count\""));
    let query = json!({ "name": "word-count_query", "arguments": { "document": { "a": 1 }, "pointer": "/a" } });
    // Another tool altogether, as the next version.
    let update = ["update", "word-count", "tools/json-query.wasm", "--yes"];
    for (args, is_query) in
        [(&update[..], true), (&["rollback", "word-count"], false), (&["rollback", "word-count"], true)]
    {
        let changed = desk.run(args);
        assert_eq!(changed.code, 0, "{changed:?}");
        assert_eq!(client.hear()["method"], "notifications/tools/list_changed", "{args:?}");
        let list = list(&mut client);
        assert_eq!(list.contains("\"word-count_query\""), is_query, "{args:?}: {list}");
        assert_eq!(list.contains("\"word-count_count\""), !is_query, "{args:?}: {list}");
        let called = client.ask("tools/call", query.clone());
        assert_eq!(called["result"]["structuredContent"] == json!({ "value": 1 }), is_query, "{args:?}: {called}");
    }
    assert_eq!(desk.run(&["remove", "word-count"]).code, 0);
    assert_eq!(client.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(client.ask("tools/call", query)["error"]["code"], -32602);
    client.end();
    let said = served.stop();
    assert!(
        said.contains("the tool `word-count` is 0.1.0 sha256:") && said.contains("its operations: added "),
        "{said}"
    );
}

/// By whatever does not find the daemon, such as a command with another ledger: the daemon looks itself.
#[test]
fn a_change_that_nobody_tells_of_is_told() {
    let desk = desk(&["word-count"], POLICY);
    let _served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    assert!(client.ask("tools/list", json!({})).to_string().contains("\"word-count_count\""));
    let removed = desk.command(&["remove", "word-count"]).env("TOLLGATE_LEDGER", desk.path("elsewhere")).output();
    assert_eq!(removed.unwrap().status.code(), Some(0));
    assert_eq!(client.hear()["method"], "notifications/tools/list_changed");
    assert!(!client.ask("tools/list", json!({})).to_string().contains("\"word-count_count\""));
    client.end();
}

#[test]
fn an_alias_is_the_name_and_a_reload_tells_of_it() {
    let desk = desk(&["word-count"], POLICY);
    let _served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    assert!(client.ask("tools/list", json!({})).to_string().contains("\"word-count_count\""));
    desk.file("tollgate-home/tollgate.toml", format!("{POLICY}aliases = {{ count = \"words\" }}\n"));
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
    assert_eq!(client.hear()["method"], "notifications/tools/list_changed");
    let list = client.ask("tools/list", json!({})).to_string();
    assert!(list.contains("\"words\"") && !list.contains("\"word-count_count\""), "{list}");
    let called = client.ask("tools/call", json!({ "name": "words", "arguments": { "folder": "/docs" } }));
    assert_eq!(called["result"]["isError"], false, "{called}");
    assert_eq!(client.ask("tools/call", json!({ "name": "word-count_count" }))["error"]["code"], -32602);
    client.end();
}

#[test]
fn over_http_it_is_the_same() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    let over_bridge = client.ask("tools/list", json!({}));
    let (head, over_http) =
        posted(served.socket("local"), &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(over_http, over_bridge);
    let params = json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let called = posted(served.socket("local"), &request).1;
    let same = client.ask("tools/call", params);
    assert_eq!(called["result"]["content"], same["result"]["content"]);
    client.end();
    for format in ["mcp", "openai", "anthropic", "gemini"] {
        let (_head, list) = asked(
            served.socket("local"),
            &format!("GET /v1/tools?format={format} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        );
        assert!(list["tools"].to_string().contains("word-count_count"), "{format}: {list}");
    }
    let body = json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } }).to_string();
    let call = format!(
        "POST /v1/call HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(asked(served.socket("local"), &call).1["output"], same["result"]["structuredContent"]);
}

fn posted(socket: &Path, body: &Value) -> (String, Value) {
    let body = body.to_string();
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n";
    asked(socket, &format!("{head}content-length: {}\r\n\r\n{body}", body.len()))
}

fn asked(socket: &Path, request: &str) -> (String, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn the_bridge_starts_a_daemon_that_stays() {
    let desk = desk(&["word-count"], POLICY);
    let none = desk.run(&["mcp"]);
    assert_eq!((none.code, none.stdout.as_str()), (2, ""));
    assert!(none.stderr.contains("tollgate mcp --start"), "{}", none.stderr);
    let mut client = Bridge::start(&mut desk.command(&["mcp", "--start"]));
    client.initialize();
    assert!(client.ask("tools/list", json!({})).to_string().contains("word-count_count"));
    client.end();
    let status = desk.run(&["status", "--json"]);
    let pid = serde_json::from_str::<Value>(&status.stdout).unwrap()["pid"].as_u64().unwrap();
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let names: Vec<&str> = environment.split('\0').filter_map(|set| Some(set.split_once('=')?.0)).collect();
    let known = ["HOME", "TOLLGATE_HOME", "TOLLGATE_LEDGER", "XDG_RUNTIME_DIR"];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    assert_eq!(desk.run(&["serve", "stop"]).code, 0);
}

#[test]
fn a_token_goes_first() {
    let policy = format!("{POLICY}[agents.web]\nis = {{ token = true }}\ntools.word-count = {{}}\n");
    let desk = desk(&["word-count"], &policy);
    let served = Served::start(&desk);
    let token = desk.run(&["serve", "token", "add", "web"]).stdout;
    let socket = served.socket("web").to_str().unwrap().to_owned();
    let mut client = Bridge::start(desk.command(&["mcp", "--socket", &socket]).env("TOLLGATE_TOKEN", token.trim()));
    client.initialize();
    assert!(client.ask("tools/list", json!({})).to_string().contains("word-count_count"));
    client.end();
    desk.file("token", &token);
    let mut client = Bridge::start(&mut desk.command(&["mcp", "--socket", &socket, "--token-file", "token"]));
    client.initialize();
    client.end();
    let mut refused = Bridge::start(&mut desk.command(&["mcp", "--socket", &socket]));
    assert_eq!(refused.initialize()["error"]["data"]["error"]["kind"], "unauthenticated");
}
