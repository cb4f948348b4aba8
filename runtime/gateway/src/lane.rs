//! One lane: a stream socket to the daemon on which one question at a time is asked.

use std::io;
use std::os::fd::OwnedFd;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tollgate_ipc::Blobs;
use tollgate_ipc::message::{NoMessage, decode, encode, message_bytes};

use crate::protocol::{Asked, TOLD_LIMITS, Told};
use crate::socket::UnixSocket;

/// The gateway's end.
#[derive(Debug)]
pub(crate) struct Lane {
    socket: UnixSocket,
    // What came of the next messages: reading can be broken off and taken up again.
    come: BytesMut,
    // Kept between messages for its memory.
    to_go: Vec<u8>,
}

/// The lane cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the daemon closed it")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("what the daemon said makes no sense: {0}")]
    Senseless(#[from] NoMessage),
}

impl Lane {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: UnixSocket::new(socket)?, come: BytesMut::new(), to_go: Vec::new() })
    }

    /// Asks. Must not be dropped before it is done: half a question would be the start of the next one.
    pub(crate) async fn ask(&mut self, asked: &Asked, blobs: [&[u8]; 2]) -> Result<(), Broken> {
        let [first, second] = blobs;
        encode(&mut self.to_go, asked, [first, second, b""])?;
        self.socket.write_all(&self.to_go).await?;
        if self.to_go.capacity() > KEPT_BYTES_MAX {
            self.to_go = Vec::new();
        }
        Ok(())
    }

    /// Waits for what the daemon says next. Nothing is lost where this is dropped.
    pub(crate) async fn hear(&mut self) -> Result<(Told, Blobs), Broken> {
        loop {
            match message_bytes(&self.come, TOLD_LIMITS)? {
                Some(whole) if self.come.len() >= whole => {
                    let message = self.come.split_to(whole);
                    if self.come.is_empty() && whole > KEPT_BYTES_MAX {
                        self.come = BytesMut::new();
                    }
                    return Ok(decode(&message, TOLD_LIMITS)?);
                }
                Some(whole) => self.come.reserve(whole - self.come.len()),
                None => self.come.reserve(AT_ONCE_BYTES),
            }
            if self.socket.read_buf(&mut self.come).await? == 0 {
                return Err(Broken::Closed);
            }
        }
    }

    /// Waits until the lane is of no use: the daemon closes it, or speaks unasked.
    pub(crate) async fn useless(&mut self) {
        if self.come.is_empty() {
            self.come.reserve(AT_ONCE_BYTES);
            // Whatever came, or did not, it ends the lane.
            self.socket.read_buf(&mut self.come).await.ok();
        }
    }
}

/// A usual message comes in one read.
const AT_ONCE_BYTES: usize = 16 << 10;

/// Memory that a lane keeps between messages.
const KEPT_BYTES_MAX: usize = 1 << 20;
