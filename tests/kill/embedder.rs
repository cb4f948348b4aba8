//! An embedder that calls a tool through a notary: the tool compiled once, a ledger opened as often as wanted.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rustix::process::getpid;
use tollgate::authority::DecidingPlaces;
use tollgate::notary::{NotaryFailure, NotaryProcess};
use tollgate::{
    Answer, Artifact, CallFailure, Caller, Engine, InProcess, LoadError, ProcessCommand, Provenance, Request,
    StartError, Tool, ToolSpec,
};
use tollgate_audit::{AppendError, Record as _};
use tollgate_notary::Recorder;
use tollgate_workspace::processes::{PATIENCE, children_of, kill};
use tollgate_workspace::{guest, manifest, program, set_in};

/// As the `tollgate` command has it.
pub(crate) const ORIGIN: &str = "tollgate.local/ledger";

/// The tool, compiled.
pub(crate) struct Compiled {
    engine: Engine,
    component: Artifact,
}

/// A notary, and the tool loaded to record through it.
pub(crate) struct Embedder {
    pub(crate) notary: NotaryProcess,
    recorder: Arc<Recorder>,
    pub(crate) tool: Tool,
}

/// Why there is no embedder.
#[derive(Debug)]
pub(crate) enum NoStart {
    Notary(NotaryFailure),
    Start(StartError),
    Load(LoadError),
}

impl std::fmt::Display for NoStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Notary(failure) => f.write_str(&with_causes(failure)),
            Self::Start(error) => f.write_str(&with_causes(error)),
            Self::Load(error) => f.write_str(&with_causes(error)),
        }
    }
}

impl Compiled {
    pub(crate) fn new() -> Self {
        let engine = Engine::new(4).expect("an engine");
        let bytes = std::fs::read(guest("echo-read").component).expect("a component");
        let component = Artifact::compile_unsealed(&engine, &bytes).expect("a component that compiles");
        Self { engine, component }
    }

    /// Starts a notary by `command` and loads the tool, whose `/data` is the folder `data`. `acknowledge` is the word of
    /// the policy for when a call is.
    pub(crate) fn embedder(
        &self,
        command: ProcessCommand,
        ledger: &Path,
        data: &Path,
        acknowledge: &str,
    ) -> Result<Embedder, NoStart> {
        let notary = NotaryProcess::start(command).map_err(NoStart::Notary)?;
        let recorder = notary.recorder().expect("a way to the notary");
        let record = Arc::clone(&recorder) as _;
        let in_process = InProcess::start_unsealed(&self.engine, record, ledger, DecidingPlaces::none());
        let tool = self.load(&in_process.map_err(NoStart::Start)?, data, acknowledge).map_err(NoStart::Load)?;
        Ok(Embedder { notary, recorder, tool })
    }

    /// Tries again while the notary is being started again.
    fn load(&self, in_process: &InProcess, data: &Path, acknowledge: &str) -> Result<Tool, LoadError> {
        let manifest = manifest(guest("echo-read"));
        let data = format!("fs:/data={}:read", data.display());
        let acknowledge = format!("audit:acknowledge={acknowledge}");
        let set = set_in(Path::new("/"), guest("echo-read"), &[&data, &acknowledge, "audit:arguments=none"]);
        let until = Instant::now() + PATIENCE;
        loop {
            let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
            match in_process.add(ToolSpec::new(self.component.clone(), &manifest, set.clone(), provenance)) {
                Err(error) if is_away(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                done => return done,
            }
        }
    }
}

impl Embedder {
    /// Waits until the notary takes what is new, or never will.
    pub(crate) fn await_ready(&self) -> Result<(), AppendError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.recorder.ready() {
                Err(AppendError::Away | AppendError::Stalled { .. }) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                ready => return ready,
            }
        }
    }

    /// Ends the record, which must not take for ever.
    pub(crate) fn finish(self) -> Result<(), NotaryFailure> {
        let Self { notary, .. } = self;
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || done.send(notary.finish()));
        ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            children_of(getpid()).into_iter().for_each(kill);
            panic!("the notary does not end")
        })
    }

    pub(crate) fn call(&self, times: u64) -> Result<Answer, Box<CallFailure>> {
        call(&self.tool, times)
    }
}

/// Has the tool open and read its file so many times.
pub(crate) fn call(tool: &Tool, times: u64) -> Result<Answer, Box<CallFailure>> {
    let arguments = format!(r#"{{"path": "/data/file", "times": {times}}}"#);
    let caller = Caller::default();
    tool.call(&Request { operation: "read-many", arguments: &arguments, stdin: Default::default(), caller })
}

/// This program as the notary of a ledger.
pub(crate) fn notary_command(ledger: &Path) -> ProcessCommand {
    program::notary_command(ledger, ORIGIN)
}

fn is_away(error: &LoadError) -> bool {
    with_causes(error).contains("is away")
}

/// An error with all its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
