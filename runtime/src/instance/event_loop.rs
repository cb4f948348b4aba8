//! A thread's own event loop.

use std::future::Future;
use std::io;

/// Runs one future at a time, on the thread that asks, and starts no other thread.
#[derive(Debug)]
pub(crate) struct EventLoop(tokio::runtime::Runtime);

impl EventLoop {
    /// Opens the descriptors that it will need.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(tokio::runtime::Builder::new_current_thread().enable_time().build()?))
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
