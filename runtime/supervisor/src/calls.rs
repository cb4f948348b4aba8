//! Ids of calls. The supervisor gives them: it knows a call's id before a worker has the call, and tells the notary which calls
//! each worker may name.

use std::io;
use std::sync::Mutex;

use tollgate_audit::{CallId, WriterId};
use tollgate_notary::Lease;
use tollgate_system::lock;

/// Gives each number of a supervisor's calls away once. Any thread may use it.
#[derive(Debug)]
pub(crate) struct Issuer(Mutex<Issuing>);

#[derive(Debug)]
struct Issuing {
    id: WriterId,
    next: u32,
}

impl Issuer {
    /// With a random id.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Mutex::new(Issuing { id: WriterId::random()?, next: 0 })))
    }

    /// Numbers that no other lease has. Once the numbers of an issuer's id are used up, another random id follows.
    pub(crate) fn lease(&self) -> io::Result<Lease> {
        let mut issuing = lock(&self.0);
        if issuing.next.checked_add(LEASE_CALLS).is_none() {
            *issuing = Issuing { id: WriterId::random()?, next: 0 };
        }
        let lease = Lease { issuer: issuing.id, first: issuing.next, calls: LEASE_CALLS };
        issuing.next += LEASE_CALLS;
        Ok(lease)
    }
}

/// The calls of one writer, from any thread.
#[derive(Debug)]
pub(crate) struct LeasedCalls(Mutex<Left>);

#[derive(Debug)]
struct Left {
    lease: Lease,
    taken: u32,
}

impl LeasedCalls {
    /// The calls of `lease`, of which none was taken; of later leases once they all are.
    pub(crate) fn of(lease: Lease) -> Self {
        Self(Mutex::new(Left { lease, taken: 0 }))
    }

    /// The id of the next call, which starts at `time_ms` (milliseconds since the Unix epoch). If no number is left, `more` gets a
    /// lease of which the notary has been told. The lock is held meanwhile: `more` may wait for the notary to read.
    pub(crate) fn next(&self, time_ms: u64, more: impl FnOnce() -> io::Result<Lease>) -> io::Result<CallId> {
        let mut left = lock(&self.0);
        if left.taken == left.lease.calls {
            *left = Left { lease: more()?, taken: 0 };
        }
        let count = left.lease.first + left.taken;
        left.taken += 1;
        Ok(CallId::new(time_ms, left.lease.issuer, count))
    }
}

/// Calls of a lease: many enough that leases are rare, few enough that four billion numbers last for four million workers.
const LEASE_CALLS: u32 = 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_calls_have_one_id() {
        let issuer = Issuer::new().unwrap();
        let workers: Vec<_> = (0..3).map(|_| LeasedCalls::of(issuer.lease().unwrap())).collect();
        let mut seen = BTreeSet::new();
        for round in 0..3 * LEASE_CALLS {
            for worker in &workers {
                assert!(seen.insert(worker.next(7, || issuer.lease()).unwrap()), "{round}");
            }
        }
    }

    #[test]
    fn a_writer_asks_for_more_once_all_are_taken() {
        let issuer = Issuer::new().unwrap();
        let (calls, mut asked) = (LeasedCalls::of(issuer.lease().unwrap()), 0);
        for _call in 0..=LEASE_CALLS {
            let more = || {
                asked += 1;
                issuer.lease()
            };
            calls.next(7, more).unwrap();
        }
        assert_eq!(asked, 1);
        // A lease that cannot be had takes nothing away: the next call asks again.
        for _call in 1..LEASE_CALLS {
            calls.next(7, || unreachable!()).unwrap();
        }
        let none = || Err(io::ErrorKind::Other.into());
        assert!(calls.next(7, none).is_err() && calls.next(7, none).is_err());
        calls.next(7, || issuer.lease()).unwrap();
    }

    #[test]
    fn an_id_whose_numbers_are_used_up_is_followed_by_another() {
        let issuer = Issuer(Mutex::new(Issuing { id: WriterId([1; 6]), next: u32::MAX - 2 * LEASE_CALLS + 1 }));
        let last = issuer.lease().unwrap();
        assert_eq!((last.issuer, last.first), (WriterId([1; 6]), u32::MAX - 2 * LEASE_CALLS + 1));
        let next = issuer.lease().unwrap();
        assert!(next.issuer != last.issuer && next.first == 0, "{next:?}");
    }
}
