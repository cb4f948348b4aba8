//! The folder of one attack: a home of its own, a project to work in, the hostile tool, and secrets around them. Must never
//! touch anything outside it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use super::machine;
use super::ran::Ran;
use super::stage::{Stage, copy_tree};
use crate::Result;

/// All rights to a folder.
pub(super) const ALL: &str = "read,write,create,delete,list,metadata";

/// ```text
/// home/{state,data,cache,config,run}  what the XDG variables name
/// project/                         where commands run
/// tools/hostile.wasm
/// secret/key.txt                   what no tool may see
/// ```
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    folder: PathBuf,
}

/// What stands in `secret/key.txt`, and in the environment as `SECRET`.
pub(super) const SECRET: &str = "swordfish-9f2c";

impl<'a> Scene<'a> {
    pub(super) fn new(stage: &'a Stage) -> Result<Self> {
        let scene = Self { stage, folder: stage.next_folder() };
        for folder in ["home/state", "home/data", "home/cache", "home/config", "home/run", "project", "tools", "secret"]
        {
            fs::create_dir_all(scene.path(folder))?;
        }
        if stage.seed().is_dir() {
            copy_tree(&stage.seed(), &scene.path("home"))?;
        }
        fs::copy(&stage.hostile, scene.path("tools/hostile.wasm"))?;
        scene.file("secret/key.txt", SECRET)?;
        Ok(scene)
    }

    /// Runs the hostile tool once; from then on each scene begins with a copy of what was compiled, and of its key.
    pub(super) fn compile_once(stage: &'a Stage) -> Result<()> {
        let scene = Self::new(stage)?;
        scene.hostile(&[], &json!([]))?.all_done()?;
        fs::create_dir_all(stage.seed().join("state/tollgate"))?;
        copy_tree(&scene.path("home/cache"), &stage.seed().join("cache"))?;
        fs::copy(scene.path("home/state/tollgate/artifact.key"), stage.seed().join("state/tollgate/artifact.key"))?;
        Ok(())
    }

    /// A place in the scene, by its path below the scene's folder.
    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// As [`Scene::path`], as text.
    pub(super) fn place(&self, below: &str) -> String {
        self.path(below).display().to_string()
    }

    /// Makes a folder, and those it is in.
    pub(super) fn dir(&self, below: &str) -> Result<()> {
        fs::create_dir_all(self.path(below)).map_err(|error| format!("cannot make `{below}`: {error}").into())
    }

    /// Makes or replaces a file, of mode 644 and in folders that are made.
    pub(super) fn file(&self, below: &str, text: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(below);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).map_err(|error| format!("cannot write `{below}`: {error}"))?;
        self.mode(below, 0o644)
    }

    pub(super) fn mode(&self, below: &str, mode: u32) -> Result<()> {
        Ok(fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode))?)
    }

    /// Makes a symbolic link at `below`.
    pub(super) fn link(&self, text: &str, below: &str) -> Result<()> {
        let path = self.path(below);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        std::os::unix::fs::symlink(text, path).map_err(|error| format!("cannot link `{below}`: {error}").into())
    }

    /// What a file holds, if it is there.
    pub(super) fn text(&self, below: &str) -> Option<String> {
        fs::read(self.path(below)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether something stands there, a link that leads nowhere too.
    pub(super) fn is_there(&self, below: &str) -> bool {
        self.path(below).symlink_metadata().is_ok()
    }

    /// The digest of a file, as policies write it.
    pub(super) fn digest(&self, below: &str) -> Result<String> {
        let mut command = Command::new("sha256sum");
        command.arg(self.path(below));
        let said = machine::run(command)?.done()?.out;
        Ok(format!("sha256:{}", said.split_whitespace().next().unwrap_or_default()))
    }

    /// A program in the project's folder, with nothing of this process's environment but `PATH`.
    pub(super) fn command(&self, program: impl AsRef<Path>, args: &[&str]) -> Command {
        let mut command = Command::new(program.as_ref());
        command.args(args).current_dir(self.path("project")).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("SECRET", SECRET);
        for (variable, folder) in [
            ("XDG_STATE_HOME", "home/state"),
            ("XDG_DATA_HOME", "home/data"),
            ("XDG_CACHE_HOME", "home/cache"),
            ("XDG_CONFIG_HOME", "home/config"),
            ("XDG_RUNTIME_DIR", "home/run"),
        ] {
            command.env(variable, self.path(folder));
        }
        command
    }

    /// `tollgate ARGS`, to the end.
    pub(super) fn tollgate(&self, args: &[&str]) -> Result<Ran> {
        machine::run(self.command(&self.stage.tollgate, args))
    }

    /// `tollgate-verify ARGS`, to the end.
    pub(super) fn verify(&self, args: &[&str]) -> Result<Ran> {
        machine::run(self.command(&self.stage.verify, args))
    }

    /// Runs the hostile tool by its path, with steps.
    pub(super) fn hostile(&self, options: &[&str], steps: &Value) -> Result<Ran> {
        self.tool("../tools/hostile.wasm", options, &json!({ "steps": steps }))
    }

    /// Runs a tool with an input.
    pub(super) fn tool(&self, tool: &str, options: &[&str], input: &Value) -> Result<Ran> {
        machine::run(self.tool_command(tool, options, input)?)
    }

    /// As [`Scene::tool`], not started.
    pub(super) fn tool_command(&self, tool: &str, options: &[&str], input: &Value) -> Result<Command> {
        let file = self.path("input.json");
        fs::write(&file, input.to_string())?;
        let input = format!("@{}", file.display());
        let args = [&["run", tool, "--input", &input], options].concat();
        Ok(self.command(&self.stage.tollgate, &args))
    }
}

/// `--grant` of a folder with all rights.
pub(super) fn all_of(guest: &str, host: &str) -> String {
    format!("fs:{guest}={host}:{ALL}")
}
