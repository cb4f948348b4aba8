//! The place where the answer to one request is put by the connection's thread, and waited for by others: threads that block, and
//! tasks of any async runtime.
//!
//! Its lock is held for a few instructions only: nothing is parsed, waited for or woken under it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::failure::{Failure, Kind};
use crate::log::{LogPiece, Unread};

/// What a request's result is, as the connection's thread reads it.
pub(crate) trait FromResult: Sized + Send {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong, without a word of what the result says.
    fn from_result(result: &RawValue) -> Result<Self, String>;
}

/// A slot, whatever the request's result is.
pub(crate) trait Place: Send + Sync {
    /// Puts the result.
    ///
    /// # Errors
    ///
    /// It makes no sense; nothing was put.
    fn answer(&self, result: &RawValue) -> Result<(), String>;
    /// Puts why there is none.
    fn fail(&self, failure: Failure);
    /// Puts a piece of the log.
    fn log(&self, text: String);
}

/// See the module's text.
pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    follows_logs: bool,
}

struct State<T> {
    outcome: Option<Result<T, Failure>>,
    // There is an outcome, or was, or nobody wants it.
    is_over: bool,
    waker: Option<Waker>,
    unread: Unread,
    log_waker: Option<Waker>,
}

impl<T> Slot<T> {
    pub(crate) fn new(follows_logs: bool) -> Self {
        let unread = Unread::default();
        let state = State { outcome: None, is_over: false, waker: None, unread, log_waker: None };
        Self { state: Mutex::new(state), changed: Condvar::new(), follows_logs }
    }

    /// Blocks until there is an outcome, and takes it.
    pub(crate) fn wait(&self) -> Result<T, Failure> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.take() {
                return outcome;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Slot::wait`], until it is late; `None` then.
    pub(crate) fn wait_timeout(&self, timeout: Duration) -> Option<Result<T, Failure>> {
        // A time that no clock reaches is for ever.
        let Some(until) = Instant::now().checked_add(timeout) else { return Some(self.wait()) };
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.take() {
                return Some(outcome);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the outcome, or has the task woken when there is one.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Result<T, Failure>> {
        let mut state = self.lock();
        if let Some(outcome) = state.take() {
            return Poll::Ready(outcome);
        }
        let replaced = state.waker.replace(context.waker().clone());
        drop(state);
        // What a waker's end does is not ours.
        drop(replaced);
        Poll::Pending
    }

    /// Blocks until there is a piece of the log; `None` when none comes any more.
    pub(crate) fn wait_log(&self) -> Option<LogPiece> {
        let mut state = self.lock();
        loop {
            let piece = state.unread.pop();
            if piece.is_some() || state.is_over {
                return piece;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`Slot::wait_log`], for tasks.
    pub(crate) fn poll_log(&self, context: &Context<'_>) -> Poll<Option<LogPiece>> {
        let mut state = self.lock();
        let piece = state.unread.pop();
        if piece.is_some() || state.is_over {
            return Poll::Ready(piece);
        }
        let replaced = state.log_waker.replace(context.waker().clone());
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Nobody wants the outcome any more. Whether there was none yet.
    pub(crate) fn abandon(&self) -> bool {
        let mut state = self.lock();
        let was_under_way = !std::mem::replace(&mut state.is_over, true);
        let gone = (state.outcome.take(), std::mem::take(&mut state.unread), state.waker.take());
        let log_waker = state.log_waker.take();
        drop(state);
        drop(gone);
        self.changed.notify_all();
        log_waker.into_iter().for_each(Waker::wake);
        was_under_way
    }

    /// Whether there is an outcome, or was one.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn settle(&self, outcome: Result<T, Failure>) {
        let mut state = self.lock();
        if state.is_over {
            return;
        }
        state.is_over = true;
        state.outcome = Some(outcome);
        let wakers = [state.waker.take(), state.log_waker.take()];
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// The outcome, once; then that it was taken. `None` while there is none.
    fn take(&mut self) -> Option<Result<T, Failure>> {
        let taken = || Err(Failure::new(Kind::Internal, "the outcome of this call was taken before"));
        self.outcome.take().or_else(|| self.is_over.then(taken))
    }
}

impl<T: FromResult> Place for Slot<T> {
    fn answer(&self, result: &RawValue) -> Result<(), String> {
        T::from_result(result).map(|value| self.settle(Ok(value)))
    }

    fn fail(&self, failure: Failure) {
        self.settle(Err(failure));
    }

    fn log(&self, text: String) {
        let mut state = self.lock();
        if state.is_over || !self.follows_logs {
            return;
        }
        state.unread.push(text);
        let waker = state.log_waker.take();
        drop(state);
        self.changed.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}
