//! The store of installed tools after a command on it was killed, or the system refused it a call: the old state or the new one, each
//! whole, and the next command works.
//!
//! Everything is compiled before, so that a command is one process. `strace --inject` has each of its system calls fail, or
//! kills it there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tollgate::registry::{Registry, Selector};
use tollgate::{ArtifactKey, Engine};
use tollgate_audit::Digest;
use tollgate_workspace::chance::Chance;
use tollgate_workspace::foreign::missing;
use tollgate_workspace::guest;

use crate::Scale;

/// Two components that a tool may be, compiled in the cache of a home; in the folder `tools` beside it.
struct Lab {
    around: TempDir,
    engine: Engine,
    components: [Digest; 2],
    found: Mutex<Vec<String>>,
}

/// What is installed as [`TOOL`]: its current component, and all of them; none, if it is not installed.
type State = Option<(Digest, BTreeSet<Digest>)>;

/// A command on a home.
#[derive(Debug, Clone, Copy)]
struct Step {
    name: &'static str,
    /// What is done before, so that there is something to change.
    before: &'static [usize],
    does: Does,
}

#[derive(Debug, Clone, Copy)]
enum Does {
    Install(usize),
    Update(usize),
    Rollback,
    Remove,
    RemoveVersion(usize),
}

const STEPS: [Step; 6] = [
    Step { name: "install", before: &[], does: Does::Install(0) },
    Step { name: "install another", before: &[0], does: Does::Install(1) },
    Step { name: "update", before: &[0], does: Does::Update(1) },
    Step { name: "rollback", before: &[0, 1], does: Does::Rollback },
    Step { name: "remove", before: &[0, 1], does: Does::Remove },
    Step { name: "remove a version", before: &[0, 1], does: Does::RemoveVersion(0) },
];

/// Each system call of each command.
pub(crate) fn registry_faults(scale: Scale) {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return missing("`strace`", "apt.log");
    }
    let lab = Lab::new();
    for step in STEPS {
        let base = lab.base(step.before);
        let calls = lab.calls_of(&base, step);
        let each: u64 = calls.values().sum();
        let all = |effect: &str, (call, times): (&String, &u64)| -> Vec<String> {
            (1..=*times).map(|nth| format!("{call}:{effect}:when={nth}")).collect()
        };
        let kills = calls.iter().flat_map(|call| all("signal=SIGKILL", call)).collect();
        // What only reads fails as it does at any other place.
        let changes = calls.iter().filter(|(call, _)| scale.is_soak || CHANGES.contains(&call.as_str()));
        let failures = changes.flat_map(|call| all("error=EIO", call)).collect();
        let (killed, failed) = (lab.each(&base, step, kills), lab.each(&base, step, failures));
        println!("registry_faults: {}: killed at {killed} system calls, {failed} failed", step.name);
        assert!(killed * 10 >= each * 9, "{killed} of {each} were met");
    }
    assert_eq!(lab.found.into_inner().expect("a lock"), [""; 0], "see above");
}

/// SIGKILL at random moments, on one home.
pub(crate) fn registry_kills(scale: Scale) {
    let (rounds, seed) = (if scale.is_soak { 5 * scale.rounds } else { 200 }, scale.seed);
    println!("registry_kills: {rounds} rounds of seed {seed}");
    let lab = Lab::new();
    let home = lab.base(&[0, 1]);
    let started = Instant::now();
    assert!(lab.command(&home, Does::Update(0)).status().expect("this program").success());
    // How long one takes is only for the choice of a moment.
    let life_us = u64::try_from(started.elapsed().as_micros()).expect("less than an age") * 5 / 4;
    let mut hit = 0;
    for round in 0..rounds {
        let mut chance = Chance::of(seed, round);
        let there = lab.state(&home);
        let does = match (chance.below(6), &there) {
            (0 | 1, _) | (_, None) => Does::Install(usize::from(chance.below(2) == 0)),
            (2, _) => Does::Update(usize::from(chance.below(2) == 0)),
            (3, _) => Does::Remove,
            (4, Some((current, all))) if all.len() == 2 => {
                Does::RemoveVersion(usize::from(*current == lab.components[0]))
            }
            (_, _) => Does::Rollback,
        };
        let mut child = lab.command(&home, does).spawn().expect("this program");
        thread::sleep(Duration::from_micros(chance.below(life_us)));
        child.kill().expect("killed");
        let status = child.wait().expect("its end");
        hit += u64::from(status.signal().is_some());
        let after = lab.state(&home);
        let expected = lab.expected(&there, does);
        assert!(after == there || after == expected, "round {round} of seed {seed}: {does:?}: {there:?}, {after:?}");
    }
    println!("registry_kills: {hit} of {rounds} were killed before they ended");
    lab.next_works(&home);
}

impl Lab {
    fn new() -> Self {
        let around = tempfile::tempdir().expect("a folder");
        let guest = guest("json-query");
        let component = fs::read(guest.component).expect("a component");
        // One more custom section, named `x`.
        let other = [&component[..], b"\0\x02\x01x"].concat();
        let components = [Digest::of(&component), Digest::of(&other)];
        for (place, bytes) in [component, other].iter().enumerate() {
            let tool = around.path().join(format!("tools/{place}"));
            fs::create_dir_all(&tool).expect("a folder");
            fs::write(tool.join("tool.wasm"), bytes).expect("a file");
            let manifest = fs::read_to_string(guest.manifest).expect("a manifest");
            fs::write(tool.join("tool.toml"), manifest.replace("0.1.0", &format!("0.1.{place}"))).expect("a file");
        }
        let lab = Self { around, engine: Engine::new(1).expect("an engine"), components, found: Mutex::default() };
        let ready = lab.around.path().join("ready");
        for place in 0..2 {
            // It is compiled, and asked for its operations; what it answers does not matter.
            let args = ["--op", "none", "--ledger", "ledger"].map(str::to_owned);
            let component = lab.component(place);
            lab.program(&ready).arg("run").arg(component).args(args).output().expect("this program");
        }
        fs::remove_dir_all(ready.join("ledger")).unwrap_or_default();
        lab
    }

    fn component(&self, place: usize) -> PathBuf {
        self.around.path().join(format!("tools/{place}/tool.wasm"))
    }

    /// This program as `tollgate`, on a home.
    fn program(&self, home: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        fs::create_dir_all(home).expect("a folder");
        command.current_dir(self.around.path()).env("TOLLGATE_HOME", home).env_remove("TOLLGATE_LEDGER");
        command.stdin(Stdio::null());
        command
    }

    fn args(&self, does: Does) -> Vec<String> {
        let component = |place: usize| self.component(place).to_str().expect("text").to_owned();
        let words: Vec<String> = match does {
            Does::Install(place) => vec!["install".into(), component(place), "--name".into(), TOOL.into()],
            Does::Update(place) => vec!["update".into(), TOOL.into(), component(place), "--yes".into()],
            Does::Rollback => vec!["rollback".into(), TOOL.into()],
            Does::Remove => vec!["remove".into(), TOOL.into()],
            Does::RemoveVersion(place) => vec!["remove".into(), format!("{TOOL}@{}", self.components[place])],
        };
        words.into_iter().chain(["--json".to_owned()]).collect()
    }

    fn command(&self, home: &Path, does: Does) -> Command {
        let mut command = self.program(home);
        command.args(self.args(does)).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A home where these were installed one after the other.
    fn base(&self, installed: &[usize]) -> PathBuf {
        let home = self.around.path().join(format!("base-{}", installed.len()));
        fs::remove_dir_all(&home).unwrap_or_default();
        copy(&self.around.path().join("ready"), &home);
        for place in installed {
            let output = self.program(&home).args(self.args(Does::Install(*place))).output().expect("this program");
            assert!(output.status.success(), "{output:?}");
        }
        home
    }

    /// What is installed, all of it whole.
    fn state(&self, home: &Path) -> State {
        let registry = Registry::new(home.join("tools"));
        let key = ArtifactKey::open(&home.join("artifact.key")).expect("the key");
        let selector: Selector = TOOL.parse().expect("a name");
        let tool = registry.select(&selector).unwrap_or_else(|error| panic!("{error}"))?;
        for version in tool.versions() {
            let damage = version.damage(&key, &self.engine);
            assert!(damage.is_empty(), "{damage:?}");
        }
        let all = tool.record.versions().iter().map(|version| version.component).collect();
        Some((tool.installed.component, all))
    }

    /// What a step makes of a state. What it refuses stays.
    fn expected(&self, there: &State, does: Does) -> State {
        let other = |of: &Digest| if *of == self.components[0] { self.components[1] } else { self.components[0] };
        match (does, there.clone()) {
            (Does::Install(place), there) => {
                let mut all = there.map(|(_, all)| all).unwrap_or_default();
                all.insert(self.components[place]);
                Some((self.components[place], all))
            }
            (Does::Update(place), Some((_, mut all))) => {
                all.insert(self.components[place]);
                Some((self.components[place], all))
            }
            (Does::Rollback, Some((current, all))) if all.len() == 2 => Some((other(&current), all)),
            (Does::RemoveVersion(place), Some((current, mut all))) if current != self.components[place] => {
                all.remove(&self.components[place]);
                Some((current, all))
            }
            (Does::Remove, _) => None,
            (Does::Update(_) | Does::Rollback | Does::RemoveVersion(_), there) => there,
        }
    }

    /// How often one thread of a command makes each system call at most.
    fn calls_of(&self, base: &Path, step: Step) -> BTreeMap<String, u64> {
        let (home, log) = (self.place(base, 0), self.around.path().join("log"));
        let mut command = self.under_strace(&home, step.does, &["-o", log.to_str().expect("text")]);
        assert!(command.status().expect("strace").success(), "{}", step.name);
        assert_eq!(self.state(&home), self.expected(&self.state(base), step.does), "{}", step.name);
        let mut by_thread: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in fs::read_to_string(log).expect("a log").lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
            // A call that another thread interrupts is told in two lines.
            if call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                *by_thread.entry((thread.to_owned(), call.to_owned())).or_default() += 1;
            }
        }
        let mut calls: BTreeMap<String, u64> = BTreeMap::new();
        for ((_, call), times) in by_thread {
            let most = calls.entry(call).or_default();
            *most = times.max(*most);
        }
        // It makes no difference to anything that stays, and strace cannot stop it.
        calls.retain(|call, _| !matches!(call.as_str(), "exit_group" | "exit" | "execve"));
        calls
    }

    /// Runs a step with each of these faults; how many were met.
    fn each(&self, base: &Path, step: Step, faults: Vec<String>) -> u64 {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (next, faults) = (&next, &faults);
                    scope.spawn(move || {
                        let own = std::iter::from_fn(|| faults.get(next.fetch_add(1, Ordering::Relaxed)));
                        own.filter(|fault| self.interrupted(base, step, fault, thread)).count() as u64
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).sum()
        })
    }

    /// Runs a step with a fault on a copy of a home, and judges what is left; whether the fault was met.
    fn interrupted(&self, base: &Path, step: Step, fault: &str, thread: usize) -> bool {
        let (home, log) = (self.place(base, thread), self.around.path().join(format!("log-{thread}")));
        let inject = format!("inject={fault}");
        let (call, _) = fault.split_once(':').expect("a call");
        let trace = format!("trace={call}");
        let log_path = log.to_str().expect("text").to_owned();
        let mut command = self.under_strace(&home, step.does, &["-o", &log_path, "-e", &trace, "-e", &inject]);
        command.status().expect("strace");
        let log = fs::read_to_string(log).unwrap_or_default();
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let (before, after) = (self.state(base), self.state(&home));
            let expected = self.expected(&before, step.does);
            assert!(after == before || after == expected, "{before:?}, {after:?}");
            if contents(&home) != contents(base) {
                self.next_works(&home);
            }
        }));
        if judged.is_err() {
            eprintln!("{}, {fault}: {log}", step.name);
            self.found.lock().expect("a lock").push(format!("{}, {fault}", step.name));
        }
        log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
    }

    /// An installation goes well on what is left, and takes away what nothing refers to.
    fn next_works(&self, home: &Path) {
        let output = self.program(home).args(self.args(Does::Install(1))).output().expect("this program");
        assert!(output.status.success(), "{output:?}");
        let state = self.state(home);
        let (current, all) = state.expect("it is installed");
        assert_eq!(current, self.components[1]);
        let names = |path: &Path| -> Vec<String> {
            let entries = fs::read_dir(path).expect("a folder");
            let mut names: Vec<String> =
                entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(
            names(&home.join("tools")),
            [".lock", &format!("{TOOL}.json"), "components.sha256"],
            "nothing is left"
        );
        assert_eq!(names(&home.join("tools/components.sha256")).len(), all.len(), "nothing is left over");
        for component in fs::read_dir(home.join("tools/components.sha256")).expect("a folder") {
            assert_eq!(names(&component.expect("an entry").path()).len(), 4, "nothing is left over");
        }
    }

    /// A copy of a home.
    fn place(&self, base: &Path, thread: usize) -> PathBuf {
        let home = self.around.path().join(format!("place-{thread}"));
        fs::remove_dir_all(&home).unwrap_or_default();
        copy(base, &home);
        home
    }

    fn under_strace(&self, home: &Path, does: Does, options: &[&str]) -> Command {
        let mut command = Command::new("strace");
        let program = std::env::current_exe().expect("this program");
        command.args(["-f", "-qq", "-s", "0"]).args(options).arg(program).args(self.args(does));
        command.current_dir(self.around.path()).env("TOLLGATE_HOME", home).env_remove("TOLLGATE_LEDGER");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
}

/// All files of the store of a home, with their bytes.
fn contents(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![home.join("tools")];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path.strip_prefix(home).expect("below it").to_owned(), bytes);
            }
        }
    }
    found
}

const TOOL: &str = "a-tool";

/// How many commands are interrupted at once, each on a home of its own.
const THREADS: usize = 4;

/// What changes something that stays, or decides what is changed.
const CHANGES: [&str; 11] = [
    "mkdir",
    "write",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "flock",
    "getdents64",
];
