//! Kernels that offer less: played by a filter that a parent lays upon the process before.

use std::collections::BTreeMap;

use seccompiler::{SeccompAction, SeccompFilter};

use super::*;

#[test]
fn a_kernel_without_landlock_is_below_the_default_floor() {
    in_child("floor::child_has_no_landlock");
}

/// From here on this process and its children have a kernel that does not know these system calls.
fn forget(numbers: &[i64]) {
    let rules: BTreeMap<i64, Vec<_>> = numbers.iter().map(|number| (*number, Vec::new())).collect();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter: seccompiler::BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).unwrap().try_into().unwrap();
    seccompiler::apply_filter(&filter).unwrap();
}

#[test]
#[ignore = "run as a child"]
fn child_has_no_landlock() {
    let nothing = plan(&set(&[]));
    forget(&[libc::SYS_landlock_create_ruleset]);
    assert_eq!(KernelOffer::here(), KernelOffer { landlock_abi: 0, seccomp: true });
    for required in [Level::Full, Level::Partial] {
        let ended = forked(|pipe| {
            let error = confine(&nothing, required, &[pipe.as_fd()]).unwrap_err();
            assert!(matches!(error, EnforceError::BelowFloor { reached: Level::None, .. }), "{error:?}");
            let said = error.to_string();
            assert!(said.contains("sandbox.require = \"none\""), "{said}");
            assert!(said.contains("Landlock: files and folders (ABI 1, Linux 5.13)"), "{said}");
        });
        assert!(ended.well(), "{ended:?}");
    }
    // What the kernel has is in force all the same, and the record says what that is.
    let ended = forked(|pipe| {
        set_evidence(pipe.as_raw_fd(), WRITER);
        let filtered = confine(&nothing, Level::None, &[pipe.as_fd()]).unwrap().filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        let enforced = filtered.finish(&[tested]).unwrap();
        let entry = enforced.entry(WRITER, 1, Vec::new());
        assert_eq!((entry.level, entry.landlock_abi, entry.handled_fs), (Level::None, 0, 0));
        assert_eq!(entry.threads, 1);
        assert!(entry.self_test.as_str().contains("a socket: stopped by the filter"), "{:?}", entry.self_test);
        // SAFETY: takes nothing; the filter stops it.
        unsafe { libc::getppid() };
    });
    assert_eq!(ended.status.exit_status(), Some(trap::BLOCKED_EXIT), "{ended:?}");

    forget(&[libc::SYS_seccomp]);
    assert_eq!(KernelOffer::here(), KernelOffer { landlock_abi: 0, seccomp: false });
    let ended = forked(|pipe| {
        let filtered = confine(&nothing, Level::None, &[pipe.as_fd()]).unwrap().filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        let enforced = filtered.finish(&[tested]).unwrap();
        assert_eq!(enforced.entry(WRITER, 1, Vec::new()).self_test.as_str(), "nothing is enforced");
    });
    assert!(ended.well(), "{ended:?}");
}

#[test]
fn levels_follow_from_what_a_kernel_has() {
    let level = |landlock_abi, seccomp| KernelOffer { landlock_abi, seccomp }.level();
    assert_eq!(level(0, false), Level::None);
    assert_eq!(level(7, false), Level::None);
    assert_eq!(level(0, true), Level::None);
    assert_eq!(level(1, true), Level::Partial);
    assert_eq!(level(5, true), Level::Partial);
    assert_eq!(level(6, true), Level::Full);
    assert_eq!(level(u32::MAX, true), Level::Full);
    for (abi, seccomp) in [(0, false), (3, true), (6, true), (9, true)] {
        let offer = KernelOffer { landlock_abi: abi, seccomp };
        for required in Level::ALL {
            assert_eq!(offer.lacks(*required).is_empty(), offer.level() >= *required, "{offer:?} {required}");
        }
    }
}
