//! One capability set, two layers: whatever the gate allows, the kernel allows to a process sealed for that set; and what
//! the kernel allows beyond the gate is a loss of granularity that is known by name ([`losses::LOSSES`]).
//!
//! Sets and probes are drawn. Each probe is taken by a guest behind the real gate, and natively by a process that is
//! sealed as a worker is, below two trees of files that are alike. The tests have the harness of
//! `tests/support/own_main.rs`, since the sealed process must have one thread.

#![allow(clippy::disallowed_methods, reason = "processes are what is tested")]

mod losses;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::{Artifact, Caller, Request};
use tollgate_capability::{
    Access, AccessSet, Call, CapabilitySet, ClockCall, Decision, FsCapability, OnViolation, Patterns, PrivateSet,
    RandomCall, SocketCall, check,
};
use tollgate_workspace::{Lab, guest};
use tollgate_workspace::{own_main, sealed};

use losses::{Gate, LOSSES, Loss, OF_MOUNTS};
use tollgate_workspace::probe::{self, HOSTS, Op, Probe, Spot, To};

/// Sets in one run, each with [`PROBES`] probes and a sealed process of its own.
const CASES: u32 = 200;
const PROBES: usize = 48;

type Test = (&'static str, fn());

const TESTS: [Test; 5] = [
    ("every_loss_is_in_the_table_of_security_md", every_loss_is_in_the_table_of_security_md),
    ("everything_granted_allows_every_probe_inside", everything_granted_allows_every_probe_inside),
    ("what_the_gate_allows_the_kernel_allows_and_little_more", what_the_gate_allows_the_kernel_allows_and_little_more),
    ("beside_folders_the_kernel_leaves_clocks_and_randomness", beside_folders_the_kernel_leaves_clocks_and_randomness),
    ("tools_of_a_compartment_unite", tools_of_a_compartment_unite),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|role| role == SEALED) {
        sealed::main();
        return ExitCode::SUCCESS;
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    own_main::run_alone(&TESTS, &words)
}

/// The role of the sealed process.
const SEALED: &str = "sealed";

/// What is drawn: folders and probes.
#[derive(Debug, Clone)]
struct Case {
    folders: Vec<Folder>,
    probes: Vec<Probe>,
}

#[derive(Debug, Clone)]
struct Folder {
    host: &'static str,
    access: AccessSet,
    patterns: Patterns,
    quota: u64,
}

fn folder() -> impl Strategy<Value = Folder> {
    let access = prop_oneof![
        5 => proptest::sample::subsequence(Access::ALL.to_vec(), 0..=6),
        2 => Just(Access::ALL.to_vec()),
    ];
    let patterns = prop_oneof![
        8 => Just((vec![], vec![])),
        1 => Just((vec!["*.txt".to_owned()], vec![])),
        1 => Just((vec![], vec!["*.txt".to_owned()])),
        1 => Just((vec![], vec!["f*".to_owned()])),
        1 => Just((vec!["absent".to_owned()], vec![])),
    ];
    let quota = prop_oneof![6 => Just(1 << 20), 1 => Just(0)];
    (proptest::sample::select(HOSTS.to_vec()), access, patterns, quota).prop_map(
        |(host, access, (include, exclude), quota)| Folder {
            host,
            access: access.into_iter().collect(),
            patterns: Patterns::new(include, exclude).expect("patterns"),
            quota,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let choice = || (any::<proptest::sample::Index>(), any::<proptest::sample::Index>());
    let to = proptest::sample::select(vec![To::Beside, To::Within, To::Across]);
    // Flushing waits for the disk, and for whatever else writes there: seldom.
    let (flushing, other): (Vec<_>, Vec<_>) =
        Op::ALL.into_iter().partition(|op| matches!(op, Op::SyncFile | Op::SyncFolder));
    let op = prop_oneof![400 => proptest::sample::select(other), 1 => proptest::sample::select(flushing)];
    let probe = (op, choice(), choice(), to);
    let folders = prop_oneof![1 => 0..=0_usize, 20 => 1..=4_usize];
    (folders.prop_flat_map(|many| proptest::collection::vec(folder(), many)), proptest::collection::vec(probe, PROBES))
        .prop_map(|(folders, drawn)| {
            let spot = |(grant, way): (proptest::sample::Index, proptest::sample::Index)| {
                let hosts: Vec<_> = if folders.is_empty() { vec!["x"] } else { hosts_of(&folders) };
                let grant = grant.index(hosts.len());
                let ways = ways(hosts[grant]);
                Spot { grant: u16::try_from(grant).expect("few"), way: ways[way.index(ways.len())] }
            };
            let probes = drawn
                .into_iter()
                .enumerate()
                .map(|(number, (op, from, other, to))| {
                    let mut from = spot(from);
                    // The granted folder itself is flushed.
                    from.way = if op == Op::SyncFolder { "" } else { from.way };
                    Probe { op, from, other: spot(other), to, number }
                })
                .collect();
            Case { folders, probes }
        })
}

fn hosts_of(folders: &[Folder]) -> Vec<&'static str> {
    folders.iter().map(|folder| folder.host).collect()
}

/// The ways from a host folder to the host folders in it, itself among them.
fn ways(host: &str) -> Vec<&'static str> {
    HOSTS
        .into_iter()
        .filter_map(|other| other.strip_prefix(host))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .map(|rest| rest.trim_start_matches('/'))
        .collect()
}

/// How a probe ended: `ok`, or the error's name.
type Ends = Vec<String>;

/// A lab with the prober, and a set with nothing but its output streams.
struct Site {
    lab: Lab,
    component: Artifact,
    nothing: CapabilitySet,
    trees: TempDir,
    runs: Cell<u32>,
}

impl Site {
    fn new() -> Self {
        let lab = Lab::new();
        let prober = guest("probe-fs");
        let component = lab.component(prober).expect("a component");
        lab.folder("docs");
        let mut nothing = lab.set(prober, &["fs:/docs=docs:read,write,create,delete,list,metadata"]);
        nothing.fs.clear();
        nothing.limits.handles = 600;
        nothing.on_violation = OnViolation::Deny;
        // Thousands of files are made and removed: in memory, where there is such a folder.
        let trees = tempfile::tempdir_in("/dev/shm").or_else(|_none| tempfile::tempdir()).expect("a temporary folder");
        Self { lab, component, nothing, trees, runs: Cell::new(0) }
    }

    /// A tree of files for one run.
    fn tree(&self, case: &Case) -> PathBuf {
        self.runs.set(self.runs.get() + 1);
        let trees = fs::canonicalize(self.trees.path()).expect("a folder");
        let root = trees.join(self.runs.get().to_string());
        for folder in HOSTS.iter().chain(&["outside"]) {
            fs::create_dir_all(root.join(folder)).expect("a new folder");
        }
        fs::write(probe::outside(&root), "content").expect("a new file");
        let hosts = hosts_of(&case.folders);
        let hosts = if hosts.is_empty() { vec!["x"] } else { hosts };
        case.probes.iter().for_each(|probe| probe.build(&root, &hosts));
        root
    }

    fn set(&self, case: &Case, root: &Path) -> CapabilitySet {
        let folders = case.folders.iter().enumerate().map(|(place, folder)| FsCapability {
            patterns: folder.patterns.clone(),
            write_quota: folder.quota,
            ..FsCapability::new(format!("/g{place}"), root.join(folder.host), folder.access)
        });
        CapabilitySet { fs: folders.collect(), ..self.nothing.clone() }
    }

    /// Each probe by a guest behind the gate. A quota is each probe's own: calls do not share it.
    fn behind_the_gate(&mut self, case: &Case, set: &CapabilitySet) -> Ends {
        let tool = self.lab.load(guest("probe-fs"), &self.component, set.clone()).expect("a tool that loads");
        let steps: Vec<_> = case.probes.iter().map(Probe::step).collect();
        let arguments = json!({ "steps": steps }).to_string();
        let request =
            Request { operation: "raw", arguments: &arguments, stdin: Default::default(), caller: Caller::default() };
        let answer = tool.call(&request).unwrap_or_else(|failure| panic!("{failure}"));
        let outcomes: Vec<Value> = serde_json::from_str(&answer.output).expect("JSON");
        let end = |outcome: &Value| outcome["err"]["kind"].as_str().unwrap_or("ok").to_owned();
        outcomes.iter().map(end).collect()
    }
}

/// Each probe natively, by a process that is sealed for the sets.
fn natively(sets: &[&CapabilitySet], probes: &[Value]) -> Ends {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg(SEALED)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut text = String::new();
    for set in sets {
        text.push_str(&PrivateSet::new((*set).clone()).to_private_json().expect("a text"));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&Value::from(probes.to_vec()).to_string());
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a process that listens");
    let output = child.wait_with_output().expect("a process that ends");
    assert!(output.status.success(), "{:?}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What the kernel says where the seal is what stops a call: EPERM by the filter, the others by Landlock.
const DENIED: [&str; 3] = ["PERM", "ACCESS", "XDEV"];

fn everything_granted_allows_every_probe_inside() {
    let mut site = Site::new();
    let outside = [Op::FollowAway, Op::OpenPipe, Op::SymlinkOut, Op::StatOutside, Op::SetTimesOutside, Op::ReadOutside];
    let outside = [&outside[..], &[Op::WriteOutside, Op::LinkFromOutside]].concat();
    let all = |host| Folder {
        host,
        access: Access::ALL.into_iter().collect(),
        patterns: Patterns::default(),
        quota: 1 << 20,
    };
    for to in [To::Beside, To::Within, To::Across] {
        let (from, other) = (Spot { grant: 0, way: "in" }, Spot { grant: 1, way: "" });
        let probe = |(number, op)| Probe { op, from: from.clone(), other: other.clone(), to, number };
        let case =
            Case { folders: vec![all("x"), all("y")], probes: Op::ALL.into_iter().enumerate().map(probe).collect() };
        let root = site.tree(&case);
        let set = site.set(&case, &root);
        let ends = site.behind_the_gate(&case, &set);
        let root = site.tree(&case);
        let set = site.set(&case, &root);
        let native = sealed_ends(&case, &set, &root);
        for ((probe, gate), kernel) in case.probes.iter().zip(&ends).zip(&native) {
            let is_inside = !outside.contains(&probe.op);
            assert_eq!((gate == "ok"), is_inside, "{probe:?} behind the gate: {gate}");
            let is_reached = is_inside || matches!(probe.op, Op::FollowAway | Op::OpenPipe | Op::SymlinkOut);
            let is_seen = probe.op == Op::StatOutside;
            assert_eq!(kernel == "ok", is_reached || is_seen, "{probe:?} in a sealed process: {kernel}");
        }
    }
}

fn sealed_ends(case: &Case, set: &CapabilitySet, root: &Path) -> Ends {
    let hosts = hosts_of(&case.folders);
    let probes: Vec<Value> = case.probes.iter().map(|probe| probe.native(root, &hosts)).collect();
    natively(&[set], &probes)
}

fn what_the_gate_allows_the_kernel_allows_and_little_more() {
    let site = RefCell::new(Site::new());
    let seen = RefCell::new(BTreeMap::<&str, u64>::new());
    let both = Cell::new(0);
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, max_shrink_iters: 100, ..Config::default() });
    let ran = runner.run(&case(), |case| {
        let mut site = site.borrow_mut();
        let (gate_root, kernel_root) = (site.tree(&case), site.tree(&case));
        let (gate_set, kernel_set) = (site.set(&case, &gate_root), site.set(&case, &kernel_root));
        let kernel = sealed_ends(&case, &kernel_set, &kernel_root);
        let gate = site.behind_the_gate(&case, &gate_set);
        for ((probe, gate), kernel) in case.probes.iter().zip(&gate).zip(&kernel) {
            let what = || format!("{probe:?} under {:?}", kernel_set.fs);
            let (gate_allows, kernel_allows) = (gate == "ok", kernel == "ok");
            prop_assert!(kernel_allows || DENIED.contains(&kernel.as_str()), "{kernel} is no denial: {}", what());
            prop_assert_eq!(gate_allows, Gate::new(&gate_set, probe).allows([]), "the gate gave {}: {}", gate, what());
            prop_assert!(!gate_allows || kernel_allows, "allowed by the gate, {kernel} by the kernel: {}", what());
            both.set(both.get() + u64::from(gate_allows));
            let blind = Gate::new(&kernel_set, probe).allows(&LOSSES);
            prop_assert_eq!(kernel_allows, blind, "{}, and the known losses say otherwise: {}", kernel, what());
            if kernel_allows && !gate_allows {
                for (place, loss) in LOSSES.iter().enumerate() {
                    let others = LOSSES.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| other);
                    if !Gate::new(&kernel_set, probe).allows(others) {
                        *seen.borrow_mut().entry(loss.name).or_default() += 1;
                    }
                }
            }
        }
        drop((fs::remove_dir_all(gate_root), fs::remove_dir_all(kernel_root)));
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.into_inner();
    println!("allowed by both: {}; by the kernel alone, for want of: {seen:?}", both.get());
    assert!(both.get() > 500, "probes that were allowed: {}", both.get());
    for loss in &LOSSES {
        assert!(seen.contains_key(loss.name), "never seen: {} ({})", loss.name, loss.reason);
    }
}

fn every_loss_is_in_the_table_of_security_md() {
    let table = include_str!("../../SECURITY.md");
    let drawn = LOSSES.iter().map(|Loss { name, reason, .. }| (name, reason));
    for (name, reason) in drawn.chain(OF_MOUNTS.iter().map(|(name, reason)| (name, reason))) {
        assert!(table.contains(&format!("| {name} | {reason} |")), "SECURITY.md lacks: | {name} | {reason} |");
    }
}

/// What the gate denies to an empty set, and what a process that is sealed for an empty set can still do: read clocks
/// without a system call, and make random bytes, which it needs itself.
fn beside_folders_the_kernel_leaves_clocks_and_randomness() {
    let nothing = CapabilitySet::default();
    let denied = [
        Call::Clock(ClockCall::WallClock),
        Call::Clock(ClockCall::MonotonicClock),
        Call::Random(RandomCall::RandomBytes { bytes: 1 }),
        Call::Socket(SocketCall::CreateTcpSocket { family: tollgate_capability::AddressFamily::Ipv4 }),
        Call::Socket(SocketCall::CreateUdpSocket { family: tollgate_capability::AddressFamily::Ipv6 }),
        Call::Socket(SocketCall::ResolveAddresses { name: "localhost".to_owned() }),
    ];
    assert!(denied.iter().all(|call| matches!(check(&nothing, call), Decision::Deny(_))));
    let probes = ["clocks", "random", "tcp", "tcp6", "udp", "unix", "StatOutside", "ReadOutside"];
    let asked: Vec<_> = probes.iter().map(|op| json!({ "op": op, "outside": "/etc/passwd" })).collect();
    assert_eq!(natively(&[&nothing], &asked), ["ok", "ok", "PERM", "PERM", "PERM", "PERM", "PERM", "PERM"]);
}

/// The tools of a compartment have one seal: the kernel lets each do what any of them may. The gate does not.
fn tools_of_a_compartment_unite() {
    let site = Site::new();
    let folder = |host, access| Folder {
        host,
        access: [access].into_iter().collect(),
        patterns: Patterns::default(),
        quota: 1 << 20,
    };
    let probe = |(number, op)| {
        let spot = Spot { grant: 0, way: "" };
        Probe { op, from: spot.clone(), other: spot, to: To::Beside, number }
    };
    let case = |folders| Case { folders, probes: [Op::Read, Op::Write].into_iter().enumerate().map(probe).collect() };
    let (reads, writes) = (case(vec![folder("x", Access::Read)]), case(vec![folder("x/in", Access::Write)]));
    let root = site.tree(&reads);
    writes.probes.iter().for_each(|probe| probe.build(&root, &["x/in"]));
    let sets = [site.set(&reads, &root), site.set(&writes, &root)];
    let both = |case: &Case| {
        let hosts = hosts_of(&case.folders);
        let probes: Vec<_> = case.probes.iter().map(|probe| probe.native(&root, &hosts)).collect();
        [natively(&[&sets[0], &sets[1]], &probes), natively(&[&sets[0]], &probes), natively(&[&sets[1]], &probes)]
    };
    assert_eq!(
        both(&reads),
        [["ok", "ACCESS"], ["ok", "ACCESS"], ["ACCESS", "ACCESS"]].map(|ends| ends.map(str::to_owned))
    );
    assert_eq!(both(&writes), [["ok", "ok"], ["ok", "ACCESS"], ["ACCESS", "ok"]].map(|ends| ends.map(str::to_owned)));
}
