//! A small control group, of version 1 or 2, for a program that tests start.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::foreign::skipped;

/// A control group with little of one thing, or of several; it goes when it is dropped.
#[derive(Debug)]
pub struct SmallGroup(Vec<PathBuf>);

/// What a group has little of: its controller, and the files that say so, in version 1 and in version 2.
struct Limit {
    controller: &'static str,
    v1: Vec<(&'static str, String)>,
    v2: Vec<(&'static str, String)>,
}

impl SmallGroup {
    /// So many thousandths of a CPU; none where no group can be made.
    pub fn of_cpu(name: &str, thousandths: u32) -> Option<Self> {
        Self::make(name, &[Limit::of_cpu(thousandths)])
    }

    /// So many bytes of memory; none where no group can be made.
    pub fn of_memory(name: &str, bytes: u64) -> Option<Self> {
        Self::make(name, &[Limit::of_memory(bytes)])
    }

    /// Both; none where no group can be made.
    pub fn of_cpu_and_memory(name: &str, thousandths: u32, bytes: u64) -> Option<Self> {
        Self::make(name, &[Limit::of_cpu(thousandths), Limit::of_memory(bytes)])
    }

    fn make(name: &str, limits: &[Limit]) -> Option<Self> {
        let name = format!("tollgate-test-{name}-{}", std::process::id());
        let mut group = Self(Vec::new());
        for limit in limits {
            if !group.add(&name, limit) {
                skipped(&format!("no control group with {} can be made here (root?)", limit.controller));
                return None;
            }
        }
        Some(group)
    }

    /// Sets a limit, in a folder that is there or a new one.
    fn add(&mut self, name: &str, limit: &Limit) -> bool {
        let controller = format!("/sys/fs/cgroup/{}", limit.controller);
        for root in [controller.as_str(), "/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let folder = Path::new(root).join(name);
            if !self.0.contains(&folder) {
                if fs::create_dir(&folder).is_err() {
                    continue;
                }
                self.0.push(folder.clone());
            }
            let files = [&limit.v1, &limit.v2].into_iter().find(|files| folder.join(files[0].0).exists());
            let is_set = files.is_some_and(|files| {
                // Swap is not everywhere.
                files
                    .iter()
                    .all(|(file, value)| fs::write(folder.join(file), value).is_ok() || *file == "memory.swap.max")
            });
            if is_set {
                return true;
            }
        }
        false
    }

    /// Has the program run in it.
    #[allow(unsafe_code, reason = "what surrounds a program must be there before it")]
    pub fn hold(&self, command: &mut Command) {
        let processes: Vec<_> = self.0.iter().map(|folder| folder.join("cgroup.procs")).collect();
        let enter = move || processes.iter().try_for_each(|processes| fs::write(processes, "0"));
        // SAFETY: between fork and exec the closure makes system calls, and allocates nothing where these succeed.
        unsafe { command.pre_exec(enter) };
    }
}

impl Limit {
    fn of_cpu(thousandths: u32) -> Self {
        let (period, quota) = (100_000, thousandths * 100);
        let v1 = vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", quota.to_string())];
        Self { controller: "cpu", v1, v2: vec![("cpu.max", format!("{quota} {period}"))] }
    }

    fn of_memory(bytes: u64) -> Self {
        let bytes = bytes.to_string();
        let v1 = vec![("memory.limit_in_bytes", bytes.clone())];
        Self { controller: "memory", v1, v2: vec![("memory.max", bytes), ("memory.swap.max", "0".to_owned())] }
    }
}

impl Drop for SmallGroup {
    fn drop(&mut self) {
        for folder in &self.0 {
            // A process that has just been killed is in it for a moment.
            for _try in 0..200 {
                if fs::remove_dir(folder).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}
