//! What is installed: `tollgate list`, `tollgate show`, `tollgate rollback`, `tollgate remove`.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_audit::Digest;
use tollgate_authority::PolicyFile;
use tollgate_config::ToolName;
use tollgate_report::utc;

use super::args::{ListArgs, RemoveArgs, RollbackArgs, ShowArgs};
use super::candidate::{not_changed, say_left, write};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::inspect::Shown;
use super::which::{NameUseError, find, registry, selector, unknown};
use super::{config, load, operator, output};
use tollgate::artifact::ArtifactKey;
use tollgate::engine::Engine;
use tollgate::error::with_causes;
use tollgate::offers::{Aliases, Operation, aliases_of, offered};
use tollgate::registry::{Installed, InstalledTool, Registry, short};

/// A line of `tollgate list`: what a tool's record says, and nothing that is read elsewhere.
enum Listed {
    Tool(Box<InstalledTool>),
    /// Its record cannot be used.
    Damaged {
        name: ToolName,
        why: String,
    },
}

impl Listed {
    /// What can be told; a tool that is damaged is listed too. None if it was removed by now.
    fn of(registry: &Registry, name: ToolName) -> Option<Self> {
        match registry.find(&name) {
            Ok(tool) => tool.map(|tool| Self::Tool(Box::new(tool))),
            Err(error) => Some(Self::Damaged { name, why: with_causes(&error) }),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Tool(tool) => {
                let installed = &tool.installed;
                json!({
                    "name": tool.name.as_str(),
                    "declared": installed.declared,
                    "version": installed.version,
                    "component": installed.component.to_string(),
                    "bytes": installed.bytes,
                    "installed_s": installed.installed_s,
                    "versions": tool.record.versions().len(),
                })
            }
            Self::Damaged { name, why } => json!({ "name": name.as_str(), "damaged": why }),
        }
    }

    fn row(&self) -> [String; 5] {
        let Self::Tool(tool) = self else {
            let none = || "-".to_owned();
            let name = if let Self::Damaged { name, .. } = self { name.to_string() } else { none() };
            return [name, "(damaged)".to_owned(), none(), none(), none()];
        };
        let Installed { version, declared, component, bytes, installed_s, .. } = &tool.installed;
        let is_other = *declared != tool.name.as_str();
        let name = if is_other { format!("{} (declared {declared})", tool.name) } else { tool.name.to_string() };
        let size = format!("{} KiB", bytes.div_ceil(1024));
        [output::one_line(&name), output::one_line(version), short(*component), size, utc(*installed_s)]
    }
}

pub(crate) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let listed: Vec<Listed> = match config::tools_folder() {
        Some(folder) => {
            let registry = Registry::new(folder.clone());
            let names = registry.names().map_err(|source| {
                let help = advice(&source, Place::TOOLS);
                Failure::usage(NameUseError::Unlisted { folder, help, source })
            })?;
            names.into_iter().filter_map(|name| Listed::of(&registry, name)).collect()
        }
        None => Vec::new(),
    };
    if args.json {
        output::print(&format!("{}\n", Value::from_iter(listed.iter().map(Listed::json))))?;
    } else if config::tools_folder().is_none() {
        let why = output::one_line(&config::no_place("TOLLGATE_HOME, XDG_DATA_HOME"));
        output::eprint(&format!("no tool is installed: there is no place for tools: {why}\n"));
    } else if listed.is_empty() {
        output::eprint("no tool is installed; `tollgate install PATH` does that\n");
    } else {
        let tools: Vec<&InstalledTool> = listed
            .iter()
            .filter_map(|listed| if let Listed::Tool(tool) = listed { Some(&**tool) } else { None })
            .collect();
        output::print(&table(&listed))?;
        say_not_offered_of(&tools);
        say_damaged(&listed);
    }
    Ok(Exit::Success)
}

fn say_damaged(listed: &[Listed]) {
    for listed in listed {
        if let Listed::Damaged { name, why } = listed {
            let why = output::one_line(why);
            output::eprint(&format!("note: `{name}` cannot be used: {why}; `tollgate doctor` says what helps\n"));
        }
    }
}

/// Says which operations models are not offered, by the manifests, under the aliases of the policy of the home.
fn say_not_offered_of(tools: &[&InstalledTool]) {
    // What cannot be read is for others to tell.
    let policy = config::home_policy().and_then(|path| PolicyFile::given(&path, Path::new("/")).ok());
    let grants = policy.iter().flat_map(|file| &file.policy.grants.tools);
    let aliases = grants.flat_map(|(tool, grant)| aliases_of(tool.as_str(), &grant.aliases)).collect();
    let operations = tools.iter().flat_map(|tool| {
        let manifest = load::manifest_file(&tool.manifest()).ok();
        let operations = manifest.into_iter().flat_map(|(manifest, ..)| manifest.operations);
        operations
            .map(move |operation| Operation { tool: tool.name.to_string(), operation: operation.name.to_string() })
    });
    say_not_offered(&operations.collect::<Vec<_>>(), &aliases);
}

/// Says which of these operations models are not offered, and why.
pub(crate) fn say_not_offered(operations: &[Operation], aliases: &Aliases) {
    for why in offered(operations, aliases).into_iter().filter_map(|(_, name)| name.err()) {
        output::eprint(&format!("note: {}\n", output::one_line(&why.to_string())));
    }
}

fn table(listed: &[Listed]) -> String {
    let head = ["name", "version", "component", "size", "installed"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(listed.iter().map(Listed::row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

pub(crate) fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let tool = find(&args.name)?;
    let operations = operations(&tool);
    output::print(&if args.json { shown_json(&tool, &operations) } else { shown(&tool, &operations) })?;
    Ok(Exit::Success)
}

/// What it can be called for, or why that cannot be told.
fn operations(tool: &InstalledTool) -> Result<Vec<Shown>, String> {
    // None is made: what another key sealed would not open with it.
    let key = config::artifact_key().ok_or("there is no key of compiled tools")?;
    let key = ArtifactKey::open(&key).map_err(|error| with_causes(&error))?;
    tool.operations(&key).map(|told| Shown::told(&told)).map_err(|error| with_causes(&error))
}

fn shown(tool: &InstalledTool, operations: &Result<Vec<Shown>, String>) -> String {
    let Installed { version, declared, component, bytes, manifest, from, installed_s } = &tool.installed;
    let mut text = format!("{} {}\n", tool.name, output::one_line(version));
    let from = from.as_deref().map_or_else(|| "-".to_owned(), output::one_line);
    for (label, value) in [
        ("declared", output::one_line(declared)),
        ("component", component.to_string()),
        ("manifest", manifest.to_string()),
        ("size", format!("{} KiB", bytes.div_ceil(1024))),
        ("from", from),
        ("installed", utc(*installed_s)),
        ("folder", output::one_line(&tool.folder().display().to_string())),
    ] {
        text.push_str(&format!("  {label:<11}{value}\n"));
    }
    text.push_str("operations:\n");
    match operations {
        Ok(operations) => {
            operations
                .iter()
                .for_each(|operation| text.push_str(&format!("  {}\n", output::one_line(&operation.line()))));
        }
        Err(why) => text.push_str(&format!("  cannot be told: {}\n", output::one_line(why))),
    }
    text.push_str("versions:\n");
    for one in tool.record.versions().iter().rev() {
        let role = role(tool, one).unwrap_or_default();
        text.push_str(&format!("  {role:<9}{}  {}\n", output::one_line(&one.whole()), utc(one.installed_s)));
    }
    text
}

/// What a version is to its tool, if it is either.
fn role(tool: &InstalledTool, version: &Installed) -> Option<&'static str> {
    let is = |other: &Installed| other.component == version.component;
    let is_before = tool.record.before().is_some_and(is);
    if is(tool.record.current()) { Some("current") } else { is_before.then_some("before") }
}

fn shown_json(tool: &InstalledTool, operations: &Result<Vec<Shown>, String>) -> String {
    let versions = tool.record.versions().iter();
    let versions: Vec<Value> =
        versions.map(|version| version_with(version, [("role", json!(role(tool, version)))])).collect();
    let operations = operations.as_ref().ok();
    let operations = operations.map(|operations| operations.iter().map(Shown::json).collect::<Vec<_>>());
    let report = version_with(
        &tool.installed,
        [
            ("name", json!(tool.name.as_str())),
            ("folder", json!(tool.folder().to_string_lossy())),
            ("operations", json!(operations)),
            ("versions", json!(versions)),
        ],
    );
    format!("{report}\n")
}

/// A version, and more about it.
fn version_with<const MORE: usize>(version: &Installed, more: [(&str, Value); MORE]) -> Value {
    let own = version_json(version).as_object().cloned().unwrap_or_default();
    Value::Object(own.into_iter().chain(more.map(|(key, value)| (key.to_owned(), value))).collect())
}

/// A version, for programs.
pub(crate) fn version_json(version: &Installed) -> Value {
    let Installed { version, declared, component, bytes, manifest, from, installed_s } = version;
    json!({
        "version": version,
        "declared": declared,
        "component": component.to_string(),
        "bytes": bytes,
        "manifest": manifest.to_string(),
        "from": from,
        "installed_s": installed_s,
    })
}

pub(crate) fn rollback(args: &RollbackArgs) -> Result<Exit, Failure> {
    let selector = selector(&args.name)?;
    let registry = registry()?;
    let writer = write(&registry)?;
    // Chosen where nobody else can change it.
    let tool = find(&args.name)?;
    let name = &tool.name;
    let to = match &selector.version {
        Some(_chosen) => tool.installed.component,
        None => match tool.record.before() {
            Some(before) => before.component,
            None => return Err(Failure::usage(NameUseError::NothingBefore { name: name.clone() })),
        },
    };
    say_damaged_version(&tool, to);
    let record = writer.make_current(name, to).map_err(|source| not_changed(&registry, name, source))?;
    drop(writer);
    let Some(record) = record else { return Err(unknown(&registry, name.clone())) };
    operator::tools_changed(config::ledger_folder());
    let (was, is) = (tool.record.current(), record.current());
    output::print(&if args.json {
        let report =
            json!({ "ok": true, "name": name.as_str(), "current": version_json(is), "before": version_json(was) });
        format!("{report}\n")
    } else if was.component == is.component {
        format!("{name} is {} already\n", output::one_line(&is.shown()))
    } else {
        let [is, was] = [is, was].map(|version| output::one_line(&version.shown()));
        format!("{name} is {is} now, and was {was}\n")
    })?;
    Ok(Exit::Success)
}

/// Says before a rollback why the version that it leads to will be refused.
fn say_damaged_version(tool: &InstalledTool, component: Digest) {
    // None is made: what another key sealed would not open with it.
    let key = config::artifact_key().and_then(|path| ArtifactKey::open(&path).ok());
    let Some((key, engine)) = key.zip(Engine::new(1).ok()) else { return };
    let Some(version) = tool.versions().find(|version| version.installed.component == component) else { return };
    for damage in version.damage(&key, &engine) {
        let (shown, why) = (output::one_line(&version.installed.shown()), output::one_line(&with_causes(&damage)));
        output::eprint(&format!("note: {shown} will be refused: {why}; `tollgate doctor` says what helps\n"));
    }
}

pub(crate) fn remove(args: &RemoveArgs) -> Result<Exit, Failure> {
    let selector = selector(&args.name)?;
    let registry = registry()?;
    let name = &selector.name;
    if registry.names().is_ok_and(|names| !names.contains(name)) {
        return Err(unknown(&registry, name.clone()));
    }
    let writer = write(&registry)?;
    let version = match &selector.version {
        Some(_chosen) => Some(find(&args.name)?.installed),
        // All of them, whatever the record says.
        None => None,
    };
    let component = version.as_ref().map(|version| version.component);
    let left = writer.remove(name, component).map_err(|source| not_changed(&registry, name, source))?;
    drop(writer);
    say_left(left.as_deref());
    operator::tools_changed(config::ledger_folder());
    output::print(&if args.json {
        let removed = json!({ "ok": true, "removed": name.as_str() });
        let report = version.as_ref().map_or(
            removed,
            |version| json!({ "ok": true, "removed": name.as_str(), "version": version_json(version) }),
        );
        format!("{report}\n")
    } else {
        let version = version.map(|version| format!(" {}", output::one_line(&version.shown()))).unwrap_or_default();
        format!("removed {name}{version}\n")
    })?;
    Ok(Exit::Success)
}
