//! One tool of a group, as its workers get it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tollgate_engine::error::{LoadError, WorkerError, with_causes};
use tollgate_ipc::memory_file;

use super::Shared;
use super::admitted::Admitted;
use super::tool_spec::ToolSpec;

/// One tool of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) tool: Arc<Admitted>,
    /// The tool's code, in a file in memory that nobody can change.
    pub(crate) code: OwnedFd,
}

impl Member {
    pub(crate) fn new(shared: &Shared, spec: ToolSpec) -> Result<Self, LoadError> {
        let (tool, _loading) = Admitted::new(&shared.places, &shared.ledger, spec.load)?;
        let no_memory = |error: std::io::Error| WorkerError::Start { reason: with_causes(&error) };
        Ok(Self { tool, code: memory_file(CODE, spec.artifact.code()).map_err(no_memory)? })
    }
}

const CODE: &str = "tollgate-code";
