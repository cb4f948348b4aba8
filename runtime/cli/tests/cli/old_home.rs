//! What a version of before left: each part of it is read, or refused by its name with the command that helps, and then stays as
//! it is. `old_home/README.md` says how it was made.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tollgate_audit::Digest;

use crate::audit::older::OF_A_LEDGER;
use crate::desk::{COUNT, Desk, Ran};

const OLD_HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/old_home");

const TOOL: &str = "tollgate-home/tools/echo";
const ECHO: [&str; 4] = ["run", "echo", "--input", r#"{"text": "hello"}"#];
/// What is said of its ledger, and what helps.
const OTHER_LEDGER: &str = "start a new ledger: give another folder with --ledger";
const OLDER_LEDGER: [&str; 2] =
    ["this program reads format 5: keep the ledger and the program that wrote it", OTHER_LEDGER];

/// A desk that the version of before was used at.
fn desk() -> Desk {
    let desk = Desk::empty();
    copy(Path::new(OLD_HOME), &desk.path(""));
    fs::remove_file(desk.path("README.md")).unwrap();
    desk
}

/// The same, where its policy has been mended as this program says.
fn mended() -> Desk {
    let desk = desk();
    desk.edit("tollgate.toml", "[hosts]", "[workers]");
    desk
}

/// For their owner alone, as they were made; a repository does not keep that.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// All files below these of the desk, with their bytes, and folders.
fn contents(desk: &Desk, names: &[&str]) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left: Vec<PathBuf> = names.iter().map(|name| desk.path(name)).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            found.insert(path, None);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, Some(bytes));
        }
    }
    found
}

const LEDGER: [&str; 4] = ["ledger", "ledger.key", "ledger.state", "ledger.private"];
const ALL: [&str; 7] =
    ["docs", "ledger", "ledger.key", "ledger.private", "ledger.state", "tollgate-home", "tollgate.toml"];

fn in_new_ledger(desk: &Desk, args: &[&str]) -> Ran {
    desk.run(&[args, &["--ledger", "new-ledger"]].concat())
}

#[test]
fn each_part_has_its_old_form() {
    let desk = desk();
    let mut names: Vec<_> =
        fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ALL);
    let text = |name| String::from_utf8_lossy(&fs::read(desk.path(name)).unwrap()).into_owned();
    assert!(text("tollgate.toml").contains("[hosts]"));
    assert!(text("ledger.state").starts_with("tollgate-state-1 "));
    assert!(text("ledger.private").starts_with("tollgate-private-1\n"));
    assert!(text(&format!("{TOOL}/component.artifact")).starts_with("TGARTFC1"));
    assert_eq!(fs::metadata(desk.path("tollgate-home/artifact.key")).unwrap().len(), 32);
}

#[test]
fn the_policy_is_refused_by_the_table_that_has_another_name_and_read_with_that() {
    let desk = desk();
    let before = contents(&desk, &ALL);
    for args in [
        &["doctor"][..],
        &["doctor", "--fix"],
        &["install", "tollgate-home/tools/echo/component.wasm", "--name", "second"],
    ] {
        let ran = desk.run(args);
        ran.fails(2, &["`hosts`", "`[hosts]` is named `[workers]` now: rename the table"]);
    }
    assert_eq!(contents(&desk, &ALL), before, "nothing was written");
    desk.edit("tollgate.toml", "[hosts]", "[workers]");
    let doctor = desk.run(&["doctor", "--json"]).report();
    assert!(doctor["policy"].as_str().unwrap().ends_with("tollgate.toml"), "{doctor}");
    assert_eq!(contents(&desk, &ALL[..6]), without_policy(before), "doctor changes nothing");
}

fn without_policy(mut all: BTreeMap<PathBuf, Option<Vec<u8>>>) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    all.retain(|path, _| !path.ends_with("tollgate.toml"));
    all
}

#[test]
fn an_installed_tool_is_listed_and_refused_with_the_command_that_moves_it() {
    let desk = mended();
    let before = contents(&desk, &["tollgate-home"]);
    let component = fs::read(desk.path(&format!("{TOOL}/component.wasm"))).unwrap();
    let listed = desk.run(&["list", "--json"]).json();
    assert_eq!((&listed[0]["name"], listed.as_array().unwrap().len()), (&json!("echo"), 1));
    assert!(listed[0]["damaged"].as_str().unwrap().contains("a version of Tollgate that kept its tools otherwise"));
    desk.run(&["list"]).says(&["`echo` cannot be used", "`tollgate doctor` says what helps"]);
    for args in [&ECHO[..], &["inspect", "echo"], &["show", "echo"], &["rollback", "echo"], &["update", "echo"]] {
        let refused = in_new_ledger_if_any(&desk, args);
        refused.fails(2, &["the installed tool `echo` cannot be used", "move it", "`tollgate doctor --fix`"]);
    }
    assert_eq!(without_lock(contents(&desk, &["tollgate-home"])), before, "nothing was written");
    let doctor = desk.run(&["doctor"]);
    assert!(doctor.code == 2 && doctor.stdout.contains("`tollgate doctor --fix` moves it"), "{doctor:?}");
    // Its guest runs once, so that the ledger comes into it, and that says which option helps.
    let refused = desk.run(&["doctor", "--fix"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    refused.says(&["not moved: echo: ", OLDER_LEDGER[0]]);
    assert_eq!(without_lock(contents(&desk, &["tollgate-home"])), before, "nothing was written");
    let moved = in_new_ledger(&desk, &["doctor", "--fix"]);
    moved.says(&["moved: echo"]);
    assert!(moved.code == 0 && moved.stdout.contains("  yes  1 whole"), "{moved:?}");
    assert!(!desk.path(TOOL).exists());
    assert_eq!(in_new_ledger(&desk, &ECHO).json(), json!("hello"));
    assert_eq!(fs::read(desk.stored("echo").component).unwrap(), component);
    let listed = desk.run(&["list", "--json"]).json();
    assert_eq!((&listed[0]["version"], &listed[0]["bytes"]), (&json!("0.1.0"), &json!(component.len())));
    assert_eq!(listed[0]["component"], Digest::of(&component).to_string());
}

/// Only some commands have a ledger.
fn in_new_ledger_if_any(desk: &Desk, args: &[&str]) -> Ran {
    if matches!(args[0], "run" | "update") { in_new_ledger(desk, args) } else { desk.run(args) }
}

/// Whoever wants to write takes the lock first.
fn without_lock(mut all: BTreeMap<PathBuf, Option<Vec<u8>>>) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    all.retain(|path, _| !path.ends_with("tools/.lock"));
    all
}

/// Until it is moved, nothing takes its place; then it is updated as any other.
#[test]
fn an_installed_tool_is_not_replaced_unasked() {
    let desk = mended();
    let component = desk.path("echo.wasm");
    fs::copy(desk.path(&format!("{TOOL}/component.wasm")), &component).unwrap();
    fs::copy(desk.path(&format!("{TOOL}/tool.toml")), desk.path("echo.toml")).unwrap();
    let before = contents(&desk, &["tollgate-home"]);
    let refused = in_new_ledger(&desk, &["install", "echo.wasm"]);
    let helps = ["`tollgate doctor --fix`", "`tollgate update echo echo.wasm`"];
    refused.fails(2, &[&["an older version of Tollgate installed `echo`"], &helps[..]].concat());
    assert_eq!(contents(&desk, &["tollgate-home"]), before, "nothing was written");
    in_new_ledger(&desk, &["doctor", "--fix"]).says(&["moved: echo"]);
    let updated = in_new_ledger(&desk, &["update", "echo", "echo.wasm"]);
    assert!(updated.code == 0 && updated.stdout.contains("  from       FOLDER/echo.wasm, was -: "), "{updated:?}");
    assert!(!desk.path(TOOL).exists());
    assert_eq!(in_new_ledger(&desk, &ECHO).json(), json!("hello"));
}

/// Without `TOLLGATE_HOME` and `TOLLGATE_LEDGER` all of it is looked for where that version had it.
#[test]
fn the_places_by_default_are_those_of_before() {
    let desk = mended();
    for (old, new) in [
        ("tollgate-home/tools", "data/tollgate/tools"),
        ("tollgate-home/cache", "cache/tollgate"),
        ("tollgate-home/artifact.key", "state/tollgate/artifact.key"),
        ("ledger", "state/tollgate/ledger"),
        ("ledger.key", "state/tollgate/ledger.key"),
        ("ledger.state", "state/tollgate/ledger.state"),
        ("ledger.private", "state/tollgate/ledger.private"),
    ] {
        let new = desk.path(new);
        fs::create_dir_all(new.parent().unwrap()).unwrap();
        fs::rename(desk.path(old), new).unwrap();
    }
    let places = ["cache", "data", "state"];
    let before = contents(&desk, &places);
    let run = |args: &[&str]| {
        let mut command = desk.command(args);
        command.env_remove("TOLLGATE_HOME").env_remove("TOLLGATE_LEDGER").env("XDG_DATA_HOME", desk.path("data"));
        command.env("XDG_CACHE_HOME", desk.path("cache")).env("XDG_STATE_HOME", desk.path("state"));
        desk.ran(&command.output().unwrap())
    };
    assert_eq!(run(&["list", "--json"]).json()[0]["name"], "echo");
    run(&ECHO).fails(2, &["the installed tool `echo` cannot be used", "`tollgate doctor --fix`"]);
    run(&["audit", "show"]).fails(2, &[&["FOLDER/state/tollgate/ledger"], &OLDER_LEDGER[..]].concat());
    assert_eq!(contents(&desk, &places), before, "nothing was written");
}

#[test]
fn an_installed_tool_is_removed() {
    let desk = mended();
    assert_eq!(desk.run(&["remove", "echo"]).stdout, "removed echo\n");
    let left = fs::read_dir(desk.path("tollgate-home/tools")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [".lock"]);
}

/// Under the name that this program looks for too, which has the engine's hash in it.
#[test]
fn a_cached_artifact_is_made_anew() {
    let desk = mended();
    desk.place("word-count");
    let cache = desk.path("tollgate-home/cache");
    let files = || -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let old = files();
    assert!(old.len() == 1 && old.values().all(|bytes| bytes.starts_with(b"TGARTFC1")));
    assert_eq!(in_new_ledger(&desk, &COUNT).json()["files"], 1);
    let new = files();
    let (path, made) = new.iter().find(|(_, bytes)| bytes.starts_with(b"TGARTFC2")).expect("it is kept");
    fs::write(path, old.values().next().unwrap()).unwrap();
    assert_eq!(in_new_ledger(&desk, &COUNT).json()["files"], 1);
    assert_eq!(fs::read(path).unwrap(), *made);
}

#[test]
fn the_key_of_compiled_tools_is_read() {
    let desk = mended();
    let key = || fs::read(desk.path("tollgate-home/artifact.key")).unwrap();
    let before = key();
    in_new_ledger(&desk, &["doctor", "--fix"]).says(&["moved: echo"]);
    assert_eq!(in_new_ledger(&desk, &ECHO).json(), json!("hello"));
    assert_eq!(key(), before);
    // What is run was sealed with it.
    fs::write(desk.path("tollgate-home/artifact.key"), [7; 32]).unwrap();
    in_new_ledger(&desk, &ECHO).fails(2, &["sealed with another key"]);
}

#[test]
fn the_ledger_is_refused_by_its_format_and_all_of_it_stays_as_it_is() {
    let desk = mended();
    desk.place("word-count");
    let before = contents(&desk, &LEDGER);
    desk.run(&COUNT).fails(2, &[&["nothing was run"], &OLDER_LEDGER[..]].concat());
    for args in OF_A_LEDGER {
        desk.run(&[&["audit"], args].concat()).fails(2, &OLDER_LEDGER);
    }
    assert_eq!(contents(&desk, &LEDGER), before, "nothing was written");
    // As it says.
    assert_eq!(in_new_ledger(&desk, &COUNT).json()["files"], 1);
    assert_eq!(desk.run(&["audit", "verify", "--ledger", "new-ledger"]).code, 0);
    assert_eq!(contents(&desk, &LEDGER), before, "nothing was written");
}

/// Where only the ledger's folder was moved away, what stood beside it is not taken for a new ledger's.
#[test]
fn the_state_is_refused_by_its_version_and_stays_as_it_is() {
    let desk = mended();
    desk.place("word-count");
    let kept = ["ledger.key", "ledger.private", "ledger.state"];
    fs::rename(desk.path("ledger"), desk.path("away")).unwrap();
    let before = contents(&desk, &kept);
    for _again in 0..2 {
        desk.run(&COUNT).fails(
            2,
            &[
                "nothing was run",
                "is of version 1; this program reads version 2: keep it with the ledger that it is of",
                OTHER_LEDGER,
            ],
        );
        assert_eq!(contents(&desk, &kept), before, "nothing was written");
    }
    assert_eq!(in_new_ledger(&desk, &COUNT).json()["files"], 1);
    assert_eq!(contents(&desk, &kept), before, "nothing was written");
}

#[test]
fn the_ledgers_key_is_not_taken_for_a_new_ledger() {
    let desk = mended();
    desk.place("word-count");
    for name in ["ledger", "ledger.state", "ledger.private"] {
        fs::rename(desk.path(name), desk.path(&format!("away-{name}"))).unwrap();
    }
    let before = contents(&desk, &["ledger.key"]);
    desk.run(&COUNT).fails(
        5,
        &[
            "ledger.state is gone, and the key beside it says that the ledger is not new",
            "give another folder with --ledger",
        ],
    );
    assert_eq!(contents(&desk, &["ledger.key"]), before, "nothing was written");
    assert_eq!(in_new_ledger(&desk, &COUNT).json()["files"], 1);
}

#[test]
fn the_side_store_is_refused_by_its_version_and_stays_as_it_is() {
    let desk = mended();
    desk.place("word-count");
    for name in ["ledger", "ledger.state", "ledger.key"] {
        fs::rename(desk.path(name), desk.path(&format!("away-{name}"))).unwrap();
    }
    let before = contents(&desk, &["ledger.private"]);
    let refused = ["the side store is of version 1, and this program reads version 3: move it away, or delete it"];
    desk.run(&COUNT).fails(2, &[&refused[..], &["nothing was run", "--ledger"]].concat());
    assert_eq!(contents(&desk, &["ledger.private"]), before, "nothing was written");
    // As it says.
    fs::rename(desk.path("ledger.private"), desk.path("away-ledger.private")).unwrap();
    assert_eq!(desk.run(&COUNT).json()["files"], 1);
    let call = desk.last_call();
    // Put back, it is in the way of who would read texts.
    fs::remove_dir_all(desk.path("ledger.private")).unwrap();
    fs::rename(desk.path("away-ledger.private"), desk.path("ledger.private")).unwrap();
    let shown = desk.run(&["audit", "show", "--call", &call, "--private"]);
    assert_eq!(shown.code, 2, "{shown:?}");
    shown.says(&[&refused[..], &["move away what has `.private` behind the ledger's name"]].concat());
    assert_eq!(contents(&desk, &["ledger.private"]), before, "nothing was written");
}

/// Its ledger is refused before; beside a ledger of this program the lock means what it meant.
#[test]
fn the_lock_is_read() {
    let desk = mended();
    desk.place("word-count");
    let lock = fs::read_to_string(desk.path("ledger/lock")).unwrap();
    for name in LEDGER {
        fs::rename(desk.path(name), desk.path(&format!("away-{name}"))).unwrap();
    }
    let path = desk.file("ledger/lock", &lock);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let held = fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let holder = lock.split(' ').next().unwrap();
    let in_use = format!("the ledger is in use by process {holder}");
    desk.run(&[&COUNT[..], &["--wait", "0s"]].concat()).fails(2, &[&in_use, "wait for longer with --wait"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), lock);
    drop(held);
    assert_eq!(desk.run(&COUNT).json()["files"], 1);
}
