//! A tool, ready to be called: a compiled component, its capability set, its operations with their schemas.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tollgate_audit::{Digest, Entry, Kept, Policy, store_set};
use tollgate_capability::{Cap, CapabilitySet, Manifest, OperationName};
use wasmtime::component::types::ComponentItem;

use crate::artifact::Artifact;
use crate::error::{CallError, CapHit, LoadError, RejectError};
use crate::instance::CallState;
use crate::instance::bindings::{ToolProviderPre, exports::tollgate::tool::tool as wit};
use crate::invoke::{Request, Worker};
use crate::runtime::{Engine, LinkerOf};
use crate::schema::{self, InputSchema};

/// A component, compiled for this machine.
#[derive(Clone)]
pub struct Component {
    inner: wasmtime::component::Component,
    digest: Digest,
    imports: Vec<Import>,
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name, such as `wasi:filesystem/types@0.2.6`.
    pub interface: String,
    /// The functions of it that the component imports; none where it only needs the types.
    pub functions: Vec<String>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Component {
    /// A component that was compiled apart, for `engine`.
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
pub struct Operation {
    /// Its name.
    pub name: String,
    /// What it does, for whoever chooses.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: serde_json::Value,
    /// JSON Schema of its result, as the tool gives it; unchecked.
    pub output_schema: String,
    validator: jsonschema::Validator,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("name", &self.name).finish_non_exhaustive()
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
    fn new(manifest: &Manifest, component: Digest, set: CapabilitySet) -> Result<Self, LoadError> {
        let canonical = set.to_canonical_json().map_err(|error| LoadError::Engine(error.to_string()))?;
        let set_digest = Digest::of(canonical.as_bytes());
        let (name, version) = (manifest.name.to_string(), manifest.version.to_string());
        Ok(Self { name, version, component, set: Arc::new(set), set_digest, canonical_set: canonical })
    }
}

/// A tool, ready to be called.
pub struct Tool {
    pub(crate) identity: Identity,
    pub(crate) pre: ToolProviderPre<CallState>,
    operations: Vec<Operation>,
    running: AtomicU32,
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
        set: CapabilitySet,
        provenance: Provenance<'_>,
    ) -> Result<Self, LoadError> {
        let pre = component.pre(&worker.runtime.0.linker)?;
        let limits = set.limits;
        let identity = Identity::new(manifest, component.digest, set)?;
        record_policy(worker, &identity, provenance)?;
        let bare = CapabilitySet { limits, ..CapabilitySet::default() };
        let describing = Identity::new(manifest, component.digest, bare)?;
        keep_set(worker, &describing)?;
        let described = worker.describe(&pre, &describing).map_err(|source| LoadError::Describe { source })?;
        same_operations(manifest, &described)?;
        let operations = described.into_iter().map(operation).collect::<Result<_, _>>()?;
        Ok(Self { identity, pre, operations, running: AtomicU32::new(0) })
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

    /// Turns down what need not reach the guest: an unknown operation, arguments over the cap, no JSON, or not
    /// according to the schema.
    pub(crate) fn accept(&self, request: &Request<'_>) -> Result<(), CallError> {
        let operation =
            self.operations.iter().find(|operation| operation.name == request.operation).ok_or_else(|| {
                let known = self.operations.iter().map(|operation| operation.name.clone()).collect();
                RejectError::UnknownOperation { name: request.operation.to_owned(), known }
            })?;
        let (asked, limit) = (request.arguments.len() as u64, self.identity.set.limits.input);
        if asked > limit {
            return Err(CapHit { cap: Cap::Input, asked: Some(asked), limit }.into());
        }
        let arguments: serde_json::Value = serde_json::from_str(request.arguments)
            .map_err(|error| RejectError::NotJson { message: error.to_string() })?;
        if operation.validator.is_valid(&arguments) {
            return Ok(());
        }
        let problems = operation.validator.iter_errors(&arguments).take(PROBLEMS_MAX).map(|e| problem(&e)).collect();
        Err(RejectError::Schema { operation: operation.name.clone(), problems }.into())
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<Running<'_>, CapHit> {
        let limit = self.identity.set.limits.calls;
        let before = self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(&self.running);
        if before >= limit {
            return Err(CapHit { cap: Cap::Calls, asked: Some(u64::from(before) + 1), limit: limit.into() });
        }
        Ok(running)
    }
}

/// A place taken by a running call.
#[derive(Debug)]
pub(crate) struct Running<'t>(&'t AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Problems with arguments that are listed: a language model mends a few at a time.
const PROBLEMS_MAX: usize = 8;

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let at = if path.is_empty() { "the arguments".to_owned() } else { format!("`{path}`") };
    format!("at {at}: {error}")
}

fn record_policy(worker: &Worker, identity: &Identity, provenance: Provenance<'_>) -> Result<(), LoadError> {
    let policy = Entry::Policy(Policy {
        digest: identity.set_digest,
        manifest: Digest::of(provenance.manifest.as_bytes()),
        grant: Digest::of(provenance.grant.as_bytes()),
        tool: identity.name.as_str().into(),
        by: provenance.by.into(),
    });
    keep_set(worker, identity)?;
    let record = &worker.runtime.0.books.record;
    let deadline = Instant::now() + Duration::from_millis(identity.set.limits.deadline_ms);
    record.ready().map_err(LoadError::Unrecorded)?;
    let recorded = record.record(&[policy.encode()], Kept::Pipe, deadline);
    recorded.map_err(|error| LoadError::Unrecorded(error.source))
}

/// Keeps the set beside the entries that name it by its digest, so that each decision can be made again.
fn keep_set(worker: &Worker, identity: &Identity) -> Result<(), LoadError> {
    store_set(&worker.runtime.0.books.ledger, &identity.canonical_set).map(|_digest| ()).map_err(LoadError::SetNotKept)
}

fn same_operations(manifest: &Manifest, described: &[wit::Operation]) -> Result<(), LoadError> {
    let mut names = BTreeSet::new();
    for operation in described {
        let name = &operation.name;
        if let Err(error) = name.parse::<OperationName>() {
            return Err(LoadError::OperationName { name: name.escape_debug().to_string(), message: error.to_string() });
        }
        if !names.insert(name) {
            return Err(LoadError::OperationName { name: name.clone(), message: "it is there twice".into() });
        }
    }
    let declared: BTreeSet<String> = manifest.operations.iter().map(|operation| operation.name.to_string()).collect();
    let exported: BTreeSet<String> = described.iter().map(|operation| operation.name.clone()).collect();
    // A manifest made on the spot lists none and takes what the component has.
    if declared.is_empty() || declared == exported {
        return Ok(());
    }
    Err(LoadError::Operations {
        only_manifest: declared.difference(&exported).cloned().collect(),
        only_component: exported.difference(&declared).cloned().collect(),
    })
}

fn operation(described: wit::Operation) -> Result<Operation, LoadError> {
    let wit::Operation { name, description, input_schema, output_schema } = described;
    match schema::parse(&input_schema) {
        Ok(InputSchema { value, validator }) => {
            Ok(Operation { name, description, input_schema: value, output_schema, validator })
        }
        Err(message) => Err(LoadError::Schema { operation: name, message }),
    }
}
