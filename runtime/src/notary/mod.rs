//! The notary from the front's side: a process that is started, watched, and started again when it dies.
//!
//! While there is none, nothing new begins. The front keeps the read end of the host's pipe, so that what was recorded
//! outlives each notary. It must never start one again after a sync has failed.

mod process;
mod seal;

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_audit::{
    CallId, Channel, ChannelError, FromNotary, HostEnd, LeafIndex, LedgerFault, Recorder, Status, ToNotary, TreeSize,
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

/// A notary in a process of its own, and the host's way to it.
#[derive(Debug)]
pub struct NotaryProcess {
    recorder: Arc<Recorder>,
    front: Arc<Front>,
    replies: Mutex<Receiver<FromNotary>>,
    watch: Option<JoinHandle<()>>,
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
    host: HostEnd,
    state: Mutex<FrontState>,
    // The notary stalls, or there will be no other.
    changed: Condvar,
    replies: Sender<FromNotary>,
}

#[derive(Debug)]
struct FrontState {
    channel: Arc<Channel>,
    child: u32,
    is_finishing: bool,
    // Since when it cannot write, and why.
    stalled: Option<(Instant, String)>,
    // How the last notary ended, once there will be no other.
    ended: Option<Result<(), String>>,
}

impl NotaryProcess {
    /// Starts a notary and waits until it has its ledger open.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure`].
    pub fn start(command: NotaryCommand) -> Result<Self, NotaryFailure> {
        let (recorder, host) = Recorder::new()?;
        let (child, channel) = spawn(&command, &host)?;
        let mut child = Watched(child);
        match channel.receive::<FromNotary>() {
            Ok(Some((FromNotary::Ready { .. }, _))) => recorder.set_status(Status::Ready),
            Ok(Some((FromNotary::Unusable { fault, message }, _))) => {
                return Err(NotaryFailure::Ledger { fault, message });
            }
            Ok(said) => return Err(NotaryFailure::Ended { reason: child.ended(&format!("{said:?}")) }),
            Err(error) => return Err(NotaryFailure::Ended { reason: child.ended(&error.to_string()) }),
        }
        let (sender, replies) = mpsc::channel();
        let state = FrontState {
            channel: Arc::new(channel),
            child: child.0.id(),
            is_finishing: false,
            stalled: None,
            ended: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let front = Arc::new(Front { command, host, state, changed, replies: sender });
        let recorder = Arc::new(recorder);
        let (its_front, its_recorder) = (Arc::clone(&front), Arc::clone(&recorder));
        let watch = std::thread::Builder::new()
            .name("notary-watch".to_owned())
            .spawn(move || its_front.watch(child, &its_recorder))?;
        Ok(Self { recorder, front, replies: Mutex::new(replies), watch: Some(watch) })
    }

    /// Where the host records.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
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

    /// Ends the host's record, and waits until all of it is on disk under a checkpoint and the notary is gone. A notary that
    /// cannot write, as on a full disk, is waited for a second and then left: it goes on by itself once it can, and ends.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`]: something may not be on disk.
    pub fn finish(mut self) -> Result<(), NotaryFailure> {
        self.end()
    }

    fn end(&mut self) -> Result<(), NotaryFailure> {
        let Some(watch) = self.watch.take() else { return Ok(()) };
        self.recorder.close();
        let mut state = self.front.state();
        state.is_finishing = true;
        state.channel.hang_up();
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
        let channel = Arc::clone(&self.front.state().channel);
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
    fn watch(&self, mut child: Watched, recorder: &Recorder) {
        let mut deaths = Deaths::default();
        loop {
            let stopped = self.hear(recorder);
            let ended = child.ended_well();
            self.reply(FromNotary::Stopped { reason: "it has died".to_owned() });
            let is_finishing = self.state().is_finishing;
            match (stopped, ended) {
                (Some(reason), _) => return self.conclude(recorder, Err(reason)),
                (None, Ok(())) if is_finishing => return self.conclude(recorder, Ok(())),
                (None, Ok(())) => deaths.count("it ended by itself".to_owned()),
                (None, Err(how)) => deaths.count(how),
            }
            recorder.set_status(Status::Away);
            match self.start_again(&mut deaths, recorder) {
                Ok(next) => child = next,
                Err(reason) => return self.conclude(recorder, Err(reason)),
            }
            recorder.set_status(Status::Ready);
        }
    }

    /// Passes on what the notary says until it is gone; why nothing more may be recorded, if it said that.
    fn hear(&self, recorder: &Recorder) -> Option<String> {
        let channel = Arc::clone(&self.state().channel);
        loop {
            let said = match channel.receive::<FromNotary>() {
                Ok(Some((said, _))) => said,
                Ok(None) | Err(ChannelError::Io(_)) => return None,
                Err(error) => return Some(error.to_string()),
            };
            match said {
                FromNotary::Stalled { reason } => self.stall(recorder, reason),
                FromNotary::Flowing => {
                    self.state().stalled = None;
                    recorder.set_status(Status::Ready);
                }
                FromNotary::Condemned { fault, .. } => {
                    recorder
                        .set_status(Status::Closed { reason: format!("this process wrote what it may not: {fault}") });
                }
                FromNotary::Stopped { reason } => {
                    recorder.set_status(Status::Closed { reason: reason.clone() });
                    return Some(reason);
                }
                FromNotary::Unusable { message, .. } => return Some(message),
                FromNotary::Ready { .. } | FromNotary::Over { .. } => {}
                reply @ (FromNotary::Checkpoint { .. } | FromNotary::Located { .. }) => self.reply(reply),
            }
        }
    }

    /// Starts a notary that takes over the pipe, until one has the ledger open. What the pipe holds was acknowledged: where
    /// the ledger cannot be opened for a reason that may pass, such as a full disk, that is waited for.
    fn start_again(&self, deaths: &mut Deaths, recorder: &Recorder) -> Result<Watched, String> {
        loop {
            if let Some(reason) = deaths.too_many() {
                return Err(reason);
            }
            let (child, channel) = match spawn(&self.command, &self.host) {
                Ok(spawned) => spawned,
                Err(error) => {
                    deaths.count(error.to_string());
                    continue;
                }
            };
            let mut child = Watched(child);
            match channel.receive::<FromNotary>() {
                Ok(Some((FromNotary::Ready { .. }, _))) => {
                    let mut state = self.state();
                    state.stalled = None;
                    state.child = child.0.id();
                    state.channel = Arc::new(channel);
                    if state.is_finishing {
                        state.channel.hang_up();
                    }
                    return Ok(child);
                }
                Ok(Some((FromNotary::Unusable { fault, message }, _))) => {
                    if !may_pass(fault) || self.state().is_finishing {
                        return Err(message);
                    }
                    self.stall(recorder, message);
                    std::thread::sleep(OPEN_EVERY);
                }
                Ok(_) | Err(_) => deaths.count(child.ended("it did not get ready")),
            }
        }
    }

    fn stall(&self, recorder: &Recorder, reason: String) {
        self.state().stalled = Some((Instant::now(), reason.clone()));
        self.changed.notify_all();
        recorder.set_status(Status::Stalled { reason });
    }

    fn conclude(&self, recorder: &Recorder, ended: Result<(), String>) {
        let reason = ended.clone().err().unwrap_or_else(|| "the record is closed".to_owned());
        recorder.set_status(Status::Closed { reason: reason.clone() });
        self.state().ended = Some(ended);
        self.changed.notify_all();
        self.reply(FromNotary::Stopped { reason });
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
fn spawn(command: &NotaryCommand, host: &HostEnd) -> io::Result<(Child, Channel)> {
    let (channel, theirs) = Channel::pair()?;
    // In a process group of its own: what is typed to end the front (Ctrl-C) must not end the record.
    let child = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    let say_host = ToNotary::Host { host: host.host, process: None };
    let said = channel.send_with(&say_host, &[host.pipe.as_fd(), host.acks.as_fd()]);
    // One that is dead already is noticed when it says nothing.
    said.and_then(|()| channel.send(&ToNotary::Start)).ok();
    Ok((child, channel))
}

/// A checkpoint waits for the disk.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// How long a front that wants to end waits for a notary that cannot write.
const STALL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a ledger that is out of reach is tried again.
const OPEN_EVERY: Duration = Duration::from_millis(200);

const DEATHS_MAX: usize = 20;
const DEATHS_WITHIN: Duration = Duration::from_secs(10);
