//! JSON-RPC 2.0, a message on each line. Requests of a connection run side by side, and are answered as they end.
//!
//! A client that does not read its answers is not read any more: what is to be written is bounded, and so is what is under way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::split;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::held::Holding;
use crate::lines::{Line, Lines, Outbox, busy_line, in_use_line, too_long_line};
use crate::mcp;
use crate::parse::{Asks, CallRequest, Id, Message, Opens, RpcError, opens};
use crate::protocol::{Failure, Format};
use crate::race::{Either, race};
use crate::reply::{Failed, Reply, log_line, refused_line, result_line};
use crate::service::{Asker, Core, Event};
use crate::stream::{Stream, discard};
use crate::watch::Watch;

/// Serves a connection until it ends.
pub(crate) async fn serve(core: &Rc<Core>, client: u64, stream: Stream) {
    let watch = Rc::clone(stream.watch());
    let (read, write) = split(stream);
    let session = Rc::new(Session {
        core: Rc::clone(core),
        asker: core.asker(client),
        watch: Rc::clone(&watch),
        outbox: Outbox::default(),
        running: RefCell::default(),
    });
    let mut lines = Lines::new(read, BytesMut::new(), core.limits().body_bytes, watch);
    let mut writing = pin!(session.outbox.write_to(write));
    // What still runs when the reading ends is cancelled by then.
    let reading = async {
        if let Some(first) = session.read(&mut lines).await {
            // What it holds is large, and no part of what others hold.
            Box::pin(mcp::serve(core, &session.asker, &session.outbox, &mut lines, &first)).await;
        }
    };
    let ended = race(reading, writing.as_mut()).await;
    if let Either::First(()) = ended {
        session.outbox.finish();
        if writing.await.is_ok() {
            discard(lines.read(), session.watch.handshake()).await;
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Session {
    core: Rc<Core>,
    asker: Asker,
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
            return Err(in_use_line(id));
        }
        let (cancel, cancelled) = oneshot::channel();
        match asks {
            Asks::Ping => return Err(result_line(id, "{}")),
            Asks::Cancel { call } if self.cancel(&call) => return Err(result_line(id, "{}")),
            Asks::Cancel { .. } => {
                return Err(refused(-32602, "no request with this id is under way on this connection".to_owned()));
            }
            Asks::Tools | Asks::Call { .. } if self.running.borrow().len() >= self.core.limits().queue.max(1) => {
                return Err(busy_line(id));
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
    fn until<W: Future<Output = (Vec<u8>, Option<Holding>)>>(
        self: &Rc<Self>,
        id: Id,
        cancelled: oneshot::Receiver<()>,
        work: W,
    ) -> impl Future<Output = ()> + use<W> {
        let this = Rc::clone(self);
        let underway = self.watch.underway();
        async move {
            let (line, holding) = match race(work, cancelled).await {
                Either::First(answered) => answered,
                Either::Second(_cancelled) => {
                    (Failed::new(Failure::new("cancelled", "cancelled by the client")).to_line(Some(&id)), None)
                }
            };
            this.outbox.has_room().await;
            this.outbox.push(&line);
            drop(holding);
            // Whoever reads the answer may use the id again.
            this.running.borrow_mut().remove(&id);
            drop(underway);
        }
    }

    async fn tools(&self, id: &Id) -> (Vec<u8>, Option<Holding>) {
        match self.core.tools(&self.asker, Format::Tollgate).await {
            Ok((list, holding)) => (result_line(id, &list), Some(holding)),
            Err(failure) => (Failed::new(failure).to_line(Some(id)), None),
        }
    }

    async fn call(&self, id: &Id, request: CallRequest, logs: bool) -> (Vec<u8>, Option<Holding>) {
        let (reply, holding) = self.reply(id, request, logs).await;
        (reply.to_line(id), holding)
    }

    async fn reply(&self, id: &Id, request: CallRequest, logs: bool) -> (Reply, Option<Holding>) {
        let mut running = match self.core.call(&self.asker, request, logs) {
            Ok(running) => running,
            Err(refused) => return (Reply::Failed(refused), None),
        };
        loop {
            match running.next().await {
                Event::Log(piece) if logs => {
                    self.outbox.has_room().await;
                    self.outbox.push(&log_line(id, &piece));
                }
                Event::Log(_unwanted) => {}
                Event::End(reply, holding) => return (reply, holding),
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
