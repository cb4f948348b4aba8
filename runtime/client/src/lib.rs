//! Calls tools of a Tollgate daemon (`tollgate serve`) over the Unix socket of an agent.
//!
//! ```no_run
//! use tollgate_client::{Call, Client};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("/run/user/1000/tollgate/agent.sock".as_ref())?;
//! let call = Call::new("word-count").operation("count").arguments(&serde_json::json!({ "text": "to be or not" }))?;
//! let reply = client.invoke(call)?;
//! println!("{} (on record as {})", reply.output, reply.call);
//! # Ok(())
//! # }
//! ```
//!
//! | to … | use |
//! |---|---|
//! | call and wait | [`Client::invoke`] |
//! | call now and wait later, or in an async function | [`Client::start`]; an [`Invocation`] can be waited for, and is a `Future` for any runtime |
//! | cancel a call | drop its [`Invocation`], or [`Invocation::cancel`] |
//! | read what a tool logs while it runs | [`Call::follow_logs`], then [`Invocation::logs`] |
//! | know which tools there are | [`Client::tools`] |
//! | show a token, set bounds | [`Client::options`] |
//!
//! A [`Client`] is one connection with one thread of its own. Cloning it is cheap; its clones, in any threads, share the connection
//! and have many calls under way at once. [`Client::start`] and dropping never wait for the daemon; [`Client::invoke`],
//! [`Client::tools`] and [`Invocation::wait`] wait until the daemon answers or is gone. How long a call may take is the daemon's
//! to decide (`limits.deadline`); [`Invocation::wait_timeout`] is for whoever wants to wait less.
//!
//! Every failure is a [`Failure`] of a [`Kind`]. A daemon that goes away ends every call with [`Kind::Disconnected`], and
//! [`Failure::is_known_not_to_have_run`] says which calls can be made again without doing anything twice. A client never connects
//! again by itself: [`Client::connect`] again. A daemon also closes connections on which nothing happens for long.
//!
//! Who the caller is follows from the socket and the token. What a [`Call`] says of agent, session, decision, reason and trace
//! ([`Claims`]) is recorded as a claim, and nothing follows from it.
//!
//! What a daemon sends is not trusted with this process's memory: see [`Client`] for the bounds.
#![forbid(unsafe_code)]

mod call;
mod client;
mod connection;
mod failure;
mod invocation;
mod lines;
mod log;
#[doc(hidden)]
pub mod parse;
mod slot;
mod wire;

pub use crate::call::{Call, Claims, OperationInfo, Reply, ToolInfo, Tools, Unavailable, Usage};
pub use crate::client::{Client, ConnectError, ConnectOptions};
pub use crate::connection::CALLS_MAX;
pub use crate::failure::{Failure, Kind, Remains};
pub use crate::invocation::{Invocation, Logs};
pub use crate::log::{LOG_BYTES_MAX, LogPiece};
