//! Panic messages that need no capability but standard error. Must never read the environment.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// Makes a panic write `panicked at <location>: <message>` to standard error.
///
/// The standard hook looks `RUST_BACKTRACE` up first. Under the gate that is an access to the environment, so the
/// tool would end as a violation instead of with its own message.
pub(crate) fn report_without_environment() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| std::panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(no message)");
    let report = match info.location() {
        Some(location) => format!("panicked at {location}: {message}\n"),
        None => format!("panicked: {message}\n"),
    };
    // In one write, since each is a call that is checked. Where standard error is refused, there is nobody to tell.
    let _unheard = std::io::stderr().write_all(report.as_bytes());
}
