//! Test programs with a main function of their own: their processes act as notary or worker, which must have one thread.
#![allow(clippy::disallowed_methods, reason = "the environment says how long to test")]

use std::panic::{RefUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::processes;

/// A test and its name; it gets what the tests share.
pub type Test<S> = (&'static str, fn(S));

/// Runs the tests that `words` name, all if they name none, in their order; or lists them. What they share is prepared
/// first. Processes that a failed test leaves behind are killed.
pub fn run<S: Copy + RefUnwindSafe>(tests: &[Test<S>], words: &[&str], prepare: impl FnOnce() -> S) -> ExitCode {
    if words.contains(&"--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    processes::adopt_orphans();
    let shared = prepare();
    let filters: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(**filter));
    let failed = tests.iter().filter(|(name, _)| is_wanted(name)).filter(|(name, test)| {
        let started = Instant::now();
        let done = catch_unwind(|| test(shared));
        let word = if done.is_ok() { "ok" } else { "FAILED" };
        if done.is_err() {
            processes::kill_all();
        }
        println!("test {name} ... {word} ({:.1} s)", started.elapsed().as_secs_f64());
        done.is_err()
    });
    if failed.count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
