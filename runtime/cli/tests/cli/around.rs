//! What surrounds the program in these tests: a filter that refuses system calls, a foreign layer of Landlock, limits of a shell,
//! another PID namespace. Each is there before the program is.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use landlock::{ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use tollgate_testing::foreign::{missing, skipped};

/// Has these system calls refused, by `EPERM` as containers do it, or by `ENOSYS`.
pub(crate) fn refuse(command: &mut Command, calls: &[i64], errno: i32) {
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(errno.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    before(command, move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other));
}

/// Has the program run below a layer of Landlock's first version, which leaves it all rights and has no word for `REFER`: no file
/// is moved or linked from one folder to another.
pub(crate) fn without_refer(command: &mut Command) {
    let all = AccessFs::from_all(ABI::V1);
    let root = PathBeneath::new(PathFd::new("/").unwrap(), all);
    let made = Ruleset::default().handle_access(all).unwrap().create().unwrap().add_rule(root).unwrap();
    let mut made = Some(made);
    before(command, move || {
        let made = made.take().ok_or_else(|| std::io::Error::other("started twice"))?;
        made.restrict_self().map(drop).map_err(std::io::Error::other)
    });
}

/// Sets a limit, as `ulimit` does.
pub(crate) fn limit(command: &mut Command, resource: Resource, value: u64) {
    before(command, move || {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        Ok(setrlimit(resource, limit)?)
    });
}

/// Has root obey the rights of files, as every other user does.
#[allow(unsafe_code, reason = "rustix gives this call with a feature that nothing else here takes")]
pub(crate) fn without_override(command: &mut Command) {
    const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
    before(command, || {
        // SAFETY: the call takes numbers alone. Who may not drop it does not have it.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) };
        Ok(())
    });
}

#[allow(unsafe_code, reason = "what surrounds a program must be there before it")]
fn before(command: &mut Command, work: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) {
    // SAFETY: between fork and exec the closures above make system calls, and allocate nothing where these succeed.
    unsafe { command.pre_exec(work) };
}

/// The program in a PID namespace of its own, as `unshare` makes it; none where it cannot be made.
pub(crate) fn in_pid_namespace(options: &[&str], command: &Command) -> Option<Command> {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        unshare.args(options);
        unshare
    };
    let Ok(made) = unshare().arg("true").status() else {
        missing("unshare(1)", "apt.log");
        return None;
    };
    if !made.success() {
        skipped(&format!("`unshare {}` does not work here (root?)", options.join(" ")));
        return None;
    }
    let mut around = unshare();
    around.arg(command.get_program()).args(command.get_args());
    around.current_dir(command.get_current_dir().unwrap_or_else(|| Path::new("/"))).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => around.env(name, value),
            None => around.env_remove(name),
        };
    }
    Some(around)
}
