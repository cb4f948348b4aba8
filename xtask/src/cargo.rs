//! Runs cargo in the workspace, always with the release profile, so that nothing is built twice.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{env, io};

use crate::Result;

/// Runs `cargo SUBCOMMAND --release …`, with its output where this one's goes.
pub(crate) fn run(args: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let mut cargo = command(args)?;
    let status = cargo.envs(variables.iter().copied()).status().map_err(no_start)?;
    judged(args, status)
}

/// As [`run`]; `hear` gets each line of output and errors, in the order in which they were printed, and may have something
/// to say after it.
pub(crate) fn run_heard(args: &[&str], mut hear: impl FnMut(&str) -> Option<String>) -> Result<()> {
    let mut cargo = command(args)?;
    // One pipe for both, which keeps their order.
    let (mut output, theirs) = io::pipe()?;
    let mut child = cargo.stdout(theirs.try_clone()?).stderr(theirs).spawn().map_err(no_start)?;
    // It holds the pipe's other end too.
    drop(cargo);
    let (send, chunks) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read) = output.read(&mut buffer) {
            let chunk = buffer.get(..read).unwrap_or_default().to_vec();
            if chunk.is_empty() || send.send(chunk).is_err() {
                break;
            }
        }
    });
    let mut line = Vec::new();
    let mut status = None;
    // The pipe may outlast cargo: a process that a test left behind holds it.
    loop {
        match chunks.recv_timeout(LOOK_AGAIN) {
            Ok(chunk) => say(&chunk, &mut line, &mut hear)?,
            Err(RecvTimeoutError::Timeout) if status.is_some() => break,
            Err(RecvTimeoutError::Timeout) => status = child.try_wait()?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = match status {
        Some(status) => status,
        None => child.wait()?,
    };
    judged(args, status)
}

/// Passes on what was printed, and hands over the lines that are whole.
fn say(chunk: &[u8], line: &mut Vec<u8>, hear: &mut impl FnMut(&str) -> Option<String>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
        stdout.write_all(piece)?;
        line.extend_from_slice(piece);
        if piece.ends_with(b"\n") {
            if let Some(said) = hear(String::from_utf8_lossy(line).trim_end()) {
                writeln!(stdout, "{said}")?;
            }
            line.clear();
        }
    }
    Ok(stdout.flush()?)
}

fn command(args: &[&str]) -> Result<Command> {
    let (subcommand, rest) = args.split_first().ok_or("no command for cargo")?;
    eprintln!("xtask: cargo {subcommand} --release {}", rest.join(" "));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()?).arg(subcommand).arg("--release").args(rest);
    Ok(cargo)
}

fn no_start(error: io::Error) -> String {
    format!("cannot start cargo: {error}")
}

fn judged(args: &[&str], status: ExitStatus) -> Result<()> {
    let subcommand = args.first().copied().unwrap_or_default();
    if status.success() { Ok(()) } else { Err(format!("cargo {subcommand} failed ({status}): see above").into()) }
}

/// How often a silent cargo is asked whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

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
