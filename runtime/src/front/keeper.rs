//! The thread that starts hosts and ends idle ones. Hosts die with the thread that started them (`PR_SET_PDEATHSIG`), so
//! it must live as long as they may.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Shared;

/// Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    spawner: Spawner,
    thread: Option<JoinHandle<()>>,
}

/// Starts processes that die with the front, from any thread.
#[derive(Debug, Clone)]
pub(crate) struct Spawner(Sender<Wish>);

#[derive(Debug)]
enum Wish {
    Start(Box<Command>, Sender<io::Result<Child>>),
    Stop,
}

impl Keeper {
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (sender, wishes) = mpsc::channel();
        let every = (shared.settings.idle / 4).clamp(LOOK_AT_LEAST_EVERY, LOOK_AT_MOST_EVERY);
        let shared = Arc::downgrade(shared);
        let thread = thread::Builder::new().name("host-keeper".to_owned());
        let thread = thread.spawn(move || keep(&wishes, &shared, every))?;
        Ok(Self { spawner: Spawner(sender), thread: Some(thread) })
    }

    pub(crate) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // One that has ended is not there to be told.
        self.spawner.0.send(Wish::Stop).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Spawner {
    pub(crate) fn spawn(&self, command: Command) -> io::Result<Child> {
        let (sender, child) = mpsc::channel();
        let gone = || io::Error::other("the front has ended");
        self.0.send(Wish::Start(Box::new(command), sender)).map_err(|_gone| gone())?;
        child.recv().map_err(|_gone| gone())?
    }
}

fn keep(wishes: &Receiver<Wish>, shared: &Weak<Shared>, every: Duration) {
    loop {
        match wishes.recv_timeout(every) {
            Ok(Wish::Start(mut command, child)) => {
                // Whoever asked is waiting.
                child.send(command.spawn()).ok();
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(shared) = shared.upgrade() {
                    shared.end_idle();
                }
            }
            Ok(Wish::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// How often idle hosts are looked for.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(10);
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(5);
