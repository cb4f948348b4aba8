//! `outline`: CPython reads files through the gate, and no more than that.

use std::path::PathBuf;

use serde_json::json;
use tollgate_audit::verify;
use tollgate_workspace::foreign::missing;
use tollgate_workspace::small_group::SmallGroup;

use crate::project::{Project, installed, installed_or_missing, text};

const GRANT: &str = "fs:/docs=samples:read,list";

/// What the interpreter asks for before the tool runs.
const START: [(&str, &str); 2] =
    [("wasi:cli/environment.get-environment", "empty"), ("wasi:cli/environment.get-arguments", "empty")];

pub(crate) fn a_tool_in_python((): ()) {
    with(installed("venv/bin/componentize-py").and(installed("venv")));
}

/// In small containers. To compile the interpreter takes more than 200 MiB, which is said; with a part of a CPU it is compiled and
/// installed; then 200 MiB are enough to call it. What `tollgate build` compiled is not there: the place of tools is another one.
pub(crate) fn a_tool_on_a_small_machine((): ()) {
    let Some(environment) = installed_or_missing("venv/bin/componentize-py").and(installed("venv")) else { return };
    let Some(little_memory) = SmallGroup::of_memory("python-memory", 200 << 20) else { return };
    let Some(slow) = SmallGroup::of_cpu("python-cpu", CPU_THOUSANDTHS) else { return };
    let both = SmallGroup::of_cpu_and_memory("python", CPU_THOUSANDTHS, 200 << 20).expect("each can be made");
    let outline = Project::build("outline", (".venv", &environment));
    let around = tempfile::tempdir().expect("a folder");
    let ledger = around.path().join("ledger");
    let run_in = |group: &SmallGroup, args: &[&str]| {
        let mut command = outline.command(args);
        command.env("TOLLGATE_HOME", around.path()).env("TOLLGATE_LEDGER", &ledger);
        group.hold(&mut command);
        let output = command.output().expect("this program");
        (output.status.code(), text(&output.stdout).into_owned(), text(&output.stderr).into_owned())
    };
    let (code, _, said) = run_in(&little_memory, &["install", "outline.wasm"]);
    assert_eq!(code, Some(2), "{said}");
    for words in ["the kernel killed the compiler for want of memory", "200 MiB of memory", "a Python interpreter"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("author") && !around.path().join("tools/outline").exists(), "{said}");
    let (code, installed, said) = run_in(&slow, &["install", "outline.wasm"]);
    assert!(code == Some(0) && installed.starts_with("installed outline "), "{installed}{said}");
    let call = ["run", "outline", "--op", "outline-file", "--input", GUIDE, "--grant", GRANT];
    let (code, answer, said) = run_in(&both, &call);
    assert_eq!((code, said.as_str()), (Some(0), ""), "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["headings"].as_array().map(Vec::len), Some(3), "{answer}");
    assert!(verify(&ledger, None).expect("a ledger").is_clean());
}

/// With a fifth, as such containers have, compiling the interpreter takes more than a minute.
const CPU_THOUSANDTHS: u32 = 500;

const GUIDE: &str = r#"{"path": "/docs/guide.md", "depth": 2}"#;

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
