//! The writers that a notary serves: their pipes and sockets.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::checkpointer::Checkpointer;
use super::drain::{Drained, Peek, Seen};
use super::intake::{Intake, Past, WriterFault};
use super::owners::Number;
use super::protocol::WriterEnding;
use crate::acks::{Answer, WAIT_BYTES, Wait};
use crate::recorder::NotaryEnds;
use crate::writer::{LEASES_MAX, Lease, WriterKind};
use tollgate_audit::confinement::KernelRecord;
use tollgate_audit::frame::{Head, head, whole_length};
use tollgate_audit::ids::WriterId;
use tollgate_audit::record::Kept;
use tollgate_ledger::ledger::OfWriter;
use tollgate_ledger::ledger::{LiveWriters, SpliceRest};

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) id: WriterId,
    /// The supervisor that told of it.
    pub(super) of: Number,
    pub(super) pipe: OwnedFd,
    pub(super) acks: Arc<OwnedFd>,
    pub(super) intake: Intake,
    pub(super) fault: Option<Fault>,
    /// Bytes that have come out of its pipe.
    pub(super) drained: u64,
    /// Bytes beyond those that have come out, of frames that are half in the journal.
    pub(super) half_drained: u64,
    // So many bytes must have come out before what was last asked of the notary is answered.
    due: u64,
    /// The process that it is alone in.
    pub(super) process: Option<u32>,
    // How that ended, once the supervisor has said it.
    how: Option<String>,
    // All that it can have written, once its process has ended and that is known.
    wrote_at_most: Option<u64>,
    // It named a call that was not given to it, when the supervisor had been heard so often: what gives it the call may not have
    // been heard yet.
    ahead_since: Option<u64>,
    // Nobody is left to write into its pipe.
    has_ended: bool,
    // It asks nothing more.
    has_hung_up: bool,
    // Since when it has ended or is to be ended.
    ending_since: Option<Instant>,
    is_announced: bool,
    // What the kernel said of it and is not in the ledger yet; how often it did in all.
    said: Vec<KernelRecord<'static>>,
    said_count: usize,
    // By the number of bytes that must have come out of its pipe, rising.
    waits: VecDeque<(u64, Wait)>,
}

/// Why nothing more is taken from a writer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Entries(#[from] WriterFault),
    #[error("an unfinished frame at its end")]
    Unfinished,
    #[error("a pipe that cannot be looked into: {0}")]
    Pipe(#[source] io::Error),
    #[error("{0}")]
    Supervisor(String),
    #[error("a question that is none")]
    Question,
    #[error("more questions at once than a writer has threads")]
    Questions,
}

impl Writer {
    pub(super) fn new(intake: Intake, told: Told) -> Self {
        let Told { end: NotaryEnds { writer: id, pipe, acks }, of, process, how, .. } = told;
        let mut writer = Self {
            id,
            of,
            pipe,
            acks: Arc::new(acks),
            intake,
            fault: None,
            drained: 0,
            half_drained: 0,
            due: 0,
            process,
            how: None,
            wrote_at_most: None,
            ahead_since: None,
            has_ended: false,
            has_hung_up: false,
            ending_since: None,
            is_announced: false,
            said: Vec::new(),
            said_count: 0,
            waits: VecDeque::new(),
        };
        how.into_iter().for_each(|how| writer.process_ended(how));
        writer
    }

    /// The supervisor says that its process has ended. It writes no more, whoever else may hold its pipe and write.
    pub(super) fn process_ended(&mut self, how: String) {
        if self.how.is_none() {
            self.how = Some(how);
            self.wrote_at_most = self.written().ok();
        }
    }

    /// How many bytes have gone into its pipe until now.
    fn written(&self) -> io::Result<u64> {
        let in_pipe = rustix::io::ioctl_fionread(&self.pipe)?;
        Ok((self.drained + self.half_drained).saturating_add(in_pipe))
    }

    /// Notes what is in its pipe now, which is due before the next answer to the supervisor.
    pub(super) fn note_due(&mut self) -> io::Result<()> {
        self.due = self.written()?;
        Ok(())
    }

    /// Whether some of what was noted is still to be taken.
    pub(super) fn is_due(&self) -> bool {
        self.drained < self.due && !self.is_over()
    }

    /// Its pipe cannot be looked into. That of a borrowed supervisor's writer may be any that there is: it is condemned alone.
    pub(super) fn not_looked_into(&mut self, error: io::Error) -> io::Result<()> {
        if self.of.is_first() {
            return Err(error);
        }
        self.fault.get_or_insert(Fault::Pipe(error));
        Ok(())
    }

    /// Looks at what its pipe holds; the frames that may go into the journal. `heard` is how often all was heard that the
    /// supervisor had said: it says which calls a writer may name before the writer can know of them.
    pub(super) fn drain(&mut self, peek: &mut Peek, heard: u64) -> io::Result<Option<Drained>> {
        if self.is_over() {
            return Ok(None);
        }
        if self.wrote_at_most.is_some_and(|bytes| self.drained >= bytes) {
            self.has_ended = true;
            return Ok(None);
        }
        let count = match peek.look(self.pipe.as_fd())? {
            Seen::Bytes(count) => count,
            Seen::Empty if self.how.is_none() => return Ok(None),
            Seen::Empty | Seen::Over => {
                self.has_ended = true;
                return Ok(None);
            }
        };
        let (drained, fault) = peek.take(count, |bytes, taken| self.intake.take(bytes, taken));
        if drained.bytes > 0 {
            // What it was ahead with has been taken; it may be ahead again.
            self.ahead_since = None;
        }
        let is_ahead =
            matches!(fault, Some(WriterFault::OtherCall { .. })) && heard == *self.ahead_since.get_or_insert(heard);
        if is_ahead {
            return Ok((drained.bytes > 0).then_some(drained));
        }
        self.ahead_since = None;
        self.fault = fault.map(Fault::from);
        if drained.bytes == 0 && self.fault.is_none() {
            // Less than a frame. A writer that is sound writes whole frames only.
            self.fault = Some(Fault::Unfinished);
        }
        Ok((drained.bytes > 0).then_some(drained))
    }

    /// Whether nothing more comes from it, or is taken. One whose filter stopped a system call ends by itself, or is ended
    /// by the supervisor; what its threads wrote meanwhile counts.
    pub(super) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&self, now: Instant) -> bool {
        let is_late = || self.waited(now) >= END_WAIT;
        self.has_ended || self.fault.is_some() || (self.intake.blocked().is_some() && is_late())
    }

    /// How long ago it was seen that it ends.
    fn waited(&self, now: Instant) -> Duration {
        self.ending_since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }

    /// Whether it is over at `now` and its calls can be closed: how its process ended is known, or will not be.
    pub(super) fn can_be_closed(&self, supervisor_is_gone: bool, has_observer: bool, now: Instant) -> bool {
        let waited = self.waited(now);
        let is_apart = self.process.is_some();
        let is_how_awaited = is_apart && self.how.is_none() && !supervisor_is_gone && waited < END_WAIT;
        // The kernel's record of a blocked call comes by another way.
        let may_be_observed = is_apart && has_observer && self.intake.blocked().is_some();
        let is_observer_awaited = may_be_observed && self.said_count == 0 && waited < OBSERVER_WAIT;
        self.is_over_at(now) && !is_how_awaited && !is_observer_awaited
    }

    /// The kernel said this of its process. The first few are kept.
    pub(super) fn kernel_says(&mut self, process: u32, text: String) {
        if self.said_count < KERNEL_RECORDS_MAX {
            self.said_count += 1;
            self.said.push(KernelRecord { writer: self.id, process: process.into(), text: text.into() });
        }
    }

    /// What the kernel said and is not in the ledger yet.
    pub(super) fn kernel_said(&self) -> &[KernelRecord<'static>] {
        &self.said
    }

    /// It is in the ledger now.
    pub(super) fn kernel_is_heard(&mut self) {
        self.said.clear();
    }

    /// Whether it is waited for by the clock.
    pub(super) fn is_ending(&self) -> bool {
        self.ending_since.is_some()
    }

    /// Notes that it ends; what the supervisor must know of at once.
    pub(super) fn news(&mut self) -> Option<String> {
        let trouble = match (&self.fault, self.intake.blocked()) {
            (Some(fault), _) => Some(fault.to_string()),
            (None, Some(blocked)) => Some(format!("blocked {blocked}")),
            (None, None) => None,
        };
        if self.has_ended || trouble.is_some() {
            self.ending_since.get_or_insert_with(Instant::now);
        }
        if self.is_announced {
            return None;
        }
        self.is_announced = trouble.is_some();
        trouble
    }

    /// How it ended.
    pub(super) fn ending(&self) -> WriterEnding {
        match (&self.fault, self.intake.blocked()) {
            // Evidence of a blocked call comes first: what is wrong after it may come of the same.
            (_, Some(blocked)) => WriterEnding::Blocked(*blocked),
            (Some(fault), None) => WriterEnding::Condemned { fault: fault.to_string() },
            (None, None) => WriterEnding::Closed,
        }
    }

    /// Why its open calls are closed.
    pub(super) fn closing_reason(&self) -> String {
        match (self.ending(), &self.how) {
            (WriterEnding::Blocked(blocked), _) => format!("the writer was stopped: blocked {blocked}"),
            (WriterEnding::Condemned { fault }, _) if matches!(self.fault, Some(Fault::Supervisor(_))) => fault,
            (WriterEnding::Condemned { fault }, _) => format!("the writer wrote what it may not: {fault}"),
            (WriterEnding::Closed, None) => WRITER_ENDED.to_owned(),
            (WriterEnding::Closed, Some(how)) => format!("{WRITER_ENDED}: {how}"),
        }
    }

    /// What tells that there is something to do: its socket, and its pipe if that `is_listened` to.
    pub(super) fn wakes(&self, is_listened: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        // What is over stays readable for ever.
        let acks = (!self.is_over() && !self.has_hung_up).then(|| self.acks.as_fd());
        let pipe = (!self.is_over() && is_listened).then(|| self.pipe.as_fd());
        acks.into_iter().chain(pipe)
    }

    /// Reads what it asks.
    pub(super) fn hear(&mut self) {
        while self.fault.is_none() && !self.has_hung_up {
            let mut bytes = [0; WAIT_BYTES + 1];
            let wait = match recv(&*self.acks, &mut bytes, RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                // The pipe tells when it is over.
                Ok((_, 0)) | Err(_) => {
                    self.has_hung_up = true;
                    return;
                }
                Ok((read, _)) => Wait::decode(bytes.get(..read).unwrap_or_default()),
            };
            match wait {
                None => self.fault = Some(Fault::Question),
                Some(_) if self.waits.len() >= WAITS_MAX => self.fault = Some(Fault::Questions),
                Some(wait) => {
                    // Without a count it is never answered, and the call ends by its deadline.
                    let written = self.written().unwrap_or(u64::MAX);
                    self.waits.push_back((written, wait));
                }
            }
        }
    }

    /// Answers what can be answered, as far as the socket has room.
    pub(super) fn answer(&mut self, checkpointer: &Checkpointer) {
        while let Some((after, wait)) = self.waits.front()
            && *after <= self.drained
        {
            match wait.kept {
                Kept::Pipe | Kept::Journal => {
                    if !(Answer { token: wait.token, done: true }.send(&self.acks)) {
                        return;
                    }
                }
                Kept::Disk => checkpointer.sync_for(&self.acks, wait.token),
            }
            self.waits.pop_front();
        }
    }

    /// Whether there are answers that its socket had no room for.
    pub(super) fn is_owed(&self) -> bool {
        self.waits.front().is_some_and(|(after, _)| *after <= self.drained)
    }
}

/// What the supervisor told of a writer.
#[derive(Debug)]
pub(super) struct Told {
    /// The supervisor that tells.
    pub(super) of: Number,
    pub(super) end: NotaryEnds,
    pub(super) kind: WriterKind,
    /// The calls that it may name.
    pub(super) calls: Vec<Lease>,
    /// The process that it is alone in.
    pub(super) process: Option<u32>,
    /// How that ended.
    pub(super) how: Option<String>,
}

impl Told {
    /// With the two descriptors that come with a writer.
    pub(super) fn new(told: ToldWriter, fds: Vec<OwnedFd>) -> Result<Self, &'static str> {
        let [pipe, acks] = <[OwnedFd; 2]>::try_from(fds).map_err(|_other| "a writer without its two descriptors")?;
        // Of anything else it could not be told when nobody is left to write.
        if !is_read_end(&pipe) {
            return Err("a writer whose pipe is no pipe's end to read from");
        }
        let ToldWriter { of, writer, kind, calls, process } = told;
        Ok(Self { of, end: NotaryEnds { writer, pipe, acks }, kind, calls, process, how: None })
    }

    /// It is told of again, as when an earlier notary had not read it: what is said last holds.
    pub(super) fn again(&mut self, calls: Vec<Lease>) {
        self.calls = calls;
    }

    /// It may name these calls too.
    pub(super) fn lease(&mut self, calls: Lease) {
        let old = (self.calls.len() + 1).saturating_sub(LEASES_MAX);
        self.calls.drain(..old);
        self.calls.push(calls);
    }

    /// A writer that has not written anything.
    pub(super) fn fresh(self) -> Writer {
        Writer::new(Intake::new(self.end.writer, self.kind, &self.calls), self)
    }
}

/// A writer, as the supervisor tells of it.
#[derive(Debug)]
pub(super) struct ToldWriter {
    pub(super) of: Number,
    pub(super) writer: WriterId,
    pub(super) kind: WriterKind,
    pub(super) calls: Vec<Lease>,
    pub(super) process: Option<u32>,
}

fn is_read_end(pipe: &OwnedFd) -> bool {
    let is_pipe = fstat(pipe).is_ok_and(|file| FileType::from_raw_mode(file.st_mode) == FileType::Fifo);
    is_pipe && fcntl_getfl(pipe).is_ok_and(|flags| flags.intersection(OFlags::RWMODE) == OFlags::RDONLY)
}

/// The pipes of writers that were writing when an earlier notary died.
pub(super) struct Pipes<'p> {
    pub(super) writers: &'p [Told],
    pub(super) peek: &'p mut Peek,
    /// What the journal holds of them.
    pub(super) pasts: HashMap<WriterId, Past>,
}

impl LiveWriters for Pipes<'_> {
    fn are_there(&self) -> bool {
        !self.writers.is_empty()
    }

    fn is_live(&self, writer: WriterId) -> bool {
        self.writers.iter().any(|told| told.end.writer == writer)
    }

    fn saw(&mut self, seen: OfWriter) {
        let writer = match seen {
            OfWriter::Call { writer, .. } | OfWriter::Enforcement(writer) => writer,
            OfWriter::Blocked(blocked) => blocked.writer,
        };
        let Some(told) = self.writers.iter().find(|told| told.end.writer == writer) else { return };
        let past = self.pasts.entry(writer).or_insert_with(|| Past::of(&told.calls));
        match seen {
            OfWriter::Call { call, .. } => drop(past.leased.take(call)),
            OfWriter::Enforcement(_) => past.is_confined = true,
            OfWriter::Blocked(blocked) => drop(past.blocked.get_or_insert(blocked)),
        }
    }

    /// The frame was cut in two by the death of a notary within `splice`: its end is what a pipe begins with.
    fn finish(&mut self, torn: &[u8], splice: &mut SpliceRest<'_>) -> io::Result<bool> {
        for Told { end, .. } in self.writers {
            let Seen::Bytes(count) = self.peek.look(end.pipe.as_fd())? else { continue };
            let joined = [torn, self.peek.bytes(count)].concat();
            let Some(whole) = whole_length(&joined).filter(|whole| (torn.len()..=joined.len()).contains(whole)) else {
                continue;
            };
            if !matches!(head(&joined), Head::Frame { .. }) {
                continue;
            }
            let rest = whole - torn.len();
            let mut moved = 0;
            while moved < rest {
                moved += splice_some(end.pipe.as_fd(), rest - moved, moved, splice)?;
            }
            return Ok(true);
        }
        Ok(false)
    }
}

fn splice_some(pipe: BorrowedFd<'_>, bytes: usize, at: usize, splice: &mut SpliceRest<'_>) -> io::Result<usize> {
    match splice(pipe, bytes, at as u64) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        moved => moved,
    }
}

const WRITER_ENDED: &str = "the writer ended without closing the call";

/// How long the supervisor has to say how a writer's process ended, and that process to end.
const END_WAIT: Duration = Duration::from_secs(2);

/// How long a blocked call waits for what the kernel says of it.
const OBSERVER_WAIT: Duration = Duration::from_millis(50);

/// Enough to see what a writer ran into; a writer cannot fill the ledger with them.
const KERNEL_RECORDS_MAX: usize = 16;

/// Far above the threads of any writer.
const WAITS_MAX: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::recorder::WriterEnds;
    use tollgate_audit::codec::blocked_frame::{BLOCKED_FRAME_BYTES_MAX, write_blocked_frame};
    use tollgate_audit::confinement::{AUDIT_ARCH_X86_64, BlockedCall, ThreadName};

    /// A writer in a process of its own, and its ends of the way here.
    fn apart() -> (Writer, WriterEnds) {
        let (way, NotaryEnds { writer, pipe, acks }) = WriterEnds::new().unwrap();
        let (kind, calls) = (WriterKind::Worker, vec![Lease::own(writer)]);
        let told = ToldWriter { of: Number::FIRST, writer, kind, calls, process: Some(4_000_000) };
        (Told::new(told, vec![pipe, acks]).unwrap().fresh(), way)
    }

    /// As when its filter has stopped a system call.
    fn block(writer: &mut Writer) {
        let blocked = BlockedCall {
            writer: writer.id,
            call: None,
            thread: ThreadName::new("worker-1"),
            number: 257,
            arch: AUDIT_ARCH_X86_64,
            arguments: [0; 6],
            instruction: 0,
        };
        let mut bytes = [0; BLOCKED_FRAME_BYTES_MAX];
        let length = write_blocked_frame(&mut bytes, &blocked);
        let (used, fault) = writer.intake.take(&bytes[..length], |_taken| {});
        assert!(used == length && fault.is_none());
    }

    /// Notes that it ends; when that was.
    fn ends(writer: &mut Writer) -> Instant {
        writer.news();
        writer.ending_since.unwrap()
    }

    const MOMENT: Duration = Duration::from_nanos(1);

    #[test]
    fn how_a_process_ended_is_awaited_for_a_while_and_not_where_nobody_will_say_it() {
        let (mut writer, way) = apart();
        drop(way);
        assert!(writer.drain(&mut Peek::new().unwrap(), 0).unwrap().is_none());
        let since = ends(&mut writer);
        for waited in [Duration::ZERO, END_WAIT - MOMENT] {
            assert!(!writer.can_be_closed(false, false, since + waited), "the supervisor may still say it");
            assert!(writer.can_be_closed(true, false, since + waited), "no supervisor is there to say it");
        }
        assert!(writer.can_be_closed(false, false, since + END_WAIT), "it is not waited for any longer");
        writer.process_ended("exit code 1".to_owned());
        assert!(writer.can_be_closed(false, false, since), "it is said");
    }

    #[test]
    fn a_blocked_writer_that_does_not_end_is_over_after_a_while() {
        let (mut writer, _way) = apart();
        block(&mut writer);
        let since = ends(&mut writer);
        writer.process_ended("exit code 159".to_owned());
        for waited in [Duration::ZERO, END_WAIT - MOMENT] {
            assert!(!writer.is_over_at(since + waited), "what its threads wrote meanwhile counts");
            assert!(!writer.can_be_closed(true, false, since + waited));
        }
        assert!(writer.can_be_closed(false, false, since + END_WAIT));
    }

    #[test]
    fn what_the_kernel_says_of_a_blocked_writer_is_awaited_for_a_moment() {
        let (mut writer, way) = apart();
        block(&mut writer);
        drop(way);
        let since = ends(&mut writer);
        writer.process_ended("exit code 159".to_owned());
        assert!(writer.drain(&mut Peek::new().unwrap(), 0).unwrap().is_none());
        assert!(writer.can_be_closed(false, false, since), "no observer is there");
        assert!(!writer.can_be_closed(false, true, since + OBSERVER_WAIT - MOMENT));
        assert!(writer.can_be_closed(false, true, since + OBSERVER_WAIT), "it is not waited for any longer");
        writer.kernel_says(4_000_000, "sig=31".to_owned());
        assert!(writer.can_be_closed(false, true, since), "it is said");
    }

    /// A socket that is closed stays readable for ever: a notary that polled it would never sleep.
    #[test]
    fn a_writer_that_hangs_up_does_not_keep_its_notary_awake() {
        let (mut writer, WriterEnds { acks, pipe, .. }) = apart();
        drop(acks);
        writer.hear();
        let mut polled: Vec<_> = writer.wakes(true).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        assert_eq!(polled.len(), 1, "its pipe alone");
        assert_eq!(poll(&mut polled, Some(&Timespec::default())), Ok(0), "nothing to wake for");
        drop(pipe);
        assert_eq!(poll(&mut polled, Some(&Timespec::default())), Ok(1), "until its pipe is closed too");
        assert!(writer.drain(&mut Peek::new().unwrap(), 0).unwrap().is_none());
        assert_eq!(writer.wakes(true).count(), 0, "and then it is over");
    }
}
