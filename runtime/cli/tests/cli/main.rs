//! The command line as its users meet it: the real program in a fresh folder, its exit codes and what it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests start the program and stop at the first thing that is wrong"
)]

mod activated;
mod around;
mod audit;
mod authority;
mod bridge;
mod check;
mod clients;
mod compile;
mod console;
mod desk;
mod drill;
mod files;
mod fuse;
mod grants;
mod guides;
mod helps;
mod hints;
mod homes;
mod inherited;
mod install;
mod interrupted;
mod kernel;
mod large;
mod ledger;
mod long_work;
mod machines;
mod many;
mod mcp;
mod obeyed;
mod old_home;
mod operator;
mod plain;
mod program;
mod project;
mod read_only;
mod readme;
mod receipts;
mod reference;
mod registry;
mod run;
mod scale;
mod search;
mod serve;
mod told;
