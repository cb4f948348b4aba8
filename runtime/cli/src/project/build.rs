//! `tollgate build`: builds a project's component, puts the manifest into it, and compares what it imports with what the manifest
//! declares.

use std::fs;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::json;
use tollgate_audit::Digest;
use tollgate_capability::{Cap, Limits};
use tollgate_config::{CompileSettings, Grant, Manifest, TimeSpan, show_limit};

use super::{Project, builder};
use crate::args::BuildArgs;
use crate::cause::{Place, advice};
use crate::compiled;
use crate::exit::{Exit, Failure};
use crate::imports::{NeedsCompared, compare};
use crate::language::Language;
use crate::running::Running;
use crate::{ledger, output};
use tollgate::artifact::Artifact;
use tollgate::engine::Engine;
use tollgate::error::{LoadError, with_causes};
use tollgate::loading::Provenance;
use tollgate::package::{PackageError, embed_manifest};
use tollgate::supervisor::ToolSpec;

/// A component that was built.
pub(super) struct Built {
    pub(super) component: PathBuf,
    bytes: usize,
    digest: Digest,
    compared: NeedsCompared,
    // Why the component was not asked for its operations.
    unasked: Option<String>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
enum BuildError {
    #[error("the manifest cannot be put into the component: {fault}")]
    #[diagnostic(help("the build tool must give a plain component; `tollgate build` alone embeds the manifest"))]
    NotEmbedded { fault: PackageError },
    #[error("`{}` cannot be written", path.display())]
    #[diagnostic(help("{help}"))]
    NotWritten { path: PathBuf, help: String, source: std::io::Error },
}

pub(crate) fn build(args: &BuildArgs) -> Result<Exit, Failure> {
    let project = Project::open(&args.project)?;
    let built = project.build()?;
    let text = if args.json { built.json(&project) } else { built.text(&project) };
    output::print(&text)?;
    Ok(Exit::Success)
}

impl Project {
    /// Builds the component and writes it into the project's folder.
    pub(super) fn build(&self) -> Result<Built, Failure> {
        let path = self.component();
        let plain = builder::component(self)?;
        let bytes = embed_manifest(&plain, &self.manifest_text)
            .map_err(|fault| Failure::usage(BuildError::NotEmbedded { fault }))?;
        let unusable = |error: LoadError| Failure::Load { component: path.clone(), error };
        let engine = Engine::new(1).map_err(Failure::internal)?;
        let artifact = compiled::by_path(&engine, &bytes, CompileSettings::DEFAULT, unusable)?;
        artifact.interfaces().must_be_of_a_tool().map_err(unusable)?;
        let unasked = self.ask(artifact.clone()).map_err(unusable)?;
        replace(&path, &bytes).map_err(|source| {
            let (path, help) = (path.clone(), advice(&source, Place::PROJECT));
            Failure::usage(BuildError::NotWritten { path, help, source })
        })?;
        let compared = compare(artifact.imports(), &self.manifest);
        Ok(Built { bytes: bytes.len(), digest: artifact.component(), compared, unasked, component: path })
    }

    /// Asks the component for its operations as its first run will, so that what no tool may say is noticed here. Why it was
    /// not asked, where this machine runs no sealed process.
    fn ask(&self, artifact: Artifact) -> Result<Option<String>, LoadError> {
        if artifact.operations().is_some() {
            return Ok(None);
        }
        // A guest runs, so there is a record; nobody needs it afterwards.
        let around = match tempfile::Builder::new().prefix("tollgate-build-").tempdir() {
            Ok(around) => around,
            Err(error) => return Ok(Some(format!("there is no folder for temporary files: {error}"))),
        };
        let supervisor = match ledger::start_supervisor(
            &around.path().join("ledger"),
            TimeSpan::from_millis(0),
            None,
            Running::default(),
        ) {
            Ok(supervisor) => supervisor,
            Err(failure) => return Ok(Some(failure.causes())),
        };
        let (by, declared) = (ledger::user(), Some(self.manifest.name.as_str()));
        let provenance = Provenance { manifest: &self.manifest_text, grant: "", by: &by, declared };
        let spec = ToolSpec::to_describe(artifact, &self.manifest, &Grant::default(), provenance);
        match supervisor.describe(spec) {
            Ok(described) => {
                // It is asked again otherwise.
                compiled::keep(&described).ok();
                Ok(None)
            }
            Err(LoadError::NoWorker(error)) => Ok(Some(with_causes(&error))),
            Err(error) => Err(error),
        }
    }
}

/// Writes the component whole, or leaves the one before.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part.wasm");
    fs::write(&part, bytes)?;
    fs::rename(&part, path)
}

/// The caps that the manifest expects above the ceiling where no grant says more.
fn above_default(manifest: &Manifest) -> Vec<String> {
    let above = |cap: &Cap| manifest.limits.get(*cap).filter(|expected| *expected > Limits::DEFAULT.get(*cap));
    let line = |cap: Cap| Some(format!("limits.{} = {}", cap.as_str(), show_limit(cap, above(&cap)?)));
    Cap::ALL.into_iter().filter_map(line).collect()
}

impl Built {
    /// For people.
    pub(super) fn text(&self, project: &Project) -> String {
        let name = self.component.file_name().unwrap_or_default().to_string_lossy();
        let size = self.bytes.div_ceil(1024);
        let mut text = format!(
            "built {name} ({} {}, {size} KiB, {})\n",
            project.manifest.name,
            output::one_line(&project.manifest.version.to_string()),
            tollgate::registry::short(self.digest)
        );
        let NeedsCompared { undeclared, unused } = &self.compared;
        if !unused.is_empty() {
            let unused = unused.join(", ");
            text.push_str(&format!(
                "  declared, not imported  {unused}: nothing in it can use that; take it out of tool.toml\n"
            ));
        }
        // An interpreter imports all that there is, whatever its tool calls.
        if !undeclared.is_empty() && project.language == Language::Rust {
            let undeclared = undeclared.join(", ");
            text.push_str(&format!("  imported, not declared  {undeclared}: denied if it is called\n"));
        }
        let above = above_default(&project.manifest);
        if !above.is_empty() {
            text.push_str(&format!(
                "  above the default       {}: the default holds until the policy grants more\n",
                above.join(", ")
            ));
        }
        if let Some(why) = &self.unasked {
            let why = output::one_line(why);
            text.push_str(&format!("  not asked for its operations, since no tool runs here  {why}\n"));
        }
        text
    }

    fn json(&self, project: &Project) -> String {
        let report = json!({
            "ok": true,
            "tool": project.manifest.name.as_str(),
            "version": project.manifest.version.to_string(),
            "path": self.component.to_string_lossy(),
            "component": self.digest.to_string(),
            "bytes": self.bytes,
            "above_default_limits": above_default(&project.manifest),
            "operations_not_asked": self.unasked,
            "declared_not_imported": self.compared.unused,
            "imported_not_declared": self.compared.undeclared,
        });
        format!("{report}\n")
    }
}
