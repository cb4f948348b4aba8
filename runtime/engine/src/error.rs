//! What can go wrong: loading a tool, compiling it, the request, the call, the worker.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
pub use tollgate_audit::with_causes;
use tollgate_audit::{CallClass, CallId, Usage};
use tollgate_authority::PlaceError;
use tollgate_capability::Cap;
use tollgate_wasi_proxy::{Exited, Violation};

/// Why a component cannot be used as a tool.
///
/// Its serde form is what a worker tells its supervisor. Errors that only the supervisor can meet have none.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadError {
    /// It is not WebAssembly at all.
    #[error("this is not WebAssembly: it does not begin with `\\0asm`; give a component built for wasm32-wasip2")]
    NotWasm,
    /// It is a core module.
    #[error(
        "this is a core WebAssembly module, not a component; build it for wasm32-wasip2 \
         (`cargo build --target wasm32-wasip2`), or make it one with `wasm-tools component new`"
    )]
    CoreModule,
    /// It does not parse or compile.
    #[error("the component is damaged or uses what this version does not support; build it again: {message}")]
    Malformed {
        /// The compiler's words.
        message: String,
    },
    /// It was not compiled.
    #[serde(skip)]
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It imports what Tollgate does not give.
    #[error("the component imports what Tollgate does not have: {}", imports.join(", "))]
    UnknownImports {
        /// Every such import.
        imports: Vec<String>,
    },
    /// It does not export the tool interface.
    #[error("the component exports no `tollgate:tool/tool@0.1.0`: {message}")]
    NotATool {
        /// What is missing.
        message: String,
    },
    /// Asking for its operations failed.
    #[error("the component failed when asked for its operations, which it must give without any capability")]
    Describe {
        /// How it failed.
        source: Box<CallFailure>,
    },
    /// Its operations are not those of its manifest.
    #[error(
        "manifest and component disagree about operations: only in the manifest: [{}]; only in the component: [{}]; \
         make `[[operations]]` in the manifest list exactly what the component exports",
        only_manifest.join(", "), only_component.join(", ")
    )]
    Operations {
        /// In the manifest alone.
        only_manifest: Vec<String>,
        /// In the component alone.
        only_component: Vec<String>,
    },
    /// An operation that it exports has no usable name.
    #[error("the component exports an operation `{name}`, which is no usable name: {message}")]
    OperationName {
        /// The name.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// It says more of its operations than anybody can use.
    #[error(
        "the component says too much of its operations: {what}; give it fewer, or shorter descriptions and schemas"
    )]
    OperationsTooLong {
        /// What there is too much of, and the maximum.
        what: String,
    },
    /// It says something else of its operations than before.
    #[error(
        "the component does not say the same of its operations as when it was installed, or first run: {}; its bytes are \
         the same, so it, or what was stored of it, is not to be trusted: do not run it", operations.join(", ")
    )]
    OperationsChanged {
        /// The operations of which it says something else, escaped and in backticks; or that their order changed.
        operations: Vec<String>,
    },
    /// A schema that it gives cannot be used.
    #[error("operation `{operation}` gives an input schema that cannot be used: {message}")]
    Schema {
        /// Which operation.
        operation: String,
        /// What is wrong with it.
        message: String,
    },
    /// The ledger did not take the record of the policy.
    #[error("the ledger did not take the record of the policy: {0}")]
    Unrecorded(String),
    /// The capability set cannot be kept beside the ledger.
    #[serde(skip)]
    #[error("the capability set cannot be kept in the ledger's folder")]
    SetNotKept(#[source] Arc<std::io::Error>),
    /// A granted folder would let the tool reach what decides over tools.
    #[serde(skip)]
    #[error(transparent)]
    Place(Arc<PlaceError>),
    /// A granted folder is not the one that the capability set was made for.
    #[serde(skip)]
    #[error("a granted folder cannot be opened")]
    Folder(#[source] Arc<std::io::Error>),
    /// The engine refused.
    #[error("the engine failed: {0}")]
    Engine(String),
    /// There is no worker process for it.
    #[serde(skip)]
    #[error(transparent)]
    NoWorker(#[from] WorkerError),
}

impl From<PlaceError> for LoadError {
    fn from(error: PlaceError) -> Self {
        Self::Place(Arc::new(error))
    }
}

/// Why a component was not compiled.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CompileError {
    /// It took too long by the clock.
    #[error("compiling it takes longer than {} s by the clock (`compile.time`), so it was stopped{around}", limit.as_secs_f64())]
    TooLong {
        /// The limit.
        limit: Duration,
        /// Limits of the machine that are low, as the end of a sentence; may be empty.
        around: String,
    },
    /// It took too much CPU time.
    #[error("compiling it takes more than {} s of CPU time (`compile.cpu`), so it was stopped{around}", limit.as_secs())]
    TooMuchCpu {
        /// The limit.
        limit: Duration,
        /// As before.
        around: String,
    },
    /// It took more CPU time than a limit that this process inherited, which is lower.
    #[error("compiling it takes more than {} s of CPU time, the limit of the shell or the container, so it was stopped{around}", limit.as_secs())]
    InheritedCpu {
        /// The limit.
        limit: Duration,
        /// As before.
        around: String,
    },
    /// It took more memory than it may.
    #[error("compiling it takes more than {limit_bytes} bytes of memory{around}")]
    TooMuchMemory {
        /// The limit.
        limit_bytes: u64,
        /// As before.
        around: String,
    },
    /// It took more memory than a limit that this process inherited, which is lower.
    #[error("compiling it takes more memory than a limit of the shell or the container leaves{around}")]
    InheritedMemory {
        /// As before.
        around: String,
    },
    /// The machine had less memory than it may take.
    #[error("the kernel killed the compiler for want of memory: {room}")]
    NoMemory {
        /// How much there is, in words.
        room: String,
    },
    /// It becomes too much code.
    #[error("it becomes more than {limit_bytes} bytes of machine code")]
    TooMuchCode {
        /// The limit.
        limit_bytes: u64,
    },
    /// The compiler died of it.
    #[error("the compiler crashed on it: {how}")]
    Crashed {
        /// How, and what it said at last.
        how: String,
    },
    /// The compiler's process fails, whatever the component is.
    #[error("the compiler's process cannot do its work: {reason}")]
    NoCompiler {
        /// Why.
        reason: String,
    },
}

/// Why a request was turned down before the guest ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectError {
    /// No such operation.
    #[error("the tool has no operation `{name}`; it has: {}", known.join(", "))]
    UnknownOperation {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No operation is named, and there are several.
    #[error("the tool has several operations, and none is named: {}", known.join(", "))]
    WhichOperation {
        /// What there is.
        known: Vec<String>,
    },
    /// The agent that asks may not call it.
    #[error(
        "the agent `{agent}` may not call `{tool}.{operation}`: its entry `[agents.{agent}]` in the policy does not name it"
    )]
    NotTheAgents {
        /// Who was proven to ask.
        agent: String,
        /// The tool.
        tool: String,
        /// The operation.
        operation: String,
    },
    /// More is given than any tool takes.
    #[error("{what} longer than {max} bytes, the most that any tool takes")]
    TooLong {
        /// What is, with its verb.
        what: String,
        /// The most that is taken.
        max: u64,
    },
    /// The arguments are not JSON.
    #[error("the arguments are not JSON: {message}")]
    NotJson {
        /// The parser's words, with line and column.
        message: String,
    },
    /// The arguments do not match the operation's input schema.
    #[error("the arguments do not match the schema of `{operation}`: {}", problems.join("; "))]
    Schema {
        /// Which operation.
        operation: String,
        /// Each problem with its JSON path.
        problems: Vec<String>,
    },
    /// The arguments have more values than may be looked at.
    #[error("the arguments have more than {values_max} values; give fewer, or a file")]
    TooManyValues {
        /// The most that there may be: objects, lists, texts, numbers and the like, all counted.
        values_max: usize,
    },
    /// To check the arguments takes more work than may be spent on them.
    #[error(
        "it takes more than {work_max} steps to check the arguments against the schema of `{operation}`; give fewer or \
         shorter ones, or mend the tool's schema"
    )]
    TooMuchWork {
        /// Which operation.
        operation: String,
        /// The most that may be spent.
        work_max: u64,
    },
}

impl RejectError {
    /// The arguments, as [`RejectError::TooLong`] names them.
    pub const ARGUMENTS: &str = "the arguments are";
    /// Standard input, as [`RejectError::TooLong`] names it.
    pub const STDIN: &str = "standard input is";

    /// The reason without the text of arguments and request, which the ledger must not have.
    pub(crate) fn without_texts(&self) -> String {
        match self {
            Self::UnknownOperation { .. } => "the tool has no such operation".to_owned(),
            Self::WhichOperation { .. } => "none of the tool's operations is named".to_owned(),
            Self::NotTheAgents { agent, .. } => format!("the agent `{agent}` may not call it"),
            Self::NotJson { .. } => "the arguments are not JSON".to_owned(),
            Self::Schema { operation, .. } => format!("the arguments do not match the schema of `{operation}`"),
            Self::TooLong { .. } | Self::TooManyValues { .. } | Self::TooMuchWork { .. } => self.to_string(),
        }
    }
}

/// A cap that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the cap `limits.{}` was hit: {}", cap.as_str(), self.figures())]
pub struct CapHit {
    /// Which cap.
    pub cap: Cap,
    /// What was asked for or used, in the cap's unit, if it can be told.
    pub asked: Option<u64>,
    /// The cap, in its unit (bytes, fuel units, milliseconds, or a count).
    pub limit: u64,
}

impl CapHit {
    fn figures(&self) -> String {
        let unit = match self.cap {
            Cap::Memory | Cap::Input | Cap::Output | Cap::Stdio | Cap::Random | Cap::HostMemory | Cap::RecordBytes => {
                " bytes"
            }
            Cap::Fuel => " units of fuel",
            Cap::Deadline => " ms",
            Cap::Handles => " open handles",
            Cap::Calls => " calls at once",
            Cap::Records => " entries",
        };
        match self.asked {
            Some(asked) => format!("{asked} asked for, {}{unit} allowed", self.limit),
            None => format!("{}{unit} allowed", self.limit),
        }
    }
}

/// How a call failed.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallError {
    /// The request was turned down: the guest did not run. On record as a call of class `rejected`.
    #[error(transparent)]
    Rejected(#[from] RejectError),
    /// The tool itself has no answer.
    #[error("the tool says: {message} [{code}]")]
    Tool {
        /// Short stable code.
        code: String,
        /// What happened, in the tool's words.
        message: String,
    },
    /// The policy does not allow what the tool did; the instance was ended.
    #[error("{0}")]
    Violation(Violation),
    /// A cap ended the call.
    #[error(transparent)]
    Cap(#[from] CapHit),
    /// The guest trapped, for example in a panic.
    #[error("the tool crashed: {message}")]
    Trap {
        /// The trap, and the last line of stderr.
        message: String,
    },
    /// The guest ended itself by `exit`.
    #[error("the tool called {how} instead of answering")]
    Exit {
        /// What it told of its status.
        how: Exited,
    },
    /// What the guest answered is not JSON.
    #[error("the tool answered with text that is not JSON: {message}")]
    OutputNotJson {
        /// The parser's words.
        message: String,
    },
    /// The ledger did not take a record, so the call was ended.
    #[error("the ledger did not take a record, so the call was ended: {0}")]
    Unrecorded(String),
    /// The tool's worker made a system call that nothing in it needs, so it was stopped: it is broken, or broken into.
    #[error("the tool's worker was stopped: it made the system call {call}, which the kernel layer blocks")]
    Blocked {
        /// The system call by name and number, with the thread that made it.
        call: String,
    },
    /// The tool's worker did not come back by the deadline and the grace after it, so it was killed.
    #[error("the tool's worker was killed: it gave no answer {grace_ms} ms after the deadline of {deadline_ms} ms")]
    Overran {
        /// The call's deadline.
        deadline_ms: u64,
        /// What it was given beyond that.
        grace_ms: u64,
    },
    /// The tool's worker ended during the call.
    #[error("the tool's worker ended during the call: {how}")]
    WorkerEnded {
        /// How.
        how: String,
    },
    /// The caller withdrew the call. Its guest may have run or not.
    #[error("the call was cancelled")]
    Cancelled,
    /// More calls are made at once than are taken. The guest did not run.
    #[error("too much is asked at once: {what}; try again")]
    Busy {
        /// What is too much, and how much is taken.
        what: String,
    },
    /// There is no worker to run the call.
    #[error(transparent)]
    NoWorker(#[from] WorkerError),
    /// Tollgate itself failed.
    #[error("tollgate failed: {0}")]
    Internal(String),
}

/// Who is to blame for a failed call, and so who has to act.
///
/// Its serde form, such as `output`, is the `kind` of an error in `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallErrorKind {
    /// The caller's: the request was turned down.
    Rejected,
    /// The tool's: it has no answer, and says why.
    Tool,
    /// The tool's: its answer is not JSON.
    Output,
    /// The tool's: it crashed, or ended itself.
    Trap,
    /// The policy does not allow what the tool, or its broken worker, did.
    Violation,
    /// A cap ended the call.
    Cap,
    /// The caller's: the call was withdrawn.
    Cancelled,
    /// Nobody's: more calls are made at once than are taken. The same call may succeed later.
    Busy,
    /// The tool's worker is not there, or ended.
    Worker,
    /// Tollgate itself failed, or its ledger.
    Internal,
}

impl CallErrorKind {
    /// The class in which such a call ends in the ledger, where it is on record with an end of its own.
    #[must_use]
    pub fn class(self) -> CallClass {
        match self {
            Self::Tool | Self::Output => CallClass::ToolError,
            Self::Violation => CallClass::Violation,
            Self::Cap => CallClass::Cap,
            Self::Trap => CallClass::Trap,
            Self::Rejected | Self::Busy => CallClass::Rejected,
            Self::Cancelled => CallClass::Cancelled,
            Self::Worker | Self::Internal => CallClass::Internal,
        }
    }
}

impl LoadError {
    /// Why asking for operations failed. A ledger that takes no entry is not the tool's fault.
    pub fn of_describing(source: Box<CallFailure>) -> Self {
        if let CallError::Unrecorded(reason) = source.error {
            return Self::Unrecorded(reason);
        }
        Self::Describe { source }
    }
}

impl CallError {
    /// Who is to blame.
    #[must_use]
    pub fn kind(&self) -> CallErrorKind {
        match self {
            Self::Rejected(_) => CallErrorKind::Rejected,
            Self::Tool { .. } => CallErrorKind::Tool,
            Self::OutputNotJson { .. } => CallErrorKind::Output,
            Self::Trap { .. } | Self::Exit { .. } => CallErrorKind::Trap,
            Self::Violation(_) | Self::Blocked { .. } => CallErrorKind::Violation,
            Self::Cap(_) | Self::Overran { .. } => CallErrorKind::Cap,
            Self::Cancelled => CallErrorKind::Cancelled,
            Self::Busy { .. } => CallErrorKind::Busy,
            Self::WorkerEnded { .. } | Self::NoWorker(_) => CallErrorKind::Worker,
            Self::Unrecorded(_) | Self::Internal(_) => CallErrorKind::Internal,
        }
    }

    /// The text of a tool's own error. It is private as a result is: the ledger has a digest at most.
    pub fn private_text(&self) -> Option<String> {
        let Self::Tool { code, message } = self else { return None };
        Some(serde_json::json!({ "code": code, "message": message }).to_string())
    }

    /// The error of a call whose tool cannot be loaded in a new worker.
    #[allow(clippy::wildcard_enum_match_arm, reason = "whatever else it is, the tool loaded before and does not now")]
    pub fn from_load(error: LoadError) -> Self {
        match error {
            LoadError::NoWorker(error) => Self::NoWorker(error),
            LoadError::Unrecorded(reason) => Self::Unrecorded(reason),
            error => Self::NoWorker(WorkerError::Reload { reason: with_causes(&error) }),
        }
    }
}

/// Why there is no worker process for a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WorkerError {
    /// The process cannot be started, or died before it served.
    #[error("the tool's worker does not start: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// The kernel cannot enforce as much as the policy demands.
    #[error("the tool's worker is not sealed well enough: {reason}")]
    BelowFloor {
        /// What is demanded, what is reached, what lacks.
        reason: String,
    },
    /// The kernel enforces the seal, but something is not as it must be.
    #[error("the tool's worker cannot be sealed: {reason}")]
    NotSealed {
        /// Why.
        reason: String,
    },
    /// The tool was loaded in this worker before, and is not the same any more.
    #[error("the tool does not load again in a new worker: {reason}")]
    Reload {
        /// Why.
        reason: String,
    },
}

/// A call that failed, with what it used until then.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[error("{error}")]
pub struct CallFailure {
    /// How.
    #[source]
    pub error: CallError,
    /// The call, if the ledger is known to have it.
    pub call: Option<CallId>,
    /// What it used.
    pub usage: Usage,
    /// What the guest wrote to its streams until then.
    #[serde(skip)]
    pub output: tollgate_wasi_proxy::Stdout,
    /// What an operator would change to let it through, each step a line without a path of the host; none below the library's
    /// `Tollgate`, which alone knows policy and manifest.
    #[serde(skip)]
    pub help: Vec<String>,
}

impl CallFailure {
    /// A failure before anything ran.
    pub fn before(error: CallError) -> Box<Self> {
        let output = tollgate_wasi_proxy::Stdout::default();
        Box::new(Self { error, call: None, usage: Usage::default(), output, help: Vec::new() })
    }
}
