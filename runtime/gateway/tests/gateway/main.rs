//! A gateway as clients and its daemon meet it, in this process and unsealed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod calls;
mod daemon;
mod ends;
mod framing;
mod http;
mod input;
mod mcp;
mod mcp_http;
mod tokens;
