//! One tool of a group: what its workers are to load, and how many of its calls run.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use tollgate_audit::Digest;
use tollgate_authority::{HeldFolders, hold};
use tollgate_engine::error::{CapHit, LoadError, WorkerError, with_causes};
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::running::Running;
use tollgate_engine::tool::NamedTool;
use tollgate_ipc::memory_file;

use super::Shared;
use super::tool_spec::ToolSpec;

/// One tool of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) load: LoadOrder,
    policy: Digest,
    /// Its code, in a file in memory that nobody can change.
    code: OwnedFd,
    running: AtomicU32,
    // What it says of its operations: as it was stored, or once a worker has loaded it.
    texts: OnceLock<OperationTexts>,
    // Open, so that no other folder gets the device and inode of one of them.
    _folders: HeldFolders,
}

impl Member {
    /// Keeps what must be known of the tool later.
    pub(crate) fn new(shared: &Shared, tool: ToolSpec) -> Result<Self, LoadError> {
        let ToolSpec { name: _, mut load, artifact } = tool;
        shared.places.judge(&load.set)?;
        let folders = hold(&mut load.set).map_err(|error| LoadError::Folder(Arc::new(error)))?;
        let loading = Loading::of(load.clone())?;
        loading.keep_sets(&shared.ledger)?;
        let no_memory = |error: std::io::Error| WorkerError::Start { reason: with_causes(&error) };
        let code = memory_file(CODE, artifact.code()).map_err(no_memory)?;
        let texts = load.told.clone().map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self { load, policy: loading.policy(), code, running: AtomicU32::new(0), texts, _folders: folders })
    }

    /// What a worker says of the tool. What is stored of it, or another worker said before, must still hold.
    pub(crate) fn learn(&self, texts: OperationTexts) -> Result<(), LoadError> {
        texts.must_be(self.texts.get_or_init(|| texts.clone()))
    }

    /// What is known of its operations by now.
    pub(crate) fn texts(&self) -> Option<&OperationTexts> {
        self.texts.get()
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<Running<'_>, CapHit> {
        Running::enter(&self.running, self.load.set.limits.calls)
    }

    /// As the record of a call names it.
    pub(crate) fn named(&self) -> NamedTool<'_> {
        let LoadOrder { name, version, component, set, .. } = &self.load;
        NamedTool { name, version, component: *component, policy: self.policy, limits: set.limits }
    }

    pub(crate) fn code(&self) -> BorrowedFd<'_> {
        self.code.as_fd()
    }
}

const CODE: &str = "tollgate-code";
