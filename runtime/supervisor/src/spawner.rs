//! Starts worker processes and waits for their ends: one thread for each process, `worker-watch`, does both.
//!
//! A worker dies with the thread that started it (`PR_SET_PDEATHSIG`, `prctl(2)`), so that thread lives until the worker is gone.
//! Each worker has its own thread, so that no start waits for another start, or for an end that does not come.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tollgate_engine::surroundings::{of_start, oom_kills, why_ended};
use tollgate_ipc::Channel;
use tollgate_notary::{Lease, NotaryEnds, WriterKind};
use tollgate_system::{ProcessCommand, may_signal, of_call, of_thread};

use super::Shared;
use super::worker_handle::WorkerHandle;

/// Starts a worker process, which has nothing but its control socket yet, and has the notary follow it. Waits for the process until
/// `until`; a process that comes up later is killed.
pub(super) fn start_worker(
    shared: &Arc<Shared>,
    command: &ProcessCommand,
    (end, calls): (NotaryEnds, Lease),
    until: Instant,
) -> io::Result<Arc<WorkerHandle>> {
    let (control, stdin) = Channel::pair()?;
    // Without a buffer: the thread then knows that its process was not taken in time.
    let (to_starter, started) = mpsc::sync_channel(0);
    let (shared, command) = (Arc::clone(shared), command.clone());
    let work = move || start_and_wait(&shared, &command, (end, calls), control, stdin, &to_starter);
    thread::Builder::new().name("worker-watch".to_owned()).spawn(work).map_err(of_thread)?;
    let left = until.saturating_duration_since(Instant::now());
    let late = |_late| io::Error::new(io::ErrorKind::TimedOut, "the process has not come up in time");
    started.recv_timeout(left).map_err(late)?
}

/// What the thread of a worker does, from the start of the process to its end.
fn start_and_wait(
    shared: &Shared,
    command: &ProcessCommand,
    (end, calls): (NotaryEnds, Lease),
    control: Channel,
    stdin: OwnedFd,
    starter: &SyncSender<io::Result<Arc<WorkerHandle>>>,
) {
    let (id, before) = (end.writer, oom_kills());
    let spawned = command.prepare_own(stdin).stderr(Stdio::piped()).spawn().map_err(of_start);
    let spawned = spawned.and_then(|mut child| match pidfd(child.id()) {
        Ok(process) => Ok((child, process)),
        Err(error) => {
            child.kill().and_then(|()| child.wait())?;
            Err(error)
        }
    });
    let (mut child, process) = match spawned {
        Ok(spawned) => spawned,
        Err(error) => {
            // The caller may have run out of time.
            starter.send(Err(error)).ok();
            return;
        }
    };
    // Before the notary can report on it. A process that is dead already is noticed by its end.
    control.say_hello().ok();
    let handle = Arc::new(WorkerHandle::new(id, process, control));
    shared.notary.follow(end, WriterKind::Worker, calls, Some(child.id()), Arc::clone(&handle) as _);
    let may_live = shared.live_workers.enter(&handle);
    if !may_live {
        handle.kill("its supervisor has ended");
    }
    if starter.send(Ok(Arc::clone(&handle))).is_err() {
        handle.kill("nobody waits for it any more");
    }
    await_end(shared, &mut child, &handle, before);
    shared.live_workers.leave(&handle);
}

/// Waits for the end of a worker, so that no zombie is left, and tells the notary.
fn await_end(shared: &Shared, child: &mut Child, handle: &WorkerHandle, before: u64) {
    let said = hear(child.stderr.take());
    let status = child.wait();
    let ended = match &status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    let killed = handle.killed();
    let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
    let around = if killed.is_none() { why_ended(signal, before) } else { None };
    let parts = [Some(ended), killed, around, Some(said.clone()).filter(|said| !said.is_empty())];
    let how = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    // The notary first: a supervisor that ends waits for the workers' ends, and then for the notary.
    shared.notary.ended(handle.id, &how);
    handle.has_come_to_its_end(status.ok(), said, how);
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| of_call("pidfd_open", errno))?;
    // A worker that cannot be killed must not run a guest. One that has died already is noticed otherwise.
    match may_signal(&process) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        Ok(()) | Err(_) => Ok(process),
    }
}

/// The last line that a worker printed before it ended, such as a panic's. It is untrusted text.
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
    lines.join(" ").chars().map(|char| if tollgate_plain::is_steering(char) { ' ' } else { char }).collect()
}

/// Most bytes that are kept of a worker's output: a panic's message.
const SAID_BYTES_MAX: usize = 1024;
const SAID_LINES_MAX: usize = 3;
