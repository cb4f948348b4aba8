//! What the notary's process gives up once its ledger is open: every file but the ledger's folder (`landlock(7)`), the
//! network, other programs, and executable pages (`seccomp(2)`).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Seals this process, which must have one thread.
///
/// # Errors
///
/// The kernel has Landlock or seccomp and refuses.
pub(super) fn seal(folder: &Path) -> io::Result<()> {
    restrict_files(folder).map_err(io::Error::other)?;
    restrict_system_calls().map_err(io::Error::other)
}

/// A kernel without Landlock leaves the notary as it is: it runs no foreign code.
fn restrict_files(folder: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Opened here: without it the notary would be left with no rights at all, and only fail later.
    let folder = PathFd::new(folder)?;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rule(PathBeneath::new(folder, AccessFs::from_all(ABI::V6)))?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced | RulesetStatus::NotEnforced => Ok(()),
    }
}

fn restrict_system_calls() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, _why) in ALLOWED {
        rules.insert(*call, Vec::new());
    }
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![not_executable()?]);
    }
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// `prot & PROT_EXEC == 0`, the third argument of both calls.
fn not_executable() -> Result<SeccompRule, seccompiler::BackendError> {
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), 0)?;
    SeccompRule::new(vec![condition])
}

/// What a notary does, and why.
const ALLOWED: &[(i64, &str)] = &[
    (libc::SYS_tee, "look into a host's pipe"),
    (libc::SYS_splice, "take entries from it"),
    (libc::SYS_ioctl, "how much is in it (FIONREAD)"),
    (libc::SYS_read, "the copy of what is in it"),
    (libc::SYS_ppoll, "wait for something to do"),
    (libc::SYS_recvmsg, "hear the front"),
    (libc::SYS_recvfrom, "hear hosts"),
    (libc::SYS_sendmsg, "answer the front"),
    (libc::SYS_sendto, "answer hosts"),
    (libc::SYS_eventfd2, "the publisher's wake-up"),
    (libc::SYS_openat, "tiles and the checkpoint, below the ledger's folder"),
    (libc::SYS_close, "them"),
    (libc::SYS_write, "them"),
    (libc::SYS_pwrite64, "the journal, the state file"),
    (libc::SYS_pread64, "the journal"),
    (libc::SYS_lseek, "files"),
    (libc::SYS_ftruncate, "take back a write that failed half-way"),
    (libc::SYS_fstat, "files"),
    (libc::SYS_newfstatat, "files"),
    (libc::SYS_statx, "files"),
    (libc::SYS_renameat, "a tile appears whole"),
    (libc::SYS_renameat2, "the same"),
    (libc::SYS_mkdirat, "folders of tiles"),
    (libc::SYS_unlinkat, "partial tiles that are full by now"),
    (libc::SYS_getdents64, "which partial tiles there are"),
    (libc::SYS_fsync, "checkpoints"),
    (libc::SYS_fdatasync, "the journal"),
    (libc::SYS_syncfs, "tiles"),
    (libc::SYS_fcntl, "descriptors"),
    (libc::SYS_dup, "descriptors"),
    (libc::SYS_futex, "two threads"),
    (libc::SYS_clone3, "the publisher's thread"),
    (libc::SYS_clone, "the same, by older C libraries"),
    (libc::SYS_set_robust_list, "start of a thread"),
    (libc::SYS_rseq, "start of a thread"),
    (libc::SYS_gettid, "start of a thread"),
    (libc::SYS_prctl, "name of a thread"),
    (libc::SYS_sched_getaffinity, "stack of a thread"),
    (libc::SYS_sigaltstack, "stack overflow of a thread"),
    (libc::SYS_rt_sigprocmask, "start and end of a thread"),
    (libc::SYS_rt_sigaction, "panics"),
    (libc::SYS_rt_sigreturn, "signals"),
    (libc::SYS_restart_syscall, "signals"),
    (libc::SYS_munmap, "memory"),
    (libc::SYS_mremap, "memory"),
    (libc::SYS_madvise, "memory"),
    (libc::SYS_brk, "memory"),
    (libc::SYS_getrandom, "hash maps"),
    (libc::SYS_clock_gettime, "where it is no vDSO call"),
    (libc::SYS_clock_nanosleep, "wait"),
    (libc::SYS_nanosleep, "wait"),
    (libc::SYS_sched_yield, "locks"),
    (libc::SYS_getpid, "panics"),
    (libc::SYS_tgkill, "panics"),
    (libc::SYS_exit, "end of a thread"),
    (libc::SYS_exit_group, "end"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "the same as ppoll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "the same"),
];

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test that runs itself as a child, which then seals itself")]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    const FOLDER: &str = "TOLLGATE_TEST_SEALED_FOLDER";

    #[test]
    fn a_sealed_notary_reaches_its_folder_and_nothing_else() {
        let around = tempfile::tempdir().unwrap();
        fs::create_dir(around.path().join("ledger")).unwrap();
        fs::write(around.path().join("outside"), "secret").unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "notary::seal::tests::child_seals_itself_and_attacks", "--ignored", "--nocapture"])
            .env(FOLDER, around.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
        assert!(said.contains("1 passed"), "{said}");
        assert_eq!(fs::read_to_string(around.path().join("outside")).unwrap(), "secret");
        assert!(!around.path().join("new").exists());
    }

    #[test]
    #[ignore = "run as a child"]
    fn child_seals_itself_and_attacks() {
        let around = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let (folder, outside) = (around.join("ledger"), around.join("outside"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let engine = wasmtime::Engine::default();
        seal(&folder).unwrap();

        // What it needs still works.
        fs::write(folder.join("tile.tmp"), "tile").unwrap();
        fs::rename(folder.join("tile.tmp"), folder.join("tile")).unwrap();
        File::open(&folder).unwrap().sync_all().unwrap();
        fs::create_dir(folder.join("deeper")).unwrap();
        fs::remove_dir_all(folder.join("deeper")).unwrap();
        assert_eq!(std::thread::spawn(|| 42).join().unwrap(), 42);

        let denied =
            |what: &str, kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{what}");
        let kind = |error: io::Error| error.kind();
        denied("read outside", fs::read(&outside).err().map(kind));
        denied("write outside", fs::write(&outside, "").err().map(kind));
        denied("create outside", fs::write(around.join("new"), "").err().map(kind));
        denied("list outside", fs::read_dir(&around).err().map(kind));
        denied("unlink outside", fs::remove_file(&outside).err().map(kind));
        denied("move out", fs::rename(folder.join("tile"), around.join("new")).err().map(kind));
        denied("link out", fs::hard_link(folder.join("tile"), around.join("new")).err().map(kind));
        denied("own memory", File::options().write(true).open("/proc/self/mem").err().map(kind));
        denied(
            "change a mode",
            fs::set_permissions(folder.join("tile"), fs::metadata(&folder).unwrap().permissions()).err().map(kind),
        );
        denied("connect", TcpStream::connect(address).err().map(kind));
        denied("send", UdpSocket::bind("127.0.0.1:0").err().map(kind));
        denied("unix socket", UnixStream::pair().err().map(kind));
        denied("another program", Command::new("/bin/true").status().err().map(kind));
        let executable = wasmtime::Module::new(&engine, "(module (func (export \"f\")))");
        assert!(executable.is_err(), "executable pages");
    }
}
