//! The thread that ends idle workers. It tells a worker to end and kills it in a later round if it did not. It waits for no
//! worker, so that one that does not end holds up no other.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Shared;

/// Dropping it ends the thread, which is waited for.
#[derive(Debug)]
pub(crate) struct Reaper {
    // Dropped first: the thread ends by that.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let every = (shared.settings.idle / 4).clamp(LOOK_AT_LEAST_EVERY, LOOK_AT_MOST_EVERY);
        let shared = Arc::downgrade(shared);
        let thread = thread::Builder::new().name("reaper".to_owned());
        let thread = thread.spawn(move || reap(&stopped, &shared, every))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn reap(stopped: &Receiver<Infallible>, shared: &Weak<Shared>, every: Duration) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
        let Some(shared) = shared.upgrade() else { return };
        shared.end_idle();
    }
}

/// How often idle workers are looked for.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(10);
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(5);
