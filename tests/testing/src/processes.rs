//! The processes of a round: who there is, their end by SIGKILL, and that none stays.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper, waitpid,
};

/// Longest wait for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A notary whose supervisor was killed becomes a child of this process, so that its end can be waited for.
pub fn adopt_orphans() {
    set_child_subreaper(Some(getpid())).expect("a subreaper");
}

/// The children of a process, those included that ended and were not waited for.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    // A process that ended has none.
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", parent.as_raw_pid())) else { return Vec::new() };
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let text: String = tasks.filter_map(Result::ok).map(of_task).collect();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// The children of a process in a role of `tollgate`, such as `worker`, that live.
pub fn children_of_in(parent: Pid, role: &str) -> Vec<Pid> {
    let is_in = |pid: &Pid| command_line(*pid).split(|byte| *byte == 0).nth(1) == Some(role.as_bytes());
    children_of(parent).into_iter().filter(is_in).collect()
}

/// As [`children_of_in`], of this process.
pub fn children_in(role: &str) -> Vec<Pid> {
    children_of_in(getpid(), role)
}

/// Kills a process, if it is still there.
pub fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).ok();
}

/// Kills a process and those of its group.
pub fn kill_group(leader: Pid) {
    kill_process_group(leader, Signal::KILL).ok();
}

/// A process that ended.
pub struct Ended {
    pub pid: Pid,
    pub status: WaitStatus,
}

/// Waits until this process has no child but `except`.
pub fn reap_all(except: Option<Pid>) -> Vec<Ended> {
    let until = Instant::now() + PATIENCE;
    let mut ended = Vec::new();
    loop {
        let left: Vec<_> = children_of(getpid()).into_iter().filter(|pid| Some(*pid) != except).collect();
        if left.is_empty() {
            return ended;
        }
        for pid in &left {
            if let Ok(Some((pid, status))) = waitpid(Some(*pid), WaitOptions::NOHANG) {
                ended.push(Ended { pid, status });
            }
        }
        if Instant::now() > until {
            let names: Vec<_> = left.iter().map(|pid| name(*pid)).collect();
            left.into_iter().for_each(kill);
            panic!("processes that do not end: {names:?}");
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Ends what a test that failed has left.
pub fn kill_all() {
    children_of(getpid()).into_iter().for_each(kill);
    reap_all(None);
}

/// The number of descriptors that this process has open.
pub fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// How many descriptors are open: at most `most`, unless it stays more.
pub fn fds_once_at_most(most: usize) -> usize {
    let until = Instant::now() + PATIENCE;
    loop {
        let open = open_fds();
        if open <= most || Instant::now() >= until {
            return open;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the descriptors of this process are.
pub fn open_files() -> Vec<String> {
    let fds = fs::read_dir("/proc/self/fd").expect("/proc").map_while(Result::ok);
    fds.map(|fd| format!("{:?} {:?}", fd.file_name(), fs::read_link(fd.path()).unwrap_or_default())).collect()
}

/// Whether all threads of a process are stopped (`proc(5)`: the state stands behind the name).
pub fn stands_still(process: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_pid())).expect("threads");
    threads.map(|thread| thread.expect("a thread").path().join("stat")).all(|stat| {
        let stat = fs::read_to_string(stat).expect("the state of a thread");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

/// How often this thread has fallen asleep by itself so far (`proc(5)`).
pub fn sleeps() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("the state of this thread");
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("a count")
}

/// Waits until it is so.
pub fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "it does not come to that: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn name(pid: Pid) -> String {
    String::from_utf8_lossy(&command_line(pid)).replace('\0', " ")
}

/// The words of a process, each ended by a NUL.
fn command_line(pid: Pid) -> Vec<u8> {
    fs::read(format!("/proc/{}/cmdline", pid.as_raw_pid())).unwrap_or_default()
}
