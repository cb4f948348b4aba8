//! Whose the ids are by which supervisors speak of writers and of calls. Pure: it knows no channels.
//!
//! A supervisor must never get at what another one named.

use std::collections::{HashMap, VecDeque};

use tollgate_audit::ids::WriterId;

use crate::writer::Lease;

/// Which supervisor. A number is never given twice in the life of a notary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Number(pub(super) u32);

impl Number {
    /// Whoever started the notary.
    pub(super) const FIRST: Self = Self(0);

    pub(super) fn is_first(self) -> bool {
        self == Self::FIRST
    }
}

/// What a supervisor says makes no sense, or is not its to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Senseless(pub(super) String);

impl From<&str> for Senseless {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// Whose the ids of writers and of those who give calls their ids are: the supervisor's that named them first.
///
/// The ids of writers that are over, and of calls whose supervisor is gone, stay taken, the latest [`PAST_IDS_MAX`] of each: entries
/// under them stand in the ledger.
#[derive(Debug, Default)]
pub(super) struct Owners {
    writers: HashMap<WriterId, Number>,
    issuers: HashMap<WriterId, Number>,
    past_writers: Past,
    past_issuers: Past,
}

/// The latest ids that are not used any more, and whose they were.
#[derive(Debug, Default)]
struct Past {
    owners: HashMap<WriterId, Number>,
    order: VecDeque<WriterId>,
}

/// Whether a writer is new to the notary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    New,
    /// Its supervisor has told of it before.
    Known,
}

impl Owners {
    /// A supervisor tells of a writer, which may name these calls.
    pub(super) fn writer(&mut self, writer: WriterId, calls: &[Lease], by: Number) -> Result<Named, Senseless> {
        self.is_own(writer, by)?;
        let is_known = self.writers.contains_key(&writer);
        if !is_known && !by.is_first() {
            self.has_room(writer, by)?;
        }
        calls.iter().try_for_each(|calls| self.issuer(calls.issuer, by))?;
        self.writers.insert(writer, by);
        Ok(if is_known { Named::Known } else { Named::New })
    }

    /// Whether a borrowed supervisor may have this writer too.
    fn has_room(&self, writer: WriterId, by: Number) -> Result<(), Senseless> {
        if self.past_writers.owners.contains_key(&writer) {
            return Err("a writer that is over".into());
        }
        let borrowed = || self.writers.values().filter(|owner| !owner.is_first());
        let is_full = borrowed().count() >= BORROWED_WRITERS_MAX;
        if is_full || borrowed().filter(|owner| **owner == by).count() >= WRITERS_MAX {
            return Err("more writers than a notary is lent for".into());
        }
        Ok(())
    }

    /// A supervisor gives calls to a writer.
    pub(super) fn lease(&mut self, writer: WriterId, calls: Lease, by: Number) -> Result<(), Senseless> {
        self.is_own(writer, by)?;
        self.issuer(calls.issuer, by)
    }

    /// Whether a supervisor may speak of a writer. One that nobody told of is spoken of too: it may be long over.
    pub(super) fn is_own(&self, writer: WriterId, by: Number) -> Result<(), Senseless> {
        let owner = self.writers.get(&writer).or_else(|| self.past_writers.owners.get(&writer));
        if owner.is_some_and(|owner| *owner != by) { Err(OTHERS_WRITER.into()) } else { Ok(()) }
    }

    fn issuer(&mut self, issuer: WriterId, by: Number) -> Result<(), Senseless> {
        match self.issuers.get(&issuer).or_else(|| self.past_issuers.owners.get(&issuer)) {
            Some(owner) if *owner == by => return Ok(()),
            Some(_other) => return Err("calls that are another supervisor's to give".into()),
            None => {}
        }
        if !by.is_first() && self.issuers.values().filter(|owner| **owner == by).count() >= ISSUERS_MAX {
            return Err("calls of more ids than a supervisor needs".into());
        }
        self.issuers.insert(issuer, by);
        Ok(())
    }

    /// A writer is over.
    pub(super) fn over(&mut self, writer: WriterId) {
        if let Some(by) = self.writers.remove(&writer) {
            self.past_writers.add(writer, by);
        }
    }

    /// A supervisor is gone, with all of its writers.
    pub(super) fn gone(&mut self, number: Number) {
        for (issuer, by) in self.issuers.extract_if(|_issuer, owner| *owner == number) {
            self.past_issuers.add(issuer, by);
        }
    }
}

impl Past {
    fn add(&mut self, id: WriterId, by: Number) {
        if self.owners.insert(id, by).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > PAST_IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.owners.remove(&oldest);
        }
    }
}

const OTHERS_WRITER: &str = "a writer that is another supervisor's";

/// Writers that a borrowed supervisor has at once: one for each tool that it runs, and one of its own. With
/// [`BORROWED_WRITERS_MAX`] it bounds the files that borrowers have a notary hold open, two each.
const WRITERS_MAX: usize = 64;

/// Writers of all borrowed supervisors at once: half of the 1,024 files that a process may usually have open.
const BORROWED_WRITERS_MAX: usize = 256;

/// Ids under which a borrowed supervisor gives calls in its life: one, and one for each writer in its own process.
const ISSUERS_MAX: usize = 1024;

/// Ids of the past that stay taken: those of a day with a run each second. A guess meets one of 2⁴⁸.
const PAST_IDS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Number = Number(1);
    const TWO: Number = Number(2);

    fn id(number: u16) -> WriterId {
        let [high, low] = number.to_be_bytes();
        WriterId([9, 9, 9, 9, high, low])
    }

    fn lease(issuer: u16) -> Lease {
        Lease { issuer: id(issuer), first: 0, calls: 1024 }
    }

    fn refused<T: std::fmt::Debug>(named: Result<T, Senseless>, expected: &str) {
        let Senseless(reason) = named.unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }

    #[test]
    fn what_one_supervisor_named_no_other_may() {
        for (owner, thief) in [(Number::FIRST, ONE), (ONE, TWO), (ONE, Number::FIRST)] {
            let mut owners = Owners::default();
            assert_eq!(owners.writer(id(1), &[lease(10)], owner), Ok(Named::New));
            assert_eq!(owners.writer(id(1), &[lease(10)], owner), Ok(Named::Known), "told again");
            assert_eq!(owners.lease(id(1), lease(11), owner), Ok(()));
            refused(owners.writer(id(1), &[], thief), "a writer that is another supervisor's");
            refused(owners.lease(id(1), lease(20), thief), "a writer that is another supervisor's");
            refused(owners.is_own(id(1), thief), "a writer that is another supervisor's");
            for stolen in [10, 11] {
                refused(owners.writer(id(2), &[lease(stolen)], thief), "another supervisor's to give");
                refused(owners.lease(id(3), lease(stolen), thief), "another supervisor's to give");
            }
            assert_eq!(owners.writer(id(2), &[lease(20)], owner), Ok(Named::New), "nothing came of it");
            owners.over(id(1));
            owners.gone(owner);
            refused(owners.writer(id(1), &[], thief), "a writer that is another supervisor's");
            refused(owners.lease(id(3), lease(10), thief), "another supervisor's to give");
        }
    }

    #[test]
    fn a_borrowed_supervisors_writer_that_is_over_does_not_come_again() {
        let mut owners = Owners::default();
        for by in [Number::FIRST, ONE] {
            let writer = id(u16::from(by == ONE));
            assert_eq!(owners.writer(writer, &[], by), Ok(Named::New));
            owners.over(writer);
        }
        assert_eq!(owners.writer(id(0), &[], Number::FIRST), Ok(Named::New));
        refused(owners.writer(id(1), &[], ONE), "a writer that is over");
    }

    #[test]
    fn borrowed_supervisors_have_so_many_writers_and_ids_and_the_first_has_all_that_it_wants() {
        let mut owners = Owners::default();
        let tell = |owners: &mut Owners, number: usize, by| owners.writer(id(u16::try_from(number).unwrap()), &[], by);
        for number in 0..WRITERS_MAX {
            tell(&mut owners, number, ONE).unwrap();
        }
        refused(tell(&mut owners, WRITERS_MAX, ONE), "more writers");
        owners.over(id(0));
        tell(&mut owners, WRITERS_MAX, ONE).unwrap();
        for number in WRITERS_MAX + 1..=BORROWED_WRITERS_MAX {
            tell(&mut owners, number, Number(2 + u32::try_from(number / WRITERS_MAX).unwrap())).unwrap();
        }
        refused(tell(&mut owners, 1000, Number(99)), "more writers");
        for number in 1000..2000 {
            tell(&mut owners, number, Number::FIRST).unwrap();
        }
        let writer = id(1);
        for issuer in 0..ISSUERS_MAX {
            owners.lease(writer, lease(u16::try_from(issuer).unwrap()), ONE).unwrap();
        }
        refused(owners.lease(writer, lease(5000), ONE), "more ids");
        owners.lease(writer, lease(5), ONE).unwrap();
    }

    #[test]
    fn ids_of_the_past_are_remembered_up_to_a_bound() {
        let mut owners = Owners::default();
        for number in 0..2 * PAST_IDS_MAX {
            let [.., b0, b1, b2] = u64::try_from(number).unwrap().to_be_bytes();
            let (writer, by) = (WriterId([1, 0, 0, b0, b1, b2]), Number(u32::try_from(number + 1).unwrap()));
            owners.writer(writer, &[Lease::own(writer)], by).unwrap();
            owners.over(writer);
            owners.gone(by);
        }
        assert!(owners.writers.is_empty() && owners.issuers.is_empty());
        for past in [&owners.past_writers, &owners.past_issuers] {
            assert_eq!((past.owners.len(), past.order.len()), (PAST_IDS_MAX, PAST_IDS_MAX));
        }
    }
}
