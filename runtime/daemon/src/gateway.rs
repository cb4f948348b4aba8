//! The gateway of an agent, from outside: its process, the clients that were handed to it, the calls that it asked for.
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `gateway-watch`, for each gateway | starts the process, hears its control channel, reaps it | the gateway's next word |
//! | `lane`, for each lane | makes one call after the other | the gateway's next question; within a call what [`Tollgate::call`](tollgate::Tollgate::call) waits for |
//!
//! A gateway may be broken into. It can ask for calls of its own agent, as many at a time as it has lanes, and do nothing else: who
//! the agent is, which session a client has and whether its token was right, is known here and not asked of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tollgate::supervisor::Cancel;
use tollgate_gateway::protocol::{DROPPED_MAX, FromGateway, GatewayLimits, ToGateway};
use tollgate_ipc::{Channel, ChannelError, Connection, Early};
use tollgate_system::{ProcessCommand, held, lock, of_call, of_thread};

/// The gateway's process, and what is known of its clients and calls.
#[derive(Debug)]
pub(crate) struct Gateway {
    agent: String,
    control: Channel,
    pid: u32,
    needs_token: bool,
    calls_max: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while a list of the agent's tools is made: each takes many times the bytes of a tool's schemas.
    pub(crate) listing: Mutex<()>,
}

#[derive(Debug)]
struct State {
    clients: HashMap<u64, Client>,
    lanes: usize,
    // By the gateway's number, each with the client that asked.
    running: HashMap<u64, (u64, Cancel)>,
    // Withdrawn before the call came.
    early: Early<u64>,
    // What it last said of its queue, and how often it has said so.
    waiting: (usize, u64),
    // Its agent is another one by the policy: calls under way go on, and nobody gets a new one.
    is_retired: bool,
    // The list of tools may be another one than it knows.
    is_behind: bool,
    // Since when it has no client.
    idle_since: Option<Instant>,
    is_over: bool,
}

/// A client of the gateway.
#[derive(Debug, Clone)]
struct Client {
    session: String,
    is_authentic: bool,
    // The SHA-256 of the token that it last showed, of those that were right.
    token: Option<String>,
}

/// What a gateway's threads need of whoever starts it.
pub(crate) trait Serves: Send + Sync + 'static {
    /// What the thread of a lane does, of which the gateway gets the other end.
    fn lane(self: Arc<Self>, gateway: &Arc<Gateway>, connection: Connection) -> Box<dyn FnOnce() + Send>;

    /// The gateway's process has ended.
    fn over(&self, gateway: &Arc<Gateway>, how: &str);
}

impl State {
    fn of(calls_max: usize) -> Self {
        let (clients, running, early) = (HashMap::new(), HashMap::new(), Early::new(calls_max));
        let (is_retired, is_behind, is_over) = (false, false, false);
        Self { clients, lanes: 0, running, early, waiting: (0, 0), is_retired, is_behind, idle_since: None, is_over }
    }

    /// What withdraws the calls of these clients.
    fn calls_of(&self, is_one: impl Fn(u64) -> bool) -> Vec<Cancel> {
        self.running.values().filter(|(client, _)| is_one(*client)).map(|(_, cancel)| cancel.clone()).collect()
    }
}

impl Gateway {
    /// Starts a gateway. Waits for its process, and not until it is sealed: what it is told waits in its channel.
    pub(crate) fn start(
        command: &ProcessCommand,
        (agent, needs_token, limits): (&str, bool, GatewayLimits),
        calls_max: usize,
        serves: &Arc<impl Serves>,
    ) -> io::Result<Arc<Self>> {
        let (control, stdin) = Channel::pair()?;
        let (say, heard) = mpsc::sync_channel(0);
        let (command, serves) = (command.clone(), Arc::clone(serves));
        let agent = agent.to_owned();
        let begin = ToGateway::Begin { agent: agent.clone(), token: needs_token, limits };
        let work = move || {
            // The process dies with the thread that started it, so that this one stays.
            let mut child = match command.prepare_own(stdin).spawn() {
                Ok(child) => child,
                Err(error) => return drop(say.send(Err(error))),
            };
            let gateway = Arc::new(Self {
                agent,
                control,
                pid: child.id(),
                needs_token,
                calls_max,
                state: Mutex::new(State::of(calls_max)),
                changed: Condvar::new(),
                listing: Mutex::default(),
            });
            // One that is dead already is noticed when it says nothing.
            gateway.control.say_hello().and_then(|()| gateway.control.send(&begin)).ok();
            if say.send(Ok(Arc::clone(&gateway))).is_ok() {
                gateway.hear(&serves);
            }
            let how = gateway.end(&mut child);
            serves.over(&gateway, &how);
        };
        thread::Builder::new().name("gateway-watch".to_owned()).spawn(work).map_err(of_thread)?;
        heard.recv().map_err(|_gone| io::Error::other("the thread of the gateway has failed"))?
    }

    /// Whose it is.
    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Hands a client over. False where the gateway does not take it.
    pub(crate) fn take(&self, client: u64, session: String, is_busy: bool, socket: BorrowedFd<'_>) -> bool {
        {
            let mut state = lock(&self.state);
            if state.is_over {
                return false;
            }
            state.clients.insert(client, Client { session, is_authentic: !self.needs_token, token: None });
        }
        let handed = self.control.send_at_once_with(&ToGateway::Client { client, is_busy }, &[socket]);
        if handed.is_err() {
            lock(&self.state).clients.remove(&client);
        }
        handed.is_ok()
    }

    /// Tells it that the list of tools may be another one. Where it does not hear that now, it is to [catch up](Gateway::catch_up).
    pub(crate) fn changed(&self) {
        let is_told = self.control.send_at_once(&ToGateway::Changed).is_ok();
        lock(&self.state).is_behind = !is_told;
    }

    /// Tells it what it did not hear.
    pub(crate) fn catch_up(&self) {
        let is_behind = lock(&self.state).is_behind;
        if is_behind {
            self.changed();
        }
    }

    /// Tells it to take nothing new, and to end once all that is under way is over.
    pub(crate) fn drain(&self) {
        // One that does not even hear it would never end.
        if self.control.send_at_once(&ToGateway::Drain).is_err() {
            self.kill();
        }
    }

    /// The same, where the policy has another agent in its place or none: from now on none of its clients is anybody's.
    pub(crate) fn retire(&self) {
        lock(&self.state).is_retired = true;
        self.drain();
    }

    /// Whether its process is over.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).is_over
    }

    /// Withdraws every call.
    pub(crate) fn cancel_all(&self) {
        let running: Vec<Cancel> = lock(&self.state).calls_of(|_any| true);
        running.iter().for_each(Cancel::cancel);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        // Its thread kills the process once nothing is heard of it any more.
        self.control.close();
    }

    /// Waits until its process is over, at most until `until`. Whether it is.
    pub(crate) fn await_over(&self, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while !state.is_over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = held(self.changed.wait_timeout(state, left)).0;
        }
        true
    }

    /// How many calls wait in it, by its own word; none where it does not say so at once.
    pub(crate) fn waiting(&self) -> Option<usize> {
        let before = lock(&self.state).waiting.1;
        self.control.send_at_once(&ToGateway::Count).ok()?;
        let state = lock(&self.state);
        let waited =
            self.changed.wait_timeout_while(state, COUNT_WAIT, |state| state.waiting.1 == before && !state.is_over);
        let state = held(waited).0;
        (state.waiting.1 != before).then_some(state.waiting.0)
    }

    /// Clients and calls at the moment, and lanes.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let state = lock(&self.state);
        (state.clients.len(), state.running.len(), state.lanes)
    }

    /// The session of a client whose token was right, or that needs none; none of anybody else, or once the gateway is retired.
    pub(crate) fn session_of(&self, client: u64) -> Option<String> {
        let state = lock(&self.state);
        if state.is_retired {
            return None;
        }
        state.clients.get(&client).filter(|client| client.is_authentic).map(|client| client.session.clone())
    }

    /// A client has shown a token that is right, of this SHA-256.
    pub(crate) fn is_authentic(&self, client: u64, token: String) {
        if let Some(client) = lock(&self.state).clients.get_mut(&client) {
            client.is_authentic = true;
            client.token = Some(token);
        }
    }

    /// A client is nobody's: what it showed is not right any more.
    pub(crate) fn is_nobodys(&self, client: u64) {
        if let Some(client) = lock(&self.state).clients.get_mut(&client) {
            (client.is_authentic, client.token) = (false, None);
        }
    }

    /// Ends the connections that were opened by tokens which are not among these any more, with what they have under way. How many
    /// they were.
    pub(crate) fn drop_removed(&self, tokens: &BTreeMap<String, Vec<String>>) -> usize {
        let tokens = tokens.get(&self.agent).map_or(&[][..], Vec::as_slice);
        let (dropped, calls): (Vec<u64>, Vec<Cancel>) = {
            let mut state = lock(&self.state);
            let is_gone = |client: &Client| client.token.as_ref().is_some_and(|token| !tokens.contains(token));
            let gone = state.clients.iter_mut().filter(|(_, client)| is_gone(client));
            // None of them is anybody's from here on, also where the gateway is broken and lets it stay.
            let number = |(number, client): (&u64, &mut Client)| {
                (client.is_authentic, client.token) = (false, None);
                *number
            };
            let dropped: Vec<u64> = gone.map(number).collect();
            let calls = state.calls_of(|client| dropped.contains(&client));
            (dropped, calls)
        };
        calls.iter().for_each(Cancel::cancel);
        for clients in dropped.chunks(DROPPED_MAX) {
            // One that does not even hear it has no more to say.
            if self.control.send_at_once(&ToGateway::Drop { clients: clients.to_vec() }).is_err() {
                self.kill();
            }
        }
        dropped.len()
    }

    /// A call of a client begins; how it is withdrawn. None if the gateway has another of that number under way.
    pub(crate) fn begin(&self, client: u64, request: u64) -> Option<Cancel> {
        let mut state = lock(&self.state);
        if state.running.contains_key(&request) {
            return None;
        }
        let cancel = Cancel::new();
        if state.early.take(&request) || state.is_over {
            cancel.cancel();
        }
        state.running.insert(request, (client, cancel.clone()));
        Some(cancel)
    }

    /// A call is over.
    pub(crate) fn is_done(&self, request: u64) {
        lock(&self.state).running.remove(&request);
    }

    fn hear(self: &Arc<Self>, serves: &Arc<impl Serves>) {
        loop {
            match self.control.receive::<FromGateway>() {
                Ok(Some((FromGateway::Ready, _))) => {}
                Ok(Some((FromGateway::Count { waiting }, _))) => {
                    let mut state = lock(&self.state);
                    state.waiting = (waiting, state.waiting.1 + 1);
                    drop(state);
                    self.changed.notify_all();
                }
                Ok(Some((FromGateway::WantLane, _))) => self.open_lane(serves),
                Ok(Some((FromGateway::Closed { client }, _))) => self.closed(client),
                Ok(Some((FromGateway::Cancel { request }, _))) => self.cancel(request),
                Ok(None) | Err(ChannelError::Io(_) | ChannelError::Malformed(_) | ChannelError::Version { .. }) => {
                    return;
                }
            }
        }
    }

    fn closed(&self, client: u64) {
        let mut state = lock(&self.state);
        state.clients.remove(&client);
        state.idle_since = state.clients.is_empty().then(Instant::now);
    }

    /// Whether it has had no client for so long.
    pub(crate) fn is_idle(&self, most: Duration) -> bool {
        let state = lock(&self.state);
        state.clients.is_empty() && state.idle_since.is_some_and(|since| since.elapsed() >= most)
    }

    fn cancel(&self, request: u64) {
        let running = {
            let mut state = lock(&self.state);
            let running = state.running.get(&request).map(|(_, cancel)| cancel.clone());
            if running.is_none() {
                state.early.note(request);
            }
            running
        };
        if let Some(cancel) = running {
            cancel.cancel();
        }
    }

    /// As many as the agent may have calls at a time.
    fn open_lane(self: &Arc<Self>, serves: &Arc<impl Serves>) {
        let has_room = {
            let mut state = lock(&self.state);
            let has_room = state.lanes < self.calls_max;
            state.lanes += usize::from(has_room);
            has_room
        };
        let opened = if has_room { self.lane(serves) } else { Err(io::ErrorKind::QuotaExceeded.into()) };
        if opened.is_err() {
            if has_room {
                lock(&self.state).lanes -= 1;
            }
            self.control.send_at_once(&ToGateway::NoLane).ok();
        }
    }

    fn lane(self: &Arc<Self>, serves: &Arc<impl Serves>) -> io::Result<()> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| of_call("socketpair", error))?;
        let (gateway, lane) = (Arc::clone(self), Arc::clone(serves).lane(self, Connection::new(ours)));
        let work = move || {
            lane();
            lock(&gateway.state).lanes -= 1;
        };
        // Before the thread, which counts itself out when it ends.
        self.control.send_at_once_with(&ToGateway::Lane, &[theirs.as_fd()]).map_err(io::Error::other)?;
        thread::Builder::new().name("lane".to_owned()).spawn(work).map_err(of_thread)?;
        Ok(())
    }

    /// The gateway has ended, or does not make sense any more: its calls are withdrawn, and its process is killed.
    fn end(&self, child: &mut Child) -> String {
        let patience = Instant::now() + END_PATIENCE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < patience {
            thread::sleep(END_LOOK_EVERY);
        }
        child.kill().ok();
        let ended = child.wait();
        let running: Vec<Cancel> = {
            let mut state = lock(&self.state);
            state.is_over = true;
            state.clients.clear();
            state.calls_of(|_any| true)
        };
        self.changed.notify_all();
        running.iter().for_each(Cancel::cancel);
        match ended {
            Ok(status) if status.success() => String::new(),
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// How long a gateway may take to say how many calls wait.
const COUNT_WAIT: Duration = Duration::from_millis(200);

/// How long a gateway that has hung up may take to be gone.
const END_PATIENCE: Duration = Duration::from_millis(500);
const END_LOOK_EVERY: Duration = Duration::from_millis(5);
