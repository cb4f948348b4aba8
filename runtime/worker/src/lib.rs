//! The worker's own process: runs the calls of one tool, or of one compartment's tools, sealed by the kernel. It is told what to
//! load before it is sealed, and answers calls afterwards. No guest runs before.
//!
//! ```text
//! take over ─▶ engine ─▶ confine ─▶ threads ─▶ only to load ─▶ code ─▶ filter ─▶ self-test on each ─▶ Enforced
//!                                                                                      ─▶ load tools ─▶ serve
//! ```
//!
//! Compiled code is untrusted even before it runs: a component that broke into its compiler chose the bytes that wasmtime parses.
//! So the code is looked at only once this process reaches no files but the granted ones and no network, and can start neither a
//! thread nor a program.
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `main` | takes over, seals the process, then hears the supervisor | the supervisor's next word, without a limit |
//! | `executor-N`, one for each connection | runs the calls that come on its connection | the next call, without a limit; within a call its deadline, and the notary where entries must be kept |
//! | `epoch` (to the kernel `tollgate-epoch`) | ticks while calls run, so that a guest past its deadline stops | the next tick; the next call, without a limit, where none has run for 200 ms |
//!
//! The supervisor ends waits without a limit: the process dies with it, and is killed where it overruns.
//!
//! A worker must never serve without an [`Enforced`], reach the ledger other than through its pipe, or start a thread once
//! it is sealed.

#![deny(unsafe_code)]

mod after;
mod barrier;
pub mod kernel_plan;
pub mod protocol;
mod serving;
pub mod start;

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::{io, panic, process, thread};

use tollgate_audit::CallId;
use tollgate_capability::CapabilitySet;
use tollgate_engine::Component;
use tollgate_engine::clock::now_ns;
use tollgate_engine::engine::Engine;
use tollgate_engine::error::{WorkerError, with_causes};
use tollgate_engine::executor::Executor;
use tollgate_engine::instance::EventLoop;
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_ipc::{Channel, Connection};
use tollgate_notary::Recorder;
use tollgate_sandbox::{Confined, EnforceError, Enforced, Stripped, strip, trap};
use tollgate_system::{belong_to, know_devtmpfs, of_thread};

use self::after::After;
pub use self::after::{AfterSealed, NothingElse, SealedProcess, ThreadKind};
use self::barrier::SealBarrier;
use self::kernel_plan::{level, plan, united};
use self::protocol::{Started, no_start};
use self::serving::Serving;
use self::start::{Handed, StartOrder, ToWorker, ToolOrder, take_over};

/// What a worker's process is told by its arguments.
#[derive(Debug, Clone, Copy)]
pub struct WorkerRole {
    /// The process that started it. The worker dies with it.
    pub supervisor: u32,
}

/// Runs calls as the process that a `Supervisor` started, which must have one thread and the control socket as its standard input.
/// Returns when the supervisor is gone or has no more calls. Until then the calling thread is the worker's main thread.
///
/// # Errors
///
/// The supervisor cannot be understood. It is told of any other failure.
///
/// # Safety
///
/// Nothing in this process owns or borrows a file beside its standard streams, or never uses nor closes it again: they are
/// all closed. So this is what a `main` does first, and it ends when this returns.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve(role: &WorkerRole) -> io::Result<()> {
    // SAFETY: as the caller promises.
    unsafe { serve_and(role, NothingElse) }
}

/// As [`serve`], with a hook that runs once the process is sealed.
///
/// # Errors
///
/// As for [`serve`].
///
/// # Safety
///
/// As for [`serve`].
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve_and(role: &WorkerRole, hook: impl AfterSealed) -> io::Result<()> {
    belong_to(role.supervisor)?;
    end_by_any_panic();
    let control = Channel::new(io::stdin().as_fd().try_clone_to_owned()?);
    let handed = take_over(&control)?;
    // SAFETY: this process has just started, and the caller owns no file beside the standard streams; what was handed over is
    // kept.
    let stripped = unsafe { strip(&handed.descriptors(&control)) };
    let after = After::new(hook, handed.as_process(&control));
    let Handed { channel, calls: _, status, order, code, mut connections } = handed;
    // SAFETY: the recorder takes the pipe, and lives in threads that end with the process.
    unsafe { trap::set_evidence(channel.pipe.as_raw_fd(), channel.writer) };
    let recorder = Arc::new(Recorder::over(channel));
    recorder.set_status(status);
    let count = connections.len();
    let prepared = stripped
        .map_err(|error| unsealed(&error))
        .and_then(|stripped| prepare(stripped, order, code, count, after.sealed_for()));
    let executor = match prepared {
        Ok(prepared) => prepared.serve(&recorder, connections, &after)?,
        Err(error) => {
            connections.iter_mut().take(1).for_each(|connection| protocol::tell(connection, &error));
            return Ok(());
        }
    };
    after.on(ThreadKind::Main);
    hear(&control, &recorder, &executor)
}

/// What a worker will run, in a process that reaches no files but those granted.
struct Prepared {
    engine: Engine,
    // Each with the call in which it is asked for its operations, and its code, which nothing has looked at yet.
    tools: Vec<(LoadOrder, CallId, OwnedFd)>,
    confined: Confined,
}

/// A tool whose code is in memory.
#[derive(Debug)]
pub(crate) struct Unloaded {
    pub(crate) loading: Loading,
    pub(crate) component: Component,
    pub(crate) describing: CallId,
}

/// Makes the engine, which opens `/proc/self/pagemap`; reads what the gate needs from `/proc`; then confines this process.
fn prepare(
    stripped: Stripped,
    order: StartOrder,
    code: Vec<OwnedFd>,
    connections: usize,
    besides: Option<CapabilitySet>,
) -> Result<Prepared, Started> {
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    let engine = Engine::for_mapped_code(connections).map_err(|error| no_start(&error))?;
    know_devtmpfs();
    let StartOrder { required, tools } = order;
    let besides = besides.map(|set| plan(&set));
    let tools: Vec<_> = tools.into_iter().map(ToolOrder::into_load).zip(code).collect();
    let plans = besides.into_iter().chain(tools.iter().map(|((load, _), _)| plan(&load.set)));
    let whole = plans.reduce(united).unwrap_or_else(|| plan(&CapabilitySet::default()));
    let confined = stripped.confine(&whole, level(required)).map_err(|error| unsealed(&error))?;
    let tools = tools.into_iter().map(|((load, describing), code)| (load, describing, code)).collect();
    Ok(Prepared { engine, tools, confined })
}

impl Prepared {
    /// Starts every thread that this process will have, loads the code, seals them, and lets them serve.
    fn serve<A: AfterSealed>(
        self,
        recorder: &Arc<Recorder>,
        connections: Vec<Connection>,
        after: &Arc<After<A>>,
    ) -> io::Result<Arc<Executor>> {
        let barrier = SealBarrier::new(connections.len() + 1);
        let first = {
            let (barrier, after) = (Arc::clone(&barrier), Arc::clone(after));
            move || {
                if barrier.arrive(EPOCH_THREAD).is_ok() {
                    after.on(ThreadKind::Epoch);
                }
            }
        };
        let executor = Executor::start(&self.engine, Arc::clone(recorder) as _, first).map_err(io::Error::other)?;
        let serving = Arc::new(Serving::new(Arc::clone(&executor)));
        for (place, connection) in connections.into_iter().enumerate() {
            let (barrier, serving, event_loop) = (Arc::clone(&barrier), Arc::clone(&serving), EventLoop::new()?);
            let after = (place == 0).then(|| Arc::clone(after));
            let name = format!("executor-{}", place + 1);
            let its_name = name.clone();
            let work = move || serving.work(after.as_deref(), connection, event_loop, &barrier.arrive(&its_name));
            thread::Builder::new().name(name).spawn(work).map_err(of_thread)?;
        }
        trap::name_thread(MAIN_THREAD);
        barrier.release(self.load_and_seal(recorder, &serving, &barrier));
        Ok(executor)
    }

    /// Loads the tools' code, whose pages are the last of this process to become executable, and seals the process.
    fn load_and_seal(self, recorder: &Recorder, serving: &Serving, barrier: &SealBarrier) -> Result<Enforced, Started> {
        let Self { engine, tools, confined } = self;
        // No thread can be started from here on.
        barrier.await_all();
        let confined = confined.only_to_load().map_err(|error| unsealed(&error))?;
        let unloaded = tools.into_iter().enumerate().map(|(place, (load, describing, code))| {
            let unloadable = |error| Started::Unloadable { tool: place, error };
            let component = Component::from_memory_file(&engine, &code).map_err(unloadable)?;
            let loading = Loading::of(load).map_err(unloadable)?;
            Ok(Unloaded { loading, component, describing })
        });
        let tools = unloaded.collect::<Result<Vec<_>, Started>>()?;
        let policies = tools.iter().map(|tool| tool.loading.policy()).collect();
        serving.bring(tools);
        let enforced = barrier.seal(confined).map_err(|error| unsealed(&error))?;
        enforced.record(recorder, now_ns(), policies).map_err(|error| no_start(&error))?;
        Ok(enforced)
    }
}

/// Has any panic end the process. A thread that panics would leave calls without an answer; the supervisor starts another worker.
fn end_by_any_panic() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        usual(panicked);
        process::abort();
    }));
}

fn unsealed(error: &EnforceError) -> Started {
    let reason = with_causes(error);
    let is_below = matches!(error, EnforceError::BelowFloor { .. });
    let error = if is_below { WorkerError::BelowFloor { reason } } else { WorkerError::NotSealed { reason } };
    Started::NoWorker { error }
}

/// Hears the supervisor until it hangs up.
fn hear(control: &Channel, recorder: &Recorder, executor: &Executor) -> io::Result<()> {
    while let Some((said, _none)) = control.receive::<ToWorker>().map_err(io::Error::other)? {
        match said {
            ToWorker::Notary { status } => recorder.set_status(status),
            ToWorker::Cancel { call } => executor.withdraw(call),
            ToWorker::Hello { .. } | ToWorker::Code | ToWorker::Connections | ToWorker::Start => {
                return Err(io::Error::other("a second start"));
            }
        }
    }
    Ok(())
}

const MAIN_THREAD: &str = "main";
const EPOCH_THREAD: &str = "epoch";
