//! What tests need that others wrote: verifiers of ledgers, and strace. Also a module of the tests of `audit`.

/// Passes over a check for which something is missing that `.ci/run` installs, and says so. Where `CI` is set (`true`, as on
/// build servers and in `.ci/run`), what is missing is a failure: a check that never runs proves nothing.
///
/// # Panics
///
/// In CI.
#[allow(clippy::disallowed_methods, reason = "the environment says whether this is CI")]
pub fn missing(what: &str) {
    assert!(
        !is_ci(std::env::var("CI").ok().as_deref()),
        "{what} is missing, and with CI set no check is passed over: `.ci/run` installs it"
    );
    println!("SKIPPED: {what} is missing");
}

fn is_ci(variable: Option<&str>) -> bool {
    !matches!(variable, None | Some("" | "0" | "false"))
}
