//! What systemd and this program say to each other: listeners that it opened (`sd_listen_fds(3)`), readiness (`sd_notify(3)`), and
//! signs of life where it wants them. Without systemd nothing of it happens.

use std::os::unix::net::UnixListener;
use std::thread;

use sd_notify::NotifyState;

/// Listeners that were opened for agents: `FileDescriptorName=` is the agent's name; a nameless one is the operator's own.
#[allow(unsafe_code, reason = "descriptors are handed over by number")]
pub(crate) fn given() -> Vec<(String, UnixListener)> {
    use std::os::fd::FromRawFd as _;
    let Ok(given) = sd_notify::listen_fds_with_names() else { return Vec::new() };
    let listener = |(fd, name): (i32, String)| {
        let name = if matches!(name.as_str(), "" | "unknown" | "connection") { "local".to_owned() } else { name };
        // SAFETY: whoever started this process opened it for this process, whose first and only use of it this is.
        (name, unsafe { UnixListener::from_raw_fd(fd) })
    };
    given.map(listener).collect()
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
