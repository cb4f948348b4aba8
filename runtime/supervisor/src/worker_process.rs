//! The supervisor's side of a worker: its process, its connections, how it ended.
//!
//! Any thread may use it. No lock is held over a system call or a wait for a process.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tollgate_audit::CallId;
use tollgate_engine::clock::now_ms;
use tollgate_engine::error::{CallError, WorkerError, with_causes};
use tollgate_engine::loading::DESCRIBE_MS_MIN;
use tollgate_engine::surroundings::in_words;
use tollgate_ipc::{Connection, ConnectionError};
use tollgate_notary::{WriterEnding, WriterEnds};
use tollgate_system::{ProcessCommand, held, lock, of_call};
use tollgate_worker::protocol::{STARTED_LIMITS, Started};
use tollgate_worker::start::{StartOrder, ToolOrder, hand_over};

use super::Shared;
use super::calls::LeasedCalls;
use super::cancel::{Cancel, Tell};
use super::member::Member;
use super::notary::NotaryProcess;
use super::spawner::start_worker;
use super::worker_handle::{END_WAIT, NOT_ENDED, RunsCall, WorkerHandle};

/// A worker process. It is told to end when it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    handle: Arc<WorkerHandle>,
    calls: LeasedCalls,
    connections: Mutex<Vec<Connection>>,
    connection_is_free: Condvar,
}

/// How a worker process ended.
#[derive(Debug)]
pub struct WorkerEnd {
    /// What the kernel says of it.
    pub status: Option<std::process::ExitStatus>,
    /// The last line that it printed to its standard error: untrusted text.
    pub said: String,
    /// All that is known, in words, `said` included.
    pub how: String,
    /// What the notary made of it.
    pub ending: Option<WriterEnding>,
}

impl WorkerProcess {
    /// Starts the worker of a group, and waits until it says how that went.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        command: &ProcessCommand,
        members: &[Member],
    ) -> Result<(Self, Started), WorkerError> {
        let failed = |error: io::Error| no_worker(with_causes(&error));
        let (channel, end) = WriterEnds::new().map_err(failed)?;
        let lease = shared.notary.new_lease().map_err(failed)?;
        let calls = LeasedCalls::of(lease);
        // There are fewer tools than calls in a lease.
        let describing = |member: &Member| {
            let call = calls.next(now_ms(), || Err(io::ErrorKind::QuotaExceeded.into())).map_err(failed)?;
            Ok(ToolOrder::new(&member.tool.load, call))
        };
        let tools = members.iter().map(describing).collect::<Result<_, WorkerError>>()?;
        let order = StartOrder { required: shared.settings.required, tools };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _connection in 0..connections(members, shared.settings.connections_max) {
            let (here, there) = UnixStream::pair().map_err(|error| failed(of_call("socketpair", error)))?;
            ours.push(Connection::new(here));
            theirs.push(there);
        }
        let until = Instant::now() + START_WAIT;
        let handle = start_worker(shared, command, (end, lease), until).map_err(failed)?;
        // A sound worker only reads at this time.
        set_socket_timeout(&handle.control, Timeout::Send, Some(START_WAIT)).map_err(|errno| failed(errno.into()))?;
        let code: Vec<BorrowedFd<'_>> = members.iter().map(|member| member.code.as_fd()).collect();
        let handed = hand_over(&handle.control, (&channel, lease), &order, &code, &theirs);
        // A writing end that stays open here would keep the notary waiting for more.
        drop((channel, theirs));
        let started = match (handed, ours.first_mut()) {
            (Ok(()), Some(first)) => first.receive::<Started>(STARTED_LIMITS, Some(until)),
            (Err(error), _) => Err(ConnectionError::Io(error)),
            (Ok(()), None) => Err(ConnectionError::Gone),
        };
        match started {
            Ok((started, _none)) => {
                let (connections, connection_is_free) = (Mutex::new(ours), Condvar::new());
                Ok((Self { handle, calls, connections, connection_is_free }, started))
            }
            Err(error) => Err(no_worker(handle.end_of(&error.to_string()).0)),
        }
    }

    /// The id of a call that it will run.
    pub(crate) fn next_call(&self, notary: &NotaryProcess) -> Result<CallId, CallError> {
        let next = self.calls.next(now_ms(), || notary.lease(self.handle.id));
        next.map_err(|error| CallError::Internal(format!("there is no id for the call: {error}")))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.handle.has_ended()
    }

    /// Withdraws a call that this worker runs or is about to run: the worker is told, and killed if the call is not over after the
    /// grace.
    pub(crate) fn withdraws(&self, call: CallId, shared: &Arc<Shared>) -> Tell {
        let (handle, shared) = (Arc::clone(&self.handle), Arc::downgrade(shared));
        Arc::new(move || {
            let Some(shared) = shared.upgrade() else { return };
            let until = Instant::now() + shared.settings.grace;
            handle.withdraw(call, until);
            shared.look_at(until);
        })
    }

    /// Notes that it runs this call, until the returned value is dropped.
    pub(super) fn runs(&self, call: CallId) -> RunsCall<'_> {
        self.handle.runs(call)
    }

    /// Waits for an idle thread of the worker until `until`, or until the call is withdrawn. Returns that thread's connection.
    pub(crate) fn take_connection(
        self: &Arc<Self>,
        until: Instant,
        cancel: Option<&Cancel>,
    ) -> Result<Connection, CallError> {
        let free = lock(&self.connections).pop();
        if let Some(connection) = free {
            return Ok(connection);
        }
        let wakes = || -> Tell {
            let waiting = Arc::clone(self);
            Arc::new(move || waiting.wake())
        };
        let _waiting = cancel.map(|cancel| cancel.at(wakes()));
        let is_cancelled = || cancel.is_some_and(Cancel::is_cancelled);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.connection_is_free.wait_timeout_while(
                lock(&self.connections),
                left.min(LOOK_UP_EVERY),
                |connections| connections.is_empty() && !is_cancelled(),
            );
            if let Some(connection) = held(waited).0.pop() {
                return Ok(connection);
            }
            if is_cancelled() {
                return Err(CallError::Cancelled);
            }
            if left.is_zero() {
                return Err(CallError::Internal("no thread of the tool's worker had time for the call".to_owned()));
            }
            if self.has_ended() {
                return Err(self.lost("it ended before the call began"));
            }
        }
    }

    /// Has all callers that wait for a thread look whether their call was withdrawn.
    fn wake(&self) {
        drop(lock(&self.connections));
        self.connection_is_free.notify_all();
    }

    /// Gives back a connection that was taken, between two calls.
    pub(crate) fn give_back(&self, connection: Connection) {
        lock(&self.connections).push(connection);
        self.connection_is_free.notify_one();
    }

    /// Kills the worker, since it has not answered in time.
    pub(crate) fn overran(&self, deadline_ms: u64, grace_ms: u64) -> CallError {
        match self.handle.end_of(&format!("it gave no answer {grace_ms} ms after the deadline of {deadline_ms} ms")) {
            // The filter had stopped it already.
            (_, Some(WriterEnding::Blocked(blocked))) => CallError::Blocked { call: blocked.to_string() },
            (_, _other) => CallError::Overran { deadline_ms, grace_ms },
        }
    }

    /// Kills the worker, if it lives, for `reason`; returns the error of its calls.
    pub(crate) fn lost(&self, reason: &str) -> CallError {
        match self.handle.end_of(reason) {
            (_, Some(WriterEnding::Blocked(blocked))) => CallError::Blocked { call: blocked.to_string() },
            (_, Some(WriterEnding::Condemned { fault })) => {
                CallError::WorkerEnded { how: format!("it wrote what it may not: {fault}") }
            }
            (how, Some(WriterEnding::Closed) | None) => CallError::WorkerEnded { how },
        }
    }

    /// Waits until the worker has ended by itself and its record is closed, at most `most`. A worker that still lives then is
    /// ended.
    pub(super) fn await_end(&self, most: Duration) -> WorkerEnd {
        drop(self.handle.wait(most, |state| state.ended.is_some()));
        if !self.has_ended() {
            self.end();
        }
        let (how, ending) = self.handle.end_of("it did not end by itself");
        let state = self.handle.state();
        WorkerEnd { status: state.status, said: state.said.clone(), how, ending }
    }

    /// Tells the worker to end, and waits for nothing. The reaper kills a worker that does not ([`WorkerHandle::kill_if_overdue`]).
    pub(crate) fn tell_to_end(&self) {
        self.handle.tell_to_end();
        let connections = std::mem::take(&mut *lock(&self.connections));
        drop(connections);
    }

    /// Tells the worker to end, and waits; kills it if it does not.
    pub(crate) fn end(&self) {
        self.tell_to_end();
        if self.handle.wait(END_WAIT, |state| state.ended.is_some()).ended.is_none() {
            self.handle.kill(NOT_ENDED);
            drop(self.handle.wait(END_WAIT, |state| state.ended.is_some()));
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.handle.tell_to_end();
    }
}

/// Calls that a worker runs at the same time.
fn connections(members: &[Member], connections_max: u32) -> u32 {
    let calls = members.iter().map(|member| member.tool.load.set.limits.calls);
    calls.fold(0, u32::saturating_add).clamp(1, connections_max.max(1))
}

/// Why there is no worker. Limits of this process's surroundings that are low may be the cause, and are named.
fn no_worker(reason: String) -> WorkerError {
    WorkerError::Start { reason: reason + &in_words() }
}

/// How long a start may take. A worker loads code and asks each tool for its operations: this is far above what that takes with a
/// part of a CPU.
pub(super) const START_WAIT: Duration = Duration::from_millis(9 * DESCRIBE_MS_MIN);

const LOOK_UP_EVERY: Duration = Duration::from_millis(100);
