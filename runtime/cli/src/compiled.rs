//! From a component's bytes to a component that runs, without compiling in this process: as it was installed, from the
//! cache, or from a compiler's process. And `tollgate compile`, which is that process.

use std::sync::Once;

use miette::Diagnostic;
use tollgate_audit::Digest;
use tollgate_config::{CompileSettings, ToolName};

use super::args::CompileArgs;
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::which::Which;
use super::{config, output, progress};
use tollgate::ProcessCommand;
use tollgate::artifact::{Artifact, ArtifactCache, ArtifactError, ArtifactKey, CacheLimits, KeyError};
use tollgate::compile_limits::CompileLimits;
use tollgate::compiler::{Compiler, CompilerRole};
use tollgate::engine::Engine;
use tollgate::error::{LoadError, with_causes};
use tollgate::registry::{InstalledTool, StoredError};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum CompiledError {
    #[error("the installed tool `{name}` is refused, and nothing was run")]
    #[diagnostic(help("{help}"))]
    Refused { name: ToolName, help: String, source: StoredError },
    #[error(
        "the installed tool `{name}` is refused, and nothing was run: `{}` was changed: it is {found}, and {expected} was installed",
        path.display()
    )]
    #[diagnostic(help(
        "look who could change it; then install the tool again from where it came from: `tollgate install PATH --name {name}`"
    ))]
    Changed { name: ToolName, path: std::path::PathBuf, expected: Digest, found: Digest },
    #[error("no key for compiled tools can be used")]
    #[diagnostic(help("{help}"))]
    Key { help: String, source: KeyError },
    #[error("there is no place for the key of compiled tools: {}", config::no_place("TOLLGATE_HOME, XDG_STATE_HOME"))]
    #[diagnostic(help("set TOLLGATE_HOME to a folder"))]
    NoPlace,
    #[error("this program's own file cannot be found, so the compiler cannot be started")]
    NoProgram { source: std::io::Error },
    #[error("the component cannot be read, or its machine code not be written")]
    Pipe { source: std::io::Error },
}

/// The component, compiled: as it was installed, from the cache, or compiled now. Nothing of it is loaded here.
pub(crate) fn artifact(
    which: &Which,
    engine: &Engine,
    bytes: &[u8],
    cost: CompileSettings,
) -> Result<Artifact, Failure> {
    let failed = |error: LoadError| Failure::Load { component: which.args.component.clone(), error };
    match &which.installed {
        Some(tool) => installed(tool, engine, bytes),
        None => by_path(engine, bytes, cost, failed),
    }
}

fn installed(tool: &InstalledTool, engine: &Engine, bytes: &[u8]) -> Result<Artifact, Failure> {
    let (expected, found) = (tool.installed.component, Digest::of(bytes));
    if found != expected {
        let (name, path) = (tool.name.clone(), tool.component());
        return Err(Failure::usage(CompiledError::Changed { name, path, expected, found }));
    }
    tool.artifact(&key()?, engine).map_err(|source| {
        let help = match &source {
            StoredError::Refused(ArtifactError::Engine | ArtifactError::Version) | StoredError::Untold => {
                "compile it again: `tollgate doctor --fix`".to_owned()
            }
            StoredError::Refused(_) | StoredError::Unreadable(_) | StoredError::OtherOperations => format!(
                "look who could change `{}`; then have it compiled again: `tollgate doctor --fix`",
                tool.folder().display()
            ),
        };
        Failure::usage(CompiledError::Refused { name: tool.name.clone(), help, source })
    })
}

/// What a component that was run by its path was compiled to, if that is kept.
pub(crate) fn cached(engine: &Engine, component: Digest) -> Result<Option<Artifact>, Failure> {
    Ok(cache()?.and_then(|(cache, key)| cache.get(&key, component, engine)))
}

/// A component that is not installed, from the cache or compiled.
pub(crate) fn by_path(
    engine: &Engine,
    bytes: &[u8],
    cost: CompileSettings,
    failed: impl Fn(LoadError) -> Failure,
) -> Result<Artifact, Failure> {
    let compile = || progress::during(COMPILING, || compiler(cost)?.compile(engine, bytes).map_err(&failed));
    let Some((cache, key)) = cache()? else { return compile() };
    if let Some(artifact) = cache.get(&key, Digest::of(bytes), engine) {
        return Ok(artifact);
    }
    let artifact = compile()?;
    put(&cache, &key, &artifact);
    Ok(artifact)
}

/// Keeps what a component that is run by its path was compiled to, with what it said of its operations.
pub(crate) fn keep(artifact: &Artifact) -> Result<(), Failure> {
    if let Some((cache, key)) = cache()? {
        put(&cache, &key, artifact);
    }
    Ok(())
}

/// A cache that takes nothing costs time only; that is said, since it may be half a minute for each call.
fn put(cache: &ArtifactCache, key: &ArtifactKey, artifact: &Artifact) {
    if let Err(error) = cache.put(key, artifact) {
        not_kept(&format!("`{}` cannot be written: {error}", cache.folder().display()));
    }
}

/// Says once in this process why the next call compiles again.
fn not_kept(why: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let why = output::one_line(why);
        output::eprint(&format!(
            "warning: what is compiled is not kept, so that each call compiles again: {why}; mend that, or set TOLLGATE_HOME \
             to a folder that can be written\n"
        ));
    });
}

/// None where nothing can be kept; a key that others may know is an error all the same.
fn cache() -> Result<Option<(ArtifactCache, ArtifactKey)>, Failure> {
    let (Some(folder), Some(path)) = (config::cache_folder(), config::artifact_key()) else {
        let why = config::no_place("TOLLGATE_HOME, XDG_CACHE_HOME with XDG_STATE_HOME");
        not_kept(&format!("there is no place for it: {why}"));
        return Ok(None);
    };
    match ArtifactKey::open_or_make(&path) {
        Ok(key) => Ok(Some((ArtifactCache::new(folder, CacheLimits::DEFAULT), key))),
        Err(error @ KeyError::Unusable { .. }) => {
            not_kept(&with_causes(&error));
            Ok(None)
        }
        Err(source) => Err(no_key(source)),
    }
}

/// The key that artifacts are sealed with.
pub(crate) fn key() -> Result<ArtifactKey, Failure> {
    let path = config::artifact_key().ok_or_else(|| Failure::usage(CompiledError::NoPlace))?;
    ArtifactKey::open_or_make(&path).map_err(no_key)
}

fn no_key(source: KeyError) -> Failure {
    let help = match &source {
        KeyError::OfAnother { .. } => {
            "leave it to that user: run this as that user, or set TOLLGATE_HOME to a folder of your own. HOME is another user's \
             too, maybe: below sudo, `sudo -H` sets it"
                .to_owned()
        }
        KeyError::Exposed { .. } => {
            "whoever knows it can pass machine code off as a tool: remove the file, and have the tools compiled again with \
             `tollgate doctor --fix`; if nobody else could read it, `chmod 600` is enough"
                .to_owned()
        }
        KeyError::Damaged { .. } => {
            "remove it, and have the tools compiled again with `tollgate doctor --fix`; another is made by itself"
                .to_owned()
        }
        KeyError::Unusable { source, .. } => advice(source, Place::KEY),
    };
    Failure::usage(CompiledError::Key { help, source })
}

/// This program as the compiler's process.
pub(crate) fn compiler(cost: CompileSettings) -> Result<Compiler, Failure> {
    let program = config::this_program().map_err(|source| Failure::internal_as(CompiledError::NoProgram { source }))?;
    Ok(Compiler::new(ProcessCommand::new(&program, ["compile"]), CompileLimits::of(cost)))
}

/// Compiles, as the process that [`compiler`] starts.
#[allow(unsafe_code, reason = "a compiler closes every file that it was not handed")]
pub(crate) fn compile(args: &CompileArgs) -> Result<Exit, Failure> {
    let CompileArgs { supervisor, cpu_seconds, memory_bytes, threads } = *args;
    let role = CompilerRole { supervisor, cpu_seconds, memory_bytes, threads };
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    let served = unsafe { tollgate::compiler::serve(&role) };
    served.map_err(|source| Failure::internal_as(CompiledError::Pipe { source }))?;
    Ok(Exit::Success)
}

/// What is said while a component is compiled: an interpreter takes half a minute on two cores.
pub(crate) const COMPILING: &str = "compiling, which is kept for the next time";
