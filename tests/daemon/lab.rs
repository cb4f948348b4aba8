//! A daemon in this process, on a home of its own with installed tools.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::process::getpid;
use serde_json::Value;
use tollgate::registry::Registry;
use tollgate_audit::{Entry, read};
use tollgate_daemon::Daemon;
use tollgate_workspace::home::Home;
use tollgate_workspace::judge::{calls_in, verified};
use tollgate_workspace::processes::{await_that, children_of};
use tollgate_workspace::rpc::Rpc;

pub(crate) struct DaemonLab {
    pub(crate) daemon: Daemon,
    home: Home,
    said: Arc<Mutex<Vec<String>>>,
}

impl DaemonLab {
    /// With these tools, under this policy; `DATA` in it is a folder with a file.
    pub(crate) fn new(tools: &[&str], policy: &str) -> Self {
        assert_eq!(children_of(getpid()), [], "processes of an earlier test");
        let home = Home::new(tools, policy);
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&said);
        let daemon = home.serve(move |line| hears.lock().expect("a lock").push(line.to_owned()));
        Self { daemon, home, said }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.socket()
    }

    pub(crate) fn write_policy(&self, policy: &str) {
        self.home.write_policy(policy);
    }

    /// Installs a version of a tool.
    pub(crate) fn install(&self, tool: &str, component: &Path, manifest: &Path) {
        self.home.install_from(tool, component, manifest);
    }

    /// Installs what is installed as one tool under another name.
    pub(crate) fn install_again(&self, tool: &str, name: &str) {
        let tools = self.home.folder().join("home/tools");
        std::fs::copy(tools.join(format!("{tool}.json")), tools.join(format!("{name}.json"))).expect("a file");
    }

    /// The compiled code of an installed tool.
    pub(crate) fn artifact(&self, tool: &str) -> PathBuf {
        let registry = Registry::new(self.home.folder().join("home/tools"));
        let found = registry.find(&tool.parse().expect("a name")).expect("a record");
        found.expect("an installed tool").artifact_file()
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
        calls_in(&self.home.ledger(), operation)
    }

    pub(crate) fn await_begun(&self, operation: &str, count: usize) {
        await_that(&format!("{count} calls of {operation}"), || self.begun(operation) >= count);
    }

    /// Ends the daemon; what its ledger holds, which is whole.
    pub(crate) fn end(self) -> Vec<Entry<'static>> {
        let Self { daemon, home, .. } = self;
        daemon.stop().expect("a whole record");
        await_that("no process is left", || children_of(getpid()).is_empty());
        verified(&home.ledger(), None);
        read(&home.ledger()).expect("a ledger").map(|entry| entry.expect("an entry").1).collect()
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
