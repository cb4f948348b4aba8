//! A laboratory for tests and benches: a temporary ledger, an engine, tools loaded under grants written as on the
//! command line, and the ledger's entries to assert on. Nothing here is shipped.

pub mod documented;
pub mod expect;
pub mod home;
pub mod own_main;
pub mod probe;
pub mod program;
pub mod sealed;
pub mod site;
pub mod stock;
mod trace;
mod unable;
pub mod wasi;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tempfile::TempDir;
use tollgate::authority::DecidingPlaces;
use tollgate::notary::NotaryProcess;
use tollgate::{
    Answer, Artifact, CallError, CallFailure, CallId, Caller, Engine, InProcess, LoadError, ProcessCommand, Provenance,
    Request, Tool, ToolSpec,
};
use tollgate_audit::{Entry, Kept, Record, Report, read, verify};
use tollgate_capability::{CapabilitySet, OnViolation};
use tollgate_config::{AdhocGrant, Grant, Manifest, intersect};
use tollgate_example_tools::Guest;
use tollgate_ledger::Ledger;

pub use tollgate_example_tools::guest;
pub use tollgate_testing::{chance, foreign, forgets, fuse, hmac, judge, processes, rpc, small_group};
pub use unable::{UNABLE, Unable};

/// One temporary folder with a ledger, and everything to run tools against it.
pub struct Lab {
    folder: TempDir,
    engine: Engine,
    in_process: InProcess,
    notary: Option<NotaryProcess>,
    /// Whether guests make requests that mean nothing (flags that contradict each other) or that race with changes of the
    /// folder: such a call may be refused before there is anything to decide, or be decided again.
    pub odd_requests: bool,
}

impl Lab {
    /// Records into a ledger that this process holds.
    pub fn new() -> Self {
        Self::recording(|ledger| ledger)
    }

    /// As [`Lab::new`], with a ledger that is unable to keep entries so well.
    pub fn unable(from: Kept) -> Self {
        Self::recording(|ledger| Arc::new(Unable { ledger, from }))
    }

    fn recording(record: impl FnOnce(Arc<Ledger>) -> Arc<dyn Record>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ledger = Ledger::open(&folder.path().join("ledger"), ORIGIN, "tests", 0).expect("a ledger");
        Self::over(folder, record(Arc::new(ledger)), None)
    }

    /// Records through a notary in a process of its own. Before the ledger is looked at, [`Lab::finish`] it.
    pub fn notarised(command: impl FnOnce(&Path) -> ProcessCommand) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let notary = NotaryProcess::start(command(&folder.path().join("ledger"))).expect("a notary");
        Self::over(folder, notary.recorder().expect("a way to the notary"), Some(notary))
    }

    fn over(folder: TempDir, record: Arc<dyn Record>, notary: Option<NotaryProcess>) -> Self {
        let engine = Engine::new(4).expect("an engine");
        let ledger = folder.path().join("ledger");
        let in_process = InProcess::start_unsealed(&engine, record, &ledger, DecidingPlaces::none());
        let in_process = in_process.expect("an engine");
        Self { folder, engine, in_process, notary, odd_requests: false }
    }

    /// Ends the record of a lab with a notary: all of it is in the ledger then.
    pub fn finish(&mut self) {
        if let Some(notary) = self.notary.take() {
            notary.finish().expect("a whole record");
        }
    }

    /// A path in the temporary folder; not created.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a folder in the temporary folder and returns its path.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a new folder");
        path
    }

    /// Writes a file in the temporary folder, with the folders above it, and returns its path.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a new folder");
        fs::write(&path, content).expect("a new file");
        path
    }

    /// The capability set of a guest's manifest under grants as `--grant` takes them. Relative host folders are in the
    /// temporary folder. Where the manifest needs a stream, a clock or randomness that no grant names, that is an error.
    pub fn set(&self, guest: &Guest, grants: &[&str]) -> CapabilitySet {
        set_in(self.folder.path(), guest, grants)
    }

    /// Loads a guest under grants.
    pub fn tool(&mut self, guest: &Guest, grants: &[&str]) -> Tool {
        let set = self.set(guest, grants);
        self.tool_with(guest, set).expect("a tool that loads")
    }

    /// As [`Self::tool`], with denied calls answered by error codes.
    pub fn tool_that_goes_on(&mut self, guest: &Guest, grants: &[&str]) -> Tool {
        let set = CapabilitySet { on_violation: OnViolation::Deny, ..self.set(guest, grants) };
        self.tool_with(guest, set).expect("a tool that loads")
    }

    /// Loads a guest under a capability set.
    pub fn tool_with(&mut self, guest: &Guest, set: CapabilitySet) -> Result<Tool, LoadError> {
        let component = self.component(guest)?;
        self.load(guest, &component, set)
    }

    /// Compiles a guest, for tests that load it many times.
    pub fn component(&self, guest: &Guest) -> Result<Artifact, LoadError> {
        Artifact::compile_unsealed(&self.engine, &fs::read(guest.component).expect("a component"))
    }

    /// As [`Self::tool_with`], for a guest that is compiled already.
    pub fn load(&mut self, guest: &Guest, component: &Artifact, set: CapabilitySet) -> Result<Tool, LoadError> {
        self.load_as(&manifest(guest), component, set)
    }

    /// Loads a component under a manifest of the test's own.
    pub fn load_as(
        &mut self,
        manifest: &Manifest,
        component: &Artifact,
        set: CapabilitySet,
    ) -> Result<Tool, LoadError> {
        let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
        self.in_process.add(ToolSpec::new(component.clone(), manifest, set, provenance))
    }

    /// Compiles a component in WebAssembly text.
    pub fn component_of_bytes(&self, bytes: &[u8]) -> Artifact {
        Artifact::compile_unsealed(&self.engine, bytes).expect("a component")
    }

    /// Calls a tool. In a lab whose ledger can be looked at, the record of the call is compared with what the guest was
    /// seen to ask for.
    pub fn call(&mut self, tool: &Tool, operation: &str, arguments: &str) -> Result<Answer, Box<CallFailure>> {
        let request = Request { operation, arguments, stdin: Default::default(), caller: Caller::default() };
        if self.notary.is_some() {
            return tool.call(&request);
        }
        let (ended, asked) = trace::traced(|| tool.call(&request));
        let call = match &ended {
            Ok(answer) => Some(answer.call),
            Err(failure) if matches!(failure.error, CallError::Unrecorded(_)) => None,
            Err(failure) => failure.call,
        };
        if let Some(call) = call {
            trace::assert_recorded(&asked, &self.entries_of(call), tool.capability_set(), self.odd_requests);
        }
        ended
    }

    /// Calls a tool that answers, and parses its answer.
    pub fn answer(&mut self, tool: &Tool, operation: &str, arguments: &str) -> serde_json::Value {
        let answer = self.call(tool, operation, arguments).unwrap_or_else(|failure| panic!("{operation}: {failure}"));
        serde_json::from_str(&answer.output).expect("JSON")
    }

    /// Where the ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.path("ledger")
    }

    /// All entries of the ledger.
    pub fn entries(&self) -> Vec<Entry<'static>> {
        let entries = read(&self.ledger()).expect("a ledger");
        entries.map(|entry| entry.expect("an entry").1).collect()
    }

    /// The entries of one call, in order.
    pub fn entries_of(&self, call: CallId) -> Vec<Entry<'static>> {
        self.entries().into_iter().filter(|entry| entry.call() == Some(call)).collect()
    }

    /// Verifies the ledger and asserts that nothing is wrong with it.
    pub fn verified(&self) -> Report {
        let report = verify(&self.ledger(), None).expect("a ledger that can be read");
        assert!(report.is_clean(), "{report:?}");
        report
    }
}

/// The name of every lab's ledger.
pub const ORIGIN: &str = "test.local/ledger";

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

/// As [`Lab::set`], with another folder in place of the temporary one.
pub fn set_in(folder: &Path, guest: &Guest, grants: &[&str]) -> CapabilitySet {
    let manifest = manifest(guest);
    let mut grant = Grant::default();
    for text in grants {
        grant.merge_adhoc(AdhocGrant::parse(text, folder).expect("a grant")).expect("a grant that fits");
    }
    let mut set = intersect(&manifest, &grant, |_name| None).expect("every need granted").set;
    for fs in &mut set.fs {
        fs.host = fs::canonicalize(&fs.host).expect("a granted folder that exists");
    }
    set
}

/// The manifest of a guest.
pub fn manifest(guest: &Guest) -> Manifest {
    let text = fs::read_to_string(guest.manifest).expect("a manifest");
    Manifest::parse(&text, guest.manifest).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Whether something is at a path, without following links.
pub fn exists(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Words of a policy about the processes that run tools, and the tests of `tests/workers` in which they do something: that
/// program, which has such processes, does not start without one of them.
pub const WORDS_OF_WORKERS: [(&str, &str); 8] = [
    ("policy.compartments.*[]", "tools_of_a_compartment_share_a_worker"),
    ("policy.compile.cpu", "what_a_policy_says_of_compiling_holds"),
    ("policy.compile.time", "what_a_policy_says_of_compiling_holds"),
    ("policy.workers.grace", "grace_is_how_long_a_worker_may_overrun"),
    ("policy.workers.idle", "idle_workers_end"),
    ("policy.sandbox.require=full", "require_full"),
    ("policy.sandbox.require=none", "require_none"),
    ("policy.sandbox.require=partial", "require_partial"),
];

/// Words that a daemon alone obeys: whatever they say, a call that is made without one goes as it goes. What they mean, and when
/// they are refused, is tested in `capability/config/tests/parsing.rs`.
pub const WORDS_OF_A_DAEMON: [&str; 21] = [
    "policy.tools.*.aliases.*",
    "policy.agents.*.group",
    "policy.agents.*.is.socket=true",
    "policy.agents.*.is.token=true",
    "policy.agents.*.is.uid",
    "policy.agents.*.is.uid[]",
    "policy.agents.*.listen",
    "policy.agents.*.mode",
    "policy.agents.*.port",
    "policy.agents.*.tools.*.operations[]",
    "policy.serve.body",
    "policy.serve.calls",
    "policy.serve.connections",
    "policy.serve.drain",
    "policy.serve.handshake",
    "policy.serve.header",
    "policy.serve.idle",
    "policy.serve.list=all",
    "policy.serve.list=search",
    "policy.serve.queue",
    "policy.serve.reserve",
];

/// Words that take a mount to show, and the tests of `tests/mounts` in which they do something.
pub const WORDS_OF_MOUNTS: [(&str, &str); 1] =
    [("policy.tools.*.fs.*.mounts", "mounts_that_are_granted_are_part_of_the_folder")];
