//! Says on a terminal that long work goes on. Never on anything else than a terminal, and never on stdout.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::output::eprint_own;

/// Does `work`, saying `what` is done and for how long if it takes some seconds and somebody may be watching.
pub(super) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    let (done, until_done) = channel::<()>();
    thread::scope(|scope| {
        let watch = move || {
            let started = Instant::now();
            let mut wait = FIRST;
            while until_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                eprint_own(&format!("\r{what} … {} s", started.elapsed().as_secs()));
                wait = AGAIN;
            }
            if wait == AGAIN {
                // Back to the start of the line, and empty it.
                eprint_own("\r\x1b[K");
            }
        };
        // Without a thread to say so, the work goes on in silence.
        thread::Builder::new().spawn_scoped(scope, watch).ok();
        let result = work();
        drop(done);
        result
    })
}

const FIRST: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(1);
