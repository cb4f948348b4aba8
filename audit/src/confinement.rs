//! What the ledger says of the kernel layer: how a writer is confined, which system call stopped it, what the kernel
//! itself recorded of it.
//!
//! Plain data. A [`BlockedCall`] is made within a signal handler: it must never need memory, a lock or a destructor.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{CallId, Digest, WriterId};
use crate::text::Text;
use crate::wire_enum::wire_enum;

/// Most capability sets that one [`Enforcement`] lists (34 bytes each, to fit the entry); further ones are counted.
pub const ENFORCEMENT_POLICIES_MAX: usize = 64;

/// Most bytes of a thread's name: what the kernel keeps of it (`TASK_COMM_LEN` less its end, `prctl(2)`).
pub const THREAD_NAME_BYTES_MAX: usize = 15;

/// What confines a writer, as it found by trying. Written by the writer once, before any call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforcement<'a> {
    /// The writer.
    pub writer: WriterId,
    /// Wall clock, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What is enforced.
    pub level: Level,
    /// The least that the operator's policy asks for.
    pub required: Level,
    /// Version of the kernel's Landlock interface; 0 if there is none.
    pub landlock_abi: u64,
    /// File system rights that Landlock handles (`LANDLOCK_ACCESS_FS_*`).
    pub handled_fs: u64,
    /// Network rights that it handles (`LANDLOCK_ACCESS_NET_*`).
    pub handled_net: u64,
    /// Scopes in force (`LANDLOCK_SCOPE_*`).
    pub scoped: u64,
    /// Threads on which the self-test passed.
    pub threads: u64,
    /// Digest of the Landlock rules.
    pub ruleset: Digest,
    /// Digest of the system call filter.
    pub filter: Digest,
    /// Digest of the plan that both are made from.
    pub plan: Digest,
    /// The capability sets that the plan is made from; at most [`ENFORCEMENT_POLICIES_MAX`] are kept, rising.
    pub policies: Vec<Digest>,
    /// Number of further capability sets that are not listed.
    pub policies_left_out: u64,
    /// What the self-test found, for humans.
    pub self_test: Text<'a>,
}

wire_enum! {
    /// How much of the kernel layer is in force. Ordered.
    Level {
        /// Nothing.
        None = 0 "none",
        /// Some of what Tollgate asks of a kernel.
        Partial = 1 "partial",
        /// All of it.
        Full = 2 "full",
    }
}

/// A system call that a writer's filter stopped. The writer's signal handler writes it, and the writer ends. It stands outside
/// the call's own sequence and tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedCall {
    /// The writer.
    pub writer: WriterId,
    /// The call that its thread was running, if any.
    pub call: Option<CallId>,
    /// The thread.
    pub thread: ThreadName,
    /// The number of the system call.
    pub number: u64,
    /// The table that the number is of (`AUDIT_ARCH_*` in `linux/audit.h`).
    pub arch: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// The address of the instruction.
    pub instruction: u64,
}

impl BlockedCall {
    /// The name of the system call, if it is a known one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        syscall_name(self.arch, self.number)
    }
}

/// `system call openat (257) on thread worker-1`.
impl fmt::Display for BlockedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "system call {name} ({})", self.number)?,
            None => write!(f, "system call {} of architecture {:#x}", self.number, self.arch)?,
        }
        write!(f, " on thread {}", self.thread)
    }
}

/// What the kernel's own audit says of a writer. The notary alone writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelRecord<'a> {
    /// The writer.
    pub writer: WriterId,
    /// Its process.
    pub process: u64,
    /// The record.
    pub text: Text<'a>,
}

/// The name of a thread as the kernel keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadName {
    bytes: [u8; THREAD_NAME_BYTES_MAX],
    // At most as many as there are, and they are UTF-8.
    length: u8,
}

impl ThreadName {
    /// As much of `name` as the kernel keeps, cut at a character.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; THREAD_NAME_BYTES_MAX];
        let mut length = 0;
        let cut = name.floor_char_boundary(THREAD_NAME_BYTES_MAX);
        for (to, from) in bytes.iter_mut().zip(name.bytes().take(cut)) {
            *to = from;
            length += 1;
        }
        Self { bytes, length }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadName({:?})", self.as_str())
    }
}

impl Serialize for ThreadName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ThreadName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let short = Self::new(&name);
        if short.as_str() == name { Ok(short) } else { Err(serde::de::Error::custom("a thread's name is too long")) }
    }
}

/// The name of a system call by its number in the table of `arch` (`AUDIT_ARCH_*` in `linux/audit.h`), for the
/// architectures that Tollgate runs on.
#[must_use]
pub fn syscall_name(arch: u64, number: u64) -> Option<&'static str> {
    let number = usize::try_from(number).ok()?;
    match arch {
        AUDIT_ARCH_X86_64 => syscalls::x86_64::Sysno::new(number).map(|call| call.name()),
        // The crate's word for this one is that of 32-bit tables.
        AUDIT_ARCH_AARCH64 if number == NEWFSTATAT_OF_AARCH64 => Some("newfstatat"),
        AUDIT_ARCH_AARCH64 => syscalls::aarch64::Sysno::new(number).map(|call| call.name()),
        _other => None,
    }
}

/// `__NR_newfstatat` in `asm-generic/unistd.h`.
const NEWFSTATAT_OF_AARCH64: usize = 79;

/// The number of x86-64 in [`BlockedCall::arch`] (`linux/audit.h`).
pub const AUDIT_ARCH_X86_64: u64 = 0xc000_003e;

/// The number of 64-bit Arm in [`BlockedCall::arch`] (`linux/audit.h`).
pub const AUDIT_ARCH_AARCH64: u64 = 0xc000_00b7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_system_calls() {
        assert_eq!(syscall_name(AUDIT_ARCH_X86_64, 257), Some("openat"));
        assert_eq!(syscall_name(AUDIT_ARCH_AARCH64, 56), Some("openat"));
        assert_eq!(syscall_name(AUDIT_ARCH_AARCH64, 79), Some("newfstatat"));
        assert_eq!(syscall_name(AUDIT_ARCH_X86_64, 425), Some("io_uring_setup"));
        for (arch, number) in [(AUDIT_ARCH_X86_64, 10_000), (AUDIT_ARCH_X86_64, u64::MAX), (0x4000_0003, 5), (0, 0)] {
            assert_eq!(syscall_name(arch, number), None, "{arch:#x} {number}");
        }
    }

    #[test]
    fn a_threads_name_is_what_the_kernel_keeps() {
        for (given, kept) in [
            ("", ""),
            ("worker-1", "worker-1"),
            ("0123456789abcde", "0123456789abcde"),
            ("0123456789abcdef", "0123456789abcde"),
            ("0123456789abcdé", "0123456789abcd"),
        ] {
            assert_eq!(ThreadName::new(given).as_str(), kept);
        }
        let json = serde_json::to_string(&ThreadName::new("worker-1")).unwrap();
        assert_eq!(serde_json::from_str::<ThreadName>(&json).unwrap(), ThreadName::new("worker-1"));
        assert!(serde_json::from_str::<ThreadName>("\"0123456789abcdef\"").is_err());
    }

    #[test]
    fn a_blocked_call_is_told_in_words() {
        let mut blocked = BlockedCall {
            writer: WriterId([1; 6]),
            call: None,
            thread: ThreadName::new("worker-1"),
            number: 257,
            arch: AUDIT_ARCH_X86_64,
            arguments: [0; 6],
            instruction: 0,
        };
        assert_eq!(blocked.to_string(), "system call openat (257) on thread worker-1");
        blocked.arch = 0x4000_0003;
        assert_eq!(blocked.to_string(), "system call 257 of architecture 0x40000003 on thread worker-1");
    }
}
