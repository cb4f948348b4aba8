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

mod errors;
mod loading;
mod looking;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tollgate_audit::Digest;
use tollgate_authority::{Deciding, DecidingPlaces, HeldFolders, PolicyFile};
use tollgate_capability::CapabilitySet;
use tollgate_config::{Agent, Deployment, Grant, Grants, Policy, ToolName};
use tollgate_engine::artifact::{ArtifactKey, EngineHash};
use tollgate_engine::engine::Engine;
use tollgate_engine::error::{CallFailure, RejectError};
use tollgate_engine::request::{Answer, Caller, Request};
use tollgate_engine::tool::NamedTool;
use tollgate_supervisor::notary::{NotaryFailure, NotaryRole};
use tollgate_supervisor::{Control, Supervisor, SupervisorSettings, Tool};
use tollgate_system::{ProcessCommand, lock};

pub use self::errors::{OpenError, ToolError, Unanswered};
use self::loading::Source;
pub use self::looking::Presence;
use crate::described::{Described, Known};
use crate::help::{self, Granted};
use crate::offers::{Aliases, aliases_of, unwrapped_input, wrapped_output};
use crate::registry::{InstalledTool, Registry, Stamp};

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
        let chosen = described.operation(call.operation).unwrap_or_else(|_several| call.operation.unwrap_or_default());
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
}

/// How often a tool is read anew that is replaced while it is read.
const TRIES: u32 = 8;

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
