//! What this machine's kernel can enforce. It is asked; asking enforces nothing.

use serde::Serialize;
use tollgate_audit::Level;

use super::filter;

/// First version of Landlock's interface that enforces all that a plan names: files, truncating them, TCP, device ioctls, the
/// scopes of signals and abstract unix sockets (Linux 6.12).
pub const LANDLOCK_ABI_FULL: u32 = 6;

/// The kernel's features with which a worker is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KernelOffer {
    /// Version of Landlock's interface; 0 without Landlock.
    pub landlock_abi: u32,
    /// Filters of system calls that trap, kill the process, log, and cover threads that exist already.
    pub seccomp: bool,
}

impl KernelOffer {
    /// What this kernel has.
    #[must_use]
    pub fn here() -> Self {
        Self { landlock_abi: landlock_abi(), seccomp: filter::is_available() }
    }

    /// The level that a worker reaches with it.
    #[must_use]
    pub const fn level(self) -> Level {
        match (self.seccomp, self.landlock_abi) {
            (true, LANDLOCK_ABI_FULL..) => Level::Full,
            (true, 1..) => Level::Partial,
            (true | false, _) => Level::None,
        }
    }

    /// What it lacks for a level; empty if nothing.
    #[must_use]
    pub fn lacks(self, level: Level) -> Vec<&'static str> {
        let (seccomp, abi) = match level {
            Level::None => (false, 0),
            Level::Partial => (true, 1),
            Level::Full => (true, LANDLOCK_ABI_FULL),
        };
        let mut lacks = Vec::new();
        if seccomp && !self.seccomp {
            lacks.push("filters of system calls (seccomp, Linux 4.14)");
        }
        let steps = STEPS.iter().filter(|(step, _)| (self.landlock_abi + 1..=abi).contains(step));
        lacks.extend(steps.map(|(_, gives)| *gives));
        lacks
    }
}

/// What each version of Landlock's interface gives a worker.
pub(crate) const STEPS: &[(u32, &str)] = &[
    (1, "Landlock: files and folders (ABI 1, Linux 5.13)"),
    (2, "Landlock: links and renames between folders, by right (ABI 2, Linux 5.19)"),
    (3, "Landlock: cutting files (ABI 3, Linux 6.2)"),
    (4, "Landlock: TCP (ABI 4, Linux 6.7)"),
    (5, "Landlock: ioctl on devices (ABI 5, Linux 6.10)"),
    (6, "Landlock: abstract unix sockets, signals to other processes (ABI 6, Linux 6.12)"),
    (7, "Landlock: denials in the audit log (ABI 7, Linux 6.15)"),
    (8, "Landlock: all threads at once (ABI 8, Linux 7.0)"),
    (9, "Landlock: unix sockets by path (ABI 9, Linux 7.1)"),
];

/// `LANDLOCK_CREATE_RULESET_VERSION` (`linux/landlock.h`).
const ASK_VERSION: u32 = 1;

#[allow(unsafe_code, reason = "the crate landlock does not say which version the kernel has")]
pub(super) fn landlock_abi() -> u32 {
    let (attributes, size) = (std::ptr::null::<libc::c_void>(), 0_usize);
    // SAFETY: with this flag the kernel takes no attributes and makes nothing: it answers a number.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size, ASK_VERSION) };
    // Negative: not built in, or not switched on.
    u32::try_from(answer).unwrap_or(0)
}
