//! A tool, ready to be called, wherever its calls run.

mod in_process;
mod in_worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::Digest;
use tollgate_capability::CapabilitySet;
use tollgate_engine::call::turn_down;
use tollgate_engine::error::{CallError, CallFailure, LoadError};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::request::{Answer, Request};

pub use self::in_process::InProcess;
use self::in_process::Resident;
use self::in_worker::InWorker;
use super::admitted::Admitted;
use super::cancel::Cancel;
use super::group::Group;

/// A tool, ready to be called from any thread: in a sealed worker, or in this process if an [`InProcess`] made it. Cheap to clone.
/// Its methods block the calling thread and must not be called on a tokio event loop, which calls them on a thread apart.
#[derive(Debug, Clone)]
pub struct Tool {
    tool: Arc<Admitted>,
    backend: Backend,
}

/// Where a tool's calls run.
#[derive(Debug, Clone)]
enum Backend {
    Worker(InWorker),
    InProcess(Resident),
}

impl Tool {
    /// All tools of a group, in their order.
    pub(crate) fn all_of(group: &Arc<Group>) -> Vec<Self> {
        let tools = group.members.iter().map(|member| Arc::clone(&member.tool)).enumerate();
        tools.map(|(place, tool)| Self::in_worker(tool, Arc::clone(group), place)).collect()
    }

    /// The tool at this place of a group.
    pub(crate) fn in_worker(tool: Arc<Admitted>, group: Arc<Group>, place: usize) -> Self {
        Self { tool, backend: Backend::Worker(InWorker { group, place }) }
    }

    /// Its name, as the ledger has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.tool.load.name
    }

    /// Its version, by its manifest.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.tool.load.version
    }

    /// SHA-256 of its component's bytes.
    #[must_use]
    pub fn component(&self) -> Digest {
        self.tool.load.component
    }

    /// The capability set that is enforced.
    #[must_use]
    pub fn capability_set(&self) -> &CapabilitySet {
        &self.tool.load.set
    }

    /// Starts its worker, if there is none: the tool can be called, or it is known why not. Waits at most 183 s, whichever
    /// thread's start it is; a start that takes longer goes on. In process there is nothing to start.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn start(&self) -> Result<(), LoadError> {
        match &self.backend {
            Backend::Worker(worker) => worker.start(),
            Backend::InProcess(_) => Ok(()),
        }
    }

    /// The operations that it can be called for, in the component's own words. Starts its worker, if nothing is stored of them and no
    /// worker has loaded the tool yet.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: no worker serves the tool.
    pub fn operations(&self) -> Result<OperationTexts, LoadError> {
        if self.tool.texts().is_none() {
            self.start()?;
        }
        Ok(self.tool.texts().cloned().unwrap_or_default())
    }

    /// Calls the tool.
    ///
    /// In a worker, which is started if there is none, the call waits for its turn until its deadline and the grace have passed,
    /// then as long again for its answer: the deadline is the guest's, and begins once a thread of the worker has the call. A
    /// worker that fails the call is killed, and its end and the notary's word on the call are waited for a few seconds more. In
    /// process the calling thread runs the call, until its deadline.
    ///
    /// # Errors
    ///
    /// [`CallFailure`], with what the call used until then, as far as the worker could say. A result that could not be
    /// recorded is withheld.
    pub fn call(&self, request: &Request<'_>) -> Result<Answer, Box<CallFailure>> {
        self.call_with(request, &Control::default())
    }

    /// As [`Tool::call`], where the caller can withdraw the call from another thread, wait for its turn, and hear what the tool
    /// writes meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Tool::call`]; [`CallError::Cancelled`] where it was withdrawn.
    pub fn call_with(&self, request: &Request<'_>, control: &Control) -> Result<Answer, Box<CallFailure>> {
        let before = |error| self.turn_down(request, if control.is_cancelled() { CallError::Cancelled } else { error });
        request.must_fit().map_err(|error| before(error.into()))?;
        let _place = if control.waits_its_turn {
            let agent = request.caller.proven.as_ref().map_or("", |proven| &proven.agent);
            self.tool.enter_in_turn(agent, self.answer_by(), control.cancel.as_ref()).map_err(before)?
        } else {
            self.tool.enter().map_err(|hit| before(hit.into()))?
        };
        match &self.backend {
            Backend::Worker(worker) => worker.call(&self.tool, request, control, before),
            Backend::InProcess(resident) => resident.call(&self.tool, request, control, before),
        }
    }

    /// The failure of a call that does not begin. It is put on record as any other call; for a tool in a worker, by the supervisor.
    /// Waits two seconds at most for a ledger that has no room.
    pub fn turn_down(&self, request: &Request<'_>, error: CallError) -> Box<CallFailure> {
        match &self.backend {
            Backend::Worker(worker) => worker.group.shared.turn_down(self.tool.named(), request, error),
            Backend::InProcess(resident) => turn_down(resident.record(), self.tool.named(), request, error),
        }
    }

    /// By when the turn must come of a call that begins to wait for it now.
    fn answer_by(&self) -> Instant {
        let limits = self.capability_set().limits;
        match &self.backend {
            Backend::Worker(worker) => worker.answer_by(limits),
            Backend::InProcess(_) => Instant::now() + Duration::from_millis(limits.deadline_ms),
        }
    }
}

/// Hears what a tool writes to its standard error. It is told by when the call must be over, and says whether it goes on hearing: it must
/// not take longer than until then.
pub type Hears = Arc<dyn Fn(&[u8], Instant) -> bool + Send + Sync>;

/// What the caller has of a call while it goes on.
#[derive(Clone, Default)]
pub struct Control {
    /// Withdraws the call: its guest is ended within some milliseconds, or at once where it waits in a host call. If a host call hangs
    /// in the kernel, the worker is killed after the grace; in process nothing ends such a call.
    pub cancel: Option<Cancel>,
    /// Whether a call beyond `limits.calls` waits for its turn, until its deadline and the grace have passed, instead of failing at
    /// that cap.
    pub waits_its_turn: bool,
    /// Hears what the tool writes to its standard error while the call runs: pieces of any length, on the thread that made the
    /// call. The answer has all of it again. Slow hearing holds up the tool until its deadline, and no longer: then it hears nothing more.
    pub hears: Option<Hears>,
}

impl Control {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(Cancel::is_cancelled)
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}
