//! Tools in this process, which no kernel layer seals: for embedders that trust them, and for tests. All other tools have a
//! `Supervisor`. Must never be what a tool falls back to: the embedder alone chooses it, by a name that says what it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tollgate_audit::Record;
use tollgate_authority::DecidingPlaces;
use tollgate_engine::call::ExecutorThread;
use tollgate_engine::clock::{now_ms, now_ns};
use tollgate_engine::error::{CallError, CallFailure, LoadError, with_causes};
use tollgate_engine::executor::Executor;
use tollgate_engine::instance::EventLoop;
use tollgate_engine::private::{Noted, PrivateTexts};
use tollgate_engine::request::{Answer, Request};
use tollgate_engine::tool::LoadedTool;
use tollgate_engine::{Component, Engine, StartError};
use tollgate_sandbox::Enforced;
use tollgate_system::lock;
use tollgate_wasi_proxy::HearsStderr;

use super::{Backend, Control, Tool};
use crate::admitted::Admitted;
use crate::cancel::Tell;
use crate::tool_spec::ToolSpec;

/// Runs the calls of its tools in this process, without the kernel layer. Cheap to clone.
///
/// A call runs on the thread that asks for it, file calls included, until its deadline, and then for what its end takes to
/// record. A file call that hangs in the kernel holds that thread for longer: nothing else ends it. One more thread,
/// `tollgate-epoch`, ticks for deadlines.
#[derive(Debug, Clone)]
pub struct InProcess(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    executor: Arc<Executor>,
    enforced: Enforced,
    // Those that run no call now: as many as calls ran at once.
    threads: Mutex<Vec<ExecutorThread>>,
    record: Arc<dyn Record>,
    private: PrivateTexts,
    ledger: PathBuf,
    places: DecidingPlaces,
}

impl InProcess {
    /// Runs calls on `engine`, and records them into `record`, whose ledger is in the folder `ledger`: a notary's
    /// [`Recorder`](tollgate_notary::Recorder), or a [`Ledger`](tollgate_ledger::Ledger) that this process itself holds. The ledger
    /// says that nothing is enforced around them. No grant may reach `places`, nor the ledger's own.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start_unsealed(
        engine: &Engine,
        record: Arc<dyn Record>,
        ledger: &Path,
        places: DecidingPlaces,
    ) -> Result<Self, StartError> {
        let private = PrivateTexts::open(ledger).map_err(StartError::SideStore)?;
        let executor = Executor::start(engine, Arc::clone(&record), || ())?;
        let enforced = Enforced::nothing_by_choice();
        let recorded = enforced.record(&*record, now_ns(), Vec::new());
        recorded.map_err(|error| StartError::Unrecorded(with_causes(&error)))?;
        let (engine, threads, ledger) = (engine.clone(), Mutex::default(), ledger.to_owned());
        let places = places.with_ledger(&ledger);
        Ok(Self(Arc::new(Shared { engine, executor, enforced, threads, record, private, ledger, places })))
    }

    /// Takes a tool, and loads it in this process: records the policy in force, and asks the component for its operations, in an
    /// instance of its own without any capability. Waits for that as for a call.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn add(&self, spec: ToolSpec) -> Result<Tool, LoadError> {
        let Shared { engine, record, ledger, places, .. } = &*self.0;
        let (tool, loading) = Admitted::new(places, ledger, spec.load)?;
        let component = Component::from_artifact(engine, &spec.artifact)?;
        let describing = Noted::of(record.next_call(now_ms()), None, None);
        let no_thread = |error: StartError| LoadError::Engine(with_causes(&error));
        let loaded = self.0.on_thread(|thread| loading.load(thread, &component, &describing)).map_err(no_thread)??;
        tool.learn(loaded.texts().clone())?;
        Ok(Tool {
            tool,
            backend: Backend::InProcess(Resident { process: Arc::clone(&self.0), loaded: Arc::new(loaded) }),
        })
    }
}

impl Shared {
    /// Does `work` with an executor thread that the calling thread has to itself meanwhile.
    fn on_thread<T>(&self, work: impl FnOnce(&mut ExecutorThread) -> T) -> Result<T, StartError> {
        let idle = lock(&self.threads).pop();
        let mut thread = match idle {
            Some(thread) => thread,
            None => {
                let event_loop = EventLoop::new().map_err(StartError::Thread)?;
                ExecutorThread::new(&self.executor, event_loop, &self.enforced)
            }
        };
        let done = work(&mut thread);
        lock(&self.threads).push(thread);
        Ok(done)
    }
}

/// A tool that is loaded in this process.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    process: Arc<Shared>,
    loaded: Arc<LoadedTool>,
}

impl Resident {
    /// Where it records.
    pub(super) fn record(&self) -> &Arc<dyn Record> {
        &self.process.record
    }

    /// Runs a call on the calling thread. Whatever keeps it from its beginning goes through `before`.
    pub(super) fn call(
        &self,
        tool: &Admitted,
        request: &Request<'_>,
        control: &Control,
        before: impl Fn(CallError) -> Box<CallFailure>,
    ) -> Result<Answer, Box<CallFailure>> {
        let Shared { executor, record, private, .. } = &*self.process;
        let keeping = private.plan(tool.load.set.audit.arguments, record.next_call(now_ms())).map_err(&before)?;
        let withdraws = || -> Tell {
            let executor = Arc::clone(executor);
            Arc::new(move || executor.withdraw(keeping.call))
        };
        let _at = control.cancel.as_ref().map(|cancel| cancel.at(withdraws()));
        let until = Instant::now() + Duration::from_millis(tool.load.set.limits.deadline_ms);
        let hears = control.hears.clone().map(|hears| {
            let mut goes_on = true;
            Box::new(move |bytes: &[u8]| goes_on = goes_on && hears(bytes, until)) as HearsStderr
        });
        let keep = || private.keep_arguments(&keeping, request.arguments);
        let call = (keeping.call, keeping.salt);
        let ended = self.process.on_thread(|thread| thread.call(&self.loaded, request, call, hears, keep));
        let ended = ended.map_err(|error| before(CallError::Internal(with_causes(&error))))?;
        private.keep_result(&keeping, ended)
    }
}
