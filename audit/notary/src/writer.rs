//! What a notary knows of a writer before it has written anything: its kind, and the calls that it may name.

use serde::{Deserialize, Serialize};
use tollgate_audit::entry::Kind;
use tollgate_audit::ids::{CallId, WriterId};

/// What a process that records is for. It may write the entries of its kind and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriterKind {
    /// It runs guests.
    Worker,
    /// It starts workers, turns calls down before one has them, and says when its policy was read again.
    Supervisor,
}

impl WriterKind {
    /// Whether a writer of this kind may write entries of that one.
    #[must_use]
    pub const fn may_write(self, kind: Kind) -> bool {
        match kind {
            Kind::Call | Kind::CallEnd => true,
            Kind::Policy | Kind::Intent | Kind::Outcome | Kind::Violation | Kind::Enforcement | Kind::BlockedCall => {
                match self {
                    Self::Worker => true,
                    Self::Supervisor => false,
                }
            }
            Kind::Reload => match self {
                Self::Worker => false,
                Self::Supervisor => true,
            },
            // The notary's own.
            Kind::LedgerOpened
            | Kind::KeyRotated
            | Kind::Closer
            | Kind::Erasure
            | Kind::KernelRecord
            | Kind::Takeover
            | Kind::Adoption => false,
        }
    }
}

/// Calls that a supervisor gives to a writer: those numbers of its own that a [`CallId`] ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Who gives these calls their ids.
    pub issuer: WriterId,
    /// The first number.
    pub first: u32,
    /// How many there are.
    pub calls: u32,
}

impl Lease {
    /// All calls of a writer that gives them their ids itself, as an embedder's own process does.
    #[must_use]
    pub const fn own(writer: WriterId) -> Self {
        Self { issuer: writer, first: 0, calls: u32::MAX }
    }

    /// Whether a call is one of these.
    #[must_use]
    pub fn holds(&self, call: CallId) -> bool {
        call.issuer() == self.issuer && call.count().checked_sub(self.first).is_some_and(|place| place < self.calls)
    }
}

/// Leases of one writer that count, the latest: those before are used up, but for numbers that were never taken.
pub const LEASES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_the_numbers_between_its_ends_and_those_of_its_issuer_alone() {
        let (issuer, other) = (WriterId([1; 6]), WriterId([2; 6]));
        let lease = Lease { issuer, first: 100, calls: 10 };
        for (count, holds) in [(99, false), (100, true), (109, true), (110, false), (0, false), (u32::MAX, false)] {
            assert_eq!(lease.holds(CallId::new(7, issuer, count)), holds, "{count}");
            assert!(!lease.holds(CallId::new(7, other, count)));
        }
        let last = Lease { issuer, first: u32::MAX - 1, calls: 5 };
        assert!(last.holds(CallId::new(7, issuer, u32::MAX)) && !last.holds(CallId::new(7, issuer, 3)));
        assert!(Lease::own(other).holds(CallId::new(7, other, 0)));
    }

    #[test]
    fn who_may_write_what() {
        let of = |kind: WriterKind| {
            let entries = Kind::ALL.iter().filter(|entry| kind.may_write(**entry));
            entries.map(|entry| entry.as_str()).collect::<Vec<_>>().join(" ")
        };
        let of_worker = "policy call intent outcome violation call-end enforcement blocked-call";
        assert_eq!(of(WriterKind::Worker), of_worker);
        assert_eq!(of(WriterKind::Supervisor), "call call-end reload");
    }
}
