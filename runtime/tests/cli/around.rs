//! What surrounds the program in these tests: a filter that refuses system calls, a foreign layer of Landlock, limits of a shell,
//! a small control group, another PID namespace. Each is there before the program is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::required::skipped;

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
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
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

/// A control group with little of one thing, of version 1 or 2; it goes when it is dropped.
pub(crate) struct SmallGroup(PathBuf);

impl SmallGroup {
    /// A fifth of a CPU; none where no group can be made.
    pub(crate) fn of_cpu(name: &str) -> Option<Self> {
        let v1 = [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "20000")];
        Self::make("cpu", name, &v1, &[("cpu.max", "20000 100000")])
    }

    /// So many bytes of memory; none where no group can be made.
    pub(crate) fn of_memory(name: &str, bytes: u64) -> Option<Self> {
        let bytes = bytes.to_string();
        Self::make(
            "memory",
            name,
            &[("memory.limit_in_bytes", &bytes)],
            &[("memory.max", &bytes), ("memory.swap.max", "0")],
        )
    }

    fn make(controller: &str, name: &str, v1: &[(&str, &str)], v2: &[(&str, &str)]) -> Option<Self> {
        let name = format!("tollgate-test-{name}-{}", std::process::id());
        let below =
            [format!("/sys/fs/cgroup/{controller}"), "/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup/unified".to_owned()];
        for root in below {
            let folder = Path::new(&root).join(&name);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            let group = Self(folder);
            let holds = |files: &[(&str, &str)]| files.iter().all(|(file, _)| group.0.join(file).exists());
            let files = [v1, v2].into_iter().find(|files| holds(&files[..1]));
            let is_set = files.is_some_and(|files| {
                // Swap is not everywhere.
                files
                    .iter()
                    .all(|(file, value)| fs::write(group.0.join(file), value).is_ok() || *file == "memory.swap.max")
            });
            if is_set {
                return Some(group);
            }
        }
        skipped(&format!("no control group with {controller} can be made here (root?)"));
        None
    }

    /// Has the program run in it.
    pub(crate) fn hold(&self, command: &mut Command) {
        let processes = self.0.join("cgroup.procs");
        before(command, move || fs::write(&processes, "0"));
    }
}

impl Drop for SmallGroup {
    fn drop(&mut self) {
        // A process that has just been killed is in it for a moment.
        for _try in 0..200 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
