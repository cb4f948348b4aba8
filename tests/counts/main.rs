//! Counts that guard speed: a change that makes calls dearer does not go in unseen, however slow or busy the machine is that
//! tests it. Nothing here reads a clock.
//!
//! | test | counts | how |
//! |---|---|---|
//! | `pure_code_costs_what_it_did` | instructions of `check`, facts, entries and frames; allocations | callgrind (`valgrind`) |
//! | `calls_cost_what_they_did` | system calls, bytes written and allocations of a call, in its worker and its supervisor | `strace`, an allocator that counts |
//!
//! Each number is what N executions more cost, after as many that warm up: whatever happens once cancels out. What must come
//! out stands in `expected.txt`. Instructions may be off by 2 %, since the C library chooses its routines by the processor; the
//! rest is exact. `UPDATE_EXPECT=1 cargo test --release --workspace --test counts` writes the file anew.
//!
//! ```text
//! this program ─┬─ itself under valgrind, with one piece of pure code
//!               ├─ driver (a supervisor) ─┬─ notary
//!               │    ▲                    └─ worker
//!               └─ strace, attached to driver and worker
//! ```
//!
//! These tests have the harness of `tests/support/own_main.rs`: workers and notaries seal their processes, which must have one
//! thread.

#![allow(
    clippy::disallowed_methods,
    reason = "processes are what is counted; the environment says whether to write anew"
)]

mod allocations;
mod calls;
mod driver;
mod expected;
mod pure;
mod traced;
mod written;

use std::process::ExitCode;

use tollgate_workspace::foreign::skipped;
use tollgate_workspace::own_main;

const TESTS: [(&str, fn()); 2] = [
    ("pure_code_costs_what_it_did", pure::pure_code_costs_what_it_did),
    ("calls_cost_what_they_did", calls::calls_cost_what_they_did),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    match words.as_slice() {
        [driver::ROLE, folder] => return driver::drive(folder.as_ref()),
        [pure::ROLE, name, times] => return pure::execute(name, times),
        _ => {}
    }
    if !cfg!(target_arch = "x86_64") {
        skipped("the numbers of tests/counts are those of x86-64");
        return ExitCode::SUCCESS;
    }
    own_main::run_alone(&TESTS, &words)
}
