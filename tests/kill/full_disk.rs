//! A small file system that fills up: calls fail closed and say why, and go on by themselves once there is room.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rustix::process::Pid;
use tollgate::{CallError, CallId};
use tollgate_audit::{Entry, Problem, read, verify};
use tollgate_workspace::foreign::skipped;
use tollgate_workspace::judge::{assert_once, verified};
use tollgate_workspace::processes::{PATIENCE, kill, reap_all};

use crate::Scale;
use crate::embedder::{Compiled, Embedder, notary_command};
use tollgate_workspace::program::data_in;

pub(crate) fn full_disk(scale: Scale) {
    let compiled = Compiled::new();
    let times = if scale.is_soak { 10 } else { 1 };
    for round in 0..times {
        for (below, acknowledge, is_killed) in [
            // The ledger's folder alone is full, or what stands beside it too.
            ("", "pipe", false),
            ("ledger", "journal", false),
            ("", "pipe", true),
        ] {
            let around = tempfile::tempdir().expect("a folder");
            let mount = around.path().join("small");
            let Some(disk) = Disk::mount(&mount) else {
                return skipped("full_disk: no file system can be mounted (root?)");
            };
            fills_and_empties(&compiled, &disk, &mount.join(below), acknowledge, is_killed);
            drop(disk);
        }
        if scale.is_soak {
            eprintln!("full_disk: {} of {times}", round + 1);
        }
    }
}

fn fills_and_empties(compiled: &Compiled, disk: &Disk, ledger: &Path, acknowledge: &str, is_killed: bool) {
    let data = data_in(disk.0.parent().expect("a folder"));
    let embedder = compiled.embedder(notary_command(ledger), ledger, &data, acknowledge).expect("an embedder");
    let filler = disk.fill(ROOM_BYTES);
    let mut acknowledged = Vec::new();
    let reason = call_until_refused(&embedder, &mut acknowledged);
    assert!(reason.contains("No space left"), "{reason}");
    assert!(!acknowledged.is_empty());
    let deaths = if is_killed { 3 } else { 0 };
    for _ in 0..deaths {
        // What the next one frees by opening the ledger is taken too, so that the one after it has no room for that.
        filler.grow();
        let pid = embedder.notary.pid();
        kill(Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id"));
        await_next(&embedder, pid, &reason);
    }
    // Nothing is wrong with what is there; an entry may be half in.
    let report = verify(ledger, None).expect("a ledger that can be read");
    let is_torn = |problem: &Problem| matches!(problem, Problem::TornTail { .. });
    assert!(report.findings.iter().all(|finding| is_torn(&finding.problem)), "{:?}", report.findings);

    drop(filler);
    embedder.await_ready().expect("it goes on by itself");
    for _ in 0..10 {
        acknowledged.push(embedder.call(1).unwrap_or_else(|failure| panic!("{failure}")).call);
    }
    embedder.finish().expect("an end in good order");
    assert!(reap_all(None).is_empty(), "processes that nobody waited for");
    verified(ledger, None);
    assert_once(ledger, &acknowledged);
    assert_eq!(ends_of(ledger, &acknowledged), acknowledged, "in their order");
}

/// Calls until one is refused; why it is.
fn call_until_refused(embedder: &Embedder, acknowledged: &mut Vec<CallId>) -> String {
    for _ in 0..CALLS_MAX {
        match embedder.call(1).map_err(|failure| failure.error) {
            Ok(answer) => acknowledged.push(answer.call),
            Err(CallError::Unrecorded(reason)) => return reason,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk is never full");
}

/// Waits until there is another notary than `dead`, or the embedder says that there can be none now.
fn await_next(embedder: &Embedder, dead: u32, stalled: &str) {
    let until = Instant::now() + PATIENCE;
    while embedder.notary.pid() == dead {
        let reason = call_until_refused(embedder, &mut Vec::new());
        if reason.contains("No space left") && reason != stalled {
            return;
        }
        assert!(reason == stalled || reason.contains("is away"), "{reason}");
        assert!(Instant::now() < until, "no other notary: {reason}");
    }
}

/// Those of `calls` that ended, in the ledger's order.
fn ends_of(ledger: &Path, calls: &[CallId]) -> Vec<CallId> {
    let entries = read(ledger).expect("a ledger").map(|entry| entry.expect("an entry").1);
    let ends = entries.filter_map(|entry| if let Entry::CallEnd(end) = entry { Some(end.call) } else { None });
    ends.filter(|call| calls.contains(call)).collect()
}

/// A small file system in memory, mounted until it is dropped.
struct Disk(PathBuf);

/// Takes the room of the disk until it is dropped.
struct Filler(PathBuf);

impl Disk {
    /// None where this process may not.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).expect("a folder");
        let size = format!("size={DISK_BYTES},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tollgate-test"]).arg(at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at.to_owned()))
    }

    /// Leaves room for some calls.
    fn fill(&self, room: u64) -> Filler {
        let filler = Filler(self.0.join("filler"));
        let file = filler.grow();
        let bytes = file.metadata().expect("a file").len();
        file.set_len(bytes - room).expect("a shorter file");
        filler
    }
}

impl Filler {
    /// Takes all room that there is.
    fn grow(&self) -> File {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).expect("a file");
        while let Ok(1..) = file.write(&[0; 4096]) {}
        file
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmount = |args: &[&str]| Command::new("umount").args(args).arg(&self.0).status();
        if !unmount(&[]).is_ok_and(|status| status.success()) {
            unmount(&["--lazy"]).ok();
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

const DISK_BYTES: u64 = 4 << 20;
const ROOM_BYTES: u64 = 256 << 10;
const CALLS_MAX: u32 = 50_000;
