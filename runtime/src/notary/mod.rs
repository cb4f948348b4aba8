//! The notary from the front's side: a process that is started, watched, and started again when it dies.
//!
//! While there is none, nothing new begins. The front keeps the read ends of the hosts' pipes, so that what was recorded
//! outlives each notary. It must never start one again after a sync has failed.

mod process;
mod seal;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_audit::{
    CallId, Channel, ChannelError, FromNotary, HostEnd, HostEnding, HostId, LeafIndex, LedgerFault, Recorder, Status,
    ToNotary, TreeSize,
};

pub use self::process::{NotaryRole, serve};

/// How to start a notary: a program that calls [`serve`] with the role given in its arguments.
#[derive(Debug, Clone)]
pub struct NotaryCommand {
    /// The program; the `tollgate` command, or one that embeds this library.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl NotaryCommand {
    /// The `tollgate` command at `program`, as a notary.
    #[must_use]
    pub fn tollgate(program: &Path, role: &NotaryRole) -> Self {
        let NotaryRole { ledger, origin, software } = role;
        let mut arguments: Vec<OsString> = vec!["notary".into(), "--ledger".into(), ledger.into()];
        arguments.extend(["--origin", origin, "--software", software].map(Into::into));
        Self { program: program.to_owned(), arguments }
    }
}

/// A notary in a process of its own, and the ways of hosts to it.
#[derive(Debug)]
pub struct NotaryProcess {
    front: Arc<Front>,
    replies: Mutex<Receiver<FromNotary>>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

/// What a host wants to know of the notary. Called from the thread that hears the notary: it must not wait.
pub(crate) trait Follows: std::fmt::Debug + Send + Sync {
    /// Whether the notary takes what is new.
    fn status(&self, status: Status);

    /// The host wrote what it may not, or its filter stopped it: it must be ended.
    fn condemned(&self, fault: &str);

    /// All that came of it is in the ledger, and its calls are closed.
    fn over(&self, ending: HostEnding);
}

/// Why there is no notary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotaryFailure {
    /// The process cannot be started.
    #[error("the notary, which keeps the ledger, cannot be started")]
    Start {
        /// The cause.
        #[from]
        source: io::Error,
    },
    /// The ledger does not open.
    #[error("{message}")]
    Ledger {
        /// What can be done about it.
        fault: LedgerFault,
        /// What is wrong.
        message: String,
    },
    /// It died, or ended, before its work was done.
    #[error("the notary, which keeps the ledger, has ended: {reason}")]
    Ended {
        /// How.
        reason: String,
    },
}

/// What the watching thread and its users share.
#[derive(Debug)]
struct Front {
    command: NotaryCommand,
    state: Mutex<FrontState>,
    // The notary stalls, or there will be no other.
    changed: Condvar,
    replies: Sender<FromNotary>,
}

#[derive(Debug)]
struct FrontState {
    // None while there is no notary.
    channel: Option<Arc<Channel>>,
    child: u32,
    status: Status,
    hosts: Vec<Followed>,
    is_finishing: bool,
    // Since when it cannot write, and why.
    stalled: Option<(Instant, String)>,
    // How the last notary ended, once there will be no other.
    ended: Option<Result<(), String>>,
}

/// A host, until all that came of it is in the ledger.
#[derive(Debug)]
struct Followed {
    end: HostEnd,
    process: Option<u32>,
    // How its process ended, once it has.
    how: Option<String>,
    follower: Arc<dyn Follows>,
}

/// A host in this process.
impl Follows for Recorder {
    fn status(&self, status: Status) {
        self.set_status(status);
    }

    fn condemned(&self, fault: &str) {
        self.set_status(Status::Closed { reason: format!("this process wrote what it may not: {fault}") });
    }

    fn over(&self, _ending: HostEnding) {
        self.close();
    }
}

impl NotaryProcess {
    /// Starts a notary and waits until it has its ledger open.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure`].
    pub fn start(command: NotaryCommand) -> Result<Self, NotaryFailure> {
        let (child, channel) = spawn(&command, &[])?;
        let mut child = Watched(child);
        match channel.receive::<FromNotary>() {
            Ok(Some((FromNotary::Ready { .. }, _))) => {}
            Ok(Some((FromNotary::Unusable { fault, message }, _))) => {
                return Err(NotaryFailure::Ledger { fault, message });
            }
            Ok(said) => return Err(NotaryFailure::Ended { reason: child.ended(&format!("{said:?}")) }),
            Err(error) => return Err(NotaryFailure::Ended { reason: child.ended(&error.to_string()) }),
        }
        let (sender, replies) = mpsc::channel();
        let state = FrontState {
            channel: Some(Arc::new(channel)),
            child: child.0.id(),
            status: Status::Ready,
            hosts: Vec::new(),
            is_finishing: false,
            stalled: None,
            ended: None,
        };
        let front = Front { command, state: Mutex::new(state), changed: Condvar::new(), replies: sender };
        let front = Arc::new(front);
        let its_front = Arc::clone(&front);
        let watch =
            std::thread::Builder::new().name("notary-watch".to_owned()).spawn(move || its_front.watch(child))?;
        Ok(Self { front, replies: Mutex::new(replies), watch: Mutex::new(Some(watch)) })
    }

    /// Where a host in this process records: another one at each call.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn recorder(&self) -> io::Result<Arc<Recorder>> {
        let (recorder, end) = Recorder::new()?;
        let recorder = Arc::new(recorder);
        self.follow(end, None, Arc::clone(&recorder) as _);
        Ok(recorder)
    }

    /// Lets the notary take the entries of a host from now on; `process` if it has one of its own.
    pub(crate) fn follow(&self, end: HostEnd, process: Option<u32>, follower: Arc<dyn Follows>) {
        let mut state = self.front.state();
        if let Some(channel) = &state.channel {
            // A notary that is dead already hears of it from the next one's start.
            say_host(channel, &end, process).ok();
        }
        follower.status(state.status.clone());
        state.hosts.push(Followed { end, process, how: None, follower });
    }

    /// Says how the process of a host ended. Its pipe is drained before its calls are closed.
    pub(crate) fn ended(&self, host: HostId, how: &str) {
        let mut state = self.front.state();
        let channel = state.channel.clone();
        if let Some(followed) = state.hosts.iter_mut().find(|followed| followed.end.host == host) {
            followed.how = Some(how.to_owned());
            if let Some(channel) = channel {
                say_ended(&channel, host, how).ok();
            }
        }
    }

    /// The process id of the notary that is there now, or was there last.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.front.state().child
    }

    /// Has a checkpoint made of all that was recorded until now; the number of entries that it covers.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`], also when the notary died meanwhile and is being started again.
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn checkpoint(&self) -> Result<TreeSize, NotaryFailure> {
        match self.ask(&ToNotary::Checkpoint)? {
            FromNotary::Checkpoint { covers } => covers.map_err(|reason| NotaryFailure::Ended { reason }),
            other => Err(NotaryFailure::Ended { reason: format!("it said {other:?}") }),
        }
    }

    /// The index of the `call-end` entry of a call that ended lately.
    ///
    /// # Errors
    ///
    /// As [`NotaryProcess::checkpoint`].
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn locate(&self, call: CallId) -> Result<Option<LeafIndex>, NotaryFailure> {
        match self.ask(&ToNotary::Locate { call })? {
            FromNotary::Located { index } => Ok(index),
            other => Err(NotaryFailure::Ended { reason: format!("it said {other:?}") }),
        }
    }

    /// Ends the record of every host in this process, and waits until all of it is on disk under a checkpoint and the notary is gone. A notary that
    /// cannot write, as on a full disk, is waited for a second and then left: it goes on by itself once it can, and ends.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`]: something may not be on disk.
    pub fn finish(self) -> Result<(), NotaryFailure> {
        self.end()
    }

    /// As [`NotaryProcess::finish`], once.
    pub(crate) fn end(&self) -> Result<(), NotaryFailure> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(watch) = watch else { return Ok(()) };
        let mut state = self.front.state();
        state.is_finishing = true;
        let closed = Status::Closed { reason: CLOSED.to_owned() };
        for followed in state.hosts.iter().filter(|followed| followed.process.is_none()) {
            followed.follower.status(closed.clone());
            followed.follower.over(HostEnding::Closed);
        }
        if let Some(channel) = &state.channel {
            channel.hang_up();
        }
        while state.ended.is_none() && !watch.is_finished() {
            if let Some((since, reason)) = &state.stalled
                && since.elapsed() >= STALL_PATIENCE
            {
                let reason = format!("{reason}; process {} keeps what there is and goes on once it can", state.child);
                return Err(NotaryFailure::Ended { reason });
            }
            (state, _) = self.front.changed.wait_timeout(state, STALL_PATIENCE).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let panicked = watch.join().is_err();
        let ended = self.front.state().ended.clone();
        match ended {
            Some(Ok(())) if !panicked => Ok(()),
            Some(Err(reason)) => Err(NotaryFailure::Ended { reason }),
            Some(Ok(())) | None => Err(NotaryFailure::Ended { reason: "nobody watched it".to_owned() }),
        }
    }

    fn ask(&self, say: &ToNotary) -> Result<FromNotary, NotaryFailure> {
        // One question at a time; an answer to an earlier one, whose asker gave up, is dropped.
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        while replies.try_recv().is_ok() {}
        let away = || NotaryFailure::Ended { reason: "it has died, and another one is being started".to_owned() };
        let channel = self.front.state().channel.clone().ok_or_else(away)?;
        channel.send(say).map_err(|error| NotaryFailure::Ended { reason: error.to_string() })?;
        match replies.recv_timeout(ANSWER_WAIT) {
            Ok(FromNotary::Stopped { reason }) => Err(NotaryFailure::Ended { reason }),
            Ok(reply) => Ok(reply),
            Err(_none) => Err(NotaryFailure::Ended { reason: "it gave no answer".to_owned() }),
        }
    }
}

impl Drop for NotaryProcess {
    fn drop(&mut self) {
        // Best effort: the pipe's end tells the notary as well.
        self.end().ok();
    }
}

impl Front {
    /// Hears what the notary says; starts another one when it dies.
    fn watch(&self, mut child: Watched) {
        let mut deaths = Deaths::default();
        loop {
            let stopped = self.hear();
            let ended = child.ended_well();
            self.reply(FromNotary::Stopped { reason: "it has died".to_owned() });
            let is_finishing = self.state().is_finishing;
            match (stopped, ended) {
                (Some(reason), _) => return self.conclude(Err(reason)),
                (None, Ok(())) if is_finishing => return self.conclude(Ok(())),
                (None, Ok(())) => deaths.count("it ended by itself".to_owned()),
                (None, Err(how)) => deaths.count(how),
            }
            self.set_status(Status::Away);
            match self.start_again(&mut deaths) {
                Ok(next) => child = next,
                Err(reason) => return self.conclude(Err(reason)),
            }
            self.set_status(Status::Ready);
        }
    }

    /// Passes on what the notary says until it is gone; why nothing more may be recorded, if it said that.
    fn hear(&self) -> Option<String> {
        let channel = self.state().channel.clone()?;
        loop {
            let said = match channel.receive::<FromNotary>() {
                Ok(Some((said, _))) => said,
                Ok(None) | Err(ChannelError::Io(_)) => return None,
                Err(error) => return Some(error.to_string()),
            };
            match said {
                FromNotary::Stalled { reason } => self.stall(reason),
                FromNotary::Flowing => {
                    self.state().stalled = None;
                    self.set_status(Status::Ready);
                }
                FromNotary::Condemned { host, fault } => {
                    if let Some(follower) = self.follower(host) {
                        follower.condemned(&fault);
                    }
                }
                FromNotary::Over { host, ending } => {
                    if let Some(follower) = self.follower(host) {
                        self.state().hosts.retain(|followed| followed.end.host != host);
                        follower.over(ending);
                    }
                }
                FromNotary::Stopped { reason } => {
                    self.set_status(Status::Closed { reason: reason.clone() });
                    return Some(reason);
                }
                FromNotary::Unusable { message, .. } => return Some(message),
                FromNotary::Ready { .. } => {}
                reply @ (FromNotary::Checkpoint { .. } | FromNotary::Located { .. }) => self.reply(reply),
            }
        }
    }

    /// Starts a notary that takes over the pipes, until one has the ledger open. What the pipes hold was acknowledged: where
    /// the ledger cannot be opened for a reason that may pass, such as a full disk, that is waited for.
    fn start_again(&self, deaths: &mut Deaths) -> Result<Watched, String> {
        loop {
            if let Some(reason) = deaths.too_many() {
                return Err(reason);
            }
            // Under the lock: no host may come in between and be told to neither notary.
            let mut state = self.state();
            state.channel = None;
            let (child, channel) = match spawn(&self.command, &state.hosts) {
                Ok((child, channel)) => (child, Arc::new(channel)),
                Err(error) => {
                    drop(state);
                    deaths.count(error.to_string());
                    continue;
                }
            };
            state.channel = Some(Arc::clone(&channel));
            drop(state);
            let mut child = Watched(child);
            match channel.receive::<FromNotary>() {
                Ok(Some((FromNotary::Ready { .. }, _))) => {
                    let mut state = self.state();
                    state.stalled = None;
                    state.child = child.0.id();
                    if state.is_finishing {
                        channel.hang_up();
                    }
                    return Ok(child);
                }
                Ok(Some((FromNotary::Unusable { fault, message }, _))) => {
                    if !may_pass(fault) || self.state().is_finishing {
                        return Err(message);
                    }
                    self.stall(message);
                    std::thread::sleep(OPEN_EVERY);
                }
                Ok(_) | Err(_) => deaths.count(child.ended("it did not get ready")),
            }
        }
    }

    fn stall(&self, reason: String) {
        self.state().stalled = Some((Instant::now(), reason.clone()));
        self.changed.notify_all();
        self.set_status(Status::Stalled { reason });
    }

    fn conclude(&self, ended: Result<(), String>) {
        let reason = ended.clone().err().unwrap_or_else(|| CLOSED.to_owned());
        self.set_status(Status::Closed { reason: reason.clone() });
        let mut state = self.state();
        state.ended = Some(ended);
        state.channel = None;
        // Their ends stay open: a host that waits for an answer hears the reason, not that a socket is closed.
        let left: Vec<_> = state.hosts.iter().map(|followed| Arc::clone(&followed.follower)).collect();
        drop(state);
        self.changed.notify_all();
        self.reply(FromNotary::Stopped { reason });
        for follower in left {
            follower.over(HostEnding::Closed);
        }
    }

    fn set_status(&self, status: Status) {
        let mut state = self.state();
        state.status = status.clone();
        // Under the lock, so that each host hears of changes in their order.
        for followed in &state.hosts {
            followed.follower.status(status.clone());
        }
    }

    fn follower(&self, host: HostId) -> Option<Arc<dyn Follows>> {
        let state = self.state();
        let followed = state.hosts.iter().find(|followed| followed.end.host == host)?;
        Some(Arc::clone(&followed.follower))
    }

    fn reply(&self, reply: FromNotary) {
        // Nobody may be asking.
        self.replies.send(reply).ok();
    }

    fn state(&self) -> MutexGuard<'_, FrontState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a ledger that did not open was only out of reach: it is as it was.
fn may_pass(fault: LedgerFault) -> bool {
    match fault {
        LedgerFault::InUse | LedgerFault::Unreachable => true,
        LedgerFault::Foreign | LedgerFault::Damaged => false,
    }
}

/// A child process that is never left behind as a zombie.
#[derive(Debug)]
struct Watched(Child);

impl Watched {
    fn ended_well(&mut self) -> Result<(), String> {
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn ended(&mut self, otherwise: &str) -> String {
        self.ended_well().err().unwrap_or_else(|| otherwise.to_owned())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.wait().ok();
    }
}

/// Deaths in a short time: a notary that dies again and again is not started for ever.
#[derive(Debug, Default)]
struct Deaths {
    recent: Vec<Instant>,
    last: String,
}

impl Deaths {
    fn count(&mut self, how: String) {
        let now = Instant::now();
        self.recent.retain(|death| now.duration_since(*death) < DEATHS_WITHIN);
        self.recent.push(now);
        self.last = how;
    }

    fn too_many(&self) -> Option<String> {
        (self.recent.len() > DEATHS_MAX).then(|| {
            format!(
                "it died {} times within {} s, at last by {}",
                self.recent.len(),
                DEATHS_WITHIN.as_secs(),
                self.last
            )
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "this module owns the notary's process")]
fn spawn(command: &NotaryCommand, hosts: &[Followed]) -> io::Result<(Child, Channel)> {
    let (channel, theirs) = Channel::pair()?;
    // In a process group of its own: what is typed to end the front (Ctrl-C) must not end the record.
    let child = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    // One that is dead already is noticed when it says nothing.
    say_start(&channel, hosts).ok();
    Ok((child, channel))
}

fn say_start(channel: &Channel, hosts: &[Followed]) -> Result<(), ChannelError> {
    for Followed { end, process, .. } in hosts {
        say_host(channel, end, *process)?;
    }
    channel.send(&ToNotary::Start)?;
    for followed in hosts {
        if let Some(how) = &followed.how {
            say_ended(channel, followed.end.host, how)?;
        }
    }
    Ok(())
}

fn say_host(channel: &Channel, end: &HostEnd, process: Option<u32>) -> Result<(), ChannelError> {
    let say = ToNotary::Host { host: end.host, process };
    channel.send_with(&say, &[end.pipe.as_fd(), end.acks.as_fd()])
}

fn say_ended(channel: &Channel, host: HostId, how: &str) -> Result<(), ChannelError> {
    channel.send(&ToNotary::Ended { host, how: how.to_owned() })
}

const CLOSED: &str = "the record is closed";

/// A checkpoint waits for the disk.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// How long a front that wants to end waits for a notary that cannot write.
const STALL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a ledger that is out of reach is tried again.
const OPEN_EVERY: Duration = Duration::from_millis(200);

const DEATHS_MAX: usize = 20;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);
