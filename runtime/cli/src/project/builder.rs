//! Builds the component of a project with its language's own tools. The one place that starts them: they run as whoever builds,
//! unsealed, as `cargo build` does by hand.
#![allow(clippy::disallowed_methods, reason = "starts the build tools of other languages")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use miette::Diagnostic;
use serde::Deserialize;

use super::Project;
use crate::exit::Failure;
use crate::language::Language;
use crate::{config, load, progress};

/// What components are compiled for.
const TARGET: &str = "wasm32-wasip2";

#[derive(Debug, thiserror::Error, Diagnostic)]
enum BuilderError {
    #[error("`{program}`, which builds the tool, is not there")]
    #[diagnostic(help("{help}"))]
    NoProgram { program: String, help: &'static str },
    #[error("`{program}` cannot be started")]
    NotStarted { program: String, source: std::io::Error },
    #[error("`{command}` failed ({status}): what it says stands above")]
    #[diagnostic(help("{help}"))]
    Failed { command: String, status: std::process::ExitStatus, help: &'static str },
    #[error("`cargo build` made no component")]
    #[diagnostic(help("Cargo.toml must say: [lib] crate-type = [\"cdylib\"]"))]
    NoComponent,
    #[error("what `cargo build` prints cannot be understood")]
    #[diagnostic(help("this version of cargo is not known; one of Rust 1.95 is"))]
    Messages { source: serde_json::Error },
    #[error("the target {TARGET} of Rust is not installed")]
    #[diagnostic(help("rustup target add {TARGET}"))]
    NoTarget,
}

/// The component as the language's tools build it.
pub(super) fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    match project.language {
        // Cargo says itself how far it is.
        Language::Rust => rust(project),
        Language::Python => progress::during("building", || python(project)),
        Language::Javascript => progress::during("building", || javascript(project)),
    }
}

const NO_CARGO: &str = "install Rust from https://rustup.rs, then: rustup target add wasm32-wasip2";

fn rust(project: &Project) -> Result<Vec<u8>, Failure> {
    require_target(project)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.arg("--config").arg(format!("target.{TARGET}.rustflags = {}", toml::Value::from(flags())));
    let output = ran(project, &mut cargo, NO_CARGO, "mend what the compiler names")?;
    let path = built_by_cargo(&output.stdout, &project.folder.join("Cargo.toml"))?;
    load::component(&path)
}

/// Beside the project's own: calls and addresses are not padded, which is a tenth of a component (with names of functions the
/// linker cannot do that), and places in dependencies do not name the folder of whoever builds.
fn flags() -> Vec<String> {
    let home = config::home().map(|home| format!("--remap-path-prefix={}=~", home.display()));
    ["-Clink-args=--compress-relocations --strip-all".to_owned()].into_iter().chain(home).collect()
}

/// Without it cargo says only that it knows no `core`.
fn require_target(project: &Project) -> Result<(), Failure> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let printed = ran(project, &mut rustc, NO_CARGO, "this compiler does not know wasm32-wasip2: update it")?;
    let folder = String::from_utf8_lossy(&printed.stdout);
    if Path::new(folder.trim()).is_dir() { Ok(()) } else { Err(Failure::usage(BuilderError::NoTarget)) }
}

/// A message of cargo (The Cargo Book, "External tools").
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The component that cargo says it made of the package at `manifest`.
fn built_by_cargo(messages: &[u8], manifest: &Path) -> Result<PathBuf, Failure> {
    let mut built = None;
    for line in messages.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
        let message: CargoMessage =
            serde_json::from_slice(line).map_err(|source| Failure::usage(BuilderError::Messages { source }))?;
        if message.reason == "compiler-artifact" && message.manifest_path == manifest {
            let is_component = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
            built = message.filenames.into_iter().find(is_component).or(built);
        }
    }
    built.ok_or_else(|| Failure::usage(BuilderError::NoComponent))
}

/// CPython with the tool inside, by componentize-py.
fn python(project: &Project) -> Result<Vec<u8>, Failure> {
    let out = Unfinished::in_project(project);
    let environment = project.folder.join(".venv");
    let own = environment.join("bin/componentize-py");
    let mut command = if own.is_file() {
        let mut command = Command::new(own);
        // So that it finds the packages that were installed there.
        command.env("VIRTUAL_ENV", &environment);
        command
    } else {
        Command::new("componentize-py")
    };
    command.args(["-q", "-d", "vendor/wit", "-w", "tool-provider", "componentize", "tollgate_component"]);
    command.args(["-p", ".", "-p", "vendor", "-o"]).arg(&out.0);
    // The last line is what is wrong in `tool.py`, not where in componentize-py it was noticed.
    command.env("RUST_BACKTRACE", "0");
    ran(project, &mut command, NO_COMPONENTIZE_PY, PYTHON_FAILED)?;
    load::component(&out.0)
}

const NO_COMPONENTIZE_PY: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";

const PYTHON_FAILED: &str = "the last line of the traceback says what to mend. A module that it does not find is a package in pure \
                             Python: put its name into requirements.txt, then .venv/bin/pip install -r requirements.txt";

/// SpiderMonkey with the tool inside, by componentize-js.
fn javascript(project: &Project) -> Result<Vec<u8>, Failure> {
    let out = Unfinished::in_project(project);
    let mut node = Command::new("node");
    node.arg("vendor/build.mjs").arg(&out.0);
    ran(project, &mut node, "install Node.js 20 or newer, then: npm install", "mend what it names")?;
    load::component(&out.0)
}

/// A component without its manifest, which nobody must take for the tool; gone when it is read.
struct Unfinished(PathBuf);

impl Unfinished {
    fn in_project(project: &Project) -> Self {
        Self(project.folder.join(format!(".{}.unfinished.wasm", project.manifest.name)))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It may never have been written.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Runs a program in the project's folder to its end; what it prints to stderr goes to ours.
fn ran(
    project: &Project,
    command: &mut Command,
    missing: &'static str,
    failing: &'static str,
) -> Result<Output, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.current_dir(&project.folder).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = match output {
        Ok(output) if output.status.success() => return Ok(output),
        Ok(output) => output,
        Err(source) if source.kind() == ErrorKind::NotFound => {
            return Err(Failure::usage(BuilderError::NoProgram { program, help: missing }));
        }
        Err(source) => return Err(Failure::usage(BuilderError::NotStarted { program, source })),
    };
    let words = std::iter::once(program).chain(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    let command = words.collect::<Vec<_>>().join(" ");
    Err(Failure::usage(BuilderError::Failed { command, status: output.status, help: failing }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_one_of_the_projects_own_package() {
        let messages =
            br#"{"reason":"compiler-artifact","manifest_path":"/p/vendor/x/Cargo.toml","filenames":["/t/x.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/hello.rlib","/t/hello.wasm"]}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(built_by_cargo(messages, Path::new("/p/Cargo.toml")).unwrap(), Path::new("/t/hello.wasm"));
        let none = built_by_cargo(messages, Path::new("/q/Cargo.toml")).unwrap_err();
        assert!(format!("{none:?}").contains("cdylib"), "{none:?}");
    }
}
