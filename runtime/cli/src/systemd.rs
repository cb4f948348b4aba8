//! What systemd and this program say to each other: listeners that it opened (`sd_listen_fds(3)`), readiness (`sd_notify(3)`), and
//! signs of life where it wants them. Without systemd nothing of it happens.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::thread;

use miette::Diagnostic;
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use sd_notify::NotifyState;

use super::exit::Failure;
use super::output;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum GivenError {
    #[error("the sockets that were handed over to this process cannot be told")]
    #[diagnostic(help(
        "nothing is served; LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say which they are (sd_listen_fds(3))"
    ))]
    Untold { source: io::Error },
    #[error("what was handed over as `{name}` is no listening stream socket of the family AF_UNIX")]
    #[diagnostic(help(
        "nothing is served; in the `.socket` unit, `ListenStream=` takes the absolute path of a socket"
    ))]
    NoListener { name: String },
}

/// Listeners that were opened for agents, by their names (`FileDescriptorName=`).
pub(crate) fn given() -> Result<Vec<(String, UnixListener)>, Failure> {
    let given = sd_notify::listen_fds_with_names();
    given.map_err(|source| Failure::usage(GivenError::Untold { source }))?.map(listener).collect()
}

#[allow(unsafe_code, reason = "descriptors are handed over by number")]
fn listener((fd, name): (i32, String)) -> Result<(String, UnixListener), Failure> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: whoever started this process opened it for this process, whose first and only use of it this is.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let is_listener = socket_domain(fd.as_fd()) == Ok(AddressFamily::UNIX)
        && socket_type(fd.as_fd()) == Ok(SocketType::STREAM)
        && socket_acceptconn(fd.as_fd()) == Ok(true);
    if is_listener {
        Ok((name, UnixListener::from(fd)))
    } else {
        Err(Failure::usage(GivenError::NoListener { name: output::one_line(&name) }))
    }
}

/// Calls are taken from here on. Signs of life are given where they are wanted, for as long as this process lives.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
    static ALIVE: std::sync::Once = std::sync::Once::new();
    ALIVE.call_once(|| {
        let Some(within) = sd_notify::watchdog_enabled() else { return };
        let alive = move || loop {
            say(&[NotifyState::Watchdog]);
            thread::sleep(within / 2);
        };
        thread::Builder::new().name("watchdog".to_owned()).spawn(alive).ok();
    });
}

/// The policy is read again.
pub(crate) fn reloading() {
    say(&[NotifyState::Reloading]);
}

/// Nothing new is taken.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(state: &[NotifyState<'_>]) {
    // Nobody may be listening.
    sd_notify::notify(state).ok();
}
