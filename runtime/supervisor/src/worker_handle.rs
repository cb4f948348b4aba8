//! The state of a worker process. It is shared by all that learn of its end: the thread that waits for the process, the notary's
//! client, and callers. Any thread may use it. No lock is held over a system call or a wait for a process.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use tollgate_audit::{CallId, WriterId};
use tollgate_ipc::{Channel, ChannelError};
use tollgate_notary::{Status, WriterEnding};
use tollgate_system::{held, lock};
use tollgate_worker::start::ToWorker;

use crate::notary::Follows;

/// One worker's process, its control socket, and what is known of its end.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    pub(super) id: WriterId,
    process: OwnedFd,
    pub(super) control: Channel,
    state: Mutex<HandleState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct HandleState {
    // When it was told to end.
    told_to_end: Option<Instant>,
    // Calls that it runs; for a withdrawn call, the end of its grace.
    calls: Vec<(CallId, Option<Instant>)>,
    // Why it was killed.
    killed: Option<String>,
    // Once its process has ended: the exit status, its last output, and both in words.
    pub(super) status: Option<ExitStatus>,
    pub(super) said: String,
    pub(super) ended: Option<String>,
    // Set once all that it recorded is in the ledger.
    pub(super) over: Option<WriterEnding>,
}

/// A call that a worker runs.
pub(super) struct RunsCall<'h> {
    handle: &'h WorkerHandle,
    call: CallId,
}

impl Drop for RunsCall<'_> {
    fn drop(&mut self) {
        self.handle.state().calls.retain(|(call, _)| *call != self.call);
    }
}

impl WorkerHandle {
    pub(super) fn new(id: WriterId, process: OwnedFd, control: Channel) -> Self {
        Self { id, process, control, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn tell_to_end(&self) {
        self.state().told_to_end.get_or_insert_with(Instant::now);
        self.control.hang_up();
    }

    /// Kills the worker if it was told to end, or to end a call, and has not done so in time.
    pub(super) fn kill_if_overdue(&self) {
        let now = Instant::now();
        let (is_overdue, is_stuck) = {
            let state = self.state();
            let is_overdue = state.told_to_end.is_some_and(|told| told.elapsed() >= END_WAIT);
            (is_overdue, state.calls.iter().any(|(_, until)| until.is_some_and(|until| until <= now)))
        };
        if is_overdue {
            self.kill(NOT_ENDED);
        } else if is_stuck {
            self.kill(STUCK);
        }
    }

    /// Notes that the worker runs a call, until the returned value is dropped.
    pub(super) fn runs(&self, call: CallId) -> RunsCall<'_> {
        self.state().calls.push((call, None));
        RunsCall { handle: self, call }
    }

    /// Tells the worker to end a call that it runs, which it must have done by `until`.
    pub(super) fn withdraw(&self, call: CallId, until: Instant) {
        let is_its_own = {
            let mut state = self.state();
            let own = state.calls.iter_mut().find(|(own, _)| *own == call);
            own.map(|(_, grace)| *grace = Some(until)).is_some()
        };
        // Else the call is over by now.
        if is_its_own {
            self.tell(&ToWorker::Cancel { call });
        }
    }

    /// Sends a message to the worker. A worker that leaves no room for it is killed.
    fn tell(&self, say: &ToWorker) {
        match self.control.send_at_once(say) {
            Err(ChannelError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.kill("it does not hear the supervisor");
            }
            // A worker that is gone is noticed by its end.
            Ok(()) | Err(_) => {}
        }
    }

    pub(super) fn kill(&self, reason: &str) {
        {
            let mut state = self.state();
            if state.ended.is_some() || state.killed.is_some() {
                return;
            }
            state.killed = Some(reason.to_owned());
        }
        // A worker that has ended meanwhile needs no signal.
        pidfd_send_signal(&self.process, Signal::KILL).ok();
    }

    /// Why it was killed, if it was.
    pub(super) fn killed(&self) -> Option<String> {
        self.state().killed.clone()
    }

    /// Notes that its process is gone and the notary has been told.
    pub(super) fn has_come_to_its_end(&self, status: Option<ExitStatus>, said: String, how: String) {
        {
            let mut state = self.state();
            (state.status, state.said) = (status, said);
            state.ended = Some(how);
        }
        self.changed.notify_all();
    }

    pub(super) fn has_ended(&self) -> bool {
        let is_known = {
            let state = self.state();
            state.ended.is_some() || state.killed.is_some()
        };
        // The thread that waits for its end may not have noted it yet, and a dead worker must not be asked anything.
        is_known || is_dead(&self.process)
    }

    /// Waits for the end of a worker that broke off, or ends it now; returns how it ended, and what the notary made of it. Waits
    /// 3.5 s at most.
    pub(super) fn end_of(&self, reason: &str) -> (String, Option<WriterEnding>) {
        // A worker that dies by itself has a reason of its own.
        if self.wait(DYING_WAIT, |state| state.ended.is_some() || state.killed.is_some()).ended.is_none() {
            self.kill(reason);
        }
        let state = self.wait(END_WAIT, |state| state.ended.is_some() && state.over.is_some());
        (state.ended.clone().unwrap_or_else(|| reason.to_owned()), state.over.clone())
    }

    pub(super) fn wait(&self, most: Duration, until: impl Fn(&HandleState) -> bool) -> MutexGuard<'_, HandleState> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| !until(state));
        held(waited).0
    }

    pub(super) fn state(&self) -> MutexGuard<'_, HandleState> {
        lock(&self.state)
    }
}

impl Follows for WorkerHandle {
    fn status(&self, status: Status) {
        self.tell(&ToWorker::Notary { status });
    }

    fn condemned(&self, fault: &str) {
        self.kill(&format!("condemned by the notary: {fault}"));
    }

    fn over(&self, ending: WriterEnding) {
        self.state().over = Some(ending);
        self.changed.notify_all();
    }
}

/// Whether a process has ended, waited for or not.
fn is_dead(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// How long a worker that has closed a connection may take to end.
const DYING_WAIT: Duration = Duration::from_millis(500);

/// How long a worker may take to end once it was told to, and its record to be closed once the worker has ended.
pub(super) const END_WAIT: Duration = Duration::from_secs(3);

/// Why a worker is killed whose withdrawn call does not end: a system call holds it.
const STUCK: &str = "a call that was cancelled did not end in the time that it has for that (`workers.grace`)";

/// Why a worker is killed that was told to end.
pub(super) const NOT_ENDED: &str = "it did not end when it was told to";
