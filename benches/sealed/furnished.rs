//! What all processes of the bench share: a temporary folder with the component, compiled, and the file that it reads.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate::{Artifact, ArtifactKey, Engine, ProcessCommand};
use tollgate_audit::Digest;
use tollgate_capability::CapabilitySet;
use tollgate_config::Manifest;
use tollgate_example_tools::Guest;
use tollgate_workspace::program::{self, compiled, data_in};
use tollgate_workspace::{ORIGIN, guest, manifest, set_in};

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
pub(crate) struct Furnished {
    folder: TempDir,
    program: PathBuf,
}

impl Furnished {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = program::this_program();
        data_in(folder.path());
        let artifact = compiled(tool().name);
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

    pub(crate) fn notary(&self, ledger: &Path) -> ProcessCommand {
        program::notary_command(ledger, ORIGIN)
    }

    pub(crate) fn worker(&self) -> ProcessCommand {
        program::worker_command()
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
pub(crate) fn set(folder: &Path) -> CapabilitySet {
    set_in(folder, tool(), &["fs:/data=data:read,list", "audit:arguments=none"])
}
