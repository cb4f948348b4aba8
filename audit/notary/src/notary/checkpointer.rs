//! The thread that brings entries to disk and signs checkpoints.
//!
//! It must never say that something is on disk before a sync that began after it was written has ended well.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use tollgate_audit::with_causes;
use tollgate_ledger::CheckpointError;
use tollgate_ledger::ledger::Ledger;
use tollgate_system::{held, lock, of_call, of_thread};

use crate::acks::Answer;

#[derive(Debug)]
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    meeting: Arc<Barrier>,
}

#[derive(Debug)]
struct Shared {
    ledger: Arc<Ledger>,
    queue: Mutex<Queue>,
    changed: Condvar,
    // Becomes readable when it has failed, or answers are unsaid.
    wakes: OwnedFd,
}

#[derive(Debug, Default)]
struct Queue {
    // Writers that wait until all that is in the journal is on disk.
    syncs: Vec<(Arc<OwnedFd>, u64)>,
    // Answers for which a writer's socket had no room. Whoever drains its pipe tries again.
    unsaid: Vec<(Arc<OwnedFd>, Answer)>,
    has_new: bool,
    is_ending: bool,
    failed: Option<String>,
}

impl Checkpointer {
    /// Starts the thread, and waits until it has: what the start of a thread needs of the kernel is then over. It does nothing
    /// before [`Checkpointer::begin`].
    pub(super) fn start(ledger: Arc<Ledger>) -> io::Result<Self> {
        let wakes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wakes = wakes.map_err(|errno| of_call("eventfd2", errno))?;
        let queue = Mutex::new(Queue { has_new: true, ..Queue::default() });
        let shared = Arc::new(Shared { ledger, queue, changed: Condvar::new(), wakes });
        let its = Arc::clone(&shared);
        // Passed twice: by both when the thread is there, and by both when its work begins.
        let meeting = Arc::new(Barrier::new(2));
        let its_meeting = Arc::clone(&meeting);
        let run = move || {
            its_meeting.wait();
            its_meeting.wait();
            its.run();
        };
        let thread = std::thread::Builder::new().name("checkpointer".to_owned()).spawn(run).map_err(of_thread)?;
        meeting.wait();
        Ok(Self { shared, thread, meeting })
    }

    /// Lets the thread begin. Once.
    pub(super) fn begin(&self) {
        self.meeting.wait();
    }

    /// There are entries that no checkpoint covers.
    pub(super) fn has_new(&self) {
        let mut queue = self.shared.queue();
        if !queue.has_new {
            queue.has_new = true;
            self.shared.changed.notify_one();
        }
    }

    /// Answers `token` once all that is in the journal now is on disk.
    pub(super) fn sync_for(&self, acks: &Arc<OwnedFd>, token: u64) {
        self.shared.queue().syncs.push((Arc::clone(acks), token));
        self.shared.changed.notify_one();
    }

    /// Says what is unsaid, as far as sockets have room; whether to look again soon.
    pub(super) fn say_rest(&self) -> bool {
        let mut queue = self.shared.queue();
        if queue.unsaid.is_empty() {
            return false;
        }
        // It may have been written for a failure too: hence the look.
        rustix::io::read(&self.shared.wakes, &mut [0; 8]).ok();
        queue.unsaid.retain(|(acks, said)| !said.send(acks));
        queue.unsaid.truncate(UNSAID_MAX);
        true
    }

    /// Why nothing can be brought to disk any more.
    pub(super) fn failed(&self) -> Option<String> {
        self.shared.queue().failed.clone()
    }

    pub(super) fn wakes(&self) -> BorrowedFd<'_> {
        self.shared.wakes.as_fd()
    }

    /// Makes a last checkpoint and ends the thread.
    pub(super) fn finish(self) -> Result<(), String> {
        self.shared.queue().is_ending = true;
        self.shared.changed.notify_one();
        if self.thread.join().is_err() {
            return Err("the checkpointer panicked".to_owned());
        }
        self.shared.queue().failed.clone().map_or(Ok(()), Err)
    }
}

impl Shared {
    fn run(&self) {
        let mut due = Instant::now();
        loop {
            let (syncs, publish, is_ending) = self.next_work(due);
            let done = self.work(&syncs, publish);
            if publish {
                due = Instant::now() + CHECKPOINT_EVERY;
            }
            if let Err(error) = done
                && (is_fatal(&error) || is_ending)
            {
                self.queue().failed = Some(with_causes(&error));
                self.wake();
                return;
            }
            if is_ending {
                return;
            }
        }
    }

    /// Waits until somebody wants a sync, or a checkpoint is due.
    fn next_work(&self, due: Instant) -> (Vec<(Arc<OwnedFd>, u64)>, bool, bool) {
        let mut queue = self.queue();
        loop {
            let now = Instant::now();
            let publish = queue.has_new && (now >= due || queue.is_ending);
            if publish || queue.is_ending || !queue.syncs.is_empty() {
                if publish {
                    queue.has_new = false;
                }
                return (std::mem::take(&mut queue.syncs), publish, queue.is_ending);
            }
            queue = if queue.has_new {
                let timeout = due.saturating_duration_since(now);
                held(self.changed.wait_timeout(queue, timeout)).0
            } else {
                held(self.changed.wait(queue))
            };
        }
    }

    fn work(&self, syncs: &[(Arc<OwnedFd>, u64)], publish: bool) -> Result<(), CheckpointError> {
        if !syncs.is_empty() {
            let synced = self.ledger.sync();
            let done = synced.is_ok();
            let said = |(acks, token): &(Arc<OwnedFd>, u64)| Answer { token: *token, done }.send(acks);
            let unsaid: Vec<_> = syncs.iter().filter(|sync| !said(sync)).collect();
            if !unsaid.is_empty() {
                let unsaid = unsaid.into_iter().map(|(acks, token)| (Arc::clone(acks), Answer { token: *token, done }));
                self.queue().unsaid.extend(unsaid);
                self.wake();
            }
            synced?;
        }
        if publish {
            self.ledger.checkpoint().inspect_err(|_again| self.queue().has_new = true)?;
        }
        Ok(())
    }

    fn wake(&self) {
        // It is readable already if it takes no more.
        rustix::io::write(&self.wakes, &1_u64.to_ne_bytes()).ok();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// Answers that a socket has no room for; a writer that never reads any may lose more than these.
const UNSAID_MAX: usize = 1 << 15;

/// Whether what is on disk is unknown, rather than that a file could not be written this time.
fn is_fatal(error: &CheckpointError) -> bool {
    error.is_by_sync() || matches!(error, CheckpointError::Stopped)
}

/// Entries are covered by a checkpoint this long after they came, at the latest.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(100);
