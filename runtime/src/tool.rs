//! A tool, ready to be called: a compiled component, its capability set, its operations with their schemas.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tollgate_audit::{Digest, Entry, Kept, Pairs, Policy, Text, store_set};
use tollgate_capability::{Cap, CapabilitySet, ClockMode, FileId, Limits, Manifest, OperationName};
use tollgate_schema::limits::{ARGUMENT_VALUES_MAX, SCHEMA_VALUES_MAX, WORK_MAX};
use tollgate_schema::{Budget, Schema, Stop, ValuesError, read_values};
use wasmtime::component::types::ComponentItem;

use crate::artifact::Artifact;
use crate::authority::{HeldFolders, hold};
use crate::calls::Running;
use crate::error::{CallError, CapHit, LoadError, RejectError, with_causes};
use crate::host::order::is_sealed;
use crate::instance::CallState;
use crate::instance::bindings::ToolProviderPre;
use crate::instance::mapped_code;
use crate::interfaces::Import;
use crate::invoke::{Request, Runner};
use crate::machine::{Engine, LinkerOf, Machine};
use crate::operations::{OperationText, OperationTexts};
use crate::private::Noted;
use crate::runtime::{Worker, now_ms};

/// A component, compiled for this machine.
#[derive(Clone)]
pub struct Component {
    inner: wasmtime::component::Component,
    digest: Digest,
    imports: Vec<Import>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Component {
    /// A component that was compiled apart, for `engine`; its code is loaded into this process. For a process that has
    /// sealed itself, or trusts the component: one that broke into its compiler chose the bytes that are parsed here. A
    /// [`Front`](crate::Front) takes the [`Artifact`] itself, and loads nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::Engine`].
    pub fn from_artifact(engine: &Engine, artifact: &Artifact) -> Result<Self, LoadError> {
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: the bytes must be what wasmtime made by `Engine::precompile_component`. An `Artifact` has private
        // fields and two constructors. `Artifact::compiled` is called in `Compiler::compile` alone, with what the
        // compiler's process wrote, which does nothing but call that function (`compiler/process.rs`); that the program
        // started there is such a process is what `CompilerCommand` asks for. `Artifact::open` returns only what has a
        // valid HMAC under the local key, which `Artifact::seal` alone makes, of another `Artifact`. The code is in
        // this process's own memory, so nobody changes it in between. Engine and CPU are compared by wasmtime.
        let loaded = unsafe { wasmtime::component::Component::deserialize(&engine.0, artifact.code()) };
        let inner = loaded.map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        // wasmtime would make the memories' images at the first call: a sealed process cannot.
        inner.initialize_copy_on_write_image().map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: artifact.component(), imports })
    }

    /// A component that was compiled apart, of which the front has put the code into a file in memory. For hosts, whose
    /// engine must be one that [`Engine::for_mapped_code`] made.
    pub(crate) fn from_memory_file(engine: &Engine, code: &OwnedFd, component: Digest) -> Result<Self, LoadError> {
        let failed = |reason: String| LoadError::Engine(reason);
        if !is_sealed(code) {
            return Err(failed("the code of the component can still be changed".to_owned()));
        }
        let mapped = mapped_code::map(code).map_err(|error| failed(format!("its code cannot be mapped: {error}")))?;
        #[allow(unsafe_code, reason = "wasmtime's only way to load compiled code")]
        // SAFETY: as for `from_artifact`: the front puts nothing into such a file but the code of an `Artifact`
        // (`front/group.rs`), and this process takes descriptors from its front alone. The seals, checked above, keep
        // everybody from changing the file, the mapping is private and never written, and it stays until the process ends.
        let loaded = unsafe { wasmtime::component::Component::deserialize_raw(&engine.0, mapped) };
        let inner = loaded.map_err(|error| failed(format!("{error:#}")))?;
        inner.initialize_copy_on_write_image().map_err(|error| failed(format!("{error:#}")))?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: component, imports })
    }

    /// Compiles a component in this process; a few hundred milliseconds for a usual tool. For trusted components: others
    /// are compiled by a [`Compiler`](crate::compiler::Compiler), whose process is sealed and capped.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotWasm`], [`LoadError::CoreModule`], [`LoadError::Malformed`].
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        refuse_what_is_no_component(bytes)?;
        let inner = wasmtime::component::Component::from_binary(&engine.0, bytes)
            .map_err(|error| LoadError::Malformed { message: format!("{error:#}") })?;
        let imports = imports(engine, &inner);
        Ok(Self { inner, digest: Digest::of(bytes), imports })
    }

    /// SHA-256 of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// All that it imports.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Interfaces among the imports that Tollgate does not have.
    #[must_use]
    pub fn unknown_imports(&self) -> Vec<String> {
        let unknown = self.imports.iter().filter(|import| !tollgate_wasi_proxy::links(&import.interface));
        unknown.map(|import| import.interface.clone()).collect()
    }

    /// Whether it imports nothing that Tollgate does not have, and exports the tool interface. Runs nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::UnknownImports`], [`LoadError::NotATool`].
    pub fn check(&self, engine: &Engine) -> Result<(), LoadError> {
        let linker = LinkerOf::new(&engine.0).map_err(|error| LoadError::Engine(error.to_string()))?;
        self.pre(&linker).map(|_pre| ())
    }

    fn pre(&self, linker: &LinkerOf) -> Result<ToolProviderPre<CallState>, LoadError> {
        let imports = self.unknown_imports();
        if !imports.is_empty() {
            return Err(LoadError::UnknownImports { imports });
        }
        let pre = linker
            .0
            .instantiate_pre(&self.inner)
            .map_err(|error| LoadError::UnknownImports { imports: vec![format!("{error:#}")] })?;
        ToolProviderPre::new(pre).map_err(|error| LoadError::NotATool { message: format!("{error:#}") })
    }
}

/// Tells by the first bytes what is no component at all.
pub(crate) fn refuse_what_is_no_component(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
        Some([b'\0', b'a', b's', b'm', version @ ..]) => {
            Err(LoadError::Malformed { message: format!("unknown version {version:02x?}") })
        }
        _no_header => Err(LoadError::NotWasm),
    }
}

fn imports(engine: &Engine, component: &wasmtime::component::Component) -> Vec<Import> {
    let ty = component.component_type();
    let functions = |item: ComponentItem| {
        let ComponentItem::ComponentInstance(instance) = item else { return Vec::new() };
        let exports = instance.exports(&engine.0);
        let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
        functions.map(|(name, _)| name.to_owned()).collect()
    };
    ty.imports(&engine.0)
        .map(|(name, item)| Import { interface: name.to_owned(), functions: functions(item.ty) })
        .collect()
}

/// One thing the tool can be called for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// What it does, for whoever chooses.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: serde_json::Value,
    /// JSON Schema of its result, as the tool gives it; unchecked.
    pub output_schema: String,
}

impl Operation {
    /// For whoever shows and chooses operations: the schema is parsed as JSON, and not judged.
    pub(crate) fn of(text: &OperationText) -> Result<Self, LoadError> {
        let read = read_values(&text.input_schema, SCHEMA_VALUES_MAX);
        let schema = read.map_err(|error| {
            let (operation, message) = (text.name.escape_debug().to_string(), error.to_string());
            LoadError::Schema { operation, message }
        });
        Ok(Self::with_schema(text, schema?))
    }

    fn with_schema(text: &OperationText, input_schema: serde_json::Value) -> Self {
        let OperationText { name, description, output_schema, .. } = text.clone();
        Self { name, description, input_schema, output_schema }
    }
}

/// Who a tool is, and what is in force for it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) component: Digest,
    pub(crate) set: Arc<CapabilitySet>,
    pub(crate) set_digest: Digest,
    canonical_set: String,
}

impl Identity {
    fn new(name: &str, version: &str, component: Digest, set: CapabilitySet) -> Result<Self, LoadError> {
        let canonical = set.to_canonical_json().map_err(|error| LoadError::Engine(error.to_string()))?;
        let set_digest = Digest::of(canonical.as_bytes());
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Self { name, version, component, set: Arc::new(set), set_digest, canonical_set: canonical })
    }
}

/// What is to be loaded, and under which policy: plain data, for whichever process runs it.
#[derive(Debug, Clone)]
pub(crate) struct LoadOrder {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SHA-256 of the component's bytes.
    pub(crate) component: Digest,
    /// What it must export; whatever it does if empty.
    pub(crate) operations: BTreeSet<String>,
    /// What it must say of them, word by word; whatever it does if it was not asked before.
    pub(crate) told: Option<OperationTexts>,
    pub(crate) set: CapabilitySet,
    /// Of the manifest's text.
    pub(crate) manifest: Digest,
    /// Of the grant's text.
    pub(crate) grant: Digest,
    /// Who loads it.
    pub(crate) by: String,
    /// The name in its manifest, where that is another one.
    pub(crate) declared: Option<String>,
}

impl LoadOrder {
    pub(crate) fn new(manifest: &Manifest, component: Digest, set: CapabilitySet, provenance: Provenance<'_>) -> Self {
        Self {
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            component,
            operations: manifest.operations.iter().map(|operation| operation.name.to_string()).collect(),
            told: None,
            set,
            manifest: Digest::of(provenance.manifest.as_bytes()),
            grant: Digest::of(provenance.grant.as_bytes()),
            by: provenance.by.to_owned(),
            declared: provenance.declared.filter(|declared| *declared != manifest.name.as_str()).map(str::to_owned),
        }
    }
}

/// A tool that is about to be loaded: who it is, with its capability set and with none.
#[derive(Debug)]
pub(crate) struct Loading {
    identity: Identity,
    // For the question which operations it has.
    bare: Identity,
    operations: BTreeSet<String>,
    told: Option<OperationTexts>,
    manifest: Digest,
    grant: Digest,
    by: String,
    declared: Option<String>,
}

impl Loading {
    pub(crate) fn of(order: LoadOrder) -> Result<Self, LoadError> {
        let LoadOrder { name, version, component, operations, told, set, manifest, grant, by, declared } = order;
        let bare = bare(&set);
        let identity = |set| Identity::new(&name, &version, component, set);
        Ok(Self { identity: identity(set)?, bare: identity(bare)?, operations, told, manifest, grant, by, declared })
    }

    /// Keeps the sets beside the entries that name them by digest, so that each decision can be made again.
    pub(crate) fn keep_sets(&self, ledger: &Path) -> Result<(), LoadError> {
        for identity in [&self.identity, &self.bare] {
            store_set(ledger, &identity.canonical_set).map_err(|error| LoadError::SetNotKept(Arc::new(error)))?;
        }
        Ok(())
    }

    /// The digest of the capability set that will be in force.
    pub(crate) fn policy(&self) -> Digest {
        self.identity.set_digest
    }

    /// Links it, records the policy in force, and asks for its operations.
    pub(crate) fn load(
        self,
        runner: &mut Runner,
        component: &Component,
        describing: &Noted,
    ) -> Result<Tool, LoadError> {
        let pre = component.pre(&runner.machine().linker)?;
        self.record_policy(runner.machine())?;
        let described = runner.describe(&pre, &self.bare, describing).map_err(LoadError::of_describing)?;
        let texts = OperationTexts::told(described)?;
        same_operations(&self.operations, &texts)?;
        if let Some(before) = &self.told {
            texts.must_be(before)?;
        }
        let operations = texts.iter().map(operation).collect::<Result<Vec<_>, _>>()?;
        let (operations, schemas) = operations.into_iter().unzip();
        let running = AtomicU32::new(0);
        Ok(Tool { identity: self.identity, pre, texts, operations, schemas, running, _folders: None })
    }

    fn record_policy(&self, machine: &Machine) -> Result<(), LoadError> {
        let Self { identity, bare, manifest, grant, by, declared, .. } = self;
        let policy = Entry::Policy(Policy {
            digest: identity.set_digest,
            manifest: *manifest,
            grant: *grant,
            tool: identity.name.as_str().into(),
            by: by.as_str().into(),
            folders: opened_folders(&identity.set),
            declared: declared.as_deref().map(Into::into),
        });
        let record = &machine.record;
        let deadline = Instant::now() + Duration::from_millis(bare.set.limits.deadline_ms);
        let unrecorded = |error| LoadError::Unrecorded(with_causes(&error));
        record.ready().map_err(unrecorded)?;
        let recorded = record.record(&[policy.encode()], Kept::Pipe, deadline);
        recorded.map_err(|error| unrecorded(error.source))
    }
}

/// Each folder that was looked at when the policy was loaded, as the ledger has it.
fn opened_folders(set: &CapabilitySet) -> Pairs<'static, Text<'static>> {
    Pairs::new(set.fs.iter().filter_map(|fs| {
        let FileId { device, inode } = fs.opened?;
        Some((fs.guest.clone(), Text::from(format!("{device}:{inode} {}", fs.host.display()))))
    }))
}

/// A tool, ready to be called.
pub struct Tool {
    pub(crate) identity: Identity,
    pub(crate) pre: ToolProviderPre<CallState>,
    texts: OperationTexts,
    operations: Vec<Operation>,
    // One for each operation.
    schemas: Vec<Schema>,
    running: AtomicU32,
    // Open, so that no other folder gets the device and inode of one of them. In a host its front holds them.
    _folders: Option<HeldFolders>,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Texts that the policy entry of the ledger names by digest.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The manifest's text.
    pub manifest: &'a str,
    /// The grant's text.
    pub grant: &'a str,
    /// Who loaded it, such as `uid:1000`.
    pub by: &'a str,
    /// The name that the manifest gives, where the tool has been given another one.
    pub declared: Option<&'a str>,
}

impl Tool {
    /// Loads a tool: links it, records the policy in force, and asks the component for its operations, in an instance
    /// of its own without any capability.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(
        worker: &mut Worker,
        component: &Component,
        manifest: &Manifest,
        mut set: CapabilitySet,
        provenance: Provenance<'_>,
    ) -> Result<Self, LoadError> {
        let books = &worker.runtime.0.books;
        books.places.judge(&set)?;
        let folders = hold(&mut set).map_err(|error| LoadError::Folder(Arc::new(error)))?;
        let loading = Loading::of(LoadOrder::new(manifest, component.digest, set, provenance))?;
        loading.keep_sets(&books.ledger)?;
        let describing = Noted::of(worker.runner.machine().record.next_call(now_ms()), None, None);
        let tool = loading.load(&mut worker.runner, component, &describing)?;
        Ok(Self { _folders: Some(folders), ..tool })
    }

    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// What is enforced.
    #[must_use]
    pub fn capability_set(&self) -> &CapabilitySet {
        &self.identity.set
    }

    /// What it can be called for.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The same in the component's own words.
    pub(crate) fn texts(&self) -> &OperationTexts {
        &self.texts
    }

    /// Turns down what need not reach the guest: an unknown operation, arguments over the cap, no JSON, or not
    /// according to the schema. Its cost is bounded by the cap on arguments, by the limits of [`tollgate_schema`], and by
    /// the call's deadline.
    pub(crate) fn accept(&self, request: &Request<'_>, deadline: Instant) -> Result<(), CallError> {
        request.must_fit()?;
        let operations = self.operations.iter().zip(&self.schemas);
        let (operation, schema) =
            operations.into_iter().find(|(operation, _)| operation.name == request.operation).ok_or_else(|| {
                let known = self.operations.iter().map(|operation| operation.name.clone()).collect();
                RejectError::UnknownOperation { name: request.operation.to_owned(), known }
            })?;
        let limits = self.identity.set.limits;
        let (asked, limit) = (request.arguments.len() as u64, limits.input);
        if asked > limit {
            return Err(CapHit { cap: Cap::Input, asked: Some(asked), limit }.into());
        }
        let arguments = read_values(request.arguments, ARGUMENT_VALUES_MAX).map_err(unread)?;
        let operation = operation.name.clone();
        match schema.judge(&arguments, &mut Budget::until(deadline)) {
            Ok(problems) if problems.is_empty() => Ok(()),
            Ok(problems) => Err(RejectError::Schema { operation, problems }.into()),
            Err(Stop::Work) => Err(RejectError::TooMuchWork { operation, work_max: WORK_MAX }.into()),
            Err(Stop::Deadline) => Err(CapHit { cap: Cap::Deadline, asked: None, limit: limits.deadline_ms }.into()),
        }
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<Running<'_>, CapHit> {
        Running::enter(&self.running, self.identity.set.limits.calls)
    }
}

fn unread(error: ValuesError) -> RejectError {
    match error {
        ValuesError::TooMany { max } => RejectError::TooManyValues { values_max: max },
        ValuesError::NotJson { message } => RejectError::NotJson { message },
    }
}

/// What a tool may do while it says which operations it has: nothing. Engines of JavaScript ask for the monotonic clock before
/// they run a line of the tool: it stands at zero here and tells nothing. Fuel is the cap on its work; the deadline is far above,
/// since a process with a part of a CPU takes longer and works the same.
pub(crate) fn bare(set: &CapabilitySet) -> CapabilitySet {
    let deadline_ms = set.limits.deadline_ms.max(DESCRIBE_MS_MIN);
    let limits = Limits { deadline_ms, ..set.limits };
    CapabilitySet { monotonic_clock: Some(ClockMode::Frozen), limits, ..CapabilitySet::default() }
}

/// Least deadline for a tool that says which operations it has, in milliseconds: what takes a second of a whole CPU has come to
/// its end with a twentieth of one.
pub(crate) const DESCRIBE_MS_MIN: u64 = 20_000;

fn same_operations(declared: &BTreeSet<String>, described: &OperationTexts) -> Result<(), LoadError> {
    let mut names = BTreeSet::new();
    for operation in described.iter() {
        let name = &operation.name;
        if let Err(error) = name.parse::<OperationName>() {
            return Err(LoadError::OperationName { name: name.escape_debug().to_string(), message: error.to_string() });
        }
        if !names.insert(name) {
            return Err(LoadError::OperationName { name: name.clone(), message: "it is there twice".into() });
        }
    }
    let exported: BTreeSet<String> = described.iter().map(|operation| operation.name.clone()).collect();
    // A manifest made on the spot lists none and takes what the component has.
    if declared.is_empty() || *declared == exported {
        return Ok(());
    }
    Err(LoadError::Operations {
        only_manifest: declared.difference(&exported).cloned().collect(),
        only_component: exported.difference(declared).cloned().collect(),
    })
}

fn operation(text: &OperationText) -> Result<(Operation, Schema), LoadError> {
    match Schema::parse(&text.input_schema) {
        Ok((value, schema)) => Ok((Operation::with_schema(text, value), schema)),
        Err(error) => Err(LoadError::Schema { operation: text.name.clone(), message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with a part of a CPU takes longer to ask, and asks the same: fuel bounds the work.
    #[test]
    fn a_component_is_asked_within_its_fuel_and_far_below_the_clock() {
        let of = |deadline_ms| CapabilitySet {
            limits: Limits { deadline_ms, fuel: 7, ..Limits::DEFAULT },
            ..CapabilitySet::default()
        };
        let asked = |deadline_ms| bare(&of(deadline_ms)).limits;
        assert_eq!(asked(1), Limits { deadline_ms: DESCRIBE_MS_MIN, fuel: 7, ..Limits::DEFAULT });
        assert_eq!(asked(DESCRIBE_MS_MIN + 1).deadline_ms, DESCRIBE_MS_MIN + 1, "what is granted is not taken away");
    }
}
