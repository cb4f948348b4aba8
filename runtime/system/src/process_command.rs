//! How one of Tollgate's processes is started.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How to start a worker, a notary, a gateway or a compiler: a program whose `main` first takes the role that is given in its
/// arguments. What such a process is told is secret, and what it says is believed as far as its role goes: the program must be
/// this one, or one that is trusted as this one is.
#[derive(Debug, Clone)]
pub struct ProcessCommand {
    /// The program; the `tollgate` command, or one that embeds its library.
    pub program: PathBuf,
    /// Its arguments, before those that whoever starts it adds.
    pub arguments: Vec<OsString>,
}

impl ProcessCommand {
    /// A program with its arguments: for the `tollgate` command the name of the role, and what the role asks for.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item: Into<OsString>>) -> Self {
        Self { program: program.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The process without an environment. Its standard streams are its starter's to set.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this module owns how our processes are started")]
    pub fn prepare(&self) -> Command {
        let mut process = Command::new(&self.program);
        process.args(&self.arguments).env_clear();
        process
    }

    /// The same for a process that belongs to this one ([`belong_to`](crate::belong_to)): it is named in `--supervisor`, and heard on
    /// `channel`, the process's standard input.
    #[must_use]
    pub fn prepare_own(&self, channel: OwnedFd) -> Command {
        let mut process = self.prepare();
        process.args(["--supervisor", &std::process::id().to_string()]).current_dir("/");
        process.stdin(Stdio::from(channel)).stdout(Stdio::null()).stderr(Stdio::null());
        process
    }
}
