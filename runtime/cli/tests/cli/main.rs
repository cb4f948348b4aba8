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
mod clients;
mod compile;
mod console;
mod desk;
mod drill;
mod files;
mod fuse;
#[path = "../../../../tests/support/fuse.rs"]
#[allow(unreachable_pub, clippy::print_stdout, reason = "it is a module of the workspace's test library as well")]
mod fuse_mount;
mod grants;
mod guides;
mod helps;
mod hints;
#[path = "../../../../tests/support/hmac.rs"]
#[allow(unreachable_pub, reason = "it is a module of the workspace's test library as well")]
mod hmac;
mod inherited;
mod install;
mod interrupted;
mod kernel;
mod large;
mod ledger;
mod machines;
mod mcp;
mod obeyed;
mod old_home;
mod plain;
mod program;
mod project;
mod readme;
mod reference;
#[path = "../../../../tests/support/foreign.rs"]
#[allow(unreachable_pub, clippy::print_stdout, reason = "it is a module of the workspace's test library as well")]
mod required;
mod run;
mod scale;
mod serve;
#[path = "../../../../tests/support/small_group.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    clippy::print_stdout,
    reason = "it is a module of the workspace's test library as well"
)]
mod small_group;
mod told;

// As the modules of the test library know it.
use required as foreign;
