//! Tools from other languages: the example tools in Python and JavaScript are built by `tollgate build` with their
//! languages' own tools, and run behind the gate in sealed hosts like any other: manifest, grants, caps, ledger.
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

use std::process::ExitCode;

use tollgate_workspace::own_main::{self, Test};

const TESTS: [Test<()>; 6] = [
    ("unit_tests", unit_tests::all),
    ("python", python::a_tool_in_python),
    ("javascript", javascript::a_tool_in_javascript),
    ("http", javascript::http_is_linked_and_denied),
    ("library_of_python", library::of_python),
    ("library_of_javascript", library::of_javascript),
];

/// The commands of `tollgate` that the tests give, and those that it gives itself; all with a word after it, which the
/// name of a test has not.
const COMMANDS: [&str; 5] = ["build", "run", "compile", "notary", "host"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let [command, _, ..] = words[..]
        && COMMANDS.contains(&command)
    {
        return tollgate::cli::main();
    }
    own_main::run(&TESTS, &words, || ())
}
