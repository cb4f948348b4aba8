//! More rights, and fewer limits.

use libc::{ENOMEM, MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE};

use super::raw::raw;
use super::{Alone, Attack, Stop};

const PRIVILEGED: Alone = Alone::Depends("it takes a capability");

pub(super) const ATTACKS: &[Attack] = &[
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("raise-limit", "raise the limit on descriptors by setrlimit(2)", libc::SYS_setrlimit, |_| {
        raw!(libc::SYS_setrlimit, libc::RLIMIT_NOFILE.cast_signed(), &[4096_u64, 4096])
    }),
    Attack::blocked("raise-limit-new", "the same by prlimit(2)", libc::SYS_prlimit64, |_| {
        raw!(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE.cast_signed(), &[4096_u64, 4096], 0)
    }),
    Attack::blocked("lower-parent-limit", "take the notary's descriptors away", libc::SYS_prlimit64, |ground| {
        let mut limit = [0_u64; 2];
        raw!(libc::SYS_prlimit64, ground.aim.notary, libc::RLIMIT_NOFILE.cast_signed(), 0, &mut limit)
    })
    .alone(PRIVILEGED),
    Attack::new("much-memory", "map more memory than the limit", Stop::Limit(ENOMEM), |_| {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        raw!(libc::SYS_mmap, 0, 1_i64 << 46, PROT_READ | PROT_WRITE, flags, -1, 0)
    }),
    Attack::blocked("many-descriptors", "copy a descriptor until none is left", libc::SYS_dup, |ground| {
        raw!(libc::SYS_dup, ground.held.pipe)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked(
        "replace-descriptor",
        "put the pipe in the place of another descriptor",
        libc::SYS_dup2,
        |ground| raw!(libc::SYS_dup2, ground.held.pipe, ground.held.acks),
    ),
    Attack::blocked("replace-descriptor-new", "the same by dup3(2)", libc::SYS_dup3, |ground| {
        raw!(libc::SYS_dup3, ground.held.pipe, ground.held.acks, 0)
    }),
    Attack::blocked("copy-descriptor", "copy a descriptor by fcntl(F_DUPFD)", libc::SYS_fcntl, |ground| {
        raw!(libc::SYS_fcntl, ground.held.pipe, libc::F_DUPFD, 0)
    }),
    Attack::blocked("allow-new-privileges", "take back no_new_privs", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)
    })
    .alone(Alone::Depends("nobody can")),
    Attack::blocked("dumpable", "let others read this process's memory", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)
    }),
    Attack::blocked("open-to-tracers", "let any process trace this one", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0)
    })
    .alone(Alone::Depends("it is of Yama, which the kernel may lack")),
    Attack::blocked("drop-bound", "drop a capability from the bound", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_CAPBSET_DROP, 0, 0, 0, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("ambient-capabilities", "keep capabilities for programs to come", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    }),
    Attack::blocked("keep-capabilities", "keep capabilities over a change of user", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0)
    }),
    Attack::blocked("move-memory-map", "move the borders of this process's memory", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_MM, libc::PR_SET_MM_BRK, 0, 0, 0)
    })
    .alone(PRIVILEGED),
    Attack::blocked("old-seccomp", "change the filter by prctl(PR_SET_SECCOMP)", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_SECCOMP, 2, 0, 0, 0)
    })
    .alone(Alone::Depends("there is no filter to add")),
    Attack::blocked("dispatch-calls", "have system calls come to a handler of its own", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 0, 0, 0, 0)
    })
    .alone(Alone::Depends("not every kernel has it")),
    Attack::blocked("speculation", "switch a mitigation off", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, PR_SET_SPECULATION_CTRL, 0, PR_SPEC_ENABLE, 0, 0)
    })
    .alone(Alone::Depends("not every processor needs it")),
    Attack::blocked("new-filter", "put a filter over the filter that answers calls itself", libc::SYS_seccomp, |_| {
        // One instruction: allow.
        let allow = [6_u64 | 0x7fff_0000 << 32];
        let program = [1, allow.as_ptr().expose_provenance() as u64];
        // SECCOMP_SET_MODE_FILTER, without flags.
        raw!(libc::SYS_seccomp, 1, 0, &program)
    })
    .alone(Alone::Depends("it takes no_new_privs or a capability")),
    Attack::blocked("watch-own-calls", "get a descriptor that answers system calls", libc::SYS_seccomp, |_| {
        let allow = [6_u64 | 0x7fff_0000 << 32];
        let program = [1, allow.as_ptr().expose_provenance() as u64];
        // SECCOMP_FILTER_FLAG_NEW_LISTENER.
        raw!(libc::SYS_seccomp, 1, 8, &program)
    })
    .alone(Alone::Depends("it takes no_new_privs or a capability")),
    Attack::blocked("new-ruleset", "make rules of Landlock", libc::SYS_landlock_create_ruleset, |_| {
        raw!(libc::SYS_landlock_create_ruleset, &[1_u64; 1], 8, 0)
    })
    .alone(Alone::Depends("the kernel may lack it")),
    Attack::blocked("new-rule", "add a rule of Landlock", libc::SYS_landlock_add_rule, |ground| {
        raw!(libc::SYS_landlock_add_rule, ground.held.pipe, 1, &[0_u64; 2], 0)
    })
    .alone(Alone::Depends("the pipe is no ruleset")),
    Attack::blocked("restrict-again", "restrict itself by other rules", libc::SYS_landlock_restrict_self, |ground| {
        raw!(libc::SYS_landlock_restrict_self, ground.held.pipe, 0)
    })
    .alone(Alone::Depends("the pipe is no ruleset")),
    Attack::blocked("set-user", "become another user", libc::SYS_setuid, |_| raw!(libc::SYS_setuid, -1))
        .alone(Alone::Depends("its arguments are such that the kernel refuses them")),
    Attack::blocked("set-users", "become another user for good", libc::SYS_setresuid, |_| {
        raw!(libc::SYS_setresuid, -1, -1, -1)
    }),
    Attack::blocked("set-group", "become another group", libc::SYS_setresgid, |_| {
        raw!(libc::SYS_setresgid, -1, -1, -1)
    }),
    Attack::blocked("set-file-user", "become another user for files", libc::SYS_setfsuid, |_| {
        raw!(libc::SYS_setfsuid, -1)
    }),
    Attack::blocked("set-groups", "join groups", libc::SYS_setgroups, |_| raw!(libc::SYS_setgroups, -1, 0))
        .alone(Alone::Depends("its arguments are such that the kernel refuses them")),
    Attack::blocked("set-capabilities", "take capabilities", libc::SYS_capset, |_| {
        // Version 3, this thread; what there is of capabilities stays as it is without the second argument.
        raw!(libc::SYS_capset, &[0x2008_0522_u64; 1], 0)
    })
    .alone(Alone::Depends("its arguments are such that the kernel refuses them")),
    Attack::blocked("real-time", "take the processor from everybody", libc::SYS_sched_setscheduler, |_| {
        raw!(libc::SYS_sched_setscheduler, 0, 0, &[0_u32; 1])
    }),
    Attack::blocked("scheduler", "the same by sched_setattr(2)", libc::SYS_sched_setattr, |_| {
        let attributes = [48_u64, 0, 0, 0, 0, 0];
        raw!(libc::SYS_sched_setattr, 0, &attributes, 0)
    }),
    Attack::blocked("mask", "make what it creates open to all", libc::SYS_umask, |_| raw!(libc::SYS_umask, 0)),
    Attack::blocked("stop-alarm", "send itself signals by a timer", libc::SYS_setitimer, |_| {
        raw!(libc::SYS_setitimer, 0, &[0_u64; 4], 0)
    }),
];

/// linux/prctl.h, Linux 4.17. The C library's headers do not have them on every architecture.
const PR_SET_SPECULATION_CTRL: i32 = 53;
const PR_SPEC_ENABLE: i32 = 1 << 1;
/// linux/prctl.h, Linux 5.11.
const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
