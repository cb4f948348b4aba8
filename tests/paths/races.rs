//! A file or folder that is swapped for a link while the guest opens it gives never a byte of what the link leads to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tollgate_capability::CapabilitySet;

use tollgate_workspace::site::{SECRET, Site};

const CALLS: usize = 8;
const STEPS: usize = 300;
const KEY: &str = "EXCLUDED";

/// How long a file stands at a name, and then nothing: about as long as a call takes from its look to its effect.
const APPEARS: Duration = Duration::from_micros(20);

/// Exchanges two names again and again until it is dropped.
struct Flipper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Flipper {
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut flips = 0;
            while !stopped.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).expect("an exchange");
                flips += 1;
            }
            flips
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Flipper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a thread");
        let flips = thread.join().expect("exchanges that work");
        assert!(flips > 0, "the names were exchanged");
    }
}

/// Takes a step many times while `flip` in `docs/` is exchanged with `flip` in `spare/`; gives every answer.
fn race(site: &mut Site, set: CapabilitySet, operation: &str, step: &Value) -> BTreeSet<String> {
    let tool = site.lenient(set);
    let flipper = Flipper::start(site.lab.path("docs/flip"), site.lab.path("spare/flip"));
    let mut seen = BTreeSet::new();
    let steps = vec![step.clone(); STEPS];
    for _call in 0..CALLS {
        let taken = site.steps(&tool, operation, &steps);
        seen.extend(taken.outcomes.iter().map(told));
        for line in &taken.record {
            assert!(ALLOWED_ENDS.iter().any(|end| line.end.starts_with(end)), "{line}");
        }
    }
    drop(flipper);
    site.lab.verified();
    seen
}

/// What an intent in a race may come to.
const ALLOWED_ENDS: [&str; 9] = [
    "ok",
    "raced",
    "exist",
    "no-entry",
    "loop",
    "not-directory",
    "is-directory",
    "gate deny fs:/docs",
    "kernel deny fs:/docs",
];

fn told(outcome: &Value) -> String {
    match (outcome["ok"].as_str(), outcome["err"]["kind"].as_str()) {
        (Some(text), None) => format!("ok {text}"),
        (None, Some(kind)) => kind.to_owned(),
        _other => outcome.to_string(),
    }
}

fn assert_only(seen: &BTreeSet<String>, allowed: &[&str]) {
    assert!(seen.iter().all(|told| allowed.contains(&told.as_str())), "{seen:?}");
}

fn raced_site() -> Site {
    let site = Site::odd();
    site.lab.folder("spare");
    site.lab.file("docs/flip", "inside");
    site
}

fn run_read(path: &str) -> Value {
    json!({ "op": "read", "path": path })
}

#[test]
fn a_file_swapped_for_a_link_out_is_never_read() {
    for text in ["../outside/secret.txt", "sub/../../outside/secret.txt"] {
        let mut site = raced_site();
        site.symlink(text, "spare/flip");
        let set = site.set("read");
        let seen = race(&mut site, set, "run", &run_read("/docs/flip"));
        assert_only(&seen, &["ok inside", "PermissionDenied", "ResourceBusy"]);
    }
}

#[test]
fn a_file_swapped_for_a_link_out_is_never_written() {
    let mut site = raced_site();
    let secret = site.lab.path("outside/secret.txt");
    site.symlink(secret.to_str().expect("a temporary folder"), "spare/flip");
    for op in ["write", "truncate", "append", "overwrite", "create-new", "set-times"] {
        let step = json!({ "op": op, "path": "/docs/flip", "data": "x" });
        let set = site.set("read,write,create,metadata");
        let seen = race(&mut site, set, "run", &step);
        assert_only(&seen, &["{\"ok\":null}", "PermissionDenied", "ResourceBusy", "AlreadyExists"]);
    }
    assert_eq!(site.text("outside/secret.txt"), SECRET);
}

#[test]
fn a_folder_swapped_for_a_link_out_leads_nowhere() {
    let mut site = Site::odd();
    site.lab.folder("spare");
    site.lab.file("docs/flip/secret.txt", "inside");
    site.symlink("../outside", "spare/flip");
    let before = site.snapshot();
    let set = site.set("read,write,create,delete,list,metadata");
    let read = run_read("/docs/flip/secret.txt");
    let seen = race(&mut site, set.clone(), "run", &read);
    assert_only(&seen, &["ok inside", "PermissionDenied", "ResourceBusy"]);
    for (op, path, to) in [
        ("mkdir", "/docs/flip/made", ""),
        ("rmdir", "/docs/flip/made", ""),
        ("rename", "/docs/a.txt", "/docs/flip/moved"),
        ("hard-link", "/docs/sub/b.txt", "/docs/flip/linked"),
        ("unlink", "/docs/flip/secret.txt", ""),
        ("list", "/docs/flip", ""),
    ] {
        let step = json!({ "op": op, "path": path, "to": to });
        race(&mut site, set.clone(), "run", &step);
    }
    let after = site.snapshot();
    let outside = |path: &PathBuf| path.starts_with("outside");
    let kept: Vec<_> = after.0.iter().filter(|(path, _)| outside(path)).collect();
    assert_eq!(kept, before.0.iter().filter(|(path, _)| outside(path)).collect::<Vec<_>>());
}

#[test]
fn a_file_swapped_for_a_link_to_an_excluded_file_is_never_read() {
    let mut site = raced_site();
    site.lab.file("docs/secret/key", KEY);
    site.symlink("secret/key", "spare/flip");
    let set = site.patterned("read", &[], &["secret"]);
    let seen = race(&mut site, set, "run", &run_read("/docs/flip"));
    assert_only(&seen, &["ok inside", "PermissionDenied", "ResourceBusy"]);
}

#[test]
fn a_folder_swapped_for_a_link_to_an_excluded_one_is_never_read_or_listed() {
    let mut site = Site::odd();
    site.lab.folder("spare");
    site.lab.file("docs/flip/key", "inside");
    site.lab.file("docs/secret/key", KEY);
    site.lab.file("docs/secret/hidden", KEY);
    site.symlink("secret", "spare/flip");
    let set = site.patterned("read,list", &[], &["secret"]);
    let seen = race(&mut site, set.clone(), "run", &run_read("/docs/flip/key"));
    assert_only(&seen, &["ok inside", "PermissionDenied", "ResourceBusy"]);
    let seen = race(&mut site, set, "run", &json!({ "op": "list", "path": "/docs/flip" }));
    assert_only(&seen, &["{\"ok\":[\"key\"]}", "PermissionDenied", "ResourceBusy"]);
}

#[test]
fn a_file_swapped_for_a_fifo_blocks_nobody() {
    let mut site = raced_site();
    site.fifo("spare/flip");
    let set = site.set("read,write");
    let seen = race(&mut site, set.clone(), "run", &run_read("/docs/flip"));
    assert_only(&seen, &["ok inside", "PermissionDenied", "ResourceBusy"]);
    let seen = race(&mut site, set, "run", &json!({ "op": "overwrite", "path": "/docs/flip", "data": "x" }));
    assert_only(&seen, &["{\"ok\":null}", "PermissionDenied", "ResourceBusy"]);
}

#[test]
fn a_new_name_is_never_taken_from_what_appears_there() {
    let mut site = Site::odd();
    let set = site.two("read,delete", "read,create");
    let tool = site.lenient(set);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, taken) = (Arc::clone(&stop), site.lab.path("other/new"));
    // Puts a file of its own at the new name and takes it away; counts how often another's was there instead.
    let own = site.lab.file("spare/own", "own");
    let inode = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.ino()).ok();
    let appears = std::thread::spawn(move || {
        let (mut linked, mut replaced) = (0, 0);
        while !stopped.load(Ordering::Relaxed) {
            if fs::hard_link(&own, &taken).is_ok() {
                linked += 1;
                std::thread::sleep(APPEARS);
                replaced += u32::from(inode(&taken) != inode(&own));
            }
            fs::remove_file(&taken).ok();
            std::thread::sleep(APPEARS);
        }
        (linked, replaced)
    });
    let name = |step: usize| format!("flip-{step}");
    let step =
        |step| json!({ "op": "rename-at", "base": "/docs", "path": name(step), "to_base": "/other", "to": "new" });
    let steps: Vec<_> = (0..STEPS).map(step).collect();
    for _call in 0..CALLS {
        for step in 0..STEPS {
            fs::write(site.lab.path("docs").join(name(step)), "moved").expect("a file");
        }
        let taken = site.raw(&tool, &steps);
        let allowed = ["ok", "exist", "not-permitted", "busy"];
        assert!(taken.codes().iter().all(|code| allowed.contains(code)), "{:?}", taken.codes());
    }
    stop.store(true, Ordering::Relaxed);
    let (linked, replaced) = appears.join().expect("a thread");
    assert_eq!(replaced, 0, "of {linked} files, nothing may be replaced without the right to delete");
    site.lab.verified();
}

/// A file is decided on, and a folder stands at its name when it is moved: `/other` may be listed and `/docs` not, so that a
/// folder would gain what a file would not. Each that gets there is a violation on record, and ends the call.
#[test]
fn a_folder_swapped_in_for_a_file_that_is_renamed_is_a_violation() {
    let mut site = raced_site();
    site.lab.file("spare/flip/inner", "inner");
    let set = site.two("delete,read", "create,read,list");
    let tool = site.lenient(set);
    let (one, other) = (site.lab.path("docs/flip"), site.lab.path("spare/flip"));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    // While the one is moved away there is nothing to exchange.
    let flipper = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).ok();
        }
    });
    let moved = json!({ "op": "rename-at", "base": "/docs", "path": "flip", "to_base": "/other", "to": "moved" });
    let (mut violations, mut folders) = (0, 0);
    for _call in 0..CALLS * STEPS {
        let ended = site.ended(&tool, "raw", std::slice::from_ref(&moved));
        let there = site.lab.path("other/moved");
        let is_folder = there.is_dir();
        folders += u32::from(is_folder);
        for line in &ended {
            let exchanged = line.end.starts_with("kernel kill fs:/other:same");
            violations += u32::from(exchanged);
            assert!(!is_folder || line.end != "ok", "a folder was moved, and the record says {line}");
            assert!(exchanged || ALLOWED_ENDS.iter().any(|end| line.end.starts_with(end)) || denied(line), "{line}");
        }
        if fs::symlink_metadata(&there).is_ok() {
            fs::rename(&there, site.lab.path("docs/flip")).expect("what was moved goes back");
        }
    }
    stop.store(true, Ordering::Relaxed);
    flipper.join().expect("a thread");
    println!("{folders} folders were moved, {violations} violations");
    assert!(folders <= violations, "{folders} folders were moved, {violations} violations");
    site.lab.verified();
}

fn denied(line: &tollgate_workspace::site::Line) -> bool {
    line.end.starts_with("gate deny fs:/other:no-gain")
}
