//! The command line as its users meet it: the real program in a fresh folder, its exit codes and what it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests start the program and stop at the first thing that is wrong"
)]

mod around;
mod audit;
mod authority;
mod check;
mod compile;
mod console;
mod desk;
mod drill;
mod files;
mod grants;
mod guides;
mod hints;
mod install;
mod kernel;
mod ledger;
mod machines;
mod plain;
mod project;
mod readme;
mod reference;
mod run;
mod told;
