//! Where the threads of a worker wait before it serves: no thread goes on until each has tested that it is sealed.
//!
//! Waits have no deadline here: the supervisor kills a worker that is not ready after `START_WAIT`.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tollgate_sandbox::{Confined, EnforceError, Enforced, Expected, SelfTestError, Tested, self_test, trap};
use tollgate_system::{held, lock};

use super::protocol::Started;

/// Holds every thread but the main one, which leads, until the process is sealed or will not be.
#[derive(Debug)]
pub(crate) struct SealBarrier {
    expected: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    arrived: usize,
    // Once the filter is there: what the self-test must find.
    filtered: Option<Expected>,
    tested: Vec<Result<Tested, SelfTestError>>,
    // Once released: the proof, or why no thread may serve.
    released: Option<Result<Arc<Enforced>, Arc<Started>>>,
}

impl SealBarrier {
    /// A barrier for `expected` threads beside the main one.
    pub(crate) fn new(expected: usize) -> Arc<Self> {
        let state = State { arrived: 0, filtered: None, tested: Vec::new(), released: None };
        Arc::new(Self { expected, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Arrives at the barrier, tests this thread's seal once the filter is there, and waits until all threads have done so.
    /// Returns the proof that this process may serve, or what to tell the supervisor instead.
    pub(crate) fn arrive(&self, name: &str) -> Result<Arc<Enforced>, Arc<Started>> {
        trap::name_thread(name);
        let mut state = self.state();
        state.arrived += 1;
        self.changed.notify_all();
        state = self.wait(state, |state| state.filtered.is_some() || state.released.is_some());
        if let Some(expected) = state.filtered {
            drop(state);
            let tested = self_test(&expected);
            state = self.state();
            state.tested.push(tested);
            self.changed.notify_all();
        }
        loop {
            if let Some(released) = &state.released {
                return released.clone();
            }
            state = held(self.changed.wait(state));
        }
    }

    /// Waits until all threads have arrived. For the main thread, as are the methods below.
    pub(crate) fn await_all(&self) {
        drop(self.wait(self.state(), |state| state.arrived == self.expected));
    }

    /// Waits for all threads, and seals them.
    pub(crate) fn seal(&self, confined: Confined) -> Result<Enforced, EnforceError> {
        self.await_all();
        let filtered = confined.filter()?;
        let expected = filtered.expected();
        self.state().filtered = Some(expected);
        self.changed.notify_all();
        let own = self_test(&expected);
        let mut state = self.wait(self.state(), |state| state.tested.len() == self.expected);
        let tested = state.tested.drain(..).chain([own]).collect::<Result<Vec<Tested>, _>>()?;
        drop(state);
        filtered.finish(&tested)
    }

    /// Releases the barrier: threads proceed if all are sealed, else they exit.
    pub(crate) fn release(&self, sealed: Result<Enforced, Started>) {
        self.state().released = Some(sealed.map(Arc::new).map_err(Arc::new));
        self.changed.notify_all();
    }

    fn wait<'m>(&self, state: MutexGuard<'m, State>, until: impl Fn(&State) -> bool) -> MutexGuard<'m, State> {
        held(self.changed.wait_while(state, |state| !until(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
