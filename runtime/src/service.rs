//! The tools of a home, called by name under one policy. A daemon serves them, and an embedder opens them for itself.
//!
//! ```text
//! Tollgate::call ─▶ the policy that holds now ─▶ the tool, loaded if it is new or changed ─▶ its sealed worker
//!                   agent may call it?           component, manifest, grant, folders, artifact
//! ```
//!
//! Any thread may call. The first call that needs a tool loads it; other calls of the same tool, and of tools that share its
//! worker, wait meanwhile. A call in flight goes on under the policy and the component that it began with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tollgate_audit::Digest;
use tollgate_authority::{
    Deciding, DecidingPlaces, FolderError, HeldFolders, Nesting, PolicyFile, PolicyFileError, TrustStore, files,
    open_folders, same_file_as,
};
use tollgate_capability::CapabilitySet;
use tollgate_config::{
    Agent, BindError, Deployment, Grant, Grants, MANIFEST_BYTES_MAX, Manifest, ManifestError, MissingGrants, NameError,
    Policy, Subject, ToolName, intersect,
};
use tollgate_engine::artifact::{Artifact, ArtifactKey, KeyError};
use tollgate_engine::engine::{Engine, StartError};
use tollgate_engine::error::{CallFailure, LoadError, RejectError};
use tollgate_engine::loading::Provenance;
use tollgate_engine::operations::{OperationText, OperationTexts};
use tollgate_engine::request::{Answer, Caller, Request};
use tollgate_supervisor::notary::{NotaryFailure, NotaryRole};
use tollgate_supervisor::{Control, Supervisor, SupervisorError, SupervisorSettings, Tool, ToolSpec};
use tollgate_system::{ProcessCommand, lock};

use crate::help::{self, Granted};
use crate::offers::{Aliases, aliases_of, wrapped};
use crate::registry::{COMPONENT_BYTES_MAX, InstalledTool, Registry, StoredError};

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
    // By the names of the tools that share a worker. While they are loaded, calls that need them wait for their lock.
    loaded: Mutex<HashMap<Vec<ToolName>, Place>>,
    supervisor: Supervisor,
    registry: Registry,
    engine: Engine,
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

/// The place of tools that share a worker, once they are loaded.
type Place = Arc<Mutex<Option<Loaded>>>;

/// Tools that share a worker, and the policy under which they were loaded.
#[derive(Debug)]
struct Loaded {
    under: u64,
    tools: BTreeMap<ToolName, Arc<Ready>>,
}

/// A tool that can be called.
#[derive(Debug)]
pub struct Ready {
    /// Its version, by its manifest.
    pub version: String,
    /// What it is for, by its manifest: untrusted text.
    pub description: String,
    /// What it can be called for: untrusted text.
    pub operations: OperationTexts,
    /// Its component.
    pub component: Digest,
    pub(crate) wrapped_input: BTreeSet<String>,
    pub(crate) wrapped_output: BTreeSet<String>,
    tool: Tool,
    // What was granted, before its folders were opened for the worker.
    set: CapabilitySet,
    grant: Grant,
    source: Arc<Source>,
    _folders: HeldFolders,
}

/// What was read of an installed tool. It is read again where the tool was installed again.
#[derive(Debug)]
struct Source {
    stamp: Stamp,
    component: Digest,
    manifest: Manifest,
    // The name in its manifest.
    declared: String,
    manifest_text: String,
}

/// A tool under a policy, which has no worker of it yet.
struct Prepared {
    source: Arc<Source>,
    set: CapabilitySet,
    grant: Grant,
    folders: HeldFolders,
}

/// Tells a tool that was installed again from the one before: its artifact is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

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
    /// One of its files is gone, cannot be read, or has a second name by which it could be changed.
    #[error("the installed tool `{name}` cannot be used: {what}")]
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
    #[error("the compiled code of the installed tool `{name}` is refused, install it again: {source}")]
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
        Ok(Self { governing, loaded: Mutex::default(), supervisor, registry, engine, key, config })
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
        Ok(self.registry.tools()?.into_iter().map(|tool| tool.name).collect())
    }

    /// Whether a tool of this name is installed.
    #[must_use]
    pub fn is_installed(&self, name: &ToolName) -> bool {
        self.registry.find(name).is_some()
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
        let (ready, governing) = self.tool_and_policy(call.tool).map_err(|error| {
            // Whoever may not call it does not learn what the operator grants it.
            let is_theirs = self.governing().is_theirs(call, |agent, tool| agent.tools.contains_key(tool));
            if is_theirs { error } else { Box::new(ToolError::Unknown { name: call.tool.to_owned() }) }
        })?;
        let chosen = ready.operation(call.operation);
        let request = Request {
            operation: chosen.as_ref().map_or_else(|_none| call.operation.unwrap_or_default(), |name| name.as_str()),
            arguments: call.arguments,
            stdin: call.stdin.clone(),
            caller: call.caller.clone(),
        };
        let may = governing.may(call, request.operation);
        if let Err(error) = may.and_then(|()| chosen.as_ref().map(drop).map_err(Clone::clone)) {
            return Err(ready.unanswered(ready.tool.turn_down(&request, error.into())));
        }
        let control = Control { waits_its_turn: true, ..control.clone() };
        ready.tool.call_with(&request, &control).map_err(|failure| ready.unanswered(failure))
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
        let name: ToolName = given.parse().map_err(|source| ToolError::NoName { name: given.to_owned(), source })?;
        let unknown = || Box::new(ToolError::Unknown { name: given.to_owned() });
        let names = self.sharing(&self.governing(), &name);
        let place = self.place(&names, &name).ok_or_else(unknown)?;
        let mut loaded = lock(&place);
        // Read again: this thread may have waited here through a reload.
        let governing = self.governing();
        let installed: Vec<InstalledTool> = names.iter().filter_map(|name| self.registry.find(name)).collect();
        if !installed.iter().any(|tool| tool.name == name) {
            return Err(unknown());
        }
        let stamps = installed.iter().map(|tool| Ok((tool.name.clone(), Stamp::of(tool)?)));
        let stamps = stamps.collect::<Result<BTreeMap<_, _>, Box<ToolError>>>()?;
        if !loaded.as_ref().is_some_and(|loaded| loaded.is(governing.number, &stamps)) {
            *loaded = Some(self.load(&governing, &installed, &stamps, loaded.take())?);
        }
        let ready = loaded.as_ref().and_then(|loaded| loaded.tools.get(&name)).ok_or_else(unknown)?;
        Ok((Arc::clone(ready), governing))
    }

    /// Where a tool is, or will be, if it is installed: nothing is kept of the names that clients make up.
    fn place(&self, names: &[ToolName], name: &ToolName) -> Option<Place> {
        let known = lock(&self.loaded).get(names).cloned();
        if known.is_some() {
            return known;
        }
        self.is_installed(name).then(|| Arc::clone(lock(&self.loaded).entry(names.to_vec()).or_default()))
    }

    /// The tools that share a worker with this one, itself among them.
    fn sharing(&self, governing: &Governing, name: &ToolName) -> Vec<ToolName> {
        let deployment = &governing.deployment;
        let compartment = deployment.compartment_of(name).and_then(|own| deployment.compartments.get(own));
        compartment.cloned().unwrap_or_else(|| vec![name.clone()])
    }

    /// Hands tools to the supervisor. Unchanged tools keep their worker.
    fn load(
        &self,
        governing: &Governing,
        installed: &[InstalledTool],
        stamps: &BTreeMap<ToolName, Stamp>,
        before: Option<Loaded>,
    ) -> Result<Loaded, Box<ToolError>> {
        let before = before.map(|before| before.tools).unwrap_or_default();
        let mut prepared = Vec::new();
        for tool in installed {
            let known = before.get(&tool.name).map(|ready| &ready.source);
            let source = match known.filter(|source| stamps.get(&tool.name) == Some(&source.stamp)) {
                Some(source) => Arc::clone(source),
                None => Arc::new(Source::read(tool)?),
            };
            prepared.push((tool, self.prepare(governing, tool, source)?));
        }
        let is_as_before = |(tool, one): &(&InstalledTool, Prepared)| {
            before.get(&tool.name).is_some_and(|ready| ready.component == one.source.component && ready.set == one.set)
        };
        let are_as_before = before.len() == prepared.len() && prepared.iter().all(is_as_before);
        let mut artifacts = BTreeMap::new();
        let tools: Vec<(Tool, OperationTexts)> = if are_as_before {
            let kept = |(tool, _): &(&InstalledTool, Prepared)| {
                before.get(&tool.name).map(|ready| (ready.tool.clone(), ready.operations.clone()))
            };
            prepared.iter().filter_map(kept).collect()
        } else {
            for (tool, one) in &prepared {
                let artifact = tool.artifact(&self.key, one.source.component, &self.engine);
                let artifact = artifact.map_err(|source| ToolError::Stored { name: tool.name.clone(), source })?;
                artifacts.insert(tool.name.clone(), artifact);
            }
            let specs = prepared.iter().filter_map(|(tool, one)| {
                let artifact = artifacts.remove(&tool.name)?;
                let operations = artifact.operations().cloned().unwrap_or_default();
                Some((self.spec(governing, one, artifact), operations))
            });
            let (specs, operations): (Vec<_>, Vec<_>) = specs.unzip();
            let added = self.supervisor.add_compartment(specs).map_err(|error| Box::new(error.into()))?;
            added.into_iter().zip(operations).collect()
        };
        let tools = prepared.into_iter().zip(tools).map(|((installed, one), (tool, operations))| {
            let Prepared { source, set, grant, folders } = one;
            let (version, description) = (source.manifest.version.to_string(), source.manifest.description.clone());
            let component = source.component;
            let wrapped_input = wrapped(operations.iter().map(|text| (&text.name, &text.input_schema)));
            let wrapped_output = wrapped(operations.iter().map(|text| (&text.name, &text.output_schema)));
            let ready = Ready {
                version,
                description,
                operations,
                component,
                wrapped_input,
                wrapped_output,
                tool,
                set,
                grant,
                source,
                _folders: folders,
            };
            (installed.name.clone(), Arc::new(ready))
        });
        Ok(Loaded { under: governing.number, tools: tools.collect() })
    }

    /// The capability set that a policy gives a tool, with its folders open.
    fn prepare(
        &self,
        governing: &Governing,
        tool: &InstalledTool,
        source: Arc<Source>,
    ) -> Result<Prepared, Box<ToolError>> {
        let grants = &governing.grants;
        let subject = Subject { name: &tool.name, digest: source.component.0, installed: true };
        let grant = grants.bind(subject, same_file_as(&tool.component())).map_err(ToolError::from)?.grant;
        let met = intersect(&source.manifest, &grant, self.config.variable);
        let mut set = met.map_err(|missing| Box::new(ToolError::Ungranted(Box::new(missing))))?.set;
        let places = governing.places.clone().with(Deciding::Component, &tool.component());
        let places = &places.with(Deciding::Manifest, &tool.manifest());
        let store = self.config.trust.clone().map(TrustStore::new);
        let nesting = Nesting { grant: &grant, grants, store: store.as_ref(), starts: true, places, bounds: None };
        let folders =
            open_folders(&mut set, nesting).map_err(|source| Box::new(ToolError::Folder(Box::new(source))))?;
        Ok(Prepared { source, set, grant, folders })
    }

    fn spec(&self, governing: &Governing, one: &Prepared, artifact: Artifact) -> ToolSpec {
        let Source { manifest, manifest_text, declared, .. } = &*one.source;
        let declared = Some(declared.as_str());
        let provenance = Provenance { manifest: manifest_text, grant: &governing.text, by: &self.config.by, declared };
        ToolSpec::new(artifact, manifest, one.set.clone(), provenance)
    }
}

impl Source {
    fn read(tool: &InstalledTool) -> Result<Self, Box<ToolError>> {
        let name = &tool.name;
        let damaged = |what: String| Box::new(ToolError::Damaged { name: name.clone(), what });
        // Taken before the files are read: a tool that is exchanged meanwhile is read again by the next call.
        let stamp = Stamp::of(tool)?;
        match tool.with_other_name() {
            Ok(None) => {}
            Ok(Some(path)) => return Err(damaged(format!("`{}` has another name (a hard link)", path.display()))),
            Err(error) => return Err(damaged(error.to_string())),
        }
        let read = |path: &Path, max| {
            files::read(path, max).map_err(|error| damaged(format!("`{}`: {error}", path.display())))
        };
        let component = Digest::of(&read(&tool.component(), COMPONENT_BYTES_MAX)?);
        let manifest_text = String::from_utf8(read(&tool.manifest(), MANIFEST_BYTES_MAX as u64)?)
            .map_err(|_not_text| damaged("its manifest is not UTF-8 text".to_owned()))?;
        let manifest = Manifest::parse(&manifest_text, &tool.manifest().display().to_string())
            .map_err(|source| ToolError::Manifest { name: name.clone(), source: Box::new(source) })?;
        let declared = manifest.name.to_string();
        // Policy and ledger name it as it is installed.
        let manifest = Manifest { name: name.clone(), ..manifest };
        Ok(Self { stamp, component, manifest, declared, manifest_text })
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

    /// The operation that is asked for, or else its only one.
    fn operation(&self, given: Option<&str>) -> Result<String, RejectError> {
        let name = |operation: &OperationText| operation.name.clone();
        match (given, self.operations.iter().as_slice()) {
            (Some(given), _) => Ok(given.to_owned()),
            (None, [only]) => Ok(name(only)),
            (None, several) => Err(RejectError::WhichOperation { known: several.iter().map(name).collect() }),
        }
    }
}

impl Loaded {
    fn is(&self, under: u64, stamps: &BTreeMap<ToolName, Stamp>) -> bool {
        let own = self.tools.iter().map(|(name, ready)| (name, &ready.source.stamp));
        self.under == under && own.eq(stamps)
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
        let agent = call.caller.proven.as_ref().map(|proven| proven.agent.clone()).unwrap_or_default();
        Err(RejectError::NotTheAgents { agent, tool: call.tool.to_owned(), operation: operation.to_owned() })
    }
}

impl Stamp {
    fn of(tool: &InstalledTool) -> Result<Self, Box<ToolError>> {
        let damaged = |error: io::Error| ToolError::Damaged { name: tool.name.clone(), what: error.to_string() };
        let found = fs::metadata(tool.artifact_file()).map_err(damaged)?;
        Ok(Self { device: found.dev(), inode: found.ino(), changed: (found.ctime(), found.ctime_nsec()) })
    }
}
