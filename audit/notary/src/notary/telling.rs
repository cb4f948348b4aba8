//! What a notary is told before it opens its ledger: the supervisors that an earlier notary served, and the writers of all.
//!
//! A call of a writer that nobody tells of is closed when the ledger is opened. So supervisors that borrow the notary are waited for,
//! and none of them for long.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tollgate_audit::ids::WriterId;
use tollgate_ipc::Channel;

use super::owners::Named;
use super::owners::{Number, Senseless};
use super::protocol::ToNotary;
use super::supervisors::{Heard, Supervisors};
use super::writers::{Told, ToldWriter};
use super::{NotaryError, from_supervisor};

/// What has been told so far.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) supervisors: Supervisors,
    pub(super) told: Vec<Told>,
    // What borrowed supervisors are asked with.
    token: u64,
}

impl Telling {
    /// Hears all that the supervisors have to tell: the first one for as long as it takes, the others together for
    /// [`RETELL_WAIT`].
    pub(super) fn hear(first: Channel) -> Result<Self, NotaryError> {
        let supervisors = Supervisors::of_first(first);
        let mut telling = Self { supervisors, told: Vec::new(), token: token()? };
        telling.hear_first()?;
        telling.hear_borrowed()?;
        Ok(telling)
    }

    fn hear_first(&mut self) -> Result<(), NotaryError> {
        let Some(first) = self.supervisors.get(Number::FIRST) else { return Ok(()) };
        // One that is gone meanwhile is as one that tells of nobody.
        first.await_hello().map_err(from_supervisor)?;
        loop {
            let Some(first) = self.supervisors.get(Number::FIRST) else { return Ok(()) };
            match first.hear().map_err(from_supervisor)? {
                // A supervisor that is gone meanwhile too: what was acknowledged is in the pipes of its writers.
                Heard::Nothing if first.is_silent() => return Ok(()),
                Heard::Nothing => first.await_word()?,
                Heard::Noise => {}
                Heard::Begins => return Ok(()),
                Heard::Said(say, fds) => self.take(Number::FIRST, say, fds)?,
            }
        }
    }

    /// Waits for the supervisors that an earlier notary served. Who does not tell all in time is given up: what it has told of
    /// is taken, and its calls that it has not told of are closed.
    fn hear_borrowed(&mut self) -> Result<(), NotaryError> {
        let until = Instant::now() + RETELL_WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let awaited = || self.supervisors.all.iter().filter(|supervisor| supervisor.is_awaited());
            let numbers: Vec<_> = awaited().map(|supervisor| supervisor.number).filter(|of| !of.is_first()).collect();
            if numbers.is_empty() {
                return Ok(());
            }
            if left.is_zero() {
                let late = self.supervisors.all.iter_mut().filter(|supervisor| numbers.contains(&supervisor.number));
                late.for_each(|supervisor| supervisor.drop_for(None));
                return Ok(());
            }
            let of_others = awaited().filter(|supervisor| !supervisor.number.is_first());
            let fds = of_others.filter_map(|supervisor| supervisor.wakes());
            let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            match poll(&mut fds, Timespec::try_from(left).ok().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
            for number in numbers {
                self.hear_one(number)?;
            }
        }
    }

    /// One word, so that none of them keeps the clock from being looked at.
    fn hear_one(&mut self, number: Number) -> Result<(), NotaryError> {
        let Some(supervisor) = self.supervisors.get(number) else { return Ok(()) };
        match supervisor.hear().map_err(from_supervisor)? {
            Heard::Nothing | Heard::Noise | Heard::Begins => Ok(()),
            Heard::Said(say, fds) => self.take(number, say, fds),
        }
    }

    fn take(&mut self, number: Number, say: ToNotary, fds: Vec<std::os::fd::OwnedFd>) -> Result<(), NotaryError> {
        match self.judge(number, say, fds) {
            Err(senseless) => self.supervisors.blame(number, senseless),
            Ok(()) => Ok(()),
        }
    }

    fn judge(&mut self, of: Number, say: ToNotary, fds: Vec<std::os::fd::OwnedFd>) -> Result<(), Senseless> {
        let Self { supervisors, told, token } = self;
        match say {
            ToNotary::Writer { writer, kind, calls, process } => {
                match (supervisors.owners.writer(writer, &calls, of)?, find(told, writer)) {
                    (Named::Known, Some(known)) => known.again(calls),
                    (Named::New | Named::Known, _) => {
                        told.push(Told::new(ToldWriter { of, writer, kind, calls, process }, fds)?);
                    }
                }
            }
            ToNotary::Lease { writer, calls } => {
                supervisors.owners.lease(writer, calls, of)?;
                find(told, writer).into_iter().for_each(|told| told.lease(calls));
            }
            ToNotary::Ended { writer, how } => {
                supervisors.owners.is_own(writer, of)?;
                find(told, writer).into_iter().for_each(|told| told.how = Some(how.clone()));
            }
            ToNotary::Supervisor { number } => supervisors.bring(number, fds)?.ask_anew(*token),
            ToNotary::Start { .. } | ToNotary::Checkpoint | ToNotary::Locate { .. } | ToNotary::Leave => {
                return Err("a question before the start".into());
            }
        }
        Ok(())
    }
}

fn find(told: &mut [Told], writer: WriterId) -> Option<&mut Told> {
    told.iter_mut().find(|told| told.end.writer == writer)
}

/// One that no other notary asked with.
fn token() -> std::io::Result<u64> {
    let WriterId([b0, b1, b2, b3, b4, b5]) = WriterId::random()?;
    Ok(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, 0, 0]))
}

/// How long supervisors have, all together, to tell of their writers anew. Nobody records meanwhile.
const RETELL_WAIT: Duration = Duration::from_secs(2);
