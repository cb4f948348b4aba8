//! `tollgate new`: writes a project that builds, from templates that this program brings, with the SDK it was built with.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::json;
use tollgate_config::{NameError, ToolName};

use super::sdk;
use crate::args::NewArgs;
use crate::cause::{Place, advice};
use crate::exit::{Exit, Failure};
use crate::language::Language;
use crate::output;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum NewError {
    #[error("`{name}` cannot be the name of a tool")]
    #[diagnostic(help("take lower-case letters, digits and dashes, such as word-count"))]
    NoName { name: String, source: NameError },
    #[error("`{}` is there already", folder.display())]
    #[diagnostic(help("nothing was written; take another name, or remove it"))]
    Present { folder: PathBuf },
    #[error("`{}` cannot be written", path.display())]
    #[diagnostic(help("{help}; what was written is in the new folder"))]
    NotWritten { path: PathBuf, help: String, source: std::io::Error },
}

/// A file of a project: its path there, and its text, in which `{{name}}` stands for the tool's name.
type Template = (&'static str, &'static str);

macro_rules! templates {
    ($folder:literal: $($path:literal = $file:literal)*) => {
        &[$(($path, include_str!(concat!("../../templates/", $folder, "/", $file)))),*]
    };
}

const RUST: &[Template] = templates!["rust":
    ".gitignore" = "gitignore"
    "Cargo.toml" = "Cargo.toml.in"
    "README.md" = "README.md"
    "src/lib.rs" = "src/lib.rs"
    "tool.toml" = "tool.toml"
];

const PYTHON: &[Template] = templates!["python":
    ".gitignore" = "gitignore"
    "README.md" = "README.md"
    "requirements.txt" = "requirements.txt"
    "test_tool.py" = "test_tool.py"
    "tool.py" = "tool.py"
    "tool.toml" = "tool.toml"
];

const JAVASCRIPT: &[Template] = templates!["javascript":
    ".gitignore" = "gitignore"
    "README.md" = "README.md"
    "package.json" = "package.json"
    "test/tool.test.js" = "test/tool.test.js"
    "tool.js" = "tool.js"
    "tool.toml" = "tool.toml"
];

pub(crate) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let name: ToolName = args
        .name
        .parse()
        .map_err(|source| Failure::usage(NewError::NoName { name: output::one_line(&args.name), source }))?;
    let folder = PathBuf::from(name.as_str());
    make(&folder)?;
    let templates = match args.lang {
        Language::Rust => RUST,
        Language::Python => PYTHON,
        Language::Javascript => JAVASCRIPT,
    };
    for (path, text) in templates {
        write(&folder.join(path), &text.replace("{{name}}", name.as_str()))?;
    }
    for (path, text) in sdk::files(args.lang)? {
        write(&folder.join("vendor").join(path), &text)?;
    }
    output::print(&if args.json {
        format!("{}\n", json!({ "ok": true, "name": name.as_str(), "folder": folder }))
    } else {
        made(&name, args.lang)
    })?;
    Ok(Exit::Success)
}

fn made(name: &ToolName, language: Language) -> String {
    let (what, install) = match language {
        Language::Rust => ("Rust", ""),
        Language::Python => ("Python", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "),
        Language::Javascript => ("JavaScript", "npm install && "),
    };
    let input = r#"'{"name": "Ada"}'"#;
    format!(
        "made {name}: a {what} tool\n  build and run it, again on each change\n  \
         cd {name} && {install}tollgate dev --op greet --input {input}\n"
    )
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir(folder).map_err(|source| {
        if source.kind() == ErrorKind::AlreadyExists {
            return Failure::usage(NewError::Present { folder: folder.to_owned() });
        }
        not_written(folder, source)
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.map_err(|source| not_written(path, source))
}

fn not_written(path: &Path, source: std::io::Error) -> Failure {
    let help = advice(&source, Place::PROJECT);
    Failure::usage(NewError::NotWritten { path: path.to_owned(), help, source })
}
