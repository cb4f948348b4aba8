//! `tollgate inspect`: what a component imports against what its manifest needs and its grant gives.

use serde_json::{Value, json};
use tollgate_capability::{Cap, CapabilitySet, RandomMode};
use tollgate_config::{Manifest, MissingGrants, intersect, show_limit};

use super::args::InspectArgs;
use super::exit::{Exit, Failure};
use super::imports::compare;
use super::load::Loaded;
use super::which::which;
use super::{compiled, config, lacking, load, output};
use tollgate::artifact::Artifact;
use tollgate::engine::Engine;
use tollgate::error::LoadError;
use tollgate::interfaces::Import;
use tollgate::operations::OperationTexts;

struct Inspection {
    digest: String,
    imports: Vec<Import>,
    operations: Vec<Shown>,
    unknown: Vec<String>,
    // Why it is no tool.
    not_a_tool: Option<String>,
    undeclared: Vec<&'static str>,
    unimported: Vec<&'static str>,
    set: Option<CapabilitySet>,
    narrowed: Vec<String>,
    unused: Vec<String>,
    lacking: Vec<String>,
    missing: Option<MissingGrants>,
}

/// An operation, as far as it is known without running anything.
pub(crate) struct Shown {
    name: String,
    description: String,
    // Where the component was asked for it.
    input_schema: Option<Value>,
}

impl Shown {
    /// Of what the component said when it was installed or first run; before that, of what its manifest declares.
    fn all(artifact: &Artifact, manifest: &Manifest) -> Vec<Self> {
        let Some(told) = artifact.operations() else {
            let declared = manifest.operations.iter().map(|operation| Self {
                name: operation.name.to_string(),
                description: operation.description.clone(),
                input_schema: None,
            });
            return declared.collect();
        };
        Self::told(told)
    }

    /// Of what the component said.
    pub(crate) fn told(told: &OperationTexts) -> Vec<Self> {
        let told = told.iter().map(|text| Self {
            name: text.name.clone(),
            description: text.description.clone(),
            input_schema: text.schema(),
        });
        told.collect()
    }

    /// The names of its arguments; those that may be left out in brackets.
    fn arguments(&self) -> Option<String> {
        let schema = self.input_schema.as_ref()?;
        let required = self.required();
        let properties = schema.get("properties").and_then(Value::as_object);
        let name = |name: &String| if required.contains(&name.as_str()) { name.clone() } else { format!("[{name}]") };
        Some(properties.into_iter().flat_map(|properties| properties.keys().map(name)).collect::<Vec<_>>().join(", "))
    }

    fn required(&self) -> Vec<&str> {
        let required = self.input_schema.as_ref().and_then(|schema| schema.get("required")?.as_array());
        required.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub(crate) fn json(&self) -> Value {
        let required = self.input_schema.is_some().then(|| self.required());
        json!({
            "name": self.name,
            "description": self.description,
            "required": required,
            "input_schema": self.input_schema,
        })
    }

    pub(crate) fn line(&self) -> String {
        let arguments = self.arguments().map(|names| format!("({names})")).unwrap_or_default();
        let description = self.description.lines().next().unwrap_or_default();
        format!("{}{arguments}  {description}", self.name).trim_end().to_owned()
    }
}

pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let which = which(&args.tool)?;
    let bytes = load::component(&which.args.component)?;
    let loaded = load::load(&which, &bytes)?;
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let artifact = compiled::artifact(&which, &engine, &bytes, loaded.running.deployment.compile)?;
    let mut inspection = imports(&artifact, &loaded.manifest);
    match intersect(&loaded.manifest, &loaded.grant, config::host_variable) {
        Ok(intersection) => {
            inspection.narrowed = intersection.narrowed.iter().map(ToString::to_string).collect();
            inspection.unused = intersection.unused.iter().map(ToString::to_string).collect();
            let set = load::intersect(&loaded)?.0.set;
            inspection.lacking = lacking::lines(&set);
            inspection.set = Some(set);
        }
        Err(missing) => inspection.missing = Some(missing),
    }
    let ready = inspection.missing.is_none() && inspection.unknown.is_empty() && inspection.not_a_tool.is_none();
    let text = if args.json { json_text(&loaded, &inspection) } else { text(&loaded, &inspection) };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(if ready { Exit::Success } else { Exit::Usage })
}

/// As the compiler told them: nothing of the component is loaded here.
fn imports(artifact: &Artifact, manifest: &Manifest) -> Inspection {
    let compared = compare(artifact.imports(), manifest);
    Inspection {
        digest: artifact.component().to_string(),
        imports: artifact.imports().to_vec(),
        operations: Shown::all(artifact, manifest),
        unknown: artifact.interfaces().unknown_imports(),
        not_a_tool: match artifact.interfaces().must_be_of_a_tool() {
            Err(error @ LoadError::NotATool { .. }) => Some(error.to_string()),
            Ok(()) | Err(_) => None,
        },
        undeclared: compared.undeclared,
        unimported: compared.unused,
        set: None,
        narrowed: Vec::new(),
        unused: Vec::new(),
        lacking: Vec::new(),
        missing: None,
    }
}

fn json_text(loaded: &Loaded, inspection: &Inspection) -> String {
    let manifest = &loaded.manifest;
    let imports = inspection.imports.iter().map(|import| (import.interface.clone(), json!(import.functions)));
    let missing = inspection.missing.as_ref().map(|missing| {
        json!({ "message": missing.to_string(), "toml": missing.toml_lines(), "grants": missing.grant_texts() })
    });
    json!({
        "tool": manifest.name.to_string(),
        "declared": loaded.declared.to_string(),
        "version": manifest.version.to_string(),
        "component": inspection.digest,
        "operations": inspection.operations.iter().map(Shown::json).collect::<Vec<_>>(),
        "not_a_tool": inspection.not_a_tool,
        "imports": Value::Object(imports.collect()),
        "unknown_imports": inspection.unknown,
        "imported_not_declared": inspection.undeclared,
        "declared_not_imported": inspection.unimported,
        "capability_set": inspection.set.as_ref().and_then(set_json),
        "narrowed": inspection.narrowed,
        "granted_not_needed": inspection.unused,
        "granted_out_of_reach": inspection.lacking,
        "missing": missing,
    })
    .to_string()
}

/// The set as the ledger keeps it: values of variables and arguments as digests only.
fn set_json(set: &CapabilitySet) -> Option<Value> {
    serde_json::from_str(&set.to_canonical_json().ok()?).ok()
}

fn text(loaded: &Loaded, inspection: &Inspection) -> String {
    let manifest = &loaded.manifest;
    let mut text = format!("{} {}\n  component  {}\n", manifest.name, manifest.version, inspection.digest);
    if loaded.declared != manifest.name {
        text.push_str(&format!("  declared   {}, by its manifest\n", loaded.declared));
    }
    section(&mut text, "no tool: it will not run", inspection.not_a_tool.iter().cloned().collect());
    section(&mut text, "operations", inspection.operations.iter().map(Shown::line).collect());
    section(&mut text, "could do", could_do(inspection.set.as_ref()));
    section(&mut text, "imports", inspection.imports.iter().map(import_line).collect());
    section(&mut text, "imported, but Tollgate does not have it: the tool will not load", inspection.unknown.clone());
    let undeclared = inspection.undeclared.iter().map(|need| (*need).to_owned()).collect();
    section(&mut text, "imported, not declared in the manifest: denied if it is called", undeclared);
    let unimported = inspection.unimported.iter().map(|need| (*need).to_owned()).collect();
    section(&mut text, "declared in the manifest, not imported: nothing in it can use it", unimported);
    section(&mut text, "narrowed by the grant", inspection.narrowed.clone());
    section(&mut text, "granted, not needed", inspection.unused.clone());
    section(&mut text, "granted, but this machine will not give it to the tool's process", inspection.lacking.clone());
    if let Some(missing) = &inspection.missing {
        section(&mut text, "where a grant may be", loaded.astray().into_iter().collect());
        let lines = missing.toml_lines().lines().map(str::to_owned).collect();
        section(&mut text, "missing: the tool will not start; add to tollgate.toml", lines);
        let grants = missing.grant_texts().into_iter().map(|grant| format!("--grant '{grant}'")).collect();
        section(&mut text, "or on the command line", grants);
    }
    text
}

fn section(text: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("{title}:\n"));
    for line in lines {
        text.push_str(&format!("  {}\n", output::one_line(&line)));
    }
}

fn import_line(import: &Import) -> String {
    match import.functions.len() {
        0 => format!("{} (types only)", import.interface),
        1 => format!("{} (1 function)", import.interface),
        count => format!("{} ({count} functions)", import.interface),
    }
}

fn could_do(set: Option<&CapabilitySet>) -> Vec<String> {
    let Some(set) = set else { return Vec::new() };
    let mut lines = Vec::new();
    for fs in &set.fs {
        let patterns = if fs.patterns.is_empty() { "" } else { ", within patterns" };
        lines.push(format!("fs     {} is {}: {}{patterns}", fs.guest, fs.host.display(), fs.access));
    }
    if !set.env.is_empty() {
        lines.push(format!("env    {}", set.env.keys().cloned().collect::<Vec<_>>().join(", ")));
    }
    if !set.args.is_empty() {
        lines.push(format!("args   {}", set.args.join(" ")));
    }
    for (name, clock) in [("wall", set.wall_clock), ("monotonic", set.monotonic_clock)] {
        lines.extend(clock.map(|mode| format!("clock  {name}: {}", mode.as_str())));
    }
    match set.random {
        Some(RandomMode::Secure) => lines.push("random secure".to_owned()),
        Some(RandomMode::Seeded(seed)) => lines.push(format!("random seeded with {seed}")),
        None => {}
    }
    let stream = |on: bool, name: &'static str| on.then_some(name);
    let stdio = &set.stdio;
    let streams = [stream(stdio.stdin, "stdin"), stream(stdio.stdout, "stdout"), stream(stdio.stderr, "stderr")];
    lines.push(format!("stdio  {}", streams.into_iter().flatten().collect::<Vec<_>>().join(", ")));
    let limit = |cap: Cap| format!("{} {}", cap.as_str(), show_limit(cap, set.limits.get(cap)));
    lines.push(format!("limits {}", Cap::ALL.map(limit).join(", ")));
    lines
}
