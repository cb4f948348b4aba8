//! The filter of system calls, by seccomp: compiles allow-lists, which are data, to one program of the kernel's filter language.
//! Must never allow what no row names, nor take another architecture's numbers for this one's.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};
use tollgate_audit::Digest;
use tollgate_system::of_call;

/// What an argument of a system call must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `argument & mask == value`, over all 64 bits.
    Bits {
        /// Which argument, from 0.
        argument: u8,
        /// The bits that count.
        mask: u64,
        /// What they must be.
        value: u64,
    },
    /// The number of this process, known when the filter is made.
    OwnProcess {
        /// Which argument, from 0.
        argument: u8,
    },
}

/// No condition on the arguments.
pub const ANY: &[Check] = &[];

/// `prot`, the third argument of `mmap` and `mprotect`, is reading and writing at most.
pub const NOT_EXECUTABLE: Check = Check::only(2, PROT_DATA);

/// The protection of memory that is not code.
const PROT_DATA: u64 = (libc::PROT_READ | libc::PROT_WRITE).unsigned_abs() as u64;

impl Check {
    /// The argument is this number in all its 64 bits: an `int` of the kernel's must have no bits above it.
    pub const fn is(argument: u8, value: u32) -> Self {
        Self::Bits { argument, mask: u64::MAX, value: value as u64 }
    }

    /// No bit of the argument is set but these flags.
    pub const fn only(argument: u8, flags: u64) -> Self {
        Self::Bits { argument, mask: !flags, value: 0 }
    }

    /// The argument is a null pointer.
    pub const fn is_null(argument: u8) -> Self {
        Self::Bits { argument, mask: u64::MAX, value: 0 }
    }

    /// None of these flags is set.
    pub const fn clear(argument: u8, flags: i32) -> Self {
        Self::Bits { argument, mask: flags.unsigned_abs() as u64, value: 0 }
    }

    /// Whether arguments pass.
    pub fn passes(self, arguments: &[u64; 6]) -> bool {
        let (argument, mask, expected) = self.compared();
        arguments.get(usize::from(argument)).is_some_and(|value| value & mask == expected)
    }

    /// The argument that is compared, its bits that count, and their value.
    pub fn compared(self) -> (u8, u64, u64) {
        match self {
            Self::Bits { argument, mask, value } => (argument, mask, value),
            Self::OwnProcess { argument } => (argument, u64::MAX, u64::from(std::process::id())),
        }
    }

    fn condition(self, process: u32) -> Result<SeccompCondition, seccompiler::BackendError> {
        let (argument, mask, value) = match self {
            Self::Bits { argument, mask, value } => (argument, mask, value),
            Self::OwnProcess { argument } => (argument, u64::MAX, u64::from(process)),
        };
        SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value)
    }
}

/// What happens to a system call that no row allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// It fails with `EPERM`.
    Refuse,
    /// The thread gets `SIGSYS`. If the number is another architecture's, the process is killed.
    Trap,
}

/// Whether the kernel records what a filter blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// In its log, and for listeners of its audit.
    Blocked,
    /// Nowhere, as far as the filter decides.
    Nothing,
}

impl Log {
    const fn flags(self) -> u64 {
        match self {
            Self::Blocked => libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_LOG,
            Self::Nothing => libc::SECCOMP_FILTER_FLAG_TSYNC,
        }
    }
}

/// The arguments of `seccomp` with which [`Program::apply`] applies another filter, which records what it blocks.
pub(crate) const LOGGING_FILTER: &[Check] = &[
    Check::is(0, libc::SECCOMP_SET_MODE_FILTER),
    Check::Bits { argument: 1, mask: u64::MAX, value: Log::Blocked.flags() },
];

/// The arguments of `seccomp` that apply a filter to every thread, recording or not; without a listener, which could answer in the
/// filter's place.
pub(super) const SETS_FILTER: &[Check] = &[
    Check::is(0, libc::SECCOMP_SET_MODE_FILTER),
    Check::Bits { argument: 1, mask: !libc::SECCOMP_FILTER_FLAG_LOG, value: libc::SECCOMP_FILTER_FLAG_TSYNC },
];

/// A filter as the kernel takes it.
#[derive(Debug, Clone)]
pub(crate) struct Program(BpfProgram);

/// Why a filter is not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A mistake in the rows: they make no program.
    #[error("the rows of the filter make no program")]
    Rows(#[from] seccompiler::BackendError),
    /// The kernel has no seccomp filters, or refuses this one.
    #[error("the kernel refuses the filter")]
    Refused(#[source] io::Error),
    /// A thread of this process has a filter of its own, so this one cannot be laid upon it.
    #[error("thread {thread} cannot take the filter")]
    Thread {
        /// Its number.
        thread: u32,
    },
}

impl Program {
    /// A program that allows what any row allows.
    pub(crate) fn compile<'r>(
        rows: impl IntoIterator<Item = (i64, &'r [Check])>,
        otherwise: Otherwise,
    ) -> Result<Self, FilterError> {
        let process = std::process::id();
        let mut rules: BTreeMap<i64, Option<Vec<SeccompRule>>> = BTreeMap::new();
        for (number, checks) in rows {
            let alternatives = rules.entry(number).or_insert_with(|| Some(Vec::new()));
            if checks.is_empty() {
                *alternatives = None;
            } else if let Some(alternatives) = alternatives {
                let conditions = checks.iter().map(|check| check.condition(process)).collect::<Result<_, _>>()?;
                alternatives.push(SeccompRule::new(conditions)?);
            }
        }
        // For seccompiler a call without rules has no condition on its arguments.
        let rules =
            rules.into_iter().map(|(number, alternatives)| (number, alternatives.unwrap_or_default())).collect();
        let (otherwise, mut program) = match otherwise {
            Otherwise::Refuse => (SeccompAction::Errno(libc::EPERM.unsigned_abs()), BpfProgram::new()),
            Otherwise::Trap => (SeccompAction::Trap, foreign_numbers_kill()),
        };
        let arch: TargetArch = std::env::consts::ARCH.try_into()?;
        let allowed: BpfProgram = SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch)?.try_into()?;
        program.extend(allowed);
        Ok(Self(program))
    }

    /// Applies the program to every thread of this process, for good, on top of filters in force. [`no_new_privileges`] must have
    /// been called before.
    pub(crate) fn apply(&self, log: Log) -> Result<(), FilterError> {
        let too_long = |_too_long| FilterError::Refused(io::ErrorKind::InvalidInput.into());
        let length = u16::try_from(self.0.len()).map_err(too_long)?;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast::<libc::sock_filter>().cast_mut() };
        match seccomp(libc::SECCOMP_SET_MODE_FILTER, log.flags(), (&raw const program).cast()) {
            Ok(0) => Ok(()),
            Ok(thread) => Err(FilterError::Thread { thread }),
            Err(error) => Err(FilterError::Refused(of_call("seccomp", error))),
        }
    }

    /// SHA-256 over the instructions, in the machine's byte order, each as the kernel takes it: code, jumps, operand.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.0.len() * size_of::<sock_filter>());
        for instruction in &self.0 {
            bytes.extend(instruction.code.to_ne_bytes());
            bytes.extend([instruction.jt, instruction.jf]);
            bytes.extend(instruction.k.to_ne_bytes());
        }
        Digest::of(&bytes)
    }
}

/// Has no program that this process executes gain privileges (`PR_SET_NO_NEW_PRIVS`). The kernel takes filters only after that.
#[allow(unsafe_code, reason = "rustix has it behind a feature that would build wasmtime again")]
pub(crate) fn no_new_privileges() -> io::Result<()> {
    let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: this option takes numbers alone, and each is passed in the type that the kernel reads.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, unused, unused, unused) };
    if answer == 0 { Ok(()) } else { Err(of_call("prctl(PR_SET_NO_NEW_PRIVS)", io::Error::last_os_error())) }
}

/// Whether the kernel takes filters that trap, kill and cover all threads.
pub(crate) fn is_available() -> bool {
    [libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_KILL_PROCESS].into_iter().all(knows_action)
}

/// Whether the kernel's filters have this action (`SECCOMP_RET_*`).
pub(crate) fn knows_action(action: u32) -> bool {
    seccomp(libc::SECCOMP_GET_ACTION_AVAIL, 0, (&raw const action).cast()).is_ok()
}

/// Set in the numbers of x32 system calls, which have the architecture of the 64-bit ones.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// Kills the process if the number is x32's. The program that follows does so for other architectures.
#[cfg(target_arch = "x86_64")]
fn foreign_numbers_kill() -> BpfProgram {
    let statement = |code: u32, k: u32| instruction(code, 0, 0, k);
    vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER_OFFSET),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_BIT),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_numbers_kill() -> BpfProgram {
    BpfProgram::new()
}

/// Where `struct seccomp_data` has the number of the system call.
#[cfg(target_arch = "x86_64")]
const NUMBER_OFFSET: u32 = 0;

#[cfg(target_arch = "x86_64")]
fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // Every code of the language fits 16 bits. The kernel would refuse `u16::MAX`.
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[allow(unsafe_code, reason = "no crate here calls seccomp(2) with flags")]
fn seccomp(operation: u32, flags: u64, argument: *const libc::c_void) -> io::Result<u32> {
    // SAFETY: the kernel only reads through `argument`: a `sock_fprog`, or a `u32`, according to `operation`; both callers
    // borrow what they point to for longer than this call, and the program's instructions are borrowed with it.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, argument) };
    u32::try_from(answer).map_err(|_negative| io::Error::last_os_error())
}
