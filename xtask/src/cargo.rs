//! Runs cargo in the workspace, always with the release profile, so that nothing is built twice.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use crate::Result;

/// Runs `cargo SUBCOMMAND --release …`, with its output where this one's goes.
pub(crate) fn run(args: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let (subcommand, rest) = args.split_first().ok_or("no command for cargo")?;
    eprintln!("xtask: cargo {subcommand} --release {}", rest.join(" "));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()?).arg(subcommand).arg("--release").args(rest);
    let status =
        cargo.envs(variables.iter().copied()).status().map_err(|error| format!("cannot start cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {subcommand} failed ({status}): see above").into()) }
}

/// The folder of the workspace.
pub(crate) fn workspace() -> Result<PathBuf> {
    // Set by `cargo run`, for the checkout that is at work; else where this was built.
    let here = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Ok(Path::new(&here).parent().ok_or("xtask is not in a workspace")?.to_owned())
}

/// Where cargo puts what it builds: where this program is.
pub(crate) fn built() -> Result<PathBuf> {
    let this = env::current_exe()?;
    Ok(this.parent().ok_or_else(|| io::Error::other("this program is in no folder"))?.to_owned())
}
