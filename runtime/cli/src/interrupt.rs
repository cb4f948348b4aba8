//! Ctrl-C while a call runs: the call is withdrawn, so that its end is on record, and this program ends by itself. Before and after a
//! call, and the second time, it ends this program as it ends any other.

use std::sync::Mutex;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tollgate::supervisor::Cancel;
use tollgate_system::lock;

use super::output;

/// While it lives, the first of `SIGINT`, `SIGTERM` and `SIGHUP` withdraws the call.
#[derive(Debug)]
pub(crate) struct Interrupted(Cancel);

/// The call that is withdrawn by a signal.
static CALL: Mutex<Option<Cancel>> = Mutex::new(None);

impl Interrupted {
    /// Hears signals from now on. Where they cannot be heard they end this program, as they do without it.
    pub(crate) fn cancels() -> Self {
        let cancel = Cancel::new();
        *call() = Some(cancel.clone());
        // A thread that is not there leaves signals as they are.
        thread::Builder::new().name("signals".to_owned()).spawn(hear).ok();
        Self(cancel)
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        &self.0
    }
}

impl Drop for Interrupted {
    fn drop(&mut self) {
        *call() = None;
    }
}

fn hear() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    for signal in signals.forever() {
        match call().take() {
            Some(cancel) => {
                output::eprint("cancelling the call; once more ends tollgate at once\n");
                cancel.cancel();
            }
            // As if nobody heard it.
            None => emulate_default_handler(signal).unwrap_or_default(),
        }
    }
}

fn call() -> std::sync::MutexGuard<'static, Option<Cancel>> {
    lock(&CALL)
}
