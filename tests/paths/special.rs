//! Devices, FIFOs and sockets below a granted folder are refused before they are opened.

use std::fs;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::io::Errno;
use serde_json::{Value, json};
use tollgate_capability::Reason;

use tollgate_workspace::site::{ALL, Refusal, Site, read, step, step_to, write};

fn refusals(path: &str) -> Vec<Refusal> {
    let open = |open: &[&str], flags: &[&str]| -> Value {
        json!({ "op": "open-at", "base": "/docs", "path": path, "open": open, "flags": flags, "follow": true })
    };
    let mut steps = vec![read(path), write(path, "x"), open(&[], &[]), open(&[], &["read", "write"])];
    steps.extend([open(&["truncate"], &[]), open(&["create", "exclusive"], &["write"]), open(&["directory"], &[])]);
    steps.into_iter().map(|step| Refusal::new(step, "fs:/docs:regular", Reason::NotRegular)).collect()
}

#[test]
fn a_fifo_without_a_reader_or_writer_blocks_nobody() {
    let mut site = Site::new();
    site.fifo("docs/pipe");
    site.symlink("pipe", "docs/link");
    site.refused(&site.set(ALL), &refusals("pipe"));
    // What must be new is looked for at the link itself.
    let is_new = |refusal: &Refusal| refusal.step["open"] == json!(["create", "exclusive"]);
    let (new, followed): (Vec<_>, Vec<_>) = refusals("link").into_iter().partition(is_new);
    site.refused(&site.set(ALL), &followed);
    let tool = site.load(site.set(ALL));
    assert_eq!(site.raw(&tool, &[new[0].step.clone()]).codes(), ["exist"]);
    let unfollowed = json!({ "op": "open-at", "base": "/docs", "path": "link", "flags": ["read"] });
    let strict = site.load(site.set(ALL));
    assert_eq!(site.raw(&strict, &[unfollowed]).codes(), ["loop"]);
}

#[test]
fn a_socket_is_refused() {
    let mut site = Site::new();
    let listener = UnixListener::bind(site.lab.path("docs/socket")).expect("a socket");
    site.refused(&site.set(ALL), &refusals("socket"));
    drop(listener);
}

#[test]
fn a_device_is_refused() {
    let mut site = Site::new();
    let null = (FileType::CharacterDevice, makedev(1, 3));
    let made = rustix::fs::mknodat(CWD, site.lab.path("docs/null"), null.0, Mode::from_raw_mode(0o666), null.1);
    if let Err(Errno::PERM | Errno::ACCESS) = made {
        println!("skipped: this user may not make device nodes");
        return;
    }
    made.expect("a device node");
    site.refused(&site.set(ALL), &refusals("null"));
}

#[test]
fn special_files_can_be_asked_about_and_taken_away() {
    let mut site = Site::new();
    site.fifo("docs/pipe");
    let strict = site.load(site.set(ALL));
    let listed = json!({ "op": "preopen", "base": "/docs", "then": "read-directory" });
    let taken = site.raw(&strict, &[step("stat-at", "pipe"), listed, step("unlink-file-at", "pipe")]);
    assert_eq!(taken.outcomes[0]["ok"]["type"], "fifo");
    assert_eq!(taken.outcomes[1]["ok"], json!(["a.txt", "pipe", "sub"]));
    assert_eq!(taken.codes(), ["ok"; 3]);
    assert!(fs::symlink_metadata(site.lab.path("docs/pipe")).is_err());
}

#[test]
fn special_files_get_no_other_name() {
    let mut site = Site::new();
    site.fifo("docs/pipe");
    let refused = |step| Refusal::new(step, "fs:/docs:regular", Reason::NotRegular);
    let steps = [
        step_to("rename-at", "pipe", "moved"),
        step_to("rename-at", "pipe", "a.txt"),
        step_to("link-at", "pipe", "sub/pipe"),
    ];
    site.refused(&site.set(ALL), &steps.map(refused));
    let strict = site.load(site.set(ALL));
    assert_eq!(site.raw(&strict, &[step_to("rename-at", "a.txt", "pipe")]).codes(), ["ok"], "it can be replaced");
}

#[test]
fn under_patterns_a_special_file_is_judged_by_its_name_first() {
    let mut site = Site::new();
    site.fifo("docs/pipe");
    site.fifo("docs/pipe.txt");
    let set = site.patterned(ALL, &["*.txt"], &[]);
    site.refused(&set, &[Refusal::new(read("pipe"), "fs:/docs:patterns", Reason::Excluded)]);
    site.refused(&set, &[Refusal::new(read("pipe.txt"), "fs:/docs:regular", Reason::NotRegular)]);
}
