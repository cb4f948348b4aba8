//! What a new user reads to write a tool, done as it stands in an empty folder outside this repository: the README's section, and
//! the author's guide. A block that begins with a comment of a path is that file.

use std::fs;
use std::path::Path;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::Desk;
use crate::required::missing;

#[test]
fn a_new_user_writes_a_tool_by_the_readme_alone() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with("Write a tool\n")).unwrap();
    let (rust, python) = section.split_once("\nThe same in Python").unwrap();
    let desk = Desk::empty();
    follow(&desk, rust);
    if let Some(installed) = python_environment() {
        let project = desk.path("first-line-py");
        follow_with(&desk, python, |line| {
            // What this installs is installed already; a test uses no network.
            let installs = line.starts_with("cd first-line-py && python3 -m venv .venv");
            if installs {
                std::os::unix::fs::symlink(&installed, project.join(".venv")).unwrap();
            }
            !installs
        });
    } else {
        missing("componentize-py in target/languages/venv, for the README's tool in Python,", "pip-languages.log");
    }
}

#[test]
fn the_authors_guide_is_true() {
    follow(&Desk::empty(), include_str!("../../../docs/tools.md"));
}

/// Where `.ci/run` puts componentize-py.
fn python_environment() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages/venv");
    folder.join("bin/componentize-py").is_file().then(|| fs::canonicalize(folder).unwrap())
}

fn follow(desk: &Desk, page: &str) {
    follow_with(desk, page, |_line| true);
}

/// Writes the files and runs the commands of a page in their order; `runs` says which commands.
fn follow_with(desk: &Desk, page: &str, runs: impl Fn(&str) -> bool) {
    let mut asked_for = Vec::new();
    for (language, block) in blocks(page) {
        if language != "console" {
            let comment = block.lines().next().unwrap();
            let path = comment.trim_start_matches(['#', '/', ' ']);
            if path == "tollgate.toml" {
                grants_what_was_asked_for(block, &asked_for);
            }
            desk.file(path, block);
            continue;
        }
        for (line, wanted) in commands(block).into_iter().filter(|(line, _)| runs(line)) {
            let said = assert_prints(desk, line, wanted, "the guide");
            if let Some((_, help)) = said.split_once("add to tollgate.toml, in the tables that are there already:\n\n")
            {
                asked_for =
                    help.lines().take_while(|line| !line.is_empty()).map(|line| line.trim().to_owned()).collect();
            }
        }
    }
}

/// What the page grants is what the error printed, with a folder in the place of `PATH`.
fn grants_what_was_asked_for(policy: &str, asked_for: &[String]) {
    assert!(asked_for.len() > 1, "nothing was denied before it is granted: {policy}");
    for line in asked_for {
        let (start, end) = line.split_once("PATH").unwrap_or((line, ""));
        let is_there = policy.lines().any(|granted| granted.starts_with(start) && granted.ends_with(end));
        assert!(is_there, "{line:?} is not in:\n{policy}");
    }
}
