//! What a worker may ask of the kernel while it loads code, beside its plan. All threads have started by then, and pages still
//! become executable. The bytes that are parsed come from a component that may have broken into its compiler.
//!
//! Deliberately absent: sockets, programs, processes, threads, and files but those of the plan. A call without a row fails with
//! `EPERM`; no sound code makes one. Under the worker's own filter, later, such a call is evidence.

use super::filter::{ANY, Check, Program, SETS_FILTER};
use super::plan::KernelPlan;
use super::trusted::Call;

/// The program of the plan's rows and these.
pub(super) fn program(plan: &KernelPlan) -> Result<Program, super::FilterError> {
    let of_plan = plan.calls.iter().map(|row| (row.number, row.checks));
    let rows = of_plan.chain(LOADING.iter().map(|(number, checks, _why)| (*number, *checks)));
    Program::compile(rows, super::filter::Otherwise::Refuse)
}

/// The first argument is 0: this process.
const OWN: &[Check] = &[Check::is(0, 0)];
/// The second argument of `fcntl`.
const ADDS_SEALS: &[Check] = &[Check::is(1, libc::F_ADD_SEALS.unsigned_abs())];
const ASKS_FOR_SEALS: &[Check] = &[Check::is(1, libc::F_GET_SEALS.unsigned_abs())];

const LOADING: &[Call] = &[
    (libc::SYS_mmap, ANY, "the code, where its file is mapped"),
    (libc::SYS_mprotect, ANY, "the code becomes executable"),
    (libc::SYS_memfd_create, ANY, "images of the memories that calls begin with"),
    (libc::SYS_fcntl, ADDS_SEALS, "nobody changes these images"),
    (libc::SYS_fcntl, ASKS_FOR_SEALS, "nobody can change the code"),
    (libc::SYS_fstat, ANY, "how long the code is"),
    (libc::SYS_prlimit64, OWN, "the limits that come last"),
    (libc::SYS_lseek, ANY, "the list of threads is read again"),
    (libc::SYS_getdents64, ANY, "the same"),
    (libc::SYS_rt_sigaction, ANY, "the handler of what the filter blocks"),
    (libc::SYS_seccomp, SETS_FILTER, "the filter"),
];
