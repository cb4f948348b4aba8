//! The notary: takes what writers write into their pipes, extends the ledger by it, and says how it is kept. Its own
//! process, since it holds the key and the ledger's folder.
//!
//! One thread drains, another one syncs and signs, so that a slow disk does not keep writers waiting. It must never take
//! bytes out of a pipe before it knows that they are whole entries that their writer may write, nor lose any that it took.

mod checkpointer;
mod drain;
mod hearing;
mod intake;
mod observer;
mod owners;
pub(crate) mod protocol;
mod supervisors;
mod telling;
mod writers;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tollgate_audit::append_error::AppendError;
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::entry::Entry;
use tollgate_audit::ids::{CallId, LeafIndex};
use tollgate_audit::journal::OlderFormat;
use tollgate_audit::lock::Holder;
use tollgate_audit::structure::OpenCall;
use tollgate_audit::with_causes;
use tollgate_ipc::{Channel, ChannelError};
use tollgate_ledger::OpenError;
use tollgate_ledger::ledger::{Ledger, Opening};
use tollgate_system::os_error;

use self::checkpointer::Checkpointer;
pub use self::drain::PIPE_SHARE_BYTES;
use self::drain::{Drained, Peek};
use self::intake::Past;
pub use self::intake::{Intake, Taken, WriterFault};
use self::observer::Observer;
use self::owners::Number;
pub use self::protocol::{FromNotary, LedgerFault, ToNotary, WriterEnding};
use self::supervisors::{Supervisor, Supervisors};
use self::telling::Telling;
use self::writers::{Pipes, Writer};

/// A notary with its ledger open, about to serve.
#[derive(Debug)]
pub struct Notary {
    ledger: Arc<Ledger>,
    supervisors: Supervisors,
    writers: Vec<Writer>,
    // What was taken from the pipe of this writer has not all reached the journal.
    unfinished: Option<(usize, Drained)>,
    peek: Peek,
    observer: Option<Observer>,
    ended_calls: VecDeque<EndedCall>,
    // Why nothing can be written at the moment.
    stalled: Option<String>,
    // How often supervisors were heard.
    round: u64,
    // The ledger's lock names the process of the first supervisor, not this one.
    names_another: bool,
}

/// A call that ended lately.
#[derive(Clone, Copy, Debug)]
struct EndedCall {
    call: CallId,
    /// The place of its `call-end`, if it has one: it may have been closed instead.
    end: Option<LeafIndex>,
    /// The supervisor of its writer.
    of: Number,
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
    /// Whom the ledger's lock names while the supervisor that starts the notary is there; `None` for this process.
    pub holder: Option<&'o Holder>,
}

/// Why a notary ended before its work was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotaryError {
    /// The ledger does not open. The supervisor has been told.
    #[error("the ledger cannot be opened")]
    Open {
        /// The cause.
        source: OpenError,
    },
    /// What the supervisor says makes no sense.
    #[error("the supervisor cannot be understood: {reason}")]
    Supervisor {
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
    /// What is on disk is unknown from here on. The supervisor has been told.
    #[error("the ledger is stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

impl Notary {
    /// Hears from the supervisor, on the socket `supervisor`, which writers there are, and which other supervisors an earlier
    /// notary served; waits up to 2 s for those to tell of their writers, and opens the ledger. What the pipes of the writers
    /// hold goes on where that notary was interrupted.
    ///
    /// # Errors
    ///
    /// [`NotaryError`].
    pub fn open(of: NotaryOf<'_>, supervisor: OwnedFd) -> Result<Self, NotaryError> {
        let mut peek = Peek::new()?;
        let Telling { mut supervisors, told, .. } = Telling::hear(Channel::new(supervisor))?;
        let NotaryOf { folder, origin, software, now_ns, holder } = of;
        let opening = Opening { dir: folder, key_path: None, origin, software, now_ns, holder, adopts: None };
        let mut pipes = Pipes { writers: &told, peek: &mut peek, pasts: HashMap::new() };
        let (ledger, mut open) = open_patiently(&opening, &mut pipes).map_err(|source| {
            let (fault, os_error) = (fault_of(&source), os_error(&source));
            let unusable = FromNotary::Unusable { fault, message: with_causes(&source), os_error };
            supervisors.get(Number::FIRST).into_iter().for_each(|first| first.tell_unusable(&unusable));
            NotaryError::Open { source }
        })?;
        let mut pasts = pipes.pasts;
        let writers = told.into_iter().map(|told| {
            let writer = told.end.writer;
            let calls = open.extract_if(|_call, state| state.writer() == writer).collect();
            let past = pasts.remove(&writer).unwrap_or_else(|| Past::of(&told.calls));
            Writer::new(Intake::resumed(writer, told.kind, calls, past), told)
        });
        Ok(Self {
            ledger: Arc::new(ledger),
            supervisors,
            writers: writers.collect(),
            unfinished: None,
            peek,
            observer: Observer::open(),
            ended_calls: VecDeque::new(),
            stalled: None,
            round: 0,
            names_another: holder.is_some(),
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
        self.tell_all(&self.ready())?;
        let mut busy_until = Instant::now();
        loop {
            let round = self.drain_round(checkpointer, |_writer| true)?;
            if round.bytes > 0 {
                busy_until = Instant::now() + BUSY;
            }
            if let Some(reason) = checkpointer.failed() {
                return Err(self.stop(reason));
            }
            self.answer_writers(checkpointer);
            self.give_up()?;
            self.condemn()?;
            self.hear_kernel();
            self.remove_ended(checkpointer)?;
            self.let_go()?;
            if self.supervisors.are_gone() && self.writers.is_empty() {
                return Ok(());
            }
            self.await_something(checkpointer, round, Instant::now() < busy_until)?;
            self.hear_supervisors(checkpointer)?;
            self.hear_writers();
        }
    }

    /// Takes what the pipes hold now. What is written meanwhile is not waited for: a writer that never stops writing would
    /// keep everybody else from an answer.
    fn drain_what_is_there(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        self.writers.iter_mut().try_for_each(|writer| {
            let noted = writer.note_due();
            noted.or_else(|error| writer.not_looked_into(error))
        })?;
        while self.drain_round(checkpointer, Writer::is_due)?.bytes > 0 && self.stalled.is_none() {}
        Ok(())
    }

    /// Takes what the pipes of these writers hold, from each in turn its share ([`PIPE_SHARE_BYTES`]) at most.
    fn drain_round(&mut self, checkpointer: &Checkpointer, of: impl Fn(&Writer) -> bool) -> Result<Round, NotaryError> {
        let mut round = Round::default();
        if let Some((place, drained)) = self.unfinished.take() {
            round.add(self.finish(place, drained, checkpointer)?);
        }
        for place in 0..self.writers.len() {
            if self.unfinished.is_some() {
                break;
            }
            let Some(writer) = self.writers.get_mut(place).filter(|writer| of(writer)) else { continue };
            let heard = self.supervisors.heard(writer.of, self.round);
            let drained = match writer.drain(&mut self.peek, heard) {
                Err(error) => writer.not_looked_into(error).map(|()| None)?,
                Ok(drained) => drained,
            };
            let Some(drained) = drained else { continue };
            round.add(self.finish(place, drained, checkpointer)?);
        }
        Ok(round)
    }

    /// Brings what was taken from the pipe of the writer in `place` to the journal. A full disk leaves it
    /// unfinished. How many bytes are there now.
    fn finish(
        &mut self,
        place: usize,
        mut drained: Drained,
        checkpointer: &Checkpointer,
    ) -> Result<usize, NotaryError> {
        let Some(writer) = self.writers.get_mut(place) else { return Ok(0) };
        while drained.left > 0 {
            match self.ledger.splice(writer.pipe.as_fd(), drained.left) {
                Ok(0) => return Err(self.stop("the pipe gave less than it showed".to_owned())),
                Ok(moved) => drained.left -= moved,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_no_room(&error) => {
                    writer.half_drained = (drained.bytes - drained.left) as u64;
                    self.unfinished = Some((place, drained));
                    self.stall(error.to_string())?;
                    return Ok(0);
                }
                Err(error) => return Err(self.stop(format!("the journal cannot be written: {error}"))),
            }
        }
        writer.drained += drained.bytes as u64;
        writer.half_drained = 0;
        let of = writer.of;
        let first = self.ledger.size().0;
        for (offset, call) in &drained.ends {
            self.note_end(EndedCall { call: *call, end: Some(LeafIndex(first + offset)), of });
        }
        self.ledger.take_spliced(self.peek.entries(&drained));
        checkpointer.has_new();
        self.flow()?;
        Ok(drained.bytes)
    }

    fn note_end(&mut self, ended: EndedCall) {
        if self.ended_calls.len() == ENDED_CALLS_MAX {
            self.ended_calls.pop_front();
        }
        self.ended_calls.push_back(ended);
    }

    fn answer_writers(&mut self, checkpointer: &Checkpointer) {
        for writer in &mut self.writers {
            writer.answer(checkpointer);
        }
    }

    /// Closes the calls of writers that have ended or are condemned, once their pipes are drained.
    fn remove_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        if !self.append_kernel_records(checkpointer)? {
            return Ok(());
        }
        let (now, has_observer) = (Instant::now(), self.observer.is_some());
        while self.unfinished.is_none()
            && let Some(place) = self
                .writers
                .iter()
                .position(|writer| writer.can_be_closed(self.supervisors.is_gone(writer.of), has_observer, now))
        {
            let Some(writer) = self.writers.get(place) else { break };
            let closers = writer.intake.closers(&writer.closing_reason());
            let closed: Vec<_> = closers.iter().map(|closer| closer.call).collect();
            let closers: Vec<_> = closers.into_iter().map(Entry::Closer).map(|closer| closer.encode()).collect();
            if !self.append(&closers, checkpointer)? {
                return Ok(());
            }
            let writer = self.writers.swap_remove(place);
            let of = writer.of;
            closed.into_iter().for_each(|call| self.note_end(EndedCall { call, end: None, of }));
            self.supervisors.owners.over(writer.id);
            self.release(of);
            self.tell(of, &FromNotary::Over { writer: writer.id, ending: writer.ending() })?;
            self.flow()?;
        }
        Ok(())
    }

    /// What the kernel said of writers; `false` if it has to wait.
    fn append_kernel_records(&mut self, checkpointer: &Checkpointer) -> Result<bool, NotaryError> {
        for place in 0..self.writers.len() {
            let said = self.writers.get(place).map(Writer::kernel_said).unwrap_or_default();
            if said.is_empty() {
                continue;
            }
            let records: Vec<_> = said.iter().cloned().map(|said| Entry::KernelRecord(said).encode()).collect();
            if self.unfinished.is_some() || !self.append(&records, checkpointer)? {
                return Ok(false);
            }
            if let Some(writer) = self.writers.get_mut(place) {
                writer.kernel_is_heard();
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

    /// Says at once which writers must be ended.
    fn condemn(&mut self) -> Result<(), NotaryError> {
        for place in 0..self.writers.len() {
            let Some(writer) = self.writers.get_mut(place) else { break };
            let (id, of) = (writer.id, writer.of);
            if let Some(fault) = writer.news() {
                self.tell(of, &FromNotary::Condemned { writer: id, fault })?;
            }
        }
        Ok(())
    }

    /// Sleeps until there is something to do. While entries come, pipes are looked at by the clock: waking a reader
    /// costs the writer more than writing. After a round that left something in a pipe it does not sleep.
    fn await_something(&self, checkpointer: &Checkpointer, round: Round, busy: bool) -> Result<(), NotaryError> {
        let is_owing = checkpointer.say_rest() || self.writers.iter().any(Writer::is_owed);
        let is_ending = self.writers.iter().any(Writer::is_ending);
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
        let mut fds: Vec<_> = self.writers.iter().flat_map(|writer| writer.wakes(is_listening)).map(poll_in).collect();
        fds.push(poll_in(checkpointer.wakes()));
        fds.extend(self.supervisors.all.iter().filter_map(Supervisor::wakes).map(poll_in));
        fds.extend(self.heeded().and_then(Observer::wakes).map(poll_in));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The observer, while there is somebody whom it can speak of.
    fn heeded(&self) -> Option<&Observer> {
        self.observer.as_ref().filter(|_| self.writers.iter().any(|writer| writer.process.is_some()))
    }

    fn hear_kernel(&mut self) {
        let Self { observer, writers, .. } = self;
        let Some(observer) = observer.as_mut().filter(|_| writers.iter().any(|writer| writer.process.is_some())) else {
            return;
        };
        observer.hear(|process, text| {
            if let Some(writer) = writers.iter_mut().find(|writer| writer.process == Some(process)) {
                writer.kernel_says(process, text);
            }
        });
    }

    /// Records that came before a writer is known are none of its: numbers of processes come again.
    fn forget_kernel(&mut self) {
        self.hear_kernel();
        if self.heeded().is_none()
            && let Some(observer) = &mut self.observer
        {
            observer.forget();
        }
    }

    fn hear_writers(&mut self) {
        for writer in &mut self.writers {
            writer.hear();
        }
    }

    fn stall(&mut self, reason: String) -> Result<(), NotaryError> {
        if self.stalled.is_some() {
            return Ok(());
        }
        self.stalled = Some(reason.clone());
        self.tell_all(&FromNotary::Stalled { reason })
    }

    fn flow(&mut self) -> Result<(), NotaryError> {
        if self.stalled.take().is_none() {
            return Ok(());
        }
        self.tell_all(&FromNotary::Flowing)
    }

    fn stop(&mut self, reason: String) -> NotaryError {
        // One that does not hear it sees this process end.
        self.tell_all(&FromNotary::Stopped { reason: reason.clone() }).ok();
        NotaryError::Stopped { reason }
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
    /// Serves until every supervisor is gone and every writer has closed its pipe.
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

/// A notary whose supervisor was killed ends by itself within moments: the next one waits that long.
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

fn from_supervisor(error: ChannelError) -> NotaryError {
    match error {
        ChannelError::Io(source) => NotaryError::System { source },
        ChannelError::Malformed(reason) => NotaryError::Supervisor { reason },
        ChannelError::Version { .. } => NotaryError::Supervisor { reason: error.to_string() },
    }
}

/// How often pipes are looked at while entries come: the longest that an entry is in its pipe alone.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long after an entry the next ones are still looked for by the clock.
const BUSY: Duration = Duration::from_millis(20);

/// How often is looked whether a writer has had its time to end.
const ENDING_EVERY: Duration = Duration::from_millis(10);

/// How often a full disk is tried again, and the kernel is heard where it says much.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Ends of calls whose place is known without reading the journal: enough for the calls of some tenths of a second.
const ENDED_CALLS_MAX: usize = 4096;

/// How long a process waits for another one that is about to end: within moments, all that it had is free.
const ENDING_PATIENCE: Duration = Duration::from_millis(500);

/// How often a lock is tried again.
const RETRY: Duration = Duration::from_millis(5);
