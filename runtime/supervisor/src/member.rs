//! One tool of a group: what its workers are to load, and how many of its calls run.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Instant;

use tollgate_audit::Digest;
use tollgate_authority::{HeldFolders, hold};
use tollgate_engine::error::{CallError, CapHit, LoadError, WorkerError, with_causes};
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::running::Running;
use tollgate_engine::tool::NamedTool;
use tollgate_ipc::memory_file;
use tollgate_system::{held, lock};

use super::Shared;
use super::cancel::{Cancel, Tell};
use super::tool_spec::ToolSpec;

/// One tool of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) load: LoadOrder,
    policy: Digest,
    /// Its code, in a file in memory that nobody can change.
    code: OwnedFd,
    running: AtomicU32,
    // How many calls wait for a place, and where.
    waiting: Mutex<u32>,
    left: Condvar,
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
        Ok(Self {
            load,
            policy: loading.policy(),
            code,
            running: AtomicU32::new(0),
            waiting: Mutex::new(0),
            left: Condvar::new(),
            texts,
            _folders: folders,
        })
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
    pub(crate) fn enter(&self) -> Result<InPlace<'_>, CapHit> {
        let running = Running::enter(&self.running, self.load.set.limits.calls)?;
        Ok(InPlace { member: self, running: Some(running) })
    }

    /// The same, where a call that finds none waits for one until `until`, or until it is withdrawn.
    pub(crate) fn enter_in_turn(
        self: &Arc<Self>,
        until: Instant,
        cancel: Option<&Cancel>,
    ) -> Result<InPlace<'_>, CallError> {
        // Those who wait come first.
        if *lock(&self.waiting) == 0
            && let Ok(entered) = self.enter()
        {
            return Ok(entered);
        }
        let wakes = || -> Tell {
            let member = Arc::clone(self);
            Arc::new(move || member.wake())
        };
        let _at = cancel.map(|cancel| cancel.at(wakes()));
        let mut waiting = lock(&self.waiting);
        *waiting += 1;
        let entered = loop {
            if cancel.is_some_and(Cancel::is_cancelled) {
                break Err(CallError::Cancelled);
            }
            if let Ok(entered) = self.enter() {
                break Ok(entered);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let limit = self.load.set.limits.calls;
                break Err(CallError::Busy { what: format!("{limit} calls of the tool run already (`limits.calls`)") });
            }
            waiting = held(self.left.wait_timeout(waiting, left)).0;
        };
        *waiting -= 1;
        entered
    }

    /// Has those who wait for a place look again.
    fn wake(&self) {
        drop(lock(&self.waiting));
        self.left.notify_all();
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

/// One of the places for calls at the same time. Its drop gives it to whoever waits for one.
#[derive(Debug)]
pub(crate) struct InPlace<'m> {
    member: &'m Member,
    running: Option<Running<'m>>,
}

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        self.running = None;
        let waits = *lock(&self.member.waiting) > 0;
        if waits {
            self.member.left.notify_one();
        }
    }
}

const CODE: &str = "tollgate-code";
