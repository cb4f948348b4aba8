//! Faults in place of the notary's system calls, one at a time: the n-th call of a kind fails, or is where it is killed.
//!
//! `strace --inject` sits between the embedder and the first notary. Whatever fails, calls fail closed or are in the
//! ledger, the ledger can be gone on with, and after an error of syncing nothing is signed.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::Pid;
use tollgate::{CallError, CallId, ProcessCommand};
use tollgate_workspace::foreign::missing;
use tollgate_workspace::guest;
use tollgate_workspace::processes::reap_all;

use crate::Scale;
use crate::embedder::{Compiled, ORIGIN, notary_command, with_causes};
use crate::foreign::Foreign;
use crate::judge::Past;
use tollgate_workspace::program::data_in;

/// The first argument of the role that starts the notary, under strace if it is the first one.
pub(crate) const ONCE: &str = "role-once";

/// What fails, by the names of the system calls on one machine or another, and how.
const FAULTS: [(&str, &[&str]); 14] = [
    ("fdatasync", &[EIO, KILL]),
    ("fsync", &[EIO, KILL]),
    ("?syncfs", &[EIO, KILL]),
    ("pwrite64", &[EIO, NO_ROOM, KILL]),
    ("splice", &[EIO, NO_ROOM, KILL]),
    ("?rename,?renameat,?renameat2", &[EIO, NO_ROOM, KILL]),
    ("write", &[NO_ROOM, KILL]),
    ("ftruncate", &[EIO, KILL]),
    ("tee", &[EIO, KILL]),
    ("openat", &[EIO, NO_ROOM, KILL]),
    ("?mkdir,?mkdirat", &[NO_ROOM, KILL]),
    ("?unlink,?unlinkat", &[EIO, KILL]),
    ("sendmsg", &[EIO, KILL]),
    ("recvmsg", &[EIO, KILL]),
];

/// What fails in a whole `tollgate run`; hardly anything of it is the worker's.
const RUN_FAULTS: [(&str, &[&str]); 5] = [
    ("fdatasync", &[EIO]),
    ("splice", &[EIO, KILL]),
    ("pwrite64", &[EIO, NO_ROOM]),
    ("tee", &[KILL]),
    ("?rename,?renameat,?renameat2", &[EIO]),
];

const EIO: &str = "error=EIO";
const NO_ROOM: &str = "error=ENOSPC";
const KILL: &str = "signal=SIGKILL";

pub(crate) fn faults(scale: Scale) {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return missing("`strace`", "apt.log");
    }
    let around = tempfile::tempdir().expect("a folder");
    let lab = Lab::new(around.path());
    let mut hits = 0;
    for (calls, effects) in FAULTS {
        for effect in effects {
            for base in [Base::Long, Base::None] {
                // Of a ledger that is made, only what fails otherwise than one that is there.
                if scale.is_soak || base == Base::Long || *effect == KILL || calls == "pwrite64" {
                    hits += lab.each(calls, effect, base, scale.is_soak);
                }
            }
        }
        if scale.is_soak {
            eprintln!("faults: {hits} up to {calls}");
        }
    }
    println!("faults: {hits} of a notary");
    lab.whole_runs(scale.is_soak);
    assert_eq!(lab.found.take(), [""; 0], "see above");
    assert!(hits > 0, "strace has no effect");
}

/// What the ledger is before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// There is none.
    None,
    /// So long that a tile fills up.
    Long,
}

struct Lab {
    folder: PathBuf,
    data: PathBuf,
    compiled: Compiled,
    foreign: Foreign,
    /// What is wrong.
    found: RefCell<Vec<String>>,
}

/// A run with a fault.
#[derive(Debug)]
struct Ran {
    acknowledged: Vec<CallId>,
    /// Why not all went well.
    failures: Vec<String>,
    /// What strace saw.
    log: String,
}

impl Lab {
    fn new(folder: &Path) -> Self {
        let (data, compiled, foreign) = (data_in(folder), Compiled::new(), Foreign::build(folder));
        let lab = Self { folder: folder.to_owned(), data, compiled, foreign, found: RefCell::default() };
        let ledger = lab.folder.join("long").join("ledger");
        fs::create_dir(lab.folder.join("long")).expect("a folder");
        let embedder = lab.compiled.embedder(notary_command(&ledger), &ledger, &lab.data, "disk").expect("an embedder");
        while embedder.notary.checkpoint().expect("a checkpoint").0 < 248 {
            embedder.call(1).expect("a call");
        }
        embedder.finish().expect("an end in good order");
        lab
    }

    /// Runs with the first of `calls` failing, the second, and so on (or the fourth, the eighth), until there are not so
    /// many; how many runs had a fault.
    fn each(&self, calls: &str, effect: &str, base: Base, all: bool) -> u64 {
        let (mut hits, mut nth) = (0, 1);
        loop {
            let place = self.place(base);
            let ran = self.run(&place.join("ledger"), calls, effect, nth);
            if !ran.log.contains("(INJECTED)") && !ran.log.contains("killed by SIGKILL") {
                assert_eq!(ran.failures, [""; 0], "and yet nothing was done");
                fs::remove_dir_all(place).expect("removed");
                return hits;
            }
            let ledger = place.join("ledger");
            let judged = catch_unwind(AssertUnwindSafe(|| {
                ran.judge(&ledger, effect);
                self.foreign.verify(&ledger);
            }));
            if judged.is_err() {
                let found = format!("{calls}:{effect}:when={nth} of {base:?}");
                eprintln!("{found}: {ran:#?}\n{}", fs::read_to_string(place.join("complaints")).unwrap_or_default());
                self.found.borrow_mut().push(found);
            }
            fs::remove_dir_all(place).expect("removed");
            hits += 1;
            nth = if all { nth + 1 } else { nth * 2 };
        }
    }

    /// `tollgate run` with the same fault in every process of it.
    fn whole_runs(&self, all: bool) {
        for (calls, effects) in RUN_FAULTS {
            for effect in effects {
                for nth in 1..=if all { 12 } else { 1 } {
                    let place = self.place(Base::None);
                    let fault = format!("{calls}:{effect}:when={nth}");
                    if catch_unwind(AssertUnwindSafe(|| self.whole_run(&place, &fault))).is_err() {
                        self.found.borrow_mut().push(format!("tollgate run, {fault}"));
                    }
                    fs::remove_dir_all(place).expect("removed");
                }
            }
        }
        let place = self.place(Base::None);
        self.full_for_ever(&place);
        fs::remove_dir_all(place).expect("removed");
    }

    /// The answer, on the record, or none and a reason.
    fn whole_run(&self, place: &Path, fault: &str) -> String {
        let ledger = place.join("ledger");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={fault}")]).args(self.run_words(&ledger));
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| place.join(name));
        command.env("TOLLGATE_HOME", place.join("home"));
        command.stdin(Stdio::null()).stdout(File::create(&stdout).expect("a file"));
        let strace = command.stderr(File::create(&stderr).expect("a file")).spawn().expect("strace");
        let pid = Pid::from_child(&strace);
        let ended = reap_all(None);
        let status = ended.iter().find(|ended| ended.pid == pid).expect("its end").status;
        let [said, complaint] = [&stdout, &stderr].map(|path| fs::read_to_string(path).expect("a file"));
        let mut acknowledged = Vec::new();
        match status.exit_status() {
            Some(0) => {
                let answer: serde_json::Value = serde_json::from_str(&said).expect("JSON");
                acknowledged.push(answer["call"].as_str().expect("a call").parse().expect("a call's id"));
            }
            Some(2 | 5) => assert!(!complaint.is_empty() || said.contains("error"), "{fault}: no reason"),
            other => panic!("{fault}: exit code {other:?}: {complaint}"),
        }
        Past::of(&acknowledged).judge(&ledger);
        said + &complaint
    }

    /// A disk that is full and stays so: the command says it and ends; once there is room, the notary does too.
    fn full_for_ever(&self, place: &Path) {
        // A fault that lasts as long as the notary that it is in; another one then finds room.
        let said = self.whole_run(place, "splice:error=ENOSPC:when=1..30");
        assert!(said.contains("No space left"), "{said}");
    }

    fn run_words(&self, ledger: &Path) -> Vec<OsString> {
        let guest = guest("echo-read");
        let program = std::env::current_exe().expect("this program");
        let mut words: Vec<OsString> = vec![program.into(), "run".into(), guest.component.into()];
        words.extend(["--manifest", guest.manifest, "--json", "--op", "read"].map(Into::into));
        let data = format!("fs:/data={}:read", self.data.display());
        words.extend(["--input", r#"{"path": "/data/file"}"#, "--grant", &data].map(Into::into));
        words.extend(["--grant", "audit:acknowledge=disk", "--origin", ORIGIN, "--ledger"].map(Into::into));
        words.push(ledger.into());
        words
    }

    fn place(&self, base: Base) -> PathBuf {
        let place = self.folder.join("place");
        match base {
            Base::None => fs::create_dir(&place).expect("a folder"),
            Base::Long => {
                let copied = Command::new("cp").arg("-r").arg(self.folder.join("long")).arg(&place).status();
                assert!(copied.expect("cp").success());
            }
        }
        place
    }

    fn run(&self, ledger: &Path, calls: &str, effect: &str, nth: u32) -> Ran {
        let place = ledger.parent().expect("a folder");
        let log = place.join("log");
        let command = under_strace(notary_command(ledger), &log, &format!("{calls}:{effect}:when={nth}"), place);
        let mut acknowledged = Vec::new();
        let mut failures = Vec::new();
        match self.compiled.embedder(command, ledger, &self.data, "disk") {
            Ok(embedder) => {
                for times in 1..=CALLS {
                    match embedder.call(times).map_err(|failure| failure.error) {
                        Ok(answer) => acknowledged.push(answer.call),
                        Err(CallError::Unrecorded(reason)) => {
                            failures.push(reason);
                            if embedder.await_ready().is_err() {
                                break;
                            }
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                failures.extend(embedder.finish().err().map(|failure| with_causes(&failure)));
            }
            Err(none) => failures.push(none.to_string()),
        }
        reap_all(None);
        Ran { acknowledged, failures, log: fs::read_to_string(log).unwrap_or_default() }
    }
}

impl Ran {
    fn judge(&self, ledger: &Path, effect: &str) {
        for failure in &self.failures {
            assert!(CLEAR.iter().any(|clear| failure.contains(clear)), "not clear: {failure}");
        }
        if effect != KILL {
            let lines = self.log.lines().skip_while(|line| !is_failed_sync(line));
            let signed: Vec<_> = lines.filter(|line| is_checkpoint(line)).collect();
            assert_eq!(signed, [""; 0], "signed after an error of syncing");
        }
        Past::of(&self.acknowledged).judge(ledger);
    }
}

fn is_failed_sync(line: &str) -> bool {
    line.contains("(INJECTED)") && ["fsync(", "fdatasync(", "syncfs("].iter().any(|call| line.contains(call))
}

/// Whether the line is of the call that makes a checkpoint appear.
fn is_checkpoint(line: &str) -> bool {
    line.contains("rename") && line.contains("/checkpoint\"") && !line.contains("(INJECTED)")
}

/// Words of which each failure must have one: what the system said, or how the notary died.
const CLEAR: [&str; 6] =
    ["Input/output error", "No space left", "signal: 9", "is away", "cannot be brought to disk", "exit status: 5"];

/// Has the first notary run under strace, with this fault.
fn under_strace(notary: ProcessCommand, log: &Path, fault: &str, place: &Path) -> ProcessCommand {
    let mut arguments = vec![ONCE.into(), place.into(), "/usr/bin/env".into(), "strace".into()];
    arguments.extend(["-f", "-qq", "-s", "256", "-o"].map(Into::into));
    arguments.push(log.into());
    let (calls, _) = fault.split_once(':').expect("calls");
    arguments.extend(["-e".into(), format!("trace=fsync,fdatasync,?syncfs,/^rename,{calls}").into()]);
    arguments.extend(["-e".into(), format!("inject={fault}").into(), notary.program.clone().into()]);
    arguments.extend(notary.arguments);
    ProcessCommand::new(notary.program, arguments)
}

/// Becomes the program after strace's options, and the first time strace itself. What it complains of goes to a file in
/// `place`.
pub(crate) fn once(place: &Path, command: &[&str]) -> ExitCode {
    let is_first = File::create_new(place.join("started")).is_ok();
    let program = std::env::current_exe().expect("this program");
    let ours = command.iter().position(|word| Path::new(word) == program).expect("this program in the command");
    let words = if is_first { command } else { &command[ours..] };
    let complaints = OpenOptions::new().create(true).append(true).open(place.join("complaints")).expect("a file");
    let error = Command::new(words[0]).args(&words[1..]).stderr(Stdio::from(complaints)).exec();
    panic!("{}: {error}", words[0])
}

/// Calls in a run.
const CALLS: u64 = 3;
