//! A copy of an example tool that is built and run as its author would, by the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tollgate_audit::{Entry, read, verify};
use tollgate_workspace::foreign;

/// A project in a folder of its own, built.
pub(crate) struct Project {
    folder: PathBuf,
    name: &'static str,
}

/// What a command said.
pub(crate) struct Said {
    pub(crate) exit: i32,
    /// What it printed with `--json`.
    pub(crate) json: Value,
    /// The entries of its ledger.
    pub(crate) entries: Vec<Entry<'static>>,
}

impl Project {
    /// Builds a copy of an example tool.
    pub(crate) fn build(name: &'static str, link: (&str, &Path)) -> Self {
        Self::build_from(&repository().join("example-tools").join(name), name, link)
    }

    /// Copies a tool, gives it what `link` names (a name in the project, what is installed), and builds it.
    pub(crate) fn build_from(source: &Path, name: &'static str, link: (&str, &Path)) -> Self {
        let folder = scratch().join(name);
        fs::remove_dir_all(&folder).or_else(absent).expect("a folder that can be emptied");
        copy(source, &folder);
        std::os::unix::fs::symlink(link.1, folder.join(link.0)).expect("a link");
        let project = Self { folder, name };
        let built = project.tollgate(&["build", "."]);
        assert!(built.status.success(), "{}{}", text(&built.stdout), text(&built.stderr));
        project
    }

    /// Runs an operation under grants, with a ledger of its own that must verify.
    pub(crate) fn run(&self, operation: &str, input: &Value, grants: &[&str]) -> Said {
        let ledger = tempfile::tempdir().expect("a folder");
        let path = ledger.path().join("ledger");
        let (component, input) = (format!("{}.wasm", self.name), input.to_string());
        let mut args = vec!["run", &component, "--json", "--op", operation, "--input", &input];
        args.extend(["--ledger", path.to_str().expect("UTF-8")]);
        args.extend(grants.iter().flat_map(|grant| ["--grant", grant]));
        let output = self.tollgate(&args);
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
        let entries = if path.exists() {
            assert!(verify(&path, None).expect("a ledger").is_clean());
            read(&path).expect("a ledger").map(|entry| entry.expect("an entry").1).collect()
        } else {
            Vec::new()
        };
        Said { exit: output.status.code().expect("an exit code"), json, entries }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// Creates a file in the project.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// This program as `tollgate`, in the project's folder. What it compiles is kept for the commands that follow.
    fn tollgate(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("this program")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(args).current_dir(&self.folder).env("TOLLGATE_HOME", scratch().join("home"));
        command.env_remove("TOLLGATE_LEDGER");
        command
    }
}

impl Said {
    /// What the tool answered.
    pub(crate) fn answer(&self) -> &Value {
        assert_eq!(self.exit, 0, "{}", self.json);
        &self.json["output"]
    }

    /// The tool's own refusal.
    pub(crate) fn refusal(&self) -> (&str, &str) {
        let error = &self.json["error"];
        assert_eq!((self.exit, error["kind"].as_str()), (1, Some("tool")), "{}", self.json);
        (error["code"].as_str().expect("a code"), error["message"].as_str().expect("a message"))
    }

    /// Of which cap the call died.
    pub(crate) fn cap(&self) -> &str {
        assert_eq!(self.exit, 4, "{}", self.json);
        self.json["error"]["cap"].as_str().unwrap_or_else(|| panic!("{}", self.json))
    }

    /// The function and the rule of each intent of the call itself, without those of describing.
    pub(crate) fn intents(&self) -> Vec<(&str, &str)> {
        let intents = self.entries.iter().filter_map(|entry| match entry {
            Entry::Intent(intent) if intent.call.count() > 0 => Some(intent),
            _ => None,
        });
        intents.map(|intent| (intent.function.as_str(), intent.rule.as_str())).collect()
    }
}

/// Where `.ci/run` installs what other languages need. In CI it must be there.
pub(crate) fn installed_or_missing(path: &str) -> Option<PathBuf> {
    let place = installed(path);
    if place.is_none() {
        let log = if path.starts_with("js") { "npm.log" } else { "pip-languages.log" };
        foreign::missing(&format!("target/languages/{path}"), log);
    }
    place
}

/// The same, for who says by itself what is missing.
pub(crate) fn installed(path: &str) -> Option<PathBuf> {
    let place = repository().join("target/languages").join(path);
    place.exists().then_some(place)
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of these tests, the same in each run so that it does not grow.
pub(crate) fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages")
}

/// Copies a folder, with what its links lead to.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file");
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
