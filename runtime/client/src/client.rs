//! The client: connects, and asks.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::call::{Call, Reply, Tools};
use crate::connection::Handle;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::slot::Slot;
use crate::wire::{self, Pong};

/// A connection to a daemon. Cloning it is cheap, and any thread may use any clone.
///
/// The connection has one thread of its own, which reads answers and wakes whoever waits for them. When the last clone and the last
/// [`Invocation`] are gone, the socket is closed and the thread ends.
///
/// | bound | default |
/// |---|---|
/// | bytes of a line, sent or heard: a request or an answer | 64 MiB ([`ConnectOptions::line_bytes_max`]) |
/// | bytes of requests that wait to be sent | one such line, or as much as that in shorter ones; then [`Kind::Busy`](crate::Kind::Busy) |
/// | calls under way | 65,536 ([`CALLS_MAX`](crate::CALLS_MAX)); then [`Kind::Busy`](crate::Kind::Busy) |
/// | unread log of a call | 1 MiB ([`LOG_BYTES_MAX`](crate::LOG_BYTES_MAX)) |
/// | details of a failure, list of tools | 1 MiB, 16 MiB |
///
/// A daemon that sends a longer line, no JSON-RPC, half an answer or an answer to what was not asked is not listened to any more:
/// the connection is closed, and every call fails with [`Kind::Disconnected`](crate::Kind::Disconnected) and the reason.
#[derive(Clone)]
pub struct Client {
    connection: Arc<Handle>,
}

impl Client {
    /// Connects to the daemon's socket of an agent whose clients need no token.
    ///
    /// Blocks until the daemon has answered, for 10 s at most.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect(path: &Path) -> Result<Self, ConnectError> {
        Self::options().connect(path)
    }

    /// As [`Client::connect`], with the agent's token. A token that is refused is an error here already.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect_with_token(path: &Path, token: &str) -> Result<Self, ConnectError> {
        Self::options().token(token).connect(path)
    }

    /// How to connect otherwise.
    #[must_use]
    pub const fn options() -> ConnectOptions {
        ConnectOptions { token: None, line_bytes_max: LINE_BYTES_MAX, timeout: CONNECT_TIMEOUT }
    }

    /// The tools that the agent may call. Blocks until the daemon has answered, or the connection has ended.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn tools(&self) -> Result<Tools, Failure> {
        let (id, slot) = (self.connection.next_id(), Arc::new(Slot::new(false)));
        self.connection.ask(id, wire::plain_line(id, "tools"), &slot);
        slot.wait()
    }

    /// Makes a call, and blocks until it has ended, or the connection has.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn invoke(&self, call: Call) -> Result<Reply, Failure> {
        self.start(call).wait()
    }

    /// Begins a call, and returns at once. A call that cannot be sent has failed by then.
    pub fn start(&self, call: Call) -> Invocation {
        let (id, slot) = (self.connection.next_id(), Arc::new(Slot::new(call.follows_logs)));
        self.connection.ask(id, wire::call_line(id, &call), &slot);
        Invocation::new(Arc::clone(&self.connection), id, slot)
    }

    /// Whether the connection was open a moment ago. Once it is over, it is never open again, and every call fails.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_open()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("is_connected", &self.is_connected()).finish_non_exhaustive()
    }
}

/// How to connect, from [`Client::options`].
#[derive(Clone)]
pub struct ConnectOptions {
    token: Option<String>,
    line_bytes_max: usize,
    timeout: Duration,
}

impl ConnectOptions {
    /// The agent's token; none by default.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Most bytes of a line, sent or heard; 64 MiB by default. While a line comes, up to twice as much memory is used, and as much
    /// again for the answer in it.
    #[must_use]
    pub const fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// How long the daemon may take to take the connection, and again to answer first; 10 s each by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects. Blocks until the daemon has answered, for no longer than twice the timeout.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub fn connect(self, path: &Path) -> Result<Client, ConnectError> {
        let token_line = self.token.as_deref().map_or(Ok(String::new()), token_line)?;
        let opened = connected(path, self.timeout).and_then(|socket| Handle::open(socket, self.line_bytes_max));
        let connection = opened.map_err(|source| ConnectError::NotConnected { path: path.to_owned(), source })?;
        let (id, slot) = (connection.next_id(), Arc::new(Slot::<Pong>::new(false)));
        let ping = wire::plain_line(id, "ping").map(|ping| [token_line.as_bytes(), &ping].concat());
        connection.ask(id, ping, &slot);
        match slot.wait_timeout(self.timeout) {
            Some(Ok(Pong)) => Ok(Client { connection: Arc::new(connection) }),
            Some(Err(failure)) => Err(ConnectError::Refused(failure)),
            None => Err(ConnectError::Silent { timeout: self.timeout }),
        }
    }
}

/// Without the token, which is a secret.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, line_bytes_max, timeout } = self;
        let mut shown = formatter.debug_struct("ConnectOptions");
        shown.field("has_token", &token.is_some()).field("line_bytes_max", line_bytes_max).field("timeout", timeout);
        shown.finish()
    }
}

/// Why there is no connection. No call was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The operating system does not connect: no daemon runs there, or this user may not reach it.
    #[error("cannot connect to a daemon at `{}`; is `tollgate serve` running, and may this user use its socket?", path.display())]
    NotConnected {
        /// Where it was tried.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token cannot be one, so that nothing was sent.
    #[error("this is no token: one has 1 to {TOKEN_BYTES_MAX} printable ASCII characters, and no spaces")]
    NotAToken,
    /// The daemon refuses: the token is wrong or missing, there are too many connections; or what is there is no daemon.
    #[error("there is no connection to the daemon: {0}")]
    Refused(Failure),
    /// The daemon has not answered.
    #[error("what listens there has not answered within {timeout:?}; it may be no daemon, or stopped")]
    Silent {
        /// How long was waited.
        timeout: Duration,
    },
}

/// A connected socket. The kernel waits no longer than `timeout` for a daemon that takes no connections.
fn connected(path: &Path, timeout: Duration) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // 0 would be for ever.
    set_socket_timeout(&socket, Timeout::Send, Some(timeout.max(Duration::from_millis(1))))?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The line that shows a token.
fn token_line(token: &str) -> Result<String, ConnectError> {
    let is_one = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(format!("token {token}\n")) } else { Err(ConnectError::NotAToken) }
}

/// What a daemon takes in a line of 512 bytes.
const TOKEN_BYTES_MAX: usize = 505;

const LINE_BYTES_MAX: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
