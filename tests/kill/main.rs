//! Kills: what a ledger, or the store of installed tools, holds after its processes died at any moment, its disk was full, or the system refused a call.
//!
//! ```text
//! this program ─┬─ driver (embedder and worker; makes calls, prints a line for each that is acknowledged)
//!               └───── notary (the `tollgate notary` command, which this program is as well)
//! ```
//!
//! | test | does |
//! |---|---|
//! | `kills` | rounds of SIGKILL: the notary, the driver, both at once, their process groups, at random moments |
//! | `full_disk` | the ledger on a small file system that fills up, and empties again (needs root) |
//! | `faults` | an error, or SIGKILL, in place of the notary's n-th system call of each kind (needs `strace`) |
//! | `torn` | the journal cut off at each byte of its tail, of which a checkpoint covers a part |
//! | `flipped` | each byte of each file of a ledger changed by one bit |
//! | `registry_faults` | an error, or SIGKILL, at each system call of `install`, `update`, `rollback` and `remove` (needs `strace`) |
//! | `registry_kills` | the same commands, killed at random moments |
//!
//! `cargo test --test kill` runs them in short, `cargo xtask soak` at length. `TOLLGATE_SOAK_ROUNDS` sets the rounds of
//! `kills` and has the others leave nothing out; `TOLLGATE_SOAK_SEED` repeats a run: who is killed, and after how many
//! acknowledged calls, follows from it, though not what the system's scheduler makes of that.
//!
//! These tests have the harness of `tests/support/own_main.rs`: a notary seals its process, which must have one thread. They must leave no
//! process and no mount behind, and judge nothing by the clock.

#![allow(clippy::disallowed_methods, reason = "processes are what is tested; the environment says how long")]
#![allow(clippy::zombie_processes, reason = "`reap_all` waits for every child, adopted ones too")]

mod driver;
mod embedder;
mod faults;
mod foreign;
mod full_disk;
mod judge;
mod kills;
mod registry;
mod torn;

use std::process::ExitCode;

use tollgate_workspace::own_main::{self, Test};

/// How long to test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Rounds of kills.
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
    /// Whether nothing is left out.
    pub(crate) is_soak: bool,
}

const TESTS: [Test<Scale>; 7] = [
    ("kills", kills::kills),
    ("full_disk", full_disk::full_disk),
    ("faults", faults::faults),
    ("torn", torn::torn),
    ("flipped", torn::flipped),
    ("registry_faults", registry::registry_faults),
    ("registry_kills", registry::registry_kills),
];

/// Rounds of kills where nobody asks for more.
const ROUNDS: u64 = 100;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    match words.as_slice() {
        ["run" | "audit", rest @ ..] if rest.contains(&"--ledger") => return tollgate_cli::main(),
        ["install" | "update" | "rollback" | "remove", rest @ ..] if rest.contains(&"--json") => {
            return tollgate_cli::main();
        }
        [driver::ROLE, data] => return driver::main(data.as_ref()),
        [faults::ONCE, mark, command @ ..] => return faults::once(mark.as_ref(), command),
        _ => {}
    }
    own_main::run(&TESTS, &words, scale)
}

fn scale() -> Scale {
    let rounds = own_main::soak_rounds();
    Scale { rounds: rounds.unwrap_or(ROUNDS), seed: own_main::soak_seed(), is_soak: rounds.is_some() }
}
