//! Which files a tool's name stands for.

use miette::Diagnostic;
use tollgate_config::{NameError, ToolName};

use super::args::ToolArgs;
use super::cause::{Place, advice};
use super::exit::Failure;
use super::unbuilt::how_to_run;
use super::{config, output};
use tollgate::registry::{InstalledTool, Registry};

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
    #[diagnostic(help("{}: `{}`", advice(source, Place::TOOL), folder.display()))]
    Unseen { name: ToolName, folder: std::path::PathBuf, source: std::io::Error },
    #[error("`{path}`, of the installed tool `{name}`, has another name (a hard link), by which somebody could change it",
        path = path.display())]
    #[diagnostic(help(
        "install it again, or make it a file of its own: `cp {path} {path}.new && mv {path}.new {path}`", path = path.display()
    ))]
    OtherName { name: ToolName, path: std::path::PathBuf },
    #[error("`{}`, of the installed tool `{name}`, is not there", path.display())]
    #[diagnostic(help("install it again from where it came from: `tollgate install PATH --name {name} --force`"))]
    Gone { name: ToolName, path: std::path::PathBuf },
    #[error("there is no place for tools: {}", config::no_place("TOLLGATE_HOME, XDG_DATA_HOME"))]
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
    let manifest = args.manifest.is_none().then(|| tool.manifest());
    let mut files = std::iter::once(tool.component()).chain(manifest);
    if let Some(path) = files.find(|path| path.try_exists().is_ok_and(|is_there| !is_there)) {
        return Err(Failure::usage(NameUseError::Gone { name: tool.name, path }));
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

/// The installed tool of this name.
pub(crate) fn find(given: &str) -> Result<InstalledTool, Failure> {
    let as_path = here(std::path::Path::new(given));
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

/// What stands in this folder under the name.
fn here(given: &std::path::Path) -> Option<String> {
    if given.is_dir() {
        how_to_run(given)
    } else {
        given.exists().then(|| format!("the file here is `./{}`", given.display()))
    }
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
