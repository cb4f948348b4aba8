//! What a call takes of the system, in its worker and in its supervisor.
//!
//! The notary is left out: it takes what is in the pipes in rounds, and how many calls one round finds there is the
//! scheduler's choice.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, geteuid};
use tempfile::TempDir;
use tollgate_workspace::foreign::{missing, skipped};
use tollgate_workspace::processes::children_of_in;

use crate::allocations::Allocations;
use crate::driver::{CALLS, Counted, ROLE};
use crate::expected::{Numbers, compare};
use crate::traced::{Seen, Tracer, await_quiet};

/// Calls between two numbers that are compared: a multiple of the 32 that the supervisor fetches random bytes for.
const TIMES: u64 = 64;

/// System calls, bytes written and allocations of each call.
pub(crate) fn calls_cost_what_they_did() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return missing("`strace`", "apt.log");
    }
    if !geteuid().is_root() {
        return skipped("only root may look into sealed processes, and count what they do");
    }
    if !scans_pagemaps() {
        return skipped("this kernel is older than 6.7: it has no PAGEMAP_SCAN, and calls take other system calls");
    }
    let mut scene = Scene::start();
    let (mut in_worker, mut in_supervisor) = (Numbers::new(), Numbers::new());
    for call in CALLS {
        scene.calls(&call, 2 * TIMES);
        let [few, many] = [1, 2].map(|of| scene.costs(&call, of * TIMES));
        in_worker.extend(many.worker.each_beyond(&few.worker, call.operation));
        in_supervisor.extend(many.supervisor.each_beyond(&few.supervisor, call.operation));
    }
    scene.end();
    compare(&[("worker", &in_worker), ("supervisor", &in_supervisor)]);
}

/// A supervisor in a process of its own, with its worker and its notary.
struct Scene {
    driver: Child,
    stdin: ChildStdin,
    says: BufReader<ChildStdout>,
    supervisor: Pid,
    worker: Pid,
    phases: u32,
    // Last: the others use what is in it.
    folder: TempDir,
}

/// What calls cost each process.
struct Costs {
    worker: Cost,
    supervisor: Cost,
}

struct Cost {
    seen: Seen,
    allocations: u64,
}

impl Scene {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(ROLE).arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut driver = command.spawn().expect("a driver");
        let stdin = driver.stdin.take().expect("a pipe");
        let says = BufReader::new(driver.stdout.take().expect("a pipe"));
        let supervisor = Pid::from_child(&driver);
        let mut scene = Self { driver, stdin, says, supervisor, worker: supervisor, phases: 0, folder };
        scene.hear("ready");
        scene.worker = worker_of(supervisor);
        scene
    }

    fn calls(&mut self, call: &Counted, times: u64) {
        // One write: it is read at once.
        self.stdin.write_all(format!("{} {times}\n", call.operation).as_bytes()).expect("a driver that hears");
        self.hear("done");
        self.processes().into_iter().for_each(await_quiet);
    }

    fn costs(&mut self, call: &Counted, times: u64) -> Costs {
        self.phases += 1;
        let logs = self.folder.path().join(format!("logs-{}", self.phases));
        let processes = self.processes();
        let tracer = Tracer::attach(&processes, &logs);
        processes.into_iter().for_each(await_quiet);
        let before = processes.map(Allocations::of);
        self.calls(call, times);
        let after = processes.map(Allocations::of);
        let seen = <[Seen; 2]>::try_from(tracer.detach(&processes)).expect("as many as processes");
        let [worker, supervisor] = seen;
        Costs {
            // All of its threads work for calls.
            worker: Cost { seen: worker, allocations: after[0].others - before[0].others },
            supervisor: Cost { seen: supervisor, allocations: after[1].apart - before[1].apart },
        }
    }

    /// Worker, supervisor.
    fn processes(&self) -> [Pid; 2] {
        [self.worker, self.supervisor]
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("a driver that speaks");
        assert_eq!(line.trim_end(), word, "what the driver says");
    }

    fn end(self) {
        let Self { mut driver, stdin, .. } = self;
        drop(stdin);
        assert!(driver.wait().expect("its end").success());
    }
}

impl Cost {
    /// What each of [`TIMES`] calls cost, which are so many more than `few` has; or all of them, where it is not the same for
    /// each, as of random bytes that are fetched for many calls at once.
    fn each_beyond(&self, few: &Self, operation: &str) -> Numbers {
        let calls = self.seen.calls.iter().map(|(name, many)| {
            let few = few.seen.calls.get(name).copied().unwrap_or_default();
            (format!("calls {name}"), many.checked_sub(few))
        });
        let bytes = self.seen.bytes.checked_sub(few.seen.bytes);
        let allocations = self.allocations.checked_sub(few.allocations);
        let others = [("allocations".to_owned(), allocations), ("bytes-written".to_owned(), bytes)];
        let each = calls.chain(others).map(|(what, more)| {
            let more = more.unwrap_or_else(|| panic!("{operation}: fewer {what} in more calls"));
            if more % TIMES == 0 {
                (format!("{operation} {what}"), more / TIMES)
            } else {
                (format!("{TIMES}-times-{operation} {what}"), more)
            }
        });
        each.filter(|(_, number)| *number > 0).collect()
    }
}

/// Whether the kernel tells wasmtime which pages a call has changed (`ioctl(2)`, `PAGEMAP_SCAN`).
fn scans_pagemaps() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(6_u32), Some(7_u32))
}

fn worker_of(supervisor: Pid) -> Pid {
    let [worker] = children_of_in(supervisor, "worker")[..] else { panic!("one worker") };
    worker
}
