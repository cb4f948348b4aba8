//! How Tollgate's processes talk: all that they say is a [`message`]. A [`Channel`] carries packets with descriptors, a
//! [`Connection`] messages of any length, and a [`memory_file`] what is too long for a packet and must not change. What comes by
//! two ways may come in either order ([`Early`]).
//!
//! This crate defines no message: each pair of processes has its own. Nothing is read beyond the reader's limits.
#![forbid(unsafe_code)]

mod channel;
mod connection;
mod early;
mod memory_file;
pub mod message;

pub use crate::channel::{CHANNEL_FDS_MAX, Channel, ChannelError, Greeted, PACKET_BYTES_MAX, Received};
pub use crate::connection::{Connection, ConnectionError};
pub use crate::early::Early;
pub use crate::memory_file::{is_sealed, memory_file, read_memory_file, while_pages_are_held};
pub use crate::message::{Blobs, MessageLimits, PROTOCOL};
