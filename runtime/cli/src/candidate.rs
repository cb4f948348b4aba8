//! A component on its way to be installed: read with its manifest, compiled, and asked for its operations, all before anything that is
//! installed is changed.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_audit::Digest;
use tollgate_config::{Manifest, ToolName};

use super::args::{GrantArgs, NewLedgerArgs};
use super::cause::{Place, advice};
use super::exit::Failure;
use super::load::{FoundManifest, Loaded};
use super::{compiled, config, load, output, progress, which};
use tollgate::artifact::{Artifact, ArtifactKey, seal_operations};
use tollgate::engine::Engine;
use tollgate::error::LoadError;
use tollgate::loading::{Provenance, operations_must_be_of};
use tollgate::registry::{Done, InstalledTool, New, Registry, RemoveError, Writer};
use tollgate::supervisor::ToolSpec;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum CandidateError {
    #[error("the installed tools in `{}` cannot be changed", folder.display())]
    #[diagnostic(help("{help}"))]
    NotWritten { folder: PathBuf, help: String, source: std::io::Error },
    #[error("`{name}` is left as it is: {why}")]
    #[diagnostic(help(
        "make another version current before, with `tollgate rollback {name}`; or remove all: `tollgate remove {name}`"
    ))]
    Current { name: ToolName, why: RemoveError },
}

/// What is to be installed, under which name.
pub(crate) struct Candidate {
    pub(crate) name: ToolName,
    /// Where the component was read.
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// With the name that the manifest itself gives.
    pub(crate) found: FoundManifest,
}

/// What is installed, and what it is sealed with.
pub(crate) struct Store {
    pub(crate) registry: Registry,
    pub(crate) key: ArtifactKey,
    pub(crate) engine: Engine,
}

impl Store {
    pub(crate) fn open() -> Result<Self, Failure> {
        let engine = Engine::new(1).map_err(Failure::internal)?;
        Ok(Self { registry: which::registry()?, key: compiled::key()?, engine })
    }

    /// Waits until nobody else changes what is installed.
    pub(crate) fn write(&self) -> Result<Writer, Failure> {
        write(&self.registry)
    }
}

/// Waits until nobody else changes what is installed.
pub(crate) fn write(registry: &Registry) -> Result<Writer, Failure> {
    let wait = || registry.write();
    let waited = progress::soon("waiting for another command that changes the installed tools", wait);
    waited.map_err(|source| not_written(registry, source))
}

/// Why the folder of tools cannot be changed.
pub(crate) fn not_written(registry: &Registry, source: std::io::Error) -> Failure {
    let (folder, help) = (registry.folder().to_owned(), advice(&source, Place::TOOLS));
    Failure::usage(CandidateError::NotWritten { folder, help, source })
}

impl Candidate {
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.found.0
    }

    pub(crate) fn manifest_text(&self) -> &str {
        &self.found.1
    }

    pub(crate) fn component(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Whether a version is the same component under the same manifest.
    pub(crate) fn is(&self, tool: &InstalledTool) -> bool {
        let manifest = Digest::of(self.manifest_text().as_bytes());
        tool.installed.component == self.component() && tool.installed.manifest == manifest
    }

    /// What it meets by the policy, under the name that it is installed under.
    pub(crate) fn loaded(&self, policy: Option<&Path>) -> Result<Loaded, Failure> {
        let (manifest, text, from) = self.found.clone();
        let grants = GrantArgs { policy: policy.map(Path::to_owned), grant: Vec::new(), on_violation: None };
        load::with_manifest((Manifest { name: self.name.clone(), ..manifest }, text, from), &grants)
    }

    /// The component, compiled, with its operations: as it is stored already, or else as a run by its path left it, or else made
    /// now. A component is asked for its operations once.
    pub(crate) fn ready(&self, store: &Store, loaded: &Loaded, ledger: &NewLedgerArgs) -> Result<Artifact, Failure> {
        let failed = |error: LoadError| Failure::Load { component: self.path.clone(), error };
        let Store { registry, key, engine } = store;
        let stored = registry.artifact_of(self.component(), key, engine).ok();
        let known = match stored {
            Some(stored) => Some(stored),
            None => compiled::cached(engine, self.component())?,
        };
        let artifact = match known {
            Some(known) => known,
            None => self.compiled(engine, loaded)?,
        };
        artifact.interfaces().must_be_of_a_tool().map_err(failed)?;
        match artifact.operations() {
            Some(told) => {
                operations_must_be_of(self.manifest(), told).map_err(failed)?;
                Ok(artifact)
            }
            None => self.describe(loaded, artifact, ledger),
        }
    }

    pub(crate) fn compiled(&self, engine: &Engine, loaded: &Loaded) -> Result<Artifact, Failure> {
        let compiler = compiled::compiler(loaded.running.deployment.compile)?;
        let compile = || compiler.compile(engine, &self.bytes);
        progress::during(compiled::COMPILING, compile)
            .map_err(|error| Failure::Load { component: self.path.clone(), error })
    }

    /// Asks the component for its operations, in a sealed process that may do nothing. A guest runs there, so the ledger says so.
    fn describe(&self, loaded: &Loaded, artifact: Artifact, ledger: &NewLedgerArgs) -> Result<Artifact, Failure> {
        let failed = |error: LoadError| Failure::Load { component: self.path.clone(), error };
        let NewLedgerArgs { there, origin } = ledger;
        let folder = there.folder()?;
        let supervisor = super::ledger::start_supervisor(&folder, there.wait, origin.clone(), loaded.running.clone())?;
        let by = super::ledger::user();
        let (manifest, grant) = (self.manifest_text(), loaded.grant_text.as_str());
        let provenance = Provenance { manifest, grant, by: &by, declared: Some(self.manifest().name.as_str()) };
        let spec = ToolSpec::to_describe(artifact, &loaded.manifest, &loaded.grant, provenance);
        let described = supervisor.describe(spec).map_err(failed)?;
        super::ledger::finish(supervisor)?;
        Ok(described)
    }

    /// Installs it, as `writes` does. `from` is where it came from, if it is to be found there again.
    pub(crate) fn put(
        &self,
        writer: &Writer,
        store: &Store,
        artifact: &Artifact,
        from: Option<&Path>,
        writes: fn(&Writer, &ToolName, New<'_>) -> Result<Done, RemoveError>,
    ) -> Result<Done, Failure> {
        let operations = artifact.operations().cloned().unwrap_or_default();
        let from = from.and_then(|path| std::path::absolute(path).ok());
        let new = New {
            version: &self.manifest().version.to_string(),
            declared: self.manifest().name.as_str(),
            component: &self.bytes,
            manifest: self.manifest_text(),
            artifact: &artifact.seal(&store.key),
            operations: &seal_operations(&store.key, artifact.component(), &operations),
            from: from.as_deref().and_then(Path::to_str),
            installed_s: config::now_ns() / 1_000_000_000,
        };
        let done = writes(writer, &self.name, new);
        let done = done.map_err(|source| not_changed(&store.registry, &self.name, source))?;
        say_left(done.left.as_deref());
        Ok(done)
    }
}

/// Says what a change that was made could not take away, if it left something.
pub(crate) fn say_left(left: Option<&str>) {
    if let Some(why) = left {
        let why = output::one_line(why);
        output::eprint(&format!(
            "note: what nothing needs any more is still there: {why}; the next command that changes the tools tries again\n"
        ));
    }
}

/// Why what is installed under a name was not changed.
pub(crate) fn not_changed(registry: &Registry, name: &ToolName, source: RemoveError) -> Failure {
    let name = name.clone();
    match source {
        RemoveError::Io(source) => not_written(registry, source),
        RemoveError::Find(source) => which::unusable(name, source),
        why @ RemoveError::Current(_) => Failure::usage(CandidateError::Current { name, why }),
    }
}
