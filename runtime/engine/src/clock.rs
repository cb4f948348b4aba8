//! The wall clock of this process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods, reason = "the start of a call is read here, once")]
pub(crate) fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Milliseconds since the Unix epoch, for the id of a call.
pub fn now_ms() -> u64 {
    u64::try_from(unix_time().as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the Unix epoch, for an entry of the ledger.
pub fn now_ns() -> u64 {
    u64::try_from(unix_time().as_nanos()).unwrap_or(u64::MAX)
}
