//! The process that calls the tool from several threads until it is told to stop, or killed; and the tests' end of it.
//!
//! What it says goes out in one write a line: a line that is there is whole, and was true before it was killed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use tollgate::notary::NotaryProcess;
use tollgate::{CallError, CallId, Tool};
use tollgate_workspace::processes::{PATIENCE, children_of, fds_once_at_most, kill, open_fds};

use crate::embedder::{Compiled, Embedder, call, notary_command};

/// The first argument of this role.
pub(crate) const ROLE: &str = "role-driver";

/// Threads that call.
const THREADS: u64 = 3;

/// The driver's own main function.
pub(crate) fn main(data: &Path) -> ExitCode {
    let compiled = Compiled::new();
    say("warm");
    let mut line = String::new();
    let mut stdin = std::io::stdin().lock();
    stdin.read_line(&mut line).expect("standard input");
    // Nobody wants it any more.
    let Some((acknowledge, ledger)) = line.trim_end().split_once(' ') else { return ExitCode::SUCCESS };
    let ledger = PathBuf::from(ledger);
    match compiled.embedder(notary_command(&ledger), &ledger, data, acknowledge) {
        Ok(embedder) => drive(embedder, || drop(stdin.read_line(&mut String::new()))),
        Err(none) => say(format_args!("none {none}")),
    }
    ExitCode::SUCCESS
}

fn drive(embedder: Embedder, told_to_stop: impl FnOnce()) {
    embedder.await_ready().expect("a notary");
    let fds = open_fds();
    say("ready");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for times in 1..=THREADS {
            let (tool, stop) = (&embedder.tool, &stop);
            scope.spawn(move || call_until(stop, tool, times));
        }
        scope.spawn(|| name_notaries(&stop, &embedder.notary));
        told_to_stop();
        stop.store(true, Ordering::Relaxed);
    });
    embedder.await_ready().expect("a notary at the end");
    // A notary may have been killed just now, and not be missed yet, as calls that are acknowledged in the pipe do without
    // it. Its successor's start takes two more descriptors, for a moment.
    say(format_args!("fds {fds} {}", fds_once_at_most(fds)));
    let Embedder { notary, .. } = embedder;
    let children = children_of(getpid()).len();
    match notary.finish() {
        Ok(()) => say(format_args!("finished {children} {}", children_of(getpid()).len())),
        Err(failure) => say(format_args!("unfinished {failure}")),
    }
}

/// Says which notary has the pipe, whenever it is another one.
fn name_notaries(stop: &AtomicBool, notary: &NotaryProcess) {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let pid = notary.pid();
        if pid != last {
            say(format_args!("notary {pid}"));
            last = pid;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn call_until(stop: &AtomicBool, tool: &Tool, times: u64) {
    while !stop.load(Ordering::Relaxed) {
        match call(tool, times).map_err(|failure| failure.error) {
            Ok(answer) => say(format_args!("ok {}", answer.call)),
            Err(CallError::Unrecorded(reason)) => {
                say(format_args!("refused {reason}"));
                // What is refused at once would be so some 10,000 times before there is a notary again.
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(other) => say(format_args!("wrong {other}")),
        }
    }
}

fn say(line: impl Display) {
    let line = format!("{}\n", line.to_string().replace('\n', " "));
    // No lock and no buffer of this process's own, where a line could stay.
    let written = rustix::io::write(std::io::stdout(), line.as_bytes());
    assert_eq!(written, Ok(line.len()), "one write");
}

/// A driver as its parent sees it.
pub(crate) struct Driver {
    pub(crate) pid: Pid,
    stdin: Option<ChildStdin>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
}

/// What a driver has said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) is_warm: bool,
    pub(crate) is_ready: bool,
    pub(crate) acknowledged: Vec<CallId>,
    /// The last notary that had its ledger open.
    pub(crate) notary: Option<Pid>,
    /// Why calls were refused, and how many.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Anything that it must not say.
    pub(crate) wrong: Vec<String>,
    /// That no notary started, and why.
    pub(crate) none: Option<String>,
    /// How many descriptors it had at first, and at the end.
    pub(crate) fds: Option<(usize, usize)>,
    /// How many children it had before and after it finished.
    pub(crate) finished: Option<(usize, usize)>,
    /// Nothing more comes.
    pub(crate) is_over: bool,
}

impl Driver {
    /// Starts a driver, which compiles its tool and waits.
    pub(crate) fn spawn(data: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(ROLE).arg(data).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child: Child = command.spawn().expect("a driver");
        let pid = Pid::from_child(&child);
        let shared = Arc::new(Shared::default());
        let (its, stdout) = (Arc::clone(&shared), child.stdout.take().expect("a pipe"));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                its.said().hear(&line);
                its.changed.notify_all();
            }
            its.said().is_over = true;
            its.changed.notify_all();
        });
        Self { pid, stdin: child.stdin.take(), shared, reader: Some(reader) }
    }

    /// Has it start a notary for `ledger` and call.
    pub(crate) fn go(&mut self, ledger: &Path, acknowledge: &str) {
        self.await_said(|said| said.is_warm);
        self.tell(&format!("{acknowledge} {}", ledger.display()));
    }

    /// Has it end in good order.
    pub(crate) fn finish(&mut self) {
        self.tell("finish");
    }

    /// Waits until `is_so` of what it has said; whether it came to that before the driver's end.
    pub(crate) fn await_said(&self, is_so: impl Fn(&Said) -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut said = self.said();
        while !is_so(&said) {
            if said.is_over {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the driver does not go on: {said:?}");
            said = self.shared.changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) fn said(&self) -> MutexGuard<'_, Said> {
        self.shared.said()
    }

    /// All that it has said, once it is dead.
    pub(crate) fn all_said(mut self) -> Said {
        // The notary has its standard error alone: the pipe ends with the driver.
        self.reader.take().expect("once").join().expect("a reader that ends");
        std::mem::take(&mut self.said())
    }

    fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("a pipe");
        // One that was killed does not hear it.
        stdin.write_all(format!("{line}\n").as_bytes()).ok();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.reader.is_some() {
            kill(self.pid);
        }
    }
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let pair = || rest.split_once(' ').and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
        match word {
            "warm" => self.is_warm = true,
            "ready" => self.is_ready = true,
            "ok" => self.acknowledged.push(rest.parse().expect("a call's id")),
            "notary" => self.notary = rest.parse().ok().and_then(Pid::from_raw),
            "refused" => *self.refused.entry(rest.to_owned()).or_default() += 1,
            "none" => self.none = Some(rest.to_owned()),
            "fds" => self.fds = pair(),
            "finished" => self.finished = pair(),
            _ => self.wrong.push(line.to_owned()),
        }
    }
}
