//! The project's own commands: `cargo xtask setup | test | soak | fuzz | drill | attack | targets | demo | schemas`. Must build without the guests'
//! target, since `setup` is what installs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]
#![allow(
    clippy::disallowed_methods,
    reason = "this starts cargo, rustup and the demo's commands, and asks for their paths"
)]

mod attack;
mod cargo;
mod demo;
mod fuzz;
mod setup;
mod targets;
mod terminal;
mod timings;

use std::process::{Command, ExitCode};
use std::time::Instant;

use timings::Timings;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const USAGE: &str = "\
The project's own commands.

Usage: cargo xtask COMMAND

  setup              look for the toolchain and a linker; install the target wasm32-wasip2 if it is missing
  test [-- ARGS]     setup, then all tests of the workspace, and its benches in short; with ARGS, which go to `cargo test`,
                     tests alone. Says of each test program how long it took, and in the end what was slowest
  soak [ROUNDS [SEED]]
                     kill the ledger's processes at random moments in ROUNDS rounds (default 2000), fill its disk, have
                     each of its system calls fail; kill workers as well, and start and end 50 x ROUNDS of them; kill daemons with
                     all of their processes under load; an hour and a half.
                     Part of it needs root or strace, and is skipped without. SEED repeats the choices of another run.
                     `tests/kill`, `tests/workers` and `tests/daemon` say more
  fuzz [MINUTES [TARGET]]
                     libFuzzer over all fuzz targets, or TARGET, for MINUTES in all (default 1; 0.5 is half a minute);
                     fails if one finds something, and says how to repeat it. Needs a C++ compiler
  drill [-- ARGS]    setup, then native attacks from inside sealed processes, and what stops each; fails if one escapes, or if
                     it is stopped by something else than what should. ARGS go to `tollgate drill`
  attack [ROW …]     setup, then play attacks on the built program with a hostile tool, as an outsider would: all, or those
                     of some rows. Fails if one reaches, or is stopped by something else than what should. Some need
                     root and are skipped without, unless CI is set
  targets            setup, then lint everything for Linux on aarch64, run the tests of the crates that need no kernel there
                     (qemu-user), and check those for macOS and Windows. Needs a C compiler for aarch64, and is skipped
                     without, unless CI is set
  demo               setup, then show what Tollgate promises, with real tools; fails if a promise is not kept
  schemas            write the JSON Schemas of tool.toml and tollgate.toml anew, and docs/manifest.md from them";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["setup"] => setup::setup(),
        ["test"] => test(&[]),
        ["test", "--", rest @ ..] => test(rest),
        ["soak"] => soak("2000", &[]),
        ["soak", rounds] => soak(rounds, &[]),
        ["soak", rounds, seed] => soak(rounds, &[("TOLLGATE_SOAK_SEED", seed)]),
        ["fuzz"] => fuzz::fuzz("1", None),
        ["fuzz", minutes] => fuzz::fuzz(minutes, None),
        ["fuzz", minutes, target] => fuzz::fuzz(minutes, Some(target)),
        ["drill"] => drill(&[]),
        ["drill", "--", rest @ ..] => drill(rest),
        ["attack", rows @ ..] => attack::attack(rows),
        ["targets"] => targets::targets(),
        // What another user does in an attack.
        ["client", socket, sent] => attack::client(socket, sent),
        ["demo"] => demo::demo(),
        ["schemas"] => schemas(),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(USAGE.into()),
        [unknown, ..] => Err(format!("cannot do `{unknown}` with these arguments\n\n{USAGE}").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Unit tests, integration tests, doctests, and the guests' own tests on this machine. Then the benches, which as tests run in
/// short, so that none breaks unseen. In the end, also after a failure, a table of what took the time.
fn test(args: &[&str]) -> Result<()> {
    setup::setup()?;
    let began = Instant::now();
    let mut timings = Timings::default();
    let mut timed = |args: &[&str]| {
        timings.begin(&format!("cargo {}", args.join(" ")), began.elapsed());
        let done = cargo::run_heard(args, |line| timings.hear(line, began.elapsed()));
        timings.end(began.elapsed()).into_iter().for_each(|said| println!("{said}"));
        done
    };
    let mut done = timed(&[&["test", "--workspace"], args].concat());
    if args.is_empty() && done.is_ok() {
        done = timed(&["test", "--workspace", "--bench", "*"]);
    }
    println!("\n{}", timings.table());
    done
}

/// The kill tests at length; the variables are what they take instead of arguments.
fn soak(rounds: &str, seed: &[(&str, &str)]) -> Result<()> {
    setup::setup()?;
    let variables = [&[("TOLLGATE_SOAK_ROUNDS", rounds)], seed].concat();
    cargo::run(&["test", "--workspace", "--test", "kill", "--test", "workers", "--test", "daemon"], &variables)
}

/// The attacks of `tollgate drill`.
fn drill(args: &[&str]) -> Result<()> {
    setup::setup()?;
    cargo::run(&["build", "--workspace"], &[])?;
    let program = cargo::built()?.join("tollgate");
    let status = Command::new(&program).arg("drill").args(args).status();
    let status = status.map_err(|error| format!("cannot start `{}`: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err(format!("the drill failed ({status}): see above").into()) }
}

/// Whether `CI` is set, as on build servers and in `.ci/run`: nothing that `.ci/run` installs is passed over then.
fn is_ci() -> bool {
    !matches!(std::env::var("CI").as_deref(), Err(_) | Ok("" | "0" | "false"))
}

/// Schemas and reference are held by tests that can also write them.
fn schemas() -> Result<()> {
    cargo::run(&["test", "--workspace", "--test", "schemas", "--test", "reference"], &[("UPDATE_EXPECT", "1")])
}
