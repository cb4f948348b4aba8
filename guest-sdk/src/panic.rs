//! A panic ends the call with the tool's own error. Must never read the environment, nor write anything.

use std::panic::PanicHookInfo;

use crate::bindings::tollgate::tool::call;

/// The error code of a panic.
const CODE: &str = "panic";

/// Makes a panic end the call with the error `panic` and the message `panicked at src/lib.rs:3:5: message`.
///
/// The standard hook writes to standard error, which may be denied: the tool would end as a violation instead of with its own
/// message.
pub(crate) fn end_the_call() {
    std::panic::set_hook(Box::new(|info| call::fail(CODE, &report(info))));
}

fn report(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("(no message)");
    match info.location() {
        Some(location) => format!("panicked at {location}: {message}"),
        None => format!("panicked: {message}"),
    }
}
