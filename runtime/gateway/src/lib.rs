//! The gateway: the sealed process, one for each agent, that parses what the agent's clients send.
//!
//! ```text
//! client ──▶ daemon: accepts, looks who it is ──▶ gateway: parses ──▶ lane ──▶ daemon: makes the call
//!            (the socket is handed over)           sealed              one call at a time
//! ```
//!
//! Parsers are where hostile bytes break in. So a process of its own has them, which reaches no file and no key, opens no socket,
//! and starts neither thread nor program; what it can do is ask for calls of its own agent. It has one thread and one event loop.
//!
//! | clients speak | module | told by the first byte |
//! |---|---|---|
//! | JSON-RPC 2.0, by lines | `rpc` | `{` |
//! | MCP, by the same lines | `mcp` | `{`, and what the first line asks for |
//! | HTTP/1.1 | `http` | an uppercase letter |
//! | MCP over that | `mcp`, behind `http` | the path `/mcp` |
//! | a line `token TOKEN`, then one of both | `client` | `t` |
//!
//! All protocols ask one core (`service`) for the same things, and say the same of them (`reply`).
//!
//! A gateway must never answer a client of an agent with a token before the daemon has called its token right, never give bytes of
//! one client to another, and never hold more for a client than its limits say, however the client behaves.

#![deny(unsafe_code)]

mod client;
mod control;
mod held;
mod http;
mod lane;
mod lanes;
mod lines;
mod mcp;
pub mod parse;
pub mod protocol;
mod race;
mod reply;
mod rpc;
mod say;
mod seal;
mod service;
mod sessions;
mod socket;
mod stream;
mod token;
mod unproven;
mod watch;

use std::io;
use std::os::fd::AsFd as _;

use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tollgate_ipc::{Channel, ChannelError};
use tollgate_sandbox::trusted;
use tollgate_system::belong_to;

use crate::protocol::{GatewayLimits, ToGateway};

/// What a gateway's process is told by its arguments.
#[derive(Debug, Clone, Copy)]
pub struct GatewayRole {
    /// The process that started it, without which it must not live.
    pub supervisor: u32,
}

/// Serves the clients of an agent, as the process that a daemon started, which must have one thread and the control channel as its
/// standard input. Returns when the daemon is gone, or has asked it to drain.
///
/// # Errors
///
/// The daemon cannot be understood, or this process cannot be sealed.
///
/// # Safety
///
/// Nothing in this process owns or borrows a file beside its standard streams, or never uses nor closes it again: they are
/// all closed. So this is what a `main` does first, and it ends when this returns.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve(role: &GatewayRole) -> io::Result<()> {
    // SAFETY: as the caller promises.
    unsafe { serve_and(role, || ()) }
}

/// As [`serve`], in a process that does something else besides once it is sealed: a drill, whose attacks must fail.
///
/// # Errors
///
/// As for [`serve`].
///
/// # Safety
///
/// As for [`serve`].
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve_and(role: &GatewayRole, hook: impl FnOnce()) -> io::Result<()> {
    belong_to(role.supervisor)?;
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    // SAFETY: the caller promises it; the descriptor that was made here is kept.
    unsafe { trusted::close_inherited(&[control.as_fd()]) }?;
    run(Channel::new(control), |limits| {
        seal::seal(limits)?;
        hook();
        Ok(())
    })
}

/// Serves the clients of an agent over a control channel. `seal` runs once the limits are known and the event loop is made, before
/// anything of a client is heard. For tests that keep their process as it is; a gateway's own process is [`serve`]'s.
///
/// # Errors
///
/// As for [`serve`].
pub fn run(control: Channel, seal: impl FnOnce(&GatewayLimits) -> io::Result<()>) -> io::Result<()> {
    if !control.hear_hello().map_err(not_understood)? {
        return Ok(());
    }
    let begin = control.receive().map_err(not_understood)?;
    let (token, limits) = match begin {
        Some((ToGateway::Begin { agent: _, token, limits }, _no_descriptors)) => (token, limits),
        Some((_other, _)) => return Err(io::Error::other("the daemon did not begin with the agent")),
        None => return Ok(()),
    };
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    seal(&limits)?;
    LocalSet::new().block_on(&runtime, control::serve(control, token, limits))
}

fn not_understood(error: ChannelError) -> io::Error {
    match error {
        ChannelError::Io(error) => error,
        ChannelError::Version { .. } | ChannelError::Malformed(_) => io::Error::other(error),
    }
}
