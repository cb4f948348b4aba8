//! The hosts that a notary serves: their pipes and sockets.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::drain::{Drained, Peek, Seen};
use super::intake::{CountWindow, HostFault, Intake};
use super::protocol::{Answer, WAIT_BYTES, Wait};
use super::publisher::Publisher;
use crate::frame::{Head, head, whole_length};
use crate::ids::{CallId, HostId};
use crate::ledger::{LiveHosts, SpliceRest};
use crate::record::Kept;
use crate::recorder::HostEnd;

#[derive(Debug)]
pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) pipe: OwnedFd,
    pub(super) acks: Arc<OwnedFd>,
    pub(super) intake: Intake,
    pub(super) fault: Option<Fault>,
    /// Bytes that have come out of its pipe.
    pub(super) drained: u64,
    /// Bytes beyond those that have come out, of frames that are half in the journal.
    pub(super) half_drained: u64,
    // Nobody is left to write into its pipe.
    has_ended: bool,
    // By the number of bytes that must have come out of its pipe, rising.
    waits: VecDeque<(u64, Wait)>,
}

/// Why nothing more is taken from a host.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Entries(#[from] HostFault),
    #[error("an unfinished frame at its end")]
    Unfinished,
    #[error("a question that is none")]
    Question,
    #[error("more questions at once than a host has threads")]
    Questions,
}

impl Host {
    pub(super) fn new(intake: Intake, end: HostEnd) -> Self {
        let HostEnd { host: id, pipe, acks } = end;
        let (acks, waits) = (Arc::new(acks), VecDeque::new());
        Self { id, pipe, acks, intake, fault: None, drained: 0, half_drained: 0, has_ended: false, waits }
    }

    /// Looks at what its pipe holds; the frames that may go into the journal.
    pub(super) fn drain(&mut self, peek: &mut Peek) -> io::Result<Option<Drained>> {
        if self.is_over() {
            return Ok(None);
        }
        let count = match peek.look(self.pipe.as_fd())? {
            Seen::Bytes(count) => count,
            Seen::Empty => return Ok(None),
            Seen::Over => {
                self.has_ended = true;
                return Ok(None);
            }
        };
        let (drained, fault) = peek.take(count, |bytes, taken| self.intake.take(bytes, taken));
        self.fault = fault.map(Fault::from);
        if drained.bytes == 0 && self.fault.is_none() {
            // Less than a frame. A host that is sound writes whole frames only.
            self.fault = Some(Fault::Unfinished);
        }
        Ok((drained.bytes > 0).then_some(drained))
    }

    /// Whether nothing more comes from it, or is taken.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended || self.fault.is_some()
    }

    /// Reads what it asks.
    pub(super) fn hear(&mut self) {
        while self.fault.is_none() {
            let mut bytes = [0; WAIT_BYTES + 1];
            let wait = match recv(&*self.acks, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                // The pipe tells when it is over.
                Err(_broken) => return,
                Ok((read, _)) => Wait::decode(bytes.get(..read).unwrap_or_default()),
            };
            let in_pipe = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(u64::MAX);
            match wait {
                None => self.fault = Some(Fault::Question),
                Some(_) if self.waits.len() >= WAITS_MAX => self.fault = Some(Fault::Questions),
                Some(wait) => {
                    let written = (self.drained + self.half_drained).saturating_add(in_pipe);
                    self.waits.push_back((written, wait));
                }
            }
        }
    }

    /// Answers what can be answered, as far as the socket has room.
    pub(super) fn answer(&mut self, publisher: &Publisher) {
        while let Some((after, wait)) = self.waits.front()
            && *after <= self.drained
        {
            match wait.kept {
                Kept::Pipe | Kept::Journal => {
                    if !answer(&self.acks, Answer { token: wait.token, done: true }) {
                        return;
                    }
                }
                Kept::Disk => publisher.sync_for(&self.acks, wait.token),
            }
            self.waits.pop_front();
        }
    }

    /// Whether there are answers that its socket had no room for.
    pub(super) fn is_owed(&self) -> bool {
        self.waits.front().is_some_and(|(after, _)| *after <= self.drained)
    }
}

/// Says it; `false` if the socket is full of answers that the host has not read yet.
pub(super) fn answer(acks: &OwnedFd, answer: Answer) -> bool {
    let sent = send(acks, &answer.encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    !matches!(sent, Err(Errno::AGAIN))
}

/// The two descriptors that come with a host.
pub(super) fn host_end(host: HostId, fds: Vec<OwnedFd>) -> Result<HostEnd, &'static str> {
    let [pipe, acks] = <[OwnedFd; 2]>::try_from(fds).map_err(|_other| "a host without its two descriptors")?;
    Ok(HostEnd { host, pipe, acks })
}

/// The pipes of hosts that were writing when an earlier notary died.
pub(super) struct Pipes<'p> {
    pub(super) ends: &'p [HostEnd],
    pub(super) peek: &'p mut Peek,
    /// The numbers of calls that the journal holds of them.
    pub(super) counts: HashMap<HostId, CountWindow>,
}

impl LiveHosts for Pipes<'_> {
    fn are_there(&self) -> bool {
        !self.ends.is_empty()
    }

    fn is_live(&self, host: HostId) -> bool {
        self.ends.iter().any(|end| end.host == host)
    }

    fn saw(&mut self, call: CallId) {
        if self.is_live(call.host()) {
            self.counts.entry(call.host()).or_default().take(call.count());
        }
    }

    /// The frame was cut in two by the death of a notary within `splice`: its end is what a pipe begins with.
    fn finish(&mut self, torn: &[u8], splice: &mut SpliceRest<'_>) -> io::Result<bool> {
        for end in self.ends {
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

/// Far above the threads of any host.
const WAITS_MAX: usize = 1 << 14;
