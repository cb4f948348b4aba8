//! `tollgate serve`: one daemon for several programs; who asks is proven; what the operator tells it; what is left when it dies.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use tollgate_testing::foreign::{missing, skipped};
use tollgate_testing::rpc::Rpc;

pub(crate) const POLICY: &str =
    "[tools.word-count]\nfs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\"] }\n";

/// A desk with installed tools and a policy in its home.
pub(crate) fn desk(tools: &[&str], policy: &str) -> Desk {
    let desk = Desk::new();
    for tool in tools {
        desk.place(tool);
        let installed = desk.run(&["install", &format!("tools/{tool}.wasm")]);
        assert_eq!(installed.code, 0, "{installed:?}");
    }
    desk.file("tollgate-home/tollgate.toml", policy);
    desk
}

/// A daemon that serves.
pub(crate) struct Served {
    child: Option<Child>,
    pid: u32,
    /// By agent.
    sockets: Vec<(String, PathBuf)>,
}

impl Served {
    pub(crate) fn start(desk: &Desk) -> Self {
        Self::with(&mut desk.command(&["serve", "--json"]))
    }

    pub(crate) fn with(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            panic!("{line} {:?}", child.wait_with_output().unwrap())
        };
        let agents = ready["agents"].as_array().unwrap().iter();
        let sockets =
            agents.map(|agent| (text(&agent["agent"]), PathBuf::from(agent["socket"].as_str().unwrap()))).collect();
        let pid = u32::try_from(ready["pid"].as_u64().unwrap()).unwrap();
        assert_eq!(pid, child.id());
        Self { child: Some(child), pid, sockets }
    }

    pub(crate) fn socket(&self, agent: &str) -> &Path {
        &self.sockets.iter().find(|(name, _)| name == agent).unwrap_or_else(|| panic!("{:?}", self.sockets)).1
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap(), signal).unwrap();
    }

    /// Ends it as an operator does; what it said.
    pub(crate) fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        for (_, socket) in &self.sockets {
            assert!(!socket.exists(), "{socket:?}");
        }
        said
    }

    /// Kills it.
    fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn count() -> Value {
    json!({ "tool": "word-count", "operation": "count", "arguments": { "folder": "/docs" } })
}

/// One request over HTTP, and the whole answer.
pub(crate) fn http(socket: &Path, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status =
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn post(body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST /v1/call HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

pub(crate) fn calls(desk: &Desk) -> Vec<Value> {
    desk.entries()
        .into_iter()
        .filter(|entry| entry["kind"] == "call" && entry["operation"] != "tollgate:describe")
        .collect()
}

/// A daemon calls current versions; another one is a run of its own, with grants of its own, on the same ledger.
#[test]
fn a_version_by_name_is_no_call_to_a_daemon() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let refused = Rpc::connect(served.socket("local")).call("word-count@0.1.0", "count", &json!({ "folder": "/docs" }));
    assert_eq!(refused["error"]["data"]["error"]["kind"], "unknown-tool", "{refused}");
    assert!(refused.to_string().contains("`word-count@0.1.0` names a version of a tool"), "{refused}");
    let count = ["run", "word-count@0.1.0", "--op", "count", "--input", r#"{"folder": "/docs"}"#];
    desk.run(&count).fails(2, &["needs what nothing grants"]);
    assert_eq!(desk.run(&[&count[..], &["--grant", "fs:/docs=docs:read,list"]].concat()).json()["files"], 2);
    drop(served.stop());
    assert_eq!(desk.called(), ["count"]);
}

#[test]
fn a_call_is_answered_over_json_rpc_over_http_and_by_run() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let local = served.socket("local").to_owned();
    let mut rpc = Rpc::connect(&local);
    let mut spoofed = count();
    spoofed["agent"] = json!("somebody-else");
    let answer = rpc.ask("call", &spoofed);
    assert_eq!(answer["result"]["output"]["words"], 10, "{answer}");
    let tools = rpc.ask("tools", &json!({}));
    assert_eq!(tools["result"]["tools"][0]["tool"], "word-count", "{tools}");
    let (status, body) = http(&local, &post(&count()));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["output"]["words"]), (200, &json!(10)), "{body}");
    assert_eq!(http(&local, &get("/healthz")).0, 200);
    assert_eq!(http(&local, &get("/readyz")).0, 200);
    // By the program, from a folder in which no policy is found.
    let run = desk.run(&["run", "word-count", "--op", "count", "--input", r#"{"folder": "/docs"}"#]);
    assert_eq!(run.json()["words"], 10);
    let calls = calls(&desk);
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(calls.iter().all(|call| call["agent"] == "local"), "{calls:?}");
    assert_eq!(calls[0]["claims"]["agent"], "somebody-else");
    let sessions: std::collections::BTreeSet<_> = calls.iter().map(|call| text(&call["session"])).collect();
    assert_eq!(sessions.len(), 3, "each connection is a session");
    let status = desk.run(&["status", "--json"]).report();
    assert_eq!((&status["pid"], &status["ready"]), (&json!(served.pid), &json!(true)), "{status}");
    assert_eq!(status["workers"], 1, "one warm worker for all of them: {status}");
    served.stop();
    desk.run(&["audit", "verify", "--key", &desk.key()]).says(&[]);
}

/// What is given on the command line keeps its own supervisor, and records through the daemon's notary.
#[test]
fn a_run_with_its_own_grant_borrows_the_notary() {
    let desk = desk(&["word-count"], POLICY);
    desk.place("word-count");
    let served = Served::start(&desk);
    assert_eq!(desk.count(&[]).json()["words"], 10);
    let receipt = desk.count(&["--receipt", "receipt.json"]);
    assert_eq!(receipt.json()["words"], 10);
    let calls = calls(&desk);
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call["agent"].is_null()), "nobody is proven: {calls:?}");
    assert!(desk.path("receipt.json").exists());
    let mut rpc = Rpc::connect(served.socket("local"));
    assert_eq!(rpc.ask("call", &count())["result"]["ok"], true);
    served.stop();
    desk.run(&["audit", "verify", "--key", &desk.key()]).says(&[]);
}

#[test]
fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let desk = desk(&[], "");
    let served = Served::start(&desk);
    let second = desk.run(&["serve"]);
    second.fails(2, &["in use by process", &served.pid.to_string()]);
    served.stop();
}

/// At the start a broken policy stops; later the one before stays, and what was refused is on record.
#[test]
fn a_policy_is_read_again_without_dropping_a_call() {
    let desk = desk(&["word-count", "sleep-forever"], "[tools.word-count]\nfs.\"/docs\" = { host = \"nowhere\" }\n");
    desk.run(&["serve"]).fails(2, &["tollgate.toml"]);
    let sleeps = "\n[tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\" }\n";
    desk.file("tollgate-home/tollgate.toml", format!("{POLICY}{sleeps}"));
    let served = Served::start(&desk);
    let mut rpc = Rpc::connect(served.socket("local"));
    assert_eq!(rpc.ask("call", &count())["result"]["ok"], true);
    let mut sleeper = Rpc::connect(served.socket("local"));
    sleeper.say("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"call\",\"params\":{\"tool\":\"sleep-forever\",\"operation\":\"attack\",\"arguments\":{\"millis\":3600000}}}\n");
    while !calls(&desk).iter().any(|call| call["operation"] == "attack") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    desk.file("tollgate-home/tollgate.toml", "[tools.word-count");
    desk.run(&["serve", "reload"]).fails(2, &["the daemon does not do it", "the policy before holds on"]);
    assert_eq!(rpc.ask("call", &count())["result"]["ok"], true, "the policy before");
    // Without its grant the tool loses its folder with the next call; the call that runs goes on.
    desk.file("tollgate-home/tollgate.toml", sleeps);
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
    let refused = rpc.ask("call", &count());
    assert!(refused["error"]["message"].as_str().unwrap().contains("/docs"), "{refused}");
    sleeper.say("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":7}}\n");
    let cancelled = sleeper.hear().expect("an answer");
    assert_eq!(cancelled["error"]["data"]["error"]["kind"], "cancelled", "{cancelled}");
    served.stop();
    let reloads: Vec<_> = desk.entries().into_iter().filter(|entry| entry["kind"] == "reload").collect();
    let [refused, taken] = &reloads[..] else { panic!("{reloads:?}") };
    assert!(refused["reason"].as_str().is_some() && taken["reason"].is_null(), "{reloads:?}");
    let ends: Vec<_> = desk.entries().into_iter().filter(|entry| entry["class"] == "cancelled").collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
}

/// However often it is told to end, it ends once its calls are over, and says so to whoever comes meanwhile.
#[test]
fn a_daemon_that_is_told_twice_to_end_ends_its_calls_first() {
    let sleeps = "[tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\" }\n";
    let desk = desk(&["word-count", "sleep-forever"], &format!("{POLICY}{sleeps}"));
    let mut served = Served::start(&desk);
    let mut sleeper = Rpc::connect(served.socket("local"));
    sleeper.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    while !calls(&desk).iter().any(|call| call["operation"] == "attack") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for _again in 0..2 {
        assert_eq!(desk.run(&["serve", "stop"]).code, 0);
    }
    while desk.run(&["status", "--json"]).report()["ending"] != true {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    for command in [&["run", "word-count"][..], &["status", "--socket"], &["mcp"]] {
        desk.run(command).fails(75, &["the daemon that has this ledger is ending"]);
    }
    sleeper.say("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":1}}\n");
    let cancelled = sleeper.hear().expect("an answer");
    assert_eq!(cancelled["error"]["data"]["error"]["kind"], "cancelled", "{cancelled}");
    assert!(served.child.take().unwrap().wait().unwrap().success());
}

/// The kernel says which user is at the other end; each agent has its own socket and its own tools.
#[test]
fn agents_are_proven_by_user_and_have_their_own_tools() {
    if !rustix::process::geteuid().is_root() {
        skipped("this user cannot become others");
        return;
    }
    let around = tempfile::tempdir().unwrap();
    fs::set_permissions(around.path(), Permissions::from_mode(0o755)).unwrap();
    let listen = |agent: &str| around.path().join(agent);
    let policy = format!(
        "{POLICY}
[agents.reader]
is = {{ uid = 4001 }}
listen = {:?}
mode = \"0666\"
tools.word-count.operations = [\"count\"]
[agents.other]
is = {{ uid = 4002 }}
listen = {:?}
mode = \"0666\"
tools.json-query = {{}}
",
        listen("reader"),
        listen("other")
    );
    let desk = desk(&["word-count", "json-query"], &policy);
    let served = Served::start(&desk);
    let ask = |uid: u32, socket: &Path, request: &Value| -> Option<Value> {
        let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.sendall(sys.argv[2].encode()+b'\\n')\nsys.stdout.write(s.makefile().readline())";
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "call", "params": request }).to_string();
        let output =
            Command::new("python3").args(["-c", script]).arg(socket).arg(line).uid(uid).gid(uid).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    };
    let query = json!({ "tool": "json-query", "operation": "query", "arguments": { "document": { "a": 1 }, "pointer": "/a" }, "agent": "reader" });
    let counted = ask(4001, &listen("reader"), &count()).expect("an answer");
    assert_eq!(counted["result"]["output"]["words"], 10, "{counted}");
    let queried = ask(4002, &listen("other"), &query).expect("an answer");
    assert_eq!(queried["result"]["output"]["value"], 1, "{queried}");
    for (uid, agent, request) in [(4001, "reader", &query), (4002, "other", &count())] {
        let refused = ask(uid, &listen(agent), request).expect("an answer");
        let said = refused["error"]["message"].as_str().unwrap();
        assert!(said.contains(&format!("the agent `{agent}` may not call")), "{refused}");
    }
    // Neither gets anything at the other's door, whatever it claims.
    assert_eq!(ask(4002, &listen("reader"), &count()), None);
    assert_eq!(ask(4001, &listen("other"), &query), None);
    assert_eq!(ask(4003, &listen("reader"), &count()), None);
    let said = served.stop();
    assert!(said.contains("the user 4002 is not the agent `reader`"), "{said}");
    let calls = calls(&desk);
    let by: Vec<_> = calls.iter().map(|call| (text(&call["agent"]), text(&call["tool"]))).collect();
    let expected =
        [("reader", "word-count"), ("other", "json-query"), ("reader", "json-query"), ("other", "word-count")];
    assert_eq!(by, expected.map(|(agent, tool)| (agent.to_owned(), tool.to_owned())), "{calls:?}");
    assert_eq!(calls[1]["claims"]["agent"], "reader", "a claim is on record as one");
}

/// Descriptors run short before they are gone: who asks is told so while there are enough to tell it with.
#[test]
fn a_daemon_that_runs_short_of_descriptors_is_not_ready() {
    let desk = desk(&[], "");
    let mut command = desk.command(&["serve", "--json"]);
    crate::around::limit(&mut command, rustix::process::Resource::Nofile, 64);
    let served = Served::with(&mut command);
    let local = served.socket("local").to_owned();
    let ready = || -> Value { serde_json::from_str(&http(&local, &get("/readyz")).1).unwrap() };
    assert_eq!(ready()["ready"], true);
    let status = desk.run(&["status", "--json"]).report();
    let open = status["descriptors_open"].as_u64().unwrap();
    assert_eq!((&status["descriptors_limit"], open < 48), (&json!(64), true), "{status}");
    let operator = local.parent().unwrap().with_file_name("operator.sock");
    let connect = || tollgate_daemon::Operator::connect(&operator).unwrap();
    // Each holds a descriptor of the daemon; 16 stay free.
    let held: Vec<_> = (open..56).map(|_| connect()).collect();
    let (code, body) = http(&local, &get("/readyz"));
    assert!(code == 503 && body.contains("of its 64 descriptors left, and the reserve is 16"), "{code} {body}");
    let status = desk.run(&["status", "--json"]).report();
    assert_eq!(status["ready"], false, "{status}");
    assert!(status["descriptors_open"].as_u64().unwrap() > 48, "{status}");
    let told = desk.run(&["status"]);
    assert!(told.stdout.contains(" open, of 64\n") && told.stdout.contains("RLIMIT_NOFILE"), "{told:?}");
    // It is looked for at most once in a second, at somebody's knock.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(ready()["ready"], false);
    drop(held);
    while ready()["ready"] != true {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let said = served.stop();
    // It is looked for at most once in a second, so the end of it may have come too late to be told.
    assert_eq!(said.matches("of its 64 descriptors left").count(), 1, "{said}");
    assert!(said.matches("enough descriptors again").count() <= 1, "{said}");
}

#[test]
fn an_agent_with_a_token_is_heard_with_it_alone() {
    let policy = format!("{POLICY}[agents.web]\nis = {{ token = true }}\ntools.word-count = {{}}\n");
    let desk = desk(&["word-count"], &policy);
    let token = desk.run(&["serve", "token", "add", "web"]).stdout.trim().to_owned();
    let other = desk.run(&["serve", "token", "add", "another"]).stdout.trim().to_owned();
    let served = Served::start(&desk);
    let web = served.socket("web").to_owned();
    for wrong in [String::new(), format!("token {other}\n"), format!("token {}\n", &token[..token.len() - 1])] {
        let mut rpc = Rpc::connect(&web);
        rpc.say(format!("{wrong}{}\n", json!({ "jsonrpc": "2.0", "id": 1, "method": "call", "params": count() })));
        let mut said = String::new();
        rpc.stream.read_line(&mut said).unwrap();
        assert!(said.contains("error") && !said.contains("words"), "{said}");
    }
    let mut rpc = Rpc::connect(&web);
    rpc.say(format!("token {token}\n"));
    assert_eq!(rpc.ask("call", &count())["result"]["output"]["words"], 10);
    assert_eq!(http(&web, &post(&count())).0, 401);
    let bearer = post(&count()).replacen("\r\n", &format!("\r\nAuthorization: Bearer {token}\r\n"), 1);
    assert_eq!(http(&web, &bearer).0, 200);
    desk.run(&["serve", "token", "remove", "web"]);
    assert_eq!(http(&web, &bearer).0, 401, "it is gone at once for who connects");
    served.stop();
    assert_eq!(calls(&desk).len(), 2, "nothing else was called");
    assert!(!fs::read_to_string(desk.path("tollgate-home/tokens")).unwrap_or_default().contains(&token));
}

/// Callers get an error; the next start goes on with a ledger that verifies.
#[test]
fn a_daemon_that_is_killed_leaves_a_ledger_that_verifies() {
    let sleeps = "[tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\" }\n";
    let desk = desk(&["sleep-forever"], sleeps);
    for round in 1..=3 {
        let served = Served::start(&desk);
        let mut rpc = Rpc::connect(served.socket("local"));
        rpc.say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"sleep-forever\",\"operation\":\"attack\",\"arguments\":{\"millis\":3600000}}}\n");
        while calls(&desk).len() < round {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        served.kill();
        let mut said = String::new();
        rpc.stream.read_line(&mut said).unwrap_or_default();
        assert!(!said.contains("result"), "{said}");
        let answered: Ran = desk.run(&["audit", "verify", "--key", &desk.key()]);
        assert_eq!(answered.code, 0, "{round}: {answered:?}");
    }
    let served = Served::start(&desk);
    served.stop();
    let closers = desk.entries().into_iter().filter(|entry| entry["kind"] == "closer").count();
    assert_eq!(closers, 3);
}

/// What a service manager is told: ready, reading the policy again, ending.
#[test]
fn a_service_manager_is_told_how_it_stands() {
    let desk = desk(&[], "");
    let socket = UnixDatagram::bind(desk.path("notify")).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let read = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
    };
    let mut command = desk.command(&["serve", "--json"]);
    let served = Served::with(command.env("NOTIFY_SOCKET", desk.path("notify")));
    assert_eq!(hear(), "READY=1");
    served.signal(Signal::HUP);
    assert!(hear().contains("RELOADING=1"));
    assert_eq!(hear(), "READY=1");
    served.stop();
    assert_eq!(hear(), "STOPPING=1");
}

#[test]
fn systemd_starts_it_at_the_first_connection() {
    let Ok(found) = Command::new("systemd-socket-activate").arg("--version").output() else {
        return missing("systemd-socket-activate", "apt.log");
    };
    assert!(found.status.success(), "{found:?}");
    let desk = desk(&["word-count"], POLICY);
    let socket = desk.path("activated.sock");
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&socket).args(["--fdname", "local"]);
    let set = [("TOLLGATE_HOME", desk.home()), ("TOLLGATE_LEDGER", desk.path("ledger"))];
    for (name, value) in set {
        command.arg("-E").arg(format!("{name}={}", value.display()));
    }
    command.arg(env!("CARGO_BIN_EXE_tollgate")).arg("serve").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let start = std::time::Instant::now();
    while !socket.exists() {
        assert!(start.elapsed().as_secs() < 30, "no socket");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut rpc = Rpc::connect(&socket);
    assert_eq!(rpc.ask("call", &count())["result"]["output"]["words"], 10);
    assert_eq!(desk.run(&["status", "--socket"]).stdout.trim(), "FOLDER/activated.sock");
    assert_eq!(desk.run(&["serve", "stop"]).code, 0);
    assert!(child.wait().unwrap().success());
    assert!(socket.exists(), "it is the service manager's");
}

/// What a daemon's sockets and policy are safe from: tools, other agents' paths, folders and files that others may change.
#[test]
fn sockets_and_policy_are_nobody_elses() {
    let agent = |name: &str, listen: &Path| {
        format!("[agents.{name}]\nis = {{ token = true }}\nlisten = {listen:?}\ntools.word-count = {{}}\n")
    };
    let desk = desk(&["word-count", "note-book"], "");
    let (own, open) = (desk.path("sockets"), desk.path("open"));
    for folder in [&own, &open, &open.join("in")] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(&own, desk.path("link")).unwrap();
    let refused = |policy: String, words: &[&str]| {
        desk.file("tollgate-home/tollgate.toml", policy);
        desk.run(&["serve"]).fails(2, words);
    };
    let [one, other] = [own.join("s"), desk.path("link").join("s")];
    refused([agent("a", &one), agent("b", &other)].concat(), &["is another agent's"]);
    refused(agent("a", &open.join("in/s")), &["others may change it"]);
    let desk_home = fs::canonicalize(desk.home()).unwrap();
    fs::set_permissions(desk.file("tollgate-home/tollgate.toml", agent("a", &one)), Permissions::from_mode(0o666))
        .unwrap();
    desk.run(&["serve"]).fails(2, &["others may write it"]);
    fs::set_permissions(desk_home.join("tollgate.toml"), Permissions::from_mode(0o600)).unwrap();
    // A tool that could put another in its place.
    let grant = format!(
        "[tools.note-book]\nfs.\"/notes\" = {{ host = {own:?}, access = [\"read\", \"write\", \"create\"] }}\n"
    );
    let named = agent("a", &one).replace("word-count", "note-book");
    desk.file("tollgate-home/tollgate.toml", [named, grant].concat());
    let token = desk.run(&["serve", "token", "add", "a"]).stdout.trim().to_owned();
    let served = Served::start(&desk);
    let mut rpc = Rpc::connect(served.socket("a"));
    rpc.say(format!("token {token}\n"));
    let answer = rpc.ask("call", &json!({ "tool": "note-book", "operation": "list" }));
    // An agent learns no folder of the host: the operator is told.
    assert_eq!(answer["error"]["data"]["error"]["kind"], "load", "{answer}");
    // A socket that is gone is there again once the policy is read again.
    fs::remove_file(&one).unwrap();
    assert_eq!(desk.run(&["serve", "reload"]).code, 0);
    Rpc::connect(&one);
    let said = served.stop();
    assert!(said.contains("the sockets of daemons"), "{said}");
}
