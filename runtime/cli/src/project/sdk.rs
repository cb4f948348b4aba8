//! The SDK's sources as this program brings them, so that a project builds with what runs it, and without a registry of ours.

use miette::Diagnostic;
use toml::{Table, Value};

use crate::exit::Failure;
use crate::language::Language;

/// A file of the SDK: its path below `vendor`, and its text.
pub(super) type SdkFile = (String, String);

/// Names the files of a folder of `guest-sdk`, each with its text.
macro_rules! sources {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("../../../../guest-sdk/", $path)))),*] };
}

const RUST: &[(&str, &str)] = sources![
    "README.md"
    "macros/src/docs.rs"
    "macros/src/expand.rs"
    "macros/src/function.rs"
    "macros/src/lib.rs"
    "macros/src/name.rs"
    "src/bindings.rs"
    "src/bindings/generated.rs"
    "src/context.rs"
    "src/dispatch.rs"
    "src/error.rs"
    "src/lib.rs"
    "src/logging.rs"
    "src/panic.rs"
    "src/raw.rs"
    "src/registry.rs"
    "src/schema.rs"
    "src/shim.rs"
    "src/typed.rs"
    "wit/tool.wit"
];

/// Manifests of the SDK's crates, which leave much to the workspace.
const MANIFESTS: &[(&str, &str)] = sources!["Cargo.toml" "macros/Cargo.toml"];
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// The world of a tool, of which other languages make their bindings themselves.
const WORLD: (&str, &str) = ("wit/tool.wit", include_str!("../../../../guest-sdk/wit/tool.wit"));

const PYTHON: &[(&str, &str)] =
    sources!["python/tollgate_component.py" "python/tollgate_guest.py" "python/tollgate_library.py"];

const JAVASCRIPT: &[(&str, &str)] = sources![
    "javascript/build.mjs"
    "javascript/component.js"
    "javascript/library.js"
    "javascript/tollgate-guest.js"
    "javascript/wit/deps/cli/cli.wit"
    "javascript/wit/deps/clocks/clocks.wit"
    "javascript/wit/deps/io/io.wit"
    "javascript/wit/javascript.wit"
];

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the SDK that this program brings is not sound: {what}")]
struct Unsound {
    what: String,
}

/// What stands below `vendor` in a project.
pub(super) fn files(language: Language) -> Result<Vec<SdkFile>, Failure> {
    match language {
        Language::Rust => rust(),
        Language::Python => Ok(with_world(PYTHON, "python/")),
        Language::Javascript => Ok(with_world(JAVASCRIPT, "javascript/")),
    }
}

/// The crate `tollgate-guest`.
fn rust() -> Result<Vec<SdkFile>, Failure> {
    let place = |path: &str| format!("tollgate-guest/{path}");
    let mut files: Vec<_> = RUST.iter().map(|(path, text)| (place(path), (*text).to_owned())).collect();
    for (path, text) in MANIFESTS {
        let whole = standalone(text, WORKSPACE).map_err(|what| Failure::internal_as(Unsound { what }))?;
        files.push((place(path), whole));
    }
    Ok(files)
}

fn with_world(sources: &[(&str, &str)], folder: &str) -> Vec<SdkFile> {
    let files = sources.iter().chain([&WORLD]);
    files.map(|(path, text)| (path.strip_prefix(folder).unwrap_or(path).to_owned(), (*text).to_owned())).collect()
}

/// The manifest of a crate with what it takes from its workspace written out, and without what only its own tests need.
fn standalone(manifest: &str, workspace: &str) -> Result<String, String> {
    let parse = |text: &str| text.parse::<Table>().map_err(|error| error.to_string());
    let (mut manifest, workspace) = (parse(manifest)?, parse(workspace)?);
    let shared = |section: &str| workspace.get("workspace").and_then(|table| table.get(section)?.as_table());
    for name in ["lints", "dev-dependencies"] {
        manifest.remove(name);
    }
    for (section, from) in [("package", "package"), ("dependencies", "dependencies")] {
        let Some(Value::Table(entries)) = manifest.get_mut(section) else { continue };
        for (name, value) in entries.iter_mut() {
            if !inherits(value) {
                continue;
            }
            let given = shared(from).and_then(|table| table.get(name));
            let given = given.ok_or_else(|| format!("the workspace does not say `{section}.{name}`"))?;
            *value = merged(given, value);
        }
    }
    toml::to_string(&manifest).map_err(|error| error.to_string())
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// What the workspace gives, with what the crate adds.
fn merged(given: &Value, own: &Value) -> Value {
    let added: Table = own
        .as_table()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "workspace")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if added.is_empty() {
        return given.clone();
    }
    let mut whole =
        given.as_table().cloned().unwrap_or_else(|| Table::from_iter([("version".to_owned(), given.clone())]));
    for (key, value) in added {
        match (whole.get_mut(&key), value) {
            (Some(Value::Array(there)), Value::Array(more)) => there.extend(more),
            (_, value) => drop(whole.insert(key, value)),
        }
    }
    Value::Table(whole)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_manifest_stands_without_its_workspace() {
        let workspace = "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\nserde = { version = \"1\", \
                         features = [\"derive\"] }\nlog = \"0.4\"\n";
        let manifest = "[package]\nname = \"x\"\nversion.workspace = true\n[lints]\nworkspace = true\n[dependencies]\n\
                        serde = { workspace = true, features = [\"rc\"] }\nlog.workspace = true\nown = { path = \"own\" }\n\
                        [dev-dependencies]\ny = \"1\"\n";
        let whole: Table = standalone(manifest, workspace).unwrap().parse().unwrap();
        let expected = "[package]\nname = \"x\"\nversion = \"1.2.3\"\n[dependencies]\nlog = \"0.4\"\nown = { path = \"own\" }\n\
                        serde = { version = \"1\", features = [\"derive\", \"rc\"] }\n";
        assert_eq!(whole, expected.parse().unwrap());
        let missing = standalone(manifest, "").unwrap_err();
        assert_eq!(missing, "the workspace does not say `package.version`");
    }

    /// A file that is left out is missed only by who makes a project.
    #[test]
    fn all_sources_of_the_sdk_are_brought() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
        let mut expected = BTreeSet::new();
        for folder in ["src", "macros/src", "wit", "python", "javascript"] {
            collect(&root, folder, &mut expected);
        }
        let all = [RUST, PYTHON, JAVASCRIPT].concat();
        let brought = all.iter().map(|(path, _)| (*path).to_owned()).filter(|path| path.contains('/')).collect();
        assert_eq!(expected, brought);
        for (path, text) in rust().unwrap().iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
            assert!(!text.contains("workspace"), "{path}");
        }
    }

    fn collect(root: &Path, folder: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            let is_test = path.contains("/test_") || path.contains(".test.");
            // Links are to the world, which every project gets.
            if kind.is_dir() && !path.contains("__pycache__") {
                collect(root, &path, found);
            } else if kind.is_file() && !is_test {
                found.insert(path);
            }
        }
    }
}
