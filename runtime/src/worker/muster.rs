//! Where the threads of a worker meet before it serves: none goes on before each of them has seen that it is sealed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::words::Started;
use crate::sandbox::{self, Confined, EnforceError, Enforced, Expected, SelfTestError, Tested};

/// Meets every thread but the main one, which leads.
#[derive(Debug)]
pub(crate) struct Muster {
    expected: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    arrived: usize,
    // What the self-test has to find, once the filter is there.
    filtered: Option<Expected>,
    tested: Vec<Result<Tested, SelfTestError>>,
    // Why there is nothing to do, if there is not.
    released: Option<Result<Arc<Enforced>, Arc<Started>>>,
}

impl Muster {
    /// For so many threads beside the main one.
    pub(crate) fn new(expected: usize) -> Arc<Self> {
        let state = State { arrived: 0, filtered: None, tested: Vec::new(), released: None };
        Arc::new(Self { expected, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Comes to the muster, tests the seal of this thread once it is there, and waits until all have done so. The proof
    /// that this process may serve; or what there is to say instead.
    pub(crate) fn attend(&self, name: &str) -> Result<Arc<Enforced>, Arc<Started>> {
        sandbox::trap::name_thread(name);
        let mut state = self.state();
        state.arrived += 1;
        self.changed.notify_all();
        state = self.wait(state, |state| state.filtered.is_some() || state.released.is_some());
        if let Some(expected) = state.filtered {
            drop(state);
            let tested = sandbox::self_test(&expected);
            state = self.state();
            state.tested.push(tested);
            self.changed.notify_all();
        }
        loop {
            if let Some(released) = &state.released {
                return released.clone();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until all threads are there. For the main thread, as is what follows.
    pub(crate) fn gather(&self) {
        drop(self.wait(self.state(), |state| state.arrived == self.expected));
    }

    /// Seals all threads, which are there.
    pub(crate) fn seal(&self, confined: Confined) -> Result<Enforced, EnforceError> {
        self.gather();
        let filtered = confined.filter()?;
        let expected = filtered.expected();
        self.state().filtered = Some(expected);
        self.changed.notify_all();
        let own = sandbox::self_test(&expected);
        let mut state = self.wait(self.state(), |state| state.tested.len() == self.expected);
        let tested = state.tested.drain(..).chain([own]).collect::<Result<Vec<Tested>, _>>()?;
        drop(state);
        filtered.finish(&tested)
    }

    /// Lets all threads go on, or go.
    pub(crate) fn release(&self, sealed: Result<Enforced, Started>) {
        self.state().released = Some(sealed.map(Arc::new).map_err(Arc::new));
        self.changed.notify_all();
    }

    fn wait<'m>(&self, state: MutexGuard<'m, State>, until: impl Fn(&State) -> bool) -> MutexGuard<'m, State> {
        self.changed.wait_while(state, |state| !until(state)).unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
