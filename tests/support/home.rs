//! A home with installed tools; a daemon on it in this process, or commands on it, which may be a daemon of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tollgate::ProcessCommand;
use tollgate::service::Config;
use tollgate_daemon::{Daemon, DaemonConfig};

use crate::guest;
use crate::program::{data_in, this_program};

/// A folder with `home`, `run` for sockets, and `data` with a file.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// With these tools, under this policy; `DATA` in it is the folder `data`.
    pub fn new(tools: &[&str], policy: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        data_in(home.folder());
        tools.iter().for_each(|tool| home.install(tool));
        home.write_policy(policy);
        home
    }

    /// This program as `tollgate ARGS` on this home.
    #[allow(clippy::disallowed_methods, reason = "this program acts as `tollgate` does")]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(this_program());
        command.args(args);
        command.env("TOLLGATE_HOME", self.folder().join("home")).env("TOLLGATE_LEDGER", self.ledger());
        command
    }

    fn install(&self, tool: &str) {
        let guest = guest(tool);
        self.install_from(tool, guest.component.as_ref(), guest.manifest.as_ref());
    }

    /// Installs a component under a name, beside a daemon too.
    pub fn install_from(&self, tool: &str, component: &Path, manifest: &Path) {
        let mut command = self.command(&["install", "--name", tool]);
        command.arg(component).arg("--manifest").arg(manifest);
        let output = command.output().expect("this program");
        assert!(output.status.success(), "{output:?}");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn ledger(&self) -> PathBuf {
        self.folder().join("home/ledger")
    }

    /// The socket of the agent that the operator is.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("run/agents/local.sock")
    }

    pub fn write_policy(&self, policy: &str) {
        let text = policy.replace("DATA", self.folder().join("data").to_str().expect("text"));
        let home = self.folder().join("home");
        fs::create_dir_all(&home).expect("a folder");
        // As an operator's editor does, so that no half of it is read.
        fs::write(home.join("new"), text).expect("a file");
        fs::rename(home.join("new"), home.join("tollgate.toml")).expect("a file");
    }

    pub fn config(&self) -> Config {
        Config::at_home(&self.folder().join("home"), &this_program())
    }

    /// A daemon; `tell` hears what its operator should know of.
    pub fn serve(&self, tell: impl Fn(&str) + Send + Sync + 'static) -> Daemon {
        let config = DaemonConfig {
            tollgate: self.config(),
            folder: self.folder().join("run"),
            tokens: self.folder().join("home/tokens"),
            gateway: ProcessCommand::new(this_program(), ["gateway"]),
            given: Vec::new(),
            tell: Arc::new(tell),
            end: Arc::new(|| ()),
        };
        Daemon::start(config).unwrap_or_else(|error| panic!("{}", tollgate::error::with_causes(&error)))
    }
}
