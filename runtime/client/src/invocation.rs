//! A call under way.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::call::Reply;
use crate::connection::Handle;
use crate::failure::Failure;
use crate::log::LogPiece;
use crate::slot::Slot;

/// A call under way, from [`Client::start`](crate::Client::start). Dropping it cancels the call: the daemon ends the tool's work.
///
/// It can be waited for by a thread ([`Invocation::wait`]), and it is a `Future`, with no need of a certain runtime: dropping the
/// future cancels as well. Dropping and cancelling do not wait. It holds its connection open.
///
/// Its outcome is there once. Who polls it again, or waits after a poll was ready, gets a [`Failure`] that says so.
#[must_use = "a call that is dropped is cancelled"]
pub struct Invocation {
    connection: Arc<Handle>,
    id: u64,
    slot: Arc<Slot<Reply>>,
    was_cancelled: bool,
}

impl Invocation {
    pub(crate) const fn new(connection: Arc<Handle>, id: u64, slot: Arc<Slot<Reply>>) -> Self {
        Self { connection, id, slot, was_cancelled: false }
    }

    /// Blocks until the call has ended, or the connection has.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn wait(self) -> Result<Reply, Failure> {
        self.slot.wait()
    }

    /// As [`Invocation::wait`], but no longer than `timeout`: then the call goes on, and is given back.
    ///
    /// # Errors
    ///
    /// The call has not ended.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<Reply, Failure>, Self> {
        self.slot.wait_timeout(timeout).ok_or(self)
    }

    /// Whether the call has ended, so that [`Invocation::wait`] returns at once.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.slot.is_over()
    }

    /// Asks the daemon to cancel the call, and returns at once. Whoever waits then learns how the call ended, and under which name
    /// it is on record: [`Kind::Cancelled`](crate::Kind::Cancelled), or whatever came before.
    pub fn cancel(&mut self) {
        if !std::mem::replace(&mut self.was_cancelled, true) {
            self.connection.cancel(self.id);
        }
    }

    /// What the tool logs while it runs, if the call asked for it ([`Call::follow_logs`](crate::Call::follow_logs)); else nothing.
    ///
    /// Any thread may read it. Of several readers each gets other pieces.
    #[must_use]
    pub fn logs(&self) -> Logs {
        Logs(Arc::clone(&self.slot))
    }
}

impl Future for Invocation {
    type Output = Result<Reply, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.slot.poll(context)
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        if self.slot.abandon() {
            self.cancel();
        }
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Invocation")
            .field("id", &self.id)
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}

/// The log of a call while it runs: an iterator that blocks until there is a piece, and ends with the call, or at once when its
/// [`Invocation`] is dropped. It does not keep the call under way.
///
/// Up to [`LOG_BYTES_MAX`](crate::LOG_BYTES_MAX) bytes are kept unread; then pieces are dropped, and a mark stands for them. So
/// whoever reads slowly, or not at all, holds up nobody.
pub struct Logs(Arc<Slot<Reply>>);

impl Logs {
    /// The next piece, for async functions: `None` when there is no other. With a crate for streams, `stream::poll_fn(move |context|
    /// logs.poll_next(context))` is one. Only the last task that polled is woken.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<LogPiece>> {
        self.0.poll_log(context)
    }
}

impl Iterator for Logs {
    type Item = LogPiece;

    fn next(&mut self) -> Option<LogPiece> {
        self.0.wait_log()
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Logs").finish_non_exhaustive()
    }
}
