//! `tollgate install`: checks a tool, compiles it, asks it for its operations, and puts it under its name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::Diagnostic;
use serde_json::json;
use tollgate_config::{Manifest, NameError, OfferedName, OperationName, ToolName};

use super::args::InstallArgs;
use super::candidate::{Candidate, Store};
use super::exit::{Exit, Failure};
use super::load::{FoundManifest, Loaded, ManifestFrom};
use super::{load, operator, output, tools, which};
use tollgate::artifact::Artifact;
use tollgate::offers::{Operation, aliases_of};
use tollgate::registry::{Done, FindError, Installed, InstalledTool, RecordError, Registry, VERSIONS_MAX, Writer};
use tollgate_audit::Digest;

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
    #[error("an older version of Tollgate installed `{name}`, and it is left as it is")]
    #[diagnostic(help(
        "move it to where this version keeps tools: `tollgate doctor --fix`; then `tollgate update {name} {}` shows what changes",
        output::shell_word(component)
    ))]
    Older { name: ToolName, component: PathBuf },
}

pub(crate) fn install(args: &InstallArgs) -> Result<Exit, Failure> {
    let bytes = load::component(&args.component)?;
    let found = manifest(args, &bytes)?;
    let name = name(args, &found.0, &found.2)?;
    let store = Store::open()?;
    let candidate = Candidate { name, path: args.component.clone(), bytes, found };
    let there = there(&store.registry, &candidate)?;
    let loaded = candidate.loaded(args.policy.as_deref())?;
    if let Some(tool) = there
        && candidate.is(&tool)
        && tool.damage(&store.key, &store.engine).is_empty()
    {
        if store.registry.is_unfinished() {
            // A command that was killed may have left something.
            drop(store.write()?);
        }
        return print(args, &candidate, &store.registry, None, &loaded);
    }
    let artifact = candidate.ready(&store, &loaded, &args.ledger)?;
    let done = candidate.put(&store.write()?, &store, &artifact, Some(&args.component), Writer::install)?;
    operator::tools_changed(args.ledger.there.folder().ok());
    say_not_offered(candidate.name.as_str(), &artifact, &loaded.grant.aliases);
    print(args, &candidate, &store.registry, Some(done), &loaded)
}

/// What is installed under the name, if it can be used. What an installation does not mend is refused before anything is compiled for it.
fn there(registry: &Registry, candidate: &Candidate) -> Result<Option<InstalledTool>, Failure> {
    let name = candidate.name.clone();
    match registry.find(&name) {
        Ok(there) => Ok(there),
        Err(FindError::Older { .. }) => {
            Err(Failure::usage(InstallError::Older { name, component: candidate.path.clone() }))
        }
        Err(source @ (FindError::NoFile { .. } | FindError::NoRecord { source: RecordError::Format { .. }, .. })) => {
            Err(which::unusable(name, source))
        }
        Err(
            FindError::Unreadable { .. }
            | FindError::NoRecord { .. }
            | FindError::OtherName { .. }
            | FindError::Choice(_),
        ) => Ok(None),
    }
}

/// Says which of its operations models are not offered, as far as that is seen from this tool alone.
pub(crate) fn say_not_offered(name: &str, artifact: &Artifact, aliases: &BTreeMap<OperationName, OfferedName>) {
    let of = |operation: &str| Operation { tool: name.to_owned(), operation: operation.to_owned() };
    let operations = artifact.operations().into_iter().flat_map(|texts| texts.iter());
    let operations: Vec<Operation> = operations.map(|text| of(&text.name)).collect();
    tools::say_not_offered(&operations, &aliases_of(name, aliases).collect());
}

fn manifest(args: &InstallArgs, component: &[u8]) -> Result<FoundManifest, Failure> {
    let found = load::manifest_of(&args.component, component, args.manifest.as_deref())?;
    // What is installed already, and is to be installed again under its name.
    let again = || {
        let tool = which::find(args.name.as_deref()?).ok()?;
        (tool.installed.component == Digest::of(component)).then(|| installed_manifest(&tool)).flatten()
    };
    found.or_else(again).ok_or_else(|| Failure::usage(InstallError::NoManifest { component: args.component.clone() }))
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

/// That a policy will refuse a component, and the command that pins it there.
pub(crate) struct Refused {
    pub(crate) why: String,
    pub(crate) pin: String,
}

/// Why the policy of this folder will refuse a component that is installed under this name, or that of the home, which a daemon obeys.
pub(crate) fn refused(loaded: &Loaded, name: &ToolName, component: Digest) -> Option<Refused> {
    let pin = format!("tollgate policy pin {name}");
    if let Some(error) = loaded.refused(name, component) {
        return Some(Refused { why: error.to_string(), pin });
    }
    let (path, error) = loaded.refused_at_home(name, component)?;
    let pin = format!("{pin} --policy {}", output::shell_word(&path));
    Some(Refused { why: format!("{error}, by `{}`, which a daemon obeys", path.display()), pin })
}

/// The manifest that a version was installed with, if it stands there as it was: for a component that comes without one.
pub(crate) fn installed_manifest(tool: &InstalledTool) -> Option<FoundManifest> {
    let found = load::manifest_file(&tool.manifest()).ok()?;
    (Digest::of(found.1.as_bytes()) == tool.installed.manifest).then_some(found)
}

/// A line for each version that went since there were too many.
pub(crate) fn gone(done: &Done) -> String {
    let line =
        |gone: &Installed| format!("  gone  {}, the oldest of {VERSIONS_MAX}\n", output::one_line(&gone.whole()));
    done.gone.iter().map(line).collect()
}

/// Prints what was done: nothing, where all of it was there, and is whole.
fn print(
    args: &InstallArgs,
    candidate: &Candidate,
    registry: &Registry,
    done: Option<Done>,
    loaded: &Loaded,
) -> Result<Exit, Failure> {
    let (name, declared) = (&candidate.name, &candidate.manifest().name);
    let version = output::one_line(&candidate.manifest().version.to_string());
    let component = candidate.component();
    let is_new = done.is_some();
    let refused = refused(loaded, name, component);
    let why_refused = refused.as_ref().map(|refused| refused.why.as_str());
    let before = done.as_ref().and_then(|done| done.before.as_ref());
    if args.json {
        let report = json!({
            "ok": true,
            "name": name.as_str(),
            "declared": declared.as_str(),
            "version": version,
            "component": component.to_string(),
            "folder": registry.component_folder(component).to_string_lossy(),
            "already": !is_new,
            "before": before.map(tools::version_json),
            "refused_by_policy": why_refused,
            "gone": done.iter().flat_map(|done| &done.gone).map(tools::version_json).collect::<Vec<_>>(),
        });
        output::print(&format!("{report}\n"))?;
        return Ok(Exit::Success);
    }
    let verb = if is_new { "installed" } else { "is installed already, and whole:" };
    let mut text = format!("{verb} {name} {version} {component}\n");
    if declared != name {
        text.push_str(&format!("  declared  {declared}, by its manifest\n"));
    }
    if let Some(before) = before {
        let before = output::one_line(&before.whole());
        text.push_str(&format!("  before  {before}; go back to it with  tollgate rollback {name}\n"));
    }
    text.push_str(&done.as_ref().map(gone).unwrap_or_default());
    if let Some(Refused { why, pin }) = refused {
        text.push_str(&format!("  policy  {}; pin the new one with  {pin}\n", output::one_line(&why)));
    }
    text.push_str(&format!("  run it  tollgate run {name}\n"));
    output::print(&text)?;
    Ok(Exit::Success)
}
