//! MCP on the built program, spoken by hand, over the bridge and over HTTP: a list, a call, a denial, and what the ledger has of them.
//! What its official clients make of it is in [`official`], what its conformance suite does in [`conformance`], what packages of models do
//! with the same tools in [`models`], and how programs read what `connect` writes in [`configurations`].

mod configurations;
mod conformance;
mod models;
pub(crate) mod official;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::serve::{POLICY, Served, desk};
use tollgate_testing::foreign::skipped;
use tollgate_testing::rpc::Rpc;

/// `tollgate mcp`, as a client starts it.
pub(crate) struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Bridge {
    pub(crate) fn start(command: &mut Command) -> Self {
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

    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        self.hear()
    }

    pub(crate) fn initialize(&mut self) -> Value {
        let client = json!({ "name": "raw", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        let opened = self.ask("initialize", params);
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        opened
    }

    /// Waits until it ends by itself: its exit code, and what it said.
    pub(crate) fn closed(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.errors())
    }

    /// Ends it from the client's side.
    pub(crate) fn end(mut self) {
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

pub(crate) fn modern(mut params: Value) -> Value {
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

pub(crate) fn calls(desk: &Desk) -> Vec<Value> {
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
    let denied = client.ask("tools/call", json!({ "name": "word-count_count-file", "arguments": &arguments }));
    let result = &denied["result"];
    assert_eq!(result["isError"], true, "{denied}");
    assert_eq!(result["_meta"]["dev.tollgate/class"], "violation", "{denied}");
    assert_eq!(result["_meta"]["dev.tollgate/rule"], "fs:/docs:beneath", "{denied}");
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("rule: fs:/docs:beneath") && text.contains("another way is denied too"), "{text}");
    let help = "\nwhat would allow it: in tollgate.toml: fs.\"/FOLDER\" = { host = \"…\", access = [ … ] } under [tools.word-count]: ";
    assert!(text.contains(help), "{text}");
    // Whichever way it is asked.
    let body = json!({ "name": "word-count_count-file", "arguments": arguments }).to_string();
    let head = "POST /v1/call HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let by_http = asked(served.socket("local"), &format!("{head}content-length: {}\r\n\r\n{body}", body.len())).1;
    let by_line = Rpc::connect(served.socket("local")).call("word-count", "count-file", &arguments);
    let run = ["run", "word-count", "--op", "count-file", "--input", &arguments.to_string(), "--json"];
    let by_run = desk.run(&run).report();
    let line = text.lines().find_map(|line| line.strip_prefix("what would allow it: ")).unwrap();
    for told in [&by_http["error"], &by_line["error"]["data"]["error"], &by_run["error"]] {
        assert_eq!((&told["kind"], &told["help"]), (&json!("violation"), &json!(line)), "{told}");
    }
    let host = desk.path("").canonicalize().unwrap();
    assert!(!denied.to_string().contains(host.to_str().unwrap()), "an agent learns no path of the host: {denied}");
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
    assert_eq!(called["result"]["content"][0], same["result"]["content"][0]);
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

pub(crate) fn posted(socket: &Path, body: &Value) -> (String, Value) {
    let body = body.to_string();
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n";
    asked(socket, &format!("{head}content-length: {}\r\n\r\n{body}", body.len()))
}

pub(crate) fn asked(socket: &Path, request: &str) -> (String, Value) {
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
    // What the client has left open in the server that it starts.
    let (mut left, leaked) = std::io::pipe().unwrap();
    rustix::io::fcntl_setfd(leaked.as_fd(), rustix::io::FdFlags::empty()).unwrap();
    let mut client = Bridge::start(&mut desk.command(&["mcp", "--start"]));
    drop(leaked);
    client.initialize();
    assert!(client.ask("tools/list", json!({})).to_string().contains("word-count_count"));
    client.end();
    assert_eq!(left.read(&mut [0]).unwrap(), 0, "the daemon has no file of the client");
    let status = desk.run(&["status", "--json"]);
    let pid = serde_json::from_str::<Value>(&status.stdout).unwrap()["pid"].as_u64().unwrap();
    let shown = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in ["SigBlk:\t0000000000000000", "Umask:\t0077"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(
        (fields[2], fields[3], fields[4]),
        (&*pid.to_string(), &*pid.to_string(), "0"),
        "its group and session, no terminal"
    );
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
    let file = desk.file("token", &token);
    let by_file = ["mcp", "--socket", &socket, "--token-file", "token"];
    for mode in [0o644, 0o640, 0o604, 0o620] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let refused = desk.run(&by_file);
        refused.fails(2, &["can be read by others", &format!("its mode {mode:04o}"), "chmod 600"]);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut client = Bridge::start(&mut desk.command(&["mcp", "--socket", &socket, "--token-file", "token"]));
    client.initialize();
    client.end();
    let mut refused = Bridge::start(&mut desk.command(&["mcp", "--socket", &socket]));
    assert_eq!(refused.ask("ping", json!({}))["error"]["data"]["error"]["kind"], "unauthenticated");
}

#[test]
fn a_token_that_is_removed_opens_nothing_more_and_closes_what_it_opened() {
    let policy = format!(
        "{POLICY}[agents.web]\nis = {{ token = true }}\ntools.word-count = {{}}\n[agents.other]\nis = {{ token = true }}\ntools.word-count = {{}}\n"
    );
    let desk = desk(&["word-count"], &policy);
    let served = Served::start(&desk);
    let token = |agent: &str| desk.run(&["serve", "token", "add", agent]).stdout.trim().to_owned();
    let (first, second, other) = (token("web"), token("web"), token("other"));
    let client = |agent: &str, token: &str| {
        let socket = served.socket(agent).to_str().unwrap();
        let mut client = Bridge::start(desk.command(&["mcp", "--socket", socket]).env("TOLLGATE_TOKEN", token));
        client.initialize();
        client
    };
    let (mut removed, mut kept, mut apart) = (client("web", &first), client("web", &second), client("other", &other));
    let list = desk.run(&["serve", "token", "list"]).stdout;
    let hash = list.lines().find_map(|line| line.strip_prefix("web  ")).unwrap();
    assert_eq!(desk.run(&["serve", "token", "remove", "web", "--start", hash]).stdout, "removed 1\n");
    let mut line = String::new();
    assert_eq!(removed.stdout.read_line(&mut line).unwrap(), 0, "closed: {line}");
    for client in [&mut kept, &mut apart] {
        let called =
            client.ask("tools/call", json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } }));
        assert_eq!(called["result"]["isError"], false, "{called}");
    }
    let (code, said) = removed.closed();
    assert!(code == Some(5) && said.contains("as where its token was removed"), "{said}");
    let mut again = Bridge::start(
        desk.command(&["mcp", "--socket", served.socket("web").to_str().unwrap()]).env("TOLLGATE_TOKEN", &first),
    );
    assert_eq!(again.initialize()["error"]["data"]["error"]["kind"], "unauthenticated");
    kept.end();
    apart.end();
    let said = served.stop();
    assert!(said.contains("a token of the agent `web` was removed: 1 connections are closed"), "{said}");
}

#[test]
fn a_socket_of_somebody_else_in_a_folder_of_all_gets_nothing() {
    let desk = desk(&["word-count"], POLICY);
    if !rustix::process::geteuid().is_root() {
        return skipped("somebody else's socket takes root");
    }
    // A folder as `/tmp`, root's, in which another user listens.
    let folder = desk.path("shared");
    fs::create_dir(&folder).unwrap();
    for above in folder.ancestors().take_while(|above| above.starts_with(desk.path(""))) {
        fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    // There, or in a folder of its own, to which a link of its own leads.
    let own = folder.join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(NOBODY), None).unwrap();
    tells_nothing(&desk, &folder.join("tollgate.sock"), &folder.join("tollgate.sock"));
    tells_nothing(&desk, &own.join("tollgate.sock"), &folder.join("link.sock"));
}

/// Another user listens at `socket`, and a client is led there by `place`.
fn tells_nothing(desk: &Desk, socket: &Path, place: &Path) {
    let program = "import os, socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n\
                   sys.argv[1] == sys.argv[2] or os.symlink(sys.argv[1], sys.argv[2])\nprint('here', flush=True)\n\
                   c = s.accept()[0]\nprint(c.recv(1000), flush=True)";
    let mut other = Command::new("python3");
    let other = other.args(["-c", program]).args([socket, place]).current_dir("/").stdout(Stdio::piped());
    let mut other = std::os::unix::process::CommandExt::uid(other, NOBODY).spawn().unwrap();
    let mut heard = BufReader::new(other.stdout.take().unwrap());
    let mut line = String::new();
    heard.read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    let mut command = desk.command(&["mcp", "--socket", place.to_str().unwrap()]);
    let mut client = Bridge::start(command.env("TOLLGATE_TOKEN", "tollgate_secret"));
    client.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }));
    let said = client.errors();
    assert!(said.contains(&format!("the user {NOBODY} listens at")), "{said}");
    assert_eq!(client.child.wait().unwrap().code(), Some(2));
    line.clear();
    heard.read_line(&mut line).unwrap();
    assert_eq!(line, "b''\n", "nothing was said to it");
    other.wait().unwrap();
}

const NOBODY: u32 = 65_534;
