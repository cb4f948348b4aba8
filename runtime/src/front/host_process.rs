//! A host from the front's side: its process, its lanes, and how it ended.
//!
//! Any thread may use it. No lock is held over a system call or a wait for a process.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::process::{Signal, pidfd_send_signal};
use tollgate_audit::{CallCounter, CallId, Channel, ChannelError, HostEnding, HostId, HostWay, Status, of_call};

use super::group::Group;
use super::launch::launch;
use crate::drill::{Drilled, Outcome};
use crate::error::{CallError, HostError, with_causes};
use crate::host::lane::{Lane, LaneError};
use crate::host::order::{Order, ToHost, ToolOrder, hand_over};
use crate::host::words::{STARTED_LIMITS, Started};
use crate::notary::Follows;
use crate::runtime::now_ms;
use crate::surroundings::in_words;
use crate::tool::DESCRIBE_MS_MIN;

/// A host process. It is told to end when it is dropped.
#[derive(Debug)]
pub(crate) struct HostProcess {
    way: Arc<Way>,
    calls: CallCounter,
    lanes: Mutex<Vec<Lane>>,
    lane_is_free: Condvar,
}

/// What those who hear of its end share.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) host: HostId,
    process: OwnedFd,
    control: Channel,
    state: Mutex<WayState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WayState {
    // Since when it is to end by itself.
    told_to_end: Option<Instant>,
    // Why it was killed.
    killed: Option<String>,
    // How its process ended, once it has; and how it was, in words.
    status: Option<ExitStatus>,
    ended: Option<String>,
    // Once all that came of it is in the ledger.
    over: Option<HostEnding>,
}

impl HostProcess {
    /// Starts the host of a group, and waits until it says how that went.
    pub(crate) fn start(group: &Group) -> Result<(Self, Started), HostError> {
        let failed = |error: std::io::Error| no_host(with_causes(&error));
        let shared = &group.shared;
        let (way, end) = HostWay::new().map_err(failed)?;
        let calls = CallCounter::of(way.host);
        let describing = group.members.iter().map(|member| ToolOrder::new(&member.load, calls.next(now_ms())));
        let drill = group.drill.clone();
        let order = Order { required: shared.settings.required, tools: describing.collect(), drill };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _lane in 0..group.lanes(&shared.settings) {
            let (here, there) = UnixStream::pair().map_err(|error| failed(of_call("socketpair", error)))?;
            ours.push(Lane::new(here));
            theirs.push(there);
        }
        let until = Instant::now() + START_WAIT;
        let host = launch(shared, end, until).map_err(failed)?;
        // It has nothing to do but to take what it is handed.
        set_socket_timeout(&host.control, Timeout::Send, Some(START_WAIT)).map_err(|errno| failed(errno.into()))?;
        let code: Vec<BorrowedFd<'_>> = group.members.iter().map(|member| member.code()).collect();
        let handed = hand_over(&host.control, &way, &order, &code, &theirs);
        // What is left open here would keep the notary waiting for more.
        drop((way, theirs));
        let started = match (handed, ours.first_mut()) {
            (Ok(()), Some(first)) => first.receive::<Started>(STARTED_LIMITS, Some(until)),
            (Err(error), _) => Err(LaneError::Io(error)),
            (Ok(()), None) => Err(LaneError::Gone),
        };
        match started {
            Ok((started, _none)) => {
                let (lanes, lane_is_free) = (Mutex::new(ours), Condvar::new());
                Ok((Self { way: host, calls, lanes, lane_is_free }, started))
            }
            Err(error) => Err(no_host(host.end_of(&error.to_string()).0)),
        }
    }

    pub(crate) fn next_call(&self, time_ms: u64) -> CallId {
        self.calls.next(time_ms)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.way.has_ended()
    }

    /// Waits for a thread of the host that has nothing to do.
    pub(crate) fn take_lane(&self, until: Instant) -> Result<Lane, CallError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self
                .lane_is_free
                .wait_timeout_while(lock(&self.lanes), left.min(LOOK_UP_EVERY), |lanes| lanes.is_empty());
            if let Some(lane) = waited.unwrap_or_else(PoisonError::into_inner).0.pop() {
                return Ok(lane);
            }
            if left.is_zero() {
                return Err(CallError::Internal("no thread of the tool's host had time for the call".to_owned()));
            }
            if self.has_ended() {
                return Err(self.lost("it ended before the call began"));
            }
        }
    }

    /// Gives back a lane that was taken, between two calls.
    pub(crate) fn give_back(&self, lane: Lane) {
        lock(&self.lanes).push(lane);
        self.lane_is_free.notify_one();
    }

    /// Kills the host, which has not answered in time.
    pub(crate) fn overran(&self, deadline_ms: u64, grace_ms: u64) -> CallError {
        match self.way.end_of(&format!("it gave no answer {grace_ms} ms after the deadline of {deadline_ms} ms")) {
            // It was on its way out already.
            (_, Some(HostEnding::Blocked(blocked))) => CallError::Blocked { call: blocked.to_string() },
            (_, _other) => CallError::Overran { deadline_ms, grace_ms },
        }
    }

    /// Kills the host, if it lives, since `reason`; what became of its calls.
    pub(crate) fn lost(&self, reason: &str) -> CallError {
        match self.way.end_of(reason) {
            (_, Some(HostEnding::Blocked(blocked))) => CallError::Blocked { call: blocked.to_string() },
            (_, Some(HostEnding::Condemned { fault })) => {
                CallError::HostEnded { how: format!("it wrote what it may not: {fault}") }
            }
            (how, Some(HostEnding::Closed) | None) => CallError::HostEnded { how },
        }
    }

    /// What came of the attack that the host was started for, and how it ended. If that is for the notary to judge, it is
    /// given the time.
    pub(crate) fn drilled(&self, judged: bool) -> Drilled {
        let until = Instant::now() + START_WAIT;
        let said = self.take_lane(until).ok().and_then(|mut lane| {
            let said =
                lane.send(&(), [b"", b"", b""], Some(until)).and_then(|()| lane.receive(STARTED_LIMITS, Some(until)));
            let said: Option<(Outcome, _)> = said.ok();
            // Without a lane the host has nothing to do.
            self.give_back(lane);
            said
        });
        if said.is_some() && judged {
            drop(self.way.wait(END_WAIT, |state| state.ended.is_some() && state.over.is_some()));
        }
        let outcome = said.map(|(outcome, _none)| outcome);
        if outcome.is_some() && !self.has_ended() {
            self.end();
        }
        let (how, ending) = self.way.end_of("it made an attack and gave no answer");
        let status = self.way.state().status;
        Drilled { outcome, status, how, ending }
    }

    /// Tells the host to end by itself, and waits for none of it. One that does not is killed by [`Way::kill_if_overdue`].
    pub(crate) fn tell_to_end(&self) {
        self.way.tell_to_end();
        let lanes = std::mem::take(&mut *lock(&self.lanes));
        drop(lanes);
    }

    /// Has the host end by itself; kills it if it does not.
    pub(crate) fn end(&self) {
        self.tell_to_end();
        if self.way.wait(END_WAIT, |state| state.ended.is_some()).ended.is_none() {
            self.way.kill(NOT_ENDED);
            drop(self.way.wait(END_WAIT, |state| state.ended.is_some()));
        }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.way.tell_to_end();
    }
}

impl Way {
    pub(super) fn new(host: HostId, process: OwnedFd, control: Channel) -> Self {
        Self { host, process, control, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn tell_to_end(&self) {
        self.state().told_to_end.get_or_insert_with(Instant::now);
        self.control.hang_up();
    }

    /// Kills the host if it was told to end and has had the time.
    pub(super) fn kill_if_overdue(&self) {
        let is_overdue = self.state().told_to_end.is_some_and(|told| told.elapsed() >= END_WAIT);
        if is_overdue {
            self.kill(NOT_ENDED);
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
        // One that has ended meanwhile needs no signal.
        pidfd_send_signal(&self.process, Signal::KILL).ok();
    }

    /// Why it was killed, if it was.
    pub(super) fn killed(&self) -> Option<String> {
        self.state().killed.clone()
    }

    /// Its process is gone, and the notary has been told.
    pub(super) fn has_come_to_its_end(&self, status: Option<ExitStatus>, how: String) {
        {
            let mut state = self.state();
            state.status = status;
            state.ended = Some(how);
        }
        self.changed.notify_all();
    }

    fn has_ended(&self) -> bool {
        let is_known = {
            let state = self.state();
            state.ended.is_some() || state.killed.is_some()
        };
        // Whoever waits for its end may not have heard of it yet, and nothing must be asked of it meanwhile.
        is_known || is_dead(&self.process)
    }

    /// Waits for the end of a host that has broken off, or is to be ended now: how it ended, and what the ledger says.
    fn end_of(&self, reason: &str) -> (String, Option<HostEnding>) {
        // One that dies by itself has something to say about it.
        if self.wait(DYING_WAIT, |state| state.ended.is_some() || state.killed.is_some()).ended.is_none() {
            self.kill(reason);
        }
        let state = self.wait(END_WAIT, |state| state.ended.is_some() && state.over.is_some());
        (state.ended.clone().unwrap_or_else(|| reason.to_owned()), state.over.clone())
    }

    fn wait(&self, most: Duration, until: impl Fn(&WayState) -> bool) -> MutexGuard<'_, WayState> {
        let waited = self.changed.wait_timeout_while(self.state(), most, |state| !until(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, WayState> {
        lock(&self.state)
    }
}

impl Follows for Way {
    fn status(&self, status: Status) {
        match self.control.send_at_once(&ToHost::Notary { status }) {
            Err(ChannelError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.kill("it does not hear the front");
            }
            // A host that is gone is noticed otherwise.
            Ok(()) | Err(_) => {}
        }
    }

    fn condemned(&self, fault: &str) {
        self.kill(&format!("condemned by the notary: {fault}"));
    }

    fn over(&self, ending: HostEnding) {
        self.state().over = Some(ending);
        self.changed.notify_all();
    }
}

/// There is no host, for a reason that may lie in what surrounds this process.
fn no_host(reason: String) -> HostError {
    HostError::Start { reason: reason + &in_words() }
}

/// Whether a process has ended, waited for or not.
fn is_dead(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host loads code and asks each tool for its operations: far above what that takes with a part of a CPU.
pub(super) const START_WAIT: Duration = Duration::from_millis(9 * DESCRIBE_MS_MIN);

/// How long a host that has closed a lane may take to be gone.
const DYING_WAIT: Duration = Duration::from_millis(500);

/// How long a host may take to end that was told to, and how long after its end its record may take to be closed.
pub(super) const END_WAIT: Duration = Duration::from_secs(3);

const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

/// Why a host is killed that was told to end.
pub(super) const NOT_ENDED: &str = "it did not end when it was told to";
