//! The executor threads of a worker. Each has a connection, and runs the calls that come on it from start to end. It waits for the
//! next call without a limit.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tollgate_engine::call::ExecutorThread;
use tollgate_engine::error::{CallError, CallFailure};
use tollgate_engine::executor::Executor;
use tollgate_engine::instance::EventLoop;
use tollgate_engine::operations::too_much_together;
use tollgate_engine::private::Noted;
use tollgate_engine::request::{Answer, Request};
use tollgate_engine::tool::LoadedTool;
use tollgate_ipc::Connection;
use tollgate_sandbox::Enforced;
use tollgate_system::{held, lock};
use tollgate_wasi_proxy::HearsStderr;

use super::Unloaded;
use super::after::{After, AfterSealed, ThreadKind};
use super::protocol::{self, ASK_LIMITS, Ask, Go, Said, Started};

/// Shared by the threads: the tools, once the first thread has loaded them.
#[derive(Debug)]
pub(crate) struct Serving {
    executor: Arc<Executor>,
    tools: Mutex<Tools>,
    loaded: Condvar,
}

#[derive(Debug)]
enum Tools {
    Waiting(Vec<Unloaded>),
    Loading,
    Loaded(Arc<Vec<LoadedTool>>),
    Unusable,
}

impl Serving {
    pub(crate) fn new(executor: Arc<Executor>) -> Self {
        Self { executor, tools: Mutex::new(Tools::Waiting(Vec::new())), loaded: Condvar::new() }
    }

    /// Takes the tools whose code is mapped. Threads look for them only once they are sealed.
    pub(crate) fn bring(&self, tools: Vec<Unloaded>) {
        *self.lock() = Tools::Waiting(tools);
    }

    /// Serves a connection until the supervisor closes it, on the calling executor thread. The first thread, which has the hook,
    /// loads the tools and tells the supervisor how the start went.
    pub(super) fn work<A: AfterSealed>(
        &self,
        first: Option<&After<A>>,
        mut connection: Connection,
        event_loop: EventLoop,
        sealed: &Result<Arc<Enforced>, Arc<Started>>,
    ) {
        let enforced = match sealed {
            Ok(enforced) => enforced,
            Err(started) => {
                if first.is_some() {
                    protocol::tell(&mut connection, &**started);
                }
                return;
            }
        };
        let mut thread = ExecutorThread::new(&self.executor, event_loop, enforced);
        if let Some(after) = first {
            protocol::tell(&mut connection, &self.load(&mut thread));
            after.process.has_started();
            after.on(ThreadKind::Executor);
        }
        let Some(tools) = self.tools() else { return };
        // Shared, since what a guest writes goes out on it during a call.
        let connection = Arc::new(Mutex::new(connection));
        // If a connection breaks, the supervisor decides what follows.
        loop {
            let asked = lock(&connection).receive::<Ask>(ASK_LIMITS, None);
            let Ok((ask, [arguments, stdin, _none])) = asked else { return };
            let (said, blobs) = answer(&mut thread, &tools, &connection, &ask, [arguments, stdin]);
            let [output, stdout, stderr] = &blobs;
            if lock(&connection).send(&said, [output, stdout, stderr], None).is_err() {
                return;
            }
        }
    }

    fn load(&self, thread: &mut ExecutorThread) -> Started {
        let waiting = match std::mem::replace(&mut *self.lock(), Tools::Loading) {
            Tools::Waiting(waiting) => waiting,
            Tools::Loading | Tools::Loaded(_) | Tools::Unusable => Vec::new(),
        };
        let mut tools = Vec::new();
        let mut failed = None;
        for (place, Unloaded { loading, component, describing }) in waiting.into_iter().enumerate() {
            match loading.load(thread, &component, &Noted::of(describing, None, None)) {
                Ok(tool) => tools.push(tool),
                Err(error) => {
                    failed = Some(Started::Unloadable { tool: place, error });
                    break;
                }
            }
        }
        let operations: Vec<_> = tools.iter().map(|tool| tool.texts().clone()).collect();
        if failed.is_none() {
            let too_much = too_much_together(&operations);
            failed = too_much.map(|(tool, error)| Started::Unloadable { tool, error });
        }
        *self.lock() = if failed.is_some() { Tools::Unusable } else { Tools::Loaded(Arc::new(tools)) };
        self.loaded.notify_all();
        failed.unwrap_or(Started::Serving { tools: operations })
    }

    fn tools(&self) -> Option<Arc<Vec<LoadedTool>>> {
        let is_waiting = |tools: &mut Tools| matches!(tools, Tools::Waiting(_) | Tools::Loading);
        let tools = held(self.loaded.wait_while(self.lock(), is_waiting));
        match &*tools {
            Tools::Loaded(tools) => Some(Arc::clone(tools)),
            Tools::Waiting(_) | Tools::Loading | Tools::Unusable => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tools> {
        lock(&self.tools)
    }
}

fn answer(
    thread: &mut ExecutorThread,
    tools: &[LoadedTool],
    connection: &Arc<Mutex<Connection>>,
    ask: &Ask,
    texts: [Vec<u8>; 2],
) -> (Said, [Vec<u8>; 3]) {
    match run(thread, tools, connection, ask, texts) {
        Ok(Ok(Answer { output, usage, streams, call: _ })) => {
            (Said::Answered { usage }, [output.into_bytes(), streams.stdout, streams.stderr])
        }
        Ok(Err(mut failure)) => {
            let streams = std::mem::take(&mut failure.output);
            (Said::Failed { failure: *failure }, [Vec::new(), streams.stdout, streams.stderr])
        }
        Err(what) => {
            let error = CallError::Internal(format!("the supervisor asks what makes no sense: {what}"));
            (Said::Senseless { error }, Default::default())
        }
    }
}

type Ended = Result<Answer, Box<CallFailure>>;

fn run(
    thread: &mut ExecutorThread,
    tools: &[LoadedTool],
    connection: &Arc<Mutex<Connection>>,
    ask: &Ask,
    [arguments, stdin]: [Vec<u8>; 2],
) -> Result<Ended, String> {
    let tool = tools.get(ask.tool).ok_or("a tool that is not here")?;
    let salt = ask.salt().map_err(|error| error.to_string())?;
    let arguments = String::from_utf8(arguments).map_err(|error| error.to_string())?;
    let (operation, caller) = (ask.operation.as_str(), ask.caller.clone());
    let request = Request { operation, arguments: &arguments, stdin: stdin.into(), caller };
    let keep = || if salt.is_some() { ask_supervisor(&mut lock(connection)) } else { Ok(()) };
    let hears = ask.hears.then(|| {
        let connection = Arc::clone(connection);
        // A supervisor that is gone is no error here: this process ends with it.
        Box::new(move |bytes: &[u8]| lock(&connection).send(&Said::Wrote, [b"", b"", bytes], None).unwrap_or_default())
            as HearsStderr
    });
    Ok(thread.call(tool, &request, (ask.call, salt), hears, keep))
}

/// Has the supervisor keep what the policy wants of a call, and waits for its answer without a limit: this process ends with its
/// supervisor.
fn ask_supervisor(connection: &mut Connection) -> Result<(), CallError> {
    let nobody = |error| CallError::Unrecorded(format!("the supervisor does not keep the call: {error}"));
    connection.send(&Said::Accepted, [b"", b"", b""], None).map_err(nobody)?;
    match connection.receive::<Go>(ASK_LIMITS, None).map_err(nobody)?.0 {
        Go::Run => Ok(()),
        Go::End { error } => Err(error),
    }
}
