//! Tools from other languages: the example tools in Python and JavaScript are built by `tollgate build` with their
//! languages' own tools, and run behind the gate in sealed workers like any other: manifest, grants, caps, ledger.
//!
//! `.ci/run` installs what they need into `target/languages`. Where it is not there, a line says SKIPPED and the rest goes on; in
//! CI that is a failure.
//! No test here may need the network.
//!
//! This program is `tollgate` as well, so that it has no harness: what it starts itself as must have one thread.

#![allow(clippy::disallowed_methods, reason = "starts itself, and the languages' own test runners")]

mod javascript;
mod library;
mod project;
mod python;
mod unit_tests;

use std::process::{Command, ExitCode};

use tollgate_workspace::own_main::{self, Test};

const TESTS: [Test<()>; 8] = [
    ("what_is_missing_fails_in_ci_and_is_passed_over_elsewhere", what_is_missing_fails_in_ci),
    ("unit_tests", unit_tests::all),
    ("python", python::a_tool_in_python),
    ("python_on_a_small_machine", python::a_tool_on_a_small_machine),
    ("javascript", javascript::a_tool_in_javascript),
    ("http", javascript::http_is_linked_and_denied),
    ("library_of_python", library::of_python),
    ("library_of_javascript", library::of_javascript),
];

/// The commands of `tollgate` that the tests give, and those that it gives itself; all with a word after it, which the
/// name of a test has not.
const COMMANDS: [&str; 6] = ["build", "install", "run", "compile", "notary", "worker"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let [command, _, ..] = words[..]
        && COMMANDS.contains(&command)
    {
        return tollgate_cli::main();
    }
    match words[..] {
        [WITHOUT, "python"] => python::with(None),
        [WITHOUT, "javascript"] => javascript::with(None),
        [WITHOUT, "runners"] => unit_tests::all(()),
        _ => return own_main::run(&TESTS, &words, || ()),
    }
    ExitCode::SUCCESS
}

/// The first argument of this program where it tests a language of which nothing is installed.
const WITHOUT: &str = "role-without";

fn what_is_missing_fails_in_ci((): ()) {
    for (language, what, log) in [
        ("python", "componentize-py", "target/pip-languages.log"),
        ("javascript", "componentize-js", "target/npm.log"),
        ("runners", "`python3`", "target/pip-languages.log"),
    ] {
        for (ci, passes) in [("true", false), ("1", false), ("false", true), ("", true)] {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args([WITHOUT, language]).env("CI", ci).env_remove("TOLLGATE_SKIPPED").env("PATH", "/nonexistent");
            let output = command.output().expect("this program");
            let said = project::text(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.success(), passes, "{language} CI={ci}: {said}");
            assert!(said.contains(what), "{language} CI={ci}: {said}");
            assert_eq!((said.contains("SKIPPED"), said.contains(log)), (passes, !passes), "{language} CI={ci}: {said}");
        }
    }
}
