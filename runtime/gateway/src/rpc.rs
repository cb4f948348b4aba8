//! JSON-RPC 2.0, a message on each line. Requests of a connection run side by side, and are answered as they end.
//!
//! A client that does not read its answers is not read any more: what is to be written is bounded, and so is what is under way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, split};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::mcp;
use crate::parse::{Asks, CallRequest, Id, Message, Opens, RpcError, opens};
use crate::protocol::{Failure, Format};
use crate::race::{Either, race};
use crate::reply::{Failed, Reply, log_line, refused_line, result_line};
use crate::service::{Core, Event};
use crate::stream::{Stream, discard};
use crate::watch::Watch;

/// Serves a connection until it ends.
pub(crate) async fn serve(core: &Rc<Core>, client: u64, stream: Stream) {
    let watch = Rc::clone(stream.watch());
    let (read, write) = split(stream);
    let session = Rc::new(Session {
        core: Rc::clone(core),
        client,
        watch: Rc::clone(&watch),
        outbox: Outbox::default(),
        running: RefCell::default(),
    });
    let mut lines = Lines { read, come: BytesMut::new(), looked: 0, most: core.limits().body_bytes, watch };
    let mut writing = pin!(session.outbox.write_to(write));
    // What still runs when the reading ends is cancelled by then.
    let reading = async {
        if let Some(first) = session.read(&mut lines).await {
            // What it holds is large, and no part of what others hold.
            Box::pin(mcp::serve(core, client, &session.outbox, &mut lines, &first)).await;
        }
    };
    let ended = race(reading, writing.as_mut()).await;
    if let Either::First(()) = ended {
        session.outbox.finish();
        if writing.await.is_ok() {
            discard(&mut lines.read, session.watch.handshake()).await;
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Session {
    core: Rc<Core>,
    client: u64,
    watch: Rc<Watch>,
    outbox: Outbox,
    // Requests that are not answered yet, each with what cancels it.
    running: RefCell<HashMap<Id, oneshot::Sender<()>>>,
}

impl Session {
    /// Takes lines until none comes, or one that ends the connection, or the gateway drains and nothing is left to do; or until one opens
    /// MCP, which is returned.
    async fn read(self: &Rc<Self>, lines: &mut Lines) -> Option<BytesMut> {
        let mut tasks = JoinSet::new();
        let mut may_be_mcp = true;
        loop {
            while tasks.try_join_next().is_some() {}
            self.outbox.has_room().await;
            let quiet = async {
                self.core.drained().await;
                while tasks.join_next().await.is_some() {}
            };
            match race(lines.next(), quiet).await {
                Either::First(Line::Whole(line)) => {
                    if may_be_mcp {
                        match opens(&line) {
                            Opens::Mcp => return Some(line),
                            // Both protocols have it.
                            Opens::Ping => {}
                            Opens::Own => may_be_mcp = false,
                        }
                    }
                    self.take(&line, &mut tasks);
                }
                Either::First(Line::TooLong) => {
                    self.outbox.push(&too_long_line(self.core.limits().body_bytes));
                    return None;
                }
                Either::First(Line::End) | Either::Second(()) => return None,
            }
        }
    }

    fn take(self: &Rc<Self>, line: &[u8], tasks: &mut JoinSet<()>) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match Message::parse(line) {
            Ok(None) => {}
            Ok(Some(Message { id: None, asks })) => {
                // Only this one comes without an id. A call that is over needs no cancelling.
                if let Asks::Cancel { call } = asks {
                    self.cancel(&call);
                }
            }
            Ok(Some(Message { id: Some(id), asks })) => {
                if let Err(line) = self.begin(&id, asks, tasks) {
                    self.outbox.push(&line);
                }
            }
            Err(error) => self.outbox.push(&refused_line(&error)),
        }
    }

    /// Begins to answer a request; the error is a line that answers it at once.
    fn begin(self: &Rc<Self>, id: &Id, asks: Asks, tasks: &mut JoinSet<()>) -> Result<(), Vec<u8>> {
        let refused = |code, message: String| refused_line(&RpcError { id: Some(id.clone()), code, message });
        if self.running.borrow().contains_key(id) {
            let shown = serde_json::to_string(id).unwrap_or_default();
            return Err(refused(-32600, format!("the id {shown} is still in use")));
        }
        let (cancel, cancelled) = oneshot::channel();
        match asks {
            Asks::Ping => return Err(result_line(id, "{}")),
            Asks::Cancel { call } if self.cancel(&call) => return Err(result_line(id, "{}")),
            Asks::Cancel { .. } => {
                return Err(refused(-32602, "no request with this id is under way on this connection".to_owned()));
            }
            Asks::Tools | Asks::Call { .. } if self.running.borrow().len() >= self.core.limits().queue.max(1) => {
                let busy = Failure::new("busy", "this connection has as many requests under way as it may (`queue`)");
                return Err(Failed::new(busy).to_line(Some(id)));
            }
            Asks::Tools => {
                let (this, id) = (Rc::clone(self), id.clone());
                tasks.spawn_local(self.until(id.clone(), cancelled, async move { this.tools(&id).await }));
            }
            Asks::Call { request, logs } => {
                let (this, id) = (Rc::clone(self), id.clone());
                tasks.spawn_local(self.until(
                    id.clone(),
                    cancelled,
                    async move { this.call(&id, request, logs).await },
                ));
            }
        }
        self.running.borrow_mut().insert(id.clone(), cancel);
        Ok(())
    }

    /// Answers a request by `work`, or that it was cancelled.
    fn until<W: Future<Output = Vec<u8>>>(
        self: &Rc<Self>,
        id: Id,
        cancelled: oneshot::Receiver<()>,
        work: W,
    ) -> impl Future<Output = ()> + use<W> {
        let this = Rc::clone(self);
        let underway = self.watch.underway();
        async move {
            let line = match race(work, cancelled).await {
                Either::First(line) => line,
                Either::Second(_cancelled) => {
                    Failed::new(Failure::new("cancelled", "cancelled by the client")).to_line(Some(&id))
                }
            };
            this.outbox.has_room().await;
            this.outbox.push(&line);
            // Whoever reads the answer may use the id again.
            this.running.borrow_mut().remove(&id);
            drop(underway);
        }
    }

    async fn tools(&self, id: &Id) -> Vec<u8> {
        match self.core.tools(self.client, Format::Tollgate).await {
            Ok(list) => result_line(id, &list),
            Err(failure) => Failed::new(failure).to_line(Some(id)),
        }
    }

    async fn call(&self, id: &Id, request: CallRequest, logs: bool) -> Vec<u8> {
        self.reply(id, request, logs).await.to_line(id)
    }

    async fn reply(&self, id: &Id, request: CallRequest, logs: bool) -> Reply {
        let mut running = match self.core.call(self.client, request, logs) {
            Ok(running) => running,
            Err(refused) => return Reply::Failed(refused),
        };
        loop {
            match running.next().await {
                Event::Log(piece) if logs => {
                    self.outbox.has_room().await;
                    self.outbox.push(&log_line(id, &piece));
                }
                Event::Log(_unwanted) => {}
                Event::End(reply) => return reply,
            }
        }
    }

    /// Whether there was something to cancel.
    fn cancel(&self, call: &Id) -> bool {
        let mut running = self.running.borrow_mut();
        let Some(cancel) = running.get_mut(call) else { return false };
        // The id stays in use until the answer is on its way; a second word does nothing.
        let (spent, _nobody) = oneshot::channel();
        std::mem::replace(cancel, spent).send(()).is_ok()
    }
}

/// Answers a line that is too long, behind which nothing is read.
pub(crate) fn too_long_line(most: usize) -> Vec<u8> {
    let message = format!("a line of more than {most} bytes (`body_bytes`)");
    refused_line(&RpcError { id: None, code: -32700, message })
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
    fn finish(&self) {
        self.is_finished.set(true);
        self.more.notify_one();
    }

    pub(crate) async fn has_room(&self) {
        while self.lines.borrow().len() + self.going.get() >= OUTBOX_BYTES {
            self.room.notified().await;
        }
    }

    /// Writes until nothing more comes, and says so to the client.
    async fn write_to(&self, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
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
