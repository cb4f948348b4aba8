//! MCP by lines, as its stdio transport has it: a message on each line, over the agent's socket.
//!
//! The id of a request is in use until the request is both answered, or taken back, and forgotten by whoever worked on it. At most
//! `queue` are in use at a time, so that rmcp holds no more than that, whatever a client sends and does not read.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    ClientJsonRpcMessage, GetExtensions as _, NumberOrString, RequestId, ServerJsonRpcMessage, ServerNotification,
    ToolListChangedNotification,
};
use rmcp::service::{Peer, RoleServer, serve_server};
use rmcp::transport::Transport;
use tokio::sync::{Notify, mpsc, watch};
use tollgate_system::lock;

use super::beside::{Beside, is_marked};
use super::jobs::{self, Asks};
use super::{Arguments, Server};
use crate::lines::{Line, Lines, Outbox, busy_line, in_use_line, too_long_line};
use crate::parse::{Does, Id, McpMessage, RpcError};
use crate::race::{Either, race};
use crate::reply::{message_line, refused_line};
use crate::service::{Asker, Core, News};

/// Serves a connection whose line `first` opened MCP, until it ends.
pub(crate) async fn serve(core: &Rc<Core>, asker: &Asker, outbox: &Outbox, lines: &mut Lines, first: &[u8]) {
    // A client that is open and says nothing is as it should be; half a line, or an answer that is not read, still is not.
    let _open = lines.watch().underway();
    let (asks, jobs) = jobs::pair(core, asker);
    let (give, come) = mpsc::channel(1);
    let (say, said) = mpsc::channel(1);
    let session = Session { core, outbox, give, open: RefCell::default(), used: Arc::default(), over: Notify::new() };
    let transport = Fed { come, say };
    let reading = async {
        session.take(first).await;
        session.read(lines).await;
    };
    let serving = Box::pin(speak(asks, core.news(), transport));
    // Whatever ends first ends the rest: calls under way are withdrawn.
    race(reading, race(race(serving, session.write(said)), jobs.work())).await;
}

/// Lets rmcp speak with the client, and tells one of the first era of changes; others listen.
async fn speak(asks: Asks, news: watch::Receiver<News>, transport: Fed) {
    let server = Server { asks, news: news.clone() };
    let Ok(running) = serve_server(server, transport).await else { return };
    let telling = tell_changes(running.peer().clone(), news);
    race(async { drop(running.waiting().await) }, telling).await;
}

async fn tell_changes(peer: Peer<RoleServer>, mut news: watch::Receiver<News>) {
    let mut lists = news.borrow_and_update().lists;
    while news.changed().await.is_ok() {
        let now = news.borrow_and_update().lists;
        // It has said who it is where it began with `initialize`.
        if now != lists && peer.peer_info().is_some() {
            let changed = ToolListChangedNotification { method: Default::default(), extensions: Default::default() };
            // One that is gone needs to hear nothing.
            peer.send_notification(ServerNotification::ToolListChangedNotification(changed)).await.unwrap_or_default();
        }
        lists = now;
    }
    std::future::pending::<()>().await;
}

/// One connection.
#[derive(Debug)]
struct Session<'c> {
    core: &'c Rc<Core>,
    outbox: &'c Outbox,
    give: mpsc::Sender<ClientJsonRpcMessage>,
    // Requests that are neither answered nor taken back.
    open: RefCell<HashMap<Id, (Arc<InUse>, Beside)>>,
    used: Used,
    over: Notify,
}

/// The ids in use.
type Used = Arc<Mutex<HashSet<Id>>>;

/// Keeps an id in use for as long as anybody has this.
#[derive(Debug)]
struct InUse {
    id: Id,
    used: Used,
}

impl InUse {
    /// None where it is in use already.
    fn begin(id: &Id, used: &Used) -> Option<Arc<Self>> {
        let is_new = lock(used).insert(id.clone());
        is_new.then(|| Arc::new(Self { id: id.clone(), used: Arc::clone(used) }))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        lock(&self.used).remove(&self.id);
    }
}

impl Session<'_> {
    /// Takes lines until none comes, or one that ends the connection, or the gateway drains and nothing is left to do.
    async fn read(&self, lines: &mut Lines) {
        loop {
            self.outbox.has_room().await;
            let quiet = async {
                self.core.drained().await;
                while !self.open.borrow().is_empty() {
                    self.over.notified().await;
                }
            };
            match race(lines.next(), quiet).await {
                Either::First(Line::Whole(line)) => self.take(&line).await,
                Either::First(Line::TooLong) => {
                    self.outbox.push(&too_long_line(self.core.limits().body_bytes));
                    return;
                }
                Either::First(Line::End) | Either::Second(()) => return,
            }
        }
    }

    async fn take(&self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match self.admit(line) {
            Ok(Some(message)) => self.give.send(message).await.unwrap_or_default(),
            Ok(None) => {}
            Err(refused) => self.outbox.push(&refused),
        }
    }

    /// A line as rmcp may have it; none where it is for nobody. The error is a line that answers it.
    fn admit(&self, line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, Vec<u8>> {
        let McpMessage { id, does, text } = McpMessage::parse(line).map_err(|error| refused_line(&error))?;
        let refused = |code, message: String| refused_line(&RpcError { id: id.clone(), code, message });
        let (arguments, is_wanted) = match does {
            Does::Call { arguments } => (arguments, true),
            Does::Cancel { request } => {
                self.open.borrow_mut().remove(&request);
                self.over.notify_one();
                (None, true)
            }
            // What else a client tells changes nothing here, and we ask it nothing that it could answer.
            Does::Other { method } => (None, id.is_some() || method == "notifications/initialized"),
            Does::Answers => (None, false),
        };
        if !is_wanted {
            return Ok(None);
        }
        let mut message: ClientJsonRpcMessage = serde_json::from_slice(&text)
            .map_err(|_other| refused(-32602, "the params are none of this method".to_owned()))?;
        let Some(id) = &id else { return Ok(Some(message)) };
        let ClientJsonRpcMessage::Request(request) = &mut message else { return Ok(None) };
        if lock(&self.used).len() >= self.core.limits().queue.max(1) {
            return Err(busy_line(id));
        }
        let Some(in_use) = InUse::begin(id, &self.used) else {
            return Err(in_use_line(id));
        };
        let extensions = request.request.extensions_mut();
        extensions.insert(Arc::clone(&in_use));
        let beside = Beside::default();
        extensions.insert(beside.clone());
        if let Some(arguments) = arguments {
            extensions.insert(Arguments(arguments.into()));
        }
        self.open.borrow_mut().insert(id.clone(), (in_use, beside));
        Ok(Some(message))
    }

    /// Writes what rmcp says.
    async fn write(&self, mut said: mpsc::Receiver<ServerJsonRpcMessage>) {
        while let Some(message) = said.recv().await {
            self.outbox.has_room().await;
            let answered = match &message {
                ServerJsonRpcMessage::Response(response) => Some(id_of(&response.id)),
                ServerJsonRpcMessage::Error(error) => error.id.as_ref().map(id_of),
                ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => None,
            };
            let mut line = message_line(&message);
            let text = answered.as_ref().and_then(|id| Some(self.open.borrow().get(id)?.1.clone()));
            if is_marked(&line) && !text.as_ref().is_some_and(Beside::is_there) {
                // It was taken back while it waited here, with its text; another request may have its id by now.
                continue;
            }
            let open = answered.as_ref().and_then(|id| self.open.borrow_mut().remove(id));
            if let Some(beside) = text {
                line = beside.put_into(line);
            }
            self.outbox.push(&line);
            // Whoever reads the answer may use the id again.
            drop(open);
            if answered.is_some() {
                self.over.notify_one();
            }
        }
    }
}

fn id_of(id: &RequestId) -> Id {
    match id {
        NumberOrString::Number(number) => Id::Number((*number).into()),
        NumberOrString::String(text) => Id::Text(text.as_ref().to_owned()),
    }
}

/// What rmcp takes for a transport.
struct Fed {
    come: mpsc::Receiver<ClientJsonRpcMessage>,
    say: mpsc::Sender<ServerJsonRpcMessage>,
}

/// The connection has ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection has ended")]
struct Ended;

impl Transport<RoleServer> for Fed {
    type Error = Ended;

    fn name() -> Cow<'static, str> {
        "lines".into()
    }

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Ended>> + Send + 'static {
        let say = self.say.clone();
        async move { say.send(message).await.map_err(|_gone| Ended) }
    }

    fn receive(&mut self) -> impl Future<Output = Option<ClientJsonRpcMessage>> + Send {
        self.come.recv()
    }

    async fn close(&mut self) -> Result<(), Ended> {
        self.come.close();
        Ok(())
    }
}
