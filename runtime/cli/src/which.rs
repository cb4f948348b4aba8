//! Which files a tool's name stands for: `NAME`, `NAME@VERSION`, `NAME@sha256:…`.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_audit::Digest;
use tollgate_config::{MANIFEST_BYTES_MAX, NameError, ToolName};

use super::args::ToolArgs;
use super::cause::{Place, advice};
use super::exit::Failure;
use super::unbuilt::how_to_run;
use super::{config, input, output};
use tollgate::registry::{FindError, InstalledTool, RecordError, Registry, Selector, SelectorError};

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
    #[error("`{given}` selects no version of a tool")]
    #[diagnostic(help("`tollgate show NAME` prints the versions that are installed"))]
    NoSelector { given: String, source: SelectorError },
    #[error("the installed tool `{name}` cannot be used")]
    #[diagnostic(help("{help}"))]
    Unusable { name: ToolName, help: String, source: FindError },
    #[error("the installed tool `{name}` cannot be looked at")]
    #[diagnostic(help("{}: `{}`", advice(source, Place::TOOL), folder.display()))]
    Unseen { name: ToolName, folder: PathBuf, source: std::io::Error },
    #[error("`{path}`, of the installed tool `{name}`, has another name (a hard link), by which somebody could change it",
        path = path.display())]
    #[diagnostic(help(
        "install it again, or make it a file of its own: `cp {path} {path}.new && mv {path}.new {path}`", path = path.display()
    ))]
    OtherName { name: ToolName, path: PathBuf },
    #[error("`{}`, of the installed tool `{name}`, is not there", path.display())]
    #[diagnostic(help("install it again from where it came from: `tollgate install PATH --name {name}`"))]
    Gone { name: ToolName, path: PathBuf },
    #[error(
        "`{}`, of the installed tool `{name}`, was changed: it is {found}, and {expected} was installed", path.display()
    )]
    #[diagnostic(help(
        "to install the tool with another manifest: `tollgate install PATH --name {name} --manifest FILE`; PATH is where it came from"
    ))]
    Changed { name: ToolName, path: PathBuf, expected: Digest, found: Digest },
    #[error("there is no place for tools: {}", config::no_place("TOLLGATE_HOME, XDG_DATA_HOME"))]
    #[diagnostic(help("set TOLLGATE_HOME to a folder"))]
    NoPlace,
    #[error("the tools in `{}` cannot be listed", folder.display())]
    #[diagnostic(help("{help}"))]
    Unlisted { folder: PathBuf, help: String, source: std::io::Error },
    #[error("no version of `{name}` was current before this one")]
    #[diagnostic(help(
        "`tollgate show {name}` prints the versions that are installed; `tollgate rollback {name}@VERSION` takes any"
    ))]
    NothingBefore { name: ToolName },
}

/// A word without `/` and `.wasm` is a name; all else is a path.
///
/// A version that was removed while it was looked at, since another took its place, is no error: the other one is meant then.
pub(crate) fn which(args: &ToolArgs) -> Result<Which, Failure> {
    let Some(name) = args.component.to_str().filter(|given| !given.contains('/') && !given.ends_with(".wasm")) else {
        return Ok(Which { args: args.clone(), installed: None });
    };
    let mut tries = TRIES;
    loop {
        let tool = find(name)?;
        let is_as_it_was =
            || registry().is_ok_and(|all| all.stamp(&tool.name).is_ok_and(|now| now == Some(tool.stamp())));
        tries -= 1;
        match files_of(tool.clone(), args) {
            Err(_) if tries > 0 && !is_as_it_was() => {}
            found => return found,
        }
    }
}

fn files_of(tool: InstalledTool, args: &ToolArgs) -> Result<Which, Failure> {
    let looked_at = tool.with_other_name().map_err(|source| {
        Failure::usage(NameUseError::Unseen { name: tool.name.clone(), folder: tool.folder(), source })
    })?;
    if let Some(path) = looked_at {
        return Err(Failure::usage(NameUseError::OtherName { name: tool.name, path }));
    }
    let manifest = args.manifest.is_none().then(|| tool.manifest());
    let mut files = std::iter::once(tool.component()).chain(manifest);
    if let Some(path) = files.find(|path| path.try_exists().is_ok_and(|is_there| !is_there)) {
        return Err(Failure::usage(NameUseError::Gone { name: tool.name, path }));
    }
    if args.manifest.is_none() {
        must_be_as_installed(&tool)?;
    }
    let mut args = args.clone();
    args.component = tool.component();
    args.manifest = args.manifest.or_else(|| Some(tool.manifest()));
    Ok(Which { args, installed: Some(tool) })
}

/// How often a tool is looked at anew that is replaced meanwhile.
const TRIES: u32 = 8;

/// Refuses a manifest that was edited where it is stored. The component is compared where it is read.
fn must_be_as_installed(tool: &InstalledTool) -> Result<(), Failure> {
    let path = tool.manifest();
    let bytes = input::read(&path, MANIFEST_BYTES_MAX as u64, "install the tool again from where it came from")?;
    let (expected, found) = (tool.installed.manifest, Digest::of(&bytes));
    if found == expected {
        return Ok(());
    }
    Err(Failure::usage(NameUseError::Changed { name: tool.name.clone(), path, expected, found }))
}

/// The folder of tools.
pub(crate) fn registry() -> Result<Registry, Failure> {
    config::tools_folder().map(Registry::new).ok_or_else(|| Failure::usage(NameUseError::NoPlace))
}

/// The installed tool that is selected.
pub(crate) fn find(given: &str) -> Result<InstalledTool, Failure> {
    let selector = selector(given)?;
    let registry = registry()?;
    match registry.select(&selector) {
        Ok(Some(tool)) => Ok(tool),
        Ok(None) => Err(unknown(&registry, selector.name)),
        Err(source) => Err(unusable(selector.name, source)),
    }
}

/// A tool, and which version of it.
pub(crate) fn selector(given: &str) -> Result<Selector, Failure> {
    given.parse().map_err(|error| match error {
        SelectorError::Name(source) => {
            let here = here(Path::new(given));
            let help = here.unwrap_or_else(|| "give a name that `tollgate list` prints, or a path".to_owned());
            Failure::usage(NameUseError::NoName { name: output::one_line(given), help, source })
        }
        source @ SelectorError::Choice { .. } => {
            Failure::usage(NameUseError::NoSelector { given: output::one_line(given), source })
        }
    })
}

/// Why no tool of this name is found.
pub(crate) fn unknown(registry: &Registry, name: ToolName) -> Failure {
    // Without a list there is less to say.
    let known = registry.names().unwrap_or_default();
    let help = here(Path::new(name.as_str())).unwrap_or_else(|| nearest(&name, &known));
    Failure::usage(NameUseError::Unknown { name, help })
}

/// Why what is installed under this name is not used.
pub(crate) fn unusable(name: ToolName, source: FindError) -> Failure {
    let help = match &source {
        FindError::Older { .. } => "move it to where this version keeps tools: `tollgate doctor --fix`".to_owned(),
        FindError::Choice(_) => format!("`tollgate show {name}` prints the versions that are installed"),
        FindError::Unreadable { source, .. } => advice(source, Place::TOOLS),
        FindError::NoRecord { source: RecordError::Format { .. }, .. } => of_newer(&name),
        FindError::NoFile { path } => move_away(path, &format!("tollgate install PATH --name {name}")),
        FindError::NoRecord { .. } | FindError::OtherName { .. } => format!(
            "look who could change it; then install the tool again from where it came from: `tollgate install PATH --name {name}`"
        ),
    };
    Failure::usage(NameUseError::Unusable { name, help, source })
}

/// What helps where something else stands in the place of a file.
pub(crate) fn move_away(path: &Path, then: &str) -> String {
    format!("look whose `{}` is, and move it elsewhere; then: {then}", path.display())
}

/// What helps where another version of Tollgate wrote a tool's record.
pub(crate) fn of_newer(name: &ToolName) -> String {
    format!(
        "another version of Tollgate installed it: call it with that version; or remove it with all its versions: \
         `tollgate remove {name}`"
    )
}

/// What stands in this folder under the name.
fn here(given: &Path) -> Option<String> {
    if given.is_dir() {
        how_to_run(given)
    } else {
        given.exists().then(|| format!("the file here is `./{}`", given.display()))
    }
}

fn nearest(name: &ToolName, known: &[ToolName]) -> String {
    let distance = |tool: &&ToolName| strsim::damerau_levenshtein(name.as_str(), tool.as_str());
    match known.iter().min_by_key(distance) {
        None => "no tool is installed yet: `tollgate install PATH`, or give a path".to_owned(),
        Some(tool) if distance(&tool) <= name.as_str().len().div_ceil(2) => {
            format!("did you mean `{tool}`? `tollgate list` prints all")
        }
        Some(_) => "`tollgate list` prints the names; a path has a `/` or ends with `.wasm`".to_owned(),
    }
}
