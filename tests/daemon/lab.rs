//! A daemon in this process, on a home of its own with installed tools.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, getpid};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::service::Config;
use tollgate_audit::{Entry, read};
use tollgate_daemon::{Daemon, DaemonConfig, GatewayCommand};
use tollgate_workspace::guest;
use tollgate_workspace::judge::verified;
use tollgate_workspace::processes::{await_that, children_of};
use tollgate_workspace::program::{data_in, this_program};

pub(crate) struct DaemonLab {
    pub(crate) daemon: Daemon,
    folder: TempDir,
    said: Arc<Mutex<Vec<String>>>,
}

impl DaemonLab {
    /// With these tools, under this policy; `DATA` in it is a folder with a file.
    pub(crate) fn new(tools: &[&str], policy: &str) -> Self {
        assert_eq!(children_of(getpid()), [], "processes of an earlier test");
        let folder = tempfile::tempdir().expect("a folder");
        data_in(folder.path());
        for tool in tools {
            install(folder.path(), tool);
        }
        write_policy(folder.path(), policy);
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&said);
        let config = DaemonConfig {
            tollgate: Config::at_home(&folder.path().join("home"), &this_program()),
            folder: folder.path().join("run"),
            tokens: folder.path().join("home/tokens"),
            gateway: GatewayCommand { program: this_program(), arguments: vec!["gateway".to_owned()] },
            given: Vec::new(),
            tell: Arc::new(move |line| hears.lock().expect("a lock").push(line.to_owned())),
            end: Arc::new(|| ()),
        };
        let daemon = Daemon::start(config).unwrap_or_else(|error| panic!("{}", tollgate::error::with_causes(&error)));
        Self { daemon, folder, said }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("run/agents/local.sock")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("home/ledger")
    }

    pub(crate) fn write_policy(&self, policy: &str) {
        write_policy(self.folder.path(), policy);
    }

    /// What an operator was told.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().expect("a lock").clone()
    }

    pub(crate) fn connect(&self) -> Rpc {
        Rpc::connect(&self.socket())
    }

    /// How many calls of an operation have begun.
    pub(crate) fn begun(&self, operation: &str) -> usize {
        let entries = read(&self.ledger()).expect("a ledger").map_while(Result::ok);
        entries.filter(|(_, entry)| matches!(entry, Entry::Call(call) if call.operation.as_str() == operation)).count()
    }

    pub(crate) fn await_begun(&self, operation: &str, count: usize) {
        await_that(&format!("{count} calls of {operation}"), || self.begun(operation) >= count);
    }

    /// Processes of this daemon in a role, such as `gateway`.
    pub(crate) fn processes(role: &str) -> Vec<Pid> {
        let is_it = |pid: &Pid| {
            let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(role.as_bytes())
        };
        children_of(getpid()).into_iter().filter(is_it).collect()
    }

    /// Ends the daemon; what its ledger holds, which is whole.
    pub(crate) fn end(self) -> Vec<Entry<'static>> {
        let Self { daemon, folder, .. } = self;
        daemon.stop().expect("a whole record");
        await_that("no process is left", || children_of(getpid()).is_empty());
        let ledger = folder.path().join("home/ledger");
        verified(&ledger, None);
        read(&ledger).expect("a ledger").map(|entry| entry.expect("an entry").1).collect()
    }
}

pub(crate) fn write_policy(folder: &Path, policy: &str) {
    let text = policy.replace("DATA", folder.join("data").to_str().expect("text"));
    let home = folder.join("home");
    fs::create_dir_all(&home).expect("a folder");
    // As an operator's editor does, so that no half of it is read.
    fs::write(home.join("new"), text).expect("a file");
    fs::rename(home.join("new"), home.join("tollgate.toml")).expect("a file");
}

pub(crate) fn install(folder: &Path, tool: &str) {
    let guest = guest(tool);
    let mut command = Command::new(this_program());
    command.args(["install", "--force", "--name", tool]).arg(guest.component).arg("--manifest").arg(guest.manifest);
    command.env("TOLLGATE_HOME", folder.join("home")).env("TOLLGATE_LEDGER", folder.join("home/ledger"));
    let output = command.output().expect("this program");
    assert!(output.status.success(), "{output:?}");
}

/// A client that speaks JSON-RPC.
pub(crate) struct Rpc {
    pub(crate) stream: BufReader<UnixStream>,
    next: u64,
}

impl Rpc {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("a daemon");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Self { stream: BufReader::new(stream), next: 0 }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("a daemon that hears");
    }

    /// The next line; none at the end.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks for a call, and does not wait; its id.
    pub(crate) fn begin(&mut self, tool: &str, operation: &str, arguments: &Value) -> u64 {
        self.next += 1;
        let params = json!({ "tool": tool, "operation": operation, "arguments": arguments });
        let line = json!({ "jsonrpc": "2.0", "id": self.next, "method": "call", "params": params });
        self.say(format!("{line}\n").as_bytes());
        self.next
    }

    pub(crate) fn call(&mut self, tool: &str, operation: &str, arguments: &Value) -> Value {
        let id = self.begin(tool, operation, arguments);
        let answer = self.hear().expect("an answer");
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// That it is served.
    pub(crate) fn is_served(&mut self) {
        let answer = self.call("echo-read", "echo", &json!({ "a": 1 }));
        assert_eq!(answer["result"]["ok"], true, "{answer}");
    }
}

/// The class of the error that an answer is.
pub(crate) fn kind_of(answer: &Value) -> &str {
    answer["error"]["data"]["error"]["kind"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

pub(crate) const SLEEPS: &str =
    "[tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\", calls = 16 }\n";
pub(crate) const READS: &str =
    "[tools.echo-read]\nfs.\"/data\" = { host = \"DATA\", access = [\"read\"] }\nlimits = { calls = 16 }\n";
