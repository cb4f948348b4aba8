//! What the operator of a daemon is told: why it does not start, what a policy has wrong when it is read again, whose a daemon is,
//! what agents lack.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Resource;
use serde_json::{Value, json};

use crate::around::limit;
use crate::desk::{Desk, Ran};
use crate::serve::{POLICY, Served, calls, desk};
use tollgate_testing::foreign::skipped;
use tollgate_testing::rpc::Rpc;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_daemon_whose_ledger_is_in_use_is_told_how_that_ends() {
    let desk = desk(&[], "");
    let served = Served::start(&desk);
    let second = desk.run(&["serve"]);
    second.fails(
        2,
        &["another process has the ledger in `ledger`", "in use by process", "`tollgate serve stop` ends it"],
    );
    assert!(!second.stderr.contains("--wait"), "it has no such option: {second:?}");
    served.stop();
    let sleeper = desk.sleeper();
    let beside = desk.run(&["serve"]);
    beside.fails(2, &[&sleeper.notary, "start the daemon once that process has ended"]);
    assert!(!beside.stderr.contains("serve stop"), "{beside:?}");
}

/// The place in a policy, with what stands there.
fn snippet(ran: &Ran) -> String {
    let lines = ran.stderr.lines().skip_while(|line| !line.contains("╭─[")).take_while(|line| !line.contains("╰────"));
    let snippet: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(!snippet.is_empty(), "{ran:?}");
    snippet
}

#[test]
fn a_policy_that_does_not_hold_is_told_at_a_reload_as_at_a_start_and_once() {
    let desk = desk(&[], "");
    let served = Served::start(&desk);
    for (policy, place, message, help) in [
        ("[tools.a]\nrandom = seeded\n", "tollgate.toml:2:10]", "not TOML", "https://toml.io"),
        ("[tools.a]\nrandm = \"seeded\"\n", "tollgate.toml:2:1]", "`randm`", "did you mean `random`?"),
    ] {
        desk.file("tollgate-home/tollgate.toml", policy);
        let start = desk.run(&["serve", "--ledger", "other"]);
        start.fails(2, &[place, message, help]);
        let reload = desk.run(&["serve", "reload"]);
        reload.fails(2, &["error: the daemon does not do it: ", message, help, "the policy before holds on"]);
        assert_eq!(snippet(&reload), snippet(&start));
        assert_eq!(reload.stderr.matches(message).count(), start.stderr.matches(message).count(), "{reload:?}");
    }
    // What no line of it has wrong.
    set_mode(&desk.file("tollgate-home/tollgate.toml", ""), 0o666);
    let exposed = desk.run(&["serve", "reload"]);
    exposed.fails(2, &["others may write it", "the policy before holds on"]);
    assert_eq!(exposed.stderr.matches("others may write it").count(), 1, "{exposed:?}");
    let said = served.stop();
    assert!(said.contains("tollgate.toml:2:10: not TOML") && said.contains("(see https://toml.io"), "{said}");
    let refused: Vec<_> = desk.entries().into_iter().filter(|entry| entry["kind"] == "reload").collect();
    assert_eq!(refused.len(), 3);
    assert!(refused[1]["reason"].as_str().unwrap().contains("tollgate.toml:2:1: "), "{refused:?}");
}

/// Whatever it speaks: nothing that it says is read, and the answer is not lost over it.
#[test]
fn a_client_of_another_user_is_told_that_it_is_not_the_agent() {
    if !is_root() {
        return skipped("this user cannot become others");
    }
    let around = tempfile::tempdir().unwrap();
    set_mode(around.path(), 0o755);
    let socket = around.path().join("reader");
    let agent = format!(
        "[agents.reader]\nis = {{ uid = 4001 }}\nlisten = {socket:?}\nmode = \"0666\"\ntools.word-count = {{}}\n"
    );
    let desk = desk(&["word-count"], &format!("{POLICY}{agent}"));
    let served = Served::start(&desk);
    let script = "import socket,sys
s=socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode())
sys.stdout.write(s.makefile().read())";
    let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools\"}\n";
    // More of them than are kept waiting.
    for said in [request, "GET /v1/tools HTTP/1.1\r\nhost: a\r\n\r\n"].repeat(10) {
        let mut client = Command::new("python3");
        let output = client.args(["-c", script]).arg(&socket).arg(said).uid(4002).gid(4002).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        let (head, body) = answer.split_once("\n\n").unwrap_or_else(|| panic!("{answer:?}, {:?}", output.stderr));
        assert!(head.starts_with("HTTP/1.1 403 Forbidden\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["kind"], "unauthenticated", "{body}");
    }
    let said = served.stop();
    assert!(said.contains("the user 4002 is not the agent `reader`, and was turned away"), "{said}");
    assert_eq!(calls(&desk).len(), 0);
}

#[test]
fn a_daemon_of_another_user_is_told_as_one() {
    if !is_root() {
        return skipped("this user cannot become others");
    }
    let desk = desk(&[], "");
    set_mode(&desk.path(""), 0o755);
    // The program's own folder may be closed to other users: a copy of it is not.
    fs::copy(env!("CARGO_BIN_EXE_tollgate"), desk.path("tollgate")).unwrap();
    let ask = || {
        let mut command = Command::new(desk.path("tollgate"));
        command.args(["status", "--ledger"]).arg(desk.path("ledger")).current_dir("/").uid(4003).gid(4003);
        desk.ran(&command.env("TOLLGATE_HOME", "/nowhere").output().unwrap())
    };
    let served = Served::start(&desk);
    let hidden = ["whether a daemon has the ledger in `FOLDER/ledger` is for the user 0 to see", "ask as that user"];
    ask().fails(2, &hidden);
    set_mode(&desk.path("ledger"), 0o755);
    set_mode(&desk.path("ledger/lock"), 0o644);
    ask().fails(2, &["the daemon that has the ledger in `FOLDER/ledger` is the user 0's", "ask as that user"]);
    // It is open to whoever may see the ledger, and answers none of them.
    for folder in fs::read_dir(desk.home().join("run")).unwrap() {
        let folder = folder.unwrap().path();
        set_mode(&desk.home().join("run"), 0o755);
        set_mode(&folder, 0o755);
        set_mode(&folder.join("operator.sock"), 0o666);
    }
    set_mode(&desk.home(), 0o755);
    ask().fails(2, &["is the user 0's, and answers nobody else"]);
    served.stop();
    ask().fails(2, &["no daemon has the ledger in `FOLDER/ledger`"]);
}

#[test]
fn agents_are_told_with_their_port_and_with_what_they_lack() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let agents = format!(
        "[agents.web]\nis = {{ token = true }}\nport = {port}\ntools.word-count = {{}}\ntools.later = {{}}\n\
         [agents.team]\nis = {{ socket = true }}\ntools.word-count = {{}}\n"
    );
    let desk = desk(&["word-count"], &format!("{POLICY}{agents}"));
    let served = Served::start(&desk);
    let status = desk.run(&["status"]);
    let web = format!("web.sock and 127.0.0.1:{port}\n          not installed: later\n");
    assert!(status.stdout.contains(&web), "{status:?}");
    assert!(status.stdout.contains("team.sock\n") && status.stdout.matches("not installed").count() == 1, "{status:?}");
    let told = desk.run(&["status", "--json"]).report();
    let lacks: Vec<_> = told["agents"].as_array().unwrap().iter().map(|agent| agent["not_installed"].clone()).collect();
    assert!(lacks.contains(&json!(["later"])) && lacks.contains(&json!([])), "{told}");
    let token = desk.run(&["serve", "token", "add", "web"]).stdout.trim().to_owned();
    for _again in 0..3 {
        let mut rpc = Rpc::connect(served.socket("web"));
        rpc.say(format!("token {token}\n"));
        let tools = rpc.ask("tools", &json!({}));
        assert_eq!(tools["result"]["unavailable"][0]["tool"], "later", "{tools}");
    }
    let said = served.stop();
    let line = "the agent `web` may call tools that are not installed: later";
    assert_eq!(said.matches(line).count(), 1, "however often it is asked: {said}");
}

#[test]
fn a_token_that_opens_nothing_yet_is_made_with_a_warning() {
    let agents = "[agents.web]\nis = { token = true }\n[agents.team]\nis = { socket = true }\n";
    let desk = desk(&[], agents);
    let add = |agent: &str| {
        let added = desk.run(&["serve", "token", "add", agent]);
        assert_eq!(added.code, 0, "{added:?}");
        assert!(added.stdout.starts_with("tollgate_"), "{added:?}");
        added.stderr
    };
    assert!(!add("web").contains("warning"));
    assert!(add("wbe").contains("names no agent `wbe`: nobody is heard by this token before it does"));
    assert!(add("team").contains("does not prove the agent `team` by a token"));
    // The daemon's policy counts where one runs.
    desk.file("given.toml", "[agents.wbe]\nis = { token = true }\n");
    let served = Served::with(&mut desk.command(&["serve", "--json", "--policy", "given.toml"]));
    assert!(!add("wbe").contains("warning"));
    assert!(add("web").contains("given.toml` names no agent `web`"));
    served.stop();
    desk.run(&["serve", "token", "add", "No Name"]).fails(2, &["`No Name` is no name of an agent"]);
}

/// A tool that is not an agent's tells it nothing, whether it can be loaded or not.
#[test]
fn who_may_not_call_a_tool_is_not_told_what_it_lacks() {
    let policy = "[tools.word-count]\nfs.\"/docs\" = { host = \"../secret-place\", access = [\"read\", \"list\"] }\n\
                  [agents.owner]\nis = { socket = true }\ntools.word-count = {}\n\
                  [agents.other]\nis = { socket = true }\ntools.json-query = {}\n";
    let desk = desk(&["word-count", "json-query"], policy);
    let served = Served::start(&desk);
    let call = json!({ "tool": "word-count", "operation": "count", "arguments": { "folder": "/docs" } });
    let ask = |agent: &str| Rpc::connect(served.socket(agent)).ask("call", &call)["error"].clone();
    let owner = ask("owner");
    assert_eq!(owner["data"]["error"]["kind"], "load", "{owner}");
    assert_eq!(owner["message"], "the tool cannot be used now, and the operator was told why");
    let listed = Rpc::connect(served.socket("owner")).ask("tools", &json!({}))["result"]["unavailable"].clone();
    assert_eq!(listed, json!([{ "tool": "word-count", "why": owner["message"] }]));
    let other = ask("other");
    assert_eq!(other["data"]["error"]["kind"], "unknown-tool", "{other}");
    assert_eq!(other["message"], "no tool `word-count` is installed");
    let said = served.stop();
    assert_eq!(said.matches("a call of the agent `owner`: ").count(), 1, "{said}");
    assert!(said.contains("secret-place"), "{said}");
    assert!(!desk.entries().iter().any(|entry| entry["kind"] == "call" && entry["agent"].is_string()));
}

/// It would take the place of one that somebody calls.
#[test]
fn a_tool_that_is_not_the_agents_is_not_loaded_for_it() {
    let policy = format!(
        "{POLICY}[agents.owner]\nis = {{ socket = true }}\ntools.word-count = {{}}\n\
         [agents.other]\nis = {{ socket = true }}\ntools.word-count.operations = [\"shrink\"]\n"
    );
    let desk = desk(&["word-count", "json-query"], &policy);
    let served = Served::start(&desk);
    let query = json!({ "tool": "json-query", "operation": "query", "arguments": { "document": 1, "pointer": "" } });
    let refused = Rpc::connect(served.socket("owner")).ask("call", &query)["error"].clone();
    let why = &refused["data"]["error"];
    assert_eq!(why["kind"], "rejected", "{refused}");
    let message =
        "the agent `owner` may not call `json-query.query`: its entry `[agents.owner]` in the policy does not name it";
    assert_eq!(refused["message"], message);
    assert_eq!(why["help"], "in tollgate.toml: tools.json-query.operations = [ …, \"query\" ] under [agents.owner]");
    assert_eq!(desk.run(&["status", "--json"]).report()["workers"], 0, "no worker was started for it");
    served.stop();
    let entries = desk.entries();
    let of = |kind: &str| entries.iter().find(|e| e["kind"] == kind && e["call"] == refused["data"]["call"]).unwrap();
    let (call, end) = (of("call"), of("call-end"));
    assert_eq!((&call["tool"], &call["agent"]), (&json!("json-query"), &json!("owner")), "{call}");
    assert_eq!(end["class"], "rejected", "{end}");
}

/// A `systemctl` that refuses what has `refused` in it.
fn systemctl(desk: &Desk, refused: &str) {
    let script = format!("#!/bin/sh\ncase \"$*\" in *{refused}*) echo no bus >&2; exit 1;; esac\n");
    set_mode(&desk.file("bin/systemctl", script), 0o755);
}

#[test]
fn a_unit_stays_where_systemd_has_read_it_and_nowhere_else() {
    let desk = Desk::new();
    let unit = desk.path("config/systemd/user/tollgate.service");
    let install = |args: &[&str]| {
        let mut command = desk.command(&[&["service", "install"], args].concat());
        command.env("PATH", desk.path("bin")).env("XDG_CONFIG_HOME", desk.path("config"));
        desk.ran(&command.output().unwrap())
    };
    systemctl(&desk, "daemon-reload");
    install(&[]).fails(2, &["`systemctl --user daemon-reload` does not work: no bus", "no user manager may run here"]);
    assert!(!desk.path("config").exists(), "no folder is left of it");
    desk.file("config/systemd/user/tollgate.service", "of before");
    assert_eq!(install(&["--force"]).code, 2);
    assert_eq!(fs::read_to_string(&unit).unwrap(), "of before");
    systemctl(&desk, "enable");
    install(&["--force"])
        .fails(2, &["the unit does not start", "no bus", "tollgate.service` stays", "journalctl --user"]);
    assert!(fs::read_to_string(&unit).unwrap().contains("ExecStart="));
    systemctl(&desk, "nothing");
    let installed = install(&[]);
    assert!(installed.stdout.starts_with("wrote FOLDER/config/systemd/user/tollgate.service\n"), "{installed:?}");
}

/// As without a daemon (`docs/errors.md`); and which policy would have to grant it.
#[test]
fn a_tool_that_lacks_a_grant_ends_the_same_with_and_without_a_daemon() {
    let desk = desk(&["word-count"], "[tools.word-count]\n");
    let served = Served::start(&desk);
    let through = desk.run(&COUNT_INSTALLED);
    assert_eq!(through.code, 2, "{through:?}");
    through.says(&["  policy    FOLDER/tollgate-home/tollgate.toml, which the daemon obeys\n"]);
    served.stop();
    assert_eq!(desk.run(&COUNT_INSTALLED).code, 2);
    assert_eq!(calls(&desk).len(), 0);
}

const COUNT_INSTALLED: [&str; 6] = ["run", "word-count", "--op", "count", "--input", r#"{"folder": "/docs"}"#];

/// Whoever has written the policy of the home and starts no daemon is told who obeys it.
#[test]
fn a_grant_in_the_policy_of_the_home_is_named_where_nobody_obeys_it() {
    let desk = desk(&["word-count"], POLICY);
    let help = "help: the policy of the home, `FOLDER/tollgate-home/tollgate.toml`, names `word-count`, and a daemon alone obeys that one: \
                start it with `tollgate serve`, or give the policy with --policy FOLDER/tollgate-home/tollgate.toml";
    desk.run(&COUNT_INSTALLED).fails(2, &[help]);
    // A policy here that does not name the tool changes nothing of that.
    desk.file("tollgate.toml", "[tools.other]\n");
    desk.run(&COUNT_INSTALLED).fails(2, &[help]);
    let home = desk.path("tollgate-home/tollgate.toml");
    let given = desk.run(&[&COUNT_INSTALLED[..], &["--policy", home.to_str().unwrap()]].concat());
    assert_eq!(given.code, 0, "{given:?}");
    // What is not the home's to give, or names another tool, is not named.
    desk.file("tollgate-home/tollgate.toml", "[tools.other]\n");
    let none = desk.run(&COUNT_INSTALLED);
    assert!(none.code == 2 && !none.stderr.contains("policy of the home"), "{none:?}");
}

/// To make all tokens anew ends every agent's: only damage asks for that.
#[test]
fn tokens_that_cannot_be_written_are_not_to_be_thrown_away() {
    let desk = desk(&[], "[agents.web]\nis = { token = true }\n");
    assert_eq!(desk.run(&["serve", "token", "add", "web"]).code, 0);
    let tokens = fs::read(desk.path("tollgate-home/tokens")).unwrap();
    let mut command = desk.command(&["serve", "token", "add", "web"]);
    limit(&mut command, Resource::Fsize, 0);
    let full = desk.ran(&command.output().unwrap());
    let help = "the tokens are as they were; raise the largest size that a file of the folder of the file of tokens may have (`ulimit -f`)";
    full.fails(2, &["the file of tokens, `FOLDER/tollgate-home/tokens`, cannot be used", help]);
    assert!(!full.stderr.contains("anew"), "{full:?}");
    assert_eq!(fs::read(desk.path("tollgate-home/tokens")).unwrap(), tokens);
    for _token in 1..16 {
        assert_eq!(desk.run(&["serve", "token", "add", "web"]).code, 0);
    }
    let many = desk.run(&["serve", "token", "add", "web"]);
    many.fails(2, &["the agent `web` has 16 tokens", "`tollgate serve token remove web --start START` removes one"]);
    assert!(!many.stderr.contains("anew"), "{many:?}");
    desk.file("tollgate-home/tokens", "{}");
    desk.run(&["serve", "token", "add", "web"]).fails(2, &["is damaged", "make the tokens of all agents anew"]);
}

/// Nobody would find when it changed.
#[test]
fn a_policy_that_the_ledger_does_not_take_does_not_hold() {
    let desk = desk(&[], "");
    let mut command = desk.command(&["serve", "--json"]);
    // Room for some entries.
    limit(&mut command, Resource::Fsize, 24 << 10);
    let served = Served::with(&mut command);
    let digest = || desk.run(&["status", "--json"]).report()["policy_digest"].clone();
    let reload = |policy: String| {
        desk.file("tollgate-home/tollgate.toml", policy);
        let before = digest();
        (desk.run(&["serve", "reload"]), before)
    };
    let mut tries = (0..500).map(|number| reload(format!("# {number}\n")));
    let (refused, before) = tries.find(|(reloaded, _)| reloaded.code != 0).unwrap();
    let told = "error: the daemon does not do it: the ledger does not take that the policy is another one: ";
    refused.fails(2, &[told, "the policy before holds on"]);
    assert_eq!(digest(), before, "the one before holds");
    let socket = served.socket("local").to_owned();
    let agents = "[agents.reader]\nis = { socket = true }\n";
    let (refused, before) = reload(agents.to_owned());
    refused.fails(2, &[told]);
    assert_eq!(digest(), before);
    assert!(socket.exists() && !socket.with_file_name("reader.sock").exists(), "no door was opened, and none closed");
}

#[test]
fn a_socket_whose_path_is_too_long_is_told_how_it_gets_a_shorter_one() {
    let desk = desk(&[], "");
    let long = desk.path(&"x".repeat(90));
    fs::create_dir(&long).unwrap();
    let mut command = desk.command(&["serve"]);
    let told = desk.ran(&command.env("XDG_RUNTIME_DIR", &long).output().unwrap());
    told.fails(2, &["and the most is 107", "set XDG_RUNTIME_DIR to a folder with a short path"]);
}

/// Whether any process is a user's.
fn has_processes(uid: u32) -> bool {
    let is_one = |entry: fs::DirEntry| {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        is_process && entry.metadata().is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == uid)
    };
    fs::read_dir("/proc").unwrap().flatten().any(is_one)
}

/// Who can start no thread takes no call, and says so before one is asked.
#[test]
fn a_daemon_that_can_start_no_thread_is_not_ready() {
    if !is_root() {
        return skipped("this user cannot become others");
    }
    let desk = desk(&[], "");
    set_mode(&desk.path(""), 0o755);
    fs::copy(env!("CARGO_BIN_EXE_tollgate"), desk.path("tollgate")).unwrap();
    let home = desk.path("of-another");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(4007), Some(4007)).unwrap();
    let command = |args: &[&str]| {
        let mut command = Command::new(desk.path("tollgate"));
        command.args(args).current_dir("/").uid(4007).gid(4007).env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
        command.env("TOLLGATE_HOME", &home).env_remove("TOLLGATE_LEDGER");
        command
    };
    // The fewest threads with which it serves its operator.
    let start = |threads: u64| {
        let mut serve = command(&["serve", "--json"]);
        limit(&mut serve, Resource::Nproc, threads);
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let status = desk.ran(&command(&["status"]).output().unwrap());
        if line.is_empty() || status.code != 0 {
            child.kill().unwrap();
            child.wait().unwrap();
            // Its notary has the ledger for a moment longer, and its threads count.
            tollgate_testing::processes::await_that("all of it is gone", || !has_processes(4007));
            return None;
        }
        Some(child)
    };
    let child = (4..64).find_map(start).unwrap();
    let status = desk.ran(&command(&["status"]).output().unwrap());
    let told = "this process can start no more threads: clone3 (a new thread)";
    assert!(status.stdout.contains(&format!("\nready     no: {told}")), "{status:?}");
    assert_eq!(desk.ran(&command(&["serve", "stop"]).output().unwrap()).code, 0);
    let said = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert_eq!(said.matches(told).count(), 1, "{said}");
}
