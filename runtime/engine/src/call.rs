//! One call from start to end, on one thread: record, accept, instantiate, run, classify, record, answer. The call is on
//! record, and its deadline runs, before anything looks into its arguments.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollgate_audit::{CallClass, CallId, Kept, Salt, Usage};
use tollgate_capability::{Acknowledge, Cap, Limits};
use tollgate_notary::{CallEnding, CallStart, CallTrail, Room};
use tollgate_sandbox::{Enforced, trap};
use tollgate_wasi_proxy::{
    CallFacts, Exited, Failed, FolderGone, Gate, GateCtx, GateInput, HearsStderr, Refused, Stdout,
};
use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::clock::{now_ms, unix_time};
use crate::error::{CallError, CallFailure, CapHit, with_causes};
use crate::executor::Executor;
use crate::instance::bindings::{ToolProviderPre, exports::tollgate::tool::tool as wit};
use crate::instance::{CallState, Caps, EventLoop};
use crate::private::Noted;
use crate::request::{Answer, Caller, Proven, Request};
use crate::tool::{Identity, LoadedTool, NamedTool};
use crate::withdrawn::{Flag, Withdrawn};

/// Runs one call at a time, file calls included, on the thread that calls it. A call blocks that thread until its deadline at
/// most, then until its end is recorded.
#[derive(Debug)]
pub struct ExecutorThread {
    executor: Arc<Executor>,
    event_loop: EventLoop,
}

impl ExecutorThread {
    /// Takes the proof that this process is sealed, or does without a seal by choice.
    pub fn new(executor: &Arc<Executor>, event_loop: EventLoop, _sealed: &Enforced) -> Self {
        Self { executor: Arc::clone(executor), event_loop }
    }

    /// The executor that it shares with the other threads.
    #[must_use]
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// Runs a call. Once the tool has accepted the request, `keep` stores what the policy wants of it; if that fails, the guest
    /// does not run. `hears` gets what the guest writes to its standard error, while it runs.
    ///
    /// # Errors
    ///
    /// How the call failed, with what it used until then.
    pub fn call(
        &mut self,
        tool: &LoadedTool,
        request: &Request<'_>,
        (call, salt): (CallId, Option<Salt>),
        hears: Option<HearsStderr>,
        keep: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<Answer, Box<CallFailure>> {
        let limits = tool.identity.set.limits;
        let moment = Moment::now(limits);
        // The cap comes first: the time that a digest takes grows with the arguments.
        let is_within_cap = request.arguments.len() as u64 <= limits.input;
        let noted = &Noted::of(call, salt, is_within_cap.then_some(request.arguments));
        let asked = Asked::Invoke { operation: request.operation, arguments: request.arguments };
        let accept = || {
            tool.accept(request, moment.deadline)?;
            keep()
        };
        let order =
            RunOrder { identity: &tool.identity, stdin: request.stdin.clone(), caller: &request.caller, moment, hears };
        let ran = self.run(&tool.pre, order, &asked, noted, accept);
        let limit = limits.output;
        let ended = ran.answered.and_then(|answered| match answered {
            Answered::Invoke(Ok(output)) => checked_output(output, limit),
            Answered::Invoke(Err(wit::Error { code, message })) => Err(tool_error(code, message, limit)),
            Answered::Describe(_) => Err(CallError::Internal("an answer to another question".into())),
        });
        let (output, done) = ran.record.end(ended, noted, |output| Some(output.as_str()))?;
        Ok(Answer { output, usage: done.usage, streams: done.streams, call: noted.call })
    }

    /// Asks a component for its operations.
    pub(crate) fn describe(
        &mut self,
        pre: &ToolProviderPre<CallState>,
        identity: &Identity,
        noted: &Noted,
    ) -> Result<Vec<wit::Operation>, Box<CallFailure>> {
        let moment = Moment::now(identity.set.limits);
        let order = RunOrder { identity, stdin: Bytes::new(), caller: &Caller::default(), moment, hears: None };
        let ran = self.run(pre, order, &Asked::Describe, noted, || Ok(()));
        let ended = ran.answered.and_then(|answered| match answered {
            Answered::Describe(operations) => Ok(operations),
            Answered::Invoke(_) => Err(CallError::Internal("an answer to another question".into())),
        });
        let (operations, _done) = ran.record.end(ended, noted, |_operations| None)?;
        Ok(operations)
    }

    /// Puts a call on record, has it accepted, and runs the guest.
    fn run(
        &mut self,
        pre: &ToolProviderPre<CallState>,
        order: RunOrder<'_>,
        asked: &Asked<'_>,
        noted: &Noted,
        accept: impl FnOnce() -> Result<(), CallError>,
    ) -> Ran {
        let RunOrder { identity, stdin, caller, moment, hears } = order;
        let Moment { started, wall_start, .. } = moment;
        let limits = identity.set.limits;
        let executor = Arc::clone(&self.executor);
        let withdrawable = executor.withdrawals.enter(noted.call);
        let start = call_start(identity.named(), asked, caller, moment, noted);
        let mut trail = CallTrail::begin(Arc::clone(&self.executor.record), start);
        let recorded = trail.flush();
        let is_on_record = recorded.is_ok();
        let accepted = recorded.map_err(|error| CallError::Unrecorded(with_causes(&error))).and_then(|()| {
            accept()?;
            if withdrawable.flag.is_set() { Err(CallError::Cancelled) } else { Ok(()) }
        });
        let gate = Gate::new(Arc::clone(&identity.set), trail);
        let call =
            CallFacts { id: noted.call, session: caller.session().map(str::to_owned), deadline: moment.deadline };
        let input = GateInput { stdin, wall_start, monotonic_start: started, call };
        let mut gate = GateCtx::new(gate, input);
        hears.into_iter().for_each(|hears| gate.tell_stderr(hears));
        let mut store = self.store(gate, limits, (moment.deadline, &withdrawable.flag));
        let answered = match accepted {
            Err(error) => Err(error),
            Ok(()) => {
                let _ticking = self.executor.ticker.tick();
                let answered = guarded(&mut store, pre, asked, (moment.deadline, &withdrawable.flag));
                trap::set_call(Some(noted.call));
                let answered = self.event_loop.block_on(answered);
                trap::set_call(None);
                answered.map_err(|error| classify(&error, &limits, &store))
            }
        };
        let fuel_used = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        let kept = kept(identity.set.audit.acknowledge);
        let record = RanCall { state: store.into_data(), limits, fuel_used, started, kept, is_on_record };
        Ran { answered, record }
    }

    fn store(&self, gate: GateCtx, limits: Limits, ends: Ends<'_>) -> Store<CallState> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(table_entries(limits.handles));
        let state = CallState { gate, table, caps: Caps::new(limits.memory) };
        let mut store = Store::new(&self.executor.engine, state);
        store.limiter(|state| &mut state.caps);
        store.set_hostcall_fuel(usize::try_from(limits.host_memory).unwrap_or(usize::MAX));
        let (deadline, withdrawn) = (ends.0, Arc::clone(ends.1));
        store.set_epoch_deadline(EVERY_TICK);
        store.epoch_deadline_callback(move |_store| {
            if withdrawn.is_set() {
                Err(Withdrawn.into())
            } else if Instant::now() >= deadline {
                Err(Trap::Interrupt.into())
            } else {
                Ok(UpdateDeadline::Continue(EVERY_TICK))
            }
        });
        // Cannot fail: the engine has fuel on. Without fuel the guest traps at its first instruction.
        store.set_fuel(limits.fuel).unwrap_or_default();
        store.fuel_async_yield_interval(Some(FUEL_SAVED_EVERY)).unwrap_or_default();
        store
    }
}

/// Fuel between two readings of the fuel used, about 10 ms. A guest keeps the count in a register, and saves it only here: one
/// that the deadline ends would never save it.
const FUEL_SAVED_EVERY: u64 = 10_000_000;

/// Entries of the table for so many handles of the guest. The gate counts handles; this bounds the resources behind them.
fn table_entries(handles: u32) -> usize {
    let handles = usize::try_from(handles).unwrap_or(usize::MAX);
    handles.saturating_mul(TABLE_ENTRIES_PER_HANDLE).saturating_add(TABLE_SLACK)
}

/// A pollable of a clock is one handle and two entries: itself and its deadline.
const TABLE_ENTRIES_PER_HANDLE: usize = 2;

/// Resources that the gate itself holds for a moment, over the guest's: a file whose metadata is asked for, and a handle
/// that goes over the cap.
const TABLE_SLACK: usize = 3;

/// What a guest is run for.
enum Asked<'a> {
    Describe,
    Invoke { operation: &'a str, arguments: &'a str },
}

/// The tool and the caller for which a guest is run, and the guest's input.
struct RunOrder<'a> {
    identity: &'a Identity,
    stdin: Bytes,
    caller: &'a Caller,
    moment: Moment,
    hears: Option<HearsStderr>,
}

/// When a call starts, and by when it must have ended.
#[derive(Clone, Copy)]
struct Moment {
    started: Instant,
    wall_start: Duration,
    deadline: Instant,
}

impl Moment {
    fn now(limits: Limits) -> Self {
        let started = Instant::now();
        Self { started, wall_start: unix_time(), deadline: started + Duration::from_millis(limits.deadline_ms) }
    }
}

enum Answered {
    Describe(Vec<wit::Operation>),
    Invoke(Result<String, wit::Error>),
}

/// What ends a guest from outside: its deadline, and a withdrawal of its call.
type Ends<'c> = (Instant, &'c Arc<Flag>);

/// The deadline of a guest that computes is checked at each tick of the epoch.
const EVERY_TICK: u64 = 1;

/// How a run ended, before it is on the record.
struct Ran {
    answered: Result<Answered, CallError>,
    record: RanCall,
}

/// What is left of a call that ran: enough to put its end on the record.
struct RanCall {
    state: CallState,
    limits: Limits,
    fuel_used: u64,
    started: Instant,
    kept: Kept,
    // Whether the ledger has the call's first entry.
    is_on_record: bool,
}

/// A call whose end is on the record.
struct Done {
    usage: Usage,
    streams: Stdout,
}

async fn guarded(
    store: &mut Store<CallState>,
    pre: &ToolProviderPre<CallState>,
    asked: &Asked<'_>,
    (deadline, withdrawn): Ends<'_>,
) -> wasmtime::Result<Answered> {
    let mut guest = pin!(tokio::time::timeout_at(deadline.into(), guest(store, pre, asked)));
    let mut withdrawal = pin!(withdrawn.wait());
    // A guest that is parked in a host call burns neither fuel nor epochs: this is what ends it.
    poll_fn(|context| {
        if withdrawal.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(Withdrawn.into()));
        }
        guest.as_mut().poll(context).map(|answered| answered.unwrap_or_else(|_elapsed| Err(Trap::Interrupt.into())))
    })
    .await
}

async fn guest(
    store: &mut Store<CallState>,
    pre: &ToolProviderPre<CallState>,
    asked: &Asked<'_>,
) -> wasmtime::Result<Answered> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let tool = instance.tollgate_tool_tool();
    match asked {
        Asked::Describe => Ok(Answered::Describe(tool.call_operations(store).await?)),
        Asked::Invoke { operation, arguments } => {
            Ok(Answered::Invoke(tool.call_invoke(store, operation, arguments).await?))
        }
    }
}

impl RanCall {
    /// Puts the end of the call on the record. A call whose end cannot be recorded gets no answer.
    fn end<T>(
        self,
        ended: Result<T, CallError>,
        noted: &Noted,
        output: impl Fn(&T) -> Option<&str>,
    ) -> Result<(T, Done), Box<CallFailure>> {
        let Self { state, limits, fuel_used, started, kept, is_on_record } = self;
        let memory_peak_bytes = state.caps.peak_bytes();
        let (trail, counters, streams) = state.gate.finish();
        let result = match &ended {
            Ok(value) => output(value).map(str::to_owned),
            Err(error) => error.private_text(),
        };
        let usage = Usage {
            fuel_used,
            fuel_cap: limits.fuel,
            memory_peak_bytes,
            memory_cap_bytes: limits.memory,
            wall_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            deadline_us: limits.deadline_ms.saturating_mul(1000),
            output_bytes: ended.as_ref().ok().and_then(&output).map_or(0, |output| output.len() as u64),
            stdio_bytes: (streams.stdout.len() + streams.stderr.len()) as u64,
        };
        let result = noted.result(result.as_deref());
        let counters = counters.into_iter().map(|counter| (counter.function.to_owned(), counter.calls)).collect();
        let (class, detail, cap) = match &ended {
            Ok(_) => (CallClass::Success, String::new(), None),
            Err(error) => (error.kind().class(), public_detail(error), cap_of(error)),
        };
        let recorded = trail.end(CallEnding { class, detail, usage, counters, result, cap }, kept);
        // A first entry that had to wait goes with the end of the call.
        let call = (is_on_record || recorded.is_ok()).then_some(noted.call);
        let recorded = recorded.map_err(|error| with_causes(&error));
        let ended = ended.map_err(|error| with_stderr(error, &streams));
        let failure = |error| Box::new(CallFailure { error, call, usage, output: streams.clone(), help: Vec::new() });
        match (ended, recorded) {
            (Ok(value), Ok(_root)) => Ok((value, Done { usage, streams })),
            (Ok(_), Err(reason)) => Err(failure(CallError::Unrecorded(reason))),
            (Err(error), _) => Err(failure(error)),
        }
    }
}

/// How a call ended, without the tool's own words.
fn public_detail(error: &CallError) -> String {
    if let CallError::Rejected(reason) = error {
        return reason.without_texts();
    }
    if let CallError::Tool { code, .. } = error {
        let code = if is_plain_code(code) { format!(" [{code}]") } else { String::new() };
        return format!("the tool's own error{code}");
    }
    if let CallError::OutputNotJson { .. } = error {
        return "the tool answered with text that is not JSON".to_owned();
    }
    error.to_string()
}

/// Whether a code is the short word that it should be, and no message.
fn is_plain_code(code: &str) -> bool {
    code.len() <= CODE_BYTES_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

const CODE_BYTES_MAX: usize = 32;

fn cap_of(error: &CallError) -> Option<String> {
    let CallError::Cap(hit) = error else { return None };
    Some(hit.cap.as_str().to_owned())
}

fn kept(acknowledge: Acknowledge) -> Kept {
    match acknowledge {
        Acknowledge::Pipe => Kept::Pipe,
        Acknowledge::Journal => Kept::Journal,
        Acknowledge::Disk => Kept::Disk,
    }
}

/// The tool's own error. The cap on answers holds for it too.
fn tool_error(code: String, message: String, output_cap: u64) -> CallError {
    let asked = (code.len() + message.len()) as u64;
    let limit = output_cap.min(ERROR_TEXT_BYTES_MAX);
    if asked > limit {
        return CapHit { cap: Cap::Output, asked: Some(asked), limit }.into();
    }
    CallError::Tool { code, message }
}

/// Longest text of a tool's own error, whatever its output may be: a worker's answer has room for it in any spelling.
const ERROR_TEXT_BYTES_MAX: u64 = 1 << 20;

fn checked_output(output: String, limit: u64) -> Result<String, CallError> {
    let asked = output.len() as u64;
    if asked > limit {
        return Err(CapHit { cap: Cap::Output, asked: Some(asked), limit }.into());
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&output) {
        Ok(_) => Ok(output),
        Err(error) => Err(CallError::OutputNotJson { message: error.to_string() }),
    }
}

/// Finds the layer that stopped the guest, by the error that ended it.
fn classify(error: &wasmtime::Error, limits: &Limits, store: &Store<CallState>) -> CallError {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        return refusal(refused, limits);
    }
    if let Some(hit) = error.downcast_ref::<CapHit>() {
        return (*hit).into();
    }
    if error.is::<Withdrawn>() {
        return CallError::Cancelled;
    }
    if let Some(Failed { code, message }) = error.downcast_ref() {
        return tool_error(code.clone(), message.clone(), limits.output);
    }
    let hit = |cap, asked, limit| CallError::Cap(CapHit { cap, asked, limit });
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        let limit = u64::from(limits.handles);
        return hit(Cap::Handles, Some(limit + 1), limit);
    }
    if let Some(gone) = error.downcast_ref::<FolderGone>() {
        return CallError::Internal(format!("{gone}; mend the folder or the grant"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::Internal(format!("every place of the engine is taken; start it with more: {error:#}"));
    }
    if let Some(how) = error.downcast_ref::<Exited>() {
        return CallError::Exit { how: *how };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => hit(Cap::Fuel, None, limits.fuel),
        Some(Trap::Interrupt) => hit(Cap::Deadline, None, limits.deadline_ms),
        Some(Trap::StackOverflow) => CallError::Trap { message: "stack overflow (recursion without end?)".into() },
        Some(trap) => CallError::Trap { message: trap.to_string() },
        None if is_hostcall_fuel(error) => hit(Cap::HostMemory, None, limits.host_memory),
        None if store.data().caps.peak_bytes() == 0 => CallError::Internal(format!("no instance: {error:#}")),
        None => CallError::Trap { message: format!("{error:#}") },
    }
}

fn refusal(refused: &Refused, limits: &Limits) -> CallError {
    match refused {
        Refused::Killed(violation) | Refused::Denied(violation) => match violation.cap {
            Some(cap) => CapHit { cap, asked: asked_of(violation), limit: limits.get(cap) }.into(),
            None => CallError::Violation(violation.clone()),
        },
        Refused::RecordsFull { cap, asked, limit, .. } => {
            CapHit { cap: *cap, asked: Some(*asked), limit: *limit }.into()
        }
        Refused::Unrecorded { .. } | _ => CallError::Unrecorded(with_causes(refused)),
    }
}

fn asked_of(violation: &tollgate_wasi_proxy::Violation) -> Option<u64> {
    let tollgate_capability::Reason::OverLimit { asked, .. } = violation.reason else { return None };
    Some(asked)
}

/// wasmtime's error for it has no public type, so its text is compared; a test holds that text.
fn is_hostcall_fuel(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("fuel allocated for hostcalls"))
}

/// A panic says more on stderr than its trap does.
fn with_stderr(error: CallError, streams: &Stdout) -> CallError {
    let CallError::Trap { message } = error else { return error };
    let stderr = String::from_utf8_lossy(&streams.stderr);
    let says_something = |line: &&str| !line.trim().is_empty() && !line.starts_with(ADVICE_OF_RUST);
    match stderr.lines().rev().find(says_something) {
        Some(last) => CallError::Trap { message: format!("{last} ({message})") },
        None => CallError::Trap { message },
    }
}

/// Rust's last line of a panic: advice to the reader, nothing about the panic.
const ADVICE_OF_RUST: &str = "note: run with `RUST_BACKTRACE=";

fn call_start(tool: NamedTool<'_>, asked: &Asked<'_>, caller: &Caller, moment: Moment, noted: &Noted) -> CallStart {
    let (operation, arguments) = match asked {
        Asked::Describe => (DESCRIBE, ""),
        Asked::Invoke { operation, arguments } => (*operation, *arguments),
    };
    let (agent, session) = caller.proven.clone().map(|Proven { agent, session }| (agent, session)).unzip();
    let NamedTool { name, version, component, policy, limits } = tool;
    CallStart {
        call: noted.call,
        started: moment.started,
        deadline: moment.deadline,
        room: Room { entries: limits.records, bytes: limits.record_bytes },
        time_ns: u64::try_from(moment.wall_start.as_nanos()).unwrap_or(u64::MAX),
        tool: name.to_owned(),
        version: version.to_owned(),
        component,
        operation: operation.to_owned(),
        agent,
        session,
        claims: caller.claims.clone().into(),
        arguments: noted.arguments,
        arguments_bytes: arguments.len() as u64,
        capability_set: policy,
    }
}

/// Records the start and the end of a call that is turned down before its guest could run. Waits two seconds at most for a ledger
/// that has no room.
pub fn turn_down(
    record: &Arc<dyn tollgate_audit::Record>,
    tool: NamedTool<'_>,
    request: &Request<'_>,
    error: CallError,
) -> Box<CallFailure> {
    let (moment, limits) = (Moment::now(tool.limits), tool.limits);
    let noted = Noted::of(record.next_call(now_ms()), None, None);
    let asked = Asked::Invoke { operation: request.operation, arguments: request.arguments };
    let start = CallStart {
        deadline: moment.started + TURN_DOWN_WAIT,
        ..call_start(tool, &asked, &request.caller, moment, &noted)
    };
    let usage = Usage {
        fuel_cap: limits.fuel,
        memory_cap_bytes: limits.memory,
        deadline_us: limits.deadline_ms.saturating_mul(1000),
        ..Usage::default()
    };
    let (class, detail, cap) = (error.kind().class(), public_detail(&error), cap_of(&error));
    let ending = CallEnding { class, detail, usage, counters: Vec::new(), result: None, cap };
    let recorded = CallTrail::begin(Arc::clone(record), start).end(ending, Kept::Pipe);
    Box::new(CallFailure { call: recorded.is_ok().then_some(noted.call), ..*CallFailure::before(error) })
}

const TURN_DOWN_WAIT: Duration = Duration::from_secs(2);

/// How the ledger names the question for a tool's operations; no operation can have a colon in its name.
const DESCRIBE: &str = "tollgate:describe";
