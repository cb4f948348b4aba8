//! The process of a notary, and what the supervisor says to it.
//!
//! Nothing here takes a lock. A message may have to wait until the notary reads.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use tollgate_audit::WriterId;
use tollgate_engine::surroundings::{of_start, oom_kills, why_ended};
use tollgate_ipc::{Channel, ChannelError};
use tollgate_notary::ToNotary;
use tollgate_system::{ProcessCommand, of_call};

use super::Followed;

/// A channel that was lent: the notary's end of it.
#[derive(Debug, Clone)]
pub(super) struct Lent {
    pub(super) number: u32,
    pub(super) end: Arc<Channel>,
}

/// A notary's process, and the channel to it. It never stays as a zombie, and is never waited for while it waits for this process.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) process: Child,
    pub(super) channel: Arc<Channel>,
    // Its output. The notary does not wait for it to be read.
    said: OwnedFd,
    // What `oom_kills` said before the start.
    oom_kills: u64,
    // Set where its end is not waited for.
    is_abandoned: bool,
}

impl Watched {
    pub(super) fn ended_well(&mut self) -> Result<(), String> {
        self.channel.hang_up();
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let around = why_ended(status.signal(), self.oom_kills).unwrap_or_default();
                Err([status.to_string(), around, self.last_said()].join(" ").trim().to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// What it printed before it ended, such as a panic's message.
    fn last_said(&self) -> String {
        let mut bytes = vec![0; SAID_BYTES_MAX];
        let read = rustix::io::read(&self.said, &mut *bytes).unwrap_or_default();
        bytes.truncate(read);
        let text: String = String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = text.chars().filter(|char| !char.is_control()).collect();
        if shown.is_empty() { shown } else { format!("({shown})") }
    }

    /// Kills it, and does not wait for its end: while it waits for a file system that stands still, it does not end.
    pub(super) fn abandon(mut self) {
        self.process.kill().ok();
        self.is_abandoned = true;
    }

    /// Waits for its end, and returns how it ended. A notary that hung up or made no sense, and lives on, is killed after 5 s.
    pub(super) fn ended(&mut self, otherwise: &str) -> String {
        let until = Instant::now() + END_PATIENCE;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                self.process.kill().ok();
                break;
            }
            thread::sleep(END_LOOK_EVERY);
        }
        self.ended_well().err().unwrap_or_else(|| otherwise.to_owned())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_abandoned {
            self.ended_well().ok();
        }
    }
}

/// Starts a notary's process.
pub(super) fn spawn(command: &ProcessCommand) -> io::Result<Watched> {
    let (oom_kills, (channel, theirs)) = (oom_kills(), Channel::pair()?);
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    let (said, stderr) = pipe.map_err(|errno| of_call("pipe2", errno))?;
    let mut process = command.prepare();
    process.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::from(stderr));
    own_session(&mut process);
    let process = process.spawn().map_err(of_start)?;
    // A notary that is dead already is noticed when it says nothing.
    channel.say_hello().ok();
    Ok(Watched { process, channel: Arc::new(channel), said, oom_kills, is_abandoned: false })
}

/// Gives it a session of its own: Ctrl-C, which ends the supervisor, must not end the record, and the notary must not write or type
/// into the terminal. It happens before its program starts, so that there is no moment in between.
#[allow(unsafe_code, reason = "what runs between fork and exec")]
fn own_session(command: &mut Command) {
    let begin = || Ok(rustix::process::setsid().map(drop)?);
    // SAFETY: `setsid` is async-signal-safe (signal-safety(7)); the closure does nothing else, asks for no memory and takes no
    // lock, so it may run in the child of a process with many threads.
    unsafe { command.pre_exec(begin) };
}

/// How long a notary that is about to end may take.
const END_PATIENCE: Duration = Duration::from_secs(5);
const END_LOOK_EVERY: Duration = Duration::from_millis(5);

/// Most bytes that are kept of its output: a panic's message.
const SAID_BYTES_MAX: usize = 1024;

/// Leases of a writer that a fresh notary is told of: the latest. It does not know which of their calls ended long ago, so they are
/// as few as suffice. No call before them can be on its way, since a pipe holds the entries of fewer calls.
const LEASES_RETOLD: usize = 4;

/// Tells a fresh notary of all supervisors that borrowed the one before, and of all writers. `answers` is the token with which a
/// borrowed notary asked for that.
pub(super) fn say_start(
    channel: &Channel,
    lent: &[Lent],
    writers: &[Followed],
    answers: Option<u64>,
) -> Result<(), ChannelError> {
    for lent in lent {
        say_supervisor(channel, lent)?;
    }
    for followed in writers {
        say_writer(channel, followed)?;
    }
    channel.send(&ToNotary::Start { answers })?;
    for followed in writers {
        if let Some(how) = &followed.how {
            say_ended(channel, followed.end.writer, how)?;
        }
    }
    Ok(())
}

/// Tells a notary of a supervisor that borrows it.
pub(super) fn say_supervisor(channel: &Channel, lent: &Lent) -> Result<(), ChannelError> {
    channel.send_with(&ToNotary::Supervisor { number: lent.number }, &[lent.end.as_fd()])
}

/// Tells a notary of a writer.
pub(super) fn say_writer(channel: &Channel, followed: &Followed) -> Result<(), ChannelError> {
    let Followed { end, kind, calls, process, .. } = followed;
    let latest = calls.len().saturating_sub(LEASES_RETOLD);
    let calls = calls.get(latest..).unwrap_or_default().to_vec();
    let say = ToNotary::Writer { writer: end.writer, kind: *kind, calls, process: *process };
    channel.send_with(&say, &[end.pipe.as_fd(), end.acks.as_fd()])
}

/// Tells a notary how the process of a writer ended.
pub(super) fn say_ended(channel: &Channel, writer: WriterId, how: &str) -> Result<(), ChannelError> {
    channel.send(&ToNotary::Ended { writer, how: how.to_owned() })
}
