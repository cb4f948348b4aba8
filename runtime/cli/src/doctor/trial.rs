//! Starts each process that a tool is run with, as it is started and sealed for a tool, around an empty component. Must change
//! nothing: what it writes is in a folder of its own, which goes.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_capability::{Access, CapabilitySet, FsCapability};
use tollgate_config::{Deployment, Manifest, SandboxLevel, SandboxSettings};

use crate::ledger::own_processes;
use crate::running::Running;
use crate::{config, output};
use tollgate::ProcessCommand;
use tollgate::artifact::Artifact;
use tollgate::compile_limits::CompileLimits;
use tollgate::compiler::Compiler;
use tollgate::engine::Engine;
use tollgate::error::{LoadError, with_causes};
use tollgate::loading::Provenance;
use tollgate::supervisor::{Supervisor, ToolSpec};
use tollgate_authority::hold;

/// What came of the start of one process.
pub(super) struct Trial {
    name: &'static str,
    what_for: &'static str,
    failed: Option<String>,
}

impl Trial {
    /// The process's name, if it does not do its work here.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        self.failed.as_ref().map(|_reason| self.name)
    }

    pub(super) fn json(&self) -> Value {
        json!({ "name": self.name, "what_for": self.what_for, "works": self.failed.is_none(), "reason": self.failed })
    }

    pub(super) fn text(&self) -> String {
        let Self { name, what_for, failed } = self;
        match failed {
            None => format!("  yes  {name}: {what_for}\n"),
            Some(reason) => format!("  no   {name}: {what_for}: {}\n", output::one_line(reason)),
        }
    }
}

/// Compiler, notary and worker. One that needs another one that failed is not tried.
pub(super) fn all() -> Vec<Trial> {
    let trial = |name, what_for, done: &Result<(), String>| Trial { name, what_for, failed: done.clone().err() };
    let compiled = compile();
    let folder = tempfile::tempdir();
    let supervisor = match (&folder, &compiled) {
        (Err(error), _) => {
            Err(format!("no folder for temporary files can be made ({error}): set TMPDIR to another one"))
        }
        (Ok(folder), Ok(_)) => start(&folder.path().join("ledger")).map(|supervisor| (supervisor, folder.path())),
        (Ok(_), Err(_)) => Err("not tried, as nothing is compiled".to_owned()),
    };
    let (worked, recorded) = match (supervisor, &compiled) {
        (Ok((supervisor, folder)), Ok(artifact)) => {
            (work(&supervisor, artifact.clone(), folder), supervisor.finish().map_err(|error| with_causes(&error)))
        }
        (Err(reason), _) => (Err("not tried, as nothing can be recorded".to_owned()), Err(reason)),
        (Ok(_), Err(_)) => (Err("not tried, as nothing is compiled".to_owned()), Ok(())),
    };
    vec![
        trial("compiler", "sealed, it compiles a component", &compiled.map(drop)),
        trial("notary", "sealed, it keeps a ledger", &recorded),
        trial("worker", "sealed, it loads a component and would run it", &worked),
    ]
}

fn compile() -> Result<Artifact, String> {
    let program = config::this_program().map_err(|error| error.to_string())?;
    let engine = Engine::new(1).map_err(|error| with_causes(&error))?;
    let compiler = Compiler::new(ProcessCommand::new(&program, ["compile"]), CompileLimits::DEFAULT);
    compiler.compile(&engine, EMPTY).map_err(|error| with_causes(&error))
}

/// With what this kernel has: what the policy requires of it is told apart.
fn start(ledger: &Path) -> Result<Supervisor, String> {
    let sandbox = SandboxSettings { require: SandboxLevel::None };
    let running = Running { deployment: Deployment { sandbox, ..Deployment::default() }, ..Running::default() };
    let (notary, settings) = own_processes(ledger, None, running).map_err(|failure| format!("{failure:?}"))?;
    Supervisor::start(notary, ledger, settings).map_err(|error| with_causes(&error))
}

/// The empty component is loaded, in a process that is sealed for a granted folder, and found to be no tool.
fn work(supervisor: &Supervisor, artifact: Artifact, folder: &Path) -> Result<(), String> {
    let manifest = Manifest::parse(MANIFEST, "tool.toml").map_err(|error| error.to_string())?;
    let provenance = Provenance { manifest: MANIFEST, grant: "", by: "tollgate doctor", declared: None };
    // Beside the ledger, which no tool may reach.
    let host = folder.join("granted");
    let made = std::fs::create_dir(&host).and_then(|()| host.canonicalize());
    let host = made.map_err(|error| error.to_string())?;
    let granted = FsCapability::new("/doctor", host, [Access::Read, Access::List].into_iter().collect());
    let mut set = CapabilitySet { fs: vec![granted], ..CapabilitySet::default() };
    // Whoever starts a tool holds its folders from before.
    let _folders = hold(&mut set).map_err(|error| error.to_string())?;
    let spec = ToolSpec::new(artifact, &manifest, set, provenance);
    match supervisor.add(spec).and_then(|tool| tool.start()) {
        Ok(()) | Err(LoadError::NotATool { .. }) => Ok(()),
        Err(error) => Err(with_causes(&error)),
    }
}

/// `(component)`.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
const MANIFEST: &str = "[tool]\nname = \"doctor\"\nversion = \"0.0.0\"\n\n[[operations]]\nname = \"nothing\"\n";
