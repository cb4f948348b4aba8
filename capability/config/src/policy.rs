//! The policy (`tollgate.toml`): the operator's grants, by tool. A policy that does not parse must never let a tool load:
//! every key is known, every value inside its bounds, or there is no policy.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_capability::{
    Access, AccessSet, Acknowledge, ArgumentsRecord, AuditSettings, OnViolation, Patterns, RandomMode, RecordScope,
    Stdio, StdioSet,
};
use toml::Spanned;

use crate::agents::{AGENTS_MAX, Agent, RawAgent, RawAgents, agents};
use crate::compile::{CompileSettings, RawCompile};
use crate::diagnostic::{Document, DocumentError, PolicyError};
use crate::grant::{EnvValue, FsGrant, Grant, QUOTA_BYTES_MAX, WRITE_QUOTA_DEFAULT, granted};
use crate::host_path::{expand, host_path};
use crate::limits::RawLimits;
use crate::names::{AgentName, CompartmentName, EnvName, GuestPath, OfferedName, OperationName, ToolName};
use crate::pin::ComponentPin;
use crate::sandbox::{SandboxLevel, SandboxSettings};
use crate::schema::{NOTHING, SizeSchema, key, quantity, values_length, without_null};
use crate::serve::{RawServe, ServeSettings};
use crate::shared::{RawClocks, parsed, rights};
use crate::texts::{self, COMPARTMENT_TOOLS_MAX, FOLDERS_MAX, OPERATIONS_MAX, POLICY_ENTRIES_MAX, VALUES_MAX};
use crate::units::{ByteSize, Quantity, Unit};
use crate::workers::{RawCompartments, RawWorkers, WorkerSettings, compartments};

/// Longest policy, in bytes: a thousand tools with a kilobyte each.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// What an operator says: who may do what, and how it is run. Neither needs the other, and each may be read again alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What tools get.
    pub grants: Grants,
    /// How they are run.
    pub deployment: Deployment,
}

/// What tools get: `[tools]`, and `[variables]` in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// What `${name}` in a host path stands for.
    pub variables: BTreeMap<String, String>,
    /// What each tool gets.
    pub tools: BTreeMap<ToolName, Grant>,
}

/// How tools are run, whatever they get: `[sandbox]`, `[workers]`, `[compile]`, `[compartments]`; and, for a daemon alone, who may
/// ask for them: `[agents]`, `[serve]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// What is asked of the kernel.
    pub sandbox: SandboxSettings,
    /// How long workers stay.
    pub workers: WorkerSettings,
    /// What compiling one component may cost.
    pub compile: CompileSettings,
    /// Which tools share a worker. No list is empty, and no tool is in them twice.
    pub compartments: BTreeMap<CompartmentName, Vec<ToolName>>,
    /// Who may ask a daemon. Empty: the operator's own user alone, with every grant.
    pub agents: BTreeMap<AgentName, Agent>,
    /// What a daemon holds for them.
    pub serve: ServeSettings,
}

impl Policy {
    /// Reads a policy. `file` is the name that errors show; relative host paths are joined to `folder`, the absolute path
    /// of the folder that the file is in.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that points at the first thing that is wrong.
    pub fn parse(text: &str, file: &str, folder: &Path) -> Result<Self, PolicyError> {
        let (document, raw) = Document::read::<RawPolicy>(file, text, POLICY_BYTES_MAX)?;
        raw.resolve(&Reader { document, folder })
    }
}

impl Grants {
    /// What `tool` gets; nothing if they do not name it.
    #[must_use]
    pub fn grant(&self, tool: &ToolName) -> Grant {
        self.tools.get(tool).cloned().unwrap_or_default()
    }
}

impl Deployment {
    /// The compartment that `tool` is in; `None` if it has a worker of its own.
    #[must_use]
    pub fn compartment_of(&self, tool: &ToolName) -> Option<&CompartmentName> {
        self.compartments.iter().find(|(_, tools)| tools.contains(tool)).map(|(name, _)| name)
    }

    /// The agent of this name, if there is one.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|(agent, _)| agent.as_str() == name).map(|(_, agent)| agent)
    }
}

/// The schema of `tollgate.toml`.
#[must_use]
pub fn policy_schema() -> serde_json::Value {
    without_null(schemars::schema_for!(RawPolicy))
}

/// `tollgate.toml`: what an operator gives each tool.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tollgate policy (tollgate.toml)")]
struct RawPolicy {
    /// What `${NAME}` in a host path stands for. `$$` is a dollar sign there.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = key("NAME")))]
    variables: BTreeMap<Spanned<String>, Spanned<String>>,
    /// What each tool gets, by its name. A tool that is not named gets nothing but stdout and stderr.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawGrant>", extend("propertyNames" = key("NAME")))]
    tools: BTreeMap<Spanned<String>, RawGrant>,
    /// What is asked of the kernel around the processes that run tools. A manifest has no say.
    #[serde(default)]
    sandbox: RawSandbox,
    /// How long the processes that run tools stay. A manifest has no say.
    #[serde(default)]
    workers: RawWorkers,
    /// What compiling one component may cost. A manifest has no say.
    #[serde(default)]
    compile: RawCompile,
    /// Tools that share one worker: the kernel lets each do what any of them may. A tool can be in one compartment,
    /// once; every other tool has a process of its own.
    #[serde(default)]
    #[schemars(
        with = "BTreeMap<String, Vec<String>>",
        extend("propertyNames" = key("NAME")),
        transform = values_length(1, COMPARTMENT_TOOLS_MAX)
    )]
    compartments: RawCompartments,
    /// Who may ask a daemon (`tollgate serve`) for tools, by a name of your choice; `local` is taken. Whoever is none of them is
    /// refused, and each has only the tools that its entry names. Without any, your own user is the agent `local`, with every
    /// grant of this file. `tollgate run` without a daemon does not look at them.
    #[schemars(
        with = "Option<BTreeMap<String, RawAgent>>",
        extend("propertyNames" = key("NAME"), "minProperties" = 1, "maxProperties" = AGENTS_MAX)
    )]
    agents: Option<Spanned<RawAgents>>,
    /// What a daemon (`tollgate serve`) holds for those who ask it. What is beyond is answered `busy`, or closed. A manifest has
    /// no say.
    #[serde(default)]
    serve: RawServe,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sandbox")]
struct RawSandbox {
    /// What the kernel must be able to enforce, or no tool runs. All that it can enforce is enforced in any case.
    #[serde(default)]
    require: SandboxLevel,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Grant")]
struct RawGrant {
    /// The component that this is for: `"sha256:…"`, or the path of its file, which starts at the folder of this file. Another
    /// component under this name is refused. A component that is run by its path takes the entry whose `component` that is,
    /// else the entry of its file's name without the ending (`_` counts as `-`), whatever its manifest calls it.
    #[schemars(with = "Option<String>", length(min = 1, max = 4095))]
    component: Option<Spanned<String>>,
    /// Folders of the host, by where the tool sees them; `GUEST` is a path, so it stands in quotes: `fs."/docs"`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawFsGrant>", extend("propertyNames" = key("GUEST")))]
    fs: BTreeMap<Spanned<String>, RawFsGrant>,
    /// An environment variable: its value, or `{ host = "NAME" }` for one of the operator's own. In the ledger there is
    /// only the SHA-256 of the value.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, RawEnvValue>", extend("propertyNames" = key("NAME")))]
    env: BTreeMap<Spanned<String>, Spanned<RawEnvValue>>,
    /// The argument vector. In the ledger there is only the SHA-256 of each argument.
    #[schemars(with = "Option<Vec<String>>", length(max = 128))]
    args: Option<Spanned<Vec<Spanned<String>>>>,
    /// Standard streams. Without `stdin` it is at its end; writing to another is denied.
    #[schemars(extend("default" = [Stdio::Stdout, Stdio::Stderr]))]
    stdio: Option<Vec<Stdio>>,
    /// Random bytes: `"secure"` for the operating system's, or `{ seed = 42 }` for the same bytes in every call.
    random: Option<RawRandom>,
    /// The finest clocks; without it, asking a clock is denied.
    #[serde(default)]
    clocks: RawClocks,
    /// Id and session of the call, and the time left, in steps of 100 ms; without it, asking is denied.
    #[serde(default)]
    context: bool,
    /// Ceilings on a call: the lower of manifest and grant holds. Where the grant says nothing, the default is the ceiling,
    /// so only the operator can raise a cap; where the manifest says nothing, the grant's value holds.
    #[serde(default)]
    limits: RawLimits,
    /// What happens when a call is denied.
    #[serde(default)]
    on_violation: OnViolation,
    /// Which calls are recorded by themselves.
    #[serde(default)]
    record: RecordScope,
    /// How calls are recorded and answered. A manifest has no say.
    #[serde(default)]
    audit: RawAudit,
    /// By what name an operation is offered to models (MCP, function calling), where it is not `TOOL_OPERATION`: of lower-case
    /// letters, digits, `_` and `-`, at most 48 bytes. An operation whose name is longer, or another's, is offered only by an alias.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = key("OPERATION")))]
    aliases: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Audit")]
struct RawAudit {
    /// How a call's arguments and results are recorded.
    #[serde(default)]
    arguments: ArgumentsRecord,
    /// Where the record of a call's end must be before its result is handed out.
    #[serde(default)]
    acknowledge: Acknowledge,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FsGrant")]
struct RawFsGrant {
    /// The folder on the host; a relative path starts at the folder of this file, `${NAME}` is one of the variables. What
    /// is not below it is denied, by `..` and by symbolic links too. `/`, `/proc`, `/sys` and `/dev` cannot be granted.
    #[schemars(with = "String", length(min = 1, max = 4095))]
    host: Spanned<String>,
    /// What may be done there; the rest is denied.
    #[schemars(with = "Vec<Access>", length(min = 1))]
    access: Spanned<Vec<Access>>,
    /// Which of these rights are used only once the intent is on disk; for the others the notary's pipe is enough.
    ///
    /// It speaks of calls below its own folder: a file that is linked or moved to another folder goes by what is durable
    /// there. Reads and writes on an open handle have no intent of their own unless `record = "every"`; then each waits.
    #[schemars(with = "Option<Vec<Access>>", extend("default" = NOTHING))]
    durable: Option<Spanned<Vec<Access>>>,
    /// Patterns of the files that may be touched; without it, all may.
    ///
    /// A pattern without a slash matches a name at any depth (`*.pem`, `.git`); one with a slash starts at the granted
    /// folder (`docs/*.txt`, `/top.txt`). `*` and `?` stay in one name, `**` stands for any number of folders. Patterns are
    /// case-sensitive. Where they apply, symbolic links are neither followed nor made, files with several hard links are not
    /// opened, and folders are not renamed: the name must be the file.
    #[schemars(with = "Option<Vec<String>>", length(max = 64))]
    include: Option<Spanned<Vec<String>>>,
    /// Patterns of what is hidden, with everything below it; `secret/**` hides `secret` too. The patterns are those of
    /// `include`.
    #[schemars(with = "Option<Vec<String>>", length(max = 64), extend("default" = NOTHING))]
    exclude: Option<Spanned<Vec<String>>>,
    /// What one call may take of the disk. Bytes written count, over others too, and so does a hole in a file. A new file,
    /// folder or symbolic link costs 4096 bytes; a new name, of these, of a hard link or of a rename, 256 bytes and its length;
    /// the text of a symbolic link its length. Nothing that a call gives back is counted. With 0, none of it can be done.
    #[schemars(
        with = "Option<SizeSchema>",
        transform = quantity(Unit::Bytes, WRITE_QUOTA_DEFAULT, (0, QUOTA_BYTES_MAX))
    )]
    quota: Option<Spanned<Quantity>>,
    /// Whether the folder may lie in another one in which a tool may make or remove names. Such a tool can put another folder
    /// in its place: with `nested = true` the folder that stands there at its first use is bound by device and inode, and
    /// another one is refused; without it the grant is refused.
    #[serde(default)]
    nested: bool,
    /// Whether what is mounted below the folder is granted too (`mount(8)`, bind mounts, volumes of containers); without it,
    /// other mounts are not reached, by any call. The folder itself may be where one begins. File systems of the kernel's own
    /// (procfs, sysfs, cgroups and the like) are refused wherever they stand, here too.
    #[serde(default)]
    mounts: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(untagged, rename = "EnvValue")]
enum RawEnvValue {
    /// The value itself.
    Literal(String),
    /// The value of a variable of the operator's environment.
    #[schemars(with = "RawHostEnv")]
    FromHost(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HostEnv")]
struct RawHostEnv {
    /// The name of a variable of the operator's environment; that it is not set is an error before anything runs.
    host: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(untagged, rename = "Random")]
enum RawRandom {
    /// The operating system's generator.
    #[schemars(with = "SecureSchema")]
    Secure,
    /// A seeded generator.
    #[schemars(with = "RawSeed")]
    Seeded(u64),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase", rename = "Secure")]
#[allow(dead_code, reason = "only its schema is used")]
enum SecureSchema {
    Secure,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Seed")]
struct RawSeed {
    /// Where the generator starts: with the same seed, every call gets the same bytes.
    seed: u64,
}

impl<'de> Deserialize<'de> for RawEnvValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawEnvValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or `{ host = \"NAME\" }`")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawEnvValue, E> {
                Ok(RawEnvValue::Literal(text.to_owned()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawEnvValue, A::Error> {
                let raw = RawHostEnv::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(RawEnvValue::FromHost(raw.host))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawRandom {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawRandom;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"secure\" or `{ seed = 42 }`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawRandom, E> {
                match text {
                    "secure" => Ok(RawRandom::Secure),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawRandom, A::Error> {
                let raw = RawSeed::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(RawRandom::Seeded(raw.seed))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// What resolving a policy needs besides the raw text.
struct Reader<'a> {
    document: Document,
    folder: &'a Path,
}

impl RawPolicy {
    fn resolve(self, reader: &Reader<'_>) -> Result<Policy, PolicyError> {
        let document = &reader.document;
        let start = 0..0;
        texts::count("variables", self.variables.len(), POLICY_ENTRIES_MAX)
            .and_then(|()| texts::count("tools", self.tools.len(), POLICY_ENTRIES_MAX))
            .map_err(|fault| document.value(start, fault))?;
        let mut variables = BTreeMap::new();
        for (name, value) in self.variables {
            // A variable is named as an environment variable is, so that `${name}` reads the same everywhere.
            parsed::<EnvName>(document, &name)?;
            let span = value.span();
            let value =
                texts::value("the variable", value.into_inner()).map_err(|fault| document.value(span, fault))?;
            variables.insert(name.into_inner(), value);
        }
        let mut tools = BTreeMap::new();
        let mut aliased = BTreeMap::new();
        for (name, grant) in self.tools {
            let name = parsed(document, &name)?;
            let grant = grant.resolve(reader, &variables, &name, &mut aliased)?;
            tools.insert(name, grant);
        }
        let deployment = Deployment {
            sandbox: SandboxSettings { require: self.sandbox.require },
            workers: self.workers.resolve(document)?,
            compile: self.compile.resolve(document)?,
            compartments: compartments(document, self.compartments)?,
            agents: agents(document, self.agents)?,
            serve: self.serve.resolve(document)?,
        };
        Ok(Policy { grants: Grants { variables, tools }, deployment })
    }
}

impl RawGrant {
    fn resolve(
        self,
        reader: &Reader<'_>,
        variables: &BTreeMap<String, String>,
        tool: &ToolName,
        aliased: &mut Aliased,
    ) -> Result<Grant, DocumentError> {
        let document = &reader.document;
        Ok(Grant {
            aliases: aliases(document, self.aliases, tool, aliased)?,
            component: self.component.map(|pin| component(reader, pin)).transpose()?,
            fs: folders(reader, variables, self.fs)?,
            env: environment(document, self.env)?,
            args: self.args.map(|args| arguments(document, args)).transpose()?,
            stdio: self.stdio.map(StdioSet::from_iter),
            random: self.random.map(|random| match random {
                RawRandom::Secure => RandomMode::Secure,
                RawRandom::Seeded(seed) => RandomMode::Seeded(seed),
            }),
            wall_clock: self.clocks.wall,
            monotonic_clock: self.clocks.monotonic,
            context: self.context,
            limits: self.limits.resolve(document)?,
            on_violation: self.on_violation,
            record: self.record,
            audit: AuditSettings { arguments: self.audit.arguments, acknowledge: self.audit.acknowledge },
        })
    }
}

impl RawFsGrant {
    fn resolve(self, reader: &Reader<'_>, variables: &BTreeMap<String, String>) -> Result<FsGrant, DocumentError> {
        let document = &reader.document;
        let host = expand(self.host.get_ref(), variables)
            .and_then(|text| host_path(&text, reader.folder))
            .map_err(|fault| document.value(self.host.span(), fault))?;
        // Two lists, each with its own place in the file: what is wrong with one must not be shown at the other.
        let at = |list: &Option<Spanned<Vec<String>>>| list.as_ref().map_or_else(|| self.host.span(), Spanned::span);
        let (include_at, exclude_at) = (at(&self.include), at(&self.exclude));
        let include = self.include.map(Spanned::into_inner).unwrap_or_default();
        let exclude = self.exclude.map(Spanned::into_inner).unwrap_or_default();
        Patterns::new(include.clone(), Vec::new()).map_err(|fault| document.value(include_at, fault))?;
        let access = rights(document, &self.access)?;
        Ok(FsGrant {
            host,
            access,
            durable: self.durable.map_or(Ok(AccessSet::EMPTY), |raw| durable(document, raw, access))?,
            patterns: Patterns::new(include, exclude).map_err(|fault| document.value(exclude_at, fault))?,
            quota: self.quota.map(|quota| write_quota(document, &quota)).transpose()?,
            nested: self.nested,
            mounts: self.mounts,
        })
    }
}

fn component(reader: &Reader<'_>, raw: Spanned<String>) -> Result<ComponentPin, DocumentError> {
    let span = raw.span();
    let pin = ComponentPin::parse(raw.get_ref(), reader.folder);
    pin.map_err(|fault| reader.document.value(span, fault))
}

fn folders(
    reader: &Reader<'_>,
    variables: &BTreeMap<String, String>,
    raw: BTreeMap<Spanned<String>, RawFsGrant>,
) -> Result<BTreeMap<GuestPath, FsGrant>, DocumentError> {
    let many = raw.len();
    let mut folders = BTreeMap::new();
    for (guest, grant) in raw {
        texts::count("folders", many, FOLDERS_MAX).map_err(|fault| reader.document.value(guest.span(), fault))?;
        folders.insert(parsed(&reader.document, &guest)?, grant.resolve(reader, variables)?);
    }
    Ok(folders)
}

fn environment(
    document: &Document,
    raw: BTreeMap<Spanned<String>, Spanned<RawEnvValue>>,
) -> Result<BTreeMap<EnvName, EnvValue>, DocumentError> {
    let many = raw.len();
    let mut environment = BTreeMap::new();
    for (name, value) in raw {
        let span = value.span();
        texts::count("environment variables", many, VALUES_MAX).map_err(|fault| document.value(name.span(), fault))?;
        let value = match value.into_inner() {
            RawEnvValue::Literal(text) => {
                texts::value("the value", text).map(EnvValue::Literal).map_err(|fault| document.value(span, fault))?
            }
            RawEnvValue::FromHost(text) => {
                text.parse().map(EnvValue::FromHost).map_err(|fault: crate::NameError| document.value(span, fault))?
            }
        };
        environment.insert(parsed(document, &name)?, value);
    }
    Ok(environment)
}

/// Whose each alias is.
type Aliased = BTreeMap<OfferedName, String>;

fn aliases(
    document: &Document,
    raw: BTreeMap<Spanned<String>, Spanned<String>>,
    tool: &ToolName,
    aliased: &mut Aliased,
) -> Result<BTreeMap<OperationName, OfferedName>, DocumentError> {
    let many = raw.len();
    let mut aliases = BTreeMap::new();
    for (operation, alias) in raw {
        texts::count("aliases", many, OPERATIONS_MAX).map_err(|fault| document.value(operation.span(), fault))?;
        let operation: OperationName = parsed(document, &operation)?;
        let name: OfferedName = parsed(document, &alias)?;
        if let Some(other) = aliased.insert(name.clone(), format!("{tool}.{operation}")) {
            let same = texts::TextError::SameAlias { alias: name.to_string(), other };
            return Err(document.value(alias.span(), same));
        }
        aliases.insert(operation, name);
    }
    Ok(aliases)
}

fn arguments(document: &Document, raw: Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, DocumentError> {
    let list = raw.span();
    let raw = raw.into_inner();
    texts::count("arguments", raw.len(), VALUES_MAX).map_err(|fault| document.value(list, fault))?;
    let argument = |text: Spanned<String>| {
        let span = text.span();
        texts::value("the argument", text.into_inner()).map_err(|fault| document.value(span, fault))
    };
    raw.into_iter().map(argument).collect()
}

fn durable(document: &Document, raw: Spanned<Vec<Access>>, access: AccessSet) -> Result<AccessSet, DocumentError> {
    let span = raw.span();
    granted(raw.into_inner().into(), access).map_err(|fault| document.value(span, fault))
}

fn write_quota(document: &Document, raw: &Spanned<Quantity>) -> Result<ByteSize, DocumentError> {
    let quota = Unit::Bytes.read_within(raw.get_ref(), "quota", &(0..=QUOTA_BYTES_MAX));
    quota.map(ByteSize::from_bytes).map_err(|fault| document.value(raw.span(), fault))
}
