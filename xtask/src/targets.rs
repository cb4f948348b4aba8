//! Other systems than this one. Linux on aarch64 has all of Tollgate; a tool's author works on any system, so what authors link is
//! checked for macOS and Windows too. What does not build there must say so in one line.

use std::env;
use std::process::{Command, Stdio};

use crate::{Result, cargo, is_ci, setup};

const ARM: &str = "aarch64-unknown-linux-gnu";
const ELSEWHERE: [&str; 2] = ["aarch64-apple-darwin", "x86_64-pc-windows-msvc"];
/// The crates that are the same on every system.
const PURE: [&str; 8] = [
    "tollgate-audit",
    "tollgate-capability",
    "tollgate-config",
    "tollgate-guest",
    "tollgate-network",
    "tollgate-plain",
    "tollgate-schema",
    "tollgate-verify",
];
/// Their tests that need nothing but themselves.
const TESTS: [(&str, &[&str]); 6] = [
    ("tollgate-audit", &["entries", "golden", "sets", "structure"]),
    ("tollgate-capability", &["*"]),
    ("tollgate-config", &["*"]),
    ("tollgate-guest", &["by_hand", "tool"]),
    ("tollgate-network", &["attacks", "loading", "properties", "rules"]),
    ("tollgate-schema", &["*"]),
];
/// The lowest of the crates that need Linux.
const LOWEST_OF_LINUX: &str = "tollgate-system";

/// Lints the workspace for aarch64, runs the tests of the pure crates there, and checks these crates for macOS and Windows.
pub(crate) fn targets() -> Result<()> {
    setup::setup()?;
    for target in [ARM].into_iter().chain(ELSEWHERE) {
        setup::have_target(target)?;
    }
    let packages: Vec<&str> = PURE.iter().flat_map(|name| ["-p", name]).collect();
    if has("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")? {
        let lint = ["clippy", "--workspace", "--all-targets", "--target", ARM, "--", "-D", "warnings"];
        cargo::run(&lint, &[])?;
        if has("qemu-aarch64-static", "qemu-user-static")? {
            let around = [
                ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
                ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64-static -L /usr/aarch64-linux-gnu"),
            ];
            // Some of the files of tests start cargo, strace or this program again, which an emulated program cannot.
            cargo::run(&[&["test", "--lib", "--target", ARM, "-p", LOWEST_OF_LINUX][..], &packages].concat(), &around)?;
            for (package, files) in TESTS {
                let files = files.iter().flat_map(|file| ["--test", file]);
                let tests: Vec<&str> = ["test", "--target", ARM, "-p", package].into_iter().chain(files).collect();
                cargo::run(&tests, &around)?;
            }
        }
    }
    for target in ELSEWHERE {
        cargo::run(&[&["check", "--target", target][..], &packages].concat(), &[])?;
        says_that_it_needs_linux(target)?;
    }
    Ok(())
}

/// Whether a program is there. In CI, where `.ci/run` installs it, it must be.
fn has(program: &str, package: &str) -> Result<bool> {
    let there = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok();
    if !there && is_ci() {
        return Err(format!("there is no {program}, which `.ci/run` installs: see target/apt.log").into());
    }
    if !there {
        eprintln!("SKIPPED: there is no {program} for what is checked on {ARM}: apt-get install {package}");
    }
    Ok(there)
}

/// That what needs Linux fails with a line that says so.
fn says_that_it_needs_linux(target: &str) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["check", "--release", "-p", LOWEST_OF_LINUX, "--target", target])
        .current_dir(cargo::workspace()?)
        .stdin(Stdio::null())
        .output()?;
    let printed = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() && printed.contains("command line need Linux") {
        return Ok(());
    }
    Err(format!("`cargo check -p {LOWEST_OF_LINUX} --target {target}` does not say that it needs Linux:\n{printed}")
        .into())
}
