//! Names of tools: which files a name stands for, `tollgate list`, `tollgate remove`.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_audit::Digest;
use tollgate_authority::PolicyFile;
use tollgate_report::utc;

use super::args::{ListArgs, RemoveArgs};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::which::{NameUseError, find, registry};
use super::{config, load, operator, output};
use tollgate::offers::{Aliases, Operation, aliases_of, offered};
use tollgate::registry::{InstalledTool, Registry};

/// A line of `tollgate list`.
struct Listed {
    name: String,
    // None if its manifest cannot be used.
    version: Option<String>,
    // The name in its manifest.
    declared: Option<String>,
    component: Option<Component>,
    installed_s: Option<u64>,
}

struct Component {
    digest: Digest,
    bytes: u64,
}

impl Listed {
    /// What can be told; a tool that is damaged is listed too.
    fn of(tool: &InstalledTool) -> Self {
        let manifest = load::manifest_file(&tool.manifest()).ok().map(|(manifest, ..)| manifest);
        let (version, declared) =
            manifest.map(|manifest| (manifest.version.to_string(), manifest.name.to_string())).unzip();
        let component = tool.told_component().ok();
        let component = component.map(|(digest, bytes)| Component { digest, bytes });
        Self { name: tool.name.to_string(), version, declared, component, installed_s: tool.installed_s().ok() }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "declared": self.declared,
            "version": self.version,
            "component": self.component.as_ref().map(|component| component.digest.to_string()),
            "bytes": self.component.as_ref().map(|component| component.bytes),
            "installed_s": self.installed_s,
        })
    }

    fn row(&self) -> [String; 5] {
        let version = self.version.as_deref().map_or_else(|| "(damaged)".to_owned(), output::one_line);
        let component = self.component.as_ref();
        let digest = component.map_or_else(|| "-".to_owned(), |component| short(component.digest));
        let size =
            component.map_or_else(|| "-".to_owned(), |component| format!("{} KiB", component.bytes.div_ceil(1024)));
        let declared = self.declared.as_ref().filter(|declared| **declared != self.name);
        let name =
            declared.map_or_else(|| self.name.clone(), |declared| format!("{} (declared {declared})", self.name));
        [name, version, digest, size, self.installed_s.map_or_else(|| "-".to_owned(), utc)]
    }
}

/// A digest that people compare: its first digits.
pub(crate) fn short(digest: Digest) -> String {
    digest.to_string().chars().take(DIGEST_SHORT).collect()
}

pub(crate) fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let tools = match config::tools_folder() {
        Some(folder) => Registry::new(folder.clone()).tools().map_err(|source| {
            let help = advice(&source, Place::TOOLS);
            Failure::usage(NameUseError::Unlisted { folder, help, source })
        })?,
        None => Vec::new(),
    };
    let listed: Vec<Listed> = tools.iter().map(Listed::of).collect();
    if args.json {
        output::print(&format!("{}\n", Value::from_iter(listed.iter().map(Listed::json))))?;
    } else if listed.is_empty() {
        output::eprint("no tool is installed; `tollgate install PATH` does that\n");
    } else {
        output::print(&table(&listed))?;
        say_not_offered_of(&tools);
    }
    Ok(Exit::Success)
}

/// Says which operations models are not offered, by the manifests, under the aliases of the policy of the home.
fn say_not_offered_of(tools: &[InstalledTool]) {
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

pub(crate) fn remove(args: &RemoveArgs) -> Result<Exit, Failure> {
    let tool = find(&args.name)?;
    let failed = |source| {
        let (name, folder, help) = (tool.name.clone(), tool.folder().to_owned(), advice(&source, Place::TOOL));
        Failure::usage(NameUseError::NotRemoved { name, folder, help, source })
    };
    registry()?.remove(&tool).map_err(failed)?;
    operator::tools_changed(config::ledger_folder());
    output::print(&if args.json {
        format!("{}\n", json!({ "ok": true, "removed": tool.name.as_str() }))
    } else {
        format!("removed {}\n", tool.name)
    })?;
    Ok(Exit::Success)
}

/// `sha256:` and 12 digits.
const DIGEST_SHORT: usize = 19;
