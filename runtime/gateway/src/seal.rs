//! What a gateway's process gives up before it hears a client: every file, sockets of its own, other programs and threads,
//! executable pages. What stays is to read, to write and to close what it was handed.

use std::io;

use tollgate_sandbox::trusted::{self, ANY, Call, Check, NOT_EXECUTABLE};
use tollgate_sandbox::{LimitRow, Limited};

use crate::lanes::LANES_MAX;
use crate::protocol::GatewayLimits;

/// Seals this process, which has one thread: no other one can be made afterwards.
///
/// # Errors
///
/// The kernel has no seccomp, or refuses.
pub(crate) fn seal(limits: &GatewayLimits) -> io::Result<()> {
    trusted::hide_memory()?;
    trusted::limit(&rows(limits))?;
    trusted::confine(&[])?.allow_only(ALLOWED)
}

/// Each is bounded by what the daemon allows clients; what is broken into gets no more.
fn rows(limits: &GatewayLimits) -> [LimitRow; 7] {
    let row = |resource, most, why| LimitRow { resource, most, why };
    let files = limits.connections.saturating_add(LANES_MAX).saturating_add(OWN_FILES);
    // A request is held as it came, as it was parsed and as it is asked; its answer likewise.
    let each = limits.header_bytes.saturating_add(limits.body_bytes).saturating_mul(4);
    let held = limits.connections.saturating_add(limits.queue).saturating_mul(each);
    let data = DATA_BYTES_BASE.saturating_add(held as u64).min(DATA_BYTES_MAX);
    [
        row(Limited::Core, 0, "what clients sent is nobody's file"),
        row(Limited::MessageQueues, 0, "it has none"),
        row(Limited::LockedMemory, 0, "it locks none"),
        row(Limited::FileSize, 0, "it writes no file"),
        row(Limited::Processes, 0, "it starts none"),
        row(Limited::Files, files as u64, "clients, lanes, and what it has of its own"),
        row(Limited::Data, data, "requests and answers of all clients at a time"),
    ]
}

/// Standard streams, the control channel, the event loop's descriptors, and a packet's on their way.
const OWN_FILES: usize = 80;

/// What the program takes, and a few answers as long as any may be.
const DATA_BYTES_BASE: u64 = 1 << 30;

const DATA_BYTES_MAX: u64 = 8 << 30;

/// `FIONBIO` (`asm-generic/ioctls.h`), the second argument of `ioctl`.
const DO_NOT_BLOCK: Check = Check::is(1, 0x5421);

/// `F_GETFL` (`asm-generic/fcntl.h`), the second argument of `fcntl`.
const HOW_IT_IS_OPEN: Check = Check::is(1, 3);

/// `IPPROTO_TCP` and `TCP_NODELAY` (`linux/tcp.h`), the second and third argument of `setsockopt`.
const NO_DELAY: [Check; 2] = [Check::is(1, 6), Check::is(2, 1)];

/// What a gateway does beside what every process does, and why.
const ALLOWED: &[Call] = &[
    (libc::SYS_recvmsg, ANY, "hear the daemon, with the descriptors that it hands over"),
    (libc::SYS_sendmsg, ANY, "answer the daemon; its sockets are the only ones that could take descriptors"),
    (libc::SYS_read, ANY, "the event loop's own wake-ups, clients"),
    (libc::SYS_recvfrom, ANY, "hear clients and lanes"),
    (libc::SYS_write, ANY, "wake the event loop; the last words of a panic"),
    (libc::SYS_sendto, ANY, "answer clients, ask on lanes"),
    (libc::SYS_writev, ANY, "header and body of an answer at once"),
    (libc::SYS_shutdown, ANY, "say that nothing more comes"),
    (libc::SYS_close, ANY, "what is over"),
    (libc::SYS_getsockname, ANY, "whether a client came by TCP, and by which port"),
    (libc::SYS_setsockopt, &NO_DELAY, "answers over TCP without delay"),
    (libc::SYS_ioctl, &[DO_NOT_BLOCK], "sockets that never hold up the event loop"),
    (libc::SYS_fcntl, &[HOW_IT_IS_OPEN], "debug builds of tokio look whether a socket blocks"),
    (libc::SYS_epoll_ctl, ANY, "wait for what was handed over"),
    (libc::SYS_epoll_pwait, ANY, "wait for something to do"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, ANY, "the same"),
    (libc::SYS_mmap, &[NOT_EXECUTABLE], "memory"),
];

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test that runs itself as a child, which then seals itself")]
mod tests;
