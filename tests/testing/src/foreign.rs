//! What tests need that others wrote, and that `.ci/run` installs: verifiers of ledgers, strace, the languages of tools.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `tests/go/main.go`, a verifier with the code of Go's checksum database, into a folder; none where that is not there.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "tests that run other programs")]
pub fn go_verifier(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("verify");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../go");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg("main.go").current_dir(source);
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", folder.join("cache"));
    let built = command.output().ok()?;
    if !built.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&built.stderr));
    }
    built.status.success().then_some(program)
}

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
    skipped(&format!("{what} is missing"));
}

/// Says that a check is passed over, and why: on stdout, which a passing test does not show, and in the file that
/// `TOLLGATE_SKIPPED` names, which `.ci/run` prints at its end.
///
/// # Panics
///
/// Where that file cannot be written: what is passed over must be seen.
#[allow(clippy::disallowed_methods, reason = "the environment names the file")]
pub fn skipped(why: &str) {
    println!("SKIPPED: {why}");
    let Some(file) = std::env::var_os("TOLLGATE_SKIPPED") else { return };
    let test = std::thread::current().name().unwrap_or("main").to_owned();
    let written = std::fs::OpenOptions::new().create(true).append(true).open(&file).and_then(|mut file| {
        // One write: tests run at the same time.
        std::io::Write::write_all(&mut file, format!("{test}: {why}\n").as_bytes())
    });
    assert!(written.is_ok(), "{} cannot be written: {written:?}", file.to_string_lossy());
}

/// Whether `CI` is set, as on build servers and in `.ci/run`.
#[allow(clippy::disallowed_methods, reason = "the environment says whether this is CI")]
pub fn is_ci() -> bool {
    !matches!(std::env::var("CI").as_deref(), Err(_) | Ok("" | "0" | "false"))
}
