//! The harness of test programs with a main function of their own: their processes act as `tollgate` does, or are sealed, and
//! such a process must have one thread. So each test runs on the main thread, one after the other. Benches take the roles alone.
//!
//! It takes what libtest takes where that means something here: several filters, `--exact`, `--skip`, `--list`. Nothing
//! is captured, as with `--nocapture`.
#![allow(clippy::disallowed_methods, reason = "the environment says how long to test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::processes;

/// A test and its name; it gets what the tests share.
pub type Test<S> = (&'static str, fn(S));

/// Runs the tests that `words` name, all if they name none, in their order; or lists them. What they share is prepared
/// first. Processes that a failed test leaves behind are killed.
pub fn run<S: Copy>(tests: &[Test<S>], words: &[&str], prepare: impl FnOnce() -> S) -> ExitCode {
    run_each(tests, words, prepare, |test, shared| test(shared))
}

/// As [`run`], for tests that share nothing.
pub fn run_alone(tests: &[(&'static str, fn())], words: &[&str]) -> ExitCode {
    run_each(tests, words, || (), |test, ()| test())
}

/// What a process of this program does that was started as the notary, a compiler, a worker or a gateway, or to install a tool: what
/// `tollgate` does as one. None for any other words: a test may be named `worker`.
pub fn as_tollgate(words: &[&str]) -> Option<ExitCode> {
    let is_its = match words {
        ["notary", rest @ ..] => rest.contains(&"--ledger"),
        ["compile", rest @ ..] => rest.contains(&"--cpu-seconds"),
        ["worker" | "gateway", rest @ ..] => rest.contains(&"--supervisor"),
        ["install", rest @ ..] => rest.contains(&"--name"),
        _ => false,
    };
    is_its.then(tollgate_cli::main)
}

fn run_each<T, S: Copy>(
    tests: &[(&'static str, T)],
    words: &[&str],
    prepare: impl FnOnce() -> S,
    run: impl Fn(&T, S),
) -> ExitCode {
    let selection = match Selection::parse(words) {
        Ok(selection) => selection,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::FAILURE;
        }
    };
    let wanted: Vec<_> = tests.iter().filter(|(name, _)| selection.has(name)).collect();
    if selection.lists {
        wanted.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    processes::adopt_orphans();
    let shared = prepare();
    let started = Instant::now();
    let failed: Vec<_> = wanted.iter().filter(|(name, test)| !passes(name, || run(test, shared))).collect();
    let (failures, passed) = (failed.len(), wanted.len() - failed.len());
    failed.iter().for_each(|(name, _)| println!("failed: {name}"));
    let (word, left_out) = (if failed.is_empty() { "ok" } else { "FAILED" }, tests.len() - wanted.len());
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "\ntest result: {word}. {passed} passed; {failures} failed; {left_out} filtered out; finished in {seconds:.2}s\n"
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one test and says how it ended, and after how long.
fn passes(name: &str, test: impl FnOnce()) -> bool {
    let started = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(test));
    let word = if done.is_ok() { "ok" } else { "FAILED" };
    if done.is_err() {
        processes::kill_all();
    }
    println!("test {name} ... {word} ({:.1} s)", started.elapsed().as_secs_f64());
    done.is_ok()
}

/// Which tests a command line names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection<'w> {
    filters: Vec<&'w str>,
    skipped: Vec<&'w str>,
    exact: bool,
    ignored: bool,
    /// Whether tests are listed, in place of being run.
    pub lists: bool,
}

impl<'w> Selection<'w> {
    /// Parses the words behind the program's name.
    ///
    /// # Errors
    ///
    /// What is wrong with them: an option that these tests do not know, or one without its value.
    pub fn parse(words: &[&'w str]) -> Result<Self, String> {
        let mut selection = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (option, joined) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            let mut value = || joined.or_else(|| words.next()).ok_or_else(|| format!("{word} needs a value"));
            match option {
                "--list" => selection.lists = true,
                "--exact" => selection.exact = true,
                // No test here is ignored.
                "--ignored" => selection.ignored = true,
                "--skip" => selection.skipped.push(value()?),
                // What these ask for is so already, or says nothing here.
                "--nocapture" | "--no-capture" | "--show-output" | "--quiet" | "-q" | "--include-ignored" => {}
                "--test-threads" | "--color" | "--format" | "-Z" => drop(value()?),
                unknown if unknown.starts_with('-') => {
                    return Err(format!("{unknown}: these tests take filters, --exact, --skip NAME and --list"));
                }
                _filter => selection.filters.push(word),
            }
        }
        Ok(selection)
    }

    /// Whether the test of this name is wanted.
    pub fn has(&self, name: &str) -> bool {
        let fits = |filter: &&str| if self.exact { name == *filter } else { name.contains(*filter) };
        !self.ignored && (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

/// `TOLLGATE_SOAK_ROUNDS`: how long a soak tests.
pub fn soak_rounds() -> Option<u64> {
    number("TOLLGATE_SOAK_ROUNDS")
}

/// `TOLLGATE_SOAK_SEED`, to repeat a run; another one for each run if it is not set.
pub fn soak_seed() -> u64 {
    number("TOLLGATE_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
