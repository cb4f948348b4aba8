//! Mounts below a granted folder, real ones, in a mount namespace of this test's own: no call reaches them without
//! `mounts = true`, and no call ever reaches a file system of the kernel's own.
//!
//! Where such a namespace cannot be made the tests are SKIPPED; in CI as root that is a failure.

#![allow(clippy::disallowed_methods, reason = "mounts and processes are what is tested")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_capability::{CapabilitySet, OnViolation, PrivateSet, Reason};
use tollgate_workspace::WORDS_OF_MOUNTS;
use tollgate_workspace::foreign::{is_ci, skipped};
use tollgate_workspace::{own_main, sealed};

use tollgate_workspace::site::{ALL, Refusal, SECRET, Site, read, step, step_to, write};

/// The role of the process in the namespace.
const INSIDE: &str = "inside";
/// The role of a process that is sealed as a worker is.
const SEALED: &str = "sealed";
const MOUNTS: &str = "fs:/docs:mounts";

type Test = (&'static str, fn());

const TESTS: [Test; 8] = [
    ("a_mount_is_reached_by_no_call", a_mount_is_reached_by_no_call),
    ("a_mounted_file_is_reached_by_no_call", a_mounted_file_is_reached_by_no_call),
    ("mounts_that_are_granted_are_part_of_the_folder", mounts_that_are_granted_are_part_of_the_folder),
    ("a_granted_folder_may_be_a_mount_itself", a_granted_folder_may_be_a_mount_itself),
    (
        "file_systems_of_the_kernel_are_refused_in_granted_mounts",
        file_systems_of_the_kernel_are_refused_in_granted_mounts,
    ),
    ("a_file_system_of_the_kernel_is_no_granted_folder", a_file_system_of_the_kernel_is_no_granted_folder),
    ("a_link_out_is_told_from_a_mount", a_link_out_is_told_from_a_mount),
    ("the_kernel_layer_follows_mounts", the_kernel_layer_follows_mounts),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words.contains(&"--list") {
        return own_main::run_alone(&TESTS, &words);
    }
    if arguments.first().is_some_and(|role| role == SEALED) {
        sealed::main();
        return ExitCode::SUCCESS;
    }
    if arguments.first().is_some_and(|role| role == INSIDE) {
        return own_main::run_alone(&TESTS, &words[1..]);
    }
    for (word, test) in WORDS_OF_MOUNTS {
        assert!(TESTS.iter().any(|(name, _)| *name == test), "{word}: there is no test {test}");
    }
    let program = std::env::current_exe().expect("this program");
    let unshared = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        command
    };
    if !unshared().arg("true").status().is_ok_and(|status| status.success()) {
        skipped("mounts: no mount namespace can be made (root?)");
        return if is_root() && is_ci() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let status = unshared().arg(program).arg(INSIDE).args(&arguments).status().expect("a process");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A mount that is taken away when it is dropped, before the folder that it is in.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn bind(from: &Path, at: &'a Path) -> Self {
        let status = Command::new("mount").arg("--bind").args([from, at]).status();
        assert!(status.expect("a process").success(), "{} at {}", from.display(), at.display());
        Self(at)
    }

    /// `None` where this kernel, or this namespace, has no such file system to mount.
    fn of(kind: &str, at: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", kind, kind]).arg(at).output().expect("a process");
        mounted.status.success().then_some(Self(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(self.0).status().expect("a process");
    }
}

fn refused(step: Value) -> Refusal {
    Refusal::new(step, MOUNTS, Reason::Mount)
}

/// Takes each step, which the gate lets pass and the kernel stops, as told.
fn stopped_by_kernel(site: &mut Site, set: &CapabilitySet, steps: &[Value], reason: Reason) {
    let before = site.snapshot();
    let lenient = site.lenient(set.clone());
    let taken = site.raw(&lenient, steps);
    assert_eq!(taken.codes(), vec!["not-permitted"; steps.len()], "{steps:?}");
    for line in &taken.record {
        assert_eq!(line.end, format!("kernel deny {MOUNTS}: {reason}"), "{line}");
    }
    assert_eq!(taken.record.len(), steps.len());
    assert_eq!(site.snapshot(), before);
    site.lab.verified();
}

fn a_mount_is_reached_by_no_call() {
    let mut site = Site::new();
    let at = site.lab.folder("docs/mnt");
    site.lab.folder("outside/empty");
    site.symlink("secret.txt", "outside/link");
    let outside = site.lab.path("outside");
    site.symlink("mnt/secret.txt", "docs/way");
    let mount = Mount::bind(&outside, &at);
    let followed = |op: &str, path: &str| json!({ "op": op, "base": "/docs", "path": path, "follow": true });
    let refusals = [
        refused(read("mnt/secret.txt")),
        refused(read("way")),
        refused(write("mnt/secret.txt", "x")),
        refused(write("mnt/new", "x")),
        refused(json!({ "op": "open-at", "base": "/docs", "path": "mnt", "open": ["directory"] })),
        refused(step("stat-at", "mnt")),
        refused(step("stat-at", "mnt/secret.txt")),
        refused(followed("stat-at", "way")),
        refused(step("metadata-hash-at", "mnt/secret.txt")),
        refused(step("set-times-at", "mnt/secret.txt")),
        refused(step("create-directory-at", "mnt/new")),
        refused(step("remove-directory-at", "mnt/empty")),
        refused(step("remove-directory-at", "mnt")),
        refused(step("unlink-file-at", "mnt/secret.txt")),
        refused(step_to("rename-at", "mnt/secret.txt", "new")),
        refused(step_to("rename-at", "mnt/secret.txt", "mnt/new")),
        refused(step_to("rename-at", "a.txt", "mnt/new")),
        refused(step_to("rename-at", "mnt", "moved")),
        refused(step_to("link-at", "mnt/secret.txt", "new")),
        refused(step("readlink-at", "mnt/link")),
    ];
    site.refused(&site.set(ALL), &refusals);
    let kernel = [step_to("symlink-at", "a.txt", "mnt/new"), step_to("link-at", "a.txt", "mnt/new")];
    let set = site.set(ALL);
    stopped_by_kernel(&mut site, &set, &kernel, Reason::Mount);
    drop(mount);
    assert_eq!(site.text("outside/secret.txt"), SECRET);
}

fn a_mounted_file_is_reached_by_no_call() {
    let mut site = Site::new();
    let at = site.lab.file("docs/mounted", "below");
    let secret = site.lab.path("outside/secret.txt");
    let mount = Mount::bind(&secret, &at);
    let refusals = [
        refused(read("mounted")),
        refused(write("mounted", "x")),
        refused(step("stat-at", "mounted")),
        refused(step("unlink-file-at", "mounted")),
        refused(step_to("link-at", "mounted", "new")),
        refused(step_to("rename-at", "mounted", "new")),
    ];
    site.refused(&site.set(ALL), &refusals);
    drop(mount);
    assert_eq!(site.text("outside/secret.txt"), SECRET);
}

fn with_mounts(site: &Site) -> CapabilitySet {
    let mut set = site.set(ALL);
    set.fs[0].mounts = true;
    set
}

fn mounts_that_are_granted_are_part_of_the_folder() {
    let mut site = Site::new();
    let at = site.lab.folder("docs/mnt");
    let outside = site.lab.path("outside");
    let mount = Mount::bind(&outside, &at);
    let set = with_mounts(&site);
    let tool = site.load(set);
    let steps = [read("mnt/secret.txt"), write("mnt/new", "new"), step_to("rename-at", "mnt/new", "mnt/newer")];
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), ["ok"; 3]);
    assert_eq!(taken.outcomes[0]["ok"], SECRET);
    let across =
        site.raw(&tool, &[step_to("rename-at", "a.txt", "mnt/a.txt"), step_to("link-at", "a.txt", "mnt/a.txt")]);
    assert_eq!(across.codes(), ["cross-device"; 2], "names stay in their mount, says the kernel");
    drop(mount);
    assert_eq!(site.text("outside/newer"), "new");
}

fn a_granted_folder_may_be_a_mount_itself() {
    let mut site = Site::new();
    let at = site.lab.path("docs");
    let outside = site.lab.path("outside");
    let set = site.set(ALL);
    let mount = Mount::bind(&outside, &at);
    let tool = site.load(set);
    assert_eq!(site.raw(&tool, &[read("secret.txt")]).outcomes[0]["ok"], SECRET);
    drop(mount);
}

/// What can be mounted here; procfs always can.
const PSEUDO: [&str; 8] = ["proc", "sysfs", "devpts", "cgroup2", "mqueue", "debugfs", "tracefs", "devtmpfs"];

fn file_systems_of_the_kernel_are_refused_in_granted_mounts() {
    let mut site = Site::new();
    let at = site.lab.folder("docs/mnt");
    let mut tried = Vec::new();
    for kind in PSEUDO {
        let Some(mount) = Mount::of(kind, &at) else { continue };
        tried.push(kind);
        let set = CapabilitySet { on_violation: OnViolation::Deny, ..with_mounts(&site) };
        let tool = site.load(set);
        let steps = [
            json!({ "op": "open-at", "base": "/docs", "path": "mnt", "open": ["directory"] }),
            step("stat-at", "mnt"),
            write("mnt/new", "x"),
            step("create-directory-at", "mnt/new"),
            step_to("rename-at", "a.txt", "mnt/new"),
            step("readlink-at", "mnt/self"),
            step_to("symlink-at", "a.txt", "mnt/new"),
        ];
        let taken = site.raw(&tool, &steps);
        assert_eq!(taken.codes(), vec!["not-permitted"; steps.len()], "{kind}");
        for (line, layer) in taken.record.iter().zip(["gate"; 6].into_iter().chain(["kernel"])) {
            assert_eq!(line.end, format!("{layer} deny {MOUNTS}: {}", Reason::Pseudo), "{kind}: {line}");
        }
        drop(mount);
    }
    println!("refused: {tried:?}");
    assert!(tried.contains(&"proc"), "{tried:?}");
    let mount = Mount::of("tmpfs", &at).expect("a file system in memory");
    let tool = site.load(with_mounts(&site));
    assert_eq!(site.raw(&tool, &[write("mnt/new", "x"), read("mnt/new")]).codes(), ["ok"; 2], "tmpfs holds files");
    drop(mount);
}

fn a_file_system_of_the_kernel_is_no_granted_folder() {
    let mut site = Site::new();
    let at = site.lab.path("docs");
    for mounts in [false, true] {
        let mut set = site.set(ALL);
        set.fs[0].mounts = mounts;
        let tool = site.load(set);
        let mount = Mount::of("proc", &at).expect("procfs");
        let failure = site.fails(&tool, "raw", &[read("self/environ")]);
        let CallError::Internal(message) = &failure.error else { panic!("{:?}", failure.error) };
        assert!(message.contains("it is in a file system of the kernel's own"), "{message}");
        drop(mount);
    }
}

fn a_link_out_is_told_from_a_mount() {
    let mut site = Site::new();
    let at = site.lab.folder("docs/mnt");
    let outside = site.lab.path("outside");
    site.symlink("../outside", "docs/out");
    let mount = Mount::bind(&outside, &at);
    let beneath = Refusal::new(read("out/secret.txt"), "fs:/docs:beneath", Reason::LinkOutside);
    site.refused(&site.set(ALL), &[beneath.clone(), refused(read("mnt/secret.txt"))]);
    let set = with_mounts(&site);
    site.refused(&set, &[beneath]);
    drop(mount);
}

/// The gate alone tells a mount from the folder around it: it is in the table of SECURITY.md.
fn the_kernel_layer_follows_mounts() {
    let mut site = Site::new();
    let at = site.lab.folder("docs/mnt");
    let outside = site.lab.path("outside");
    let mount = Mount::bind(&outside, &at);
    let set = site.set("read");
    site.refused(&set, &[refused(read("mnt/secret.txt"))]);
    let read = json!({ "op": "Read", "from": site.lab.path("docs"), "path": "mnt/secret.txt" });
    let around = json!({ "op": "ReadOutside", "outside": site.lab.path("outside/secret.txt") });
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg(SEALED)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let sets = PrivateSet::new(set).to_private_json().expect("a text");
    let text = format!("{sets}\n\n{}", json!([read, around]));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("a process that listens");
    let output = child.wait_with_output().expect("a process that ends");
    let ends: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(ends, json!(["ok", "ACCESS"]), "what is mounted there is reached, and by no other way");
    drop(mount);
}
