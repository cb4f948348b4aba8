//! The one module that reads the environment.
#![allow(clippy::disallowed_methods, reason = "this module owns the process's environment and clock")]

use std::env;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the ledger is if `--ledger` does not say: `$TOLLGATE_LEDGER`, else `$XDG_STATE_HOME/tollgate/ledger`, else
/// `~/.local/state/tollgate/ledger` (XDG Base Directory Specification 0.8).
pub(crate) fn ledger_folder() -> Option<PathBuf> {
    if let Some(folder) = path("TOLLGATE_LEDGER") {
        return Some(folder);
    }
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")))?;
    Some(state.join("tollgate/ledger"))
}

/// The file of this program.
pub(crate) fn this_program() -> std::io::Result<PathBuf> {
    env::current_exe()
}

/// The wall clock, in nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A variable that a grant takes from the operator's environment.
pub(crate) fn host_variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Whether colour is unwanted (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    path("NO_COLOR").is_some()
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
