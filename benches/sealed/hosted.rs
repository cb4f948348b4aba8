//! The same calls through a supervisor, which has a process for the tool.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollgate::{Caller, Engine, Provenance, Request, Supervisor, SupervisorSettings, Tool, ToolSpec};

use crate::furnished::{self, CALLS, Call, Furnished};

/// A supervisor with a tool, whose worker has started.
pub(crate) struct Hosted {
    // Fields are dropped in this order: the ledger's folder last.
    tool: Tool,
    supervisor: Supervisor,
    _ledger: TempDir,
}

impl Hosted {
    pub(crate) fn start(scene: &Furnished) -> Self {
        let ledger = folder(scene);
        let supervisor = supervisor(scene, ledger.path());
        let tool = supervisor.add(spec(scene)).expect("a tool");
        tool.operations().expect("a worker");
        Self { tool, supervisor, _ledger: ledger }
    }

    /// From before there is a worker to the first answer; and the same from before there is a supervisor.
    pub(crate) fn cold_start(scene: &Furnished) -> (Duration, Duration) {
        let (ledger, spec) = (folder(scene), spec(scene));
        let before = Instant::now();
        let supervisor = supervisor(scene, ledger.path());
        let before_worker = Instant::now();
        let tool = supervisor.add(spec).expect("a tool");
        one(&tool, &CALLS[0]);
        let took = (before_worker.elapsed(), before.elapsed());
        supervisor.finish().expect("a whole record");
        took
    }

    pub(crate) fn batch(&self, call: &Call) -> Vec<Duration> {
        (0..call.batch).map(|_| one(&self.tool, call)).collect()
    }

    pub(crate) fn end(self) {
        self.supervisor.finish().expect("a whole record");
    }
}

fn one(tool: &Tool, call: &Call) -> Duration {
    let Call { operation, arguments, .. } = *call;
    let request = Request { operation, arguments, stdin: Default::default(), caller: Caller::default() };
    let before = Instant::now();
    let answer = tool.call(&request).expect("an answer");
    let took = before.elapsed();
    assert_eq!(answer.output, call.answer);
    took
}

fn folder(scene: &Furnished) -> TempDir {
    tempfile::tempdir_in(scene.path()).expect("a temporary folder")
}

fn supervisor(scene: &Furnished, folder: &Path) -> Supervisor {
    let ledger = folder.join("ledger");
    Supervisor::start(scene.notary(&ledger), &ledger, SupervisorSettings::new(scene.worker())).expect("a supervisor")
}

fn spec(scene: &Furnished) -> ToolSpec {
    let engine = Engine::new(1).expect("an engine");
    let provenance = Provenance { manifest: "", grant: "", by: "bench", declared: None };
    let artifact = furnished::artifact(scene.path(), &engine);
    ToolSpec::new(artifact, &furnished::tool_manifest(), furnished::set(scene.path()), provenance)
}
