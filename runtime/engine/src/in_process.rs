//! Calls in this process: for embedders that have sealed themselves, or trust their tools, and for tests. Everybody else
//! has a `Supervisor`, whose tools run in sealed processes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_audit::Record;
use tollgate_authority::{DecidingPlaces, hold};
use tollgate_capability::CapabilitySet;
use tollgate_config::Manifest;
use tollgate_sandbox::Enforced;

use crate::call::{ExecutorThread, turn_down};
use crate::clock::{now_ms, now_ns};
use crate::component::Component;
use crate::engine::{Engine, StartError};
use crate::error::{CallFailure, LoadError, with_causes};
use crate::executor::Executor;
use crate::instance::EventLoop;
use crate::loading::{LoadOrder, Loading, Provenance};
use crate::private::{Noted, PrivateTexts};
use crate::request::{Answer, Request};
use crate::tool::LoadedTool;

/// Runs calls in this process. Shared by its tools and threads; cheap to clone.
#[derive(Debug, Clone)]
pub struct InProcess(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) executor: Arc<Executor>,
    pub(crate) sink: AuditSink,
    enforced: Enforced,
}

/// Where the calls of this process are recorded: their ledger, the side store for what may be erased, and the capability sets
/// that were in force.
#[derive(Debug)]
pub struct AuditSink {
    record: Arc<dyn Record>,
    private: PrivateTexts,
    pub(crate) ledger: PathBuf,
    pub(crate) places: DecidingPlaces,
}

impl AuditSink {
    /// Records into `record`, whose ledger is in the folder `ledger`: a notary's [`Recorder`](tollgate_notary::Recorder), or
    /// a [`Ledger`](tollgate_ledger::Ledger) that this process itself holds.
    ///
    /// # Errors
    ///
    /// The side store, `<ledger>.private`, cannot be opened, or another process has it.
    pub fn open(record: Arc<dyn Record>, ledger: &Path) -> io::Result<Self> {
        let places = DecidingPlaces::none().with_ledger(ledger);
        Ok(Self { record, private: PrivateTexts::open(ledger)?, ledger: ledger.to_owned(), places })
    }

    /// The same sink, where no grant may reach `places` either. The places of the ledger count by themselves.
    #[must_use]
    pub fn with_places(mut self, places: DecidingPlaces) -> Self {
        self.places = places.with_ledger(&self.ledger);
        self
    }
}

impl InProcess {
    /// Runs calls on `engine`, recording them into `sink`, in this process, which no kernel layer seals: on the record
    /// as an enforcement of nothing.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start_unsealed(engine: &Engine, sink: AuditSink) -> Result<Self, StartError> {
        Self::start_before_sealing(engine, sink, || ())
    }

    /// As [`InProcess::start_unsealed`], in a process that seals itself afterwards. It starts one thread, which does `first`
    /// before anything else: where that thread waits for the filter and tests itself ([`self_test`](tollgate_sandbox::self_test)).
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start_before_sealing(
        engine: &Engine,
        sink: AuditSink,
        first: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartError> {
        let executor = Executor::start(engine, Arc::clone(&sink.record), first)?;
        let enforced = Enforced::nothing_by_choice();
        let recorded = enforced.record(&*sink.record, now_ns(), Vec::new());
        recorded.map_err(|error| StartError::Unrecorded(with_causes(&error)))?;
        Ok(Self(Arc::new(Shared { executor, sink, enforced })))
    }
}

/// One thread's part of it: runs one call at a time, file calls included, on the thread that asks. A call blocks that thread
/// until its deadline, then for what its end takes to record; a file call that hangs in the kernel holds it for longer, as
/// nothing else ends the thread.
#[derive(Debug)]
pub struct InProcessThread {
    pub(crate) in_process: InProcess,
    pub(crate) thread: ExecutorThread,
}

impl InProcessThread {
    /// The event loop of the calling thread. Must not be used from inside another tokio event loop.
    ///
    /// # Errors
    ///
    /// [`StartError::Thread`].
    pub fn new(in_process: &InProcess) -> Result<Self, StartError> {
        let event_loop = EventLoop::new().map_err(StartError::Thread)?;
        let Shared { executor, enforced, .. } = &*in_process.0;
        Ok(Self { in_process: in_process.clone(), thread: ExecutorThread::new(executor, event_loop, enforced) })
    }

    /// What runs its calls, for whoever loads a tool from its parts.
    pub fn executor_thread(&mut self) -> &mut ExecutorThread {
        &mut self.thread
    }

    /// Loads a tool: links it, records the policy in force, and asks the component for its operations, in an instance
    /// of its own without any capability.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(
        &mut self,
        component: &Component,
        manifest: &Manifest,
        mut set: CapabilitySet,
        provenance: Provenance<'_>,
    ) -> Result<LoadedTool, LoadError> {
        let sink = &self.in_process.0.sink;
        sink.places.judge(&set)?;
        let folders = hold(&mut set).map_err(|error| LoadError::Folder(Arc::new(error)))?;
        let loading = Loading::of(LoadOrder::new(manifest, component.digest(), set, provenance))?;
        loading.keep_sets(&sink.ledger)?;
        let describing = Noted::of(sink.record.next_call(now_ms()), None, None);
        Ok(loading.load(&mut self.thread, component, &describing)?.holding(folders))
    }

    /// Calls a tool.
    ///
    /// # Errors
    ///
    /// [`CallFailure`], with what the call used until then. A result that could not be recorded is withheld.
    pub fn invoke(&mut self, tool: &LoadedTool, request: &Request<'_>) -> Result<Answer, Box<CallFailure>> {
        let AuditSink { record, private, .. } = &self.in_process.0.sink;
        let _running = tool.enter().map_err(|hit| turn_down(record, tool.identity.named(), request, hit.into()))?;
        let keeping = private.plan(tool.identity.set.audit.arguments, record.next_call(now_ms()));
        let keeping = keeping.map_err(CallFailure::before)?;
        let keep = || private.keep_arguments(&keeping, request.arguments);
        let ended = self.thread.call(tool, request, (keeping.call, keeping.salt), None, keep);
        private.keep_result(&keeping, ended)
    }
}
