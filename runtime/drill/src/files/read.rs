//! Attacks that open, read or list what was not granted.

use libc::EACCES;

use super::super::ground::Ground;
use super::super::raw::{descriptor, open2, open2_at, raw};
use super::super::{Alone, Attack, Stop};

/// `openat2` is there only where a folder is granted, and then Landlock has the word.
const fn by_openat2(name: &'static str, what: &'static str, run: fn(&Ground) -> super::super::Reply) -> Attack {
    Attack::blocked(name, what, libc::SYS_openat2, run).with_folder(Stop::Landlock(EACCES))
}

pub(in super::super) const READ: &[Attack] = &[
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("open-outside", "read a file outside by open(2)", libc::SYS_open, |ground| {
        raw!(libc::SYS_open, &ground.file()?, libc::O_RDONLY)
    }),
    Attack::blocked("openat-outside", "read a file outside by openat(2)", libc::SYS_openat, |ground| {
        raw!(libc::SYS_openat, libc::AT_FDCWD, &ground.file()?, libc::O_RDONLY)
    }),
    Attack::blocked("openat-folder", "open a folder outside by openat(2)", libc::SYS_openat, |ground| {
        raw!(libc::SYS_openat, libc::AT_FDCWD, &ground.folder()?, libc::O_RDONLY | libc::O_DIRECTORY)
    })
    .with_folder(Stop::Landlock(EACCES)),
    by_openat2("openat2-outside", "read a file outside by openat2(2)", |ground| open2(&ground.file()?, libc::O_RDONLY)),
    by_openat2("openat2-folder", "list a folder outside", |ground| {
        open2(&ground.folder()?, libc::O_RDONLY | libc::O_DIRECTORY)
    }),
    by_openat2("openat2-root", "list the root of all files", |_| open2(c"/", libc::O_RDONLY | libc::O_DIRECTORY)),
    by_openat2("read-tokens", "read the tokens of agents", |ground| open2(&ground.beside("tokens")?, libc::O_RDONLY)),
    by_openat2("openat2-passwd", "read /etc/passwd", |_| open2(c"/etc/passwd", libc::O_RDONLY)),
    by_openat2("openat2-dot-dot", "leave the granted folder by ..", |ground| {
        let inside = descriptor(open2(&ground.inside(".")?, libc::O_PATH | libc::O_DIRECTORY)?)?;
        open2_at(inside, c"../outside/secret", libc::O_RDONLY)
    }),
    by_openat2("path-handle-reopen", "open a file outside with O_PATH, then open /proc/self/fd/N of it", |ground| {
        let handle = descriptor(open2(&ground.file()?, libc::O_PATH)?)?;
        open2(&Ground::by_proc(handle)?, libc::O_RDONLY)
    }),
    by_openat2("path-handle-at", "open a folder outside with O_PATH, then a file below it", |ground| {
        let handle = descriptor(open2(&ground.folder()?, libc::O_PATH | libc::O_DIRECTORY)?)?;
        open2_at(handle, c"secret", libc::O_RDONLY)
    }),
    by_openat2("symlink-out", "read a file outside through a symbolic link in the granted folder", |ground| {
        open2(&ground.inside("link-out")?, libc::O_RDONLY)
    }),
    by_openat2("read-parent-environment", "read the supervisor's environment in /proc", |ground| {
        let path = std::path::PathBuf::from(format!("/proc/{}/environ", ground.aim.parent));
        open2(&super::super::ground::text(&path)?, libc::O_RDONLY)
    }),
    by_openat2("read-parent-memory-file", "open the supervisor's /proc/PID/mem", |ground| {
        let path = std::path::PathBuf::from(format!("/proc/{}/mem", ground.aim.parent));
        open2(&super::super::ground::text(&path)?, libc::O_RDWR)
    }),
    by_openat2("read-own-maps", "read /proc/self/maps, to know where code is", |_| {
        open2(c"/proc/self/maps", libc::O_RDONLY)
    }),
    by_openat2("open-device", "open a disk, the terminal or kernel memory in /dev", |_| {
        open2(c"/dev/null", libc::O_RDWR)
    }),
    Attack::blocked("open-by-handle", "open a file by a handle that was guessed", libc::SYS_open_by_handle_at, |_| {
        // struct file_handle: bytes of the handle, its type, the handle.
        let handle = [8_u32, 1, 0, 0];
        raw!(libc::SYS_open_by_handle_at, libc::AT_FDCWD, &handle, libc::O_RDONLY)
    })
    .alone(Alone::Depends("the handle is a guess, and it takes CAP_DAC_READ_SEARCH")),
    Attack::blocked("name-to-handle", "ask for a handle of a file outside", libc::SYS_name_to_handle_at, |ground| {
        let mut handle = [128_u32; 34];
        let mut mount = [0_u32; 1];
        raw!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, &ground.file()?, &mut handle, &mut mount, 0)
    })
    .alone(Alone::Depends("not every filesystem has handles")),
    Attack::blocked("change-folder", "make a folder outside the current one", libc::SYS_chdir, |ground| {
        raw!(libc::SYS_chdir, &ground.folder()?)
    }),
    Attack::blocked("change-root", "make a folder outside the root", libc::SYS_chroot, |ground| {
        raw!(libc::SYS_chroot, &ground.folder()?)
    })
    .alone(Alone::Depends("it takes CAP_SYS_CHROOT")),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("access-outside", "ask whether a file outside is there by access(2)", libc::SYS_access, |ground| {
        raw!(libc::SYS_access, &ground.file()?, libc::F_OK)
    }),
    Attack::blocked("faccessat-outside", "ask the same by faccessat(2)", libc::SYS_faccessat, |ground| {
        raw!(libc::SYS_faccessat, libc::AT_FDCWD, &ground.file()?, libc::F_OK)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("stat-outside", "ask about a file outside by stat(2)", libc::SYS_stat, |ground| {
        let mut about = [0_u64; 32];
        raw!(libc::SYS_stat, &ground.file()?, &mut about)
    }),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("readlink-outside", "read a symbolic link outside by readlink(2)", libc::SYS_readlink, |ground| {
        let mut target = [0_u64; 32];
        raw!(libc::SYS_readlink, &ground.beside("link")?, &mut target, 256)
    }),
    Attack::blocked("getxattr-outside", "read an attribute of a file outside", libc::SYS_getxattr, |ground| {
        let mut value = [0_u64; 8];
        raw!(libc::SYS_getxattr, &ground.file()?, c"user.drill", &mut value, 64)
    })
    .alone(Alone::Depends("not every filesystem has attributes")),
    Attack::blocked("listxattr-outside", "list the attributes of a file outside", libc::SYS_listxattr, |ground| {
        let mut names = [0_u64; 32];
        raw!(libc::SYS_listxattr, &ground.file()?, &mut names, 256)
    })
    .alone(Alone::Depends("not every filesystem has attributes")),
    Attack::blocked("statfs-outside", "ask about a filesystem", libc::SYS_statfs, |ground| {
        let mut about = [0_u64; 32];
        raw!(libc::SYS_statfs, &ground.file()?, &mut about)
    }),
    Attack::blocked("watch-outside", "watch a folder outside by inotify(7)", libc::SYS_inotify_init1, |ground| {
        let watcher = descriptor(raw!(libc::SYS_inotify_init1, 0)?)?;
        raw!(libc::SYS_inotify_add_watch, watcher, &ground.folder()?, libc::IN_ALL_EVENTS)
    }),
    Attack::blocked("watch-everything", "watch a whole filesystem by fanotify(7)", libc::SYS_fanotify_init, |_| {
        raw!(libc::SYS_fanotify_init, 0, libc::O_RDONLY)
    })
    .alone(Alone::Depends("it takes CAP_SYS_ADMIN, or flags of newer kernels")),
    Attack::blocked("watch-by-signal", "be told of changes by fcntl(F_NOTIFY)", libc::SYS_fcntl, |ground| {
        raw!(libc::SYS_fcntl, ground.held.pipe, libc::F_NOTIFY, 2)
    })
    .alone(Alone::Depends("the pipe is not a folder")),
];
