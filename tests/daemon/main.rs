//! The daemon under load, under hostile clients, and with its processes killed.
//!
//! ```text
//! this program (daemon) ─┬─ notary, workers, gateways (as well)
//!                        └─ clients: threads of this program, and Python with sockets of its own
//! ```
//!
//! | test | does |
//! |---|---|
//! | `eight_clients_lose_no_call` | 20,000 calls, hostile tools among them, while the policy is replaced again and again; what the daemon holds does not grow |
//! | `bad_clients_take_nothing_from_others` | garbage, half requests, silence, requests without reading an answer, too many connections |
//! | `a_gateway_that_dies_takes_its_clients_alone` | gateways, workers and the notary killed in the middle of calls |
//! | `daemons_are_killed_under_load` | rounds of SIGKILL: the daemon, a gateway, the notary, a worker, all of them, while two agents' clients call |
//! | `each_call_is_answered_by_one_version_while_a_tool_is_replaced` | 1,000 calls while 50 versions are installed one after the other; the ledger names each one's |
//! | `a_manifest_that_was_replaced_alone_is_on_record` | the same component under another manifest |
//! | `a_damaged_tool_is_alone_refused_in_its_compartment` | one of two tools that share a worker is damaged, then mended |
//! | `workers_are_of_tools_in_use` | more tools than are kept loaded are called |
//! | `a_log_that_nobody_reads_costs_no_other_call` | a client has the log of 13 calls told, and does not read it |
//! | `changed_operations_are_told_once` | a tool is damaged, then replaced, while nobody and while somebody looks |
//! | `a_list_holds_what_it_tells` | thousands of tools are listed in each form; bytes in use at a time |
//! | `clients_that_leave_end_their_calls` | end of file, cancelling, in a loop, parked, in the queue |
//!
//! `cargo test --test daemon` runs the rounds in short, `cargo xtask soak` at length: `TOLLGATE_SOAK_ROUNDS` sets them, of which each is as
//! long as twenty of the other kill tests; `TOLLGATE_SOAK_SEED` repeats a run: who is killed, and after how many acknowledged calls.
//!
//! These tests have the harness of `tests/support/own_main.rs`: the daemon's processes seal themselves, which must have one thread.

#![allow(clippy::disallowed_methods, reason = "processes are what is tested; the environment says how long")]

mod heap;
mod hostile;
mod kills;
mod lab;
mod leaving;
mod lists;
mod load;
mod random_kills;
mod replaced;

use std::process::ExitCode;

use tollgate_workspace::own_main;

/// This program as a daemon of its own, which can be killed.
pub(crate) const SERVE: [&str; 2] = ["serve", "--json"];

const TESTS: [(&str, fn()); 14] = [
    ("eight_clients_lose_no_call", load::eight_clients_lose_no_call),
    ("bad_clients_take_nothing_from_others", hostile::bad_clients_take_nothing_from_others),
    ("a_gateway_that_dies_takes_its_clients_alone", kills::a_gateway_that_dies_takes_its_clients_alone),
    ("daemons_are_killed_under_load", random_kills::daemons_are_killed_under_load),
    ("clients_that_leave_end_their_calls", leaving::clients_that_leave_end_their_calls),
    ("calls_beyond_a_tools_cap_wait_their_turn", leaving::calls_beyond_a_tools_cap_wait_their_turn),
    (
        "each_call_is_answered_by_one_version_while_a_tool_is_replaced",
        replaced::each_call_is_answered_by_one_version_while_a_tool_is_replaced,
    ),
    ("a_manifest_that_was_replaced_alone_is_on_record", replaced::a_manifest_that_was_replaced_alone_is_on_record),
    (
        "a_damaged_tool_is_alone_refused_in_its_compartment",
        replaced::a_damaged_tool_is_alone_refused_in_its_compartment,
    ),
    ("workers_are_of_tools_in_use", replaced::workers_are_of_tools_in_use),
    ("a_log_that_nobody_reads_costs_no_other_call", leaving::a_log_that_nobody_reads_costs_no_other_call),
    ("changed_operations_are_told_once", replaced::changed_operations_are_told_once),
    ("a_list_holds_what_it_tells", lists::a_list_holds_what_it_tells),
    ("what_a_tool_logs_comes_while_it_runs", leaving::what_a_tool_logs_comes_while_it_runs),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words == SERVE {
        return tollgate_cli::main();
    }
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    own_main::run_alone(&TESTS, &words)
}
