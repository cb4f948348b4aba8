//! File systems of the kernel's own: what looks like files there is the kernel's state, devices and other processes. They are
//! never granted, wherever they are mounted.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::fs::{CWD, FsWord, Mode, OFlags, ResolveFlags, fstat, fstatfs, makedev, openat2};
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
    // devtmpfs has the number of tmpfs, which holds files like any other: it is known by its device.
    if kind != TMPFS && kind != RAMFS {
        return Ok(false);
    }
    Ok(devtmpfs().contains(&fstat(&fd)?.st_dev))
}

/// Learns where devtmpfs is mounted. A process that will reach no file of procfs does so before.
pub fn know_devtmpfs() {
    devtmpfs();
}

/// The devices of devtmpfs. A kernel has one for all mounts of it; none is known if it is mounted nowhere.
fn devtmpfs() -> &'static BTreeSet<u64> {
    static DEVICES: OnceLock<BTreeSet<u64>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mut devices: BTreeSet<u64> = mounts.split(|byte| *byte == b'\n').filter_map(device_of_devtmpfs).collect();
        // Without procfs what is mounted at `/dev` is taken for it.
        if mounts.is_empty() {
            devices.extend(device("/dev").filter(|devices| device("/") != Some(*devices)));
        }
        devices
    })
}

/// That of a line of `proc_pid_mountinfo(5)`, `ID PARENT MAJOR:MINOR … - TYPE …`, if it is about devtmpfs.
fn device_of_devtmpfs(line: &[u8]) -> Option<u64> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok()?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    let (major, minor) = device.split_once(':').filter(|_device| kind == b"devtmpfs")?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn device(path: &str) -> Option<u64> {
    let place = openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty()).ok()?;
    Some(fstat(&place).ok()?.st_dev)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devtmpfs_is_told_from_tmpfs_wherever_it_is_mounted() {
        for (line, device) in [
            ("24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,mode=755", Some(makedev(0, 6))),
            ("64 63 0:300 /null /mnt/null rw shared:2 master:1 - devtmpfs d rw", Some(makedev(0, 300))),
            ("25 24 0:23 / /dev rw - tmpfs devtmpfs rw", None),
            ("25 24 0:23 / /devtmpfs rw - ext4 - devtmpfs", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(device_of_devtmpfs(line.as_bytes()), device, "{line}");
        }
    }
}
