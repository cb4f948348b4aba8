//! A thread's own event loop.

use std::future::Future;
use std::io;

/// Runs one future at a time, on the calling thread, and starts no other thread.
#[derive(Debug)]
pub struct EventLoop(tokio::runtime::Runtime);

impl EventLoop {
    /// Opens the descriptors that it will need.
    ///
    /// # Errors
    ///
    /// Of the operating system: no descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(tokio::runtime::Builder::new_current_thread().enable_time().build()?))
    }

    /// Runs a future to its end.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "a second future on the same loop would be a panic")]
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
