//! Tools that share a worker process, and that process while there is one.
//!
//! Any thread may ask for the worker. A thread of its own, `worker-start`, starts it, outside every lock. Each caller waits for
//! that start until the caller's own deadline.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tollgate_engine::error::{LoadError, WorkerError};
use tollgate_engine::operations::OperationTexts;
use tollgate_worker::protocol::Started;

use super::Shared;
use super::cancel::{Cancel, Tell};
use super::member::Member;
use super::slot::{Lease, NoLease, Slot, Starting};
use super::worker_process::WorkerProcess;

/// Tools that share one worker process. Invariant: at most one such process serves at any time ([`Slot`]).
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) shared: Arc<Shared>,
    pub(crate) members: Vec<Member>,
    slot: Arc<Slot<Arc<WorkerProcess>, LoadError>>,
}

/// The use of a group's worker for one call or question. The worker does not count as idle meanwhile.
pub(crate) type Using = Lease<Arc<WorkerProcess>, LoadError>;

impl Group {
    pub(crate) fn new(shared: &Arc<Shared>, members: Vec<Member>) -> Self {
        Self { shared: Arc::clone(shared), members, slot: Slot::new() }
    }

    /// Returns the worker, for one call or question. Starts it if there is none, and waits for that until `until`, or until the
    /// call is withdrawn.
    pub(crate) fn worker(self: &Arc<Self>, until: Instant, cancel: Option<&Cancel>) -> Result<Using, LoadError> {
        let wakes = || -> Tell {
            let slot = Arc::clone(&self.slot);
            Arc::new(move || slot.wake())
        };
        let _waiting = cancel.map(|cancel| cancel.at(wakes()));
        let lease = || {
            let using =
                self.slot.lease(until, || cancel.is_some_and(Cancel::is_cancelled), |starting| self.start(starting));
            using.map_err(no_worker)
        };
        let using = lease()?;
        if !using.worker().has_ended() {
            return Ok(using);
        }
        if let Some(dead) = using.discard() {
            dead.tell_to_end();
        }
        // If this one is dead too, the call finds that out.
        lease()
    }

    /// Has a thread start the worker. If there is no thread, the duty is dropped, and those who wait are told.
    fn start(self: &Arc<Self>, starting: Starting<Arc<WorkerProcess>, LoadError>) {
        let group = Arc::clone(self);
        let work = move || match group.started() {
            Ok(worker) => {
                if let Err((worker, starting)) = starting.serve(Arc::new(worker)) {
                    worker.end();
                    drop(starting);
                }
            }
            Err(error) => starting.fail(error),
        };
        thread::Builder::new().name("worker-start".to_owned()).spawn(work).ok();
    }

    /// Starts a worker, and waits until it serves.
    fn started(&self) -> Result<WorkerProcess, LoadError> {
        let (worker, started) = WorkerProcess::start(&self.shared, &self.shared.settings.command, &self.members)?;
        let serves = match started {
            Started::Serving { tools } => self.learn(tools),
            Started::Unloadable { error, .. } => Err(error),
            Started::NoWorker { error } => Err(error.into()),
        };
        match serves {
            Ok(()) => Ok(worker),
            Err(error) => {
                worker.end();
                Err(error)
            }
        }
    }

    /// Compares what a worker says of its tools with what is stored of them, or with what an earlier worker said. The worker
    /// compares too, but a worker that was broken into may say anything.
    fn learn(&self, tools: Vec<OperationTexts>) -> Result<(), LoadError> {
        if tools.len() != self.members.len() {
            return Err(WorkerError::Reload { reason: "it speaks of other tools".to_owned() }.into());
        }
        for (member, texts) in self.members.iter().zip(tools) {
            member.tool.learn(texts)?;
        }
        Ok(())
    }

    /// Tells the worker to end if it has had no call for `idle`.
    pub(crate) fn end_if_idle(&self, idle: Duration) {
        if let Some(worker) = self.slot.take_idle(|since| since.elapsed() >= idle) {
            worker.tell_to_end();
        }
    }

    /// Tells the worker to end, if there is one. The group never starts another.
    pub(crate) fn close(&self) {
        if let Some(worker) = self.slot.close() {
            worker.tell_to_end();
        }
    }

    /// After [`Group::close`]: waits until a start that was under way is over, at most until `until`.
    pub(crate) fn await_closed(&self, until: Instant) {
        self.slot.await_closed(until);
    }
}

/// Why there is no worker, as the caller hears it.
fn no_worker(none: NoLease<LoadError>) -> LoadError {
    let reason = match none {
        NoLease::Failed(error) => return error,
        NoLease::Closed => "the supervisor has ended",
        NoLease::Late => {
            "it takes longer than the call may wait, which is its deadline and the grace after it; the start goes on, and a \
             later call finds the worker ready"
        }
        NoLease::Abandoned => "there is no thread to start it, or that thread has failed",
    };
    WorkerError::Start { reason: reason.to_owned() }.into()
}

impl Drop for Group {
    fn drop(&mut self) {
        self.close();
    }
}
