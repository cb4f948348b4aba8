//! The supervisors that a notary serves, and what each may say at which time.
//!
//! The first one started the notary and is trusted as the notary itself is. The others borrow it. Nothing that one of those says, or
//! fails to say or to read, may end the notary, keep it waiting, or touch the writers of another one.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tollgate_ipc::{Channel, ChannelError, Greeted};

use super::NotaryError;
use super::owners::{Number, Owners, Senseless};
use super::protocol::{FromNotary, ToNotary};

/// A supervisor. Borrowed ones are only sent what their socket has room for.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) number: Number,
    channel: Channel,
    // What it was asked to begin its telling anew with: an earlier notary served it.
    asked: Option<u64>,
    stage: Stage,
    /// It has said that nothing more comes.
    pub(super) is_leaving: bool,
    /// Nothing more comes: its end of the channel is closed.
    has_hung_up: bool,
    /// In which round all was heard that it had said. It says which calls a writer may name before the writer can know of them.
    pub(super) heard: u64,
    /// Nothing more is heard from it or said to it; why, if that is its fault.
    pub(super) dropped: Option<Option<Senseless>>,
}

/// How far it has come with its telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It has not said which version of the protocol it speaks.
    Silent,
    Greeted,
    /// It has told of all its writers.
    Begun,
}

/// What was heard of a supervisor.
#[derive(Debug)]
pub(super) enum Heard {
    /// This, to be acted on.
    Said(ToNotary, Vec<OwnedFd>),
    /// Something that asks for nothing.
    Noise,
    /// It begins: it is to be told that the ledger is open.
    Begins,
    /// Nothing at the moment.
    Nothing,
}

impl Supervisor {
    pub(super) fn first(channel: Channel) -> Self {
        Self { stage: Stage::Greeted, ..Self::borrowed(Number::FIRST, channel) }
    }

    pub(super) fn borrowed(number: Number, channel: Channel) -> Self {
        Self {
            number,
            channel,
            asked: None,
            stage: Stage::Silent,
            is_leaving: false,
            has_hung_up: false,
            heard: 0,
            dropped: None,
        }
    }

    /// Asks one that an earlier notary served to tell of its writers anew.
    pub(super) fn ask_anew(&mut self, token: u64) {
        self.asked = Some(token);
        self.tell_borrowed(&FromNotary::Retell { token });
    }

    /// Whether it has to begin yet, and may.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_heard() && self.stage != Stage::Begun
    }

    /// Whether it will say nothing more that has to be waited for.
    pub(super) fn is_gone(&self) -> bool {
        self.is_leaving || !self.is_heard()
    }

    fn is_heard(&self) -> bool {
        !self.has_hung_up && self.dropped.is_none()
    }

    /// What tells that it has said something.
    pub(super) fn wakes(&self) -> Option<BorrowedFd<'_>> {
        self.is_heard().then(|| self.channel.as_fd())
    }

    /// Gives it up. The first fault counts.
    pub(super) fn drop_for(&mut self, fault: Option<Senseless>) {
        self.dropped.get_or_insert(fault);
    }

    /// Hears the next that it says, without waiting.
    ///
    /// # Errors
    ///
    /// Of the first one's channel, or that it makes no sense. A borrowed one is given up instead.
    pub(super) fn hear(&mut self) -> Result<Heard, ChannelError> {
        match self.try_hear() {
            Err(error) if !self.number.is_first() => {
                self.drop_for(Some(Senseless(error.to_string())));
                Ok(Heard::Nothing)
            }
            heard => heard,
        }
    }

    fn try_hear(&mut self) -> Result<Heard, ChannelError> {
        if !self.is_heard() || !self.channel.has_something()? {
            return Ok(Heard::Nothing);
        }
        let (say, fds) = match self.channel.receive_or_hello::<ToNotary>()? {
            None => {
                self.has_hung_up = true;
                return Ok(Heard::Nothing);
            }
            Some(Greeted::Hello) => {
                self.stage = self.stage.max(Stage::Greeted);
                return Ok(Heard::Noise);
            }
            Some(Greeted::Packet(say, fds)) => (say, fds),
        };
        match self.judge(&say) {
            Ok(true) if matches!(say, ToNotary::Start { .. }) => {
                self.stage = Stage::Begun;
                Ok(Heard::Begins)
            }
            Ok(true) => Ok(Heard::Said(say, fds)),
            Ok(false) => Ok(Heard::Noise),
            Err(Senseless(reason)) => Err(ChannelError::Malformed(reason)),
        }
    }

    /// Whether what it says counts at this time.
    ///
    /// A supervisor that an earlier notary served is asked to tell of all its writers anew, and that telling ends with the token that
    /// it was asked with. Before it may come whatever that notary had not read: part of a telling, a start that answers somebody
    /// else, questions. Taken for the whole telling, a part would have calls closed that are still running, hence the token. What
    /// it tells of writers counts all the same: it is true, and is said again. Questions are not answered, since whoever asked
    /// was told that the notary is gone, and would take the answer for that to its next question.
    fn judge(&self, say: &ToNotary) -> Result<bool, Senseless> {
        let (is_greeted, has_begun) = (self.stage != Stage::Silent, self.stage == Stage::Begun);
        if !is_greeted && self.asked.is_none() {
            return Err("no hello at its start".into());
        }
        match say {
            ToNotary::Start { answers } if *answers == self.asked && is_greeted => Ok(!has_begun),
            ToNotary::Start { .. } if self.asked.is_some() => Ok(false),
            ToNotary::Start { .. } => Err("an answer to what it was not asked".into()),
            ToNotary::Supervisor { .. } if !self.number.is_first() => {
                Err("a supervisor that is not its to bring".into())
            }
            ToNotary::Writer { .. } | ToNotary::Lease { .. } | ToNotary::Ended { .. } | ToNotary::Supervisor { .. } => {
                Ok(true)
            }
            ToNotary::Checkpoint | ToNotary::Locate { .. } | ToNotary::Leave if has_begun => Ok(true),
            ToNotary::Checkpoint | ToNotary::Locate { .. } | ToNotary::Leave if self.asked.is_some() => Ok(false),
            ToNotary::Checkpoint | ToNotary::Locate { .. } | ToNotary::Leave => {
                Err("a question before the start".into())
            }
        }
    }

    /// Tells it something, if it has begun.
    ///
    /// # Errors
    ///
    /// Of the first one's channel. It is waited for until it hears; that it is gone is no error.
    pub(super) fn tell(&mut self, say: &FromNotary) -> Result<(), ChannelError> {
        if self.stage != Stage::Begun || self.dropped.is_some() {
            return Ok(());
        }
        if !self.number.is_first() {
            self.tell_borrowed(say);
            return Ok(());
        }
        match self.channel.send(say) {
            Err(error) if !error.is_gone() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// One whose socket is full does not read what it is told. What its writers record is taken until they end.
    fn tell_borrowed(&mut self, say: &FromNotary) {
        match self.channel.send_at_once(say) {
            Ok(()) => {}
            // It is noticed when nothing comes from it any more; what it said before is heard.
            Err(error) if error.is_gone() => {}
            Err(_full) => self.drop_for(None),
        }
    }

    /// Hangs up.
    pub(super) fn close(&self) {
        self.channel.close();
    }

    /// Says to the first one why there is no ledger, before it has begun.
    pub(super) fn tell_unusable(&self, say: &FromNotary) {
        // One that does not hear it sees this process end.
        self.channel.send(say).ok();
    }

    /// Waits for the hello that begins the first one's channel.
    pub(super) fn await_hello(&self) -> Result<bool, ChannelError> {
        self.channel.hear_hello()
    }

    /// Waits until it has said something, or is gone.
    pub(super) fn await_word(&self) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.channel, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nothing more is heard from it.
    pub(super) fn is_silent(&self) -> bool {
        !self.is_heard()
    }
}

/// All supervisors that are not gone, the first one at first, and whose the ids are that they name.
#[derive(Debug)]
pub(super) struct Supervisors {
    pub(super) all: Vec<Supervisor>,
    pub(super) owners: Owners,
}

impl Supervisors {
    pub(super) fn of_first(channel: Channel) -> Self {
        Self { all: vec![Supervisor::first(channel)], owners: Owners::default() }
    }

    pub(super) fn get(&mut self, number: Number) -> Option<&mut Supervisor> {
        self.all.iter_mut().find(|supervisor| supervisor.number == number)
    }

    /// The first one brings another. One too many is hung up on.
    pub(super) fn bring(&mut self, number: u32, fds: Vec<OwnedFd>) -> Result<&mut Supervisor, Senseless> {
        let [channel] = <[OwnedFd; 1]>::try_from(fds).map_err(|_other| "a supervisor without its descriptor")?;
        let number = Number(number);
        if number.is_first() || self.get(number).is_some() {
            return Err("a supervisor's number a second time".into());
        }
        let is_full = self.all.len() >= SUPERVISORS_MAX;
        let brought = self.all.push_mut(Supervisor::borrowed(number, Channel::new(channel)));
        if is_full {
            brought.drop_for(None);
        }
        Ok(brought)
    }

    /// Whether nobody says any more how the process of a writer of this one ended.
    pub(super) fn is_gone(&self, number: Number) -> bool {
        self.all.iter().find(|supervisor| supervisor.number == number).is_none_or(Supervisor::is_gone)
    }

    /// Whether all of them are.
    pub(super) fn are_gone(&self) -> bool {
        self.all.iter().all(Supervisor::is_gone)
    }

    /// The last round in which all was heard that this one had said; `round` where nothing more comes.
    pub(super) fn heard(&self, number: Number, round: u64) -> u64 {
        let of = self.all.iter().find(|supervisor| supervisor.number == number && !supervisor.is_silent());
        of.map_or(round, |of| of.heard)
    }

    /// This one made no sense, which only the first one's being so ends the notary.
    ///
    /// # Errors
    ///
    /// [`NotaryError::Supervisor`], of the first one.
    pub(super) fn blame(&mut self, number: Number, senseless: Senseless) -> Result<(), NotaryError> {
        if number.is_first() {
            return Err(NotaryError::Supervisor { reason: senseless.0 });
        }
        if let Some(supervisor) = self.get(number) {
            supervisor.drop_for(Some(senseless));
        }
        Ok(())
    }

    /// # Errors
    ///
    /// As [`Supervisor::tell`].
    pub(super) fn tell(&mut self, number: Number, say: &FromNotary) -> Result<(), ChannelError> {
        self.get(number).map_or(Ok(()), |supervisor| supervisor.tell(say))
    }

    /// # Errors
    ///
    /// As [`Supervisor::tell`].
    pub(super) fn tell_all(&mut self, say: &FromNotary) -> Result<(), ChannelError> {
        self.all.iter_mut().try_for_each(|supervisor| supervisor.tell(say))
    }
}

/// Supervisors at once, the first included. A program that uses tools for a moment is one; more at once are no use of a machine.
pub(super) const SUPERVISORS_MAX: usize = 64;

/// What is heard of a borrowed supervisor before it is the others' turn.
pub(super) const WORDS_A_ROUND: usize = 32;

#[cfg(test)]
mod tests {
    use tollgate_audit::ids::WriterId;

    use super::*;

    const ONE: Number = Number(1);

    /// A supervisor and the other end of its channel.
    fn apart(number: Number) -> (Supervisor, Channel) {
        let (theirs, ours) = Channel::pair().unwrap();
        (Supervisor::borrowed(number, Channel::new(ours)), theirs)
    }

    /// What is heard, up to where nothing is; and why it was dropped.
    fn all_heard(supervisor: &mut Supervisor) -> (Vec<String>, Option<Option<Senseless>>) {
        let mut all = Vec::new();
        loop {
            match supervisor.hear().unwrap() {
                Heard::Nothing => return (all, supervisor.dropped.take()),
                Heard::Noise => all.push("noise".to_owned()),
                Heard::Begins => all.push("begins".to_owned()),
                Heard::Said(ToNotary::Ended { how, .. }, _) => all.push(how),
                Heard::Said(ToNotary::Checkpoint, _) => all.push("checkpoint".to_owned()),
                Heard::Said(ToNotary::Leave, _) => all.push("leave".to_owned()),
                Heard::Said(other, _) => panic!("{other:?}"),
            }
        }
    }

    fn ended(how: &str) -> ToNotary {
        ToNotary::Ended { writer: WriterId([1; 6]), how: how.to_owned() }
    }

    #[test]
    fn a_supervisor_that_begins_says_hello_and_starts_before_it_asks() {
        let (mut supervisor, theirs) = apart(ONE);
        theirs.say_hello().unwrap();
        for say in
            [ended("a"), ToNotary::Start { answers: None }, ToNotary::Checkpoint, ToNotary::Start { answers: None }]
        {
            theirs.send(&say).unwrap();
        }
        theirs.send(&ToNotary::Leave).unwrap();
        assert_eq!(
            all_heard(&mut supervisor),
            (["noise", "a", "begins", "checkpoint", "noise", "leave"].map(str::to_owned).into(), None)
        );
        for (what, expected) in [(ended("a"), "no hello"), (ToNotary::Start { answers: None }, "no hello")] {
            let (mut supervisor, theirs) = apart(ONE);
            theirs.send(&what).unwrap();
            let (heard, dropped) = all_heard(&mut supervisor);
            let Senseless(reason) = dropped.unwrap().unwrap();
            assert!(heard.is_empty() && reason.contains(expected), "{reason}");
        }
        for (what, expected) in [
            (ToNotary::Checkpoint, "a question before the start"),
            (ToNotary::Locate { call: tollgate_audit::ids::CallId([1; 16]) }, "a question before the start"),
            (ToNotary::Leave, "a question before the start"),
            (ToNotary::Start { answers: Some(7) }, "was not asked"),
            (ToNotary::Supervisor { number: 5 }, "not its to bring"),
        ] {
            let (mut supervisor, theirs) = apart(ONE);
            theirs.say_hello().unwrap();
            theirs.send(&what).unwrap();
            let (heard, dropped) = all_heard(&mut supervisor);
            let Senseless(reason) = dropped.unwrap().unwrap();
            assert!(heard == ["noise"] && reason.contains(expected), "{reason}");
        }
    }

    /// Everything that an earlier notary had not read comes before the telling that was asked for.
    #[test]
    fn only_the_telling_that_was_asked_for_counts_as_whole() {
        let (mut supervisor, theirs) = apart(ONE);
        for say in [ended("rest"), ToNotary::Start { answers: Some(1) }, ToNotary::Checkpoint, ToNotary::Leave] {
            theirs.send(&say).unwrap();
        }
        theirs.say_hello().unwrap();
        theirs.send(&ToNotary::Start { answers: None }).unwrap();
        supervisor.ask_anew(2);
        theirs.say_hello().unwrap();
        for say in [ended("all"), ToNotary::Start { answers: Some(2) }, ended("later"), ToNotary::Leave] {
            theirs.send(&say).unwrap();
        }
        let expected =
            ["rest", "noise", "noise", "noise", "noise", "noise", "noise", "all", "begins", "later", "leave"];
        assert_eq!(all_heard(&mut supervisor), (expected.map(str::to_owned).into(), None));
        assert_eq!(theirs.receive::<FromNotary>().unwrap().unwrap().0, FromNotary::Retell { token: 2 });
    }

    #[test]
    fn one_that_does_not_read_is_given_up_and_keeps_nobody_waiting() {
        let (mut supervisor, theirs) = apart(ONE);
        theirs.say_hello().unwrap();
        theirs.send(&ToNotary::Start { answers: None }).unwrap();
        all_heard(&mut supervisor);
        let mut told = 0;
        while supervisor.dropped.is_none() {
            supervisor.tell(&FromNotary::Flowing).unwrap();
            told += 1;
            assert!(told < 1 << 20, "a socket has no room for so much");
        }
        assert_eq!(supervisor.dropped, Some(None), "no fault of its writers");
        supervisor.close();
        for _heard in 1..told {
            assert_eq!(theirs.receive::<FromNotary>().unwrap().unwrap().0, FromNotary::Flowing);
        }
        assert!(theirs.receive::<FromNotary>().unwrap().is_none());
    }
}
