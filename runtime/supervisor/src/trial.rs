//! Trial workers, started one at a time to see how they are sealed and how they end. They serve no calls.

use std::sync::Arc;

use tollgate_engine::error::LoadError;
use tollgate_system::ProcessCommand;
use tollgate_worker::protocol::Started;

use super::Shared;
use super::member::Member;
use super::worker_process::{START_WAIT, WorkerEnd, WorkerProcess};

/// Tools whose workers are started for a trial; there may be none.
#[derive(Debug)]
pub struct Trial {
    shared: Arc<Shared>,
    members: Vec<Member>,
}

impl Trial {
    pub(super) fn new(shared: &Arc<Shared>, members: Vec<Member>) -> Self {
        Self { shared: Arc::clone(shared), members }
    }

    /// Starts a worker by `command`, which must call [`serve_and`](tollgate_worker::serve_and), and waits until it has ended by
    /// itself, at most as long as a start may take. A worker that still lives then is ended.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the worker never served.
    pub fn run(&self, command: &ProcessCommand) -> Result<WorkerEnd, LoadError> {
        let (worker, started) = WorkerProcess::start(&self.shared, command, &self.members)?;
        match started {
            Started::Serving { .. } => Ok(worker.await_end(START_WAIT)),
            Started::Unloadable { error, .. } => Err(error),
            Started::NoWorker { error } => Err(error.into()),
        }
    }
}
