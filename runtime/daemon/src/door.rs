//! The door of an agent: its listeners, what proves that it is the agent who knocks, and its gateway while it has clients.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use rustix::net::sockopt::socket_peercred;
use tollgate::service::Presence;
use tollgate_config::{Agent, Proof, ServeSettings};
use tollgate_gateway::protocol::GatewayLimits;
use tollgate_ipc::Connection;
use tollgate_system::{ProcessCommand, lock};

use crate::gateway::{Gateway, Serves};
use crate::lane::{Lane, Names};
use crate::serving::{LOCAL, Serving};
use crate::sockets::{Rights, SocketError, listen_at, listen_on};

/// Where an agent knocks. What is in its way is known before a byte of a client is parsed.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) agent: String,
    pub(crate) shared: Arc<Serving>,
    pub(crate) place: Place,
    /// Its socket; not where the policy would have it if whoever started this process opened it.
    pub(crate) path: PathBuf,
    is_given: bool,
    // Device and inode of its socket.
    made: Option<(u64, u64)>,
    socket: UnixListener,
    port: Option<TcpListener>,
    gateway: Mutex<GatewayState>,
    turned_away: Mutex<VecDeque<(Instant, UnixStream)>>,
    knocks: Mutex<Knocks>,
}

/// Who knocked and was turned away, as far as it was not told.
#[derive(Debug, Default)]
struct Knocks {
    told: Option<Instant>,
    untold: u64,
    last: u32,
}

impl Knocks {
    /// The user to tell of, and how many were not told of before, if it is time to.
    fn heard(&mut self, uid: Option<u32>, now: Instant) -> Option<(u32, u64)> {
        let is_quiet = self.told.is_some_and(|told| now.saturating_duration_since(told) < KNOCKS_TOLD_EVERY);
        if let Some(uid) = uid {
            self.last = uid;
            if is_quiet || self.untold > 0 {
                self.untold += 1;
            } else {
                self.told = Some(now);
                return Some((uid, 0));
            }
        }
        if is_quiet || self.untold == 0 {
            return None;
        }
        self.told = Some(now);
        Some((self.last, std::mem::take(&mut self.untold)))
    }
}

/// What makes one door another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    mode: u32,
    group: Option<u32>,
    pub(crate) port: Option<u16>,
    /// Whether it stands where the policy does not say.
    pub(crate) is_default: bool,
    is: Proof,
}

#[derive(Debug, Default)]
struct GatewayState {
    gateway: Option<Arc<Gateway>>,
    deaths: VecDeque<Instant>,
}

impl Place {
    /// Of an agent of the policy.
    pub(crate) fn of(name: &str, agent: &Agent, folder: &Path) -> Self {
        let Agent { is, listen, group, mode, port, tools: _ } = agent;
        let path = listen.clone().unwrap_or_else(|| folder.join(AGENTS).join(format!("{name}.sock")));
        Self { path, mode: *mode, group: *group, port: *port, is_default: listen.is_none(), is: is.clone() }
    }

    /// Of the operator's own, where the policy names no agents.
    pub(crate) fn of_operator(folder: &Path) -> Self {
        let is = Proof::Uid(vec![rustix::process::geteuid().as_raw()]);
        Self {
            path: folder.join(AGENTS).join(format!("{LOCAL}.sock")),
            mode: 0o600,
            group: None,
            port: None,
            is_default: true,
            is,
        }
    }

    pub(crate) fn is(&self) -> &Proof {
        &self.is
    }
}

impl Door {
    pub(crate) fn open(shared: &Arc<Serving>, agent: &str, place: Place) -> Result<Arc<Self>, SocketError> {
        let failed = |source| SocketError::Io { place: place.path.display().to_string(), source };
        let rights = Rights { mode: place.mode, group: place.group };
        let given = shared.given(agent);
        let is_given = given.is_some();
        let socket = given.map_or_else(|| listen_at(&place.path, rights), Ok)?;
        let path = socket.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let path = path.filter(|_| is_given).unwrap_or_else(|| place.path.clone());
        socket.set_nonblocking(true).map_err(failed)?;
        let port = place.port.map(listen_on).transpose()?;
        if let Some(port) = &port {
            port.set_nonblocking(true).map_err(failed)?;
        }
        let (agent, shared, made) = (agent.to_owned(), Arc::clone(shared), id_of(&path));
        let (gateway, turned_away, knocks) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { agent, shared, place, path, is_given, made, socket, port, gateway, turned_away, knocks }))
    }

    /// Takes its socket away, where it was made here and no other door stands there.
    pub(crate) fn take_away(&self, others: &[Arc<Self>]) {
        if !self.is_given && self.is_there() && !others.iter().any(|other| other.path == self.path) {
            std::fs::remove_file(&self.path).ok();
        }
    }

    /// The tools that the policy has for its agent and that nobody has installed.
    pub(crate) fn not_installed(&self) -> Vec<String> {
        self.tools_that_are(Presence::Missing)
    }

    /// Those that a version of before has installed.
    pub(crate) fn to_move(&self) -> Vec<String> {
        self.tools_that_are(Presence::Older)
    }

    fn tools_that_are(&self, presence: Presence) -> Vec<String> {
        let Some(agent) = self.shared.agent(&self.agent) else { return Vec::new() };
        let those = agent.tools.keys().filter(|tool| self.shared.tollgate.presence(tool) == presence);
        those.map(ToString::to_string).collect()
    }

    /// What tells that somebody knocks.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.socket.as_fd()).chain(self.port.iter().map(|port| port.as_fd()))
    }

    /// Takes all who knock, as far as there is room for them. False where this process has no room for one: it must not be asked
    /// again at once.
    pub(crate) fn answer(self: &Arc<Self>) -> bool {
        loop {
            match self.socket.accept() {
                Ok((stream, _unnamed)) => {
                    if self.is_the_agent(stream.as_fd()) {
                        self.admit(stream.into());
                    } else {
                        self.turn_away(stream);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_no_descriptors) => return false,
            }
        }
        let Some(port) = &self.port else { return true };
        loop {
            match port.accept() {
                Ok((stream, _peer)) => {
                    self.admit(stream.into());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_no_descriptors) => return false,
            }
        }
    }

    /// Ends a gateway that has had no client for a while, with its lanes. On the thread that admits clients, so that none comes
    /// in between.
    pub(crate) fn end_idle_gateway(&self, most: Duration) {
        let idle = {
            let mut state = lock(&self.gateway);
            state.gateway.take_if(|gateway| gateway.is_idle(most))
        };
        if let Some(gateway) = idle {
            gateway.drain();
        }
    }

    /// Whether its socket is where it was made: it may have been removed, or another have its place.
    pub(crate) fn is_there(&self) -> bool {
        self.is_given || self.made.is_some() && self.made == id_of(&self.path)
    }

    /// Whether the kernel says of the peer what the policy asks. Where a token or the socket itself is the proof, that comes
    /// later, or has come already.
    fn is_the_agent(&self, stream: BorrowedFd<'_>) -> bool {
        match &self.place.is {
            Proof::Uid(uids) => {
                let uid = socket_peercred(stream).map(|peer| peer.uid.as_raw());
                let is_one = uid.is_ok_and(|uid| uids.contains(&uid));
                if let (false, Ok(uid)) = (is_one, uid) {
                    self.tell_knock(Some(uid));
                }
                is_one
            }
            Proof::Token | Proof::Socket => true,
        }
    }

    /// Tells of somebody who knocked and was turned away: at once, and of those who do so within a minute of that together, however
    /// many they are. Without a user, of those alone.
    pub(crate) fn tell_knock(&self, uid: Option<u32>) {
        let Some((uid, more)) = lock(&self.knocks).heard(uid, Instant::now()) else { return };
        let agent = &self.agent;
        self.shared.tell(&match more {
            0 => format!("the user {uid} is not the agent `{agent}`, and was turned away"),
            more => {
                format!("{more} more who are not the agent `{agent}` were turned away, the last of them the user {uid}")
            }
        });
    }

    /// Tells a client that it is not the agent, and nothing else: what it says is not read. The kernel takes these few bytes at once.
    fn turn_away(&self, stream: UnixStream) {
        let told = rustix::net::send(&stream, not_the_agent().as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        if told.is_err() || stream.shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        // Closed over what the client still sends, the answer would be lost to it.
        let mut turned_away = lock(&self.turned_away);
        if turned_away.len() >= TURNED_AWAY_MAX {
            turned_away.pop_front();
        }
        turned_away.push_back((Instant::now(), stream));
    }

    /// Closes the connections of clients that were turned away, once they had time to read why.
    pub(crate) fn close_turned_away(&self) {
        lock(&self.turned_away).retain(|(since, _)| since.elapsed() < TURNED_AWAY_STAY);
    }

    fn admit(self: &Arc<Self>, stream: OwnedFd) {
        let serve = self.shared.serve();
        let Some(gateway) = self.gateway(&serve) else { return };
        let (clients, _, _) = gateway.counts();
        let most = serve.connections as usize;
        // Some more are told that there is no room; those beyond are closed without a word.
        if clients < most + TOLD_BUSY_MAX {
            let (client, session) = self.shared.next_client();
            gateway.take(client, session, clients >= most, stream.as_fd());
        }
    }

    /// The gateway, which is started if there is none. One that dies again and again is let be for a while.
    fn gateway(self: &Arc<Self>, serve: &ServeSettings) -> Option<Arc<Gateway>> {
        let mut state = lock(&self.gateway);
        if let Some(gateway) = &state.gateway {
            return Some(Arc::clone(gateway));
        }
        let now = Instant::now();
        state.deaths.retain(|death| now.saturating_duration_since(*death) < DEATHS_WITHIN);
        if state.deaths.len() >= DEATHS_MAX || self.shared.is_draining() {
            return None;
        }
        let command: &ProcessCommand = &self.shared.gateway;
        let begin = (self.agent.as_str(), self.place.is == Proof::Token, limits(serve));
        match Gateway::start(command, begin, serve.calls as usize, self) {
            Ok(gateway) => {
                state.gateway = Some(Arc::clone(&gateway));
                Some(gateway)
            }
            Err(error) => {
                drop(state);
                self.shared.tell(&format!("the gateway of the agent `{}` does not start: {error}", self.agent));
                None
            }
        }
    }

    /// The gateway, while there is one.
    pub(crate) fn running(&self) -> Option<Arc<Gateway>> {
        lock(&self.gateway).gateway.clone()
    }
}

impl Names for Door {
    fn agent(&self) -> &str {
        &self.agent
    }

    fn token(&self, token: &[u8]) -> Option<String> {
        match self.shared.tokens.hash_of(&self.agent, token) {
            Ok(hash) => hash,
            Err(error) => {
                self.shared.tell_once(tollgate::error::with_causes(&error));
                None
            }
        }
    }

    /// All that are installed, where the policy names no agents.
    fn tools(&self) -> Vec<String> {
        match self.shared.agent(&self.agent) {
            Some(agent) => agent.tools.keys().map(ToString::to_string).collect(),
            None if self.agent == LOCAL => {
                let names = self.shared.tollgate.names().unwrap_or_default();
                names.iter().map(ToString::to_string).collect()
            }
            None => Vec::new(),
        }
    }
}

impl Serves for Door {
    fn lane(self: Arc<Self>, gateway: &Arc<Gateway>, connection: Connection) -> Box<dyn FnOnce() + Send> {
        let limits = limits(&self.shared.serve());
        let names: Arc<dyn Names> = self.clone();
        let (serving, gateway) = (Arc::clone(&self.shared), Arc::clone(gateway));
        let lane = Lane { serving, names, gateway, connection: Arc::new(Mutex::new(connection)), limits };
        Box::new(move || lane.serve())
    }

    fn over(&self, gateway: &Arc<Gateway>, how: &str) {
        {
            let mut state = lock(&self.gateway);
            // Another one may serve by now.
            state.gateway = state.gateway.take().filter(|other| !Arc::ptr_eq(other, gateway));
            if !how.is_empty() {
                state.deaths.push_back(Instant::now());
            }
        }
        if !how.is_empty() {
            self.shared.tell(&format!("the gateway of the agent `{}` has ended: {how}", self.agent));
        }
    }
}

/// Device and inode of what stands at a path.
fn id_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

fn limits(serve: &ServeSettings) -> GatewayLimits {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    GatewayLimits {
        connections: serve.connections as usize + TOLD_BUSY_MAX,
        queue: serve.queue as usize,
        header_bytes: size(serve.header_bytes),
        body_bytes: size(serve.body_bytes),
        idle_ms: serve.idle_ms,
        handshake_ms: serve.handshake_ms,
    }
}

/// The folder of agents' sockets: none of them can have the operator's name.
pub(crate) const AGENTS: &str = "agents";

/// Clients beyond the limit that are told so.
const TOLD_BUSY_MAX: usize = 16;

/// What a client of another user is told: an answer to whoever speaks HTTP, and words to everybody else.
fn not_the_agent() -> String {
    format!(
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{NOT_THE_AGENT}",
        NOT_THE_AGENT.len()
    )
}

const NOT_THE_AGENT: &str = "{\"ok\":false,\"error\":{\"kind\":\"unauthenticated\",\"message\":\"this socket's agent is another user, by the daemon's policy\"}}\n";

/// Clients that were turned away and whose connections are still open; the oldest is closed for another.
const TURNED_AWAY_MAX: usize = 16;

/// Until their connections are closed: the thread at the doors looks when somebody knocks, and every 5 s.
const TURNED_AWAY_STAY: Duration = Duration::from_secs(1);

/// How often is told of those who are turned away.
const KNOCKS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// A gateway that dies more often than this is not started again before the time below is over: a client that breaks its parser
/// must not have processes started as fast as it can connect.
const DEATHS_MAX: usize = 8;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_knocks_again_and_again_is_told_of_once_a_minute() {
        let (mut knocks, start) = (Knocks::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(knocks.heard(None, start), None, "nobody");
        assert_eq!(knocks.heard(Some(7), start), Some((7, 0)));
        assert_eq!(knocks.heard(None, after(60)), None, "nobody since");
        assert_eq!(knocks.heard(Some(7), after(61)), Some((7, 0)));
        for n in 0..10_000 {
            assert_eq!(knocks.heard(Some(n), after(62)), None);
        }
        assert_eq!(knocks.heard(None, after(120)), None);
        assert_eq!(knocks.heard(None, after(121)), Some((9_999, 10_000)));
        assert_eq!(knocks.heard(None, after(122)), None);
        assert_eq!(knocks.heard(Some(8), after(123)), None, "the minute since the last line");
        assert_eq!(knocks.heard(Some(9), after(181)), Some((9, 2)));
    }
}
