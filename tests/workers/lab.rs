//! A supervisor with a ledger of its own, and what must hold once it has ended: the ledger is whole, and nothing is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, getpid};
use tempfile::TempDir;
use tollgate::{
    Answer, CallFailure, CallId, Caller, ProcessCommand, Provenance, Request, Supervisor, SupervisorSettings, Tool,
    ToolSpec,
};
use tollgate_audit::{CallClass, Closer, Enforcement, Entry, Level, WriterId, read};
use tollgate_capability::CapabilitySet;
use tollgate_config::Policy;
use tollgate_workspace::judge::{assert_once, calls_in, verified};
use tollgate_workspace::processes::{await_that, children_in, children_of, fds_once_at_most, open_fds, open_files};
use tollgate_workspace::program::{self, compiled, data_in, worker_command};
use tollgate_workspace::{ORIGIN, guest, manifest, set_in};

/// A supervisor, and a folder with its ledger and the file `data/file`.
pub(crate) struct SupervisorLab {
    // Before the folder, which its notary needs to the end.
    pub(crate) supervisor: Supervisor,
    folder: TempDir,
    fds: usize,
}

impl SupervisorLab {
    pub(crate) fn new() -> Self {
        Self::with(SupervisorSettings::new(worker_command()))
    }

    /// Under what the text of a policy says of workers.
    pub(crate) fn under(policy: &str) -> Self {
        Self::with(SupervisorSettings::of(&parse(policy).deployment, worker_command()))
    }

    pub(crate) fn with(settings: SupervisorSettings) -> Self {
        assert_eq!(children_of(getpid()), [], "processes of an earlier test");
        let folder = tempfile::tempdir().expect("a folder");
        data_in(folder.path());
        let fds = open_fds();
        let ledger = folder.path().join("ledger");
        let supervisor = Supervisor::start(notary_command(&ledger), &ledger, settings).expect("a supervisor");
        Self { folder, supervisor, fds }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The capability set of a guest under grants as `--grant` takes them.
    pub(crate) fn set(&self, name: &str, grants: &[&str]) -> CapabilitySet {
        set_in(self.folder.path(), guest(name), grants)
    }

    /// Takes a tool that has a worker of its own.
    pub(crate) fn add(&self, name: &str, grants: &[&str]) -> Tool {
        self.supervisor.add(spec(name, self.set(name, grants))).expect("a tool")
    }

    /// A tool that reads the file, and is never in doubt.
    pub(crate) fn reader(&self) -> Tool {
        self.add("echo-read", &READS)
    }

    /// A tool that sleeps as long as it is told, and has a minute for it.
    pub(crate) fn sleeper(&self) -> Tool {
        self.supervisor.add(spec("sleep-forever", sleeps(self.folder(), 60_000))).expect("a tool")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Waits until so many calls of an operation are in the ledger, which is being written.
    pub(crate) fn await_calls(&self, operation: &str, count: usize) {
        await_that(&format!("{count} calls of {operation}"), || calls_in(&self.ledger(), operation) >= count);
    }

    /// Ends the supervisor. The ledger is whole and holds each of these calls once; neither a process, a descriptor nor a file
    /// is left.
    pub(crate) fn end(self, tools: Vec<Tool>, acknowledged: &[CallId]) -> Record {
        self.finish().judge(tools, acknowledged)
    }

    /// Ends the supervisor. Its tools may be held longer.
    pub(crate) fn finish(self) -> Finished {
        let Self { folder, supervisor, fds } = self;
        supervisor.finish().expect("a whole record");
        assert_eq!(workers(), [], "workers after the supervisor");
        Finished { folder, fds }
    }
}

/// What is left of a lab without its supervisor.
pub(crate) struct Finished {
    folder: TempDir,
    fds: usize,
}

impl Finished {
    /// As [`SupervisorLab::end`].
    pub(crate) fn judge(self, tools: Vec<Tool>, acknowledged: &[CallId]) -> Record {
        let Self { folder, fds } = self;
        drop(tools);
        await_that("no process is left", || children_of(getpid()).is_empty());
        // Threads that waited for a worker may have some a moment longer.
        assert!(fds_once_at_most(fds) <= fds, "{fds} descriptors before, now {:?}", open_files());
        Record::judged(folder, acknowledged)
    }
}

/// What a ledger holds that is whole.
pub(crate) struct Record {
    pub(crate) entries: Vec<Entry<'static>>,
    _folder: TempDir,
}

impl Record {
    /// Judges the ledger of an ended supervisor, and what else is in its folder.
    pub(crate) fn judged(folder: TempDir, acknowledged: &[CallId]) -> Self {
        let ledger = folder.path().join("ledger");
        let report = verified(&ledger, None);
        assert_eq!(report.checkpoint.map(|checkpoint| checkpoint.size), Some(report.size), "the checkpoint covers all");
        assert_once(&ledger, acknowledged);
        assert_no_more_files(folder.path());
        let entries = read(&ledger).expect("a ledger").map(|entry| entry.expect("an entry").1).collect();
        let record = Self { entries, _folder: folder };
        record.assert_each_worker_is_sealed();
        record
    }

    /// The workers that ran calls of a tool, in the order of their first ones.
    pub(crate) fn workers_of(&self, tool: &str) -> Vec<WriterId> {
        let mut workers = Vec::new();
        for entry in &self.entries {
            if let Entry::Call(call) = entry
                && call.tool.as_str() == tool
                && call.writer != call.call.issuer()
                && !workers.contains(&call.writer)
            {
                workers.push(call.writer);
            }
        }
        workers
    }

    /// The worker that ran a call.
    pub(crate) fn worker_of(&self, call: CallId) -> WriterId {
        let [Entry::Call(start), ..] = self.of(call)[..] else { panic!("{call}: {:?}", self.of(call)) };
        start.writer
    }

    pub(crate) fn enforcements(&self) -> Vec<&Enforcement<'static>> {
        let entries = self.entries.iter();
        entries.filter_map(|entry| if let Entry::Enforcement(found) = entry { Some(found) } else { None }).collect()
    }

    /// The seal of a worker.
    pub(crate) fn enforcement(&self, worker: WriterId) -> &Enforcement<'static> {
        let of = self.enforcements().into_iter().filter(|enforcement| enforcement.writer == worker).collect::<Vec<_>>();
        let [only] = of[..] else { panic!("seals of {worker}: {of:?}") };
        only
    }

    /// What closed a call that did not end.
    pub(crate) fn closer(&self, call: CallId) -> &Closer<'static> {
        let closers = self.entries.iter().filter_map(|entry| match entry {
            Entry::Closer(closer) if closer.call == call => Some(closer),
            _ => None,
        });
        let [only] = closers.collect::<Vec<_>>()[..] else { panic!("closers of {call}: {:?}", self.of(call)) };
        only
    }

    /// The supervisor itself put a call on record that no worker got: its start and its end, of this class.
    pub(crate) fn assert_turned_down(&self, call: CallId, class: CallClass) {
        let [Entry::Call(start), Entry::CallEnd(end)] = self.of(call)[..] else {
            panic!("{call}: {:?}", self.of(call))
        };
        assert_eq!((start.writer, end.class), (call.issuer(), class));
    }

    pub(crate) fn closers(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Closer(_))).count()
    }

    /// The entries of a call.
    pub(crate) fn of(&self, call: CallId) -> Vec<&Entry<'static>> {
        self.entries.iter().filter(|entry| entry.call() == Some(call)).collect()
    }

    /// No call is of a worker whose seal is not in the ledger before it. Those that no worker got are of the supervisor, which gave
    /// them their ids.
    fn assert_each_worker_is_sealed(&self) {
        let mut sealed = BTreeSet::new();
        for entry in &self.entries {
            match entry {
                Entry::Enforcement(enforcement) => {
                    assert!(sealed.insert(enforcement.writer.to_string()), "sealed twice: {enforcement:?}");
                    assert!(enforcement.level >= enforcement.required, "{enforcement:?}");
                }
                Entry::Call(call) => {
                    assert!(
                        call.writer == call.call.issuer() || sealed.contains(&call.writer.to_string()),
                        "of an unsealed worker: {call:?}"
                    );
                }
                Entry::BlockedCall(blocked) => panic!("the filter blocked {blocked}"),
                _ => {}
            }
        }
    }
}

/// A worker that is sealed as well as can be.
pub(crate) fn assert_full(enforcement: &Enforcement<'_>) {
    assert_eq!((enforcement.level, enforcement.required), (Level::Full, Level::Full), "{enforcement:?}");
}

/// What a worker, a notary or a supervisor must not leave beside the ledger, or within it.
fn assert_no_more_files(folder: &Path) {
    let names = |folder: &Path| -> BTreeSet<String> {
        let files = fs::read_dir(folder).expect("a folder");
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect()
    };
    let all = names(folder);
    let left: Vec<_> = all.iter().filter(|name| !OF_A_LAB.contains(&name.as_str())).collect();
    assert!(left.is_empty(), "left beside the ledger: {left:?}");
    let left: Vec<_> = names(&folder.join("ledger")).into_iter().filter(|name| name.contains("tmp")).collect();
    assert!(left.is_empty(), "left in the ledger: {left:?}");
}

/// A tool of this guest.
pub(crate) fn spec(name: &str, set: CapabilitySet) -> ToolSpec {
    let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
    ToolSpec::new(compiled(name), &manifest(guest(name)), set, provenance)
}

/// What the sleeper is given. Its deadline may be longer than its manifest's.
pub(crate) fn sleeps(folder: &Path, deadline_ms: u64) -> CapabilitySet {
    let mut set = set_in(folder, guest("sleep-forever"), &["clock:monotonic=real"]);
    set.limits.deadline_ms = deadline_ms;
    set
}

/// Calls an operation with JSON arguments.
pub(crate) fn call(tool: &Tool, operation: &str, arguments: &str) -> Result<Answer, Box<CallFailure>> {
    tool.call(&Request { operation, arguments, stdin: Default::default(), caller: Caller::default() })
}

/// Has the reader open and read its file so many times.
pub(crate) fn read_many(tool: &Tool, times: u64) -> Result<Answer, Box<CallFailure>> {
    call(tool, "read-many", &format!(r#"{{"path": "/data/file", "times": {times}}}"#))
}

/// Has the sleeper sleep.
pub(crate) fn sleep(tool: &Tool, millis: u64) -> Result<Answer, Box<CallFailure>> {
    call(tool, "attack", &format!(r#"{{"millis": {millis}}}"#))
}

/// Starts the worker of a tool that has none yet; its process.
pub(crate) fn start_worker(tool: &Tool) -> Pid {
    let before = workers();
    tool.operations().expect("a tool that loads");
    // One that an earlier test has told to end, or whose start was still under way, may be seen for a moment.
    let mut new = Vec::new();
    await_that("one new worker", || {
        new = workers().into_iter().filter(|pid| !before.contains(pid)).collect();
        new.len() == 1
    });
    new[0]
}

/// The processes of workers that live.
pub(crate) fn workers() -> Vec<Pid> {
    children_in("worker")
}

/// Sets it when it is dropped, so that a test that fails ends its threads.
pub(crate) struct Stops<'s>(pub(crate) &'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a policy says.
pub(crate) fn parse(policy: &str) -> Policy {
    Policy::parse(policy, "tollgate.toml", Path::new("/")).unwrap_or_else(|error| panic!("{error:?}"))
}

/// This program as the notary of a ledger.
pub(crate) fn notary_command(ledger: &Path) -> ProcessCommand {
    program::notary_command(ledger, ORIGIN)
}

pub(crate) const READS: [&str; 2] = ["fs:/data=data:read", "limit:calls=16"];

/// What there is beside a ledger: its key, its state, the side store; and what tests put there.
const OF_A_LAB: [&str; 6] = ["data", "ledger", "ledger.key", "ledger.private", "ledger.state", "out"];
