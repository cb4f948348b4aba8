//! What supervisors say while the notary serves, and what is said to them.
//!
//! What a borrowed one says must never end the notary: it is given up instead, and its writers are closed.

use std::os::fd::OwnedFd;

use tollgate_audit::ids::{CallId, TreeSize};
use tollgate_audit::with_causes;

use super::checkpointer::Checkpointer;
use super::owners::Named;
use super::owners::{Number, Senseless};
use super::protocol::{FromNotary, ToNotary};
use super::supervisors::{Heard, WORDS_A_ROUND};
use super::writers::{Fault, Told, ToldWriter, Writer};
use super::{Notary, NotaryError, from_supervisor};

/// What hearing a supervisor came to.
enum Step {
    /// There may be more.
    More,
    /// It is the others' turn.
    Enough,
}

/// Why what was said was not acted on.
enum Refused {
    Senseless(Senseless),
    Notary(NotaryError),
}

impl From<Senseless> for Refused {
    fn from(senseless: Senseless) -> Self {
        Self::Senseless(senseless)
    }
}

impl From<&str> for Refused {
    fn from(reason: &str) -> Self {
        Self::Senseless(reason.into())
    }
}

impl From<NotaryError> for Refused {
    fn from(error: NotaryError) -> Self {
        Self::Notary(error)
    }
}

impl Notary {
    /// Hears what the supervisors have said: the first one all of it, the others so much and one question each.
    pub(super) fn hear_supervisors(&mut self, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        self.round += 1;
        let numbers: Vec<_> = self.supervisors.all.iter().map(|supervisor| supervisor.number).collect();
        for number in numbers {
            self.hear_supervisor(number, checkpointer)?;
        }
        Ok(())
    }

    fn hear_supervisor(&mut self, number: Number, checkpointer: &Checkpointer) -> Result<(), NotaryError> {
        let most = if number.is_first() { usize::MAX } else { WORDS_A_ROUND };
        for _word in 0..most {
            let Some(supervisor) = self.supervisors.get(number) else { return Ok(()) };
            let step = match supervisor.hear().map_err(from_supervisor)? {
                Heard::Nothing => {
                    supervisor.heard = self.round;
                    return Ok(());
                }
                Heard::Noise => Ok(Step::More),
                Heard::Begins => self.welcome(number).map(|()| Step::More).map_err(Refused::Notary),
                Heard::Said(say, fds) => self.act_on(number, say, fds, checkpointer),
            };
            match step {
                Ok(Step::More) => {}
                Ok(Step::Enough) if number.is_first() => {}
                Ok(Step::Enough) => return Ok(()),
                Err(Refused::Senseless(senseless)) => return self.supervisors.blame(number, senseless),
                Err(Refused::Notary(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The ledger is open: says so to one that has begun since.
    fn welcome(&mut self, number: Number) -> Result<(), NotaryError> {
        let ready = self.ready();
        if let Some(reason) = self.stalled.clone() {
            self.tell(number, &FromNotary::Stalled { reason })?;
        }
        self.tell(number, &ready)
    }

    pub(super) fn ready(&self) -> FromNotary {
        let (size, verifier_key) = (self.ledger.size(), self.ledger.verifier_key().to_string());
        FromNotary::Ready { size, verifier_key, observer: self.observer.is_some(), process: std::process::id() }
    }

    fn act_on(
        &mut self,
        of: Number,
        say: ToNotary,
        fds: Vec<OwnedFd>,
        checkpointer: &Checkpointer,
    ) -> Result<Step, Refused> {
        match say {
            ToNotary::Writer { writer, kind, calls, process } => {
                let named = self.supervisors.owners.writer(writer, &calls, of)?;
                let told = Told::new(ToldWriter { of, writer, kind, calls, process }, fds)?;
                if named == Named::New {
                    self.forget_kernel();
                    self.writers.push(told.fresh());
                }
            }
            ToNotary::Lease { writer, calls } => {
                self.supervisors.owners.lease(writer, calls, of)?;
                let to = self.writers.iter_mut().find(|to| to.id == writer);
                to.into_iter().for_each(|to| to.intake.lease(calls));
            }
            ToNotary::Ended { writer, how } => {
                self.supervisors.owners.is_own(writer, of)?;
                // One that is over already needs no reason any more.
                let ended = self.writers.iter_mut().find(|ended| ended.id == writer);
                ended.into_iter().for_each(|ended| ended.process_ended(how.clone()));
            }
            ToNotary::Supervisor { number } => drop(self.supervisors.bring(number, fds)?),
            ToNotary::Checkpoint => {
                self.drain_what_is_there(checkpointer)?;
                let covers = self.checkpoint();
                self.tell(of, &FromNotary::Checkpoint { covers })?;
                return Ok(Step::Enough);
            }
            ToNotary::Locate { call } => {
                self.drain_what_is_there(checkpointer)?;
                let located = self.locate(call, of);
                self.tell(of, &located)?;
                return Ok(Step::Enough);
            }
            ToNotary::Leave => {
                self.supervisors.get(of).into_iter().for_each(|of| of.is_leaving = true);
            }
            ToNotary::Start { .. } => {}
        }
        Ok(Step::More)
    }

    /// Of calls of a supervisor's own writers: of others it is told nothing, not even that they are none of its.
    fn locate(&self, call: CallId, of: Number) -> FromNotary {
        let mut ended = self.ended_calls.iter().rev().filter(|ended| ended.of == of);
        let found = ended.find(|ended| ended.call == call);
        let is_open = || self.writers.iter().any(|writer| writer.of == of && writer.intake.is_open(call));
        FromNotary::Located { index: found.and_then(|ended| ended.end), is_on_record: found.is_some() || is_open() }
    }

    /// A checkpoint of all that was in the pipes when it was asked for; never one of less.
    fn checkpoint(&self) -> Result<TreeSize, String> {
        if let Some(reason) = &self.stalled
            && self.writers.iter().any(Writer::is_due)
        {
            return Err(format!("entries wait in their pipes, since the journal takes nothing: {reason}"));
        }
        self.ledger.checkpoint().map(|checkpoint| checkpoint.size).map_err(|error| with_causes(&error))
    }

    /// Hangs up on supervisors that do not read or make no sense, and closes the writers of the latter.
    pub(super) fn give_up(&mut self) -> Result<(), NotaryError> {
        while let Some(supervisor) = self.supervisors.all.iter().find(|supervisor| supervisor.dropped.is_some()) {
            let number = supervisor.number;
            if let Some(Some(Senseless(reason))) = &supervisor.dropped {
                let fault = || Fault::Supervisor(format!("its supervisor made no sense: {reason}"));
                let its = self.writers.iter_mut().filter(|writer| writer.of == number);
                for writer in its {
                    writer.fault.get_or_insert_with(fault);
                }
            }
            self.forget(number)?;
        }
        Ok(())
    }

    /// Hangs up on supervisors that are gone, once their writers are over.
    pub(super) fn let_go(&mut self) -> Result<(), NotaryError> {
        let numbers: Vec<_> = self.supervisors.all.iter().map(|supervisor| supervisor.number).collect();
        for number in numbers {
            let has_writers = self.writers.iter().any(|writer| writer.of == number);
            let Some(supervisor) = self.supervisors.get(number) else { continue };
            if has_writers || !supervisor.is_gone() {
                continue;
            }
            if supervisor.is_leaving {
                let covers = self.checkpoint();
                self.tell(number, &FromNotary::Left { covers })?;
            } else if number.is_first() {
                // It may still hear how this ends.
                continue;
            }
            self.forget(number)?;
        }
        self.name_this_process();
        self.give_up()
    }

    fn forget(&mut self, number: Number) -> Result<(), NotaryError> {
        self.supervisors.get(number).into_iter().for_each(|supervisor| supervisor.close());
        self.supervisors.all.retain(|supervisor| supervisor.number != number);
        self.release(number);
        self.tell(Number::FIRST, &FromNotary::SupervisorGone { number: number.0 })
    }

    /// The ids of a supervisor are past ones once nothing of it is left.
    pub(super) fn release(&mut self, number: Number) {
        if self.supervisors.get(number).is_none() && !self.writers.iter().any(|writer| writer.of == number) {
            self.supervisors.owners.gone(number);
        }
    }

    /// Once the first supervisor is gone its lock must not name it, nor the daemon that it was.
    fn name_this_process(&mut self) {
        if self.names_another && self.supervisors.is_gone(Number::FIRST) {
            // A disk without room leaves what is there; the lock itself holds.
            self.ledger.name_this_process().ok();
            self.names_another = false;
        }
    }

    /// A supervisor that is gone needs to be told nothing. A first one that is there and does not hear would wait for ever.
    pub(super) fn tell(&mut self, number: Number, say: &FromNotary) -> Result<(), NotaryError> {
        self.supervisors.tell(number, say).map_err(from_supervisor)
    }

    pub(super) fn tell_all(&mut self, say: &FromNotary) -> Result<(), NotaryError> {
        self.supervisors.tell_all(say).map_err(from_supervisor)
    }
}
