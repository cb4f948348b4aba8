//! The other example tools, each with one more capability. Must leave no tool out that `example-tools/README.md` lists, but
//! word-count, which the rest of the demo is about.

use std::fs;

use super::indented;
use super::stage::{Promise, Stage};
use crate::{Result, cargo, is_ci};

/// What the operator adds for the note book: only a file can name a quota.
const NOTES: &str = r#"
[tools.note-book]
fs."/notes" = { host = "notes", access = ["read", "write", "create"], quota = "100B" }
"#;

pub(super) fn tools(stage: &mut Stage) -> Result<()> {
    computing(stage)?;
    reading(stage)?;
    writing(stage)?;
    guessing(stage)?;
    other_languages(stage)
}

/// No capability at all.
fn computing(stage: &mut Stage) -> Result<()> {
    stage.show(&Promise {
        title: "echo: the smallest tool",
        look: "A function of one line, and what the SDK makes of it.",
        args: &["run", "tools/echo.wasm", "--input", r#"{"text": "hello"}"#],
        exit: 0,
        says: &["\"hello\"\n"],
    })?;
    let input = r#"{"document": {"items": [{"name": "pen", "price": 24}, {"name": "ink", "price": 4}]}, "expression": "items[?price > `10`].name"}"#;
    stage.show(&Promise {
        title: "json-query: what only computes needs no grant",
        look: "JMESPath over a document that the agent brings.",
        args: &["run", "tools/json-query.wasm", "--op", "search", "--input", input],
        exit: 0,
        says: &[r#"{"value":["pen"]}"#],
    })?;
    Ok(())
}

/// A folder to read.
fn reading(stage: &mut Stage) -> Result<()> {
    stage.show(&Promise {
        title: "csv-stats: a table of any length in 16 MiB",
        look: "Figures per column; for hundreds of megabytes the operator raises fuel and deadline, nobody else can.",
        args: &[
            "run",
            "tools/csv-stats.wasm",
            "--input",
            r#"{"path": "/data/fruit.csv"}"#,
            "--grant",
            "fs:/data=data:read",
            "--grant",
            "limit:fuel=50000000000",
        ],
        exit: 0,
        says: &[r#""rows":8"#, r#""name":"grams","empty":1,"numbers":{"count":7,"min":5.0,"max":1800.0,"mean":371.0,"#],
    })?;
    stage.show(&Promise {
        title: "text-diff: two files of a folder",
        look: "A unified diff, and how many lines are new.",
        args: &[
            "run",
            "tools/text-diff.wasm",
            "--op",
            "diff-files",
            "--input",
            r#"{"before": "/texts/draft.txt", "after": "/texts/final.txt"}"#,
            "--grant",
            "fs:/texts=data:read",
        ],
        exit: 0,
        says: &[
            r#"{"diff":"--- /texts/draft.txt\n+++ /texts/final.txt\n@@ "#,
            r#""added":2,"removed":1,"unchanged":4"#,
        ],
    })?;
    Ok(())
}

/// A folder to write, up to a quota.
fn writing(stage: &mut Stage) -> Result<()> {
    let policy = stage.folder().join("tollgate.toml");
    fs::write(&policy, fs::read_to_string(&policy)? + NOTES)?;
    stage.tell(&format!(
        "The operator adds a folder to write to tollgate.toml, 100 bytes in a call; a new file would cost over 4 KiB of them:\n\n{}",
        indented(NOTES.trim_start())
    ));
    stage.show(&Promise {
        title: "note-book: notes that stay",
        look: "Each note is a line of notes/notes.jsonl.",
        args: &[
            "run",
            "tools/note-book.wasm",
            "--op",
            "append",
            "--input",
            r#"{"notes": [{"text": "water the plants", "tag": "home"}]}"#,
        ],
        exit: 0,
        says: &[r#"{"numbers":[1]}"#],
    })?;
    stage.show(&Promise {
        title: "note-book: the quota on writing",
        look: "The first note fits, the second would take byte 101: it is denied whole, and what was written before it stays.",
        args: &[
            "run",
            "tools/note-book.wasm",
            "--op",
            "append",
            "--input",
            r#"{"notes": [{"text": "call Ada about the engine"}, {"text": "and a note too many, which is denied"}]}"#,
        ],
        exit: 3,
        says: &["denied by policy", "fs:/notes:quota"],
    })?;
    let notes = fs::read_to_string(stage.folder().join("notes/notes.jsonl"))?;
    if notes.lines().count() != 2 || !notes.ends_with("\"call Ada about the engine\"}\n") {
        return Err(format!("the note book should hold two notes, and holds:\n{notes}").into());
    }
    Ok(())
}

/// Randomness and time.
fn guessing(stage: &mut Stage) -> Result<()> {
    let roll =
        ["run", "tools/dice.wasm", "--input", r#"{"expression": "3d6+2"}"#, "--grant", "random=seed:42"].as_slice();
    let rolled = stage.show(&Promise {
        title: "dice: rolls that an auditor can repeat",
        look: "The numbers come from the seed that was granted; `random=secure` would make them unguessable.",
        args: roll,
        exit: 0,
        says: &[r#"{"expression":"3d6+2","total":"#],
    })?;
    stage.show(&Promise {
        title: "dice: the same again",
        look: "Another process, the same seed, the same dice.",
        args: roll,
        exit: 0,
        says: &[rolled.lines().next().unwrap_or_default()],
    })?;
    stage.show(&Promise {
        title: "clock: time that stands still",
        look: "A thousand looks at a frozen clock, and not one tick: nothing to measure others by.",
        args: &[
            "run",
            "tools/clock.wasm",
            "--op",
            "watch",
            "--input",
            r#"{"readings": 1000}"#,
            "--grant",
            "clock:wall=frozen",
        ],
        exit: 0,
        says: &[r#""ticks":0"#],
    })?;
    Ok(())
}

/// Tools with an interpreter of their own inside.
fn other_languages(stage: &mut Stage) -> Result<()> {
    if is_there(stage, "outline", "pip-languages.log")? {
        stage.show(&Promise {
            title: "outline: a tool in Python",
            look: "CPython behind the same gate: the headings of the Markdown files in a folder, and of nothing else.",
            args: &["run", "tools/outline.wasm", "--op", "outline", "--grant", "fs:/docs=data:read,list"],
            exit: 0,
            says: &[r#""path": "/docs/"#],
        })?;
    }
    if is_there(stage, "fill-in", "npm.log")? {
        let input = r#"{"template": "Dear {{name}}, {{greeting}}", "values": {"name": "Ada"}}"#;
        stage.show(&Promise {
            title: "fill-in: a tool in JavaScript",
            look: "SpiderMonkey behind the same gate; it only computes, so nothing is granted.",
            args: &["run", "tools/fill-in.wasm", "--op", "fill", "--input", input],
            exit: 0,
            says: &["Dear Ada, "],
        })?;
    }
    Ok(())
}

/// Puts a component on stage that `tests/languages` has built, if it has. `log` says why its language's tools are missing.
fn is_there(stage: &Stage, name: &str, log: &str) -> Result<bool> {
    let built = cargo::built()?.with_file_name("tmp").join(format!("languages/{name}/{name}.wasm"));
    if !built.is_file() {
        stage.tell(&passed_over(name, log, is_ci())?);
        return Ok(false);
    }
    fs::copy(&built, stage.folder().join(format!("tools/{name}.wasm")))?;
    Ok(true)
}

/// What is said of a tool that is not shown because it is not built. In CI that is an error.
fn passed_over(name: &str, log: &str, is_ci: bool) -> Result<String> {
    let what = format!(
        "{name} is not built here; `cargo xtask test` does so where `.ci/run` could install its language's tools: if it could \
         not, target/{log} says why"
    );
    if is_ci {
        Err(format!("with CI set no tool is passed over: {what}").into())
    } else {
        Ok(format!("SKIPPED: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_not_built_fails_in_ci_and_is_passed_over_elsewhere() {
        let refused = passed_over("fill-in", "npm.log", true).unwrap_err().to_string();
        assert!(refused.contains("fill-in is not built here") && refused.contains("target/npm.log"), "{refused}");
        assert!(passed_over("fill-in", "npm.log", false).unwrap().starts_with("SKIPPED: fill-in"));
    }
}
