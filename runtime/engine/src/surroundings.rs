//! Limits on this process that come from its surroundings: from the shell (`setrlimit(2)`), and from its control group
//! (`cgroups(7)`), as in a container. Only for words: errors and `tollgate doctor` name limits that are low. Must never decide
//! over a tool.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use tollgate_sandbox::{LimitRow, starts_processes_beside_itself};
use tollgate_system::{of_call, with_more};

use crate::compile_limits::CompileLimits;
use crate::instance::engine_reserves_bytes;

/// A limit from the shell that is lower than what Tollgate's processes may need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LowLimit {
    /// Its name, as in `RLIMIT_*`.
    pub(crate) name: &'static str,
    /// The option of the shell's `ulimit` that sets it.
    pub(crate) ulimit: &'static str,
    /// What it is, in the unit of `setrlimit(2)`.
    pub value: u64,
    /// What may be needed, in the same unit.
    pub(crate) needed: u64,
    /// For what.
    pub(crate) what_for: &'static str,
}

impl fmt::Display for LowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ulimit, value, needed, what_for } = self;
        write!(
            f,
            "{name} (`ulimit {ulimit}`) is {}, and {} may be needed: {what_for}",
            Shown(name, *value),
            Shown(name, *needed)
        )
    }
}

/// A limit's value. A large number of bytes is shown in a larger unit.
struct Shown<'n>(&'n str, u64);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, value) = self;
        match *name {
            "RLIMIT_CPU" => write!(f, "{value} s"),
            "RLIMIT_AS" | "RLIMIT_DATA" | "RLIMIT_FSIZE" | "RLIMIT_STACK" => write!(f, "{}", Bytes(*value)),
            _counted => write!(f, "{value}"),
        }
    }
}

/// A number of bytes.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..0x10_0000 => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

/// Limits from the shell that are lower than what Tollgate's processes may need.
pub fn low_limits() -> Vec<LowLimit> {
    let CompileLimits { cpu_seconds, memory_bytes, artifact_bytes, .. } = CompileLimits::DEFAULT;
    let needs = [
        (
            Resource::As,
            "RLIMIT_AS",
            "-v",
            engine_reserves_bytes(1).saturating_add(memory_bytes),
            "the engine reserves addresses for a call, and compiling takes memory",
        ),
        (Resource::Data, "RLIMIT_DATA", "-d", memory_bytes, "compiling a large component"),
        (
            Resource::Nofile,
            "RLIMIT_NOFILE",
            "-n",
            FILES_NEEDED,
            "a worker's pipes and sockets, and what its tool opens",
        ),
        (Resource::Nproc, "RLIMIT_NPROC", "-u", THREADS_NEEDED, "processes and threads, beside the user's others"),
        (Resource::Fsize, "RLIMIT_FSIZE", "-f", artifact_bytes, "machine code, and a ledger that grows"),
        (Resource::Cpu, "RLIMIT_CPU", "-t", cpu_seconds, "compiling a large component"),
        (Resource::Stack, STACK, "-s", STACK_BYTES_NEEDED, "the first thread of a process"),
    ];
    let low = needs.into_iter().filter_map(|(resource, name, ulimit, needed, what_for)| {
        let value = getrlimit(resource).current.filter(|value| *value < needed)?;
        Some(LowLimit { name, ulimit, value, needed, what_for })
    });
    low.collect()
}

/// Limits from the shell that are lower than those of a worker's plan, and therefore hold instead.
pub fn lower_than(plan: &[LimitRow]) -> Vec<LowLimit> {
    let low = plan.iter().filter_map(|row| {
        let (resource, name, ulimit) = row.resource.of_shell()?;
        let value = getrlimit(resource).maximum.filter(|value| *value < row.most)?;
        Some(LowLimit { name, ulimit, value, needed: row.most, what_for: row.why })
    });
    low.collect()
}

/// What the control groups allow this process and the processes that it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ControlGroup {
    pub(crate) cpu: Option<CpuShare>,
    pub(crate) memory: Option<MemoryRoom>,
    pub(crate) pids: Option<PidsRoom>,
}

/// A bound on processes and threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PidsRoom {
    pub(crate) max: u64,
    /// How many there are, if the kernel says so.
    pub(crate) current: Option<u64>,
}

impl PidsRoom {
    fn left(&self) -> u64 {
        self.max.saturating_sub(self.current.unwrap_or_default())
    }
}

impl fmt::Display for PidsRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max, current } = self;
        write!(f, "this process and those beside it may have {max} processes and threads (cgroup pids.max)")?;
        current.map_or(Ok(()), |current| write!(f, ", and have {current}"))
    }
}

/// A bound on CPU time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CpuShare {
    /// Thousandths of one CPU.
    pub(crate) millicpus: u64,
    /// How often the group was held back by it, if the kernel says so.
    pub(crate) throttled: Option<u64>,
}

/// A bound on memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MemoryRoom {
    pub(crate) max_bytes: u64,
    /// How many processes of the group the kernel has killed for want of memory, if it says so.
    pub(crate) oom_kills: Option<u64>,
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { millicpus, throttled } = self;
        write!(
            f,
            "this process and those beside it have {}.{:03} CPU (cgroup cpu.max)",
            millicpus / 1000,
            millicpus % 1000
        )?;
        throttled.map_or(Ok(()), |times| write!(f, ", and were held back {times} times (nr_throttled)"))
    }
}

impl fmt::Display for MemoryRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_bytes, oom_kills } = self;
        write!(f, "this process and those beside it have {} of memory (cgroup memory.max)", Bytes(*max_bytes))?;
        oom_kills.map_or(Ok(()), |killed| write!(f, ", and {killed} were killed for want of it (oom_kill)"))
    }
}

impl ControlGroup {
    /// The bounds on this process, as far as `/proc` and the groups' files can be read.
    pub fn here() -> Self {
        let places = Places::here();
        let folders = |controller: &str| places.folders(controller);
        let cpu = folders("cpu").iter().filter_map(|folder| cpu_share(folder)).min_by_key(|cpu| cpu.millicpus);
        let memory = least_memory(&places);
        let pids = folders("pids").iter().filter_map(|folder| pids_room(folder)).min_by_key(PidsRoom::left);
        Self { cpu, memory, pids }
    }

    /// What `doctor` says of it, line by line.
    pub fn lines(&self) -> Vec<String> {
        let cpu = self.cpu.iter().map(ToString::to_string);
        let memory = self.memory.iter().map(ToString::to_string);
        cpu.chain(memory).chain(self.pids.iter().map(ToString::to_string)).collect()
    }
}

/// The folders of this process's control groups.
struct Places {
    mounts: String,
    own: String,
}

impl Places {
    fn here() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        Self { mounts: read("/proc/self/mountinfo"), own: read("/proc/self/cgroup") }
    }

    fn folders(&self, controller: &str) -> Vec<PathBuf> {
        group_folders(&self.mounts, &self.own, controller)
    }
}

fn least_memory(places: &Places) -> Option<MemoryRoom> {
    places.folders("memory").iter().filter_map(|folder| memory_room(folder)).min_by_key(|room| room.max_bytes)
}

/// How many processes of this one's group the kernel has killed for want of memory. Read before a process is started, for
/// [`why_ended`].
pub fn oom_kills() -> u64 {
    kills(least_memory(&Places::here()).as_ref())
}

fn kills(room: Option<&MemoryRoom>) -> u64 {
    room.and_then(|room| room.oom_kills).unwrap_or_default()
}

/// All limits that are low here, as the end of a message; empty if none is. A group's bound is named once it has been hit.
pub fn in_words() -> String {
    let low = low_limits().into_iter().map(|low| low.to_string());
    let ControlGroup { cpu, memory, pids } = ControlGroup::here();
    let pids = pids.filter(|room| room.left() < THREADS_NEEDED).map(|room| room.to_string());
    let cpu = cpu.filter(|cpu| cpu.throttled != Some(0)).map(|cpu| cpu.to_string());
    let memory = memory.filter(|room| room.oom_kills != Some(0)).map(|room| room.to_string());
    let outside = (!starts_processes_beside_itself()).then(|| OTHER_NAMESPACE.to_owned());
    low.chain(cpu).chain(memory).chain(pids).chain(outside).map(|line| format!("; {line}")).collect()
}

/// The error of a process that could not be started: names what refuses the start, or else the limits that are low.
pub fn of_start(error: io::Error) -> io::Error {
    // A text that is not the system's names the cause already.
    with_more(of_call("clone3, setsid or execve", error), &in_words())
}

const OTHER_NAMESPACE: &str = "what this process starts is put into another PID namespace, which does not \
                               work: begin inside it (`unshare --pid --fork`)";

/// Why a process that nobody here has killed was ended by this signal, if what surrounds it is to blame. `before` is what
/// [`oom_kills`] said before the process started.
pub fn why_ended(signal: Option<i32>, before: u64) -> Option<String> {
    let of_limit = |name: &str, ulimit: &str, value: Option<u64>| {
        Some(format!("the limit {name} (`ulimit {ulimit}`) is {}", Shown(name, value?)))
    };
    let of_cpu = |seconds| of_limit("RLIMIT_CPU", "-t", seconds);
    match signal? {
        libc::SIGXCPU => of_cpu(getrlimit(Resource::Cpu).current),
        libc::SIGXFSZ => of_limit("RLIMIT_FSIZE", "-f", getrlimit(Resource::Fsize).current),
        libc::SIGKILL => killed_for_memory(before).or_else(|| of_cpu(killed_for_cpu())),
        _other => None,
    }
}

/// The limit on CPU time by which the kernel kills, in seconds, if a process that this one started and waited for can have used as
/// much. `ulimit -t` sets it with the one that only sends `SIGXCPU`, to the same.
pub(crate) fn killed_for_cpu() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the program's name, which may be any text: `cutime` and `cstime` of proc_pid_stat(5).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()?.saturating_add(fields.next()?.ok()?);
    let used_seconds = ticks.checked_div(clock_ticks_per_second())?;
    // What is counted in ticks may be a little less.
    getrlimit(Resource::Cpu).maximum.filter(|limit| used_seconds.saturating_add(1) >= *limit)
}

/// The memory of this process's group, if the kernel has killed for want of it since [`oom_kills`] said `before`.
pub(crate) fn killed_for_memory(before: u64) -> Option<String> {
    let now = least_memory(&Places::here());
    now.filter(|room| kills(Some(room)) > before).map(|room| room.to_string())
}

/// From now on writing more than `RLIMIT_FSIZE` allows is an error with words, and does not end this process or one that it starts.
#[allow(unsafe_code, reason = "no crate here sets the action of a signal")]
pub fn survive_size_limit() {
    // SAFETY: takes numbers alone; no handler is installed, so nothing runs when the signal comes.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// The limit on the first thread's stack, if it is so small that the stack may run out before anything else could be said.
pub fn small_stack() -> Option<LowLimit> {
    low_limits().into_iter().find(|low| low.name == STACK)
}

/// The folders of this process's group for a controller, from its own up to the mount's. Of version 2 or 1 (`cgroups(7)`).
fn group_folders(mounts: &str, own: &str, controller: &str) -> Vec<PathBuf> {
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let is_v2 = controllers.is_empty();
        if !is_v2 && !controllers.split(',').any(|name| name == controller) {
            continue;
        }
        let Some((root, at)) = mounts.lines().find_map(|mount| group_mount(mount, is_v2, controller)) else { continue };
        // A mount may show a part of the tree: the path then starts at that part's root, or is outside it.
        let below = path.strip_prefix(root.as_str()).unwrap_or(path).trim_matches('/');
        let folder = if at.join(below).is_dir() { at.join(below) } else { at.clone() };
        let has_it = |folder: &&Path| folder.starts_with(&at);
        let folders: Vec<PathBuf> = folder.ancestors().take_while(has_it).map(Path::to_owned).collect();
        let files: &[&str] = match controller {
            "cpu" => &CPU_FILES,
            "pids" => &PIDS_FILES,
            _memory => &MEMORY_FILES,
        };
        if folders.iter().any(|folder| files.iter().any(|file| folder.join(file).exists())) {
            return folders;
        }
    }
    Vec::new()
}

/// The root and the place of a mount of control groups, of a line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
fn group_mount(line: &str, is_v2: bool, controller: &str) -> Option<(String, PathBuf)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut kind = file_system.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let is_it = if is_v2 { name == "cgroup2" } else { name == "cgroup" && options.split(',').any(|o| o == controller) };
    let mut fields = mount.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    is_it.then(|| (root.trim_end_matches('/').to_owned(), PathBuf::from(at)))
}

fn cpu_share(folder: &Path) -> Option<CpuShare> {
    let (quota, period) = match read(folder, "cpu.max") {
        Some(text) => {
            let mut parts = text.split_whitespace().map(|part| part.parse::<u64>().ok());
            (parts.next()??, parts.next()??)
        }
        None => (number(folder, "cpu.cfs_quota_us")?, number(folder, "cpu.cfs_period_us")?),
    };
    let throttled = field(folder, "cpu.stat", "nr_throttled");
    Some(CpuShare { millicpus: quota.saturating_mul(1000).checked_div(period)?, throttled })
}

fn memory_room(folder: &Path) -> Option<MemoryRoom> {
    let max = number(folder, "memory.max").or_else(|| number(folder, "memory.limit_in_bytes"));
    // Version 1 says "no limit" by a number that no machine has.
    let max_bytes = max.filter(|bytes| *bytes < NO_LIMIT_BYTES)?;
    let oom_kills =
        field(folder, "memory.events", "oom_kill").or_else(|| field(folder, "memory.oom_control", "oom_kill"));
    Some(MemoryRoom { max_bytes, oom_kills })
}

fn pids_room(folder: &Path) -> Option<PidsRoom> {
    // `max`, which is no number, means no limit.
    Some(PidsRoom { max: number(folder, "pids.max")?, current: number(folder, "pids.current") })
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    read(folder, file)?.trim().parse().ok()
}

/// The number behind a name, in a file of lines of both.
fn field(folder: &Path, file: &str, name: &str) -> Option<u64> {
    let text = read(folder, file)?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

const STACK: &str = "RLIMIT_STACK";
const CPU_FILES: [&str; 2] = ["cpu.max", "cpu.cfs_quota_us"];
const MEMORY_FILES: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];
const PIDS_FILES: [&str; 1] = ["pids.max"];
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// Files that a tool with the default caps may have open, its worker's own included.
const FILES_NEEDED: u64 = 512;
/// Processes and threads of a call and of the compiler before it, twice.
const THREADS_NEEDED: u64 = 64;
/// Below it the command line itself runs out.
const STACK_BYTES_NEEDED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_version_2_is_read_up_to_its_root_and_the_least_counts() {
        let tree = tempfile::tempdir().unwrap();
        let (at, own) = (tree.path(), tree.path().join("a/b"));
        fs::create_dir_all(&own).unwrap();
        for (folder, cpu, memory) in
            [(at, "max 100000", "max"), (&at.join("a"), "20000 100000", "209715200"), (&own, "50000 100000", "max")]
        {
            fs::write(folder.join("cpu.max"), cpu).unwrap();
            fs::write(folder.join("memory.max"), memory).unwrap();
            fs::write(folder.join("cpu.stat"), "usage_usec 5\nnr_throttled 7\n").unwrap();
            fs::write(folder.join("memory.events"), "oom 3\noom_kill 2\n").unwrap();
        }
        let mounts = format!("30 1 0:26 / {} rw - cgroup2 cgroup2 rw\n", at.display());
        let folders = group_folders(&mounts, "0::/a/b\n", "cpu");
        assert_eq!(folders, [own, at.join("a"), at.to_owned()]);
        let cpu = folders.iter().filter_map(|folder| cpu_share(folder)).min_by_key(|cpu| cpu.millicpus).unwrap();
        assert_eq!(cpu, CpuShare { millicpus: 200, throttled: Some(7) });
        assert!(cpu.to_string().contains("0.200 CPU (cgroup cpu.max), and were held back 7 times"), "{cpu}");
        let memory = folders.iter().filter_map(|folder| memory_room(folder)).min_by_key(|room| room.max_bytes).unwrap();
        assert_eq!(memory, MemoryRoom { max_bytes: 200 << 20, oom_kills: Some(2) });
        assert!(memory.to_string().contains("200 MiB of memory"), "{memory}");
    }

    #[test]
    fn a_bound_on_processes_is_said_with_how_many_there_are() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("pids.max"), "max\n").unwrap();
        assert_eq!(pids_room(tree.path()), None);
        fs::write(tree.path().join("pids.max"), "9\n").unwrap();
        fs::write(tree.path().join("pids.current"), "7\n").unwrap();
        let room = pids_room(tree.path()).unwrap();
        assert_eq!(
            (room.left(), &*room.to_string()),
            (2, "this process and those beside it may have 9 processes and threads (cgroup pids.max), and have 7")
        );
    }

    #[test]
    fn groups_of_version_1_are_read_by_controller() {
        let tree = tempfile::tempdir().unwrap();
        let at = tree.path();
        fs::write(at.join("cpu.cfs_quota_us"), "-1\n").unwrap();
        fs::write(at.join("cpu.cfs_period_us"), "100000\n").unwrap();
        fs::write(at.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        let mounts = format!(
            "30 1 0:26 / {0} rw - cgroup cgroup rw,cpu,cpuacct\n31 1 0:27 /docker/x {0} rw - cgroup cgroup rw,memory\n",
            at.display()
        );
        let own = "5:memory:/docker/x\n4:cpu,cpuacct:/gone\n0::/\n";
        assert_eq!(group_folders(&mounts, own, "cpu"), [at]);
        assert_eq!(group_folders(&mounts, own, "memory"), [at]);
        assert_eq!((cpu_share(at), memory_room(at)), (None, None), "no limit");
        fs::write(at.join("cpu.cfs_quota_us"), "20000\n").unwrap();
        fs::write(at.join("memory.limit_in_bytes"), "1048576\n").unwrap();
        assert_eq!(cpu_share(at).unwrap().millicpus, 200);
        assert_eq!(memory_room(at), Some(MemoryRoom { max_bytes: 1 << 20, oom_kills: None }));
        assert!(group_folders("", own, "cpu").is_empty() && group_folders(&mounts, "", "cpu").is_empty());
    }
}
