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
    have_target(TARGET)?;
    eprintln!("xtask: {}, linker {linker}, target {TARGET}: all there", rustc.trim());
    Ok(())
}

/// Looks for the standard library of a target; installs it if rustup can.
pub(crate) fn have_target(target: &str) -> Result<()> {
    if installed(target) {
        return Ok(());
    }
    eprintln!("xtask: the target {target} is missing: rustup target add {target}");
    // rustup takes the toolchain from `rust-toolchain.toml` in the folder that it runs in.
    let added = Command::new("rustup").args(["target", "add", target]).current_dir(cargo::workspace()?).status();
    match added {
        Ok(status) if status.success() && installed(target) => Ok(()),
        Ok(status) => Err(format!("`rustup target add {target}` did not install it ({status}): see above").into()),
        Err(_no_rustup) => Err(format!(
            "the target {target} is needed, and there is no rustup to add it: install rustup (https://rustup.rs), or the \
             standard library for {target} of this rustc from your distribution"
        )
        .into()),
    }
}

fn installed(target: &str) -> bool {
    said("rustc", &["--print", "target-libdir", "--target", target])
        .is_some_and(|libdir| Path::new(libdir.trim()).is_dir())
}

/// What a program prints, if it is there and succeeds.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let workspace = cargo::workspace().ok()?;
    let output = Command::new(program).args(args).current_dir(workspace).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
