//! The official clients of MCP against the built program, over the bridge and over HTTP: what one of them lists, gets, is denied and
//! takes back, all of them do. Their scripts are in `runtime/cli/tests/clients`; `.ci/run` installs the packages.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_testing::foreign::missing;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::Desk;
use crate::serve::{POLICY, desk};

/// A package, and how it opens: `mode` is of those that know both eras.
struct Official {
    name: &'static str,
    program: &'static str,
    script: &'static str,
    mode: Option<&'static str>,
    version: &'static str,
}

const CLIENTS: [Official; 6] = [
    Official {
        name: "mcp 2.3.0 of PyPI",
        program: "mcp-2/bin/python3",
        script: "client_2.py",
        mode: Some("auto"),
        version: "2026-07-28",
    },
    Official {
        name: "mcp 2.3.0 of PyPI, the first era",
        program: "mcp-2/bin/python3",
        script: "client_2.py",
        mode: Some("legacy"),
        version: "2025-11-25",
    },
    Official {
        name: "mcp 1.30.0 of PyPI",
        program: "mcp-1/bin/python3",
        script: "client_1.py",
        mode: None,
        version: "2025-11-25",
    },
    Official {
        name: "@modelcontextprotocol/client 2.4.0",
        program: "node/bin/node",
        script: "client.mjs",
        mode: Some("auto"),
        version: "2026-07-28",
    },
    Official {
        name: "@modelcontextprotocol/client 2.4.0, the first era",
        program: "node/bin/node",
        script: "client.mjs",
        mode: Some("legacy"),
        version: "2025-11-25",
    },
    Official {
        name: "@modelcontextprotocol/sdk 1.32.2",
        program: "node/bin/node",
        script: "client.mjs",
        mode: None,
        version: "2025-11-25",
    },
];

/// Where `.ci/run` installs clients; none where something of it is missing.
pub(super) fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients");
    // Written last.
    if folder.join("installed").is_file() {
        return Some(fs::canonicalize(folder).unwrap());
    }
    missing("target/clients, the official clients of MCP,", "clients.log");
    None
}

/// One of them under way.
struct Acting {
    child: Child,
    words: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Official {
    /// Whether it is told of changes: in the first era there would have to be a stream for it over HTTP, which the daemon has not.
    fn hears(&self, way: &Value) -> bool {
        self.version.starts_with("2026") || way.get("url").is_none()
    }

    fn start(&self, installed: &Path, way: &Value, plan: &Value) -> Acting {
        let mut plan = plan.clone();
        let given = [way, &json!({ "packages": installed.join("js"), "mode": self.mode })];
        for (key, value) in given.into_iter().flat_map(|more| more.as_object().unwrap()) {
            if !value.is_null() {
                plan[key] = value.clone();
            }
        }
        plan["hears"] = json!(plan["hears"] == true && self.hears(way));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(self.script);
        let mut command = Command::new(installed.join(self.program));
        command.arg(script).arg(plan.to_string()).env("PYTHONDONTWRITEBYTECODE", "1").current_dir("/");
        // Where home and ledger are, the entry says; nothing of this environment does.
        command.env_remove("TOLLGATE_HOME").env_remove("TOLLGATE_LEDGER");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (words, told) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Acting { child, words, told }
    }
}

impl Acting {
    /// What it tells next, which must be of this step.
    fn hears(&mut self, step: &str) -> Value {
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        let told: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("before {step}: {error}: {line:?}"));
        assert_eq!(told["step"], step, "{told}");
        told
    }

    fn go_on(&mut self) {
        self.words.write_all(b"go\n").unwrap();
    }

    fn ends(mut self) {
        self.hears("done");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

/// What each client is to do. Numbers are such that no language writes two of the same value in two ways.
fn plan() -> Value {
    let document = json!({ "z": [0.1, 1e-7, 1.5e300, -9_007_199_254_740_991_i64, null, true], "ä€ \u{1f600}": "\"\\\u{2028}\n\u{7f}" });
    json!({
        "calls": [
            ["word-count_count", { "folder": "/docs" }],
            ["echo_echo", { "text": "ä€ \u{1f600} \"\\\u{2028}\u{0}\n" }],
            ["json-query_query", { "document": document, "pointer": "" }],
            ["json-query_query", { "document": {}, "pointer": "/nowhere" }],
            ["word-count_count-file", { "path": "/docs/../secret.txt" }],
            ["echo_echo", { "text": 1 }],
        ],
        "unknown": "word-count_nothing",
        "endless": ["sleep-forever_attack", {}],
        "hears": true,
    })
}

const MORE: &str = "[tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\" }\n";

/// The same tools for a user's own programs and over HTTP.
fn agents(port: u16) -> String {
    let tools = "tools.word-count = {}\ntools.echo = {}\ntools.json-query = {}\ntools.sleep-forever = {}\n";
    let user = rustix::process::getuid().as_raw();
    format!(
        "[agents.user]\nis = {{ uid = {user} }}\n{tools}[agents.web]\nis = {{ token = true }}\nport = {port}\n{tools}"
    )
}

/// The entry that `tollgate connect` writes, as a client starts it.
fn entry(desk: &Desk) -> Value {
    let text = fs::read_to_string(desk.path(".mcp.json")).unwrap();
    let whole: Value = serde_json::from_str(&text).unwrap();
    let entry = &whole["mcpServers"]["tollgate"];
    json!({ "command": entry["command"], "args": entry["args"], "env": entry["env"] })
}

#[test]
fn all_official_clients_see_the_same() {
    let Some(installed) = installed() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let policy = format!("{POLICY}{MORE}{}", agents(port));
    let desk = desk(&["word-count", "echo", "json-query", "sleep-forever"], &policy);
    assert_eq!(desk.run(&["connect", "claude-code", "--write"]).code, 0);
    let started = Started(&desk);
    let mut seen: Vec<(String, Vec<Value>)> = Vec::new();
    let mut cancelled = 0;
    for client in &CLIENTS {
        // The first one starts the daemon.
        for (way, agent) in [("bridge", "user"), ("HTTP", "web")] {
            let place = if way == "bridge" { entry(&desk) } else { over_http(&desk, port) };
            let mut acting = client.start(&installed, &place, &plan());
            cancelled += 1;
            let sees = acts(&desk, client, &mut acting, agent, cancelled);
            if client.hears(&place) {
                assert_hears(&desk, &mut acting, &policy);
            }
            acting.ends();
            seen.push((format!("{} over {way}", client.name), sees));
        }
    }
    let (first, like) = &seen[0];
    for (name, sees) in &seen[1..] {
        assert_eq!(sees, like, "{name}, {first}");
    }
    drop(started);
    assert_eq!(desk.run(&["audit", "verify", "--key", &desk.key()]).code, 0);
}

/// A daemon that a client starts.
pub(crate) struct Started<'d>(pub(crate) &'d Desk);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        // It may have been stopped, or never started.
        self.0.run(&["serve", "stop"]);
        until("the daemon has ended", || self.0.run(&["status"]).code != 0);
    }
}

/// A port takes a token, which is shown once.
fn over_http(desk: &Desk, port: u16) -> Value {
    if !desk.path("token").exists() {
        let shown = desk.run(&["serve", "token", "add", "web"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        desk.file("token", shown.stdout.trim());
    }
    let token = fs::read_to_string(desk.path("token")).unwrap();
    json!({ "url": format!("http://127.0.0.1:{port}/mcp"), "token": token })
}

/// All steps but the last: what a client sees that all should see alike.
fn acts(desk: &Desk, client: &Official, acting: &mut Acting, agent: &str, cancelled: usize) -> Vec<Value> {
    let opened = acting.hears("opened");
    assert_eq!(opened["server"], "tollgate");
    // The oldest package over the bridge does not say.
    assert!(opened["version"] == client.version || opened["version"].is_null(), "{}: {opened}", client.name);
    let mut sees = vec![acting.hears("tools")];
    let mut calls = Vec::new();
    for _call in plan()["calls"].as_array().unwrap() {
        let called = acting.hears("called");
        assert_eq!(called["isSame"], true, "text and structure say the same: {called}");
        calls.push((called["meta"]["dev.tollgate/call"].clone(), called["meta"]["dev.tollgate/class"].clone()));
        sees.push(json!([called["texts"], called["structured"], called["isError"]]));
    }
    let classes: Vec<Option<&str>> = calls.iter().map(|(_, class)| class.as_str()).collect();
    assert_eq!(classes, [None, None, None, Some("tool"), Some("violation"), Some("rejected")]);
    let denied = sees[5][0][0].as_str().unwrap();
    assert!(denied.contains("rule: fs:/docs:beneath") && denied.contains("another way is denied too"), "{denied}");
    assert_eq!(sees[5][2], true);
    assert_eq!(acting.hears("unknown")["code"], -32602);
    acting.hears("calling");
    until("the call is under way", || calls_under_way(desk) == 1);
    acting.go_on();
    until("the call is on record as cancelled", || ends(desk, "cancelled") == cancelled);
    acting.go_on();
    acting.hears("cancelled");
    let entries = desk.entries();
    for (call, _class) in &calls {
        let is_it = |entry: &&Value| entry["kind"] == "call" && entry["call"] == *call && !call.is_null();
        let entry = entries.iter().find(is_it).unwrap_or_else(|| panic!("{call} is not on record"));
        assert_eq!(entry["agent"], agent, "{entry}");
    }
    sees
}

/// A list that changes is told, and read again.
fn assert_hears(desk: &Desk, acting: &mut Acting, policy: &str) {
    acting.hears("listening");
    desk.file("tollgate-home/tollgate.toml", format!("[tools.echo]\naliases = {{ echo = \"say\" }}\n{policy}"));
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
    let names = acting.hears("changed")["names"].clone();
    let has = |name: &str| names.as_array().unwrap().iter().any(|known| known == name);
    assert!(has("say") && !has("echo_echo"), "{names}");
    desk.file("tollgate-home/tollgate.toml", policy);
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
}

fn calls_under_way(desk: &Desk) -> u64 {
    let status = desk.run(&["status", "--json"]).report();
    status["agents"].as_array().unwrap().iter().map(|agent| agent["running"].as_u64().unwrap()).sum()
}

fn ends(desk: &Desk, class: &str) -> usize {
    desk.entries().iter().filter(|entry| entry["kind"] == "call-end" && entry["class"] == class).count()
}

fn until(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "still not: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The README's steps are all that a new user does: the client then starts the command of the entry.
#[test]
fn a_new_user_gives_a_tool_to_a_client_as_the_readme_says() {
    let Some(installed) = installed() else { return };
    let readme = include_str!("../../../../../README.md");
    let (_, page) = readme.split_once("\n## Give the tools to an agent\n").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let desk = Desk::empty();
    let clone = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let setup =
        format!("unset TOLLGATE_LEDGER\nexport CLONE={}\nexport TOLLGATE_HOME=$PWD/tollgate-home\n", clone.display());
    let steps: Vec<_> =
        blocks(page).into_iter().filter(|(its, _)| *its == "console").flat_map(|(_, block)| commands(block)).collect();
    let (connect, after) = steps
        .iter()
        .position(|(line, _)| line.starts_with("tollgate connect "))
        .map_or_else(|| panic!("the README does not connect"), |at| steps.split_at(at + 1));
    let _started = Started(&desk);
    for (line, wanted) in connect {
        assert_prints(&desk, &format!("{setup}{line}"), wanted, "the README");
    }
    let calls = json!([["word-count_count", { "folder": "/docs" }]]);
    let plan = json!({ "calls": calls, "unknown": null, "endless": null, "hears": false });
    let mut acting = CLIENTS[0].start(&installed, &entry(&desk), &plan);
    acting.hears("opened");
    acting.hears("tools");
    assert_eq!(acting.hears("called")["structured"]["words"], 6);
    acting.ends();
    for (line, wanted) in after {
        assert_prints(&desk, &format!("{setup}{line}"), wanted, "the README");
    }
}
