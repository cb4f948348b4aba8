//! Hosts that are started for a trial, one at a time, and serve nobody: to see how they are sealed, and how they end.

use std::sync::Arc;

use super::host_process::{HostProcess, HostProcessEnd, START_WAIT};
use super::member::Member;
use super::{HostCommand, Shared};
use crate::error::LoadError;
use crate::host::words::Started;

/// Tools whose hosts are started for a trial; there may be none.
#[derive(Debug)]
pub struct Trial {
    shared: Arc<Shared>,
    members: Vec<Arc<Member>>,
}

impl Trial {
    pub(super) fn new(shared: &Arc<Shared>, members: Vec<Arc<Member>>) -> Self {
        Self { shared: Arc::clone(shared), members }
    }

    /// Starts a host by `command`, which must call [`serve_and`](crate::host::serve_and), and waits until it has ended by
    /// itself: at most as long as a start may take, and then it is ended.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the host never served.
    pub fn run(&self, command: &HostCommand) -> Result<HostProcessEnd, LoadError> {
        let (host, started) = HostProcess::start(&self.shared, command, &self.members)?;
        match started {
            Started::Serving { .. } => Ok(host.await_end(START_WAIT)),
            Started::Unloadable { error, .. } => Err(error),
            Started::NoHost { error } => Err(error.into()),
        }
    }
}
