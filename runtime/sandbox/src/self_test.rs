//! The self-test of every thread of a worker before it serves: what must fail fails, and for the right reason. It finds a thread
//! that the seal does not cover.

use std::fmt;
use std::io;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

use super::trap;

/// What every thread must find. Made by [`Filtered::expected`](super::Filtered::expected).
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// The filter is in force.
    pub(super) filter: bool,
    /// Landlock's rules are in force.
    pub(super) files: bool,
    /// `openat2` is among the plan's rows, so that Landlock has to stop it.
    pub(super) opens: bool,
}

/// Proof that the self-test passed on one thread.
#[derive(Debug, PartialEq, Eq)]
pub struct Tested {
    pub(super) thread: u32,
}

/// Something that must fail did not fail, or not for the right reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not hold on thread {thread}: {tried} should be {wanted}, but {found}")]
pub struct SelfTestError {
    /// The thread's number.
    pub thread: u32,
    /// What was tried.
    pub tried: &'static str,
    /// What should have come of it.
    pub wanted: &'static str,
    /// What came of it.
    pub found: String,
}

impl Expected {
    /// In words: what is tried, and what stops it.
    pub(super) fn text(self) -> String {
        let stops: Vec<String> =
            [self.socket(), self.open(), self.code()].iter().flatten().map(ToString::to_string).collect();
        if stops.is_empty() { "nothing is enforced".to_owned() } else { stops.join("; ") }
    }

    fn socket(self) -> Option<Stop> {
        self.filter.then_some(Stop { tried: "a socket", by: By::Filter(libc::SYS_socket) })
    }

    fn open(self) -> Option<Stop> {
        let tried = "opening the root folder";
        match (self.filter && !self.opens, self.files) {
            (true, _) => Some(Stop { tried, by: By::Filter(libc::SYS_openat2) }),
            (false, true) => Some(Stop { tried, by: By::Landlock }),
            (false, false) => None,
        }
    }

    fn code(self) -> Option<Stop> {
        self.filter.then_some(Stop { tried: "mapping executable memory", by: By::Filter(libc::SYS_mmap) })
    }
}

/// What is tried and what must stop it.
struct Stop {
    tried: &'static str,
    by: By,
}

enum By {
    /// The handler of `SIGSYS` notes this number.
    Filter(i64),
    /// The call fails with `EACCES`, and the filter did not stop it.
    Landlock,
}

impl By {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Filter(_) => "stopped by the filter",
            Self::Landlock => "refused by Landlock",
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.tried, self.by.as_str())
    }
}

/// Gives the handler of `SIGSYS` a stack on this thread, then tries what must fail. What does not fail is undone.
///
/// # Errors
///
/// The seal does not hold on this thread: it must not run a tool.
pub fn self_test(expected: &Expected) -> Result<Tested, SelfTestError> {
    let thread = this_thread();
    let no_stack = |error: io::Error| SelfTestError {
        thread,
        tried: "a stack for the handler of blocked calls",
        wanted: "there",
        found: error.to_string(),
    };
    if expected.filter {
        trap::give_stack().map_err(no_stack)?;
    }
    if let Some(stop) = expected.socket() {
        check(thread, &stop, || socket(AddressFamily::INET, SocketType::STREAM, None).map(drop))?;
    }
    if let Some(stop) = expected.open() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        check(thread, &stop, || openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::empty()).map(drop))?;
    }
    if let Some(stop) = expected.code() {
        check(thread, &stop, map_executable)?;
    }
    Ok(Tested { thread })
}

fn check(thread: u32, stop: &Stop, attempt: impl FnOnce() -> Result<(), Errno>) -> Result<(), SelfTestError> {
    trap::take_noted();
    let answer = attempt();
    let noted = trap::take_noted();
    let as_it_must = match stop.by {
        By::Filter(number) => answer == Err(Errno::PERM) && noted == Some(number),
        By::Landlock => answer == Err(Errno::ACCESS) && noted.is_none(),
    };
    if as_it_must {
        return Ok(());
    }
    let found = match (answer, noted) {
        (Ok(()), _) => "it succeeded".to_owned(),
        (Err(_), Some(number)) => format!("the filter stopped system call {number}"),
        (Err(errno), None) => format!("the kernel said: {}", io::Error::from(errno)),
    };
    Err(SelfTestError { thread, tried: stop.tried, wanted: stop.by.as_str(), found })
}

/// The kernel's number of this thread.
#[allow(unsafe_code, reason = "rustix has it behind a feature that would build wasmtime again")]
pub(super) fn this_thread() -> u32 {
    // SAFETY: takes nothing and answers a number.
    unsafe { libc::gettid() }.unsigned_abs()
}

#[allow(unsafe_code, reason = "rustix has it behind a feature that would build wasmtime again")]
fn map_executable() -> Result<(), Errno> {
    const BYTES: usize = 4096;
    let (nowhere, protection) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_EXEC);
    // SAFETY: maps fresh memory where the kernel likes, over nothing that is in use.
    let mapped = unsafe { libc::mmap(nowhere, BYTES, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    // SAFETY: the very mapping that was just made, to which nothing points.
    unsafe { libc::munmap(mapped, BYTES) };
    Ok(())
}
