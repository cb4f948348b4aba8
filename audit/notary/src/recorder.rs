//! The writer's end of the way to the notary: a pipe that entries go into, and a socket on which the notary says how they
//! are kept.
//!
//! What is in the pipe is out of this process's reach. It must never wait beyond a deadline, nor leave part of a frame
//! in the pipe.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use rustix::pipe::{PIPE_BUF, PipeFlags, fcntl_setpipe_size, pipe_with};

use serde::{Deserialize, Serialize};
use tollgate_audit::append_error::AppendError;
use tollgate_audit::codec::EncodedEntry;
use tollgate_audit::entry::{Entry, Reload};
use tollgate_audit::frame::push_frame;
use tollgate_audit::ids::{CallId, WriterId};
use tollgate_audit::record::{Kept, Record, RecordError};
use tollgate_ledger::CallCounter;
use tollgate_system::{held, lock, of_call};

use crate::acks::{ANSWER_BYTES, Answer, Wait};

/// Writes the entries of one writer, from any of its threads.
#[derive(Debug)]
pub struct Recorder {
    pipe: Mutex<Pipe>,
    acks: OwnedFd,
    calls: CallCounter,
    // Whether `status` is anything but `Ready`, so that the usual case takes no lock.
    is_held: AtomicBool,
    status: Mutex<Status>,
    // How many notaries have gone: a question may be lost with the one that read it.
    gone: AtomicU64,
    tokens: AtomicU64,
    waits: Mutex<Waits>,
    answered: Condvar,
}

#[derive(Debug)]
struct Pipe {
    // None once this writer has closed its record.
    end: Option<Arc<OwnedFd>>,
    // Kept between writes for its memory.
    frames: Vec<u8>,
}

/// What the notary needs of a writer. Whoever starts notaries keeps it, so that what is in the pipe outlives each of them.
#[derive(Debug)]
pub struct NotaryEnds {
    /// The writer.
    pub writer: WriterId,
    /// Where its entries come out.
    pub pipe: OwnedFd,
    /// Where it asks how they are kept.
    pub acks: OwnedFd,
}

/// The writer's ends of its way to the notary, as they are handed to a writer in another process.
#[derive(Debug)]
pub struct WriterEnds {
    /// The writer.
    pub writer: WriterId,
    /// Where its entries go in.
    pub pipe: OwnedFd,
    /// Where it asks how they are kept.
    pub acks: OwnedFd,
}

impl WriterEnds {
    /// The way of a writer with a random id, and what its notary needs of it.
    ///
    /// # Errors
    ///
    /// Of the operating system: no descriptors, no memory, no randomness.
    pub fn new() -> io::Result<(Self, NotaryEnds)> {
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let (read, write) = pipe.map_err(|errno| of_call("pipe2", errno))?;
        // Nobody opens it anew, by `/proc/PID/fd`: a writer that got at the other end could take its entries back.
        fchmod(&write, Mode::empty())?;
        // A process may have many pipes, and the system a limit on their pages: a small one works too.
        fcntl_setpipe_size(&write, PIPE_BYTES).ok();
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let sockets = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let (acks, notary_acks) = sockets.map_err(|errno| of_call("socketpair", errno))?;
        let writer = WriterId::random()?;
        Ok((Self { writer, pipe: write, acks }, NotaryEnds { writer, pipe: read, acks: notary_acks }))
    }
}

/// Whether the notary takes what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It does.
    #[default]
    Ready,
    /// It is not there; another one is being started.
    Away,
    /// It cannot write at the moment.
    Stalled {
        /// Why.
        reason: String,
    },
    /// It never will again.
    Closed {
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Default)]
struct Waits {
    // By token: the answer, once it is there.
    pending: HashMap<u64, Option<bool>>,
    // Whether a thread is reading answers, for all.
    reading: bool,
}

impl Recorder {
    /// A writer with a random id, and what its notary needs of it. Until [`Recorder::set_status`] says otherwise, the notary is
    /// away.
    ///
    /// # Errors
    ///
    /// As [`WriterEnds::new`].
    pub fn new() -> io::Result<(Self, NotaryEnds)> {
        let (way, end) = WriterEnds::new()?;
        Ok((Self::over(way), end))
    }

    /// Writes by `way`, which nobody else writes by. The notary is away at first, as with [`Recorder::new`].
    #[must_use]
    pub fn over(way: WriterEnds) -> Self {
        let WriterEnds { writer, pipe, acks } = way;
        Self {
            pipe: Mutex::new(Pipe { end: Some(Arc::new(pipe)), frames: Vec::new() }),
            acks,
            calls: CallCounter::of(writer),
            is_held: AtomicBool::new(true),
            status: Mutex::new(Status::Away),
            gone: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            waits: Mutex::new(Waits::default()),
            answered: Condvar::new(),
        }
    }

    /// The pipe, for what must be written without a lock, as by [`write_blocked_frame`](tollgate_audit::write_blocked_frame); `None`
    /// once the record is closed. It never blocks, and one write of at most `PIPE_BUF` bytes is atomic. As long as
    /// somebody has it, [`Recorder::close`] does not end the record.
    #[must_use]
    pub fn pipe(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.pipe).end.clone()
    }

    /// Says whether the notary takes what is new. What is closed stays closed.
    pub fn set_status(&self, status: Status) {
        let mut now = lock(&self.status);
        if !matches!(*now, Status::Closed { .. }) {
            self.is_held.store(status != Status::Ready, Ordering::Release);
            if status == Status::Away {
                self.gone.fetch_add(1, Ordering::Release);
            }
            *now = status;
        }
    }

    /// Records that the policy was read again. Returns once the entry is in the journal, so that it stands before whatever is
    /// recorded under the policy that holds from then on. It is for a writer of kind [`Supervisor`](crate::WriterKind::Supervisor): a
    /// worker is condemned for it.
    ///
    /// # Errors
    ///
    /// [`AppendError`]: the entry is not known to be in the journal, and a new policy must not come into force.
    pub fn reload(&self, reload: Reload<'_>, deadline: Instant) -> Result<(), AppendError> {
        self.ready()?;
        let entry = Entry::Reload(reload).encode();
        self.record(&[entry], Kept::Journal, deadline).map_err(|error| error.source)
    }

    /// Ends the writer's record: the notary closes the calls that are open, once it has taken what is in the pipe.
    pub fn close(&self) {
        lock(&self.pipe).end = None;
    }

    fn write(&self, entries: &[EncodedEntry], deadline: Instant) -> Result<(), RecordError> {
        let mut taken = 0;
        while let Some(rest) = entries.get(taken..).filter(|rest| !rest.is_empty()) {
            let failed = |source| RecordError { taken, source };
            match self.write_some(rest).map_err(failed)? {
                Written::Entries(count) => taken += count,
                // Not under the lock: another thread's call may have to end sooner.
                Written::Full(pipe) => {
                    match wait_for(&pipe, PollFlags::OUT, deadline.min(Instant::now() + LOOK_UP_EVERY)) {
                        Err(AppendError::Late) if Instant::now() < deadline => {}
                        waited => waited.map_err(failed)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes as many of `entries` as one atomic write takes, or nothing if there is no room (pipe(7)).
    fn write_some(&self, entries: &[EncodedEntry]) -> Result<Written, AppendError> {
        let mut pipe = lock(&self.pipe);
        let Pipe { end, frames } = &mut *pipe;
        let Some(end) = end else { return Err(AppendError::Closed { reason: self.reason_or("the record is closed") }) };
        let count = fill(frames, entries);
        loop {
            match rustix::io::write(&**end, frames) {
                Ok(written) if written == frames.len() => return Ok(Written::Entries(count)),
                Ok(written) => return Err(AppendError::Short { written, wanted: frames.len() }),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Written::Full(Arc::clone(end))),
                Err(Errno::PIPE) => {
                    return Err(AppendError::Closed { reason: "the notary has closed the pipe".to_owned() });
                }
                Err(error) => return Err(AppendError::Write { source: error.into() }),
            }
        }
    }

    /// Asks the notary to say when all that was written until now is `kept`, and waits for its answer.
    fn wait(&self, kept: Kept, deadline: Instant) -> Result<(), AppendError> {
        // What nobody hears would only fill the socket.
        self.present()?;
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        lock(&self.waits).pending.insert(token, None);
        let gone = self.gone.load(Ordering::Acquire);
        let answer = self.ask(Wait { token, kept }, deadline).and_then(|()| self.answer(token, gone, deadline));
        lock(&self.waits).pending.remove(&token);
        match answer? {
            true => Ok(()),
            false => Err(AppendError::Closed { reason: "it cannot be brought to disk".to_owned() }),
        }
    }

    fn ask(&self, wait: Wait, deadline: Instant) -> Result<(), AppendError> {
        loop {
            match send(&self.acks, &wait.encode(), SendFlags::NOSIGNAL) {
                Ok(_all) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for(&self.acks, PollFlags::OUT, deadline)?,
                Err(error) => return Err(closed(error)),
            }
        }
    }

    fn answer(&self, token: u64, gone: u64, deadline: Instant) -> Result<bool, AppendError> {
        let mut waits = lock(&self.waits);
        loop {
            if let Some(Some(done)) = waits.pending.get(&token) {
                return Ok(*done);
            }
            self.present()?;
            if self.gone.load(Ordering::Acquire) != gone {
                return Err(AppendError::Away);
            }
            let until = deadline.min(Instant::now() + LOOK_UP_EVERY);
            if Instant::now() >= deadline {
                return Err(AppendError::Late);
            }
            if waits.reading {
                let timeout = until.saturating_duration_since(Instant::now());
                (waits, _) = held(self.answered.wait_timeout(waits, timeout));
                continue;
            }
            waits.reading = true;
            drop(waits);
            let received = self.receive(until);
            waits = lock(&self.waits);
            waits.reading = false;
            self.answered.notify_all();
            let Some(Answer { token, done }) = received? else { continue };
            if let Some(answer) = waits.pending.get_mut(&token) {
                *answer = Some(done);
            }
        }
    }

    /// Why nothing is taken any more: the supervisor says it before it closes pipe or socket, where it can.
    fn reason_or(&self, otherwise: &str) -> String {
        match &*lock(&self.status) {
            Status::Closed { reason } => reason.clone(),
            Status::Ready | Status::Away | Status::Stalled { .. } => otherwise.to_owned(),
        }
    }

    fn receive(&self, until: Instant) -> Result<Option<Answer>, AppendError> {
        match wait_for(&self.acks, PollFlags::IN, until) {
            Ok(()) => {}
            Err(AppendError::Late) => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut bytes = [0; ANSWER_BYTES];
        match recv(&self.acks, &mut bytes, RecvFlags::empty()) {
            Ok((_, 0)) => Err(AppendError::Closed { reason: self.reason_or("the notary's socket is closed") }),
            Ok(_) => Ok(Some(Answer::decode(bytes))),
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(error) => Err(closed(error)),
        }
    }

    /// Whether there is a notary that may answer.
    fn present(&self) -> Result<(), AppendError> {
        if !self.is_held.load(Ordering::Acquire) {
            return Ok(());
        }
        match &*lock(&self.status) {
            Status::Ready => Ok(()),
            Status::Away => Err(AppendError::Away),
            Status::Stalled { reason } => Err(AppendError::Stalled { reason: reason.clone() }),
            Status::Closed { reason } => Err(AppendError::Closed { reason: reason.clone() }),
        }
    }
}

impl Record for Recorder {
    fn record(&self, entries: &[EncodedEntry], kept: Kept, deadline: Instant) -> Result<(), RecordError> {
        self.write(entries, deadline)?;
        match kept {
            Kept::Pipe => Ok(()),
            Kept::Journal | Kept::Disk => {
                self.wait(kept, deadline).map_err(|source| RecordError { taken: entries.len(), source })
            }
        }
    }

    fn writer(&self) -> WriterId {
        self.calls.writer()
    }

    fn next_call(&self, time_ms: u64) -> CallId {
        self.calls.next(time_ms)
    }

    fn ready(&self) -> Result<(), AppendError> {
        self.present()
    }
}

/// What became of a write.
enum Written {
    /// So many entries are in the pipe.
    Entries(usize),
    /// None; here is the pipe to wait for.
    Full(Arc<OwnedFd>),
}

/// Fills `frames` with as many of `entries` as one atomic write takes; returns how many.
fn fill(frames: &mut Vec<u8>, entries: &[EncodedEntry]) -> usize {
    frames.clear();
    let mut count = 0;
    for entry in entries {
        let whole = frames.len();
        push_frame(frames, entry);
        if frames.len() > PIPE_BUF {
            frames.truncate(whole);
            break;
        }
        count += 1;
    }
    count
}

fn wait_for(fd: &OwnedFd, flags: PollFlags, deadline: Instant) -> Result<(), AppendError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(|_too_long| AppendError::Late)?;
    match poll(&mut [PollFd::from_borrowed_fd(fd.as_fd(), flags)], Some(&timeout)) {
        Ok(0) => Err(AppendError::Late),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(closed(error)),
    }
}

fn closed(error: Errno) -> AppendError {
    AppendError::Closed { reason: format!("the way to the notary is broken: {}", io::Error::from(error)) }
}

/// Room for about 4,000 entries: what a writer may be ahead of a notary that waits for its disk. The most that a process
/// without privileges may ask for (`/proc/sys/fs/pipe-max-size`).
const PIPE_BYTES: usize = 1 << 20;

/// How often a thread that waits for an answer looks whether the notary is still there.
const LOOK_UP_EVERY: Duration = Duration::from_millis(20);
