//! The worker processes that are there, from their start until their end is recorded: so that none outlives its supervisor.
//!
//! Any thread may use it. It must never wait for a process, nor speak to one, while it holds its lock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::way::Way;

/// The list of them.
#[derive(Debug, Default)]
pub(crate) struct Living {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ways: Vec<Arc<Way>>,
    // No other is let in.
    is_closed: bool,
}

impl Living {
    /// Whether a worker may live that has just been started.
    pub(super) fn enter(&self, way: &Arc<Way>) -> bool {
        let mut state = self.state();
        if !state.is_closed {
            state.ways.push(Arc::clone(way));
        }
        !state.is_closed
    }

    /// The end of a worker is recorded.
    pub(super) fn leave(&self, way: &Arc<Way>) {
        let gone = {
            let mut state = self.state();
            let place = state.ways.iter().position(|other| Arc::ptr_eq(other, way));
            place.map(|place| state.ways.swap_remove(place))
        };
        drop(gone);
        self.changed.notify_all();
    }

    /// Lets no other in. Those that live.
    pub(super) fn close(&self) -> Vec<Arc<Way>> {
        let mut state = self.state();
        state.is_closed = true;
        state.ways.clone()
    }

    /// Those that live.
    pub(super) fn all(&self) -> Vec<Arc<Way>> {
        self.state().ways.clone()
    }

    /// Waits until none lives. Those that do after `most`.
    pub(super) fn await_none(&self, most: Duration) -> Vec<Arc<Way>> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| !state.ways.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.ways.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
