//! The state of a group's worker, and who waits for it: bookkeeping alone, from any thread.
//!
//! ```text
//!                 lease                    Starting::serve
//!   ┌─▶ Empty ──────────────▶ Starting ──────────────────────▶ Serving ─┐
//!   │     ▲                      │ Starting::fail, or dropped           │ take_idle, Lease::discard
//!   │     └──────────────────────┘                                      │
//!   └───────────────────────────────────────────────────────────────────┘
//!                    close: from anywhere, for good
//! ```
//!
//! Its lock is held only while a few fields change. What takes longer happens outside: the holder of a [`Starting`] starts the
//! worker, and a caller to which a worker is handed ends it. So this module must never start, end or drop a worker, make a system
//! call, or call back while it holds the lock. Threads wait here for a start alone, each until a moment of its own.
//!
//! It is generic over its lock so that loom can try every order of threads on the code that runs.

use std::sync::Arc;
use std::{fmt, mem};

use super::sync::{Primitives, Std};

/// The place of one worker. Invariant: it holds at most one worker, and none while one is being started.
pub(crate) struct Slot<W, E, P: Primitives = Std> {
    state: P::Mutex<State<W, E, P::Instant>>,
    changed: P::Condvar,
}

struct State<W, E, I> {
    phase: Phase<W, I>,
    // Counts the starts, so that a thread knows for which one it waits.
    starts: u64,
    failed: Option<Failed<E>>,
}

enum Phase<W, I> {
    Empty,
    /// A start is under way. `waiting` threads have a lease on the worker that comes of it.
    Starting {
        waiting: u32,
    },
    Serving {
        worker: W,
        leases: u32,
        idle_since: I,
    },
    /// Closed, but a start is still under way.
    Closing,
    Closed,
}

/// How the last start failed; `None` if its `Starting` was dropped without a word.
struct Failed<E> {
    start: u64,
    error: Option<E>,
}

/// Why there is no worker to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoLease<E> {
    /// The slot is closed.
    Closed,
    /// The caller's time is over, or the caller has given up. The start goes on.
    Late,
    /// The thread that was to start the worker is gone and has said nothing.
    Abandoned,
    /// The start failed.
    Failed(E),
}

impl<W: Clone, E: Clone, P: Primitives> Slot<W, E, P> {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { phase: Phase::Empty, starts: 0, failed: None };
        Arc::new(Self { state: P::mutex(state), changed: P::condvar() })
    }

    /// Returns the worker, which does not count as idle until the lease is dropped. If there is none, `start` is called to have
    /// one started, by another thread or by this one. Waits for the start until `until`, or until `is_given_up`, which waiting
    /// threads look at after [`Slot::wake`].
    pub(crate) fn lease(
        self: &Arc<Self>,
        until: P::Instant,
        is_given_up: impl Fn() -> bool,
        start: impl Fn(Starting<W, E, P>),
    ) -> Result<Lease<W, E, P>, NoLease<E>> {
        // The start that this thread waits for.
        let mut awaited = None;
        let mut state = P::lock(&self.state);
        loop {
            let number = state.starts;
            let failure = state.failure_since(awaited);
            match &mut state.phase {
                Phase::Serving { worker, leases, .. } => {
                    // Threads that waited for this very start were counted then.
                    *leases += u32::from(awaited != Some(number));
                    return Ok(Lease { slot: Arc::clone(self), worker: worker.clone(), number });
                }
                Phase::Closing | Phase::Closed => return Err(NoLease::Closed),
                Phase::Empty | Phase::Starting { .. } if let Some(failure) = failure => return Err(failure),
                Phase::Empty => {
                    let number = number + 1;
                    (state.starts, state.phase, awaited) = (number, Phase::Starting { waiting: 1 }, Some(number));
                    drop(state);
                    start(Starting { slot: Arc::clone(self), number, is_settled: false });
                    state = P::lock(&self.state);
                }
                Phase::Starting { waiting } => {
                    let is_counted = awaited == Some(number);
                    if P::is_past(until) || is_given_up() {
                        *waiting -= u32::from(is_counted);
                        return Err(NoLease::Late);
                    }
                    *waiting += u32::from(!is_counted);
                    awaited = Some(number);
                    state = P::wait(&self.changed, state, until);
                }
            }
        }
    }

    /// Has all waiting threads look whether they have given up. Each looks under the lock, so that none misses it.
    pub(crate) fn wake(&self) {
        drop(P::lock(&self.state));
        P::notify_all(&self.changed);
    }

    /// Takes the worker out if it has been unused since a moment that `is_long_ago`. The caller must end it.
    pub(crate) fn take_idle(&self, is_long_ago: impl FnOnce(P::Instant) -> bool) -> Option<W> {
        let mut state = P::lock(&self.state);
        match &state.phase {
            Phase::Serving { leases: 0, idle_since, .. } if is_long_ago(*idle_since) => {}
            Phase::Serving { .. } | Phase::Empty | Phase::Starting { .. } | Phase::Closing | Phase::Closed => {
                return None;
            }
        }
        state.take_worker(Phase::Empty)
    }

    /// Closes the slot: it gives no worker from now on. The caller must end the worker that is returned, if there was one.
    pub(crate) fn close(&self) -> Option<W> {
        let mut state = P::lock(&self.state);
        let closed = match &state.phase {
            Phase::Starting { .. } | Phase::Closing => Phase::Closing,
            Phase::Empty | Phase::Serving { .. } | Phase::Closed => Phase::Closed,
        };
        let worker = state.take_worker(closed);
        drop(state);
        P::notify_all(&self.changed);
        worker
    }

    /// After [`Slot::close`]: waits until a start that was under way is over and its worker ended; returns whether it is.
    pub(crate) fn await_closed(&self, until: P::Instant) -> bool {
        let mut state = P::lock(&self.state);
        while matches!(state.phase, Phase::Closing) {
            if P::is_past(until) {
                return false;
            }
            state = P::wait(&self.changed, state, until);
        }
        true
    }
}

impl<W, E: Clone, I> State<W, E, I> {
    /// How the start failed that was waited for, or a later one.
    fn failure_since(&self, awaited: Option<u64>) -> Option<NoLease<E>> {
        let failed = self.failed.as_ref().filter(|failed| awaited.is_some_and(|awaited| awaited <= failed.start))?;
        Some(failed.error.clone().map_or(NoLease::Abandoned, NoLease::Failed))
    }
}

impl<W, E, I> State<W, E, I> {
    fn take_worker(&mut self, next: Phase<W, I>) -> Option<W> {
        match mem::replace(&mut self.phase, next) {
            Phase::Serving { worker, .. } => Some(worker),
            Phase::Empty | Phase::Starting { .. } | Phase::Closing | Phase::Closed => None,
        }
    }
}

impl<W, E, P: Primitives> fmt::Debug for Slot<W, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// The duty to start the worker. Dropping it tells the waiting threads that nobody will.
#[must_use = "threads wait for what comes of the start"]
pub(crate) struct Starting<W, E, P: Primitives = Std> {
    slot: Arc<Slot<W, E, P>>,
    number: u64,
    is_settled: bool,
}

impl<W, E, P: Primitives> Starting<W, E, P> {
    /// Puts the worker into the slot. If the slot was closed meanwhile, worker and duty are given back: the worker must be ended
    /// before the duty is dropped.
    pub(crate) fn serve(mut self, worker: W) -> Result<(), (W, Self)> {
        let slot = Arc::clone(&self.slot);
        let mut state = P::lock(&slot.state);
        let Phase::Starting { waiting } = state.phase else {
            drop(state);
            return Err((worker, self));
        };
        state.phase = Phase::Serving { worker, leases: waiting, idle_since: P::now() };
        drop(state);
        self.is_settled = true;
        P::notify_all(&slot.changed);
        Ok(())
    }

    /// Says that there will be no worker.
    pub(crate) fn fail(mut self, error: E) {
        self.settle(Some(error));
    }

    fn settle(&mut self, error: Option<E>) {
        if mem::replace(&mut self.is_settled, true) {
            return;
        }
        let mut state = P::lock(&self.slot.state);
        let before = state.failed.replace(Failed { start: self.number, error });
        state.phase = if matches!(state.phase, Phase::Closing) { Phase::Closed } else { Phase::Empty };
        drop(state);
        drop(before);
        P::notify_all(&self.slot.changed);
    }
}

impl<W, E, P: Primitives> Drop for Starting<W, E, P> {
    fn drop(&mut self) {
        self.settle(None);
    }
}

/// The use of a worker.
pub(crate) struct Lease<W, E, P: Primitives = Std> {
    slot: Arc<Slot<W, E, P>>,
    worker: W,
    number: u64,
}

impl<W, E, P: Primitives> Lease<W, E, P> {
    pub(crate) const fn worker(&self) -> &W {
        &self.worker
    }

    /// Takes the worker out, since it is of no use any more, unless another one is there already. The caller must end it.
    pub(crate) fn discard(self) -> Option<W> {
        let mut state = P::lock(&self.slot.state);
        match &state.phase {
            Phase::Serving { .. } if state.starts == self.number => state.take_worker(Phase::Empty),
            Phase::Serving { .. } | Phase::Empty | Phase::Starting { .. } | Phase::Closing | Phase::Closed => None,
        }
    }
}

impl<W, E, P: Primitives> Drop for Lease<W, E, P> {
    fn drop(&mut self) {
        let mut state = P::lock(&self.slot.state);
        let is_same = state.starts == self.number;
        if let Phase::Serving { leases, idle_since, .. } = &mut state.phase
            && is_same
        {
            *leases -= 1;
            if *leases == 0 {
                *idle_since = P::now();
            }
        }
    }
}

impl<W, E, P: Primitives> fmt::Debug for Lease<W, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
