//! The client against a daemon that says, byte by byte, what a test wants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod broken;
mod calls;
mod cancel;
mod connect;
mod fake;
mod logs;
mod tasks;

#[allow(dead_code, reason = "its `main` is the example's")]
#[path = "../../examples/call.rs"]
mod example;
