//! The examples of the README's sections on tools and audit, run as they stand.

use std::process::{Command, Stdio};

use crate::desk::Desk;

#[test]
fn the_examples_of_the_audit_section_are_true() {
    examples_are_true("Audit\n", 13);
}

#[test]
fn the_examples_of_the_section_on_tools_are_true() {
    examples_are_true("Install a tool\n", 4);
}

/// Runs the examples of a section, of which there must be some.
#[track_caller]
fn examples_are_true(title: &str, examples_min: usize) {
    let desk = Desk::with("word-count");
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let blocks = section.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let examples: Vec<_> = blocks.flat_map(|block| block.split("$ ").skip(1)).collect();
    assert!(examples.len() >= examples_min, "{}", examples.len());
    for example in examples {
        let (line, wanted) = example.split_once('\n').unwrap();
        let call = if desk.path("ledger").exists() { desk.call_of("count") } else { String::new() };
        compare(&shell(&desk, line, &call), wanted);
    }
}

/// What a shell prints to stdout for the command.
fn shell(desk: &Desk, line: &str, call: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tollgate"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(desk.path("")).env("PATH", path).env("CALL", call);
    command.env("TOLLGATE_HOME", desk.path("tollgate-home"));
    let output = command.env("TOLLGATE_LEDGER", "ledger").stdin(Stdio::null()).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `…` stands for any text, and on a line of its own for any lines.
#[track_caller]
fn compare(said: &str, wanted: &str) {
    let mut said_lines = said.lines();
    let mut skips = false;
    for wanted in wanted.lines() {
        if wanted == "…" {
            skips = true;
            continue;
        }
        let fits = |line: &&str| fits(line, wanted);
        let found = if skips { said_lines.find(fits) } else { said_lines.next().filter(fits) };
        // A line that begins with `…` may have others before it.
        let found = found.or_else(|| wanted.starts_with('…').then(|| said_lines.find(fits)).flatten());
        assert!(found.is_some(), "no line {wanted:?} in:\n{said}");
        skips = false;
    }
    assert!(skips || said_lines.next().is_none(), "more than the README says:\n{said}");
}

fn fits(line: &str, wanted: &str) -> bool {
    let Some((start, end)) = wanted.split_once('…') else { return line == wanted };
    let Some(mut rest) = line.strip_prefix(start) else { return false };
    let (middle, end) = end.rsplit_once('…').unwrap_or(("", end));
    for part in middle.split('…') {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(end)
}
