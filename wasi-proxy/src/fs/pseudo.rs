//! File systems of the kernel's own: what looks like files there is the kernel's state, devices and other processes. They are
//! never granted, wherever they are mounted.

use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::fs::{CWD, FsWord, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2};
use rustix::io::Errno;

/// Whether this file or folder is in a file system of the kernel's own, such as procfs. A descriptor of a place (`O_PATH`) will
/// do.
///
/// # Errors
///
/// The kernel's own, if it cannot tell.
pub fn is_pseudo(fd: impl AsFd) -> Result<bool, Errno> {
    let kind = fstatfs(&fd)?.f_type;
    if PSEUDO.iter().any(|(magic, _name)| *magic == kind) {
        return Ok(true);
    }
    // devtmpfs has the number of tmpfs, which holds files like any other: it is known by where it is mounted.
    if kind != TMPFS && kind != RAMFS {
        return Ok(false);
    }
    Ok(device_of_devices().is_some_and(|devices| fstat(&fd).is_ok_and(|stat| stat.st_dev == devices)))
}

/// The device number of what is mounted at `/dev`; `None` if nothing is.
fn device_of_devices() -> Option<u64> {
    static DEVICES: OnceLock<Option<u64>> = OnceLock::new();
    let device = |path: &str| {
        let place = openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty()).ok()?;
        Some(fstat(&place).ok()?.st_dev)
    };
    *DEVICES.get_or_init(|| device("/dev").filter(|devices| device("/") != Some(*devices)))
}

/// `f_type` of `statfs(2)`, by `linux/magic.h`.
const PSEUDO: [(FsWord, &str); 32] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x1cd1, "devpts"),
    (0x1980_0202, "mqueue"),
    (0xcafe_4a11, "bpf"),
    (0x6265_6570, "configfs"),
    (0x6573_5543, "fusectl"),
    (0xde5e_81e4, "efivarfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0x4341_5d53, "smackfs"),
    (0x5a3c_69f0, "apparmorfs"),
    (0x4249_4e4d, "binfmt_misc"),
    (0x6165_676c, "pstore"),
    (0x0765_5821, "resctrl"),
    (0x6c6f_6f70, "binder"),
    (0x6759_6969, "rpc_pipefs"),
    (0x6e66_7364, "nfsd"),
    (0xabba_1974, "xenfs"),
    (0x9fa2, "usbdevice"),
    (0x6e73_6673, "nsfs"),
    (0x5049_4446, "pidfs"),
    (0x5049_5045, "pipefs"),
    (0x534f_434b, "sockfs"),
    (0x0904_1934, "anon_inodefs"),
    (0x6264_6576, "bdev"),
    (0x444d_4142, "dmabuf"),
    (0x5345_434d, "secretmem"),
];
const TMPFS: FsWord = 0x0102_1994;
const RAMFS: FsWord = 0x8584_58f6;
