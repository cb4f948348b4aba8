//! The handler of `SIGSYS`: what happens when a sealed worker makes a system call that its filter does not allow.
//!
//! During the self-test, the call's number is noted for the thread and the call fails with `EPERM`. Afterwards an entry is
//! written into the notary's pipe and the process ends: a worker that trips its filter is broken or broken into, and must not go
//! on.
//!
//! The handler must never allocate, lock, panic, or make a system call that the filter does not allow.
#![allow(unsafe_code, reason = "a signal handler: its installation, what the kernel hands it, and raw system calls")]

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering, compiler_fence};

use tollgate_audit::{BLOCKED_FRAME_BYTES_MAX, BlockedCall, CallId, ThreadName, WriterId, write_blocked_frame};
use tollgate_system::of_call;

/// The exit status of a worker that tripped its filter: 128 + `SIGSYS`, as shells have it.
pub const BLOCKED_EXIT: i32 = 159;

/// Sets where blocked calls are recorded: the worker's end of its pipe to the notary. [`strip`](super::strip) must keep it.
///
/// Without it a blocked call still ends the process, and only standard error has it.
///
/// # Safety
///
/// `pipe` is open and stays open until the process ends. The signal's handler may write into it at any time, and would otherwise
/// write into another file with its number.
pub unsafe fn set_evidence(pipe: RawFd, writer: WriterId) {
    let [h0, h1, h2, h3, h4, h5] = writer.0;
    WRITER.store(u64::from_be_bytes([0, 0, h0, h1, h2, h3, h4, h5]), Ordering::SeqCst);
    PIPE.store(pipe, Ordering::SeqCst);
}

/// Says which call of a tool runs on this thread, for the entry.
pub fn set_call(call: Option<CallId>) {
    CALL.set(call);
    // The handler may read it at the very next instruction.
    compiler_fence(Ordering::SeqCst);
}

/// Names this thread in entries; cut as the kernel cuts names.
pub fn name_thread(name: &str) {
    THREAD.set(Some(ThreadName::new(name)));
    compiler_fence(Ordering::SeqCst);
}

/// Gives the handler a stack on this thread, as long as the thread lives. The stack that a thread has by itself may be little
/// larger than the frame that the kernel puts there (`AT_MINSIGSTKSZ` in `getauxval(3)`).
pub(super) fn give_stack() -> io::Result<()> {
    // Never freed: a handler may stand on it until the process ends, and a worker's threads live as long as the worker.
    let stack = Box::leak(vec![0_u8; STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory is as long as said, nothing else uses it, and it is never freed.
    let answer = unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    if answer == 0 { Ok(()) } else { Err(of_call("sigaltstack", io::Error::last_os_error())) }
}

/// Several times what the handler takes in a build without optimisation, beside the largest frame of a kernel signal.
const STACK_BYTES: usize = 64 << 10;

thread_local! {
    // No destructors, and nothing is made on first use: a signal handler may use these at any time.
    // Atomic, though of one thread: to the compiler a system call writes no memory, and it would keep what it read before.
    static NOTED: AtomicI64 = const { AtomicI64::new(NOTHING) };
    static CALL: Cell<Option<CallId>> = const { Cell::new(None) };
    static THREAD: Cell<Option<ThreadName>> = const { Cell::new(None) };
}

/// No number of a system call.
const NOTHING: i64 = -1;

/// Whether blocked calls are only noted.
static TESTING: AtomicBool = AtomicBool::new(true);
/// Whether a thread is recording its blocked call.
static ENDING: AtomicBool = AtomicBool::new(false);
static PIPE: AtomicI32 = AtomicI32::new(-1);
static WRITER: AtomicU64 = AtomicU64::new(0);

/// The number of the system call that was blocked on this thread since this was last asked.
pub fn take_noted() -> Option<i64> {
    let number = NOTED.with(|noted| noted.swap(NOTHING, Ordering::SeqCst));
    (number != NOTHING).then_some(number)
}

/// Has a blocked call end the process from now on.
pub(super) fn end_on_blocked() {
    TESTING.store(false, Ordering::SeqCst);
}

/// Installs the handler for every thread, on their alternate stacks ([`give_stack`]).
pub(super) fn install() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int, *const Blocked, *mut libc::ucontext_t) = on_sigsys;
    // SAFETY: all bytes zero is a `sigaction`: no handler, no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is alive and has the mask that is filled.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    // SAFETY: the handler has the three parameters that `SA_SIGINFO` says, is async-signal-safe (the head of this file), and
    // is there as long as the program is; the kernel reads `action` and writes nothing back.
    let answer = unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `siginfo_t` of a `SIGSYS` from seccomp, on 64-bit Linux (`sigaction(2)`, `asm-generic/siginfo.h`).
#[repr(C)]
struct Blocked {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    _padding: libc::c_int,
    call_address: u64,
    number: libc::c_int,
    arch: libc::c_uint,
}

/// `si_code` of a `SIGSYS` that seccomp sends.
const SYS_SECCOMP: libc::c_int = 1;

extern "C" fn on_sigsys(_signal: libc::c_int, blocked: *const Blocked, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel hands a handler with `SA_SIGINFO` a `siginfo_t` of this signal, on this thread's stack.
    let blocked = unsafe { &*blocked };
    // SAFETY: and the context of the interrupted thread, which nothing else reads or writes meanwhile.
    let context = unsafe { &mut *context };
    if TESTING.load(Ordering::SeqCst) && blocked.code == SYS_SECCOMP {
        NOTED.with(|noted| noted.store(i64::from(blocked.number), Ordering::SeqCst));
        registers::answer(context, -i64::from(libc::EPERM));
        return;
    }
    if ENDING.swap(true, Ordering::SeqCst) {
        // Another thread is recording, and ends the process afterwards. It takes no longer than its tries.
        for _try in 0..=TRIES_MAX {
            wait_for_room(-1);
        }
    } else {
        write_down(blocked, registers::arguments(context));
    }
    // SAFETY: takes a number and does not return; it runs no destructors and no exit handlers.
    unsafe { libc::_exit(BLOCKED_EXIT) }
}

fn write_down(blocked: &Blocked, arguments: [u64; 6]) {
    let [_, _, h0, h1, h2, h3, h4, h5] = WRITER.load(Ordering::SeqCst).to_be_bytes();
    let blocked = BlockedCall {
        writer: WriterId([h0, h1, h2, h3, h4, h5]),
        call: CALL.get(),
        thread: THREAD.get().unwrap_or_else(|| ThreadName::new("unnamed")),
        number: u64::from(blocked.number.unsigned_abs()),
        arch: u64::from(blocked.arch),
        arguments,
        instruction: blocked.call_address,
    };
    say(&blocked);
    let pipe = PIPE.load(Ordering::SeqCst);
    if pipe < 0 {
        return;
    }
    let mut frame = [0; BLOCKED_FRAME_BYTES_MAX];
    let length = write_blocked_frame(&mut frame, &blocked);
    let frame = frame.get(..length).unwrap_or_default();
    for _try in 0..TRIES_MAX {
        if write(pipe, frame) {
            return;
        }
        wait_for_room(pipe);
    }
}

/// How often a full pipe is tried again, each time after at most [`WAIT_MS`]. After a second in all the process ends without an
/// entry.
const TRIES_MAX: u32 = 100;
const WAIT_MS: libc::c_int = 10;

/// Writes to standard error: `tollgate: the filter stopped system call 41 on thread executor-1`.
fn say(blocked: &BlockedCall) {
    let mut digits = [0_u8; 20];
    let mut rest = blocked.number;
    let mut first = digits.len();
    for (at, slot) in digits.iter_mut().enumerate().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        first = at;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let number = digits.get(first..).unwrap_or_default();
    let thread = blocked.thread.as_str().as_bytes();
    for part in [b"tollgate: the filter stopped system call ", number, b" on thread ", thread, b"\n"] {
        write(libc::STDERR_FILENO, part);
    }
}

fn write(to: RawFd, bytes: &[u8]) -> bool {
    // SAFETY: `bytes` is alive for the call, which only reads it.
    let written = unsafe { libc::write(to, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).is_ok_and(|written| written == bytes.len())
}

fn wait_for_room(pipe: RawFd) {
    let mut wanted = libc::pollfd { fd: pipe, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `wanted` is one `pollfd`, alive for the call.
    unsafe { libc::poll(&raw mut wanted, 1, WAIT_MS) };
}

/// Where the kernel keeps a system call's arguments and answer.
#[cfg(target_arch = "x86_64")]
mod registers {
    const ARGUMENTS: [libc::c_int; 6] =
        [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9];

    pub(super) fn arguments(context: &libc::ucontext_t) -> [u64; 6] {
        ARGUMENTS.map(|register| {
            let at = usize::try_from(register).unwrap_or(usize::MAX);
            context.uc_mcontext.gregs.get(at).map_or(0, |value| value.cast_unsigned())
        })
    }

    pub(super) fn answer(context: &mut libc::ucontext_t, value: i64) {
        let at = usize::try_from(libc::REG_RAX).unwrap_or(usize::MAX);
        if let Some(register) = context.uc_mcontext.gregs.get_mut(at) {
            *register = value;
        }
    }
}

/// Where the kernel keeps a system call's arguments and answer.
#[cfg(target_arch = "aarch64")]
mod registers {
    pub(super) fn arguments(context: &libc::ucontext_t) -> [u64; 6] {
        let [r0, r1, r2, r3, r4, r5, ..] = context.uc_mcontext.regs;
        [r0, r1, r2, r3, r4, r5]
    }

    pub(super) fn answer(context: &mut libc::ucontext_t, value: i64) {
        if let Some(register) = context.uc_mcontext.regs.first_mut() {
            *register = value.cast_unsigned();
        }
    }
}
