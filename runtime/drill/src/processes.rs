//! Processes: new ones to go on in, and others to read, change, stop or end.
//!
//! Signals that get through are ones that their target ignores.

#[cfg(target_arch = "x86_64")]
use super::machine;
use super::raw::{Reply, descriptor, raw};
use super::{Alone, Attack, Stop};

pub(super) const ATTACKS: &[Attack] = &[
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("fork", "start a process by fork(2)", libc::SYS_fork, |_| machine::split(libc::SYS_fork, 0)),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("vfork", "start a process by vfork(2)", libc::SYS_vfork, |_| machine::split(libc::SYS_vfork, 0)),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("clone-thread", "start a thread that the self-test has not seen", libc::SYS_clone, |_| {
        let flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
        machine::split(libc::SYS_clone, u64::from(flags.unsigned_abs()))
    }),
    Attack::blocked("clone-process", "start a process by clone(2)", libc::SYS_clone, |_| {
        ends_at_once(raw!(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0))
    }),
    Attack::blocked("clone3-process", "start a process by clone3(2)", libc::SYS_clone3, |_| {
        // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
        let arguments = [0, 0, 0, 0, u64::from(libc::SIGCHLD.unsigned_abs()), 0, 0, 0];
        ends_at_once(raw!(libc::SYS_clone3, &arguments, size_of_val(&arguments) as u64))
    }),
    Attack::blocked("execve", "become another program", libc::SYS_execve, |_| {
        raw!(libc::SYS_execve, c"/bin/true", &[0_u64; 1], &[0_u64; 1])
    })
    .alone(Alone::Never("the process that tries would be gone")),
    Attack::blocked("execve-self", "become this program again, unsealed", libc::SYS_execve, |_| {
        raw!(libc::SYS_execve, c"/proc/self/exe", &[0_u64; 1], &[0_u64; 1])
    })
    .alone(Alone::Never("the process that tries would be gone")),
    Attack::blocked("execveat-memory", "become a program that is only in memory", libc::SYS_memfd_create, |_| {
        let program = descriptor(raw!(libc::SYS_memfd_create, c"drill", 0)?)?;
        raw!(libc::SYS_write, program, c"#!/bin/true\n", 12)?;
        raw!(libc::SYS_execveat, program, c"", &[0_u64; 1], &[0_u64; 1], libc::AT_EMPTY_PATH)
    })
    .alone(Alone::Never("the process that tries would be gone")),
    Attack::blocked("execveat-descriptor", "become what a descriptor holds", libc::SYS_execveat, |ground| {
        raw!(libc::SYS_execveat, ground.held.pipe, c"", &[0_u64; 1], &[0_u64; 1], libc::AT_EMPTY_PATH)
    })
    .alone(Alone::Depends("a pipe is no program")),
    Attack::blocked("ptrace-parent", "take hold of the supervisor by ptrace(2)", libc::SYS_ptrace, |ground| {
        raw!(libc::SYS_ptrace, libc::PTRACE_SEIZE, ground.aim.parent, 0, 0)
    })
    .alone(Alone::Depends("a parent may be traced by privileged users alone")),
    Attack::blocked("ptrace-notary", "take hold of the notary", libc::SYS_ptrace, |ground| {
        raw!(libc::SYS_ptrace, libc::PTRACE_SEIZE, ground.aim.notary, 0, 0)
    })
    .alone(Alone::Depends("it may be traced by privileged users alone")),
    Attack::blocked("ptrace-me", "let the parent hold this process, so that signals wait", libc::SYS_ptrace, |_| {
        raw!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)
    })
    .alone(Alone::Never("whoever started the process would wait for ever for its end")),
    Attack::blocked("read-parent-memory", "read the supervisor's memory", libc::SYS_process_vm_readv, |ground| {
        let mut stolen = [0_u64; 1];
        let to = [stolen.as_mut_ptr().expose_provenance() as u64, 8];
        let from = [ground.aim.parent_memory, 8];
        raw!(libc::SYS_process_vm_readv, ground.aim.parent, &to, 1, &from, 1, 0)
    })
    .alone(Alone::Depends("a parent's memory is open to privileged users alone")),
    Attack::blocked("write-parent-memory", "write the supervisor's memory", libc::SYS_process_vm_writev, |ground| {
        let lie = [0_u64; 1];
        let from = [lie.as_ptr().expose_provenance() as u64, 8];
        let to = [ground.aim.parent_memory, 8];
        raw!(libc::SYS_process_vm_writev, ground.aim.parent, &from, 1, &to, 1, 0)
    })
    .alone(Alone::Depends("a parent's memory is open to privileged users alone")),
    Attack::blocked("kill-parent", "send the supervisor a signal", libc::SYS_kill, |ground| {
        raw!(libc::SYS_kill, ground.aim.parent, IGNORED)
    }),
    Attack::blocked("kill-notary", "send the notary a signal", libc::SYS_kill, |ground| {
        raw!(libc::SYS_kill, ground.aim.notary, IGNORED)
    }),
    Attack::blocked("kill-group", "send the own process group a signal", libc::SYS_kill, |_| {
        raw!(libc::SYS_kill, 0, IGNORED)
    }),
    Attack::blocked("kill-everybody", "send every process a signal (number 0: none)", libc::SYS_kill, |_| {
        raw!(libc::SYS_kill, -1, 0)
    }),
    Attack::blocked("tkill", "send a thread of the supervisor a signal by tkill(2)", libc::SYS_tkill, |ground| {
        raw!(libc::SYS_tkill, ground.aim.parent, IGNORED)
    }),
    Attack::blocked("tgkill-notary", "send a thread of the notary a signal by tgkill(2)", libc::SYS_tgkill, |ground| {
        raw!(libc::SYS_tgkill, ground.aim.notary, ground.aim.notary, IGNORED)
    })
    .in_gateway(Stop::Landlock(libc::EPERM)),
    Attack::blocked(
        "queue-signal",
        "send the notary a signal that claims another sender",
        libc::SYS_rt_sigqueueinfo,
        |ground| {
            // siginfo_t: signal, errno, code (SI_QUEUE), padding, sender and user, the rest.
            let mut info = [0_u32; 32];
            info[0] = IGNORED.unsigned_abs();
            info[2] = libc::SI_QUEUE.cast_unsigned();
            raw!(libc::SYS_rt_sigqueueinfo, ground.aim.notary, IGNORED, &info)
        },
    ),
    Attack::blocked("queue-thread-signal", "the same to one thread", libc::SYS_rt_tgsigqueueinfo, |ground| {
        let mut info = [0_u32; 32];
        info[0] = IGNORED.unsigned_abs();
        info[2] = libc::SI_QUEUE.cast_unsigned();
        raw!(libc::SYS_rt_tgsigqueueinfo, ground.aim.notary, ground.aim.notary, IGNORED, &info)
    }),
    Attack::blocked("pidfd-open", "get a descriptor of the notary", libc::SYS_pidfd_open, |ground| {
        raw!(libc::SYS_pidfd_open, ground.aim.notary, 0)
    }),
    Attack::blocked("pidfd-signal", "send a signal through a descriptor", libc::SYS_pidfd_send_signal, |ground| {
        raw!(libc::SYS_pidfd_send_signal, ground.held.pipe, IGNORED, 0, 0)
    })
    .alone(Alone::Depends("the pipe is no process")),
    Attack::blocked("pidfd-getfd", "take a descriptor out of another process", libc::SYS_pidfd_getfd, |ground| {
        raw!(libc::SYS_pidfd_getfd, ground.held.pipe, 0, 0)
    })
    .alone(Alone::Depends("the pipe is no process")),
    Attack::blocked(
        "peer-pidfd",
        "get a descriptor of who is at the other end of a socket",
        libc::SYS_getsockopt,
        |ground| {
            let (mut peer, mut size) = ([0_i32; 1], [4_u32; 1]);
            raw!(libc::SYS_getsockopt, ground.held.control, libc::SOL_SOCKET, SO_PEERPIDFD, &mut peer, &mut size)
        },
    )
    .alone(Alone::Depends("it is of Linux 6.5")),
    Attack::blocked(
        "own-signals-to-parent",
        "have the kernel signal the notary for a socket (F_SETOWN)",
        libc::SYS_fcntl,
        |ground| raw!(libc::SYS_fcntl, ground.held.control, libc::F_SETOWN, ground.aim.notary),
    ),
    Attack::blocked("signal-by-socket", "choose that signal (F_SETSIG)", libc::SYS_fcntl, |ground| {
        raw!(libc::SYS_fcntl, ground.held.control, F_SETSIG, IGNORED)
    }),
    Attack::blocked("type-into-terminal", "type into a terminal (TIOCSTI)", libc::SYS_ioctl, |ground| {
        raw!(libc::SYS_ioctl, ground.held.control, libc::TIOCSTI, c"x")
    })
    .alone(Alone::Depends("the socket is no terminal")),
    Attack::blocked("leave-group", "leave the process group that the supervisor may end", libc::SYS_setpgid, |_| {
        raw!(libc::SYS_setpgid, 0, 0)
    })
    .alone(Alone::Depends("a session's leader cannot")),
    Attack::blocked("leave-session", "leave the session", libc::SYS_setsid, |_| raw!(libc::SYS_setsid))
        .alone(Alone::Depends("a group's leader cannot")),
    Attack::blocked("outlive-parent", "go on when the supervisor dies (PR_SET_PDEATHSIG)", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0)
    }),
    Attack::blocked("adopt-orphans", "become who orphans go to", libc::SYS_prctl, |_| {
        raw!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    }),
    Attack::blocked("wait-for-others", "wait for a process", libc::SYS_wait4, |_| {
        raw!(libc::SYS_wait4, -1, 0, libc::WNOHANG, 0)
    })
    .alone(Alone::Depends("there is no child")),
    Attack::blocked("compare-processes", "compare what two processes hold by kcmp(2)", libc::SYS_kcmp, |ground| {
        raw!(libc::SYS_kcmp, ground.aim.parent, std::process::id(), 0, 0, 0)
    })
    .alone(Alone::Depends("a parent is open to privileged users alone")),
    Attack::blocked("robust-list", "ask where another process keeps its locks", libc::SYS_get_robust_list, |ground| {
        let (mut head, mut size) = ([0_u64; 1], [0_u64; 1]);
        raw!(libc::SYS_get_robust_list, ground.aim.parent, &mut head, &mut size)
    })
    .alone(Alone::Depends("a parent is open to privileged users alone")),
    Attack::blocked(
        "slow-parent",
        "take processor time from the supervisor (setpriority)",
        libc::SYS_setpriority,
        |ground| raw!(libc::SYS_setpriority, libc::PRIO_PROCESS.cast_signed(), ground.aim.notary, 1),
    ),
    Attack::blocked("affinity-parent", "hold the notary on one processor", libc::SYS_sched_setaffinity, |ground| {
        raw!(libc::SYS_sched_setaffinity, ground.aim.notary, 8, &[u64::MAX; 1])
    }),
    Attack::blocked("io-priority-parent", "take the disk from the notary", libc::SYS_ioprio_set, |ground| {
        raw!(libc::SYS_ioprio_set, 1, ground.aim.notary, 2 << 13 | 4)
    }),
    Attack::blocked("reap-memory", "take the memory of a dying process", libc::SYS_process_mrelease, |ground| {
        raw!(libc::SYS_process_mrelease, ground.held.pipe, 0)
    })
    .alone(Alone::Depends("the pipe is no process")),
    Attack::blocked(
        "advise-others",
        "advise the kernel on another process's memory",
        libc::SYS_process_madvise,
        |ground| raw!(libc::SYS_process_madvise, ground.held.pipe, &[0_u64; 2], 0, libc::MADV_COLD, 0),
    )
    .alone(Alone::Depends("the pipe is no process")),
    Attack::blocked("semaphores", "make System V semaphores to meet another process", libc::SYS_semget, |_| {
        let id = raw!(libc::SYS_semget, libc::IPC_PRIVATE, 1, 0o600)?;
        raw!(libc::SYS_semctl, id, 0, libc::IPC_RMID, 0)
    }),
    Attack::blocked("message-queue", "make a System V message queue", libc::SYS_msgget, |_| {
        let id = raw!(libc::SYS_msgget, libc::IPC_PRIVATE, 0o600)?;
        raw!(libc::SYS_msgctl, id, libc::IPC_RMID, 0)
    }),
    Attack::blocked("posix-message-queue", "make a POSIX message queue", libc::SYS_mq_open, |_| {
        descriptor(raw!(libc::SYS_mq_open, c"tollgate-drill", libc::O_CREAT | libc::O_RDWR, 0o600, 0)?)?;
        raw!(libc::SYS_mq_unlink, c"tollgate-drill")
    })
    .alone(Alone::Depends("the kernel may have none")),
    Attack::blocked("timer", "have the kernel send signals by a timer", libc::SYS_timer_create, |_| {
        let mut id = [0_u32; 1];
        raw!(libc::SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut id)
    }),
];

/// What a signal is that its target ignores unless it asked for it.
const IGNORED: i32 = libc::SIGURG;

/// linux/fcntl.h; libc lacks it.
const F_SETSIG: i32 = 10;

/// `SO_PEERPIDFD`, Linux 6.5.
const SO_PEERPIDFD: i32 = 77;

/// In the new process, if it came to one, its end.
fn ends_at_once(answer: Reply) -> Reply {
    match answer {
        Ok(0) => raw!(libc::SYS_exit_group, 0),
        other => other,
    }
}
