//! Sealed processes, attacked from within. Each test starts this program as a child with one test to run; that one forks
//! a process per attempt, which has one thread, seals itself and tries.

#![allow(clippy::disallowed_methods, reason = "tests that run themselves as children, which then seal themselves")]
#![allow(clippy::cast_sign_loss, reason = "flags on their way to raw system calls")]
#![allow(unsafe_code, reason = "children are forked, and attack by raw system calls")]

mod attacks;
mod floor;
mod live;
mod loading;
mod plans;

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::process::Command;

use rustix::process::{WaitOptions, WaitStatus, waitpid};
use tollgate_audit::{BlockedCall, Entry, Level, WriterId};
use tollgate_capability::{AccessSet, CapabilitySet, FsCapability};
use tollgate_sandbox::*;
use tollgate_testing::sealed_child::{self, passes};

use super::*;

/// Runs one ignored test of this program in a process of its own.
fn in_child(test: &str) {
    passes(child(test));
}

fn child(test: &str) -> Command {
    sealed_child::child(&format!("kernel_plan::tests::{test}"))
}

/// As [`tollgate_sandbox::strip`], in a forked process.
fn strip(keep: &[BorrowedFd<'_>]) -> Result<Stripped, EnforceError> {
    // SAFETY: the process was forked for this: it uses what it keeps, and ends by `_exit`, which closes nothing twice.
    unsafe { tollgate_sandbox::strip(keep) }
}

/// As [`tollgate_sandbox::confine`], in a forked process.
fn confine(plan: &KernelPlan, required: Level, keep: &[BorrowedFd<'_>]) -> Result<Confined, EnforceError> {
    strip(keep)?.confine(plan, required)
}

/// As [`trap::set_evidence`], in a forked process.
fn set_evidence(pipe: RawFd, writer: WriterId) {
    // SAFETY: the end of the pipe that `forked` lends for as long as the process lives.
    unsafe { trap::set_evidence(pipe, writer) }
}

/// How a forked process ended.
#[derive(Debug)]
struct Ended {
    status: WaitStatus,
    /// The system call that its filter stopped, as it wrote it down.
    blocked: Option<BlockedCall>,
}

impl Ended {
    fn well(&self) -> bool {
        self.status.exit_status() == Some(0)
    }
}

const WRITER: WriterId = WriterId([1, 2, 3, 4, 5, 6]);
/// Of a journal frame: before the entry, and after it.
const LENGTH_BYTES: usize = 2;
const CHECK_BYTES: usize = 4;
const PANICKED: i32 = 101;

/// Forks a process that does `work`; what it blocks is written down where `work` is told to.
fn forked(work: impl FnOnce(&OwnedFd)) -> Ended {
    let (read, write) = rustix::pipe::pipe().unwrap();
    std::io::stdout().flush().unwrap();
    // SAFETY: the child uses what this thread alone has, and ends by `_exit`; the harness's other thread waits.
    let process = match unsafe { libc::fork() } {
        0 => {
            drop(read);
            let done = std::panic::catch_unwind(AssertUnwindSafe(|| work(&write)));
            // SAFETY: takes a number and does not return.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { PANICKED }) }
        }
        process => rustix::process::Pid::from_raw(process).unwrap(),
    };
    drop(write);
    let mut frame = Vec::new();
    std::fs::File::from(read).read_to_end(&mut frame).unwrap();
    let (_, status) = waitpid(Some(process), WaitOptions::empty()).unwrap().unwrap();
    let blocked = (!frame.is_empty()).then(|| {
        let entry = Entry::decode(&frame[LENGTH_BYTES..frame.len() - CHECK_BYTES]).unwrap();
        let Entry::BlockedCall(blocked) = entry else { panic!("{entry:?}") };
        blocked
    });
    Ended { status, blocked }
}

/// Forks a process that seals itself by a plan, tests itself and does `work`.
fn sealed(plan: &KernelPlan, work: impl FnOnce()) -> Ended {
    forked(|pipe| {
        set_evidence(pipe.as_raw_fd(), WRITER);
        trap::name_thread("main");
        let filtered = confine(plan, Level::Full, &[pipe.as_fd()]).unwrap().filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        filtered.finish(&[tested]).unwrap();
        work();
    })
}

/// Machine code of a component, for an engine with room for so many calls.
fn compiled(calls: u32, component: &[u8]) -> Vec<u8> {
    let engine = wasmtime::Engine::new(&tollgate_engine::engine_config(calls)).unwrap();
    engine.precompile_component(component).unwrap()
}

/// A capability set with these folders.
fn set(folders: &[(&std::path::Path, AccessSet)]) -> CapabilitySet {
    let fs = folders.iter().enumerate().map(|(number, (host, access))| FsCapability {
        write_quota: 1 << 20,
        ..FsCapability::new(format!("/{number}"), host, *access)
    });
    CapabilitySet { fs: fs.collect(), ..CapabilitySet::default() }
}
