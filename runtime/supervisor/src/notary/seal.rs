//! What the notary's process gives up once its ledger is open: every file but the ledger's folder (`landlock(7)`), the
//! network, other programs, and executable pages (`seccomp(2)`).

use std::io;

use tollgate_sandbox::trusted::{ANY, Call, Check, Confined, NOT_EXECUTABLE};

/// Seals every thread of this process. No thread can be started afterwards.
///
/// # Errors
///
/// The kernel has no seccomp, or refuses.
pub(super) fn seal(confined: Confined) -> io::Result<()> {
    confined.allow_only(ALLOWED)
}

/// `FIONREAD` (`asm-generic/ioctls.h`), the second argument of `ioctl`.
const HOW_MUCH_IS_IN_IT: Check = Check::is(1, 0x541b);

/// What a notary does beside what every process does, and why.
const ALLOWED: &[Call] = &[
    (libc::SYS_tee, ANY, "look into a writer's pipe"),
    (libc::SYS_splice, ANY, "take entries from it"),
    (libc::SYS_ioctl, &[HOW_MUCH_IS_IN_IT], "how much is in it"),
    (libc::SYS_read, ANY, "the copy of what is in it"),
    (libc::SYS_ppoll, ANY, "wait for something to do"),
    (libc::SYS_recvmsg, ANY, "hear the supervisor"),
    (libc::SYS_recvfrom, ANY, "hear writers"),
    (libc::SYS_sendmsg, ANY, "answer the supervisor"),
    (libc::SYS_sendto, ANY, "answer writers"),
    (libc::SYS_shutdown, ANY, "hang up on a supervisor"),
    (libc::SYS_openat, ANY, "tiles and the checkpoint, below the ledger's folder"),
    (libc::SYS_close, ANY, "them"),
    (libc::SYS_write, ANY, "them"),
    (libc::SYS_pwrite64, ANY, "the journal, the state file"),
    (libc::SYS_pread64, ANY, "the journal"),
    (libc::SYS_lseek, ANY, "files"),
    (libc::SYS_ftruncate, ANY, "take back a write that failed half-way"),
    (libc::SYS_fstat, ANY, "files"),
    (libc::SYS_newfstatat, ANY, "files"),
    (libc::SYS_statx, ANY, "files"),
    (libc::SYS_renameat, ANY, "a tile appears whole"),
    (libc::SYS_renameat2, ANY, "the same"),
    (libc::SYS_mkdirat, ANY, "folders of tiles"),
    (libc::SYS_unlinkat, ANY, "partial tiles that are full by now"),
    (libc::SYS_getdents64, ANY, "which partial tiles there are"),
    (libc::SYS_fsync, ANY, "checkpoints"),
    (libc::SYS_fdatasync, ANY, "the journal"),
    (libc::SYS_syncfs, ANY, "tiles"),
    (libc::SYS_fcntl, ANY, "descriptors"),
    (libc::SYS_dup, ANY, "descriptors"),
    (libc::SYS_sched_getaffinity, ANY, "memory arenas, by their number"),
    (libc::SYS_mmap, &[NOT_EXECUTABLE], "memory"),
    (libc::SYS_clock_nanosleep, ANY, "wait"),
    (libc::SYS_nanosleep, ANY, "wait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, ANY, "the same as ppoll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, ANY, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, ANY, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, ANY, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, ANY, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, ANY, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, ANY, "the same"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, ANY, "the same"),
];

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::net::TcpListener;
    use std::os::unix::net::UnixStream;

    use tollgate_sandbox::trusted;
    use tollgate_testing::sealed_child::{around, assert_out_of_reach, attacks, denied};

    use super::*;

    #[test]
    fn a_sealed_notary_reaches_its_folder_and_nothing_else() {
        attacks("notary::seal::tests::child_seals_itself_and_attacks", Some("ledger"));
    }

    #[test]
    #[ignore = "run as a child"]
    fn child_seals_itself_and_attacks() {
        let around = around();
        let folder = around.join("ledger");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It compiles on the thread that asks: no other can be started any more.
        let engine = wasmtime::Engine::new(wasmtime::Config::new().parallel_compilation(false)).unwrap();
        let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let confined = trusted::confine(&[&folder]).unwrap();
        // Its threads, of which none can be made later.
        assert!(engine.precompile_module(&module).is_ok());
        // As the checkpointer: from before the filter, and under it.
        let (go, goes) = std::sync::mpsc::channel::<()>();
        let (began, begun) = std::sync::mpsc::channel();
        let file = folder.join("by-a-thread");
        let thread = std::thread::spawn(move || {
            began.send(()).unwrap();
            goes.recv().unwrap();
            fs::write(&file, "tile").unwrap();
            fs::read("/proc/self/status").map_err(|error| error.kind())
        });
        begun.recv().unwrap();
        let (pipe, writer) = io::pipe().unwrap();
        seal(confined).unwrap();

        // What it needs still works.
        fs::write(folder.join("tile.tmp"), "tile").unwrap();
        fs::rename(folder.join("tile.tmp"), folder.join("tile")).unwrap();
        File::open(&folder).unwrap().sync_all().unwrap();
        fs::create_dir(folder.join("deeper")).unwrap();
        fs::remove_dir_all(folder.join("deeper")).unwrap();
        go.send(()).unwrap();
        assert_eq!(thread.join().unwrap().unwrap_err(), ErrorKind::PermissionDenied);
        rustix::io::write(&writer, b"1234").unwrap();
        assert_eq!(rustix::io::ioctl_fionread(&pipe).unwrap(), 4);

        assert_out_of_reach(&around, address);
        denied("move out", fs::rename(folder.join("tile"), around.join("new")));
        denied("link out", fs::hard_link(folder.join("tile"), around.join("new")));
        let mode = fs::metadata(&folder).unwrap().permissions();
        denied("change a mode", fs::set_permissions(folder.join("tile"), mode));
        denied("another ioctl", rustix::io::ioctl_fionbio(&pipe, true));
        denied("unix socket", UnixStream::pair());
        assert!(engine.precompile_module(&module).is_ok());
        assert!(wasmtime::Module::from_binary(&engine, &module).is_err(), "executable pages");
    }
}
