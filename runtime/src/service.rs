//! The tools of a home, called by name under one policy. A daemon serves them, and an embedder opens them for itself.
//!
//! ```text
//! Tollgate::call ─▶ the policy that holds now ─▶ the tool, loaded if it is new or changed ─▶ its sealed worker
//!                   agent may call it?           record, component, manifest, grant, folders, artifact
//!
//! Tollgate::described ─▶ the same without a worker: record, manifest, grant, folders, operations as they are stored
//! ```
//!
//! Any thread may call. The first call that needs a tool loads it; other calls of the same tool, and of tools that share its
//! worker, wait meanwhile. A call in flight goes on under the policy and the component that it began with.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use tollgate_audit::Digest;
use tollgate_authority::{
    Deciding, DecidingPlaces, FolderError, HeldFolders, Nesting, PolicyFile, PolicyFileError, Seen, TrustStore, files,
    open_folders_by, same_file_as,
};
use tollgate_capability::CapabilitySet;
use tollgate_config::{
    Agent, BindError, Deployment, Grant, Grants, MANIFEST_BYTES_MAX, Manifest, ManifestError, MissingGrants, NameError,
    Policy, Subject, ToolName, intersect,
};
use tollgate_engine::artifact::{Artifact, ArtifactKey, EngineHash, KeyError};
use tollgate_engine::engine::{Engine, StartError};
use tollgate_engine::error::{CallFailure, LoadError, RejectError};
use tollgate_engine::loading::Provenance;
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::request::{Answer, Caller, Request};
use tollgate_engine::tool::NamedTool;
use tollgate_supervisor::notary::{NotaryFailure, NotaryRole};
use tollgate_supervisor::{Control, Supervisor, SupervisorError, SupervisorSettings, Tool, ToolSpec};
use tollgate_system::{ProcessCommand, lock};

use crate::described::{Described, Known};
use crate::help::{self, Granted};
use crate::offers::{Aliases, aliases_of, unwrapped_input, wrapped_output};
use crate::registry::{COMPONENT_BYTES_MAX, FindError, InstalledTool, Registry, Stamp, StoredError};

/// The places and names that a [`Tollgate`] needs. Nothing is read from the environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of installed tools.
    pub tools: PathBuf,
    /// The key that compiled tools are sealed with.
    pub key: PathBuf,
    /// The folder of the ledger, which is made if it is not there.
    pub ledger: PathBuf,
    /// The name of a new ledger; drawn if `None`.
    pub origin: Option<String>,
    /// The policy. Without one, tools get nothing but standard output and error.
    pub policy: Option<PathBuf>,
    /// The folder of the trust store: accepted policies and nested folders.
    pub trust: Option<PathBuf>,
    /// The `tollgate` program, or one that becomes a notary and a worker by the same arguments.
    pub program: PathBuf,
    /// Name and version of the software, for the record.
    pub software: String,
    /// Who runs it, for the record.
    pub by: String,
    /// Places that no tool may change. The ledger, the tools, the key, the policy and the program need not be among them.
    pub places: DecidingPlaces,
    /// The value of a variable that a grant passes on from the environment.
    pub variable: fn(&str) -> Option<String>,
}

impl Config {
    /// A home as the command line has it under `TOLLGATE_HOME`: `tools`, `artifact.key`, `ledger`, `trust`, and `tollgate.toml` if
    /// that is there. No grant gets anything of the environment.
    #[must_use]
    pub fn at_home(home: &Path, program: &Path) -> Self {
        let policy = home.join(tollgate_authority::POLICY_NAME);
        Self {
            tools: home.join("tools"),
            key: home.join("artifact.key"),
            ledger: home.join("ledger"),
            origin: None,
            policy: policy.exists().then_some(policy),
            trust: Some(home.join("trust")),
            program: program.to_owned(),
            software: concat!("tollgate ", env!("CARGO_PKG_VERSION")).to_owned(),
            by: format!("uid:{}", rustix::process::getuid().as_raw()),
            places: DecidingPlaces::none(),
            variable: |_name| None,
        }
    }
}

/// The tools of a home, ready to be called by name. Dropping it ends their workers, then the notary.
#[derive(Debug)]
pub struct Tollgate {
    governing: Mutex<Arc<Governing>>,
    loaded: Mutex<Places>,
    known: Known,
    supervisor: Supervisor,
    registry: Registry,
    engine: Engine,
    engine_hash: EngineHash,
    key: ArtifactKey,
    config: Config,
}

/// The policy in force.
#[derive(Debug)]
struct Governing {
    // Each policy that is adopted has another number.
    number: u64,
    grants: Grants,
    deployment: Arc<Deployment>,
    text: String,
    places: DecidingPlaces,
    aliases: Arc<Aliases>,
}

/// A look at many tools, one after the other, all under one policy.
pub(crate) struct Look {
    governing: Arc<Governing>,
    seen: Seen,
    engine: EngineHash,
}

impl Look {
    /// The names by which the policy has operations offered to models.
    pub(crate) fn aliases(&self) -> &Arc<Aliases> {
        &self.governing.aliases
    }
}

/// A policy that was read and is not in force yet.
#[derive(Debug)]
pub struct NextPolicy(Governing);

impl NextPolicy {
    /// How it has tools run, and who may ask for them.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.0.deployment
    }

    /// The digest of its text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.text.as_bytes())
    }
}

/// The place of tools that share a worker, once they are loaded. While they are, calls that need them wait for its lock.
type Place = Arc<Mutex<Option<Loaded>>>;

/// The places of the tools that are in use, by the names of those that share a worker: at most [`PLACES_MAX`], of which that one goes
/// that was not used for longest. It is loaded again with its next call.
#[derive(Debug, Default)]
struct Places {
    // Each with the number of its last use.
    places: HashMap<Vec<ToolName>, (Place, u64)>,
    uses: u64,
}

impl Places {
    fn get(&mut self, names: &[ToolName]) -> Option<Place> {
        self.uses += 1;
        let (place, used) = self.places.get_mut(names)?;
        *used = self.uses;
        Some(Arc::clone(place))
    }

    /// A place, and those that went for it, to be dropped where nobody waits: their workers end.
    fn make(&mut self, names: &[ToolName]) -> (Place, Vec<Place>) {
        let mut gone = Vec::new();
        while self.places.len() >= PLACES_MAX {
            // One that somebody else has is in use.
            let idle = self.places.iter().filter(|(_, (place, _))| Arc::strong_count(place) == 1);
            let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(names, _)| names.clone()) else { break };
            gone.extend(self.places.remove(&oldest).map(|(place, _)| place));
        }
        let (place, used) = self.places.entry(names.to_vec()).or_default();
        *used = self.uses;
        (Arc::clone(place), gone)
    }
}

/// Most tools, or compartments, that are kept loaded.
const PLACES_MAX: usize = 128;

/// Tools that share a worker, and the policy under which they were loaded.
#[derive(Debug)]
struct Loaded {
    under: u64,
    /// All of them, also those that cannot be used.
    stamps: Stamps,
    tools: BTreeMap<ToolName, Arc<Ready>>,
}

/// A tool that can be called.
#[derive(Debug)]
pub struct Ready {
    /// What is known of it without a worker.
    pub described: Arc<Described>,
    tool: Tool,
    grant: Grant,
    source: Arc<Source>,
    _folders: HeldFolders,
}

/// What was read of an installed tool, but for its component and its code. It is read again where the tool's record is another.
#[derive(Debug)]
struct Source {
    tool: InstalledTool,
    manifest: Manifest,
    manifest_text: String,
    operations: OperationTexts,
}

/// A tool under a policy, which has no worker of it yet.
struct Prepared {
    source: Arc<Source>,
    set: CapabilitySet,
    grant: Grant,
    folders: HeldFolders,
}

/// The records of tools that share a worker.
type Stamps = BTreeMap<ToolName, Stamp>;

/// A call of a tool by its name.
#[derive(Debug, Clone)]
pub struct Call<'c> {
    /// The tool.
    pub tool: &'c str,
    /// The operation; may be `None` for a tool with only one.
    pub operation: Option<&'c str>,
    /// JSON text.
    pub arguments: &'c str,
    /// What the guest may read from standard input, if that is granted.
    pub stdin: Bytes,
    /// Who asks.
    pub caller: Caller,
}

/// Why a home cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] Box<PolicyFileError>),
    /// The key of compiled tools cannot be used.
    #[error("the key of compiled tools cannot be used")]
    Key(#[from] KeyError),
    /// No process can be started, or the ledger not be opened.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] StartError),
}

/// Why a tool cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No tool has the name.
    #[error("no tool `{}` is installed", name.escape_debug())]
    Unknown {
        /// The name, as it was given.
        name: String,
    },
    /// What was given can be no name of a tool.
    #[error("`{}` is no name of a tool: {source}", name.escape_debug())]
    NoName {
        /// As it was given.
        name: String,
        /// Why.
        source: NameError,
    },
    /// What is called is a version of a tool, and not the tool.
    #[error(
        "`{}` names a version of a tool: here the current version of a tool is called, by its name alone",
        given.escape_debug()
    )]
    Version {
        /// As it was given.
        given: String,
    },
    /// Its record cannot be used.
    #[error("the installed tool `{name}` cannot be used, {}: {source}", help_of(source))]
    Record {
        /// The tool.
        name: ToolName,
        /// Why.
        source: FindError,
    },
    /// One of its files is gone, cannot be read, or has a second name by which it could be changed.
    #[error("the installed tool `{name}` cannot be used, `tollgate doctor` says more: {what}")]
    Damaged {
        /// The tool.
        name: ToolName,
        /// What is wrong.
        what: String,
    },
    /// The manifest cannot be used.
    #[error("the manifest of the installed tool `{name}` cannot be used: {source}")]
    Manifest {
        /// The tool.
        name: ToolName,
        /// Why.
        source: Box<ManifestError>,
    },
    /// The policy's entry is for another component.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It needs what it is not granted.
    #[error(transparent)]
    Ungranted(Box<MissingGrants>),
    /// A granted folder cannot be opened.
    #[error(transparent)]
    Folder(Box<FolderError>),
    /// Its compiled code is refused.
    #[error(
        "what was compiled of the installed tool `{name}` is refused, `tollgate doctor --fix` compiles it again: {source}"
    )]
    Stored {
        /// The tool.
        name: ToolName,
        /// Why.
        source: StoredError,
    },
    /// The supervisor does not take it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl ToolError {
    /// What an agent is told that is not the operator, where the error itself names folders of this machine, or what the policy says.
    #[must_use]
    pub fn for_agents(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } | Self::NoName { .. } | Self::Version { .. } | Self::Ungranted(_) => None,
            Self::Record { .. }
            | Self::Damaged { .. }
            | Self::Manifest { .. }
            | Self::Bind(_)
            | Self::Folder(_)
            | Self::Stored { .. }
            | Self::Load(_) => Some("the tool cannot be used now, and the operator was told why"),
        }
    }
}

fn help_of(error: &FindError) -> &'static str {
    match error {
        FindError::Older { .. } => "`tollgate doctor --fix` moves it",
        FindError::Unreadable { .. }
        | FindError::NoRecord { .. }
        | FindError::OtherName { .. }
        | FindError::NoFile { .. }
        | FindError::Choice(_) => "`tollgate doctor` says more",
    }
}

impl ToolError {
    /// Whether what is installed is to blame, which `tollgate doctor` finds, and not what the policy says.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Record { .. } | Self::Damaged { .. } | Self::Manifest { .. } | Self::Stored { .. } => true,
            Self::Unknown { .. }
            | Self::NoName { .. }
            | Self::Version { .. }
            | Self::Bind(_)
            | Self::Ungranted(_)
            | Self::Folder(_)
            | Self::Load(_) => false,
        }
    }
}

/// Whether a tool is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Something is installed under its name.
    Installed,
    /// A version of before has installed it: `tollgate doctor --fix` moves it.
    Older,
    /// Nothing is.
    Missing,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The tool cannot be called at all. The call has no id, and is not on record.
    #[error(transparent)]
    Tool(#[from] Box<ToolError>),
    /// The call failed.
    #[error("{}", .0.error)]
    Call(Box<CallFailure>),
}

impl Tollgate {
    /// Starts the notary of the ledger, and waits at most 60 s until it has that open. No tool is loaded yet.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_as(config, None)
    }

    /// As [`Tollgate::open`], for a daemon: the ledger's lock names its socket, `daemon`.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_as(config: Config, daemon: Option<PathBuf>) -> Result<Self, OpenError> {
        let governing = Governing::read(&config)?;
        let key = ArtifactKey::open_or_make(&config.key)?;
        let engine = Engine::new(1)?;
        let Config { ledger, origin, software, program, .. } = &config;
        let role = NotaryRole { ledger: ledger.clone(), origin: origin.clone(), software: software.clone(), daemon };
        let settings = SupervisorSettings {
            places: governing.places.clone(),
            ..SupervisorSettings::of(&governing.deployment, ProcessCommand::new(program, ["worker"]))
        };
        let supervisor = Supervisor::start(role.command(program), ledger, settings)?;
        let (registry, governing) = (Registry::new(config.tools.clone()), Mutex::new(Arc::new(governing)));
        let (known, engine_hash) = (Known::default(), EngineHash::of(&engine));
        Ok(Self { governing, loaded: Mutex::default(), known, supervisor, registry, engine, engine_hash, key, config })
    }

    /// The supervisor that runs its tools.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// How its tools are run, by the policy in force.
    #[must_use]
    pub fn deployment(&self) -> Arc<Deployment> {
        Arc::clone(&self.governing().deployment)
    }

    /// The digest of the text of the policy in force.
    #[must_use]
    pub fn policy_digest(&self) -> Digest {
        Digest::of(self.governing().text.as_bytes())
    }

    /// Reads the policy again. New calls are made under it: a tool whose component or capability set has changed gets a new
    /// worker with its next call. Calls in flight end under the old policy. How workers are run (`[sandbox]`, `[workers]`) stays
    /// as it was at the start.
    ///
    /// # Errors
    ///
    /// [`OpenError::Policy`]: the policy cannot be used, and the old one stays in force.
    pub fn reload(&self) -> Result<(), OpenError> {
        self.adopt(self.read_policy()?);
        Ok(())
    }

    /// Reads the policy as it is now. It is not in force until it is [adopted](Tollgate::adopt).
    ///
    /// # Errors
    ///
    /// [`OpenError::Policy`].
    pub fn read_policy(&self) -> Result<NextPolicy, OpenError> {
        Governing::read(&self.config).map(NextPolicy)
    }

    /// Puts a policy into force.
    pub fn adopt(&self, next: NextPolicy) {
        let mut governing = lock(&self.governing);
        let number = governing.number + 1;
        *governing = Arc::new(Governing { number, ..next.0 });
    }

    /// The names by which the policy has operations offered to models, where they are not their own.
    #[must_use]
    pub fn aliases(&self) -> Arc<Aliases> {
        Arc::clone(&self.governing().aliases)
    }

    /// The names of all installed tools.
    ///
    /// # Errors
    ///
    /// Their folder cannot be listed.
    pub fn names(&self) -> io::Result<Vec<ToolName>> {
        self.registry.names()
    }

    /// Whether a tool of this name is there; one that cannot be used is, too.
    #[must_use]
    pub fn presence(&self, name: &ToolName) -> Presence {
        match self.registry.stamp(name) {
            Ok(None) => match self.registry.find(name) {
                Err(FindError::Older { .. }) => Presence::Older,
                Ok(None) => Presence::Missing,
                Ok(Some(_)) | Err(_) => Presence::Installed,
            },
            Ok(Some(_)) | Err(_) => Presence::Installed,
        }
    }

    /// What is known of the tool of this name, under the policy in force, without a worker: neither its component nor its code is
    /// read, but for what the code was compiled for. One system call where it is as it was.
    ///
    /// # Errors
    ///
    /// [`ToolError`]; a component or code that is damaged is not noticed, code of another engine or CPU is.
    pub fn described(&self, name: &str) -> Result<Arc<Described>, Box<ToolError>> {
        self.look_at(name, &self.look(), Known::keep)
    }

    /// The same for a list of many tools: it is kept where there is room.
    pub(crate) fn glanced_at(&self, name: &str, look: &Look) -> Result<Arc<Described>, Box<ToolError>> {
        self.look_at(name, look, Known::keep_if_room)
    }

    pub(crate) fn look(&self) -> Look {
        Look { governing: self.governing(), seen: Seen::default(), engine: self.engine_hash }
    }

    fn look_at(
        &self,
        name: &str,
        look: &Look,
        keep: fn(&Known, &ToolName, &Arc<Described>),
    ) -> Result<Arc<Described>, Box<ToolError>> {
        let name = parsed(name)?;
        let Look { governing, .. } = look;
        let mut tries = TRIES;
        loop {
            let stamp = self.stamp(&name)?.ok_or_else(|| self.absent(&name))?;
            if let Some(known) = self.known.get(&name, governing.number, stamp) {
                return Ok(known);
            }
            tries -= 1;
            match self.read_for_a_look(look, &name) {
                Ok(described) => {
                    keep(&self.known, &name, &described);
                    return Ok(described);
                }
                // A version that was removed while it was read, since another took its place.
                Err(_) if tries > 0 && self.stamp(&name)? != Some(stamp) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_for_a_look(&self, look: &Look, name: &ToolName) -> Result<Arc<Described>, Box<ToolError>> {
        let source = Source::read(self.installed(name)?, &self.key)?;
        source.tool.fits(look.engine).map_err(|source| ToolError::Stored { name: name.clone(), source })?;
        // Whoever looks starts nothing: the trust store remembers nothing of it.
        let one = self.prepare(&look.governing, Arc::new(source), (false, &look.seen))?;
        Ok(describe(&look.governing, &one))
    }

    /// When something was changed last in the folder of installed tools; `None` if that cannot be told. One system call.
    #[must_use]
    pub fn tools_changed_at(&self) -> Option<SystemTime> {
        std::fs::metadata(self.registry.folder()).and_then(|found| found.modified()).ok()
    }

    /// Ends the workers of tools that are not installed any more, once their calls are over.
    fn unload_removed(&self) {
        let is_gone = |name: &ToolName| matches!(self.stamp(name), Ok(None));
        let loaded: Vec<Vec<ToolName>> = lock(&self.loaded).places.keys().cloned().collect();
        for names in loaded.into_iter().filter(|names| names.iter().all(is_gone)) {
            let gone = lock(&self.loaded).places.remove(&names);
            // Where nobody waits for the lock.
            drop(gone);
        }
    }

    /// Looks again at the tools that were looked at, ends the workers of those that are gone, and says of each whose operations are others
    /// than those that were told last: a line for each, once. One that cannot be used is compared as soon as it can.
    ///
    /// Of more than 512 tools those that were looked at first are compared.
    pub fn changed_operations(&self) -> Vec<String> {
        let _one_at_a_time = self.known.telling();
        let look = self.look();
        let mut changes = Vec::new();
        for name in self.known.told() {
            match self.glanced_at(name.as_str(), &look) {
                Ok(described) => changes.extend(self.known.tell(&name, &described)),
                Err(error) if matches!(*error, ToolError::Unknown { .. }) => self.known.is_gone(&name),
                Err(_for_now) => self.known.forget(&name),
            }
        }
        self.unload_removed();
        changes
    }

    /// The tool of this name, under the policy in force. Reads the tool's files if it is new or changed.
    ///
    /// # Errors
    ///
    /// [`ToolError`].
    pub fn tool(&self, name: &str) -> Result<Arc<Ready>, Box<ToolError>> {
        self.tool_and_policy(name).map(|(ready, _policy)| ready)
    }

    /// Calls a tool, with a [`Control`]. If an agent was proven to ask, its entry in the policy must name the tool and the
    /// operation.
    ///
    /// A call beyond the tool's `limits.calls` waits for its turn until its deadline and the grace have passed. Blocks the
    /// calling thread for that, as [`Tool::call`] does, and while the tool is loaded.
    ///
    /// # Errors
    ///
    /// [`Unanswered`]; [`CallError::Busy`](tollgate_engine::error::CallError::Busy) where its turn does not come.
    pub fn call(&self, call: &Call<'_>, control: &Control) -> Result<Answer, Unanswered> {
        self.call_as(call, control, false)
    }

    /// As [`Tollgate::call`], of an operation as it is offered to models: where its arguments or results stand in an object for them,
    /// they do here, by the version of the tool that answers.
    ///
    /// # Errors
    ///
    /// As for [`Tollgate::call`].
    pub fn call_offered(&self, call: &Call<'_>, control: &Control) -> Result<Answer, Unanswered> {
        self.call_as(call, control, true)
    }

    fn call_as(&self, call: &Call<'_>, control: &Control, is_offered: bool) -> Result<Answer, Unanswered> {
        if !self.governing().is_theirs(call, |agent, tool| agent.tools.contains_key(tool)) {
            return Err(self.not_theirs(call));
        }
        let (ready, governing) = self.tool_and_policy(call.tool)?;
        let chosen = ready.described.operation(call.operation).map(str::to_owned);
        let operation = chosen.as_ref().map_or_else(|_none| call.operation.unwrap_or_default(), |name| name.as_str());
        let wrapping = if is_offered { ready.described.wrapping(operation) } else { (false, false) };
        let (is_input_wrapped, is_output_wrapped) = wrapping;
        let request = Request {
            operation,
            arguments: if is_input_wrapped { unwrapped_input(call.arguments) } else { call.arguments },
            stdin: call.stdin.clone(),
            caller: call.caller.clone(),
        };
        let may = governing.may(call, request.operation);
        if let Err(error) = may.and_then(|()| chosen.as_ref().map(drop).map_err(Clone::clone)) {
            return Err(ready.unanswered(ready.tool.turn_down(&request, error.into())));
        }
        let control = Control { waits_its_turn: true, ..control.clone() };
        let mut answer = ready.tool.call_with(&request, &control).map_err(|failure| ready.unanswered(failure))?;
        if is_output_wrapped {
            answer.output = wrapped_output(&answer.output);
        }
        Ok(answer)
    }

    /// The call of a tool that is not the proven agent's. It is on record where there is such a tool under a policy. The tool is not
    /// loaded for it: another one would go for that, which somebody else calls. What the operator grants it is not told.
    fn not_theirs(&self, call: &Call<'_>) -> Unanswered {
        let unknown = || Unanswered::Tool(Box::new(ToolError::Unknown { name: call.tool.to_owned() }));
        let Ok(described) = self.glanced_at(call.tool, &self.look()) else { return unknown() };
        let Ok(canonical) = described.set.to_canonical_json() else { return unknown() };
        let chosen = described.operation(call.operation).unwrap_or(call.operation.unwrap_or_default());
        let request = Request {
            operation: chosen,
            arguments: call.arguments,
            stdin: call.stdin.clone(),
            caller: call.caller.clone(),
        };
        let named = NamedTool {
            name: call.tool,
            version: &described.version,
            component: described.component,
            policy: Digest::of(canonical.as_bytes()),
            limits: described.set.limits,
        };
        let (agent, tool) = (agent_of(call), call.tool);
        let mut failure = self.supervisor.turn_down(named, &request, not_the_agents(call, chosen).into());
        failure.help = vec![help::to_name(agent, tool, chosen).to_string()];
        Unanswered::Call(failure)
    }

    /// Ends every worker, and waits until all records are on disk and the notary is gone ([`Supervisor::finish`]).
    ///
    /// # Errors
    ///
    /// [`NotaryFailure::Ended`]: something may not be on disk.
    pub fn close(self) -> Result<(), NotaryFailure> {
        let Self { loaded, supervisor, .. } = self;
        drop(loaded);
        supervisor.finish()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    fn governing(&self) -> Arc<Governing> {
        Arc::clone(&lock(&self.governing))
    }

    fn tool_and_policy(&self, given: &str) -> Result<(Arc<Ready>, Arc<Governing>), Box<ToolError>> {
        let name = parsed(given)?;
        let names = self.sharing(&self.governing(), &name);
        let place = self.place(&names, &name)?;
        let mut loaded = lock(&place);
        // Read again: this thread may have waited here through a reload.
        let governing = self.governing();
        let mut tries = TRIES;
        loop {
            let stamps = self.stamps(&names)?;
            if !stamps.contains_key(&name) {
                *loaded = None;
                return Err(self.absent(&name));
            }
            let is_as_before = |loaded: &Loaded| loaded.under == governing.number && loaded.stamps == stamps;
            // One that was left out is tried again whenever it is called.
            if !loaded.as_ref().is_some_and(|loaded| is_as_before(loaded) && loaded.tools.contains_key(&name)) {
                tries -= 1;
                let (new, refused) = self.load(&governing, &stamps, loaded.take(), &name);
                *loaded = Some(new);
                match refused {
                    None => {}
                    // A version that was removed while it was read, since another took its place.
                    Some(_) if tries > 0 && self.stamps(&names)? != stamps => continue,
                    Some(error) => return Err(error),
                }
            }
            let ready = loaded.as_ref().and_then(|loaded| loaded.tools.get(&name)).map(Arc::clone);
            return Ok((ready.ok_or_else(|| self.absent(&name))?, governing));
        }
    }

    /// Where a tool is, or will be, if it is installed: nothing is kept of the names that clients make up.
    fn place(&self, names: &[ToolName], name: &ToolName) -> Result<Place, Box<ToolError>> {
        let known = lock(&self.loaded).get(names);
        if let Some(known) = known {
            return Ok(known);
        }
        if self.stamp(name)?.is_none() {
            return Err(self.absent(name));
        }
        let (place, gone) = lock(&self.loaded).make(names);
        drop(gone);
        Ok(place)
    }

    fn stamp(&self, name: &ToolName) -> Result<Option<Stamp>, Box<ToolError>> {
        let damaged = |error: io::Error| Box::new(ToolError::Damaged { name: name.clone(), what: error.to_string() });
        self.registry.stamp(name).map_err(damaged)
    }

    /// The records of those of these tools that are installed.
    fn stamps(&self, names: &[ToolName]) -> Result<Stamps, Box<ToolError>> {
        let stamps = names.iter().map(|name| Ok(self.stamp(name)?.map(|stamp| (name.clone(), stamp))));
        stamps.filter_map(Result::transpose).collect()
    }

    /// Why a tool without a record cannot be called.
    fn absent(&self, name: &ToolName) -> Box<ToolError> {
        match self.installed(name) {
            Err(error) => error,
            // It is back by now, which the next call finds.
            Ok(_) => Box::new(ToolError::Unknown { name: name.to_string() }),
        }
    }

    fn installed(&self, name: &ToolName) -> Result<InstalledTool, Box<ToolError>> {
        let found = self.registry.find(name);
        let found = found.map_err(|source| Box::new(ToolError::Record { name: name.clone(), source }))?;
        found.ok_or_else(|| Box::new(ToolError::Unknown { name: name.to_string() }))
    }

    /// The tools that share a worker with this one, itself among them.
    fn sharing(&self, governing: &Governing, name: &ToolName) -> Vec<ToolName> {
        let deployment = &governing.deployment;
        let compartment = deployment.compartment_of(name).and_then(|own| deployment.compartments.get(own));
        compartment.cloned().unwrap_or_else(|| vec![name.clone()])
    }

    /// Hands tools to the supervisor. Unchanged tools keep their worker. One that cannot be used is left out, so that those that share a
    /// worker with it are called all the same; of the tool that is wanted, why.
    fn load(
        &self,
        governing: &Governing,
        stamps: &Stamps,
        before: Option<Loaded>,
        wanted: &ToolName,
    ) -> (Loaded, Option<Box<ToolError>>) {
        let before = before.map(|before| before.tools).unwrap_or_default();
        let mut left_out = LeftOut { wanted, why: None };
        let mut members = Vec::new();
        for (name, stamp) in stamps {
            let member = self.member(governing, (name, *stamp), &before);
            if member.as_ref().is_err_and(|error| error.is_damage()) {
                // So that the next list looks at it again.
                self.known.forget(name);
            }
            members.extend(left_out.unless_refused(name, member));
        }
        let mut loaded = Loaded { under: governing.number, stamps: stamps.clone(), tools: BTreeMap::new() };
        let added = match self.added(governing, members, &before, &mut left_out) {
            Ok(added) => added,
            Err(error) => return (loaded, left_out.why.or(Some(error))),
        };
        for (one, tool) in added {
            let described = describe(governing, &one);
            let Prepared { source, grant, folders, .. } = one;
            let name = source.tool.name.clone();
            self.known.keep(&name, &described);
            loaded.tools.insert(name, Arc::new(Ready { described, tool, grant, source, _folders: folders }));
        }
        (loaded, left_out.why)
    }

    /// One of the tools that share a worker, and what the supervisor needs of it, unless that is as before.
    fn member(
        &self,
        governing: &Governing,
        (name, stamp): (&ToolName, Stamp),
        before: &BTreeMap<ToolName, Arc<Ready>>,
    ) -> Result<(Prepared, Option<ToolSpec>), Box<ToolError>> {
        let ready = before.get(name);
        let source = match ready.map(|ready| &ready.source).filter(|source| source.tool.stamp() == stamp) {
            Some(source) => Arc::clone(source),
            None => Arc::new(Source::of_whole(self.installed(name)?, &self.key)?),
        };
        let one = self.prepare(governing, source, (true, &Seen::default()))?;
        let is_as_before = ready.is_some_and(|ready| {
            let (was, is) = (&ready.source.tool.installed, &one.source.tool.installed);
            // The manifest is on record with each worker.
            was.component == is.component && was.manifest == is.manifest && ready.described.set == one.set
        });
        let spec = if is_as_before { None } else { Some(self.spec(governing, &one)?) };
        Ok((one, spec))
    }

    /// These tools, as the supervisor has them: in the worker of before, where all are as they were.
    fn added(
        &self,
        governing: &Governing,
        members: Vec<(Prepared, Option<ToolSpec>)>,
        before: &BTreeMap<ToolName, Arc<Ready>>,
        left_out: &mut LeftOut<'_>,
    ) -> Result<Vec<(Prepared, Tool)>, Box<ToolError>> {
        if before.len() == members.len() && members.iter().all(|(_, spec)| spec.is_none()) {
            let kept = |(one, _): (Prepared, _)| {
                let tool = before.get(&one.source.tool.name).map(|ready| ready.tool.clone());
                tool.map(|tool| (one, tool))
            };
            return Ok(members.into_iter().filter_map(kept).collect());
        }
        let (mut added, mut specs) = (Vec::new(), Vec::new());
        for (one, spec) in members {
            let spec = spec.map_or_else(|| self.spec(governing, &one), Ok);
            if let Some(spec) = left_out.unless_refused(&one.source.tool.name, spec) {
                specs.push(spec);
                added.push(one);
            }
        }
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let tools = self.supervisor.add_compartment(specs).map_err(|error| Box::new(error.into()))?;
        Ok(added.into_iter().zip(tools).collect())
    }

    /// The capability set that a policy gives a tool, with its folders open.
    /// The trust store remembers whose policies count in them where something `starts`.
    fn prepare(
        &self,
        governing: &Governing,
        source: Arc<Source>,
        (starts, seen): (bool, &Seen),
    ) -> Result<Prepared, Box<ToolError>> {
        let (grants, tool) = (&governing.grants, &source.tool);
        let subject = Subject { name: &tool.name, digest: tool.installed.component.0, installed: true };
        let grant = grants.bind(subject, same_file_as(&tool.component())).map_err(ToolError::from)?.grant;
        let met = intersect(&source.manifest, &grant, self.config.variable);
        let mut set = met.map_err(|missing| Box::new(ToolError::Ungranted(Box::new(missing))))?.set;
        let places = governing.places.clone().with(Deciding::Component, &tool.component());
        let places = &places.with(Deciding::Manifest, &tool.manifest());
        let store = self.config.trust.clone().map(TrustStore::new);
        let nesting = Nesting { grant: &grant, grants, store: store.as_ref(), starts, places, bounds: None };
        let folders = open_folders_by(&mut set, nesting, seen);
        let folders = folders.map_err(|source| Box::new(ToolError::Folder(Box::new(source))))?;
        Ok(Prepared { source, set, grant, folders })
    }

    fn spec(&self, governing: &Governing, one: &Prepared) -> Result<ToolSpec, Box<ToolError>> {
        let Source { tool, manifest, manifest_text, .. } = &*one.source;
        let artifact: Result<Artifact, StoredError> = tool.artifact(&self.key, &self.engine);
        let artifact = artifact.map_err(|source| ToolError::Stored { name: tool.name.clone(), source })?;
        let declared = Some(tool.installed.declared.as_str());
        let provenance = Provenance { manifest: manifest_text, grant: &governing.text, by: &self.config.by, declared };
        Ok(ToolSpec::new(artifact, manifest, one.set.clone(), provenance))
    }
}

/// What is known of a tool without its worker.
fn describe(governing: &Governing, one: &Prepared) -> Arc<Described> {
    let Source { tool, manifest, operations, .. } = &*one.source;
    Arc::new(Described::new((governing.number, tool), manifest, operations.clone(), one.set.clone()))
}

/// The agent that was proven to ask.
fn agent_of<'c>(call: &'c Call<'_>) -> &'c str {
    call.caller.proven.as_ref().map_or("", |proven| &proven.agent)
}

fn not_the_agents(call: &Call<'_>, operation: &str) -> RejectError {
    let (agent, tool) = (agent_of(call).to_owned(), call.tool.to_owned());
    RejectError::NotTheAgents { agent, tool, operation: operation.to_owned() }
}

/// The name that is called.
fn parsed(given: &str) -> Result<ToolName, Box<ToolError>> {
    given.parse().map_err(|source| {
        let given = given.to_owned();
        Box::new(if given.contains('@') {
            ToolError::Version { given }
        } else {
            ToolError::NoName { name: given, source }
        })
    })
}

/// How often a tool is read anew that is replaced while it is read.
const TRIES: u32 = 8;

impl Source {
    fn read(tool: InstalledTool, key: &ArtifactKey) -> Result<Self, Box<ToolError>> {
        let name = &tool.name;
        let damaged = |what: String| Box::new(ToolError::Damaged { name: name.clone(), what });
        match tool.with_other_name() {
            Ok(None) => {}
            Ok(Some(path)) => return Err(damaged(format!("`{}` has another name (a hard link)", path.display()))),
            Err(error) => return Err(damaged(error.to_string())),
        }
        let manifest = read(&tool, &tool.manifest(), MANIFEST_BYTES_MAX as u64, tool.installed.manifest)?;
        let manifest_text =
            String::from_utf8(manifest).map_err(|_not_text| damaged("its manifest is not UTF-8 text".to_owned()))?;
        let manifest = Manifest::parse(&manifest_text, &tool.manifest().display().to_string())
            .map_err(|source| ToolError::Manifest { name: name.clone(), source: Box::new(source) })?;
        // Policy and ledger name it as it is installed.
        let manifest = Manifest { name: name.clone(), ..manifest };
        let operations = tool.operations(key);
        let operations = operations.map_err(|source| ToolError::Stored { name: tool.name.clone(), source })?;
        Ok(Self { tool, manifest, manifest_text, operations })
    }

    /// The same, of a tool whose component was looked at.
    fn of_whole(tool: InstalledTool, key: &ArtifactKey) -> Result<Self, Box<ToolError>> {
        read(&tool, &tool.component(), COMPONENT_BYTES_MAX, tool.installed.component)?;
        Self::read(tool, key)
    }
}

/// A file of a tool, if it is the one that was installed.
fn read(tool: &InstalledTool, path: &Path, bytes_max: u64, expected: Digest) -> Result<Vec<u8>, Box<ToolError>> {
    let damaged = |what: String| Box::new(ToolError::Damaged { name: tool.name.clone(), what });
    let bytes = files::read(path, bytes_max).map_err(|error| damaged(format!("`{}`: {error}", path.display())))?;
    match Digest::of(&bytes) {
        found if found == expected => Ok(bytes),
        found => Err(damaged(format!("`{}` was changed: it is {found}, and {expected} was installed", path.display()))),
    }
}

impl Ready {
    /// The capability set that is enforced.
    #[must_use]
    pub fn capability_set(&self) -> &CapabilitySet {
        self.tool.capability_set()
    }

    /// A failed call, with what would let it through.
    fn unanswered(&self, mut failure: Box<CallFailure>) -> Unanswered {
        let granted = Granted { manifest: &self.source.manifest, grant: &self.grant, has_author: true };
        failure.help = help::of(granted, &failure.error).iter().map(ToString::to_string).collect();
        Unanswered::Call(failure)
    }
}

/// Why the tool that is wanted is left out. Others are left out in silence: whoever calls them is told.
struct LeftOut<'n> {
    wanted: &'n ToolName,
    why: Option<Box<ToolError>>,
}

impl LeftOut<'_> {
    fn unless_refused<T>(&mut self, name: &ToolName, made: Result<T, Box<ToolError>>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                if name == self.wanted {
                    self.why = Some(error);
                }
                None
            }
        }
    }
}

impl Governing {
    fn read(config: &Config) -> Result<Self, OpenError> {
        let given = config.policy.as_deref().map(PolicyFile::of_operator).transpose().map_err(Box::new)?;
        let (policy, text) = given.map(|file| (file.policy, file.text)).unwrap_or_default();
        let places = config.places.clone().with_ledger(&config.ledger);
        let places = [
            (Deciding::Tools, &config.tools),
            (Deciding::ArtifactKey, &config.key),
            (Deciding::Program, &config.program),
        ]
        .into_iter()
        .chain(config.policy.iter().map(|path| (Deciding::Policy, path)))
        .chain(config.trust.iter().map(|path| (Deciding::TrustStore, path)))
        .fold(places, |places, (what, path)| places.with(what, path))
        .with_sockets_of(&policy.deployment)
        .with_components_of(&policy.grants);
        let Policy { grants, deployment } = policy;
        let aliases = grants.tools.iter().flat_map(|(tool, grant)| aliases_of(tool.as_str(), &grant.aliases));
        let aliases = Arc::new(aliases.collect());
        Ok(Self { aliases, number: 0, grants, deployment: Arc::new(deployment), text, places })
    }

    /// Whether nobody's entry in the policy is to be asked, or the proven agent's says yes.
    fn is_theirs(&self, call: &Call<'_>, says: impl Fn(&Agent, &ToolName) -> bool) -> bool {
        let Some(proven) = call.caller.proven.as_ref().filter(|_| !self.deployment.agents.is_empty()) else {
            return true;
        };
        let tool: Result<ToolName, _> = call.tool.parse();
        self.deployment.agent(&proven.agent).zip(tool.ok()).is_some_and(|(agent, tool)| says(agent, &tool))
    }

    /// Refuses the call of a proven agent whose entry in the policy does not name tool and operation.
    fn may(&self, call: &Call<'_>, operation: &str) -> Result<(), RejectError> {
        if self.is_theirs(call, |agent, tool| agent.may(tool, operation)) {
            return Ok(());
        }
        Err(not_the_agents(call, operation))
    }
}
