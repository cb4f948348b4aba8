//! What attacks ask of the machine: processes that end in time, mounts of their own, other users.

use std::io::Read;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::ran::{Ran, Verdict};
use crate::Result;

/// How long a command may take before the attack is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// The most of an output that is kept.
const OUTPUT_BYTES_MAX: u64 = 32 << 20;
/// The user and the group `nobody`, as most systems number them.
pub(super) const OTHER_USER: u32 = 65534;

/// Runs a command to its end, without input.
pub(super) fn run(mut command: Command) -> Result<Ran> {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let (exit, peak_bytes) = wait(&mut child)?;
    let text =
        |reader: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned();
    Ok(Ran { exit, out: text(out), err: text(err), peak_bytes })
}

fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            stream.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).ok();
            // Else the writer would wait for ever.
            std::io::copy(&mut stream, &mut std::io::sink()).ok();
        }
        bytes
    })
}

fn wait(child: &mut Child) -> Result<(Option<i32>, u64)> {
    let (started, mut peak) = (Instant::now(), 0);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status.code(), peak));
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Err(format!("a command did not end within {} s", PATIENCE.as_secs()).into());
        }
        peak = peak.max(peak_of(child.id()));
        thread::sleep(LOOK_EVERY);
    }
}

/// The most memory that a process or one of its children has had.
fn peak_of(parent: u32) -> u64 {
    let peaks = children(parent).into_iter().chain([parent]).filter_map(|process| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    peaks.max().unwrap_or(0)
}

/// The processes that a process started, from whichever of its threads.
pub(super) fn children(parent: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten();
    let said = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let said: Vec<String> = said.collect();
    said.iter().flat_map(|said| said.split_whitespace()).filter_map(|process| process.parse().ok()).collect()
}

/// Whether a process has a file open.
pub(super) fn has_open(process: u32, file: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|target| target == file)
}

/// Runs a command in a mount namespace of its own, after the shell lines `mounts`; what they mount goes with it.
pub(super) fn run_with_mounts(mounts: &str, command: &Command) -> Result<Ran> {
    let script = format!("{{ {mounts}\n}} || exit {NO_MOUNTS}\nexec \"$@\"");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private"]);
    if !is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["sh", "-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
    unshare.env_clear();
    for (name, value) in command.get_envs() {
        value.into_iter().for_each(|value| {
            unshare.env(name, value);
        });
    }
    if let Some(folder) = command.get_current_dir() {
        unshare.current_dir(folder);
    }
    let ran = run(unshare)?;
    if ran.exit == Some(NO_MOUNTS) {
        return Err(format!("the mounts could not be made: {}", ran.brief()).into());
    }
    Ok(ran)
}

/// What the shell says if it could not mount.
const NO_MOUNTS: i32 = 120;

/// Gives a file to another user. None if it was done; else why the attack is skipped.
pub(super) fn give_away(file: &Path) -> Option<Verdict> {
    given(chown(file, Some(OTHER_USER), None))
}

/// Gives a file to another group. None if it was done; else why the attack is skipped.
pub(super) fn give_to_group(file: &Path) -> Option<Verdict> {
    given(chown(file, None, Some(OTHER_USER)))
}

fn given(done: std::io::Result<()>) -> Option<Verdict> {
    done.err().map(|_no_root| Verdict::Skipped("needs root, to make a file of another user's".to_owned()))
}

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}
