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
    for (number, arguments, _why) in calls {
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
