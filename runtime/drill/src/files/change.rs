//! Attacks that make, change, move or remove what was not granted.

use libc::{EACCES, EXDEV};

use super::super::ground::Ground;
use super::super::raw::{Reply, descriptor, open2, raw};
use super::super::{Alone, Attack, Stop};

/// A call that is there only where a folder is granted, and then Landlock has the word.
const fn landlocked(name: &'static str, what: &'static str, number: i64, run: fn(&Ground) -> Reply) -> Attack {
    Attack::blocked(name, what, number, run).with_folder(Stop::Landlock(EACCES))
}

/// Linux 6.6, the same number on every architecture. The C library's headers do not have it on all of them.
const SYS_FCHMODAT2: i64 = 452;

const NOT_EVERY_FILESYSTEM: Alone = Alone::Depends("not every filesystem has attributes");

pub(in super::super) const CHANGE: &[Attack] = &[
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("open-write-outside", "empty a file outside by open(2)", libc::SYS_open, |ground| {
        raw!(libc::SYS_open, &ground.file()?, libc::O_WRONLY | libc::O_TRUNC)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("creat-outside", "make a file outside by creat(2)", libc::SYS_creat, |ground| {
        raw!(libc::SYS_creat, &ground.beside("made-by-creat")?, 0o600)
    }),
    Attack::blocked("openat-write-outside", "write a file outside by openat(2)", libc::SYS_openat, |ground| {
        raw!(libc::SYS_openat, libc::AT_FDCWD, &ground.file()?, libc::O_WRONLY)
    }),
    Attack::blocked("openat-create-outside", "make a file outside by openat(2)", libc::SYS_openat, |ground| {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        raw!(libc::SYS_openat, libc::AT_FDCWD, &ground.beside("made-by-openat")?, flags, 0o600)
    }),
    landlocked("openat2-write-outside", "write a file outside by openat2(2)", libc::SYS_openat2, |ground| {
        open2(&ground.file()?, libc::O_WRONLY)
    }),
    landlocked("openat2-append-outside", "append to a file outside by openat2(2)", libc::SYS_openat2, |ground| {
        open2(&ground.file()?, libc::O_WRONLY | libc::O_APPEND)
    }),
    landlocked("openat2-truncate-outside", "empty a file outside by openat2(2)", libc::SYS_openat2, |ground| {
        open2(&ground.file()?, libc::O_RDWR | libc::O_TRUNC)
    }),
    landlocked("openat2-create-outside", "make a file outside by openat2(2)", libc::SYS_openat2, |ground| {
        open2(&ground.beside("made-by-openat2")?, libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL)
    }),
    landlocked("nameless-outside", "make a file without a name outside (O_TMPFILE)", libc::SYS_openat2, |ground| {
        open2(&ground.folder()?, libc::O_WRONLY | libc::O_TMPFILE)
    })
    .alone(Alone::Depends("openat2 takes a mode for O_CREAT alone here, and not every filesystem has them")),
    landlocked("own-memory-file", "write over its own code by /proc/self/mem", libc::SYS_openat2, |_| {
        open2(c"/proc/self/mem", libc::O_RDWR)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("link-outside", "give a file outside a name by link(2)", libc::SYS_link, |ground| {
        raw!(libc::SYS_link, &ground.file()?, &ground.inside("linked-by-link")?)
    }),
    Attack::blocked("linkat-in", "give a file outside a name in the granted folder", libc::SYS_linkat, |ground| {
        let (from, to) = (ground.file()?, ground.inside("linked-in")?);
        raw!(libc::SYS_linkat, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, libc::AT_SYMLINK_FOLLOW)
    })
    .with_folder(Stop::Landlock(EXDEV)),
    Attack::blocked(
        "linkat-handle",
        "give a file outside a name through an O_PATH handle",
        libc::SYS_openat2,
        |ground| {
            let handle = Ground::by_proc(descriptor(open2(&ground.file()?, libc::O_PATH)?)?)?;
            let to = ground.inside("linked-by-handle")?;
            raw!(libc::SYS_linkat, libc::AT_FDCWD, &handle, libc::AT_FDCWD, &to, libc::AT_SYMLINK_FOLLOW)
        },
    )
    .then(libc::SYS_linkat)
    .with_folder(Stop::Landlock(EXDEV)),
    Attack::blocked("linkat-out", "give a granted file a name outside", libc::SYS_linkat, |ground| {
        let (from, to) = (ground.inside("inside")?, ground.beside("linked-out")?);
        raw!(libc::SYS_linkat, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, libc::AT_SYMLINK_FOLLOW)
    })
    .with_folder(Stop::Landlock(EACCES)),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("rename-outside", "move a file outside by rename(2)", libc::SYS_rename, |ground| {
        raw!(libc::SYS_rename, &ground.file()?, &ground.beside("moved-by-rename")?)
    }),
    Attack::blocked("renameat-outside", "move a file outside by renameat(2)", libc::SYS_renameat, |ground| {
        let (from, to) = (ground.file()?, ground.beside("moved-by-renameat")?);
        raw!(libc::SYS_renameat, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to)
    }),
    landlocked("rename-out", "move a granted file out", libc::SYS_renameat2, |ground| {
        let (from, to) = (ground.inside("inside")?, ground.beside("moved-out")?);
        raw!(libc::SYS_renameat2, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, 0)
    }),
    landlocked("rename-in", "move a file outside into the granted folder", libc::SYS_renameat2, |ground| {
        let (from, to) = (ground.file()?, ground.inside("moved-in")?);
        raw!(libc::SYS_renameat2, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, 0)
    }),
    Attack::blocked(
        "rename-exchange",
        "put a granted file in the place of one outside",
        libc::SYS_renameat2,
        |ground| {
            let (from, to) = (ground.inside("inside")?, ground.file()?);
            raw!(libc::SYS_renameat2, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, libc::RENAME_EXCHANGE)
        },
    ),
    Attack::blocked("rename-whiteout", "have a rename leave a device behind", libc::SYS_renameat2, |ground| {
        let (from, to) = (ground.inside("inside")?, ground.inside("moved")?);
        raw!(libc::SYS_renameat2, libc::AT_FDCWD, &from, libc::AT_FDCWD, &to, libc::RENAME_WHITEOUT)
    })
    .alone(Alone::Depends("not every filesystem has whiteouts")),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("symlink-outside", "make a symbolic link outside by symlink(2)", libc::SYS_symlink, |ground| {
        raw!(libc::SYS_symlink, c"secret", &ground.beside("linked-by-symlink")?)
    }),
    landlocked("symlinkat-outside", "make a symbolic link outside", libc::SYS_symlinkat, |ground| {
        raw!(libc::SYS_symlinkat, c"secret", libc::AT_FDCWD, &ground.beside("linked-by-symlinkat")?)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("mkdir-outside", "make a folder outside by mkdir(2)", libc::SYS_mkdir, |ground| {
        raw!(libc::SYS_mkdir, &ground.beside("folder-by-mkdir")?, 0o700)
    }),
    landlocked("mkdirat-outside", "make a folder outside", libc::SYS_mkdirat, |ground| {
        raw!(libc::SYS_mkdirat, libc::AT_FDCWD, &ground.beside("folder-by-mkdirat")?, 0o700)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("unlink-outside", "remove a file outside by unlink(2)", libc::SYS_unlink, |ground| {
        raw!(libc::SYS_unlink, &ground.file()?)
    }),
    landlocked("unlinkat-outside", "remove a file outside", libc::SYS_unlinkat, |ground| {
        raw!(libc::SYS_unlinkat, libc::AT_FDCWD, &ground.file()?, 0)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("rmdir-outside", "remove a folder outside by rmdir(2)", libc::SYS_rmdir, |ground| {
        raw!(libc::SYS_rmdir, &ground.beside("empty")?)
    }),
    landlocked("rmdir-at-outside", "remove a folder outside by unlinkat(2)", libc::SYS_unlinkat, |ground| {
        raw!(libc::SYS_unlinkat, libc::AT_FDCWD, &ground.beside("empty")?, libc::AT_REMOVEDIR)
    }),
    Attack::blocked("truncate-outside", "empty a file outside by truncate(2)", libc::SYS_truncate, |ground| {
        raw!(libc::SYS_truncate, &ground.file()?, 0)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("mknod-outside", "make a FIFO outside by mknod(2)", libc::SYS_mknod, |ground| {
        raw!(libc::SYS_mknod, &ground.beside("made-by-mknod")?, libc::S_IFIFO | 0o600, 0)
    }),
    Attack::blocked("device-inside", "make a disk's device in the granted folder", libc::SYS_mknodat, |ground| {
        let disk = libc::makedev(7, 0);
        raw!(libc::SYS_mknodat, libc::AT_FDCWD, &ground.inside("device")?, libc::S_IFBLK | 0o600, disk)
    })
    .alone(Alone::Depends("it takes CAP_MKNOD")),
    Attack::blocked("fifo-inside", "make a FIFO in the granted folder", libc::SYS_mknodat, |ground| {
        raw!(libc::SYS_mknodat, libc::AT_FDCWD, &ground.inside("fifo")?, libc::S_IFIFO | 0o600, 0)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("chmod-outside", "open a file outside to all by chmod(2)", libc::SYS_chmod, |ground| {
        raw!(libc::SYS_chmod, &ground.file()?, 0o777)
    }),
    Attack::blocked("fchmodat-outside", "the same by fchmodat(2)", libc::SYS_fchmodat, |ground| {
        raw!(libc::SYS_fchmodat, libc::AT_FDCWD, &ground.file()?, 0o777)
    }),
    Attack::blocked("fchmodat2-outside", "the same by fchmodat2(2)", SYS_FCHMODAT2, |ground| {
        raw!(SYS_FCHMODAT2, libc::AT_FDCWD, &ground.file()?, 0o777, 0)
    })
    .alone(Alone::Depends("it is of Linux 6.6")),
    Attack::blocked("setuid-inside", "make a granted file run as its owner", libc::SYS_fchmodat, |ground| {
        raw!(libc::SYS_fchmodat, libc::AT_FDCWD, &ground.inside("inside")?, 0o4777)
    }),
    Attack::blocked("fchmod-pipe", "open the pipe to the notary to all", libc::SYS_fchmod, |ground| {
        raw!(libc::SYS_fchmod, ground.held.pipe, 0o777)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("chown-outside", "give a file outside to another user by chown(2)", libc::SYS_chown, |ground| {
        raw!(libc::SYS_chown, &ground.file()?, KEEP, KEEP)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("lchown-outside", "the same by lchown(2)", libc::SYS_lchown, |ground| {
        raw!(libc::SYS_lchown, &ground.file()?, KEEP, KEEP)
    }),
    Attack::blocked("fchown-pipe", "give the pipe to the notary to another user", libc::SYS_fchown, |ground| {
        raw!(libc::SYS_fchown, ground.held.pipe, KEEP, KEEP)
    }),
    Attack::blocked("fchownat-outside", "give a file outside to another user", libc::SYS_fchownat, |ground| {
        raw!(libc::SYS_fchownat, libc::AT_FDCWD, &ground.file()?, KEEP, KEEP, 0)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("utime-outside", "change the times of a file outside by utime(2)", libc::SYS_utime, |ground| {
        raw!(libc::SYS_utime, &ground.file()?, &[0_u64; 2])
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("utimes-outside", "the same by utimes(2)", libc::SYS_utimes, |ground| {
        raw!(libc::SYS_utimes, &ground.file()?, &[0_u64; 4])
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("futimesat-outside", "the same by futimesat(2)", libc::SYS_futimesat, |ground| {
        raw!(libc::SYS_futimesat, libc::AT_FDCWD, &ground.file()?, &[0_u64; 4])
    }),
    Attack::blocked("utimensat-outside", "the same by utimensat(2)", libc::SYS_utimensat, |ground| {
        raw!(libc::SYS_utimensat, libc::AT_FDCWD, &ground.file()?, &[0_u64; 4], 0)
    }),
    Attack::blocked("setxattr-outside", "set an attribute of a file outside", libc::SYS_setxattr, |ground| {
        raw!(libc::SYS_setxattr, &ground.file()?, c"user.drill", c"changed", 7, 0)
    })
    .alone(NOT_EVERY_FILESYSTEM),
    Attack::blocked("lsetxattr-outside", "the same by lsetxattr(2)", libc::SYS_lsetxattr, |ground| {
        raw!(libc::SYS_lsetxattr, &ground.file()?, c"user.drill", c"changed", 7, 0)
    })
    .alone(NOT_EVERY_FILESYSTEM),
    Attack::blocked("removexattr-outside", "remove an attribute of a file outside", libc::SYS_removexattr, |ground| {
        raw!(libc::SYS_removexattr, &ground.file()?, c"user.drill")
    })
    .alone(NOT_EVERY_FILESYSTEM),
    Attack::blocked("setxattrat-outside", "set an attribute by setxattrat(2)", SYS_SETXATTRAT, |ground| {
        let value = c"changed";
        let arguments = [value.as_ptr().expose_provenance() as u64, 7];
        let size = size_of_val(&arguments) as u64;
        raw!(SYS_SETXATTRAT, libc::AT_FDCWD, &ground.file()?, 0, c"user.drill", &arguments, size)
    })
    .alone(Alone::Depends("it is of Linux 6.13, and not every filesystem has attributes")),
    Attack::blocked("flags-by-ioctl", "make a granted file immutable", libc::SYS_ioctl, |ground| {
        raw!(libc::SYS_ioctl, ground.held.pipe, FS_IOC_SETFLAGS, &[0_u64; 1])
    })
    .alone(Alone::Depends("the pipe has no such flags")),
    Attack::blocked("clone-range", "share the blocks of another file (FICLONE)", libc::SYS_ioctl, |ground| {
        raw!(libc::SYS_ioctl, ground.held.pipe, libc::FICLONE, ground.held.control)
    })
    .alone(Alone::Depends("neither is a file")),
    Attack::blocked("copy-range", "copy between descriptors within the kernel", libc::SYS_copy_file_range, |ground| {
        raw!(libc::SYS_copy_file_range, ground.held.connection, 0, ground.held.pipe, 0, 16, 0)
    })
    .alone(Alone::Depends("neither is a file")),
    Attack::blocked("sendfile", "copy from a descriptor to the pipe", libc::SYS_sendfile, |ground| {
        raw!(libc::SYS_sendfile, ground.held.pipe, ground.held.connection, 0, 16)
    })
    .alone(Alone::Never("it would wait for a request")),
    Attack::blocked("sync-everything", "make the machine wait for its disks", libc::SYS_sync, |_| raw!(libc::SYS_sync))
        .alone(Alone::Never("it makes the machine wait for its disks")),
    Attack::blocked("quota", "change what users may store", libc::SYS_quotactl, |_| {
        raw!(libc::SYS_quotactl, libc::Q_SYNC, 0, 0, 0)
    })
    .alone(Alone::Depends("the kernel may have no quotas")),
    landlocked(
        "leave-a-set-descriptor",
        "write through /proc/self/fd of a read-only file",
        libc::SYS_openat2,
        |ground| {
            let read = descriptor(open2(&ground.file()?, libc::O_PATH)?)?;
            open2(&Ground::by_proc(read)?, libc::O_WRONLY)
        },
    ),
];

/// `chown` to this id changes nothing: an attack that gets its way does no damage, and still got its way.
const KEEP: u32 = u32::MAX;

/// linux/fs.h; libc gives it as a number that differs by architecture and type.
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;

/// Linux 6.13, the same on every architecture.
const SYS_SETXATTRAT: i64 = 463;
