//! System calls, by seccomp: an allow-list that is data.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// A system call that stays open: its number, what its arguments must be, and why it is needed. Several rows with
/// conditions for the same number allow what any of them allows.
pub(crate) type Call = (i64, &'static [Bits], &'static str);

/// Whatever the arguments are.
pub(crate) const ANY: &[Bits] = &[];

/// `prot & PROT_EXEC == 0`, the third argument of `mmap` and `mprotect`.
pub(crate) const NOT_EXECUTABLE: Bits = Bits { argument: 2, mask: libc::PROT_EXEC.unsigned_abs(), value: 0 };

/// What any process here goes on doing: memory, threads that wait for each other and end, panics, its own end. Mapping
/// memory is not among it, since how much may be mapped differs.
const EVERY_PROCESS: &[Call] = &[
    (libc::SYS_mprotect, &[NOT_EXECUTABLE], "memory"),
    (libc::SYS_munmap, ANY, "memory"),
    (libc::SYS_mremap, ANY, "memory"),
    (libc::SYS_madvise, ANY, "memory"),
    (libc::SYS_brk, ANY, "memory"),
    (libc::SYS_getrandom, ANY, "hash maps"),
    (libc::SYS_clock_gettime, ANY, "where it is no vDSO call"),
    (libc::SYS_futex, ANY, "threads wait for each other"),
    (libc::SYS_sched_yield, ANY, "the same"),
    (libc::SYS_sigaltstack, ANY, "start and end of a thread"),
    (libc::SYS_rt_sigprocmask, ANY, "start and end of a thread, panics"),
    (libc::SYS_rt_sigaction, ANY, "panics"),
    (libc::SYS_rt_sigreturn, ANY, "signals"),
    (libc::SYS_restart_syscall, ANY, "signals"),
    (libc::SYS_gettid, ANY, "start of a thread, panics"),
    (libc::SYS_getpid, ANY, "panics"),
    (libc::SYS_tgkill, ANY, "panics; Landlock leaves no other process to signal"),
    (libc::SYS_exit, ANY, "end of a thread"),
    (libc::SYS_exit_group, ANY, "end"),
];

/// What an argument must be: `argument & mask == value`, in its lower 32 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bits {
    /// Which argument, from 0.
    pub(crate) argument: u8,
    /// The bits that count.
    pub(crate) mask: u32,
    /// What they must be.
    pub(crate) value: u32,
}

pub(super) fn allow_only(calls: &[Call]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (number, arguments, _why) in EVERY_PROCESS.iter().chain(calls) {
        let alternatives = rules.entry(*number).or_default();
        if !arguments.is_empty() {
            alternatives.push(rule(arguments)?);
        }
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

fn rule(arguments: &[Bits]) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |bits: &Bits| {
        let holds = SeccompCmpOp::MaskedEq(u64::from(bits.mask));
        SeccompCondition::new(bits.argument, SeccompCmpArgLen::Dword, holds, u64::from(bits.value))
    };
    SeccompRule::new(arguments.iter().map(condition).collect::<Result<_, _>>()?)
}
