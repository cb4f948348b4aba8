//! The process of a notary, and what the front says to it.
//!
//! Nothing here takes a lock. What is said may have to wait for the notary to listen.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tollgate_audit::{Channel, ChannelError, HostEnd, HostId, ToNotary};

use super::{Followed, NotaryCommand};

/// A notary's process, and the way to it. It is never left behind as a zombie, and never waited for while it waits for us.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) process: Child,
    pub(super) channel: Arc<Channel>,
}

impl Watched {
    pub(super) fn ended_well(&mut self) -> Result<(), String> {
        self.channel.hang_up();
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) fn ended(&mut self, otherwise: &str) -> String {
        self.ended_well().err().unwrap_or_else(|| otherwise.to_owned())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ended_well().ok();
    }
}

/// Starts a notary's process.
#[allow(clippy::disallowed_methods, reason = "this module owns the notary's process")]
pub(super) fn spawn(command: &NotaryCommand) -> io::Result<Watched> {
    let (channel, theirs) = Channel::pair()?;
    // In a process group of its own: what is typed to end the front (Ctrl-C) must not end the record.
    let process = Command::new(&command.program)
        .args(&command.arguments)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok(Watched { process, channel: Arc::new(channel) })
}

/// Tells a fresh notary of all hosts that there are.
pub(super) fn say_start(channel: &Channel, hosts: &[Followed]) -> Result<(), ChannelError> {
    for Followed { end, process, .. } in hosts {
        say_host(channel, end, *process)?;
    }
    channel.send(&ToNotary::Start)?;
    for followed in hosts {
        if let Some(how) = &followed.how {
            say_ended(channel, followed.end.host, how)?;
        }
    }
    Ok(())
}

/// Tells a notary of a host.
pub(super) fn say_host(channel: &Channel, end: &HostEnd, process: Option<u32>) -> Result<(), ChannelError> {
    let say = ToNotary::Host { host: end.host, process };
    channel.send_with(&say, &[end.pipe.as_fd(), end.acks.as_fd()])
}

/// Tells a notary how the process of a host ended.
pub(super) fn say_ended(channel: &Channel, host: HostId, how: &str) -> Result<(), ChannelError> {
    channel.send(&ToNotary::Ended { host, how: how.to_owned() })
}
