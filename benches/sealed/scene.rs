//! What all processes of the bench share: a temporary folder with the component, compiled, and the file that it reads.

use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::TempDir;
use tollgate::compiler::{CompileLimits, Compiler, CompilerCommand};
use tollgate::notary::NotaryCommand;
use tollgate::{Artifact, ArtifactKey, Engine, WorkerCommand};
use tollgate_audit::Digest;
use tollgate_capability::CapabilitySet;
use tollgate_config::{AdhocGrant, Grant, Manifest, intersect};
use tollgate_example_tools::Guest;
use tollgate_workspace::{ORIGIN, guest, manifest};

use crate::subject::Seal;

/// One call to measure.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) answer: &'static str,
    /// Calls of one way before the next one's turn.
    pub(crate) batch: usize,
}

pub(crate) const CALLS: [Call; 3] = [
    Call { name: "echo", operation: "echo", arguments: r#"{"a":1}"#, answer: r#"{"a":1}"#, batch: 50 },
    Call {
        name: "read 4 KiB",
        operation: "read",
        arguments: r#"{"path":"/data/file"}"#,
        answer: r#"{"bytes":4096}"#,
        batch: 50,
    },
    Call {
        name: "100 reads",
        operation: "read-many",
        arguments: r#"{"path":"/data/file","times":100}"#,
        answer: r#"{"bytes":409600}"#,
        batch: 5,
    },
];

/// Made once, by the process that measures.
pub(crate) struct Scene {
    folder: TempDir,
    program: PathBuf,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = env::current_exe().expect("this program");
        for name in ["data"].into_iter().chain(Seal::ALL.map(Seal::as_str)) {
            fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        fs::write(folder.path().join("data/file"), "x".repeat(4096)).expect("a new file");
        let command = CompilerCommand { program: program.clone(), arguments: vec!["compile".into()] };
        let engine = Engine::new(1).expect("an engine");
        let component = fs::read(tool().component).expect("the component");
        let artifact = Compiler::new(command, CompileLimits::DEFAULT).compile(&engine, &component).expect("code");
        let key = ArtifactKey::open_or_make(&folder.path().join("key")).expect("a key");
        fs::write(folder.path().join("artifact"), artifact.seal(&key)).expect("a new file");
        Self { folder, program }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn calls_at_once(&self) -> u32 {
        set(self.path()).limits.calls
    }

    pub(crate) fn notary(&self, ledger: &Path) -> NotaryCommand {
        let mut arguments = vec!["notary".into(), "--ledger".into(), ledger.into()];
        arguments.extend(["--origin", ORIGIN, "--software", "bench"].map(Into::into));
        NotaryCommand { program: self.program.clone(), arguments }
    }

    pub(crate) fn worker(&self) -> WorkerCommand {
        WorkerCommand { program: self.program.clone(), arguments: vec!["worker".into()] }
    }
}

pub(crate) fn tool() -> &'static Guest {
    guest("echo-read")
}

/// The compiled component.
pub(crate) fn artifact(scene: &Path, engine: &Engine) -> Artifact {
    let component = Digest::of(&fs::read(tool().component).expect("the component"));
    let key = ArtifactKey::open(&scene.join("key")).expect("the key");
    let bytes = fs::read(scene.join("artifact")).expect("the artifact");
    Artifact::open(&bytes, &key, component, engine).expect("the code")
}

pub(crate) fn tool_manifest() -> Manifest {
    manifest(tool())
}

/// What the tool may do. Salts are kept by supervisors alone: there are none, so that all ways write the same.
pub(crate) fn set(scene: &Path) -> CapabilitySet {
    let mut grant = Grant::default();
    for text in ["fs:/data=data:read,list", "audit:arguments=none"] {
        grant.merge_adhoc(AdhocGrant::parse(text, scene).expect("a grant")).expect("a grant that fits");
    }
    let granted = intersect(&tool_manifest(), &grant, |_name| None);
    let mut set = granted.expect("every need granted").set;
    for fs in &mut set.fs {
        fs.host = fs::canonicalize(&fs.host).expect("a granted folder that exists");
    }
    set
}
