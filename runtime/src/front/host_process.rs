//! A host from the front's side: its process, its lanes, and how it ended.

use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tollgate_audit::{CallCounter, CallId, Channel, ChannelError, HostEnding, HostId, HostWay, Status};

use super::group::Group;
use super::keeper::Spawner;
use super::{HostCommand, Shared};
use crate::drill::{Drilled, Outcome};
use crate::error::{CallError, HostError, with_causes};
use crate::host::lane::{Lane, LaneError};
use crate::host::order::{Order, ToHost, ToolOrder, hand_over};
use crate::host::words::{STARTED_LIMITS, Started};
use crate::notary::Follows;
use crate::runtime::now_ms;

/// A host process. It is ended when it is dropped.
#[derive(Debug)]
pub(crate) struct HostProcess {
    way: Arc<Way>,
    calls: CallCounter,
    lanes: Mutex<Vec<Lane>>,
    lane_is_free: Condvar,
    users: AtomicU32,
    last_used: Mutex<Instant>,
}

/// What those who hear of its end share.
#[derive(Debug)]
struct Way {
    host: HostId,
    process: OwnedFd,
    control: Channel,
    state: Mutex<WayState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WayState {
    // Why it was killed.
    killed: Option<String>,
    // How its process ended, once it has; and how it was, in words.
    status: Option<ExitStatus>,
    ended: Option<String>,
    // Once all that came of it is in the ledger.
    over: Option<HostEnding>,
}

/// Keeps a host from being ended for being idle.
#[derive(Debug)]
pub(crate) struct Using(Arc<HostProcess>);

impl Using {
    pub(crate) fn of(host: &Arc<HostProcess>) -> Self {
        host.users.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(host))
    }

    pub(crate) fn host(&self) -> &HostProcess {
        &self.0
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        *lock(&self.0.last_used) = Instant::now();
        self.0.users.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HostProcess {
    /// Starts the host of a group, and waits until it says how that went.
    pub(crate) fn start(group: &Group) -> Result<(Self, Started), HostError> {
        let failed = |error: std::io::Error| HostError::Start { reason: with_causes(&error) };
        let shared = &group.shared;
        let (way, end) = HostWay::new().map_err(failed)?;
        let calls = CallCounter::of(way.host);
        let describing = group.members.iter().map(|member| ToolOrder::new(&member.load, calls.next(now_ms())));
        let drill = group.drill.clone();
        let order = Order { required: shared.settings.required, tools: describing.collect(), drill };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _lane in 0..group.lanes(&shared.settings) {
            let (here, there) = UnixStream::pair().map_err(failed)?;
            ours.push(Lane::new(here));
            theirs.push(there);
        }
        let (control, stdin) = Channel::pair().map_err(failed)?;
        let mut child = spawn(&group.spawner, &shared.settings.command, stdin).map_err(failed)?;
        let pid = child.id();
        let process = match pidfd(pid) {
            Ok(process) => process,
            Err(error) => {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                return Err(failed(error));
            }
        };
        let (state, changed) = (Mutex::default(), Condvar::new());
        let host = Arc::new(Way { host: way.host, process, control, state, changed });
        shared.notary.follow(end, Some(pid), Arc::clone(&host) as _);
        watch(child, Arc::clone(&host), Arc::clone(shared)).map_err(failed)?;
        let code: Vec<BorrowedFd<'_>> = group.members.iter().map(|member| member.code()).collect();
        let handed = hand_over(&host.control, &way, &order, &code, &theirs);
        // What is left open here would keep the notary waiting for more.
        drop((way, theirs));
        let started = match (handed, ours.first_mut()) {
            (Ok(()), Some(first)) => first.receive::<Started>(STARTED_LIMITS, Some(Instant::now() + START_WAIT)),
            (Err(error), _) => Err(LaneError::Io(error)),
            (Ok(()), None) => Err(LaneError::Gone),
        };
        match started {
            Ok((started, _none)) => {
                let lanes = Mutex::new(ours);
                let (users, last_used) = (AtomicU32::new(0), Mutex::new(Instant::now()));
                Ok((Self { way: host, calls, lanes, lane_is_free: Condvar::new(), users, last_used }, started))
            }
            Err(error) => Err(HostError::Start { reason: host.end_of(&error.to_string()).0 }),
        }
    }

    pub(crate) fn next_call(&self, time_ms: u64) -> CallId {
        self.calls.next(time_ms)
    }

    pub(crate) fn has_ended(&self) -> bool {
        let is_known = {
            let state = self.way.state();
            state.ended.is_some() || state.killed.is_some()
        };
        // Whoever waits for its end may not have heard of it yet, and nothing must be asked of it meanwhile.
        is_known || is_dead(&self.way.process)
    }

    pub(crate) fn is_idle(&self, idle: Duration) -> bool {
        self.users.load(Ordering::SeqCst) == 0 && lock(&self.last_used).elapsed() >= idle
    }

    /// Waits for a thread of the host that has nothing to do.
    pub(crate) fn take_lane(&self, until: Instant) -> Result<Lane, CallError> {
        let mut lanes = lock(&self.lanes);
        loop {
            if let Some(lane) = lanes.pop() {
                return Ok(lane);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallError::Internal("no thread of the tool's host had time for the call".to_owned()));
            }
            if self.has_ended() {
                drop(lanes);
                return Err(self.lost("it ended before the call began"));
            }
            (lanes, _) =
                self.lane_is_free.wait_timeout(lanes, left.min(LOOK_UP_EVERY)).unwrap_or_else(PoisonError::into_inner);
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

    /// Has the host end by itself; kills it if it does not.
    pub(crate) fn end(&self) {
        self.way.control.hang_up();
        lock(&self.lanes).clear();
        if self.way.wait(END_WAIT, |state| state.ended.is_some()).ended.is_none() {
            self.way.kill("it did not end when it was told to");
            drop(self.way.wait(END_WAIT, |state| state.ended.is_some()));
        }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.end();
        }
    }
}

impl Way {
    fn kill(&self, reason: &str) {
        let mut state = self.state();
        if state.ended.is_none() && state.killed.is_none() {
            state.killed = Some(reason.to_owned());
            // One that has ended meanwhile needs no signal.
            pidfd_send_signal(&self.process, Signal::KILL).ok();
        }
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

#[allow(clippy::disallowed_methods, reason = "this module owns the processes of hosts")]
fn spawn(spawner: &Spawner, command: &HostCommand, stdin: OwnedFd) -> std::io::Result<Child> {
    let mut process = Command::new(&command.program);
    process
        .args(&command.arguments)
        .args(["--front", &std::process::id().to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    spawner.spawn(process)
}

fn pidfd(pid: u32) -> std::io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Whether a process has ended, waited for or not.
fn is_dead(process: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Waits for the end of a host, on a thread of its own, so that no zombie is left and the notary hears of it.
fn watch(mut child: Child, way: Arc<Way>, shared: Arc<Shared>) -> std::io::Result<()> {
    let watch = move || {
        let said = hear(child.stderr.take());
        let status = child.wait();
        let ended = match &status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let killed = way.state().killed.clone();
        let parts = [Some(ended), killed, Some(said).filter(|said| !said.is_empty())];
        let how = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        // Before anybody else hears of it: a front that ends waits for no more than that, and then for the notary.
        shared.notary.ended(way.host, &how);
        {
            let mut state = way.state();
            state.status = status.ok();
            state.ended = Some(how);
        }
        way.changed.notify_all();
    };
    thread::Builder::new().name("host-watch".to_owned()).spawn(watch).map(drop)
}

/// The last line that a host printed before it ended, such as a panic's. It is untrusted text.
fn hear(stderr: Option<ChildStderr>) -> String {
    let mut tail = Vec::new();
    if let Some(mut stderr) = stderr {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            tail.extend_from_slice(chunk.get(..read).unwrap_or_default());
            tail.drain(..tail.len().saturating_sub(SAID_BYTES_MAX));
        }
    }
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let lines = lines.get(lines.len().saturating_sub(SAID_LINES_MAX)..).unwrap_or_default();
    lines.join(" ").chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host loads code and asks each tool for its operations, which has the tool's deadline.
const START_WAIT: Duration = Duration::from_secs(60);

/// How long a host that has closed a lane may take to be gone.
const DYING_WAIT: Duration = Duration::from_millis(500);

/// How long after a host's end its record may take to be closed.
const END_WAIT: Duration = Duration::from_secs(3);

const LOOK_UP_EVERY: Duration = Duration::from_millis(100);

/// What is kept of what a host prints: a panic's message.
const SAID_BYTES_MAX: usize = 1024;
const SAID_LINES_MAX: usize = 3;
