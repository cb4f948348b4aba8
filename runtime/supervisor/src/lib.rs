//! The supervisor: starts workers, gives them calls, and ends those that do not come back. It runs no guest itself. A tool that
//! an embedder wants in its own process instead has an [`InProcess`]; both give a [`Tool`].
//!
//! ```text
//! Tool::call ─▶ Group ─▶ worker ─▶ connection ─▶ answer, or how the worker ended
//!                     one worker process, while it is needed
//! ```
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | a caller's | a call | the start of the worker and a connection, together until its deadline and grace; then its answer, as long again |
//! | `worker-start`, for each start | hands a new worker what it needs, hears how it went | the worker, `START_WAIT` |
//! | `worker-watch`, for each worker | starts the process, reads its stderr, reaps it | the end of the process |
//! | `reaper`, one | tells idle workers to end, kills those that do not | nothing but its next round |
//!
//! The notary's client has a thread too, `notary-watch` ([`notary`]). No lock is held over any of these waits. An [`InProcess`] has
//! a thread `tollgate-epoch`, and runs each call on its caller's thread.
//!
//! How long a call blocks the calling thread at most, beside that thread's own reads and writes of files:
//!
//! | call | at most |
//! |---|---|
//! | [`Supervisor::start`] | 60 s, until the notary has its ledger open |
//! | [`Supervisor::add`] and its like | no wait: no process is started |
//! | [`Tool::start`], [`Supervisor::describe`] | a start, 180 s, and 3 s until its failure is known |
//! | [`Tool::call`] | twice the deadline and grace: for its turn, and for its answer; once more where whoever hears what the tool writes takes as long; where the worker fails it, 3.5 s for the worker's end and 5 s for the notary's word on the call, once it is this question's turn |
//! | [`Trial::run`] | a start, then as long again for the worker to end by itself, then 6 s to end it, and 3.5 s for the word on how it ended |
//! | [`Supervisor::finish`], dropping it | 9 s for the workers, then what [`NotaryProcess::finish`] says |
//!
//! Of what a worker says, the supervisor believes the tool's own answer and nothing else. It bounds the size and the time of all
//! of it.

#![deny(unsafe_code)]

mod admitted;
mod calls;
mod cancel;
mod group;
mod live_workers;
mod member;
pub mod notary;
mod reaper;
mod slot;
mod spawner;
mod sync;
mod tool;
mod tool_spec;
mod trial;
mod worker_handle;
mod worker_process;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tollgate_audit::entry::Reload;
use tollgate_audit::{Digest, Record};
use tollgate_authority::{Deciding, DecidingPlaces};
use tollgate_config::{CompartmentName, Deployment, SandboxLevel};
use tollgate_engine::artifact::Artifact;
use tollgate_engine::call::turn_down;
use tollgate_engine::clock::now_ns;
use tollgate_engine::error::{CallError, CallFailure, LoadError, with_causes};
use tollgate_engine::private::PrivateTexts;
use tollgate_engine::request::Request;
use tollgate_engine::tool::NamedTool;
use tollgate_notary::{Recorder, WriterKind};
use tollgate_system::{ProcessCommand, lock};

pub use self::cancel::Cancel;
use self::group::Group;
use self::live_workers::LiveWorkers;
use self::member::Member;
use self::reaper::{Reaper, ToReaper};
pub use self::tool::{Control, Hears, InProcess, Tool};
pub use self::tool_spec::ToolSpec;
pub use self::trial::Trial;
use self::worker_handle::{END_WAIT, NOT_ENDED};
pub use self::worker_process::WorkerEnd;
use crate::notary::{NotaryFailure, NotaryProcess};

/// How workers are run.
#[derive(Debug, Clone)]
pub struct SupervisorSettings {
    /// How to start one.
    pub command: ProcessCommand,
    /// The least seal with which a worker may serve.
    pub required: SandboxLevel,
    /// A worker without calls for this long is ended; the next call starts another one.
    pub idle: Duration,
    /// A worker is killed this long after the deadline of a call that it has not answered.
    pub grace: Duration,
    /// Places that no grant may reach. The ledger and the program of `command` need not be among them: they always count.
    pub places: DecidingPlaces,
    /// Most calls that a worker runs at the same time, beside what its tools' `limits.calls` allow. Others wait.
    pub connections_max: u32,
}

impl SupervisorSettings {
    /// The defaults of a policy, with workers that `command` starts.
    #[must_use]
    pub fn new(command: ProcessCommand) -> Self {
        Self::of(&Deployment::default(), command)
    }

    /// The settings of a policy: `sandbox.require`, `workers.idle` and `workers.grace`.
    #[must_use]
    pub fn of(deployment: &Deployment, command: ProcessCommand) -> Self {
        let Deployment { sandbox, workers, .. } = deployment;
        let [idle, grace] = [workers.idle_ms, workers.grace_ms].map(Duration::from_millis);
        let places = DecidingPlaces::none();
        Self { command, required: sandbox.require, idle, grace, places, connections_max: u32::MAX }
    }
}

/// Runs tools in sealed processes, and has their calls recorded by a notary. Dropping it ends them all.
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    reaper: Option<Reaper>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    settings: SupervisorSettings,
    notary: NotaryProcess,
    private: PrivateTexts,
    ledger: PathBuf,
    places: DecidingPlaces,
    groups: Mutex<Vec<Weak<Group>>>,
    live_workers: LiveWorkers,
    // Records the calls that no worker gets. Made for the first of them.
    recorder: Mutex<Option<Arc<Recorder>>>,
    to_reaper: Mutex<Sender<ToReaper>>,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// No notary.
    #[error(transparent)]
    Notary(#[from] NotaryFailure),
    /// The side store, `<ledger>.private`, cannot be opened, or another process has it.
    #[error("the side store beside the ledger cannot be used")]
    SideStore(#[source] io::Error),
    /// The ledger's folder is gone, or cannot be reached any more.
    #[error("the ledger's folder cannot be found")]
    Ledger(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl Supervisor {
    /// Starts the notary of the ledger in the folder `ledger`, and waits at most 60 s until it has that open.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`].
    pub fn start(notary: ProcessCommand, ledger: &Path, settings: SupervisorSettings) -> Result<Self, SupervisorError> {
        Self::start_with(NotaryProcess::start(notary)?, ledger, settings)
    }

    /// As [`Supervisor::start`], with a notary of the ledger in the folder `ledger` that has been started, or is
    /// [borrowed](NotaryProcess::borrow). Waits for nothing.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`].
    pub fn start_with(
        notary: NotaryProcess,
        ledger: &Path,
        settings: SupervisorSettings,
    ) -> Result<Self, SupervisorError> {
        let private = if notary.is_borrowed() { PrivateTexts::open_beside(ledger) } else { PrivateTexts::open(ledger) };
        let private = private.map_err(SupervisorError::SideStore)?;
        // Only now that the ledger is there: its place is judged as it is, and so is every link on the way that was given.
        let given = std::path::absolute(ledger).map_err(SupervisorError::Ledger)?;
        let (groups, ledger) = (Mutex::default(), ledger.canonicalize().map_err(SupervisorError::Ledger)?);
        let places = settings.places.clone().with_ledger(&given).with(Deciding::Program, &settings.command.program);
        let live_workers = LiveWorkers::default();
        let recorder = Mutex::new(None);
        let (say, said) = mpsc::channel();
        let to_reaper = Mutex::new(say.clone());
        let shared =
            Arc::new(Shared { settings, notary, private, ledger, places, groups, live_workers, recorder, to_reaper });
        let reaper = Reaper::start(&shared, (say, said)).map_err(SupervisorError::Thread)?;
        Ok(Self { shared, reaper: Some(reaper) })
    }

    /// Takes a tool that has a worker process of its own, which starts when it is first needed. Opens the granted folders and
    /// writes beside the ledger; waits for no process.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the grant is refused, or what must be known of the tool cannot be kept.
    pub fn add(&self, tool: ToolSpec) -> Result<Tool, LoadError> {
        let member = Member::new(&self.shared, tool)?;
        let tool = Arc::clone(&member.tool);
        Ok(Tool::in_worker(tool, self.group(vec![member]), 0))
    }

    /// Takes the tools of a compartment: they share a worker process, which may do what any of them may.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: what must be known of one of them cannot be kept.
    pub fn add_compartment(&self, tools: Vec<ToolSpec>) -> Result<Vec<Tool>, LoadError> {
        Ok(Tool::all_of(&self.group(self.members(tools)?)))
    }

    /// Takes tools as the `[compartments]` of a policy say: those of one compartment share a worker process, every other tool
    /// has one of its own. In the order of `tools`.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: what must be known of one of them cannot be kept.
    pub fn add_by_policy(&self, deployment: &Deployment, tools: Vec<ToolSpec>) -> Result<Vec<Tool>, LoadError> {
        let mut compartments: Vec<(Option<&CompartmentName>, Vec<usize>, Vec<ToolSpec>)> = Vec::new();
        for (place, tool) in tools.into_iter().enumerate() {
            let own = deployment.compartment_of(&tool.name);
            match compartments.iter_mut().find(|(name, _, _)| name.is_some() && *name == own) {
                Some((_, places, members)) => {
                    places.push(place);
                    members.push(tool);
                }
                None => compartments.push((own, vec![place], vec![tool])),
            }
        }
        let mut added = BTreeMap::new();
        for (_, places, members) in compartments {
            added.extend(places.into_iter().zip(self.add_compartment(members)?));
        }
        Ok(added.into_values().collect())
    }

    /// Asks a component for its operations, in a worker without any right that ends afterwards. The ledger has the question.
    /// Returns the artifact with the answer: from now on the component must say the same wherever it is loaded. Waits as
    /// [`Tool::start`] does.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn describe(&self, tool: ToolSpec) -> Result<Artifact, LoadError> {
        let artifact = tool.artifact.clone();
        let asked = self.add(tool.bare())?;
        asked.start()?;
        Ok(artifact.with_operations(asked.operations()?))
    }

    fn members(&self, tools: Vec<ToolSpec>) -> Result<Vec<Member>, LoadError> {
        tools.into_iter().map(|tool| Member::new(&self.shared, tool)).collect()
    }

    fn group(&self, members: Vec<Member>) -> Arc<Group> {
        let group = Arc::new(Group::new(&self.shared, members));
        self.shared.groups().push(Arc::downgrade(&group));
        group
    }

    /// Takes tools whose workers are started for trials alone; none serves.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: what must be known of one of them cannot be kept.
    pub fn trial(&self, tools: Vec<ToolSpec>) -> Result<Trial, LoadError> {
        Ok(Trial::new(&self.shared, self.members(tools)?))
    }

    /// Puts on record that the policy was read again: `by` whom, the digest of its text, and why it is refused, if it is. Waits two
    /// seconds at most for a ledger that has no room.
    ///
    /// # Errors
    ///
    /// The ledger does not take it.
    pub fn record_reload(&self, by: &str, policy: Digest, refused: Option<&str>) -> Result<(), LoadError> {
        let unrecorded = |error: &dyn std::error::Error| LoadError::Unrecorded(with_causes(error));
        let recorder = self.shared.own_recorder().map_err(|error| unrecorded(&error))?;
        let reload =
            Reload { time_ns: now_ns(), by: by.into(), policy, refused: refused.map(|why| why.to_owned().into()) };
        recorder.reload(reload, Instant::now() + RELOAD_WAIT).map_err(|error| unrecorded(&error))
    }

    /// The failure of a call of a tool that this supervisor need not have: it is put on record as [`Tool::turn_down`] does it, and no
    /// worker is started for it.
    pub fn turn_down(&self, tool: NamedTool<'_>, request: &Request<'_>, error: CallError) -> Box<CallFailure> {
        self.shared.turn_down(tool, request, error)
    }

    /// How many workers live.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.live_workers.all().len()
    }

    /// The notary.
    #[must_use]
    pub fn notary(&self) -> &NotaryProcess {
        &self.shared.notary
    }

    /// Ends every worker, and waits until all records are on disk and the notary is gone. Tools that are still held can no longer
    /// be called. All workers are told to end at once. Those that live after 3 s are killed, and waited for 6 s more at most.
    /// Then the notary ends, as [`NotaryProcess::finish`] says.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`]: something may not be on disk.
    pub fn finish(mut self) -> Result<(), NotaryFailure> {
        self.end()
    }

    fn end(&mut self) -> Result<(), NotaryFailure> {
        if self.reaper.take().is_none() {
            return Ok(());
        }
        let groups = self.shared.all_groups();
        groups.iter().for_each(|group| group.close());
        self.shared.end_all();
        // A start that was under way finds its worker ended.
        let until = Instant::now() + END_WAIT;
        groups.iter().for_each(|group| group.await_closed(until));
        self.shared.notary.end()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Best effort: the notary brings what the pipes hold to disk in any case.
        self.end().ok();
    }
}

impl Shared {
    /// The record into which the supervisor itself writes.
    fn recorder(&self) -> io::Result<Arc<dyn Record>> {
        Ok(self.own_recorder()? as _)
    }

    fn turn_down(&self, tool: NamedTool<'_>, request: &Request<'_>, error: CallError) -> Box<CallFailure> {
        match self.recorder() {
            Ok(record) => turn_down(&record, tool, request, error),
            Err(_no_descriptors) => CallFailure::before(error),
        }
    }

    fn own_recorder(&self) -> io::Result<Arc<Recorder>> {
        let mut made = lock(&self.recorder);
        if let Some(recorder) = &*made {
            return Ok(Arc::clone(recorder));
        }
        let recorder = self.notary.recorder_of(WriterKind::Supervisor)?;
        Ok(Arc::clone(made.insert(recorder)))
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Weak<Group>>> {
        lock(&self.groups)
    }

    fn all_groups(&self) -> Vec<Arc<Group>> {
        let mut groups = self.groups();
        groups.retain(|group| group.strong_count() > 0);
        groups.iter().filter_map(Weak::upgrade).collect()
    }

    /// Has the reaper look at `at` whether a worker did what it was told.
    fn look_at(&self, at: Instant) {
        // No reaper: the supervisor is ending, and ends all workers.
        lock(&self.to_reaper).send(ToReaper::Look(at)).ok();
    }

    /// Kills workers that were told to end, or to end a call, and have not done so in time.
    fn kill_overdue(&self) {
        self.live_workers.all().iter().for_each(|handle| handle.kill_if_overdue());
    }

    /// Tells idle workers to end.
    fn end_idle(&self) {
        for group in self.all_groups() {
            group.end_if_idle(self.settings.idle);
        }
    }

    /// Ends all workers at the same time. None starts afterwards.
    fn end_all(&self) {
        self.live_workers.close().iter().for_each(|handle| handle.tell_to_end());
        let left = self.live_workers.await_none(END_WAIT);
        left.iter().for_each(|handle| handle.kill(NOT_ENDED));
        self.live_workers.await_none(END_WAIT);
    }
}

/// How long a ledger without room is waited for until it takes the entry of a reload.
const RELOAD_WAIT: Duration = Duration::from_secs(2);
