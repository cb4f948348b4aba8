//! `strace`, attached to processes that run already, and what it saw of each thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tollgate_workspace::processes::await_that;

use crate::written::bytes_written;

/// What threads did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// System calls by name, without those of [`LEFT_OUT`].
    pub(crate) calls: BTreeMap<String, u64>,
    /// Bytes that they wrote, to files, pipes and sockets.
    pub(crate) bytes: u64,
}

/// System calls whose number depends on the moment, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 3] = [
    ("futex", "a lock is waited for only where another thread has it, and a thread is woken only where it sleeps"),
    ("restart_syscall", "strace itself interrupts what waits when it attaches"),
    ("clock_gettime", "a system call only where the kernel's clock cannot be read from memory"),
];

/// Threads whose work depends on the moment, by their names, and why.
pub(crate) const THREADS_LEFT_OUT: [(&str, &str); 4] = [
    ("tollgate-epoch", "it ticks as long as calls run, however many they are"),
    ("reaper", "it looks for idle workers from time to time"),
    ("notary-watch", "it hears the notary, which says something by time and by size of the ledger"),
    ("worker-watch", "it waits for the worker's end"),
];

/// strace, as long as it is attached.
pub(crate) struct Tracer {
    strace: Child,
    logs: PathBuf,
}

impl Tracer {
    /// Attaches to all threads of these processes; it writes into a new folder.
    pub(crate) fn attach(processes: &[Pid], logs: &Path) -> Self {
        fs::create_dir(logs).expect("a new folder");
        let mut command = Command::new("strace");
        // A file for each thread; texts whole and in hexadecimal.
        command.args(["-f", "-ff", "-qq", "-xx", "-s", "8192", "-o"]).arg(logs.join("of"));
        for process in processes {
            command.arg("-p").arg(process.as_raw_pid().to_string());
        }
        let complaints = File::create(logs.join("complaints")).expect("a new file");
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints).spawn().expect("strace");
        let mut tracer = Self { strace, logs: logs.to_owned() };
        await_that("strace is attached to every thread", || {
            if let Some(status) = tracer.strace.try_wait().expect("a child") {
                panic!("strace: {status}: {}", fs::read_to_string(logs.join("complaints")).unwrap_or_default());
            }
            processes.iter().all(|process| threads(*process).all(|thread| is_traced(&thread)))
        });
        tracer
    }

    /// Detaches, and returns what it saw of a process that still runs.
    pub(crate) fn detach(mut self, processes: &[Pid]) -> Vec<Seen> {
        kill_process(Pid::from_child(&self.strace), Signal::INT).expect("strace");
        self.strace.wait().expect("its end");
        processes.iter().map(|process| self.seen(*process)).collect()
    }

    fn seen(&self, process: Pid) -> Seen {
        let mut seen = Seen::default();
        for thread in threads(process) {
            let name = fs::read_to_string(thread.join("comm")).expect("the name of a thread");
            if THREADS_LEFT_OUT.iter().any(|(left_out, _)| *left_out == name.trim_end()) {
                continue;
            }
            let number = thread.file_name().and_then(|number| number.to_str()).expect("a number");
            // One that made no system call has none.
            let log = fs::read_to_string(self.logs.join(format!("of.{number}"))).unwrap_or_default();
            log.lines().filter_map(SystemCall::parse).for_each(|call| seen.add(&call));
        }
        seen
    }
}

impl Seen {
    fn add(&mut self, call: &SystemCall<'_>) {
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == call.name) {
            return;
        }
        *self.calls.entry(call.name.to_owned()).or_default() += 1;
        self.bytes += bytes_written(call);
    }
}

/// A system call, as strace words it: `name(arguments) = returned`.
#[derive(Debug)]
pub(crate) struct SystemCall<'l> {
    pub(crate) name: &'l str,
    pub(crate) arguments: &'l str,
    /// None if it failed, or did not return while strace looked.
    pub(crate) returned: Option<u64>,
}

impl<'l> SystemCall<'l> {
    /// None for what is no system call: signals, ends.
    fn parse(line: &'l str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let is_name =
            name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if !is_name {
            return None;
        }
        let (arguments, returned) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
        let returned = returned.split(' ').next().and_then(|number| number.parse().ok());
        Some(Self { name, arguments, returned })
    }
}

/// Waits until no thread of a process runs or is about to: each waits for something, several looks long.
pub(crate) fn await_quiet(process: Pid) {
    let mut looks = 0;
    await_that("a process is quiet", || {
        let waits = threads(process).all(|thread| state_of(&thread) == Some('S'));
        looks = if waits { looks + 1 } else { 0 };
        looks == LOOKS
    });
}

/// The folders of a process's threads.
fn threads(process: Pid) -> impl Iterator<Item = PathBuf> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_pid())).expect("threads");
    threads.map(|thread| thread.expect("a thread").path())
}

/// `proc(5)`: the state stands behind the name.
fn state_of(thread: &Path) -> Option<char> {
    let stat = fs::read_to_string(thread.join("stat")).ok()?;
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
}

fn is_traced(thread: &Path) -> bool {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

const LOOKS: u32 = 5;
