//! The supervisor's side of the notary: starts its process, watches it, and starts it again when it dies.
//!
//! One thread, `notary-watch`, starts notaries, hears them and waits for their ends. Any thread may ask the notary: one question at
//! a time, so that a thread may have to wait for its turn first. An answer then takes `ANSWER_WAIT` at most, a checkpoint
//! `DISK_WAIT`. Ending waits for the notary's last checkpoint, `END_WAIT` at most, and only `STALL_PATIENCE` where its disk takes
//! nothing.
//!
//! Several supervisors can share a notary: the one that starts it lends it to others ([`NotaryProcess::lend`],
//! [`NotaryProcess::borrow`]). A borrowed one is heard and asked in the same way, by a thread `notary-watch` too.
//!
//! While there is no notary, no call begins. The supervisor keeps the read ends of the writers' pipes, so that what was recorded
//! outlives each notary. It must never start a notary again after a sync has failed.

mod borrowing;
mod child;
mod process;
mod restart;
mod seal;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_audit::{CallId, LeafIndex, TreeSize, WriterId};
use tollgate_engine::surroundings::in_words;
use tollgate_ipc::{Channel, ChannelError, Received};
use tollgate_notary::{
    FromNotary, LEASES_MAX, Lease, LedgerFault, NotaryEnds, Recorder, Status, ToNotary, WriterEnding, WriterKind,
};
use tollgate_system::{ProcessCommand, held, lock, of_thread};

use self::child::{Lent, Watched, say_ended, say_start, say_writer, spawn};
pub use self::process::{NotaryRole, serve};
use self::restart::{Next, Restarts};
use crate::calls::Issuer;

/// A notary in a process of its own, which this process has started or borrows, and the writers that record through it.
#[derive(Debug)]
pub struct NotaryProcess {
    client: Arc<Client>,
    replies: Mutex<Receiver<FromNotary>>,
    watch: Mutex<Option<JoinHandle<()>>>,
}

/// What a writer is told of the notary. Called on the thread that hears the notary, so it must not wait.
pub(crate) trait Follows: std::fmt::Debug + Send + Sync {
    /// Whether the notary takes new calls.
    fn status(&self, status: Status);

    /// The writer wrote what it may not, or its filter stopped it: its process must be ended.
    fn condemned(&self, fault: &str);

    /// All that it wrote is in the ledger, and its calls are closed.
    fn over(&self, ending: WriterEnding);
}

/// Why there is no notary.
#[derive(Debug, thiserror::Error)]
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
        /// The number of the operating system's error, if there is one among the causes.
        os_error: Option<i32>,
    },
    /// It ended before its work was done.
    #[error("the notary, which keeps the ledger, has ended: {reason}")]
    Ended {
        /// How.
        reason: String,
    },
}

/// The reason of a failed start: what the notary said instead of opening its ledger, or that it said nothing.
fn unexpected(said: Option<&FromNotary>) -> String {
    said.map_or_else(|| "it gave no answer".to_owned(), |said| format!("it said {said:?}"))
}

/// Shared by the watching thread and the threads that use the notary. Lock order: `telling` before `state`.
#[derive(Debug)]
struct Client {
    place: Place,
    issuer: Issuer,
    /// Held while a notary is told of writers, so that each notary hears of each writer, once and in order. Telling may have to
    /// wait until the notary reads. The thread that hears the notary takes this lock only while there is no notary, or one that
    /// does nothing but read, so that neither waits for the other.
    telling: Mutex<()>,
    // No thread waits for anything while it holds this lock.
    state: Mutex<ClientState>,
    // Signalled when the notary stalls, or there will be no other.
    changed: Condvar,
    replies: Sender<FromNotary>,
}

/// Where the notary is.
#[derive(Debug)]
enum Place {
    /// In a process that this one starts, and starts again.
    Own(ProcessCommand),
    /// In a process of another supervisor.
    Borrowed,
}

#[derive(Debug)]
struct ClientState {
    // None while there is no notary.
    channel: Option<Arc<Channel>>,
    child: u32,
    status: Status,
    writers: Vec<Followed>,
    is_finishing: bool,
    // Since when the notary cannot write, and why.
    stalled: Option<(Instant, String)>,
    // Once there will be no other notary: how the last one ended. Of a borrowed one: how this supervisor's record ended.
    ended: Option<Result<(), String>>,
    // Channels that are lent, and the last number that one was given.
    lent: Vec<Lent>,
    last_lent: u32,
    // Once the notary has said that all records of this supervisor are in the ledger: whether they are on disk.
    left: Option<Result<(), String>>,
}

impl ClientState {
    fn new(channel: Arc<Channel>, child: u32, status: Status) -> Self {
        Self {
            channel: Some(channel),
            child,
            status,
            writers: Vec::new(),
            is_finishing: false,
            stalled: None,
            ended: None,
            lent: Vec::new(),
            last_lent: 0,
            left: None,
        }
    }
}

/// A writer, until all that it wrote is in the ledger.
#[derive(Debug, Clone)]
struct Followed {
    end: Arc<NotaryEnds>,
    kind: WriterKind,
    // The latest leases; older ones have no calls left.
    calls: Vec<Lease>,
    process: Option<u32>,
    // How its process ended, if it has.
    how: Option<String>,
    follower: Arc<dyn Follows>,
}

/// Why there is no other notary yet.
#[derive(Debug)]
enum NoStart {
    /// No process could be started.
    NotStarted(io::Error),
    /// It died before it was ready.
    Died(String),
    /// The ledger does not open.
    Unusable(LedgerFault, String),
}

/// A writer in this process.
impl Follows for Recorder {
    fn status(&self, status: Status) {
        self.set_status(status);
    }

    fn condemned(&self, fault: &str) {
        self.set_status(Status::Closed { reason: format!("this process wrote what it may not: {fault}") });
    }

    fn over(&self, _ending: WriterEnding) {
        self.close();
    }
}

impl NotaryProcess {
    /// Starts a notary, and waits 60 s at most until it has its ledger open.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure`].
    pub fn start(command: ProcessCommand) -> Result<Self, NotaryFailure> {
        let mut child = spawn(&command)?;
        match say_start(&child.channel, &[], &[], None) {
            // Noticed below, when it says nothing.
            Err(gone) if gone.is_gone() => {}
            Err(ChannelError::Io(error)) => {
                child.abandon();
                return Err(error.into());
            }
            Ok(()) | Err(_) => {}
        }
        let said = match child.channel.receive_until::<FromNotary>(Instant::now() + READY_WAIT) {
            Ok(Received::Packet(said, fds)) => Ok(Some((said, fds))),
            Ok(Received::Late) => {
                let reason = stands_still(child.process.id(), READY_WAIT);
                child.abandon();
                return Err(NotaryFailure::Ended { reason });
            }
            Ok(Received::Gone) => Ok(None),
            Err(error) => Err(error),
        };
        match said {
            Ok(Some((FromNotary::Ready { .. }, _))) => {}
            Ok(Some((FromNotary::Unusable { fault, message, os_error }, _))) => {
                // A limit from the shell may be why the ledger is out of reach.
                let around = if fault == LedgerFault::Unreachable { in_words() } else { String::new() };
                return Err(NotaryFailure::Ledger { fault, message: message + &around, os_error });
            }
            Ok(said) => {
                return Err(NotaryFailure::Ended {
                    reason: child.ended(&unexpected(said.as_ref().map(|(said, _)| said))),
                });
            }
            Err(error) => return Err(NotaryFailure::Ended { reason: child.ended(&error.to_string()) }),
        }
        let (sender, replies) = mpsc::channel();
        let state = ClientState::new(Arc::clone(&child.channel), child.process.id(), Status::Ready);
        let (state, telling) = (Mutex::new(state), Mutex::new(()));
        let client = Arc::new(Client {
            place: Place::Own(command),
            issuer: Issuer::new()?,
            telling,
            state,
            changed: Condvar::new(),
            replies: sender,
        });
        let its_client = Arc::clone(&client);
        let watch = std::thread::Builder::new().name("notary-watch".to_owned()).spawn(move || its_client.watch(child));
        let watch = watch.map_err(of_thread)?;
        Ok(Self { client, replies: Mutex::new(replies), watch: Mutex::new(Some(watch)) })
    }

    /// A record for a new writer in this process.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn recorder(&self) -> io::Result<Arc<Recorder>> {
        self.recorder_of(WriterKind::Worker)
    }

    /// A record for a new writer of this kind.
    pub(crate) fn recorder_of(&self, kind: WriterKind) -> io::Result<Arc<Recorder>> {
        let (recorder, end) = Recorder::new()?;
        let (recorder, own) = (Arc::new(recorder), Lease::own(end.writer));
        self.follow(end, kind, own, None, Arc::clone(&recorder) as _);
        Ok(recorder)
    }

    /// Has the notary take the entries of a writer from now on. `process` is the writer's process, if it has one of its own.
    pub(crate) fn follow(
        &self,
        end: NotaryEnds,
        kind: WriterKind,
        calls: Lease,
        process: Option<u32>,
        follower: Arc<dyn Follows>,
    ) {
        let _telling = self.client.telling();
        let followed = Followed { end: Arc::new(end), kind, calls: vec![calls], process, how: None, follower };
        let channel = {
            let mut state = self.client.state();
            followed.follower.status(state.status.clone());
            state.writers.push(followed.clone());
            state.channel.clone()
        };
        if let Some(channel) = channel {
            // If this notary is dead, the next one is told at its start.
            say_writer(&channel, &followed).ok();
        }
    }

    /// Calls for a writer that is not followed yet.
    pub(crate) fn new_lease(&self) -> io::Result<Lease> {
        self.client.issuer.lease()
    }

    /// More calls for a writer. The notary is told before the writer can name one.
    pub(crate) fn lease(&self, writer: WriterId) -> io::Result<Lease> {
        let calls = self.client.issuer.lease()?;
        let _telling = self.client.telling();
        let channel = {
            let mut state = self.client.state();
            if let Some(followed) = state.writers.iter_mut().find(|followed| followed.end.writer == writer) {
                followed.calls.push(calls);
                let old = followed.calls.len().saturating_sub(LEASES_MAX);
                followed.calls.drain(..old);
            }
            state.channel.clone()
        };
        if let Some(channel) = channel {
            // If this notary is dead, the next one is told at its start.
            channel.send(&ToNotary::Lease { writer, calls }).ok();
        }
        Ok(calls)
    }

    /// Tells the notary how the process of a writer ended. The notary drains the pipe before it closes the writer's calls.
    pub(crate) fn ended(&self, writer: WriterId, how: &str) {
        let _telling = self.client.telling();
        let channel = {
            let mut state = self.client.state();
            let followed = state.writers.iter_mut().find(|followed| followed.end.writer == writer);
            let Some(followed) = followed else { return };
            followed.how = Some(how.to_owned());
            state.channel.clone()
        };
        if let Some(channel) = channel {
            say_ended(&channel, writer, how).ok();
        }
    }

    /// Why no new call is recorded at the moment; `None` while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.client.state().status {
            Status::Ready => None,
            Status::Away => Some("the notary has died, and another one is being started".to_owned()),
            Status::Stalled { reason } | Status::Closed { reason } => {
                Some(format!("the ledger takes nothing: {reason}"))
            }
        }
    }

    /// The process id of the notary that is there now, or was there last.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.client.state().child
    }

    /// Has a checkpoint made of all records until now; returns the number of entries that it covers. Waits 60 s at most for the
    /// disk, once it is this question's turn.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`], also when the notary died meanwhile and is being started again.
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub fn checkpoint(&self) -> Result<TreeSize, NotaryFailure> {
        match self.ask(&ToNotary::Checkpoint, DISK_WAIT)? {
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
        match self.ask(&ToNotary::Locate { call }, ANSWER_WAIT)? {
            FromNotary::Located { index, .. } => Ok(index),
            other => Err(NotaryFailure::Ended { reason: format!("it said {other:?}") }),
        }
    }

    /// Whether a call that runs, or ended or was closed lately, is in the ledger.
    ///
    /// # Errors
    ///
    /// As [`NotaryProcess::checkpoint`]: then nobody knows.
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it says is no answer")]
    pub(crate) fn is_on_record(&self, call: CallId) -> Result<bool, NotaryFailure> {
        match self.ask(&ToNotary::Locate { call }, ANSWER_WAIT)? {
            FromNotary::Located { is_on_record, .. } => Ok(is_on_record),
            other => Err(NotaryFailure::Ended { reason: format!("it said {other:?}") }),
        }
    }

    /// Ends the record of every writer in this process, and waits until all of it is on disk under a checkpoint and the notary is
    /// gone. A notary that cannot write, as on a full disk, is waited for one second; one that gives no sign of life, 30 seconds.
    /// Then it is left: it goes on by itself once it can, and ends.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`]: something may not be on disk.
    pub fn finish(self) -> Result<(), NotaryFailure> {
        self.end()
    }

    /// As [`NotaryProcess::finish`], once.
    pub(crate) fn end(&self) -> Result<(), NotaryFailure> {
        self.end_within(END_WAIT)
    }

    fn end_within(&self, most: Duration) -> Result<(), NotaryFailure> {
        let watch = lock(&self.watch).take();
        let Some(watch) = watch else { return Ok(()) };
        let mut state = self.client.state();
        state.is_finishing = true;
        let closed = Status::Closed { reason: CLOSED.to_owned() };
        for followed in state.writers.iter().filter(|followed| followed.process.is_none()) {
            followed.follower.status(closed.clone());
            followed.follower.over(WriterEnding::Closed);
        }
        let leaves = self.client.leaves(&state);
        let channel = state.channel.clone();
        drop(state);
        if let Some(channel) = channel {
            Client::say_end(&channel, leaves);
        }
        let mut state = self.client.state();
        let until = Instant::now() + most;
        while state.ended.is_none() && !watch.is_finished() {
            // It still has what the pipes hold, as does one that cannot write.
            if Instant::now() >= until {
                return Err(NotaryFailure::Ended { reason: stands_still(state.child, most) });
            }
            // While there is no notary, the next one is waited for: nobody else would go on.
            if let Some((since, reason)) = &state.stalled
                && state.channel.is_some()
                && since.elapsed() >= STALL_PATIENCE
            {
                let reason = format!("{reason}; process {} keeps what there is and goes on once it can", state.child);
                return Err(NotaryFailure::Ended { reason });
            }
            (state, _) = held(self.client.changed.wait_timeout(state, STALL_PATIENCE));
        }
        // The thread goes on hearing a notary that others borrow, until its process ends.
        let goes_on = leaves && state.left.is_some() && !self.is_borrowed();
        drop(state);
        let panicked = !goes_on && watch.join().is_err();
        let ended = self.client.state().ended.clone();
        match ended {
            Some(Ok(())) if !panicked => Ok(()),
            Some(Err(reason)) => Err(NotaryFailure::Ended { reason }),
            Some(Ok(())) | None => Err(NotaryFailure::Ended { reason: "nobody watched it".to_owned() }),
        }
    }

    fn ask(&self, say: &ToNotary, most: Duration) -> Result<FromNotary, NotaryFailure> {
        // One question at a time. An answer to an earlier question, whose thread gave up, is dropped.
        let replies = lock(&self.replies);
        while replies.try_recv().is_ok() {}
        let away = || NotaryFailure::Ended { reason: "it has died, and another one is being started".to_owned() };
        let channel = self.client.state().channel.clone().ok_or_else(away)?;
        channel.send(say).map_err(|error| NotaryFailure::Ended { reason: error.to_string() })?;
        match replies.recv_timeout(most) {
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

impl Client {
    /// The thread `notary-watch`: hears the notary, and starts another one when it dies.
    fn watch(&self, mut child: Watched) {
        let mut restarts = Restarts::default();
        loop {
            if let Some(reason) = self.hear(&child.channel) {
                return self.conclude(Err(reason));
            }
            let ended = child.ended_well();
            self.state().channel = None;
            // All that this notary had said to them comes before it.
            self.tell_borrowers_away();
            self.reply(FromNotary::Stopped { reason: "it has died".to_owned() });
            let how = match ended {
                Ok(()) if self.state().is_finishing => return self.conclude(Ok(())),
                Ok(()) => "an end of its own".to_owned(),
                Err(how) => how,
            };
            self.set_status(Status::Away);
            let next = restarts.died(Instant::now(), &how);
            match self.start_again(&mut restarts, next) {
                Ok(other) => child = other,
                Err(reason) => return self.conclude(Err(reason)),
            }
        }
    }

    /// Passes on what the notary says until it is gone; returns why nothing more may be recorded, if it said so.
    fn hear(&self, channel: &Arc<Channel>) -> Option<String> {
        loop {
            let said = match channel.receive::<FromNotary>() {
                Ok(Some((said, _))) => said,
                Ok(None) | Err(ChannelError::Io(_)) => return None,
                Err(error) => return Some(error.to_string()),
            };
            match said {
                FromNotary::Stalled { reason } => self.stall(reason),
                FromNotary::Flowing => self.flow(),
                FromNotary::Condemned { writer, fault } => {
                    if let Some(follower) = self.follower(writer) {
                        follower.condemned(&fault);
                    }
                }
                FromNotary::Over { writer, ending } => {
                    if let Some(follower) = self.follower(writer) {
                        self.state().writers.retain(|followed| followed.end.writer != writer);
                        follower.over(ending);
                    }
                }
                FromNotary::Stopped { reason } => {
                    self.set_status(Status::Closed { reason: reason.clone() });
                    return Some(reason);
                }
                FromNotary::Unusable { message, .. } => return Some(message),
                FromNotary::Ready { process, .. } => {
                    // A borrowed notary that follows another says so. What it said before, such as that it has no room, holds.
                    let is_stalled = {
                        let mut state = self.state();
                        state.child = process;
                        state.stalled.is_some()
                    };
                    if !is_stalled {
                        self.set_status(Status::Ready);
                    }
                }
                FromNotary::Away => self.is_away(),
                FromNotary::Retell { token } => self.tell_anew(channel, token),
                FromNotary::Left { covers } => self.has_left(covers),
                FromNotary::SupervisorGone { number } => self.supervisor_is_gone(number),
                reply @ (FromNotary::Checkpoint { .. } | FromNotary::Located { .. }) => self.reply(reply),
            }
        }
    }

    /// Starts notaries until one has the ledger open and takes over the pipes. What the pipes hold was acknowledged, so a reason
    /// that may pass, such as a full disk, is waited for.
    fn start_again(&self, restarts: &mut Restarts, mut next: Next) -> Result<Watched, String> {
        loop {
            match next {
                Next::After(pause) => std::thread::sleep(pause),
                Next::Never(reason) => return Err(reason),
            }
            let failed = match self.start_one(restarts) {
                Ok(child) => return Ok(child),
                Err(failed) => failed,
            };
            self.state().channel = None;
            let is_finishing = self.state().is_finishing;
            next = match failed {
                NoStart::NotStarted(error) => {
                    let patience = if is_finishing { STALL_PATIENCE } else { START_PATIENCE };
                    self.stall(format!("no other notary can be started at the moment: {error}"));
                    restarts.not_started(Instant::now(), &error.to_string(), patience)
                }
                NoStart::Died(how) => restarts.died(Instant::now(), &how),
                NoStart::Unusable(fault, message) if may_pass(fault) && !is_finishing => {
                    self.stall(message);
                    Next::After(OPEN_EVERY)
                }
                NoStart::Unusable(_, message) => return Err(message),
            };
        }
    }

    /// Starts one notary, tells it of all writers, and waits until it has the ledger open.
    fn start_one(&self, restarts: &mut Restarts) -> Result<Watched, NoStart> {
        let Place::Own(command) = &self.place else {
            return Err(NoStart::NotStarted(io::ErrorKind::Unsupported.into()));
        };
        let mut child = spawn(command).map_err(NoStart::NotStarted)?;
        restarts.started();
        {
            // Else a writer that comes in between could be told to neither notary.
            let _telling = self.telling();
            let (lent, writers) = {
                let state = self.state();
                (state.lent.clone(), state.writers.clone())
            };
            // A notary that is dead already is noticed when it says nothing.
            say_start(&child.channel, &lent, &writers, None).ok();
            self.state().channel = Some(Arc::clone(&child.channel));
        }
        let mut is_stalled = false;
        loop {
            match child.channel.receive::<FromNotary>() {
                Ok(Some((FromNotary::Ready { .. }, _))) => break,
                Ok(Some((FromNotary::SupervisorGone { number }, _))) => self.supervisor_is_gone(number),
                // Its disk has room for the ledger, but not for what the pipes hold.
                Ok(Some((FromNotary::Stalled { reason }, _))) => {
                    is_stalled = true;
                    self.stall(reason);
                }
                Ok(Some((FromNotary::Flowing, _))) => is_stalled = false,
                Ok(Some((FromNotary::Unusable { fault, message, .. }, _))) => {
                    return Err(NoStart::Unusable(fault, message));
                }
                Ok(_) | Err(_) => return Err(NoStart::Died(child.ended("it did not get ready"))),
            }
        }
        let mut state = self.state();
        state.child = child.process.id();
        let (is_finishing, leaves) = (state.is_finishing, self.leaves(&state));
        drop(state);
        if is_finishing {
            Self::say_end(&child.channel, leaves);
        }
        if !is_stalled {
            self.flow();
        }
        Ok(child)
    }

    fn flow(&self) {
        self.state().stalled = None;
        self.set_status(Status::Ready);
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
        // It is set already if others borrowed the notary.
        state.ended.get_or_insert(ended);
        state.channel = None;
        // Supervisors that borrow it find it gone.
        state.lent.clear();
        // The writers' ends stay open: a writer that waits for an answer hears the reason, not that a socket is closed.
        let left: Vec<_> = state.writers.iter().map(|followed| Arc::clone(&followed.follower)).collect();
        drop(state);
        self.changed.notify_all();
        self.reply(FromNotary::Stopped { reason });
        for follower in left {
            follower.over(WriterEnding::Closed);
        }
    }

    fn set_status(&self, status: Status) {
        let mut state = self.state();
        state.status = status.clone();
        // Under the lock, so that each writer hears of changes in their order.
        for followed in &state.writers {
            followed.follower.status(status.clone());
        }
    }

    fn follower(&self, writer: WriterId) -> Option<Arc<dyn Follows>> {
        let state = self.state();
        let followed = state.writers.iter().find(|followed| followed.end.writer == writer)?;
        Some(Arc::clone(&followed.follower))
    }

    fn reply(&self, reply: FromNotary) {
        // Perhaps no thread asks any more.
        self.replies.send(reply).ok();
    }

    fn state(&self) -> MutexGuard<'_, ClientState> {
        lock(&self.state)
    }

    fn telling(&self) -> MutexGuard<'_, ()> {
        lock(&self.telling)
    }
}

/// Whether a ledger that did not open was only out of reach, and is unchanged.
fn may_pass(fault: LedgerFault) -> bool {
    match fault {
        LedgerFault::InUse | LedgerFault::Unreachable => true,
        LedgerFault::OlderFormat | LedgerFault::Foreign | LedgerFault::Damaged | LedgerFault::Broken => false,
    }
}

const CLOSED: &str = "the record is closed";

/// The message on a notary that has given no sign of life for this long.
fn stands_still(pid: u32, waited: Duration) -> String {
    let waited = waited.as_secs();
    format!(
        "it has given no sign for {waited} s: the process {pid} is stopped (`kill -CONT {pid}` has it go on), or the ledger's file \
         system stands still; what was recorded before stands"
    )
}

/// How long a notary may take to open its ledger, which it may have to recover.
const READY_WAIT: Duration = Duration::from_secs(60);

/// How long a checkpoint may take, which waits for the disk.
const DISK_WAIT: Duration = Duration::from_secs(60);

/// How long a notary may take for an answer that needs no disk.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// How long a notary may take to bring what the pipes hold to disk, once its supervisor ends.
const END_WAIT: Duration = Duration::from_secs(30);

/// How long a supervisor that wants to end waits for a notary that cannot write.
const STALL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a ledger that is out of reach is tried again.
const OPEN_EVERY: Duration = Duration::from_millis(200);

/// How long starting another notary is tried while no process can be started. A system without room for a process for a minute
/// needs its operator.
const START_PATIENCE: Duration = Duration::from_secs(60);
