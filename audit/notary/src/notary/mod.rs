//! The notary: takes what hosts write into their pipes, extends the ledger by it, and says how it is kept. Its own
//! process, since it holds the key and the ledger's folder.
//!
//! One thread drains, another one syncs and signs, so that a slow disk does not keep hosts waiting. It must never take
//! bytes out of a pipe before it knows that they are whole entries that their host may write, nor lose any that it took.

mod checkpointer;
mod drain;
mod hosts;
mod intake;
mod observer;
pub(crate) mod protocol;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::checkpointer::Checkpointer;
use self::drain::{Drained, Peek};
pub use self::drain::{PIPE_SHARE_BYTES, can_take_from_pipes};
use self::hosts::{Host, Pipes, Told};
pub use self::intake::{HostFault, Intake, Taken};
use self::observer::Observer;
pub use self::protocol::{FromNotary, HostEnding, LedgerFault, ToNotary};
use crate::channel::{Channel, ChannelError};
use tollgate_audit::append_error::AppendError;
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::entry::Entry;
use tollgate_audit::ids::{CallId, LeafIndex, TreeSize};
use tollgate_audit::journal::OlderFormat;
use tollgate_audit::structure::OpenCall;
use tollgate_audit::with_causes;
use tollgate_ledger::ledger::{Ledger, Opening};
use tollgate_ledger::{OpenError, os_error};

/// A notary with its ledger open, about to serve.
#[derive(Debug)]
pub struct Notary {
    ledger: Arc<Ledger>,
    front: Channel,
    hosts: Vec<Host>,
    // What was taken from the pipe of this host has not all reached the journal.
    unfinished: Option<(usize, Drained)>,
    peek: Peek,
    observer: Option<Observer>,
    // With the place of its `call-end`, if it has one: a call may have been closed instead.
    ended_calls: VecDeque<(CallId, Option<LeafIndex>)>,
    // Why nothing can be written at the moment.
    stalled: Option<String>,
    front_is_gone: bool,
}

/// A notary whose last thread has started: from here on it can be sealed.
#[derive(Debug)]
pub struct StartedNotary {
    notary: Notary,
    checkpointer: Checkpointer,
}

/// Which ledger a notary keeps.
#[derive(Clone, Copy, Debug)]
pub struct NotaryOf<'o> {
    /// The ledger's folder.
    pub folder: &'o std::path::Path,
    /// Its name; `None` for the one that it has. That of a new ledger is then drawn.
    pub origin: Option<&'o str>,
    /// Name and version of the software.
    pub software: &'o str,
    /// Wall clock, nanoseconds since the Unix epoch.
    pub now_ns: u64,
}

/// Why a notary ended before its work was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotaryError {
    /// The ledger does not open. The front has been told.
    #[error("the ledger cannot be opened")]
    Open {
        /// The cause.
        source: OpenError,
    },
    /// What the front says makes no sense.
    #[error("the front cannot be understood: {reason}")]
    Front {
        /// What is wrong.
        reason: String,
    },
    /// The operating system refuses what a notary cannot do without.
    #[error("the notary cannot go on")]
    System {
        /// The cause.
        #[from]
        source: io::Error,
    },
    /// What is on disk is unknown from here on. The front has been told.
    #[error("the ledger is stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

impl Notary {
    /// Hears from the front, on the socket `front`, which hosts there are, and opens the ledger. What the pipes of those
    /// hosts hold goes on where an earlier notary was interrupted.
    ///
    /// # Errors
    ///
    /// [`NotaryError`].
    pub fn open(of: NotaryOf<'_>, front: OwnedFd) -> Result<Self, NotaryError> {
        let front = Channel::new(front);
        let mut peek = Peek::new()?;
        let mut told: Vec<Told> = Vec::new();
        loop {
            match front.receive::<ToNotary>().map_err(from_front)? {
                Some((ToNotary::Host { host, process }, fds)) => {
                    told.push(Told::new(host, process, fds).map_err(no_sense)?);
                }
                Some((ToNotary::Ended { host, how }, _)) => {
                    let ended = told.iter_mut().filter(|told| told.end.host == host);
                    ended.for_each(|told| told.how = Some(how.clone()));
                }
                // A front that is gone meanwhile too: what was acknowledged is in the pipes of its hosts.
                Some((ToNotary::Start, _)) | None => break,
                Some((ToNotary::Checkpoint | ToNotary::Locate { .. }, _)) => {
                    return Err(no_sense("a question before the start"));
                }
            }
        }
        let NotaryOf { folder, origin, software, now_ns } = of;
        let opening = Opening { dir: folder, key_path: None, origin, software, now_ns, adopts: None };
        let mut pipes = Pipes { hosts: &told, peek: &mut peek, pasts: HashMap::new() };
        let (ledger, mut open) = open_patiently(&opening, &mut pipes).map_err(|source| {
            let (fault, os_error) = (fault_of(&source), os_error(&source));
            front.send(&FromNotary::Unusable { fault, message: with_causes(&source), os_error }).ok();
            NotaryError::Open { source }
        })?;
        let mut pasts = pipes.pasts;
        let hosts = told.into_iter().map(|told| {
            let host = told.end.host;
            let calls = open.extract_if(|call, _state| call.host() == host).collect();
            let past = pasts.remove(&host).unwrap_or_default();
            Host::new(Intake::resumed(host, calls, past), told)
        });
        Ok(Self {
            ledger: Arc::new(ledger),
            front,
            hosts: hosts.collect(),
            unfinished: None,
            peek,
            observer: Observer::open(),
            ended_calls: VecDeque::new(),
            stalled: None,
            front_is_gone: false,
        })
    }

    /// Starts the thread that syncs and signs, the only one beside this. Whoever seals this process does it in between,
    /// so that nothing is left by which a thread could be made.
    ///
    /// # Errors
    ///
    /// [`NotaryError::System`].
    pub fn start(self) -> Result<StartedNotary, NotaryError> {
        let checkpointer = Checkpointer::start(Arc::clone(&self.ledger))?;
        Ok(StartedNotary { notary: self, checkpointer })
    }

    /// [`Notary::start`], then [`StartedNotary::serve`].
    ///
    /// # Errors
    ///
    /// [`NotaryError`].
    pub fn serve(self) -> Result<(), NotaryError> {
        self.start()?.serve()
    }

    fn serve_with(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        // What is in the pipes at the start is of before: nothing new is promised until it is in the ledger.
        self.drain_what_is_there(checkpointer)?;
        let (size, verifier_key) = (self.ledger.size(), self.ledger.verifier_key().to_string());
        self.tell(&FromNotary::Ready { size, verifier_key, observer: self.observer.is_some() })?;
        let mut busy_until = Instant::now();
        loop {
            let round = self.drain_round(checkpointer, |_host| true)?;
            if round.bytes > 0 {
                busy_until = Instant::now() + BUSY;
            }
            if let Some(reason) = checkpointer.failed() {
                return Err(self.stop(reason));
            }
            self.answer_hosts(checkpointer);
            self.condemn()?;
            self.hear_kernel();
            self.remove_ended(checkpointer)?;
            if self.front_is_gone && self.hosts.is_empty() {
                return Ok(());
            }
            self.await_something(checkpointer, round, Instant::now() < busy_until)?;
            self.hear_front(checkpointer)?;
            self.hear_hosts();
        }
    }

    /// Takes what the pipes hold now. What is written meanwhile is not waited for: a host that never stops writing would
    /// keep everybody else from an answer.
    fn drain_what_is_there(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        self.hosts.iter_mut().try_for_each(Host::note_due)?;
        while self.drain_round(checkpointer, Host::is_due)?.bytes > 0 && self.stalled.is_none() {}
        Ok(())
    }

    /// Takes what the pipes of these hosts hold, from each in turn its share ([`PIPE_SHARE_BYTES`]) at most.
    fn drain_round(&mut self, checkpointer: &Checkpointer, of: impl Fn(&Host) -> bool) -> Result<Round, NotaryError> {
        let mut round = Round::default();
        if let Some((place, drained)) = self.unfinished.take() {
            round.add(self.finish(place, drained, checkpointer)?);
        }
        for place in 0..self.hosts.len() {
            if self.unfinished.is_some() {
                break;
            }
            let Some(host) = self.hosts.get_mut(place).filter(|host| of(host)) else { continue };
            let Some(drained) = host.drain(&mut self.peek)? else { continue };
            round.add(self.finish(place, drained, checkpointer)?);
        }
        Ok(round)
    }

    /// Brings what was taken from the pipe of the host in `place` to the journal. A full disk leaves it
    /// unfinished. How many bytes are there now.
    fn finish(
        &mut self,
        place: usize,
        mut drained: Drained,
        checkpointer: &Checkpointer,
    ) -> Result<usize, NotaryError> {
        let Some(host) = self.hosts.get_mut(place) else { return Ok(0) };
        while drained.left > 0 {
            match self.ledger.splice(host.pipe.as_fd(), drained.left) {
                Ok(0) => return Err(self.stop("the pipe gave less than it showed".to_owned())),
                Ok(moved) => drained.left -= moved,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_no_room(&error) => {
                    host.half_drained = (drained.bytes - drained.left) as u64;
                    self.unfinished = Some((place, drained));
                    self.stall(error.to_string())?;
                    return Ok(0);
                }
                Err(error) => return Err(self.stop(format!("the journal cannot be written: {error}"))),
            }
        }
        host.drained += drained.bytes as u64;
        host.half_drained = 0;
        let first = self.ledger.size().0;
        for (offset, call) in &drained.ends {
            self.note_end(*call, Some(LeafIndex(first + offset)));
        }
        self.ledger.take_spliced(self.peek.entries(&drained));
        checkpointer.has_new();
        self.flow()?;
        Ok(drained.bytes)
    }

    fn note_end(&mut self, call: CallId, end: Option<LeafIndex>) {
        if self.ended_calls.len() == ENDED_CALLS_MAX {
            self.ended_calls.pop_front();
        }
        self.ended_calls.push_back((call, end));
    }

    fn answer_hosts(&mut self, checkpointer: &Checkpointer) {
        for host in &mut self.hosts {
            host.answer(checkpointer);
        }
    }

    /// Closes the calls of hosts that have ended or are condemned, once their pipes are drained.
    fn remove_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        if !self.append_kernel_records(checkpointer)? {
            return Ok(());
        }
        let (now, has_observer) = (Instant::now(), self.observer.is_some());
        while self.unfinished.is_none()
            && let Some(place) =
                self.hosts.iter().position(|host| host.can_be_closed(self.front_is_gone, has_observer, now))
        {
            let Some(host) = self.hosts.get(place) else { break };
            let closers = host.intake.closers(&host.closing_reason());
            let closed: Vec<_> = closers.iter().map(|closer| closer.call).collect();
            let closers: Vec<_> = closers.into_iter().map(Entry::Closer).map(|closer| closer.encode()).collect();
            if !self.append(&closers, checkpointer)? {
                return Ok(());
            }
            closed.into_iter().for_each(|call| self.note_end(call, None));
            let host = self.hosts.swap_remove(place);
            self.tell(&FromNotary::Over { host: host.id, ending: host.ending() })?;
            self.flow()?;
        }
        Ok(())
    }

    /// What the kernel said of hosts; `false` if it has to wait.
    fn append_kernel_records(&mut self, checkpointer: &Checkpointer) -> Result<bool, NotaryError> {
        for place in 0..self.hosts.len() {
            let said = self.hosts.get(place).map(Host::kernel_said).unwrap_or_default();
            if said.is_empty() {
                continue;
            }
            let records: Vec<_> = said.iter().cloned().map(|said| Entry::KernelRecord(said).encode()).collect();
            if self.unfinished.is_some() || !self.append(&records, checkpointer)? {
                return Ok(false);
            }
            if let Some(host) = self.hosts.get_mut(place) {
                host.kernel_is_heard();
            }
        }
        Ok(true)
    }

    /// Appends entries of the notary's own; `false` if there is no room for them at the moment.
    fn append(&mut self, entries: &[EncodedEntry], checkpointer: &Checkpointer) -> Result<bool, NotaryError> {
        match self.ledger.append(entries) {
            Ok(_first) => {
                if !entries.is_empty() {
                    checkpointer.has_new();
                }
                Ok(true)
            }
            Err(AppendError::Write { source }) if is_no_room(&source) => {
                self.stall(source.to_string())?;
                Ok(false)
            }
            Err(AppendError::Short { .. }) => Ok(false),
            Err(error) => Err(self.stop(with_causes(&error))),
        }
    }

    /// Says at once which hosts must be ended.
    fn condemn(&mut self) -> Result<(), NotaryError> {
        for place in 0..self.hosts.len() {
            let Some(host) = self.hosts.get_mut(place) else { break };
            let id = host.id;
            if let Some(fault) = host.news() {
                self.tell(&FromNotary::Condemned { host: id, fault })?;
            }
        }
        Ok(())
    }

    /// Sleeps until there is something to do. While entries come, pipes are looked at by the clock: waking a reader
    /// costs the writer more than writing. After a round that left something in a pipe it does not sleep.
    fn await_something(&self, checkpointer: &Checkpointer, round: Round, busy: bool) -> Result<(), NotaryError> {
        let is_owing = checkpointer.say_rest() || self.hosts.iter().any(Host::is_owed);
        let is_ending = self.hosts.iter().any(Host::is_ending);
        let is_waiting = self.stalled.is_some() || self.heeded().is_some_and(Observer::is_tired);
        let timeout = if round.has_backlog && self.stalled.is_none() {
            Some(Duration::ZERO)
        } else if busy || is_owing {
            Some(LOOK_EVERY)
        } else if is_ending {
            Some(ENDING_EVERY)
        } else {
            is_waiting.then_some(RETRY_EVERY)
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let is_listening = !busy && self.stalled.is_none();
        let mut fds: Vec<_> = self.hosts.iter().flat_map(|host| host.wakes(is_listening)).map(poll_in).collect();
        fds.push(poll_in(checkpointer.wakes()));
        if !self.front_is_gone {
            fds.push(poll_in(self.front.as_fd()));
        }
        fds.extend(self.heeded().and_then(Observer::wakes).map(poll_in));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    fn hear_front(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        while !self.front_is_gone && self.front.has_something()? {
            match self.front.receive::<ToNotary>() {
                Ok(Some((ToNotary::Host { host, process }, fds))) => {
                    let told = Told::new(host, process, fds).map_err(no_sense)?;
                    self.forget_kernel();
                    self.hosts.push(Host::new(Intake::new(host), told));
                }
                Ok(Some((ToNotary::Ended { host, how }, _))) => {
                    // One that is over already needs no reason any more.
                    let ended = self.hosts.iter_mut().find(|ended| ended.id == host);
                    ended.into_iter().for_each(|ended| ended.process_ended(how.clone()));
                }
                Ok(Some((ToNotary::Checkpoint, _))) => {
                    self.drain_what_is_there(checkpointer)?;
                    let covers = self.checkpoint();
                    self.tell(&FromNotary::Checkpoint { covers })?;
                }
                Ok(Some((ToNotary::Locate { call }, _))) => {
                    self.drain_what_is_there(checkpointer)?;
                    let found = self.ended_calls.iter().rev().find(|(ended, _)| *ended == call);
                    let is_on_record = found.is_some() || self.hosts.iter().any(|host| host.intake.is_open(call));
                    self.tell(&FromNotary::Located { index: found.and_then(|(_, index)| *index), is_on_record })?;
                }
                Ok(Some((ToNotary::Start, _))) => {}
                Ok(None) => self.front_is_gone = true,
                Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.front_is_gone = true;
                }
                Err(error) => return Err(from_front(error)),
            }
        }
        Ok(())
    }

    /// A checkpoint of all that was in the pipes when it was asked for; never one of less.
    fn checkpoint(&self) -> Result<TreeSize, String> {
        if let Some(reason) = &self.stalled
            && self.hosts.iter().any(Host::is_due)
        {
            return Err(format!("entries wait in their pipes, since the journal takes nothing: {reason}"));
        }
        self.ledger.checkpoint().map(|checkpoint| checkpoint.size).map_err(|error| with_causes(&error))
    }

    /// The observer, while there is somebody whom it can speak of.
    fn heeded(&self) -> Option<&Observer> {
        self.observer.as_ref().filter(|_| self.hosts.iter().any(|host| host.process.is_some()))
    }

    fn hear_kernel(&mut self) {
        let Self { observer, hosts, .. } = self;
        let Some(observer) = observer.as_mut().filter(|_| hosts.iter().any(|host| host.process.is_some())) else {
            return;
        };
        observer.hear(|process, text| {
            if let Some(host) = hosts.iter_mut().find(|host| host.process == Some(process)) {
                host.kernel_says(process, text);
            }
        });
    }

    /// Records that came before a host is known are none of its: numbers of processes come again.
    fn forget_kernel(&mut self) {
        self.hear_kernel();
        if self.heeded().is_none()
            && let Some(observer) = &mut self.observer
        {
            observer.forget();
        }
    }

    fn hear_hosts(&mut self) {
        for host in &mut self.hosts {
            host.hear();
        }
    }

    fn stall(&mut self, reason: String) -> Result<(), NotaryError> {
        if self.stalled.is_some() {
            return Ok(());
        }
        self.stalled = Some(reason.clone());
        self.tell(&FromNotary::Stalled { reason })
    }

    fn flow(&mut self) -> Result<(), NotaryError> {
        if self.stalled.take().is_none() {
            return Ok(());
        }
        self.tell(&FromNotary::Flowing)
    }

    fn stop(&self, reason: String) -> NotaryError {
        // One that does not hear it sees this process end.
        self.tell(&FromNotary::Stopped { reason: reason.clone() }).ok();
        NotaryError::Stopped { reason }
    }

    /// A front that is gone needs to be told nothing. One that is there and does not hear would wait for ever.
    fn tell(&self, say: &FromNotary) -> Result<(), NotaryError> {
        match self.front.send(say) {
            Err(ChannelError::Io(error)) if !is_gone(&error) => Err(error.into()),
            Err(error @ ChannelError::Malformed(_)) => Err(from_front(error)),
            Ok(()) | Err(ChannelError::Io(_)) => Ok(()),
        }
    }
}

/// What one turn over the pipes took.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    bytes: usize,
    // Whether a pipe is likely to hold more than its share.
    has_backlog: bool,
}

impl Round {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        // A look seldom shows a whole share: a page of a pipe need not be full.
        self.has_backlog |= bytes > PIPE_SHARE_BYTES / 2;
    }
}

impl StartedNotary {
    /// Serves until the front is gone and every host has closed its pipe.
    ///
    /// # Errors
    ///
    /// [`NotaryError`].
    pub fn serve(self) -> Result<(), NotaryError> {
        let Self { mut notary, checkpointer } = self;
        checkpointer.begin();
        let served = notary.serve_with(&checkpointer);
        let published = checkpointer.finish();
        match (served, published) {
            (Err(error @ NotaryError::Stopped { .. }), _) => Err(error),
            (_, Err(reason)) => Err(notary.stop(reason)),
            (served, Ok(())) => served,
        }
    }
}

/// A notary whose front was killed ends by itself within moments: the next one waits that long.
fn open_patiently(
    opening: &Opening<'_>,
    pipes: &mut Pipes<'_>,
) -> Result<(Ledger, HashMap<CallId, OpenCall>), OpenError> {
    let patience = Instant::now() + ENDING_PATIENCE;
    loop {
        match Ledger::open_for(opening, pipes) {
            Err(OpenError::InUse { .. }) if Instant::now() < patience => std::thread::sleep(RETRY),
            opened => return opened,
        }
    }
}

fn fault_of(error: &OpenError) -> LedgerFault {
    match error {
        OpenError::InUse { .. } => LedgerFault::InUse,
        OpenError::Io { source, .. } if OlderFormat::is_cause_of(source) => LedgerFault::OlderFormat,
        OpenError::OlderState { .. } => LedgerFault::OlderFormat,
        // Of the entry that says that it was opened: it could not be written.
        OpenError::Io { .. } | OpenError::Append(_) => LedgerFault::Unreachable,
        OpenError::BadOrigin { .. } | OpenError::OtherOrigin { .. } => LedgerFault::Foreign,
        OpenError::Corrupt(_)
        | OpenError::NotAnEntry { .. }
        | OpenError::Senseless { .. }
        | OpenError::Checkpoint(_)
        | OpenError::CheckpointNotOurs
        | OpenError::NothingToAdopt
        | OpenError::Key(_)
        | OpenError::KeyMissing { .. }
        | OpenError::OtherKey { .. } => LedgerFault::Damaged,
        OpenError::DataLost { .. }
        | OpenError::DataChanged { .. }
        | OpenError::AddedWhileClosed { .. }
        | OpenError::StateMissing { .. }
        | OpenError::State { .. } => LedgerFault::Broken,
    }
}

fn poll_in(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

/// Whether a write failed only for now (disk full, quota, file size limit).
fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether the other end of a socket is closed.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn no_sense(reason: impl Into<String>) -> NotaryError {
    NotaryError::Front { reason: reason.into() }
}

fn from_front(error: ChannelError) -> NotaryError {
    match error {
        ChannelError::Io(source) => NotaryError::System { source },
        ChannelError::Malformed(reason) => NotaryError::Front { reason },
    }
}

/// How often pipes are looked at while entries come: the longest that an entry is in its pipe alone.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long after an entry the next ones are still looked for by the clock.
const BUSY: Duration = Duration::from_millis(20);

/// How often is looked whether a host has had its time to end.
const ENDING_EVERY: Duration = Duration::from_millis(10);

/// How often a full disk is tried again, and the kernel is heard where it says much.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Ends of calls whose place is known without reading the journal: enough for the calls of some tenths of a second.
const ENDED_CALLS_MAX: usize = 4096;

/// How long a process waits for another one that is about to end: within moments, all that it had is free.
const ENDING_PATIENCE: Duration = Duration::from_millis(500);

/// How often a lock is tried again.
const RETRY: Duration = Duration::from_millis(5);
