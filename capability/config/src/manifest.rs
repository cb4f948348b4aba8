//! The manifest (`tool.toml`): what a tool is and what it needs, in the guest's terms. Its author is not trusted: a manifest
//! must never give a tool anything, it only says what to ask the operator for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use miette::{Diagnostic, SourceSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tollgate_capability::{Access, AccessSet, ClockMode, RandomMode, RecordScope, Stdio, StdioSet};
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError, SourceText};
use crate::grant::Grant;
use crate::limits::{PartialLimits, RawLimits};
use crate::names::{EnvName, GuestPath, OperationName, ToolName, ToolVersion};
use crate::schema::without_null;
use crate::shared::{RawClocks, parsed, rights};
use crate::texts::{self, FOLDERS_MAX, OPERATIONS_MAX, VALUES_MAX};

/// Longest manifest, in bytes: all its parts at their longest would be more, but no tool needs all of them.
pub const MANIFEST_BYTES_MAX: usize = 256 << 10;

/// What a tool is and what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The tool's name.
    pub name: ToolName,
    /// The tool's version.
    pub version: ToolVersion,
    /// What it does, for people and language models; empty if the manifest does not say.
    pub description: String,
    /// What can be called; at least one, in the order of the manifest, names unique.
    pub operations: Vec<Operation>,
    /// What it needs.
    pub needs: Needs,
    /// What it expects of the caps. Above the default it gets it only if the operator's grant says so too.
    pub limits: PartialLimits,
    /// Which calls it wants recorded by themselves; the operator can only ask for more.
    pub record: RecordScope,
}

impl Manifest {
    /// Reads a manifest. `file` is the name that errors show.
    ///
    /// # Errors
    ///
    /// A [`ManifestError`] that points at the first thing that is wrong.
    pub fn parse(text: &str, file: &str) -> Result<Self, ManifestError> {
        let (document, raw) = Document::read::<RawManifest>(file, text, MANIFEST_BYTES_MAX)?;
        Ok(Self {
            name: parsed(&document, &raw.tool.name)?,
            version: parsed(&document, &raw.tool.version)?,
            description: description(&document, raw.tool.description)?,
            operations: operations(&document, raw.operations)?,
            needs: raw.needs.resolve(&document)?,
            limits: raw.limits.resolve(&document)?,
            record: raw.record,
        })
    }
}

/// The schema of `tool.toml`.
#[must_use]
pub fn manifest_schema() -> serde_json::Value {
    without_null(schemars::schema_for!(RawManifest))
}

/// One thing that a tool can be called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: OperationName,
    /// What it does, for people and language models; empty if the manifest does not say.
    pub description: String,
}

/// What a tool needs. The default needs nothing but somewhere to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Folders, in the order in which the guest sees them; none is below another.
    pub fs: Vec<FsNeed>,
    /// Environment variables by name.
    pub env: BTreeSet<EnvName>,
    /// Whether it needs an argument vector.
    pub args: bool,
    /// Standard streams. Default: stdout and stderr.
    pub stdio: StdioSet,
    /// Random bytes.
    pub random: Option<RandomNeed>,
    /// The finest wall clock it needs.
    pub wall_clock: Option<ClockMode>,
    /// The finest monotonic clock it needs.
    pub monotonic_clock: Option<ClockMode>,
    /// Which call it answers: its id, its session, the time left.
    pub context: bool,
}

impl Needs {
    /// All that `grant` gives: what a tool without a manifest is taken to need.
    #[must_use]
    pub fn of_grant(grant: &Grant) -> Self {
        Self {
            fs: grant.fs.iter().map(|(guest, fs)| FsNeed { guest: guest.clone(), access: fs.access }).collect(),
            env: grant.env.keys().cloned().collect(),
            args: grant.args.is_some(),
            stdio: grant.stdio.unwrap_or(StdioSet::OUTPUT),
            random: grant.random.map(|mode| match mode {
                RandomMode::Secure => RandomNeed::Secure,
                RandomMode::Seeded(_) => RandomNeed::Seeded,
            }),
            wall_clock: grant.wall_clock,
            monotonic_clock: grant.monotonic_clock,
            context: grant.context,
        }
    }
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            fs: Vec::new(),
            env: BTreeSet::new(),
            args: false,
            stdio: StdioSet::OUTPUT,
            random: None,
            wall_clock: None,
            monotonic_clock: None,
            context: false,
        }
    }
}

/// A folder that a tool needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsNeed {
    /// Where it sees the folder.
    pub guest: GuestPath,
    /// What it does there; never empty.
    pub access: AccessSet,
}

/// What random bytes a tool needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RandomNeed {
    /// Bytes that nobody can guess, for keys and the like.
    Secure,
    /// Any bytes: the tool works with a seeded generator too.
    Seeded,
}

/// Why a manifest is refused.
#[derive(Debug, Clone, Error, Diagnostic)]
#[non_exhaustive]
pub enum ManifestError {
    /// What any file can have wrong with it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Document(#[from] DocumentError),
    /// There is no operation.
    #[error("the manifest has no operation")]
    #[diagnostic(help("add one:\n[[operations]]\nname = \"run\""))]
    NoOperation {
        /// The file.
        #[source_code]
        text: SourceText,
        /// The empty list.
        #[label("nothing to call")]
        at: SourceSpan,
    },
    /// Two operations have one name.
    #[error("the operation `{name}` is there twice")]
    #[diagnostic(help("rename one of the two, or take one out"))]
    DuplicateOperation {
        /// The name.
        name: OperationName,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The first.
        #[label("`{name}` is here first")]
        first: SourceSpan,
        /// The second.
        #[label(primary, "and here again")]
        second: SourceSpan,
    },
    /// Two folders overlap in the guest.
    #[error("the folders `{earlier}` and `{later}` overlap")]
    #[diagnostic(help(
        "give each folder a place of its own, such as `/in` and `/out`: what holds at a path must not depend on the way \
         to it"
    ))]
    OverlappingFolders {
        /// The one that comes first in the file.
        earlier: GuestPath,
        /// The one that comes second.
        later: GuestPath,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The first.
        #[label("`{earlier}`")]
        first: SourceSpan,
        /// The second.
        #[label(primary, "is the same as, above or below it")]
        second: SourceSpan,
    },
}

/// `tool.toml`: what a tool is and what it needs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tollgate tool manifest (tool.toml)")]
struct RawManifest {
    /// What the tool is.
    tool: RawTool,
    /// What can be called.
    #[schemars(with = "Vec<RawOperation>", length(min = 1, max = 64))]
    operations: Spanned<Vec<RawOperation>>,
    /// What the tool needs of the host; all else is denied. A need that nothing grants is an error before anything runs.
    ///
    /// Network is not in the vocabulary: every call of `wasi:sockets` and `wasi:http` is denied.
    #[serde(default)]
    needs: RawNeeds,
    /// What the tool expects of the caps on a call: it can lower a cap below the default. Above the default it gets a cap
    /// only where the grant says so too.
    #[serde(default)]
    limits: RawLimits,
    /// Which calls are recorded by themselves: those that acquire something, or every one.
    #[serde(default)]
    record: RecordScope,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tool")]
struct RawTool {
    /// Its name; a grant for the tool stands in `[tools.NAME]`.
    #[schemars(with = "String", regex(pattern = r"^[a-z][a-z0-9-]*$"), length(max = 64))]
    name: Spanned<String>,
    /// Its version, MAJOR.MINOR.PATCH as of semver.org; it stands in the ledger with every call.
    #[schemars(with = "String", length(max = 64))]
    version: Spanned<String>,
    /// What it does, for people and language models.
    #[schemars(with = "Option<String>", length(max = 4096))]
    description: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Operation")]
struct RawOperation {
    /// Its name, unique in the tool. The names must be those that the component has.
    #[schemars(with = "String", regex(pattern = r"^[a-z][a-z0-9-]*$"), length(max = 64))]
    name: Spanned<String>,
    /// What it does, for people and language models.
    #[schemars(with = "Option<String>", length(max = 4096))]
    description: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Needs")]
struct RawNeeds {
    /// Folders; none may be below another.
    #[serde(default)]
    #[schemars(length(max = 64))]
    fs: Vec<RawFsNeed>,
    /// Environment variables by name: those that the tool sees, of what is granted. It sees no other; without the key, or
    /// with an empty list, its environment is empty.
    #[schemars(with = "Option<Vec<String>>", length(max = 128))]
    env: Option<Spanned<Vec<Spanned<String>>>>,
    /// Whether the tool needs an argument vector; without it, its arguments are empty. An empty list says no more than
    /// `false`.
    #[serde(default, deserialize_with = "needs_args")]
    #[schemars(with = "ArgsSchema", extend("default" = false))]
    args: bool,
    /// Standard streams. Without `stdin` it is at its end; writing to another is denied.
    #[schemars(extend("default" = [Stdio::Stdout, Stdio::Stderr]))]
    stdio: Option<Vec<Stdio>>,
    /// Which random bytes the tool needs; without it, all are denied, those of `wasi:random/insecure` too.
    random: Option<RandomNeed>,
    /// The finest clocks the tool needs; without it, asking a clock is denied.
    #[serde(default)]
    clocks: RawClocks,
    /// Whether it asks which call it answers: id, session, time left.
    #[serde(default)]
    context: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FsNeed")]
struct RawFsNeed {
    /// Where the tool sees the folder: an absolute path without `.`, `..` and double slashes.
    #[schemars(with = "String", length(max = 255))]
    guest: Spanned<String>,
    /// What the tool does there. What is granted and not needed is denied too.
    #[schemars(with = "Vec<Access>", length(min = 1))]
    access: Spanned<Vec<Access>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Arguments")]
#[allow(dead_code, reason = "only its schema is used")]
enum ArgsSchema {
    /// Whether it needs one that is granted.
    Granted(bool),
    /// As `false`.
    Empty(#[schemars(length(max = 0))] Vec<String>),
}

impl Default for ArgsSchema {
    fn default() -> Self {
        Self::Granted(false)
    }
}

/// Whether arguments are needed: installed tools have the empty list, by which interpreters used to ask for none.
fn needs_args<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or the empty list `[]`")
        }

        fn visit_bool<E>(self, needed: bool) -> Result<bool, E> {
            Ok(needed)
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
            match list.next_element::<serde::de::IgnoredAny>()? {
                None => Ok(false),
                Some(_) => Err(serde::de::Error::invalid_length(1, &self)),
            }
        }
    }

    deserializer.deserialize_any(Visitor)
}

impl RawNeeds {
    fn resolve(self, document: &Document) -> Result<Needs, ManifestError> {
        Ok(Needs {
            fs: folders(document, self.fs)?,
            env: self.env.map(|names| env_names(document, &names)).transpose()?.unwrap_or_default(),
            args: self.args,
            stdio: self.stdio.map_or(StdioSet::OUTPUT, StdioSet::from_iter),
            random: self.random,
            wall_clock: self.clocks.wall,
            monotonic_clock: self.clocks.monotonic,
            context: self.context,
        })
    }
}

fn operations(document: &Document, raw: Spanned<Vec<RawOperation>>) -> Result<Vec<Operation>, ManifestError> {
    let list = raw.span();
    let raw = raw.into_inner();
    if raw.is_empty() {
        return Err(ManifestError::NoOperation { text: document.text(), at: document.span(list) });
    }
    texts::count("operations", raw.len(), OPERATIONS_MAX).map_err(|fault| document.value(list, fault))?;
    let mut seen = BTreeMap::new();
    let mut operations = Vec::with_capacity(raw.len());
    for operation in raw {
        let name: OperationName = parsed(document, &operation.name)?;
        let second = document.span(operation.name.span());
        if let Some(first) = seen.insert(name.clone(), second) {
            return Err(ManifestError::DuplicateOperation { name, text: document.text(), first, second });
        }
        operations.push(Operation { name, description: description(document, operation.description)? });
    }
    Ok(operations)
}

fn folders(document: &Document, raw: Vec<RawFsNeed>) -> Result<Vec<FsNeed>, ManifestError> {
    let mut needs: Vec<(FsNeed, SourceSpan)> = Vec::with_capacity(raw.len());
    let many = raw.len();
    for folder in raw {
        let span = folder.guest.span();
        texts::count("folders", many, FOLDERS_MAX).map_err(|fault| document.value(span.clone(), fault))?;
        let guest: GuestPath = parsed(document, &folder.guest)?;
        let second = document.span(span);
        if let Some((earlier, first)) = needs.iter().find(|(earlier, _)| earlier.guest.overlaps(&guest)) {
            let (earlier, first, text) = (earlier.guest.clone(), *first, document.text());
            return Err(ManifestError::OverlappingFolders { earlier, later: guest, text, first, second });
        }
        let access = rights(document, &folder.access)?;
        needs.push((FsNeed { guest, access }, second));
    }
    Ok(needs.into_iter().map(|(need, _)| need).collect())
}

fn env_names(document: &Document, raw: &Spanned<Vec<Spanned<String>>>) -> Result<BTreeSet<EnvName>, DocumentError> {
    let names = raw.get_ref();
    texts::count("environment variables", names.len(), VALUES_MAX)
        .map_err(|fault| document.value(raw.span(), fault))?;
    names.iter().map(|name| parsed(document, name)).collect()
}

fn description(document: &Document, raw: Option<Spanned<String>>) -> Result<String, DocumentError> {
    let Some(raw) = raw else { return Ok(String::new()) };
    let span = raw.span();
    texts::description(raw.into_inner()).map_err(|fault| document.value(span, fault))
}
