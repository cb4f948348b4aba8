//! Names of tools: which files a name stands for, `tollgate list`, `tollgate remove`.

use miette::Diagnostic;
use serde_json::{Value, json};
use tollgate_audit::{Digest, utc};
use tollgate_config::{NameError, ToolName};

use super::args::{ListArgs, RemoveArgs, ToolArgs};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::{config, load, output};
use crate::registry::{InstalledTool, Registry};

/// The tool that the arguments mean.
#[derive(Debug)]
pub(crate) struct Which {
    /// The arguments with paths in the place of names.
    pub(crate) args: ToolArgs,
    /// If they give a name.
    pub(crate) installed: Option<InstalledTool>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum NameUseError {
    #[error("no tool `{name}` is installed")]
    #[diagnostic(help("{help}"))]
    Unknown { name: ToolName, help: String },
    #[error("`{name}` cannot be the name of a tool")]
    #[diagnostic(help("{help}"))]
    NoName { name: String, help: String, source: NameError },
    #[error("the installed tool `{name}` cannot be looked at")]
    #[diagnostic(help("mend the rights of the folder `{}`", folder.display()))]
    Unseen { name: ToolName, folder: std::path::PathBuf, source: std::io::Error },
    #[error("`{path}`, of the installed tool `{name}`, has another name (a hard link), by which somebody could change it",
        path = path.display())]
    #[diagnostic(help(
        "install it again, or make it a file of its own: `cp {path} {path}.new && mv {path}.new {path}`", path = path.display()
    ))]
    OtherName { name: ToolName, path: std::path::PathBuf },
    #[error("there is no place for tools: neither TOLLGATE_HOME, XDG_DATA_HOME nor HOME is set")]
    #[diagnostic(help("set TOLLGATE_HOME to a folder"))]
    NoPlace,
    #[error("the tools in `{}` cannot be listed", folder.display())]
    #[diagnostic(help("{help}"))]
    Unlisted { folder: std::path::PathBuf, help: String, source: std::io::Error },
    #[error("`{name}` cannot be removed")]
    #[diagnostic(help("{help}: `{}`", folder.display()))]
    NotRemoved { name: ToolName, folder: std::path::PathBuf, help: String, source: std::io::Error },
}

/// A word without `/` and `.wasm` is a name; all else is a path.
pub(crate) fn which(args: &ToolArgs) -> Result<Which, Failure> {
    let Some(name) = args.component.to_str().filter(|given| !given.contains('/') && !given.ends_with(".wasm")) else {
        return Ok(Which { args: args.clone(), installed: None });
    };
    let tool = find(name)?;
    let looked_at = tool.with_other_name().map_err(|source| {
        Failure::usage(NameUseError::Unseen { name: tool.name.clone(), folder: tool.folder().to_owned(), source })
    })?;
    if let Some(path) = looked_at {
        return Err(Failure::usage(NameUseError::OtherName { name: tool.name, path }));
    }
    let mut args = args.clone();
    args.component = tool.component();
    args.manifest = args.manifest.or_else(|| Some(tool.manifest()));
    Ok(Which { args, installed: Some(tool) })
}

/// The folder of tools.
pub(crate) fn registry() -> Result<Registry, Failure> {
    config::tools_folder().map(Registry::new).ok_or_else(|| Failure::usage(NameUseError::NoPlace))
}

fn find(given: &str) -> Result<InstalledTool, Failure> {
    let as_path = std::path::Path::new(given).exists().then(|| format!("the file here is `./{given}`"));
    let name: ToolName = given.parse().map_err(|source| {
        let help = as_path.clone().unwrap_or_else(|| "give a name that `tollgate list` prints, or a path".to_owned());
        Failure::usage(NameUseError::NoName { name: output::one_line(given), help, source })
    })?;
    let registry = registry()?;
    registry.find(&name).ok_or_else(|| {
        // Without a list there is less to say.
        let known = registry.tools().unwrap_or_default();
        let help = as_path.unwrap_or_else(|| nearest(&name, &known));
        Failure::usage(NameUseError::Unknown { name, help })
    })
}

fn nearest(name: &ToolName, known: &[InstalledTool]) -> String {
    let distance = |tool: &&InstalledTool| strsim::damerau_levenshtein(name.as_str(), tool.name.as_str());
    match known.iter().min_by_key(distance) {
        None => "no tool is installed yet: `tollgate install PATH`, or give a path".to_owned(),
        Some(tool) if distance(&tool) <= name.as_str().len().div_ceil(2) => {
            format!("did you mean `{}`? `tollgate list` prints all", tool.name)
        }
        Some(_) => "`tollgate list` prints the names; a path has a `/` or ends with `.wasm`".to_owned(),
    }
}

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
    }
    Ok(Exit::Success)
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
    output::print(&format!("removed {}\n", tool.name))?;
    Ok(Exit::Success)
}

/// `sha256:` and 12 digits.
const DIGEST_SHORT: usize = 19;
