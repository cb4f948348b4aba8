//! `outline`: CPython reads files through the gate, and no more than that.

use std::path::PathBuf;

use serde_json::json;
use tollgate_workspace::foreign::missing;

use crate::project::{Project, installed};

const GRANT: &str = "fs:/docs=samples:read,list";

/// What the interpreter asks for before the tool runs.
const START: [(&str, &str); 2] =
    [("wasi:cli/environment.get-environment", "empty"), ("wasi:cli/environment.get-arguments", "empty")];

pub(crate) fn a_tool_in_python((): ()) {
    with(installed("venv/bin/componentize-py").and(installed("venv")));
}

/// With the environment that has componentize-py, where there is one.
pub(crate) fn with(environment: Option<PathBuf>) {
    let Some(environment) = environment else {
        return missing("componentize-py in target/languages/venv", "pip-languages.log");
    };
    let outline = Project::build("outline", (".venv", &environment));
    reads_what_is_granted(&outline);
    is_denied_the_rest(&outline);
    is_stopped_by_its_caps(&outline);
    says_what_went_wrong(&outline);
}

fn reads_what_is_granted(outline: &Project) {
    let said = outline.run("outline", &json!({ "depth": 2 }), &[GRANT]);
    let heading = |level, title, line| json!({ "level": level, "title": title, "line": line });
    let expected = json!([
        { "path": "/docs/guide.md", "headings": [
            heading(1, "Keeping bees", 1), heading(2, "The hive", 5), heading(2, "The year", 14),
        ] },
        { "path": "/docs/more/notes.markdown", "headings": [heading(1, "Notes", 1)] },
    ]);
    assert_eq!(said.answer(), &expected);
    let intents = said.intents();
    assert_eq!(intents[..2], START);
    let rules: Vec<&str> = intents[2..].iter().map(|(_, rule)| *rule).collect();
    assert_eq!(rules, ["fs:/docs", "fs:/docs:list", "fs:/docs:list", "fs:/docs:read", "fs:/docs:read"]);
}

fn is_denied_the_rest(outline: &Project) {
    let said = outline.run("outline", &json!({}), &[]);
    assert_eq!((said.exit, said.entries.len()), (2, 0), "{}", said.json);
    assert!(said.json.to_string().contains("fs:/docs"), "{}", said.json);

    let said = outline.run("outline-file", &json!({ "path": "/docs/../tool.toml" }), &[GRANT]);
    assert_eq!((said.exit, said.json["error"]["rule"].as_str()), (3, Some("fs:/docs:beneath")), "{}", said.json);

    let said = outline.run("outline-file", &json!({ "path": "/docs/guide.md" }), &["fs:/docs=samples:list"]);
    assert_eq!((said.exit, said.json["error"]["rule"].as_str()), (3, Some("fs:/docs:read")), "{}", said.json);
    let opened = said.entries.iter().filter(|entry| matches!(entry, tollgate_audit::Entry::Outcome(_))).count();
    assert_eq!(opened, 5, "start twice, and the folder: {:?}", said.entries);
}

fn is_stopped_by_its_caps(outline: &Project) {
    outline.write("large/lines.md", &"# x\n".repeat(500_000));
    outline.write("large/line.md", &"x".repeat(8 << 20));
    let grant = "fs:/docs=large:read,list";
    let lines = outline.run("outline-file", &json!({ "path": "/docs/lines.md" }), &[grant]);
    assert_eq!(lines.cap(), "fuel");
    let line = outline.run("outline-file", &json!({ "path": "/docs/line.md" }), &[grant, "limit:memory=16MiB"]);
    assert_eq!(line.cap(), "memory");
}

fn says_what_went_wrong(outline: &Project) {
    let refused =
        |path: &str, depth: i32| outline.run("outline-file", &json!({ "path": path, "depth": depth }), &[GRANT]);
    let said = refused("/docs/none.md", 1);
    assert_eq!(said.refusal(), ("not-found", "No such file or directory: /docs/none.md"));
    let said = refused("/docs/guide.md", 7);
    assert_eq!(said.refusal(), ("invalid-arguments", "at depth: Markdown has the levels 1 to 6, not 7"));
    let said = refused("/docs/\0", 1);
    let (code, message) = said.refusal();
    assert_eq!(code, "exception");
    assert!(message.starts_with("ValueError: embedded null byte (at tool.py:"), "{message}");
}
