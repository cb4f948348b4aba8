//! Workers: what a caller is told, what the ledger holds and what is left, when a worker, the notary or the supervisor ends
//! in the middle of calls; and what a policy says of workers.
//!
//! ```text
//! this program (supervisor) ─┬─ notary (the `tollgate notary` command, which this program is as well)
//!                            ├─ worker, one for each tool or compartment (as well)
//!                            └─ driver (a supervisor of its own, to be killed)
//! ```
//!
//! `cargo test --test workers` runs them in short, `cargo xtask soak` at length: `TOLLGATE_SOAK_ROUNDS` sets the rounds of
//! `random_kills`, of which each is as long as twenty of the other kill tests. `TOLLGATE_SOAK_SEED` repeats a run: who is
//! killed, and after how many answers, follows from it, though not what the system's scheduler makes of that.
//!
//! These tests have the harness of `tests/support/own_main.rs`: workers and notaries seal their processes, which must have one thread. They must
//! leave no process, no descriptor and no file behind, and judge nothing by the clock but that a wait was not cut short.

#![allow(clippy::disallowed_methods, reason = "processes are what is tested; the environment says how long")]

mod cancel;
mod code;
mod compartments;
mod connections;
mod deaths;
mod guests;
mod lab;
mod orphans;
mod random_kills;
mod rejected;
mod settings;
mod starts;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use tollgate::Engine;
use tollgate_workspace::WORDS_OF_WORKERS;
use tollgate_workspace::own_main::{self, Test};

/// How long to test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Rounds of random kills.
    pub(crate) rounds: u64,
    /// Times 2,000 workers that start and end.
    pub(crate) batches_of_starts: u64,
    pub(crate) seed: u64,
}

const TESTS: [Test<Scale>; 35] = [
    ("guests_that_fail_leave_their_worker", guests::guests_that_fail_leave_their_worker),
    ("a_dead_worker_takes_its_calls_alone", deaths::a_dead_worker_takes_its_calls_alone),
    ("a_worker_that_dies_idle_is_replaced", deaths::a_worker_that_dies_idle_is_replaced),
    ("what_a_worker_said_at_last_is_passed_on", deaths::what_a_worker_said_at_last_is_passed_on),
    ("a_dead_notary_takes_nothing", deaths::a_dead_notary_takes_nothing),
    ("texts_of_a_call_that_never_began_do_not_stay", deaths::texts_of_a_call_that_never_began_do_not_stay),
    ("a_dead_supervisor_takes_its_workers", orphans::a_dead_supervisor_takes_its_workers),
    ("ending_a_supervisor_ends_its_calls", deaths::ending_a_supervisor_ends_its_calls),
    ("grace_is_how_long_a_worker_may_overrun", settings::grace_is_how_long_a_worker_may_overrun),
    ("a_worker_that_overruns_while_others_wait", settings::a_worker_that_overruns_while_others_wait),
    ("idle_workers_end", settings::idle_workers_end),
    ("what_a_policy_says_of_compiling_holds", settings::what_a_policy_says_of_compiling_holds),
    ("require_full", settings::require_full),
    ("require_partial", settings::require_partial),
    ("require_none", settings::require_none),
    ("tools_of_a_compartment_share_a_worker", compartments::tools_of_a_compartment_share_a_worker),
    ("a_dead_compartment_takes_all_its_calls", compartments::a_dead_compartment_takes_all_its_calls),
    ("calls_of_a_worker_run_at_the_same_time", connections::calls_of_a_worker_run_at_the_same_time),
    (
        "a_call_that_waited_for_a_connection_has_its_whole_deadline",
        connections::a_call_that_waited_has_its_whole_deadline,
    ),
    ("a_slow_start_holds_up_no_other_tool", starts::a_slow_start_holds_up_no_other_tool),
    ("a_caller_leaves_a_slow_start_at_its_deadline", starts::a_caller_leaves_a_slow_start_at_its_deadline),
    ("a_worker_that_does_not_end_holds_up_nobody", starts::a_worker_that_does_not_end_holds_up_nobody),
    ("ending_a_supervisor_ends_starts", starts::ending_a_supervisor_ends_starts),
    ("workers_start_while_others_end", starts::workers_start_while_others_end),
    ("the_engine_is_made_before_the_process_is_confined", code::the_engine_is_made_before_the_process_is_confined),
    ("code_is_looked_at_after_the_process_is_confined", code::code_is_looked_at_after_the_process_is_confined),
    ("code_that_breaks_whoever_loads_it_ends_a_worker", code::code_that_breaks_whoever_loads_it_ends_a_worker),
    ("a_component_is_asked_where_it_may_do_nothing", code::a_component_is_asked_where_it_may_do_nothing),
    ("operations_must_be_those_that_are_stored", code::operations_must_be_those_that_are_stored),
    (
        "what_a_worker_turns_down_is_on_record_and_not_kept",
        rejected::what_a_worker_turns_down_is_on_record_and_not_kept,
    ),
    ("a_call_that_never_reached_the_ledger_has_no_id", rejected::a_call_that_never_reached_the_ledger_has_no_id),
    ("a_cancelled_call_ends_wherever_it_is", cancel::a_cancelled_call_ends_wherever_it_is),
    ("a_cancelled_call_leaves_its_queue", cancel::a_cancelled_call_leaves_its_queue),
    ("a_call_that_does_not_end_takes_its_worker", cancel::a_call_that_does_not_end_takes_its_worker),
    ("random_kills", random_kills::random_kills),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    match words.as_slice() {
        [settings::WITHOUT_LANDLOCK, command @ ..] => return settings::without_landlock(command),
        [starts::WAITS, folder, command @ ..] => return starts::wait(folder.as_ref(), command),
        [deaths::PANICS, ..] => deaths::panic_as_a_worker(),
        [orphans::ROLE, folder] => return orphans::drive(folder.as_ref()),
        _ => {}
    }
    for (word, test) in WORDS_OF_WORKERS {
        assert!(TESTS.iter().any(|(name, _)| *name == test), "{word}: there is no test {test}");
    }
    own_main::run(&TESTS, &words, || {
        // The first one opens a file that stays open.
        drop(Engine::new(1).expect("an engine"));
        let scale = scale();
        watch_over_hangs(scale);
        scale
    })
}

fn scale() -> Scale {
    let soak = own_main::soak_rounds();
    Scale {
        rounds: soak.map_or(1, |rounds| rounds.div_ceil(SHORTER_ROUNDS)),
        batches_of_starts: soak.map_or(1, |rounds| rounds.div_ceil(ROUNDS_OF_A_BATCH)),
        seed: own_main::soak_seed(),
    }
}

/// Ends this program if something waits for ever. The processes that it started die with it.
fn watch_over_hangs(scale: Scale) {
    let times = scale.rounds.max(1).saturating_add(scale.batches_of_starts);
    let patience = HANG.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX));
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        eprintln!("nothing comes to an end: {scale:?}");
        std::process::abort();
    });
}

/// Becomes this program with other arguments.
pub(crate) fn become_anew(command: &[&str]) -> ExitCode {
    let program = std::env::current_exe().expect("this program");
    panic!("{}", Command::new(program).args(command).exec());
}

/// Rounds of the kill tests in the time of one of `random_kills`.
const SHORTER_ROUNDS: u64 = 20;

/// The usual soak of 2,000 rounds has 50 batches: 100,000 starts.
const ROUNDS_OF_A_BATCH: u64 = 40;

/// Far beyond what all tests, or a batch of starts, take on a slow machine.
const HANG: Duration = Duration::from_secs(600);
