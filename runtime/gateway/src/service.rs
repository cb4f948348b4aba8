//! What every protocol asks for, whichever way its clients say it: calls, the list of tools, whether a token is right.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::{Notify, watch};

use crate::held::{Held, Holding};
use crate::lanes::{Asking, Heard, Lanes};
use crate::parse::{CallRequest, is_call_id, is_json};
use crate::protocol::{Asked, Failure, Format, GatewayLimits, Told};
use crate::reply::{Failed, Reply, UNKNOWN_CALL, senseless};
use crate::sessions::Sessions;
use crate::unproven::Unproven;

/// The agent's gateway, as its connections have it.
#[derive(Debug)]
pub(crate) struct Core {
    lanes: Rc<Lanes>,
    limits: GatewayLimits,
    wants_token: bool,
    unproven: Unproven,
    is_draining: Cell<bool>,
    drains: Notify,
    news: watch::Sender<News>,
    sessions: Sessions,
}

/// What the daemon said that clients may want to hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// How often the list of tools became another one.
    pub(crate) lists: u64,
    /// Whether no more calls are taken.
    pub(crate) is_draining: bool,
}

/// A connection, as whoever asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// The daemon's name for the client.
    pub(crate) client: u64,
    /// What it has not taken yet.
    pub(crate) held: Held,
}

/// A call under way. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Running(Asking);

/// What a call comes to next.
#[derive(Debug)]
pub(crate) enum Event {
    /// A piece of its log.
    Log(Vec<u8>),
    /// Its end, and what of it is held for the connection; nothing of a call that did not begin.
    End(Reply, Option<Holding>),
}

impl Core {
    pub(crate) fn new(lanes: Rc<Lanes>, limits: GatewayLimits, wants_token: bool) -> Self {
        let news = watch::Sender::new(News::default());
        let unproven = Unproven::of(limits.connections);
        Self {
            lanes,
            limits,
            wants_token,
            unproven,
            is_draining: Cell::new(false),
            drains: Notify::new(),
            news,
            sessions: Sessions::default(),
        }
    }

    /// A new connection.
    pub(crate) fn asker(&self, client: u64) -> Asker {
        Asker { client, held: Held::none(self.lanes.held()) }
    }

    /// Hears news from now on.
    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    /// The list of tools may be another one.
    pub(crate) fn changed(&self) {
        self.news.send_modify(|news| news.lists += 1);
    }

    pub(crate) const fn limits(&self) -> &GatewayLimits {
        &self.limits
    }

    /// Whether nothing is answered before a right token.
    pub(crate) const fn wants_token(&self) -> bool {
        self.wants_token
    }

    /// Requests that can be taken back by another one.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Clients that have not shown a token yet.
    pub(crate) const fn unproven(&self) -> &Unproven {
        &self.unproven
    }

    /// Takes no more calls.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
        self.drains.notify_waiters();
        self.news.send_modify(|news| news.is_draining = true);
    }

    /// Waits until no more calls are taken.
    pub(crate) async fn drained(&self) {
        let drains = self.drains.notified();
        if !self.is_draining.get() {
            drains.await;
        }
    }

    /// Begins a call for a client. The error is the reply to it.
    pub(crate) fn call(&self, asker: &Asker, request: CallRequest, logs: bool) -> Result<Running, Box<Failed>> {
        if self.is_draining.get() {
            let ends = Failure::new("busy", "the daemon is about to end, and takes no more calls");
            return Err(Box::new(Failed::new(ends)));
        }
        let CallRequest { named, arguments, stdin, claims } = request;
        let client = asker.client;
        let call = |request| Asked::Call { client, request, named, claims, logs };
        self.lanes
            .ask(&asker.held, call, [arguments, stdin])
            .map(Running)
            .map_err(|unasked| Box::new(Failed::new(unasked.into())))
    }

    /// Makes a call whose log nobody wants meanwhile. Dropping this cancels the call.
    pub(crate) async fn reply(&self, asker: &Asker, request: CallRequest) -> (Reply, Option<Holding>) {
        match self.call(asker, request, false) {
            Ok(running) => running.end().await,
            Err(refused) => (Reply::Failed(refused), None),
        }
    }

    /// The list of tools, JSON text.
    pub(crate) async fn tools(&self, asker: &Asker, format: Format) -> Result<(String, Holding), Failure> {
        match self.ask(asker, Asked::Tools { client: asker.client, format }, Vec::new()).await? {
            (Told::Tools, [list, ..], holding) if is_json(&list) => {
                String::from_utf8(list).map_err(|_no_text| senseless()).map(|list| (list, holding))
            }
            (told, ..) => Err(failure(told)),
        }
    }

    /// The receipt of a call, in its text form.
    pub(crate) async fn receipt(&self, asker: &Asker, call: String) -> Result<String, Failure> {
        if !is_call_id(&call) {
            let shown: String = call.chars().take(NAME_CHARS_MAX).flat_map(char::escape_debug).collect();
            return Err(Failure::new(UNKNOWN_CALL, format!("`{shown}` is no name of a call")));
        }
        match self.ask(asker, Asked::Receipt { client: asker.client, call }, Vec::new()).await? {
            (Told::Receipt, [receipt, ..], _holding) => String::from_utf8(receipt).map_err(|_no_text| senseless()),
            (told, ..) => Err(failure(told)),
        }
    }

    /// Whether calls would be taken, and why not.
    pub(crate) async fn readiness(&self) -> (bool, Vec<String>) {
        if self.is_draining.get() {
            return (false, vec!["the daemon is about to end".to_owned()]);
        }
        match self.ask(&self.asker(0), Asked::Ready, Vec::new()).await {
            Ok((Told::Ready { ready, why }, ..)) => (ready, why),
            Ok((told, ..)) => (false, vec![failure(told).message]),
            Err(failure) => (false, vec![failure.message]),
        }
    }

    /// Whether a token is this agent's.
    pub(crate) async fn is_right(&self, client: u64, token: &[u8]) -> Result<bool, Failure> {
        match self.ask(&self.asker(client), Asked::Token { client }, token.to_vec()).await? {
            (Told::Token { is_right }, ..) => Ok(is_right),
            (told, ..) => Err(failure(told)),
        }
    }

    async fn ask(&self, asker: &Asker, asked: Asked, blob: Vec<u8>) -> Result<Heard, Failure> {
        let mut asking = self.lanes.ask(&asker.held, |_number| asked, [blob, Vec::new()])?;
        asking.hear().await.ok_or_else(broken)
    }
}

impl Running {
    /// What comes next. Nothing comes behind the end.
    pub(crate) async fn next(&mut self) -> Event {
        match self.0.hear().await {
            Some((Told::Log, [piece, ..], _holding)) => Event::Log(piece),
            Some((told, blobs, holding)) => Event::End(Reply::of(told, blobs), Some(holding)),
            None => Event::End(Reply::failed(broken()), None),
        }
    }

    async fn end(mut self) -> (Reply, Option<Holding>) {
        loop {
            if let Event::End(reply, holding) = self.next().await {
                return (reply, holding);
            }
        }
    }
}

/// Why something else than a call was not answered.
fn failure(told: Told) -> Failure {
    match told {
        Told::Failed { error, .. } => error,
        Told::Token { .. }
        | Told::Tools
        | Told::Log
        | Told::Answered { .. }
        | Told::Own
        | Told::Receipt
        | Told::Ready { .. } => senseless(),
    }
}

/// Characters of a name that are told back.
const NAME_CHARS_MAX: usize = 64;

fn broken() -> Failure {
    Failure::new("internal", "the connection to the daemon broke; the ledger has it if the call began")
}
