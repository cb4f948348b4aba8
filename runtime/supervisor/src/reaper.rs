//! The thread that ends idle workers, and kills those that do not end what they were told to end. It waits for no
//! worker, so that one that does not end holds up no other.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Shared;

/// What the thread is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ToReaper {
    /// A worker must have done something by then.
    Look(Instant),
    /// The supervisor ends.
    End,
}

/// Dropping it ends the thread, which is waited for.
#[derive(Debug)]
pub(crate) struct Reaper {
    say: Sender<ToReaper>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    pub(crate) fn start(shared: &Arc<Shared>, (say, said): (Sender<ToReaper>, Receiver<ToReaper>)) -> io::Result<Self> {
        let every = (shared.settings.idle / 4).clamp(LOOK_AT_LEAST_EVERY, LOOK_AT_MOST_EVERY);
        let shared = Arc::downgrade(shared);
        let thread = thread::Builder::new().name("reaper".to_owned());
        let thread = thread.spawn(move || reap(&said, &shared, every))?;
        Ok(Self { say, thread: Some(thread) })
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.say.send(ToReaper::End).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn reap(said: &Receiver<ToReaper>, shared: &Weak<Shared>, every: Duration) {
    let mut looks: Vec<Instant> = Vec::new();
    let mut round = Instant::now() + every;
    loop {
        let next = looks.iter().copied().fold(round, Instant::min);
        match said.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(ToReaper::Look(at)) => looks.push(at),
            Ok(ToReaper::End) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let Some(shared) = shared.upgrade() else { return };
                let now = Instant::now();
                looks.retain(|at| *at > now);
                shared.kill_overdue();
                if round <= now {
                    shared.end_idle();
                    round = now + every;
                }
            }
        }
    }
}

/// How often idle workers are looked for.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(10);
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(5);
