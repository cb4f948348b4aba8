//! The call that the tool answers, as the host knows it. Must never ask the host before the tool does.

use std::time::Duration;

/// A call, as [`context`] tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The call's id, as the ledger has it: 32 hexadecimal digits, which begin with the time of the call.
    pub id: String,
    /// The session that the caller gave, if any.
    pub session: Option<String>,
    /// What is left until the call's deadline, in steps of 100 ms, rounded down.
    pub deadline_left: Duration,
}

/// Asks the host about the call that this instance answers.
///
/// Denied unless the manifest says `[needs] context = true` and the operator grants it.
///
/// On other targets than WebAssembly, so in a tool's unit tests, there is no host: the id is 32 zeros, there is no session, and
/// a minute is left.
#[must_use]
pub fn context() -> Context {
    host::context()
}

#[cfg(target_family = "wasm")]
mod host {
    use std::time::Duration;

    use super::Context;
    use crate::bindings::tollgate::tool::call;

    pub(super) fn context() -> Context {
        let call::Context { id, session, deadline_left_ms } = call::get_context();
        Context { id, session, deadline_left: Duration::from_millis(deadline_left_ms) }
    }
}

#[cfg(not(target_family = "wasm"))]
mod host {
    use std::time::Duration;

    use super::Context;

    pub(super) fn context() -> Context {
        Context { id: "0".repeat(32), session: None, deadline_left: Duration::from_secs(60) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_tests_have_a_fixed_call() {
        let context = context();
        assert_eq!(context.id, "00000000000000000000000000000000");
        assert_eq!((context.session, context.deadline_left), (None, Duration::from_secs(60)));
    }
}
