//! `tollgate doctor` and `tollgate inspect --kernel`: the second line of defence, without running anything.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::desk::{DOCS, Desk};

/// A kernel without Landlock, as the program sees it.
fn without_landlock(command: &mut Command) {
    let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    #[allow(unsafe_code, reason = "the filter must be there before the program is")]
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing where they succeed.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other));
    }
}

#[test]
fn doctor_says_whether_tools_run_here() {
    let desk = Desk::new();
    let here = desk.run(&["doctor", "--json"]).json();
    let full = here["level"] == "full";
    assert_eq!(here["tools_run"], full, "{here}");
    assert_eq!(here["required"], "full");
    assert_eq!(here["policy"], serde_json::Value::Null);
    assert!(here["features"].as_array().unwrap().len() > 15, "{here}");
    let ran = desk.run(&["doctor"]);
    assert_eq!(ran.code, if full { 0 } else { 2 }, "{}", ran.stdout);
}

#[test]
fn doctor_names_the_key_where_the_kernel_is_below_the_floor() {
    let desk = Desk::new();
    let doctor = |args: &[&str]| {
        let mut command = desk.command(args);
        without_landlock(&mut command);
        desk.ran(&command.output().unwrap())
    };
    let ran = doctor(&["doctor"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stdout.contains("level `none`"), "{}", ran.stdout);
    assert!(ran.stdout.contains("[sandbox]\n  require = \"none\""), "{}", ran.stdout);
    assert!(ran.stdout.contains("missing: Landlock: files and folders (ABI 1, Linux 5.13)"), "{}", ran.stdout);

    desk.file("tollgate.toml", "[sandbox]\nrequire = \"none\"\n");
    let ran = doctor(&["doctor"]);
    ran.fails(2, &["reaches farther than its own folder: less of the kernel's seal than `full`", "tollgate trust"]);
    assert_eq!(desk.run(&["trust"]).code, 0);
    let ran = doctor(&["doctor", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let json = ran.json();
    assert_eq!((&json["level"], &json["required"], &json["tools_run"]), (&"none".into(), &"none".into(), &true.into()));
    assert_eq!(json["policy"], "tollgate.toml");

    desk.file("other.toml", "[sandbox]\nrequire = \"partial\"\n");
    assert_eq!(doctor(&["doctor", "--policy", "other.toml"]).code, 2);
}

#[test]
fn inspect_prints_what_the_kernel_leaves_a_worker() {
    let desk = Desk::with("word-count");
    let ran = desk.run(&[&["inspect", "tools/word-count.wasm", "--kernel"], &DOCS[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("FOLDER/docs  READ_FILE READ_DIR  (/docs: read,list)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("fs write              pwrite64"), "{}", ran.stdout);

    let json = desk.run(&[&["inspect", "tools/word-count.wasm", "--kernel", "--json"], &DOCS[..]].concat()).json();
    assert_eq!(json["plan"]["folders"][0]["rights"], serde_json::json!(["READ_FILE", "READ_DIR"]));
    let calls = json["plan"]["calls"].as_array().unwrap();
    let call = |name: &str| calls.iter().find(|row| row["name"] == name);
    assert_eq!(call("pread64").unwrap()["brought_by"], "fs read");
    assert!(call("unlinkat").is_none() && call("socket").is_none());
    assert_eq!(json["absent"]["fs delete"], serde_json::json!(["unlinkat", "readlinkat"]));
    let missing = desk.run(&["inspect", "tools/nothing.wasm", "--manifest", "tools/word-count.toml", "--kernel"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""), "{missing:?}");
    assert!(missing.stderr.contains("cannot read `tools/nothing.wasm`"), "{missing:?}");
    // Nothing was run, or recorded.
    assert!(!desk.path("ledger").exists());
}
