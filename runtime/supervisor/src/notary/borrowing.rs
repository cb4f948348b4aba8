//! A notary that several supervisors share: the one that starts it lends it, others borrow it.
//!
//! Each borrower has a channel of its own to the notary. The lender keeps a copy of the notary's end, so that the channel
//! outlives each notary. It hands the copies to the next notary, which asks the borrowers to tell of their writers anew.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Instant;

use tollgate_audit::TreeSize;
use tollgate_engine::surroundings::in_words;
use tollgate_ipc::{Channel, ChannelError, Received};
use tollgate_notary::{FromNotary, LedgerFault, Status, ToNotary};
use tollgate_system::of_thread;

use super::child::{Lent, say_start, say_supervisor};
use super::{Client, ClientState, NotaryFailure, NotaryProcess, Place, READY_WAIT, unexpected};
use crate::calls::Issuer;

impl NotaryProcess {
    /// Lends this notary to another supervisor: returns the end of a channel for [`NotaryProcess::borrow`], in this process or in
    /// another. At most 63 channels are lent at once; one more is closed. No borrower reaches the writers of others. Waits until
    /// the notary reads what it is told.
    ///
    /// # Errors
    ///
    /// The operating system's: no descriptors. [`io::ErrorKind::Unsupported`]: it is borrowed itself.
    /// [`io::ErrorKind::NotConnected`]: it has ended, or is about to.
    pub fn lend(&self) -> io::Result<OwnedFd> {
        if matches!(self.client.place, Place::Borrowed) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a notary that is borrowed is not lent on"));
        }
        let (end, borrowers) = Channel::pair()?;
        let _telling = self.client.telling();
        let (lent, channel) = {
            let mut state = self.client.state();
            if state.is_finishing || state.ended.is_some() {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "the record is closed"));
            }
            state.last_lent += 1;
            let lent = Lent { number: state.last_lent, end: Arc::new(end) };
            state.lent.push(lent.clone());
            (lent, state.channel.clone())
        };
        if let Some(channel) = channel {
            // If this notary is dead, the next one is told at its start.
            say_supervisor(&channel, &lent).ok();
        }
        Ok(borrowers)
    }

    /// Records through the notary of another process, by a channel that it [lent](NotaryProcess::lend). Waits at most 60 s until
    /// the ledger is open. If that process goes, the notary stays until all that is recorded by this channel is in the ledger. If
    /// the notary goes and no other follows, nothing more is recorded.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure`].
    pub fn borrow(channel: OwnedFd) -> Result<Self, NotaryFailure> {
        let channel = Arc::new(Channel::new(channel));
        let said = channel.say_hello().and_then(|()| say_start(&channel, &[], &[], None));
        match said {
            // Noticed below, when it says nothing.
            Err(gone) if gone.is_gone() => {}
            Err(ChannelError::Io(error)) => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let (process, stalled) = await_ready(&channel)?;
        let status = stalled.as_ref().map_or(Status::Ready, |(_, reason)| Status::Stalled { reason: reason.clone() });
        let (sender, replies) = mpsc::channel();
        let state = ClientState { stalled, ..ClientState::new(Arc::clone(&channel), process, status) };
        let client = Arc::new(Client {
            place: Place::Borrowed,
            issuer: Issuer::new()?,
            telling: Mutex::new(()),
            state: Mutex::new(state),
            changed: Condvar::new(),
            replies: sender,
        });
        let its_client = Arc::clone(&client);
        let watch = move || its_client.watch_borrowed(&channel);
        let watch = std::thread::Builder::new().name("notary-watch".to_owned()).spawn(watch).map_err(of_thread)?;
        Ok(Self { client, replies: Mutex::new(replies), watch: Mutex::new(Some(watch)) })
    }

    /// Whether it is another process's notary.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.client.place, Place::Borrowed)
    }
}

/// Waits until the ledger is open. Returns the notary's process id and, if the notary cannot write, since when and why.
fn await_ready(channel: &Channel) -> Result<(u32, Option<(Instant, String)>), NotaryFailure> {
    let (until, mut stalled) = (Instant::now() + READY_WAIT, None);
    loop {
        let said = match channel.receive_until::<FromNotary>(until) {
            Ok(Received::Packet(said, _)) => said,
            Ok(Received::Gone) => return Err(ended(GONE.to_owned())),
            Ok(Received::Late) => return Err(ended(unexpected(None))),
            Err(error) => return Err(ended(error.to_string())),
        };
        match said {
            FromNotary::Ready { process, .. } => return Ok((process, stalled)),
            FromNotary::Stalled { reason } => stalled = Some((Instant::now(), reason)),
            FromNotary::Flowing | FromNotary::Away => stalled = None,
            // As in `Client::tell_anew`, of no writers.
            FromNotary::Retell { token } => {
                let said = channel.say_hello().and_then(|()| say_start(channel, &[], &[], Some(token)));
                // A notary that is dead already is noticed when it says nothing.
                said.or_else(|error| if error.is_gone() { Ok(()) } else { Err(ended(error.to_string())) })?;
            }
            FromNotary::Unusable { fault, message, os_error } => {
                let around = if fault == LedgerFault::Unreachable { in_words() } else { String::new() };
                return Err(NotaryFailure::Ledger { fault, message: message + &around, os_error });
            }
            FromNotary::Stopped { reason } => return Err(ended(reason)),
            other @ (FromNotary::Condemned { .. }
            | FromNotary::Over { .. }
            | FromNotary::Left { .. }
            | FromNotary::SupervisorGone { .. }
            | FromNotary::Checkpoint { .. }
            | FromNotary::Located { .. }) => return Err(ended(unexpected(Some(&other)))),
        }
    }
}

fn ended(reason: String) -> NotaryFailure {
    NotaryFailure::Ended { reason }
}

impl Client {
    /// Hears what a borrowed notary says, until it is gone.
    pub(super) fn watch_borrowed(&self, channel: &Arc<Channel>) {
        let ended = match self.hear(channel) {
            Some(reason) => Err(reason),
            None => self.state().left.clone().unwrap_or_else(|| Err(GONE.to_owned())),
        };
        self.conclude(ended);
    }

    /// Notes that the notary is gone and another one may follow. No call begins until then, and threads that have asked something
    /// are told that there will be no answer. The channel is taken away first: a later question finds none.
    pub(super) fn is_away(&self) {
        {
            let mut state = self.state();
            state.channel = None;
            state.stalled = None;
        }
        self.reply(FromNotary::Stopped { reason: "it has died".to_owned() });
        self.set_status(Status::Away);
    }

    /// Tells the next notary of all writers, on the channel of the one before.
    ///
    /// The notary may hear of some writers twice, since it first reads what the one before had not read. None is left out: a
    /// thread that adds a writer meanwhile waits for `telling`, and finds the channel there afterwards. Here the thread that
    /// hears the notary takes that lock. Another thread that has it may be waiting for the notary to read; the notary reads
    /// without waiting for anybody, so that this ends.
    pub(super) fn tell_anew(&self, channel: &Arc<Channel>, token: u64) {
        self.is_away();
        let _telling = self.telling();
        let writers = self.state().writers.clone();
        // A notary that is dead already is noticed when it says nothing.
        channel.say_hello().and_then(|()| say_start(channel, &[], &writers, Some(token))).ok();
        let mut state = self.state();
        state.channel = Some(Arc::clone(channel));
        // A thread that began to finish in between found no channel to say so.
        let has_to_leave = state.is_finishing;
        drop(state);
        if has_to_leave {
            channel.send(&ToNotary::Leave).ok();
        }
    }

    /// Notes that all records of this supervisor's writers are on disk, or why not. The notary goes on for others.
    pub(super) fn has_left(&self, covers: Result<TreeSize, String>) {
        let mut state = self.state();
        let ended = covers.map(drop);
        state.left = Some(ended.clone());
        if matches!(self.place, Place::Own(_)) {
            state.ended = Some(ended);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Tells the borrowers that the notary is gone.
    pub(super) fn tell_borrowers_away(&self) {
        let lent = self.state().lent.clone();
        // A borrower that does not read is noticed by the next notary.
        lent.iter().for_each(|lent| drop(lent.end.send_at_once(&FromNotary::Away)));
    }

    /// Lets go of a channel that the notary has closed.
    pub(super) fn supervisor_is_gone(&self, number: u32) {
        self.state().lent.retain(|lent| lent.number != number);
    }

    /// Tells the notary that nothing more comes. A notary that others borrow does not end, and says when all records of this
    /// supervisor are on disk.
    pub(super) fn say_end(channel: &Channel, leaves: bool) {
        if leaves {
            // If this notary is dead, the next one is told at its start.
            channel.send(&ToNotary::Leave).ok();
        } else {
            channel.hang_up();
        }
    }

    /// Whether the notary goes on for others when this supervisor ends.
    pub(super) fn leaves(&self, state: &ClientState) -> bool {
        matches!(self.place, Place::Borrowed) || !state.lent.is_empty()
    }
}

const GONE: &str = "the daemon's notary is gone";
