//! Calls that their caller has withdrawn: the guest is ended, wherever it is.
//!
//! Any thread may withdraw a call by its id. A guest that computes is stopped at the next tick of the epoch; a guest that waits
//! in a host call, at once. A system call that hangs in the kernel is not ended: in a worker the supervisor kills the process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tollgate_audit::CallId;
use tollgate_ipc::Early;
use tollgate_system::lock;

/// The calls of one process that may be withdrawn.
#[derive(Debug, Default)]
pub(crate) struct Withdrawals(Mutex<Known>);

#[derive(Debug)]
struct Known {
    running: HashMap<CallId, Arc<Flag>>,
    // Calls that were withdrawn before they came: a withdrawal takes another way than its call.
    early: Early<CallId>,
}

impl Default for Known {
    fn default() -> Self {
        Self { running: HashMap::new(), early: Early::new(EARLY_MAX) }
    }
}

/// Whether one call has been withdrawn.
#[derive(Debug, Default)]
pub(crate) struct Flag {
    is_set: AtomicBool,
    changed: Notify,
}

/// A call that runs. Once this is dropped, the call cannot be withdrawn any more.
#[derive(Debug)]
pub(crate) struct Withdrawable<'w> {
    withdrawals: &'w Withdrawals,
    call: CallId,
    pub(crate) flag: Arc<Flag>,
}

/// What ends the guest of a call that was withdrawn.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the call was withdrawn")]
pub(crate) struct Withdrawn;

impl Withdrawals {
    /// A call begins. It may have been withdrawn already.
    pub(crate) fn enter(&self, call: CallId) -> Withdrawable<'_> {
        let flag = Arc::new(Flag::default());
        let mut known = self.lock();
        if known.early.take(&call) {
            flag.set();
        }
        known.running.insert(call, Arc::clone(&flag));
        Withdrawable { withdrawals: self, call, flag }
    }

    /// Withdraws a call that runs, or that has not come yet. One that is over stays as it is.
    pub(crate) fn withdraw(&self, call: CallId) {
        let mut known = self.lock();
        match known.running.get(&call) {
            Some(flag) => flag.set(),
            None => known.early.note(call),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }
}

impl Flag {
    fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        self.changed.notify_one();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Returns once the call has been withdrawn. At most one task may wait at a time.
    pub(crate) async fn wait(&self) {
        while !self.is_set() {
            self.changed.notified().await;
        }
    }
}

impl Drop for Withdrawable<'_> {
    fn drop(&mut self) {
        self.withdrawals.lock().running.remove(&self.call);
    }
}

/// Most withdrawals that wait for their call; the oldest goes first. A withdrawal whose call has just ended waits in vain. A
/// process has fewer calls at once.
const EARLY_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use tollgate_audit::WriterId;

    use super::*;

    #[test]
    fn a_withdrawal_reaches_its_call_before_and_while_it_runs_and_no_other() {
        let withdrawals = Withdrawals::default();
        let call = |count| CallId::new(1, WriterId([1; 6]), count);
        withdrawals.withdraw(call(1));
        let [one, two] = [1, 2].map(|count| withdrawals.enter(call(count)));
        assert!(one.flag.is_set() && !two.flag.is_set());
        withdrawals.withdraw(call(2));
        assert!(two.flag.is_set());
        drop((one, two));
        let again = withdrawals.enter(call(1));
        assert!(!again.flag.is_set(), "it was used up");
    }

    #[test]
    fn withdrawals_of_calls_that_never_come_take_bounded_room() {
        let withdrawals = Withdrawals::default();
        let call = |count| CallId::new(1, WriterId([1; 6]), count);
        (0..5000).for_each(|count| withdrawals.withdraw(call(count)));
        assert_eq!(withdrawals.lock().early.len(), EARLY_MAX);
        assert!(withdrawals.enter(call(4999)).flag.is_set() && !withdrawals.enter(call(0)).flag.is_set());
        assert!(withdrawals.lock().running.is_empty());
    }
}
