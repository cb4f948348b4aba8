//! A tool that was taken, wherever it will run: its identity, its capability set, and how many of its calls run.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Instant;

use tollgate_audit::Digest;
use tollgate_authority::{DecidingPlaces, HeldFolders, hold};
use tollgate_capability::Cap;
use tollgate_engine::error::{CallError, CapHit, LoadError};
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::tool::NamedTool;
use tollgate_system::{held, lock};

use super::cancel::{Cancel, Tell};

/// A tool that was taken: its grant reaches nothing that decides over tools, its folders are held open, and its capability sets
/// are kept beside the ledger.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) load: LoadOrder,
    policy: Digest,
    running: AtomicU32,
    // How many calls wait for a place.
    waiting: Mutex<u32>,
    left: Condvar,
    // What it says of its operations: as it was stored, or once it was loaded.
    texts: OnceLock<OperationTexts>,
    // Open, so that no other folder gets the device and inode of one of them.
    _folders: HeldFolders,
}

impl Admitted {
    /// Takes a tool that is recorded in the folder `ledger`, unless its grant reaches one of `places`.
    pub(crate) fn new(
        places: &DecidingPlaces,
        ledger: &Path,
        mut load: LoadOrder,
    ) -> Result<(Arc<Self>, Loading), LoadError> {
        places.judge(&load.set)?;
        let folders = hold(&mut load.set).map_err(|error| LoadError::Folder(Arc::new(error)))?;
        let loading = Loading::of(load.clone())?;
        loading.keep_sets(ledger)?;
        let texts = load.told.clone().map_or_else(OnceLock::new, OnceLock::from);
        let admitted = Self {
            load,
            policy: loading.policy(),
            running: AtomicU32::new(0),
            waiting: Mutex::new(0),
            left: Condvar::new(),
            texts,
            _folders: folders,
        };
        Ok((Arc::new(admitted), loading))
    }

    /// Learns what the tool says of its operations. What is stored of it, or was said before, must still hold.
    pub(crate) fn learn(&self, texts: OperationTexts) -> Result<(), LoadError> {
        texts.must_be(self.texts.get_or_init(|| texts.clone()))
    }

    /// What is known of its operations by now.
    pub(crate) fn texts(&self) -> Option<&OperationTexts> {
        self.texts.get()
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<InPlace<'_>, CapHit> {
        let limit = self.load.set.limits.calls;
        let one_more = |running: u32| (running < limit).then(|| running.saturating_add(1));
        match self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more) {
            Ok(_before) => Ok(InPlace(self)),
            Err(running) => Err(CapHit { cap: Cap::Calls, asked: Some(u64::from(running) + 1), limit: limit.into() }),
        }
    }

    /// Takes a place, as [`Admitted::enter`]. A call that finds none waits for one until `until`, or until it is withdrawn.
    pub(crate) fn enter_in_turn(
        self: &Arc<Self>,
        until: Instant,
        cancel: Option<&Cancel>,
    ) -> Result<InPlace<'_>, CallError> {
        // Calls that wait come first.
        if *lock(&self.waiting) == 0
            && let Ok(entered) = self.enter()
        {
            return Ok(entered);
        }
        let wakes = || -> Tell {
            let tool = Arc::clone(self);
            Arc::new(move || tool.wake())
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

    /// Has the calls that wait for a place look again.
    fn wake(&self) {
        drop(lock(&self.waiting));
        self.left.notify_all();
    }

    /// As the record of a call names it.
    pub(crate) fn named(&self) -> NamedTool<'_> {
        let LoadOrder { name, version, component, set, .. } = &self.load;
        NamedTool { name, version, component: *component, policy: self.policy, limits: set.limits }
    }
}

/// One of the places for calls at the same time. Its drop gives it to a call that waits for one.
#[derive(Debug)]
pub(crate) struct InPlace<'t>(&'t Admitted);

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        let waits = *lock(&self.0.waiting) > 0;
        if waits {
            self.0.left.notify_one();
        }
    }
}
