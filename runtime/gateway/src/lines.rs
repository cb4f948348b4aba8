//! Lines that come from a client, and lines that go to it, whichever protocol they are of.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf};
use tokio::sync::Notify;

use crate::parse::{Id, RpcError};
use crate::protocol::Failure;
use crate::reply::{Failed, refused_line};
use crate::stream::Stream;
use crate::watch::Watch;

/// Answers a line that is too long, behind which nothing is read.
pub(crate) fn too_long_line(most: usize) -> Vec<u8> {
    let message = format!("a line of more than {most} bytes (`body_bytes`)");
    refused_line(&RpcError { id: None, code: -32700, message })
}

/// Answers a request whose id is that of another one under way.
pub(crate) fn in_use_line(id: &Id) -> Vec<u8> {
    let message = format!("the id {} is still in use", serde_json::to_string(id).unwrap_or_default());
    refused_line(&RpcError { id: Some(id.clone()), code: -32600, message })
}

/// Answers a request that is one too many of its connection.
pub(crate) fn busy_line(id: &Id) -> Vec<u8> {
    let busy = Failure::new("busy", "this connection has as many requests under way as it may (`queue`)");
    Failed::new(busy).to_line(Some(id))
}

/// What is to be written. Whoever writes much waits for room first, so that it holds no more than this and one answer of each
/// request under way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lines: RefCell<Vec<u8>>,
    // Bytes that are being written.
    going: Cell<usize>,
    is_finished: Cell<bool>,
    more: Notify,
    room: Notify,
}

impl Outbox {
    pub(crate) fn push(&self, line: &[u8]) {
        self.lines.borrow_mut().extend_from_slice(line);
        self.more.notify_one();
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) {
        self.is_finished.set(true);
        self.more.notify_one();
    }

    pub(crate) async fn has_room(&self) {
        while self.lines.borrow().len() + self.going.get() >= OUTBOX_BYTES {
            self.room.notified().await;
        }
    }

    /// Writes until nothing more comes, and says so to the client.
    pub(crate) async fn write_to(&self, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let lines = self.lines.take();
            if lines.is_empty() {
                if self.is_finished.get() {
                    return to.shutdown().await;
                }
                self.more.notified().await;
                continue;
            }
            self.going.set(lines.len());
            to.write_all(&lines).await?;
            self.going.set(0);
            self.room.notify_waiters();
        }
    }
}

const OUTBOX_BYTES: usize = 256 << 10;

/// The lines of a client.
#[derive(Debug)]
pub(crate) struct Lines {
    read: ReadHalf<Stream>,
    come: BytesMut,
    // So many bytes have no end of a line among them.
    looked: usize,
    most: usize,
    watch: Rc<Watch>,
}

#[derive(Debug)]
pub(crate) enum Line {
    Whole(BytesMut),
    TooLong,
    End,
}

impl Lines {
    /// Each has at most `most` bytes.
    pub(crate) const fn new(read: ReadHalf<Stream>, come: BytesMut, most: usize, watch: Rc<Watch>) -> Self {
        Self { read, come, looked: 0, most, watch }
    }

    /// The socket that they come from.
    pub(crate) const fn read(&mut self) -> &mut ReadHalf<Stream> {
        &mut self.read
    }

    pub(crate) const fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// The next one. What came of it is kept where this is dropped.
    pub(crate) async fn next(&mut self) -> Line {
        loop {
            let unseen = self.come.get(self.looked..).unwrap_or_default();
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let mut line = self.come.split_to(self.looked + at + 1);
                line.truncate(self.looked + at);
                self.looked = 0;
                if line.len() > self.most {
                    return Line::TooLong;
                }
                self.watch.is_asked();
                self.watch.reads(false);
                return Line::Whole(line);
            }
            self.looked = self.come.len();
            if self.looked > self.most {
                return Line::TooLong;
            }
            self.watch.reads(self.looked > 0);
            if self.looked == 0 && self.come.capacity() > KEPT_BYTES_MAX {
                self.come = BytesMut::new();
            }
            self.come.reserve(READ_BYTES);
            match self.read.read_buf(&mut self.come).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Line::End,
            }
        }
    }
}

const READ_BYTES: usize = 16 << 10;

/// Memory that a connection keeps between lines.
const KEPT_BYTES_MAX: usize = 64 << 10;
