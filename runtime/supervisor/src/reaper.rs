//! The thread `reaper`: tells idle workers to end, and kills those that do not do in time what they were told. It waits for no
//! worker, so that a worker that does not end holds up no other.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Shared;

/// What the thread is told by others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ToReaper {
    /// Look at this moment: by then a worker must have done what it was told.
    Look(Instant),
    /// The supervisor ends.
    End,
}

/// The thread. Dropping this ends it and waits for it.
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
