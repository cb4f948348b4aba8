//! `tollgate install`: checks a tool, compiles it, asks it for its operations, and puts it under its name.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use miette::Diagnostic;
use serde_json::json;
use tollgate_audit::Digest;
use tollgate_config::{Manifest, NameError, OfferedName, OperationName, ToolName};

use super::args::{GrantArgs, InstallArgs};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::load::{FoundManifest, Loaded, ManifestFrom};
use super::which::registry;
use super::{compiled, ledger, load, operator, output, progress, tools};
use tollgate::artifact::Artifact;
use tollgate::engine::Engine;
use tollgate::error::LoadError;
use tollgate::loading::Provenance;
use tollgate::offers::{Operation, aliases_of};
use tollgate::registry::{InstalledTool, Present, Registry, ToolFiles};
use tollgate::supervisor::ToolSpec;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum InstallError {
    #[error("`{}` brings no manifest, and none is beside it", component.display())]
    #[diagnostic(help("a tool is installed with its manifest: give it with --manifest"))]
    NoManifest { component: PathBuf },
    #[error("`{name}` cannot be the name of a tool")]
    #[diagnostic(help("give another with --name"))]
    NoName { name: String, source: NameError },
    #[error("`{}` says that it is the tool `{declared}`, and its file is called otherwise", component.display())]
    #[diagnostic(help(
        "the policy and the ledger will know the tool by the name that it is installed under: say it with --name, such as \
         --name {declared}"
    ))]
    WhichName { component: PathBuf, declared: ToolName },
    #[error("a tool `{name}` is installed: {what}")]
    #[diagnostic(help("replace it with --force, or install this one as another with --name"))]
    Present { name: ToolName, what: String },
    #[error("`{name}` cannot be installed")]
    #[diagnostic(help("{help}"))]
    NotInstalled { name: ToolName, help: String, source: std::io::Error },
}

pub(crate) fn install(args: &InstallArgs) -> Result<Exit, Failure> {
    let bytes = load::component(&args.component)?;
    let (manifest, manifest_text, from) = manifest(args, &bytes)?;
    let name = name(args, &manifest, &from)?;
    let registry = registry()?;
    let present = registry.find(&name);
    if let Some(tool) = present.as_ref().filter(|_| !args.force) {
        return Err(is_present(tool));
    }
    let key = compiled::key()?;
    let grants = GrantArgs { policy: args.policy.clone(), grant: Vec::new(), on_violation: None };
    // In policy and ledger it goes by the name that it is installed under.
    let named = Manifest { name: name.clone(), ..manifest.clone() };
    let loaded = load::with_manifest((named, manifest_text, from), &grants)?;
    let failed = |error: LoadError| Failure::Load { component: args.component.clone(), error };
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let compiler = compiled::compiler(loaded.running.deployment.compile)?;
    let compile = || compiler.compile(&engine, &bytes);
    let artifact = progress::during(compiled::COMPILING, compile).map_err(failed)?;
    artifact.interfaces().must_be_of_a_tool().map_err(failed)?;
    let artifact = describe(args, &loaded, &manifest.name, artifact)?;
    let files = ToolFiles { component: &bytes, manifest: &loaded.manifest_text, artifact: &artifact.seal(&key) };
    let goes = if args.force { Present::Goes } else { Present::Stays };
    let tool = registry.install(&name, files, goes).map_err(|source| not_installed(&registry, name, source))?;
    operator::tools_changed(args.ledger.there.folder().ok());
    say_not_offered(tool.name.as_str(), &artifact, &loaded.grant.aliases);
    print(args, &tool, &manifest, artifact.component(), present.is_some())
}

/// Says which of its operations models are not offered, as far as that is seen from this tool alone.
fn say_not_offered(name: &str, artifact: &Artifact, aliases: &BTreeMap<OperationName, OfferedName>) {
    let of = |operation: &str| Operation { tool: name.to_owned(), operation: operation.to_owned() };
    let operations = artifact.operations().into_iter().flat_map(|texts| texts.iter());
    let operations: Vec<Operation> = operations.map(|text| of(&text.name)).collect();
    tools::say_not_offered(&operations, &aliases_of(name, aliases).collect());
}

/// Asks the component for its operations, in a sealed process that may do nothing. A guest runs there, so the ledger says so.
fn describe(args: &InstallArgs, loaded: &Loaded, declared: &ToolName, artifact: Artifact) -> Result<Artifact, Failure> {
    let failed = |error: LoadError| Failure::Load { component: args.component.clone(), error };
    let folder = args.ledger.there.folder()?;
    let supervisor =
        ledger::start_supervisor(&folder, args.ledger.there.wait, args.ledger.origin.clone(), loaded.running.clone())?;
    let by = ledger::user();
    let (manifest, grant, declared) = (&loaded.manifest_text, &loaded.grant_text, Some(declared.as_str()));
    let provenance = Provenance { manifest, grant, by: &by, declared };
    let spec = ToolSpec::to_describe(artifact, &loaded.manifest, &loaded.grant, provenance);
    let described = supervisor.describe(spec).map_err(failed)?;
    ledger::finish(supervisor)?;
    Ok(described)
}

fn manifest(args: &InstallArgs, component: &[u8]) -> Result<FoundManifest, Failure> {
    let found = load::manifest_of(&args.component, component, args.manifest.as_deref())?;
    found.ok_or_else(|| Failure::usage(InstallError::NoManifest { component: args.component.clone() }))
}

/// The name is the tool's in the policy, so it is the operator's word: what was given, or what the file is called. A manifest
/// that came with the component may only say the same.
fn name(args: &InstallArgs, manifest: &Manifest, from: &ManifestFrom) -> Result<ToolName, Failure> {
    let Some(given) = &args.name else {
        let declared = &manifest.name;
        let reviewed = args.manifest.is_some() && matches!(from, ManifestFrom::File(_));
        let file = load::name_of_file(&args.component);
        if reviewed || file.as_ref().is_ok_and(|file| file == declared) {
            return Ok(declared.clone());
        }
        let (component, declared) = (args.component.clone(), declared.clone());
        return Err(Failure::usage(InstallError::WhichName { component, declared }));
    };
    given.parse().map_err(|source| Failure::usage(InstallError::NoName { name: output::one_line(given), source }))
}

fn is_present(tool: &InstalledTool) -> Failure {
    let version = load::manifest_file(&tool.manifest()).map(|(manifest, ..)| manifest.version.to_string());
    let digest = tool.told_component().map(|(digest, _)| tools::short(digest));
    let (version, digest) = (version.unwrap_or_else(|_| "damaged".into()), digest.unwrap_or_else(|_| "damaged".into()));
    let when = tool.installed_s().map(|seconds| format!(", since {}", tollgate_report::utc(seconds)));
    let what = format!("{} {digest}{}", output::one_line(&version), when.unwrap_or_default());
    Failure::usage(InstallError::Present { name: tool.name.clone(), what })
}

fn not_installed(registry: &Registry, name: ToolName, source: std::io::Error) -> Failure {
    // Between the look and the installation another process had the name. What is no folder is no tool.
    if source.kind() == ErrorKind::AlreadyExists && registry.find(&name).is_some() {
        return Failure::usage(InstallError::Present { name, what: "since just now".to_owned() });
    }
    let help = advice(&source, Place::TOOLS);
    Failure::usage(InstallError::NotInstalled { name, help, source })
}

fn print(
    args: &InstallArgs,
    tool: &InstalledTool,
    manifest: &Manifest,
    component: Digest,
    replaced: bool,
) -> Result<Exit, Failure> {
    let (name, version) = (&tool.name, output::one_line(&manifest.version.to_string()));
    let declared = (manifest.name != *name).then_some(&manifest.name);
    if args.json {
        let report = json!({
            "ok": true,
            "name": name.as_str(),
            "declared": manifest.name.as_str(),
            "version": version,
            "component": component.to_string(),
            "folder": tool.folder().to_string_lossy(),
            "replaced": replaced,
        });
        output::print(&format!("{report}\n"))?;
    } else {
        let verb = if replaced { "replaced" } else { "installed" };
        let digest = tools::short(component);
        let declared =
            declared.map(|declared| format!("  declared  {declared}, by its manifest\n")).unwrap_or_default();
        output::print(&format!("{verb} {name} {version} {digest}\n{declared}  run it  tollgate run {name}\n"))?;
    }
    Ok(Exit::Success)
}
