//! The handler of `SIGSYS`: what happens when a sealed host makes a system call that its filter does not allow.
//!
//! While the self-test runs, the number is noted for the thread and the call fails with `EPERM`. From then on, it is written
//! down and the process ends: a host that trips its filter is broken or broken into, and must not go on.
//!
//! The handler must never allocate, lock, panic or make a system call that the filter does not allow.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use tollgate_audit::{CallId, HostId};

/// How a host's process ends that tripped its filter: 128 + `SIGSYS`, as a shell would say it.
pub const BLOCKED_EXIT: i32 = 159;

/// A system call that was blocked, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockedCall {
    /// The host that made it.
    pub host: HostId,
    /// The call of a tool that ran on the thread.
    pub call: Option<CallId>,
    /// The thread's name.
    pub thread: ThreadName,
    /// The number of the system call.
    pub number: u64,
    /// The architecture whose number it is, `AUDIT_ARCH_*`.
    pub arch: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// Where in the program it was made.
    pub instruction: u64,
}

/// Most bytes of a thread's name: as many as the kernel keeps.
const THREAD_NAME_BYTES_MAX: usize = 15;

/// The name of a thread: at most 15 bytes of ASCII, others are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThreadName {
    bytes: [u8; THREAD_NAME_BYTES_MAX],
    length: u8,
}

impl ThreadName {
    /// The name `text`, cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut name = Self::default();
        let kept = text.bytes().filter(u8::is_ascii_graphic);
        for (slot, byte) in name.bytes.iter_mut().zip(kept) {
            *slot = byte;
            name.length += 1;
        }
        name
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Writes a blocked call as a frame of the ledger into the buffer and says how many bytes it has. Called in a signal handler.
pub type Encode = fn(&mut [u8; FRAME_BYTES_MAX], &BlockedCall) -> usize;

/// Most bytes of a frame that the handler writes: what a pipe takes in one piece.
pub const FRAME_BYTES_MAX: usize = 4096;

thread_local! {
    // None has a destructor, so that a signal handler may use them at any time.
    static NOTED: Cell<i64> = const { Cell::new(NOTHING) };
    static CALL: Cell<Option<CallId>> = const { Cell::new(None) };
    static THREAD: Cell<ThreadName> = const { Cell::new(ThreadName { bytes: [0; THREAD_NAME_BYTES_MAX], length: 0 }) };
}

/// No system call has this number.
const NOTHING: i64 = -1;

static TESTING: AtomicBool = AtomicBool::new(true);
static ENDING: AtomicBool = AtomicBool::new(false);
static PIPE: AtomicI32 = AtomicI32::new(-1);
static HOST: AtomicU64 = AtomicU64::new(0);
static ENCODE: AtomicU64 = AtomicU64::new(0);
