//! What must be on the machine: the toolchain of `rust-toolchain.toml`, a linker for the host, the guests' target.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, cargo};

/// The guests' target.
const TARGET: &str = "wasm32-wasip2";

/// Looks for what is needed; installs the target if rustup can, and says what to do about the rest.
pub(crate) fn setup() -> Result<()> {
    let rustc = said("rustc", &["--version"]).ok_or(
        "there is no working rustc: run `rustup toolchain install` here, or install Rust as https://rustup.rs says",
    )?;
    let linker = ["cc", "gcc", "clang"].into_iter().find(|linker| said(linker, &["--version"]).is_some()).ok_or(
        "there is no C linker (cc): install one, such as with `apt-get install gcc libc6-dev` or `dnf install gcc`",
    )?;
    if !target_installed() {
        install_target()?;
    }
    eprintln!("xtask: {}, linker {linker}, target {TARGET}: all there", rustc.trim());
    Ok(())
}

fn target_installed() -> bool {
    said("rustc", &["--print", "target-libdir", "--target", TARGET])
        .is_some_and(|libdir| Path::new(libdir.trim()).is_dir())
}

fn install_target() -> Result<()> {
    eprintln!("xtask: the target {TARGET} is missing: rustup target add {TARGET}");
    // rustup takes the toolchain from `rust-toolchain.toml` in the folder that it runs in.
    let added = Command::new("rustup").args(["target", "add", TARGET]).current_dir(cargo::workspace()?).status();
    match added {
        Ok(status) if status.success() && target_installed() => Ok(()),
        Ok(status) => Err(format!("`rustup target add {TARGET}` did not install it ({status}): see above").into()),
        Err(_no_rustup) => Err(format!(
            "the guests need the target {TARGET}, and there is no rustup to add it: install rustup (https://rustup.rs), or \
             the standard library for {TARGET} of this rustc from your distribution"
        )
        .into()),
    }
}

/// What a program prints, if it is there and succeeds.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let workspace = cargo::workspace().ok()?;
    let output = Command::new(program).args(args).current_dir(workspace).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
