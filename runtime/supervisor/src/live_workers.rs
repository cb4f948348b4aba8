//! The list of live workers: each is in it from its start until its end is recorded. The supervisor ends all workers by it.
//!
//! Any thread may use it. It must never wait for a process or speak to one while it holds its lock.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tollgate_system::{held, lock};

use super::worker_handle::WorkerHandle;

/// The workers that live.
#[derive(Debug, Default)]
pub(crate) struct LiveWorkers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    handles: Vec<Arc<WorkerHandle>>,
    // Set once: no worker is added any more.
    is_closed: bool,
}

impl LiveWorkers {
    /// Adds a worker that was just started. Returns false if the list is closed: then the worker must be killed.
    pub(super) fn enter(&self, handle: &Arc<WorkerHandle>) -> bool {
        let mut state = self.state();
        if !state.is_closed {
            state.handles.push(Arc::clone(handle));
        }
        !state.is_closed
    }

    /// Removes a worker whose end is recorded.
    pub(super) fn leave(&self, handle: &Arc<WorkerHandle>) {
        let gone = {
            let mut state = self.state();
            let place = state.handles.iter().position(|other| Arc::ptr_eq(other, handle));
            place.map(|place| state.handles.swap_remove(place))
        };
        drop(gone);
        self.changed.notify_all();
    }

    /// Closes the list; returns the workers that live.
    pub(super) fn close(&self) -> Vec<Arc<WorkerHandle>> {
        let mut state = self.state();
        state.is_closed = true;
        state.handles.clone()
    }

    /// The workers that live.
    pub(super) fn all(&self) -> Vec<Arc<WorkerHandle>> {
        self.state().handles.clone()
    }

    /// Waits until no worker lives, at most for `most`; returns those that still do.
    pub(super) fn await_none(&self, most: Duration) -> Vec<Arc<WorkerHandle>> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| !state.handles.is_empty());
        held(waited).0.handles.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
