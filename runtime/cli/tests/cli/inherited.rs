//! What processes keep of whoever started them: no file that was open there, and no terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};

use crate::desk::{Desk, wait_for};

/// Opens a file so that every process which is started from now on inherits it.
fn inheritable(desk: &Desk) -> OwnedFd {
    // Without close-on-exec.
    rustix::fs::open(desk.path("secret.txt"), OFlags::RDONLY, Mode::empty()).unwrap()
}

/// A process, by `/proc`.
struct Process(PathBuf);

impl Process {
    fn of(id: &str) -> Self {
        Self(Path::new("/proc").join(id))
    }

    /// What it has open; none where this user may not look.
    fn open_files(&self) -> Option<Vec<String>> {
        let open = fs::read_dir(self.0.join("fd")).ok()?;
        let paths = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        Some(paths.map(|path| path.display().to_string()).collect())
    }

    /// The fields behind its name (`proc_pid_stat(5)`): state, parent, group, session, terminal.
    fn stat(&self) -> Option<Vec<String>> {
        let stat = fs::read_to_string(self.0.join("stat")).ok()?;
        Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
    }

    fn await_seal(&self) {
        wait_for(&self.0.join("status"), |status| String::from_utf8_lossy(status).contains("Seccomp:\t2"));
    }

    /// Asserts that it has a session of its own without a terminal, and no file of its starter's; what it has open.
    #[track_caller]
    fn keeps_nothing(&self) -> Option<Vec<String>> {
        let (id, stat) = (self.0.file_name().unwrap().to_str().unwrap(), self.stat().unwrap());
        assert_eq!((&*stat[3], &*stat[4]), (id, "0"), "its own session, without a terminal");
        let open = self.open_files()?;
        assert!(!open.iter().any(|path| path.ends_with("secret.txt")), "{open:?}");
        Some(open)
    }
}

#[test]
fn the_notary_and_a_worker_keep_nothing_that_they_inherit() {
    let desk = Desk::with("word-count");
    let secret = inheritable(&desk);
    let sleeper = desk.sleeper();
    drop(secret);
    let notary = Process::of(&sleeper.notary);
    let open = notary.keeps_nothing().unwrap();
    assert!(open.iter().any(|path| path.ends_with("ledger/journal")), "{open:?}");
    let stderr = fs::read_link(notary.0.join("fd/2")).unwrap();
    assert!(stderr.to_str().unwrap().starts_with("pipe:"), "{stderr:?}");

    let supervisor = sleeper.run.as_ref().unwrap().0.id().to_string();
    let worker = loop {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| Process(entry.unwrap().path()));
        let is_worker = |process: &Process| {
            let is_child = process.stat().is_some_and(|stat| stat[1] == supervisor);
            is_child && process.0.file_name().unwrap().to_str() != Some(&sleeper.notary)
        };
        if let Some(worker) = processes.into_iter().find(is_worker) {
            break worker;
        }
        assert!(notary.stat().is_some(), "the supervisor has ended");
    };
    worker.await_seal();
    // It is not dumpable, so that only root may look (`proc(5)`).
    if let Some(open) = worker.keeps_nothing() {
        assert!(open.len() > 3, "{open:?}");
    }
}

#[test]
fn the_compiler_keeps_nothing_that_it_inherits() {
    let desk = Desk::empty();
    desk.file("secret.txt", "swordfish");
    let secret = inheritable(&desk);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["compile", "--supervisor", &std::process::id().to_string()]);
    command.args(["--cpu-seconds", "60", "--memory-bytes", "2000000000", "--threads", "1"]);
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let compiler = Ending(streams.spawn().unwrap());
    drop(secret);
    let process = Process::of(&compiler.0.id().to_string());
    // It waits for the component by now.
    process.await_seal();
    let open = process.keeps_nothing().unwrap();
    let others: Vec<_> = open.iter().filter(|path| !path.starts_with("pipe:")).collect();
    assert!(open.len() >= 3 && others.iter().all(|path| path.starts_with("/proc/")), "{open:?}");
}

/// Is not left behind.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
