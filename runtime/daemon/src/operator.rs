//! The operator's socket: what only the daemon's own user may ask. It speaks packets of our own, which this program's commands
//! send: no parser of other people's protocols is here.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate::CallId;
use tollgate::notary::NotaryProcess;
use tollgate_audit::LeafIndex;
use tollgate_ipc::{Channel, ChannelError, Received, memory_file, read_memory_file};
use tollgate_system::of_call;

use crate::fault::Fault;
use crate::path_text::PathText;
use crate::status::Status;

/// What the operator asks. An answer follows each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
enum Asked {
    /// How does it stand?
    Status,
    /// A tool was installed or removed.
    Changed,
    /// A token was removed.
    Tokens,
    /// Read the policy again.
    Reload {
        /// Who wants that, for the record.
        by: String,
    },
    /// End, once what is under way is over.
    Stop,
    /// As which agent does this user call, and where?
    Agent {
        /// The user.
        uid: u32,
    },
    /// Lend the notary: another supervisor records through it.
    Borrow,
    /// Where is the end of this call, under a checkpoint that is made now?
    Locate {
        /// The call.
        call: CallId,
    },
}

/// What the daemon answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "kebab-case", deny_unknown_fields)]
enum Told {
    /// With one descriptor: the status as JSON, in a file in memory.
    Status,
    /// It is done.
    Done,
    /// With one descriptor: a channel to the notary.
    Borrowed,
    /// The agent of a user, if there is one.
    Agent {
        /// Its name and its socket.
        agent: Option<(String, PathText)>,
    },
    /// Where the end of a call is, if it is one of the last few thousand.
    Located {
        /// Its index.
        index: Option<LeafIndex>,
    },
    /// The policy does not hold. With one descriptor: its fault as JSON, in a file in memory.
    NotReloaded,
    /// It cannot be done.
    Failed {
        /// Why.
        why: String,
    },
}

/// The operator's connection to a daemon. One question at a time.
#[derive(Debug)]
pub struct Operator(Channel);

/// Why the daemon does not do what the operator asks.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Nobody is there, or not for this user.
    #[error("no daemon answers at `{}`", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It speaks another version, or makes no sense.
    #[error(transparent)]
    Channel(ChannelError),
    /// It gives no answer.
    #[error("the daemon has given no answer for {} s: it is stopped, or stands still", ANSWER_WAIT.as_secs())]
    Silent,
    /// It has hung up.
    #[error("the daemon has hung up: it is gone, or it does not take this user")]
    Gone,
    /// It belongs to another user, and answers that user alone.
    #[error("it is the daemon of the user {uid}")]
    OfAnother {
        /// The user.
        uid: u32,
    },
    /// Its policy does not hold, and the one before stays.
    #[error("{}", .0.message)]
    NotReloaded(Box<Fault>),
    /// It says why not.
    #[error("{0}")]
    Refused(String),
}

impl From<ChannelError> for OperatorError {
    fn from(error: ChannelError) -> Self {
        if error.is_gone() { Self::Gone } else { Self::Channel(error) }
    }
}

impl Operator {
    /// Connects to the daemon whose operator's socket is `path`.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn connect(path: &Path) -> Result<Self, OperatorError> {
        let failed = |source| OperatorError::NoDaemon { path: path.to_owned(), source };
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(|errno| failed(of_call("socket", errno)))?;
        let address = SocketAddrUnix::new(path).map_err(|errno| failed(errno.into()))?;
        // A daemon that stands still takes nobody.
        set_socket_timeout(&socket, Timeout::Send, Some(ANSWER_WAIT)).map_err(|errno| failed(errno.into()))?;
        match connect(&socket, &address) {
            // Nobody but its own user can open its folder.
            Err(Errno::ACCESS) => return Err(owner(path).map_or_else(|| failed(Errno::ACCESS.into()), of_another)),
            connected => connected.map_err(|errno| failed(errno.into()))?,
        }
        let uid = socket_peercred(&socket).map_err(|errno| failed(errno.into()))?.uid;
        if uid != rustix::process::geteuid() {
            return Err(of_another(uid.as_raw()));
        }
        let channel = Channel::new(socket);
        channel.say_hello()?;
        if !channel.has_something_within(ANSWER_WAIT).map_err(ChannelError::from)? {
            return Err(OperatorError::Silent);
        }
        if channel.hear_hello()? { Ok(Self(channel)) } else { Err(OperatorError::Gone) }
    }

    /// How the daemon stands.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn status(&self) -> Result<Status, OperatorError> {
        let (_told, file) = self.ask(&Asked::Status)?;
        let file = file.ok_or_else(senseless)?;
        in_file(file)
    }

    /// Has it read its policy again. `by` says who wants that, for the record.
    ///
    /// # Errors
    ///
    /// [`OperatorError::NotReloaded`]: the policy before stays.
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn reload(&self, by: &str) -> Result<(), OperatorError> {
        match self.ask(&Asked::Reload { by: by.to_owned() })? {
            (Told::Done, _) => Ok(()),
            (Told::NotReloaded, Some(file)) => Err(OperatorError::NotReloaded(Box::new(in_file(file)?))),
            _other => Err(senseless()),
        }
    }

    /// Has it tell whoever listens that a tool was installed or removed.
    ///
    /// # Errors
    ///
    /// As for [`Operator::status`].
    pub fn changed(&self) -> Result<(), OperatorError> {
        self.ask(&Asked::Changed).map(drop)
    }

    /// Has it close the connections that removed tokens have opened.
    ///
    /// # Errors
    ///
    /// As for [`Operator::status`].
    pub fn tokens_removed(&self) -> Result<(), OperatorError> {
        self.ask(&Asked::Tokens).map(drop)
    }

    /// Has it end, once what is under way is over. Does not wait for that.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn stop(&self) -> Result<(), OperatorError> {
        self.ask(&Asked::Stop).map(drop)
    }

    /// The agent that a user is, by the policy, and its socket.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn agent_of(&self, uid: u32) -> Result<Option<(String, PathBuf)>, OperatorError> {
        match self.ask(&Asked::Agent { uid })? {
            (Told::Agent { agent }, _) => Ok(agent.map(|(name, socket)| (name, socket.into()))),
            _other => Err(senseless()),
        }
    }

    /// A channel to the daemon's notary, for a supervisor of one's own ([`NotaryProcess::borrow`](tollgate::notary::NotaryProcess::borrow)).
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub fn borrow_notary(&self) -> Result<OwnedFd, OperatorError> {
        let (_told, socket) = self.ask(&Asked::Borrow)?;
        socket.ok_or_else(senseless)
    }

    /// Where the end of a call is, under a checkpoint that is made now.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn locate(&self, call: CallId) -> Result<Option<LeafIndex>, OperatorError> {
        match self.ask(&Asked::Locate { call })? {
            (Told::Located { index }, _) => Ok(index),
            _other => Err(senseless()),
        }
    }

    fn ask(&self, asked: &Asked) -> Result<(Told, Option<OwnedFd>), OperatorError> {
        self.0.send(asked)?;
        match self.0.receive_until::<Told>(Instant::now() + ANSWER_WAIT)? {
            Received::Gone => Err(OperatorError::Gone),
            Received::Late => Err(OperatorError::Silent),
            Received::Packet(Told::Failed { why }, _) => Err(OperatorError::Refused(why)),
            Received::Packet(told, fds) => Ok((told, fds.into_iter().next())),
        }
    }
}

/// What is told in a file in memory.
fn in_file<T: DeserializeOwned>(file: OwnedFd) -> Result<T, OperatorError> {
    let bytes = read_memory_file(file).map_err(ChannelError::from)?;
    serde_json::from_slice(&bytes).map_err(|error| OperatorError::Refused(error.to_string()))
}

fn of_another(uid: u32) -> OperatorError {
    OperatorError::OfAnother { uid }
}

/// The user of the innermost folder above a socket that this user can see.
fn owner(socket: &Path) -> Option<u32> {
    let seen = socket.ancestors().skip(1).find_map(|folder| std::fs::symlink_metadata(folder).ok())?;
    let uid = seen.uid();
    (uid != rustix::process::geteuid().as_raw()).then_some(uid)
}

fn senseless() -> OperatorError {
    OperatorError::Refused("the daemon's answer makes no sense".to_owned())
}

/// What the operator may ask of a daemon.
pub(crate) trait Operated {
    fn status(&self) -> Status;

    /// Why not, where the policy before stays.
    fn reload(&self, by: &str) -> Result<(), Box<Fault>>;

    fn changed(&self);

    fn tokens(&self);

    fn end(&self);

    fn agent_of(&self, uid: u32) -> Option<(String, PathBuf)>;

    fn notary(&self) -> &NotaryProcess;
}

/// Answers one connection of the operator until it is closed.
pub(crate) fn serve(operated: &impl Operated, socket: OwnedFd) {
    let channel = Channel::new(socket);
    // Said first, so that a program of another version knows what it talks to.
    if channel.say_hello().is_err() || !matches!(channel.hear_hello(), Ok(true)) {
        return;
    }
    while let Ok(Some((asked, _none))) = channel.receive::<Asked>() {
        let (told, fd) = answer(operated, asked).unwrap_or_else(|why| (Told::Failed { why }, None));
        let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
        if channel.send_with(&told, &fds).is_err() {
            return;
        }
    }
}

/// As much as a packet has room for.
fn short(mut text: String) -> String {
    while text.len() > WHY_BYTES_MAX {
        text.pop();
    }
    text
}

fn answer(operated: &impl Operated, asked: Asked) -> Result<(Told, Option<OwnedFd>), String> {
    let words = |error: &dyn std::error::Error| short(tollgate::error::with_causes(error));
    match asked {
        Asked::Status => Ok((Told::Status, Some(file_of("tollgate-status", &operated.status())?))),
        Asked::Changed => {
            operated.changed();
            Ok((Told::Done, None))
        }
        Asked::Tokens => {
            operated.tokens();
            Ok((Told::Done, None))
        }
        Asked::Reload { by } => match operated.reload(&by) {
            Ok(()) => Ok((Told::Done, None)),
            Err(fault) => Ok((Told::NotReloaded, Some(file_of("tollgate-fault", &fault)?))),
        },
        Asked::Stop => {
            operated.end();
            Ok((Told::Done, None))
        }
        Asked::Agent { uid } => {
            let agent = operated.agent_of(uid).map(|(name, socket)| (name, PathText::from(socket.as_path())));
            Ok((Told::Agent { agent }, None))
        }
        Asked::Borrow => {
            let lent = operated.notary().lend();
            Ok((Told::Borrowed, Some(lent.map_err(|error| words(&error))?)))
        }
        Asked::Locate { call } => {
            let notary = operated.notary();
            notary.checkpoint().map_err(|error| words(&error))?;
            let index = notary.locate(call).map_err(|error| words(&error))?;
            Ok((Told::Located { index }, None))
        }
    }
}

/// What is too large for a packet.
fn file_of(name: &str, told: &impl Serialize) -> Result<OwnedFd, String> {
    let words = |error: &dyn std::error::Error| short(tollgate::error::with_causes(error));
    let json = serde_json::to_vec(told).map_err(|error| words(&error))?;
    memory_file(name, &json).map_err(|error| words(&error))
}

/// How long a daemon may take to answer: a checkpoint of a slow disk is the longest.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

const WHY_BYTES_MAX: usize = 4096;
