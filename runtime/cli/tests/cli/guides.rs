//! What a new user reads, done as it stands in an empty folder outside this repository: the README, and the author's guide. A block that begins with a comment of a path is that file.

use std::fs;
use std::path::Path;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::Desk;
use tollgate_testing::foreign::missing;

/// From the two commands on that install `tollgate`: writing tools, installing one, and the audit of what they did.
#[test]
fn the_readme_works_as_typed_and_in_order_in_one_empty_folder() {
    let readme = include_str!("../../../../README.md");
    let (before, rest) = readme.split_once("\n## Write a tool\n").unwrap();
    let (page, _) = rest.split_once("\n## What a sealed worker cannot do\n").unwrap();
    assert!(["\n## Install a tool\n", "\n## Audit\n"].iter().all(|section| page.contains(section)));
    assert!(before.contains("\ncargo install --locked --path runtime/cli "));
    let (rust, after) = page.split_once("\nThe same in Python").unwrap();
    let (python, rest) = after.split_once("\nThe author's guide").unwrap();
    let desk = Desk::empty();
    // Assignments hold for the lines behind them. The desk's own ledger is not a new user's.
    let mut setup = "unset TOLLGATE_LEDGER\n".to_owned();
    setup.extend(before.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{line}\n")));
    assert!(setup.ends_with("\nexport TOLLGATE_HOME=$PWD/tollgate-home\n"), "{setup}");
    follow_with(&desk, rust, &mut setup, |_line| true);
    if let Some(installed) = python_environment() {
        let project = desk.path("first-line-py");
        follow_with(&desk, python, &mut setup, |line| {
            // What this installs is installed already; a test uses no network.
            let installs = line.starts_with("(cd first-line-py && python3 -m venv .venv");
            if installs {
                std::os::unix::fs::symlink(&installed, project.join(".venv")).unwrap();
            }
            !installs
        });
    } else {
        missing("componentize-py in target/languages/venv, for the README's tool in Python,", "pip-languages.log");
    }
    follow_with(&desk, rest, &mut setup, |_line| true);
    assert!(setup.contains("\nCALL="), "{setup}");
}

#[test]
fn the_authors_guide_is_true() {
    follow(&Desk::empty(), include_str!("../../../../docs/tools.md"));
}

/// Where `.ci/run` puts componentize-py.
fn python_environment() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/languages/venv");
    folder.join("bin/componentize-py").is_file().then(|| fs::canonicalize(folder).unwrap())
}

fn follow(desk: &Desk, page: &str) {
    follow_with(desk, page, &mut String::new(), |_line| true);
}

/// Writes the files and runs the commands of a page in their order; `runs` says which commands. `setup` stands before each, and
/// grows by what they assign.
fn follow_with(desk: &Desk, page: &str, setup: &mut String, runs: impl Fn(&str) -> bool) {
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
            let said = assert_prints(desk, &format!("{setup}{line}"), wanted, "the guide");
            if line.starts_with("CALL=") {
                setup.push_str(&format!("{line}\n"));
            }
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
