//! What tests need that others wrote, and that `.ci/run` installs: verifiers of ledgers, strace, the languages of tools. Also a
//! module of the tests of `audit` and of `runtime`.

/// Passes over a check for which something is missing that `.ci/run` installs, and says so. `log` is the file in `target` in
/// which `.ci/run` says why it could not. Where `CI` is set (`true`, as on build servers and in `.ci/run`), what is missing is
/// a failure: a check that never runs proves nothing.
///
/// # Panics
///
/// In CI.
pub fn missing(what: &str, log: &str) {
    assert!(
        !is_ci(),
        "{what} is missing, and with CI set no check is passed over: `.ci/run` installs it; why it could not stands in \
         target/{log}"
    );
    println!("SKIPPED: {what} is missing");
}

/// Whether `CI` is set, as on build servers and in `.ci/run`.
#[allow(clippy::disallowed_methods, reason = "the environment says whether this is CI")]
pub fn is_ci() -> bool {
    !matches!(std::env::var("CI").as_deref(), Err(_) | Ok("" | "0" | "false"))
}
