//! `tollgate install`, `list`, `remove`, `run NAME`, and what is kept of tools that are run by their path.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tollgate_audit::Digest;

use crate::desk::{DOCS, Desk, Ran, Stored};

const QUERY: [&str; 4] = ["--op", "query", "--input", r#"{"document": {"a": 1}, "pointer": "/a"}"#];

/// A desk with json-query in `tools`.
fn desk() -> Desk {
    Desk::with("json-query")
}

/// A desk where it is installed.
fn installed() -> Desk {
    let desk = desk();
    let ran = xdg(&desk, &["install", "tools/json-query.wasm"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    desk
}

/// The program with the XDG folders `data`, `cache` and `state` of the desk.
fn command(desk: &Desk, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    command.env_remove("TOLLGATE_HOME").env("XDG_DATA_HOME", desk.path("data"));
    command.env("XDG_CACHE_HOME", desk.path("cache")).env("XDG_STATE_HOME", desk.path("state"));
    command
}

fn xdg(desk: &Desk, args: &[&str]) -> Ran {
    desk.ran(&command(desk, args).output().unwrap())
}

fn run(desk: &Desk, tool: &str) -> Ran {
    xdg(desk, &[&["run", tool], &QUERY[..]].concat())
}

#[track_caller]
fn works(desk: &Desk, tool: &str) {
    assert_eq!(run(desk, tool).json(), json!({"value": 1}));
}

/// The files of an installed tool.
fn stored(desk: &Desk, name: &str) -> Stored {
    Stored::of(&desk.path("data/tollgate/tools"), name)
}

/// What is in the folder of tools, and how many components there are.
fn kept(desk: &Desk) -> (Vec<String>, usize) {
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(desk.path(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    };
    (names("data/tollgate/tools"), names("data/tollgate/tools/components.sha256").len())
}

fn key(desk: &Desk) -> PathBuf {
    desk.path("state/tollgate/artifact.key")
}

/// The one artifact in the cache.
fn cached(desk: &Desk) -> PathBuf {
    let files: Vec<_> = fs::read_dir(desk.path("cache/tollgate")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Which file it is, and when it was written: another one if it was written anew.
fn identity(path: PathBuf) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

/// Its runtime looks at standard input before it says which operations it has, and in a worker that may do nothing.
#[test]
fn a_component_of_the_preview_1_adapter_is_installed_and_run() {
    let desk = Desk::with("probe-preview1");
    let installed = xdg(&desk, &["install", "tools/probe-preview1.wasm"]);
    assert!(installed.stdout.starts_with("installed probe-preview1 0.1.0"), "{installed:?}");
    let run = |op| xdg(&desk, &["run", "probe-preview1", "--op", op, "--grant", "fs:/docs=docs:read"]);
    assert_eq!(run("look").json(), json!({ "environment": 0, "arguments": 0, "stdin": 0 }));
    let printed = run("print");
    assert_eq!((printed.code, printed.stderr.as_str()), (0, "[tool stdout] printed\n"), "{printed:?}");
    assert!(desk.entries().iter().all(|entry| entry["kind"] != "violation"));
}

#[test]
fn a_tool_is_installed_listed_run_inspected_and_removed() {
    let desk = desk();
    xdg(&desk, &["list"]).says(&["no tool is installed", "tollgate install PATH"]);
    assert_eq!(xdg(&desk, &["list", "--json"]).json(), json!([]));
    let ran = xdg(&desk, &["install", "tools/json-query.wasm"]);
    assert!(ran.stdout.starts_with("installed json-query 0.1.0 sha256:"), "{ran:?}");
    assert!(ran.stdout.ends_with("\n  run it  tollgate run json-query\n"), "{ran:?}");
    // It does not need its source any more.
    fs::remove_dir_all(desk.path("tools")).unwrap();
    works(&desk, "json-query");
    let inspected = xdg(&desk, &["inspect", "json-query"]);
    assert!(inspected.code == 0 && inspected.stdout.starts_with("json-query 0.1.0\n"), "{inspected:?}");
    let listed = xdg(&desk, &["list"]);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{listed:?}");
    assert!(lines[0].starts_with("name        version  component"), "{listed:?}");
    assert!(lines[1].starts_with("json-query  0.1.0    sha256:") && lines[1].ends_with(" UTC"), "{listed:?}");
    let listed = xdg(&desk, &["list", "--json"]).json();
    let bytes = fs::metadata(stored(&desk, "json-query").component).unwrap().len();
    assert_eq!((&listed[0]["name"], &listed[0]["version"]), (&json!("json-query"), &json!("0.1.0")));
    assert_eq!(listed[0]["bytes"], bytes);
    assert_eq!(xdg(&desk, &["remove", "json-query"]).stdout, "removed json-query\n");
    run(&desk, "json-query").fails(2, &["no tool `json-query` is installed", "tollgate install PATH"]);
    assert_eq!(kept(&desk), (vec![".lock".to_owned(), "components.sha256".to_owned()], 0));
    assert!(!desk.path("cache").exists(), "an installed tool needs no cache");
}

#[test]
fn files_are_for_their_owner_alone() {
    let desk = installed();
    works(&desk, "tools/json-query.wasm");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let stored = stored(&desk, "json-query");
    for file in stored.all() {
        assert_eq!(mode(file.clone()), 0o600, "{file:?}");
    }
    assert_eq!((mode(key(&desk)), mode(cached(&desk))), (0o600, 0o600));
    assert_eq!((mode(stored.folder), mode(desk.path("cache/tollgate"))), (0o700, 0o700));
}

#[test]
fn tollgate_home_holds_all_of_it() {
    let desk = desk();
    let run = |args: &[&str]| desk.run(args);
    assert_eq!(run(&["install", "tools/json-query.wasm"]).code, 0);
    assert_eq!(run(&[&["run", "json-query"], &QUERY[..]].concat()).json(), json!({"value": 1}));
    assert_eq!(run(&[&["run", "tools/json-query.wasm"], &QUERY[..]].concat()).json(), json!({"value": 1}));
    for path in ["tools/json-query.json", "artifact.key", "cache"] {
        assert!(desk.path("tollgate-home").join(path).exists(), "{path}");
    }
    // Nothing is kept anywhere else.
    let alone = |args: &[&str]| {
        let mut command = desk.command(args);
        command.env_remove("TOLLGATE_LEDGER").env("HOME", desk.path("user")).env("TOLLGATE_HOME", desk.path("all"));
        desk.ran(&command.output().unwrap())
    };
    fs::create_dir(desk.path("user")).unwrap();
    desk.file("tollgate.toml", "[tools.json-query]\nlimits.memory = \"8MiB\"\n");
    assert_eq!(alone(&["trust"]).code, 0);
    assert_eq!(alone(&["install", "tools/json-query.wasm"]).code, 0);
    assert_eq!(alone(&[&["run", "tools/json-query.wasm"], &QUERY[..]].concat()).code, 0);
    assert_eq!(alone(&["audit", "verify"]).code, 0);
    let mut kept: Vec<_> = fs::read_dir(desk.path("all"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort_unstable();
    let expected =
        ["artifact.key", "cache", "ledger", "ledger.key", "ledger.private", "ledger.state", "tools", "trust"];
    assert_eq!(kept, expected);
    assert_eq!(fs::read_dir(desk.path("user")).unwrap().count(), 0);
}

/// A list of many tools must not read them: here whoever opens a component to read it waits for ever.
#[test]
fn tools_are_listed_without_reading_their_components() {
    let desk = installed();
    let before = xdg(&desk, &["list", "--json"]).json();
    let digest = Digest::of(&fs::read(desk.path("tools/json-query.wasm")).unwrap()).to_string();
    assert_eq!(before[0]["component"], digest);
    assert_eq!(before[0]["bytes"], fs::metadata(desk.path("tools/json-query.wasm")).unwrap().len());
    for file in [stored(&desk, "json-query").component, stored(&desk, "json-query").artifact] {
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    }
    assert_eq!(xdg(&desk, &["list", "--json"]).json()[0]["component"], digest);
    assert_eq!(xdg(&desk, &["show", "json-query", "--json"]).json()["component"], digest);
}

#[test]
fn the_installed_manifest_holds_and_the_policy_knows_the_tool_by_the_installed_name() {
    let desk = Desk::with("word-count");
    let ran = xdg(&desk, &["install", "tools/word-count.wasm", "--name", "wc", "--json"]);
    assert_eq!(ran.json()["name"], "wc");
    let count = ["run", "wc", "--op", "count", "--input", r#"{"folder": "/docs"}"#];
    xdg(&desk, &count).fails(2, &["needs what nothing grants", "[tools.wc]"]);
    assert_eq!(xdg(&desk, &[&count[..], &DOCS].concat()).json()["files"], 2);
}

#[test]
fn what_is_installed_and_whole_is_not_installed_again() {
    let desk = installed();
    let files = || stored(&desk, "json-query").all().map(|file| identity(file.clone()));
    let (before, entries) = (files(), desk.entries().len());
    let again = xdg(&desk, &["install", "tools/json-query.wasm"]);
    assert!(
        again.code == 0 && again.stdout.starts_with("is installed already, and whole: json-query 0.1.0"),
        "{again:?}"
    );
    assert_eq!(xdg(&desk, &["install", "tools/json-query.wasm", "--json"]).json()["already"], true);
    assert_eq!((files(), desk.entries().len()), (before, entries), "nothing was written, and nobody was asked");
    // What is damaged is written again.
    fs::write(stored(&desk, "json-query").component, "x").unwrap();
    assert!(xdg(&desk, &["install", "tools/json-query.wasm"]).stdout.starts_with("installed json-query"));
    works(&desk, "json-query");
}

/// The same component under another manifest takes the place of what is there; another component stands beside it.
#[test]
fn versions_stand_side_by_side_and_are_chosen_by_version_or_digest() {
    let desk = installed();
    desk.edit("tools/json-query.toml", "0.1.0", "0.1.1");
    let same = xdg(&desk, &["install", "tools/json-query.wasm"]);
    assert!(same.stdout.starts_with("installed json-query 0.1.1 ") && !same.stdout.contains("before"), "{same:?}");
    let first = xdg(&desk, &["list", "--json"]).json()[0].clone();
    assert_eq!((&first["version"], &first["versions"]), (&json!("0.1.1"), &json!(1)));
    // The same text in a component of other bytes: it has one more custom section.
    let other = [&fs::read(desk.path("tools/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", other);
    desk.edit("tools/json-query.toml", "0.1.1", "0.2.0");
    let second = xdg(&desk, &["install", "tools/json-query.wasm"]);
    assert!(second.stdout.starts_with("installed json-query 0.2.0 "), "{second:?}");
    assert!(
        second.stdout.contains("  before  0.1.1 sha256:") && second.stdout.contains("tollgate rollback json-query")
    );
    let component = |of: &str| xdg(&desk, &["show", of, "--json"]).json()["component"].as_str().unwrap().to_owned();
    let (old, new) = (component("json-query@0.1.1"), component("json-query"));
    let stored_of = |digest: &str| {
        let folder = desk.path("data/tollgate/tools/components.sha256").join(digest.trim_start_matches("sha256:"));
        folder.join("component.artifact")
    };
    assert_eq!(old, first["component"]);
    assert_eq!(component(&format!("json-query@{}", &old[..23])), old, "16 digits are enough");
    for tool in ["json-query", "json-query@0.1.1", "json-query@0.2.0", &format!("json-query@{new}")] {
        works(&desk, tool);
        assert_eq!(xdg(&desk, &["inspect", tool]).code, 0);
        assert_eq!(xdg(&desk, &["check", tool, "stdio", "stdout"]).code, 0);
    }
    // Of a version that is damaged it is told before it is current.
    let artifact = stored_of(&old);
    let whole = fs::read(&artifact).unwrap();
    fs::write(&artifact, &whole[..50]).unwrap();
    for noted in [true, false] {
        let back = xdg(&desk, &["rollback", "json-query"]);
        assert_eq!((back.code, back.stderr.starts_with("note: 0.1.1 sha256:")), (0, noted), "{back:?}");
        assert_eq!(back.stderr.contains("will be refused: what was compiled is refused"), noted, "{back:?}");
    }
    fs::write(&artifact, &whole).unwrap();
    let calls = desk.entries().into_iter().filter(|entry| entry["operation"] == "query");
    let called: Vec<String> = calls.map(|call| call["component"].as_str().unwrap().to_owned()).collect();
    assert_eq!(called, [&new, &old, &new, &new].map(String::clone), "the ledger names the version");
    run(&desk, "json-query@0.3.0")
        .fails(2, &["no version `0.3.0` of `json-query` is installed; there are: 0.1.1 sha256:"]);
    run(&desk, "json-query@latest").fails(2, &["selects no version", "`latest` is neither a version nor a digest"]);
    let back = xdg(&desk, &["rollback", "json-query"]);
    assert!(back.stdout.starts_with("json-query is 0.1.1 sha256:") && back.stdout.contains("was 0.2.0"), "{back:?}");
    assert_eq!(component("json-query"), old);
    xdg(&desk, &["remove", "json-query@0.1.1"])
        .fails(2, &["`0.1.1 sha256:", "is the current version", "tollgate rollback"]);
    assert!(xdg(&desk, &["rollback", "json-query@0.1.1"]).stdout.ends_with(" already\n"));
    assert!(xdg(&desk, &["remove", "json-query@0.2.0"]).stdout.starts_with("removed json-query 0.2.0 sha256:"));
    assert_eq!(kept(&desk).1, 1);
    xdg(&desk, &["rollback", "json-query"]).fails(2, &["no version of `json-query` was current before"]);
    works(&desk, "json-query");
}

#[test]
fn an_update_shows_what_changes_before_it_is_done() {
    let desk = installed();
    let same = xdg(&desk, &["update", "json-query"]);
    assert!(same.code == 0 && same.stdout.ends_with(" already\n"), "{same:?}");
    let before = stored(&desk, "json-query");
    desk.place("word-count");
    let [wasm, toml] =
        ["tools/word-count.wasm", "tools/word-count.toml"].map(|path| fs::read(desk.path(path)).unwrap());
    desk.file("tools/json-query.wasm", wasm);
    desk.file("tools/json-query.toml", toml);
    let asked = xdg(&desk, &["update", "json-query"]);
    assert_eq!(asked.code, 2, "{asked:?}");
    asked.says(&["nothing was changed", "--yes"]);
    for line in [
        "json-query: 0.1.0 sha256:",
        " becomes 0.1.0 sha256:",
        "  declared   word-count, was json-query\n",
        "  needs      + fs:/docs=PATH:read,list\n",
        "  operations + count\n",
        "  operations - query\n",
        "  imports    + wasi:filesystem/types@",
    ] {
        assert!(asked.stdout.contains(line), "{line}: {asked:?}");
    }
    let told = xdg(&desk, &["update", "json-query", "--json"]);
    assert_eq!((told.code, &told.report()["updated"]), (2, &json!(false)));
    assert_eq!(told.report()["changes"]["needs"]["added"], json!(["fs:/docs=PATH:read,list"]));
    assert_eq!(Stored::of(&desk.path("data/tollgate/tools"), "json-query").component, before.component);
    works(&desk, "json-query");
    desk.file(
        "tollgate.toml",
        format!("[tools.json-query]\ncomponent = \"{}\"\n", Digest::of(&fs::read(&before.component).unwrap())),
    );
    assert_eq!(xdg(&desk, &["trust"]).code, 0);
    let done = xdg(&desk, &["update", "json-query", "--yes"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("  policy     "), "{done:?}");
    assert!(done.stdout.contains("go back with  tollgate rollback json-query"), "{done:?}");
    let digests = [&before.component, &stored(&desk, "json-query").component]
        .map(|path| Digest::of(&fs::read(path).unwrap()).to_string());
    run(&desk, "json-query").fails(2, &["`json-query`", &digests[0], &digests[1]]);
    assert_eq!(xdg(&desk, &["rollback", "json-query"]).code, 0);
    works(&desk, "json-query");
    xdg(&desk, &["update", "json-query@0.1.0"]).fails(2, &["names a version"]);
    fs::remove_file(desk.path("tools/json-query.wasm")).unwrap();
    xdg(&desk, &["update", "json-query"]).fails(2, &["cannot read `FOLDER/tools/json-query.wasm`"]);
}

#[test]
fn a_pin_is_written_into_the_policy_and_holds() {
    let desk = installed();
    let digest = xdg(&desk, &["show", "json-query", "--json"]).json()["component"].as_str().unwrap().to_owned();
    xdg(&desk, &["policy", "pin", "json-query"]).fails(2, &["there is no policy to write the pin into"]);
    let text = "# mine\n[tools.json-query]\nlimits.memory = \"64MiB\" # enough\n";
    let policy = desk.file("own.toml", text);
    fs::set_permissions(&policy, Permissions::from_mode(0o640)).unwrap();
    let pinned = xdg(&desk, &["policy", "pin", "json-query", "--policy", "own.toml", "--json"]).json();
    assert_eq!((&pinned["component"], &pinned["written"]), (&json!(digest), &json!(true)));
    let written = fs::read_to_string(&policy).unwrap();
    assert_eq!(written, format!("{text}component = \"{digest}\"\n"));
    assert_eq!(fs::metadata(&policy).unwrap().permissions().mode() & 0o7777, 0o640);
    let again = xdg(&desk, &["policy", "pin", "json-query", "--policy", "own.toml"]);
    assert!(again.stdout.starts_with("is pinned already: json-query to sha256:"), "{again:?}");
    let run = |tool: &str| xdg(&desk, &[&["run", tool], &QUERY[..], &["--policy", "own.toml"]].concat());
    assert_eq!(run("json-query").json(), json!({"value": 1}));
    let other = [&fs::read(desk.path("tools/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", &other);
    let installed = xdg(&desk, &["install", "tools/json-query.wasm", "--policy", "own.toml"]);
    assert!(installed.code == 0 && installed.stdout.contains("\n  policy  "), "{installed:?}");
    run("json-query").fails(2, &["`json-query`", &digest, &Digest::of(&other).to_string()]);
    let old = format!("json-query@{digest}");
    let pinned = xdg(&desk, &["policy", "pin", &old, "--policy", "own.toml"]);
    assert!(pinned.stdout.contains(" is current, and will be refused; "), "{pinned:?}");
    assert!(pinned.stdout.contains(&format!("tollgate rollback {old}\n")), "{pinned:?}");
    assert_eq!(run(&format!("json-query@{}", &digest[..23])).json(), json!({"value": 1}));
    // A file that is not read as a policy, or is a link, is left as it is.
    desk.file("broken.toml", "[tools");
    assert_eq!(xdg(&desk, &["policy", "pin", "json-query", "--policy", "broken.toml"]).code, 2);
    std::os::unix::fs::symlink("own.toml", desk.path("link.toml")).unwrap();
    xdg(&desk, &["policy", "pin", "json-query", "--policy", "link.toml"]).fails(2, &["is not written", "or a link"]);
    assert_eq!(fs::read_to_string(&policy).unwrap(), written);
    assert_eq!(fs::read_to_string(desk.path("broken.toml")).unwrap(), "[tools");
}

/// None of them is lost.
#[test]
fn pins_at_once_all_take_place() {
    let desk = desk();
    let names: Vec<String> = (0..6).map(|number| format!("tool-{number}")).collect();
    for name in &names {
        assert_eq!(xdg(&desk, &["install", "tools/json-query.wasm", "--name", name]).code, 0);
    }
    desk.file("own.toml", "# mine\n");
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut pin = command(&desk, &["policy", "pin", name, "--policy", "own.toml"]);
            pin.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let text = fs::read_to_string(desk.path("own.toml")).unwrap();
    assert_eq!(text.matches("component = \"sha256:").count(), names.len(), "{text}");
}

/// Each kind of damage is told of its tool, and the others work; what was compiled is compiled again.
#[test]
fn doctor_names_damage_by_tool_and_mends_what_was_compiled() {
    let desk = installed();
    desk.place("word-count");
    assert_eq!(xdg(&desk, &["install", "tools/word-count.wasm"]).code, 0);
    let said = || xdg(&desk, &["doctor", "--json"]).report()["installed"].clone();
    assert_eq!(
        said(),
        json!({ "whole": 2, "damaged": [], "foreign": [], "in_the_way": [], "unknown": null, "unfinished": false })
    );
    let of = stored(&desk, "word-count");
    let folder = of.folder.file_name().unwrap().to_str().unwrap().to_owned();
    let cut = |path: &PathBuf| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(50).unwrap();
    for (file, words) in [
        (&of.record, "is no record of an installed tool"),
        (&of.component, "was changed: it is sha256:"),
        (&of.manifest, "was changed: it is sha256:"),
        (&of.artifact, "it is no artifact of Tollgate"),
        (&of.operations, "it is no artifact of Tollgate"),
    ] {
        let bytes = fs::read(file).unwrap();
        for is_gone in [false, true] {
            if is_gone && *file == of.record {
                continue;
            }
            if is_gone {
                fs::remove_file(file).unwrap();
            } else {
                cut(file);
            }
            let doctor = xdg(&desk, &["doctor"]);
            assert_eq!(doctor.code, 2, "{doctor:?}");
            let words = if is_gone { "No such file" } else { words };
            let line = doctor.stdout.lines().find(|line| line.starts_with("  no   word-count")).expect("it is named");
            assert!(line.contains(words), "{words}: {line}");
            assert!(doctor.stdout.contains("  yes  1 whole\n"), "{doctor:?}");
            works(&desk, "json-query");
            let is_compiled = [&of.artifact, &of.operations].contains(&file);
            let fixed = xdg(&desk, &["doctor", "--fix"]);
            assert_eq!(fixed.code == 0, is_compiled, "{fixed:?}");
            if is_compiled {
                fixed.says(&["compiled again: word-count"]);
                assert_eq!(said()["whole"], 2);
            }
            fs::write(file, &bytes).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        }
    }
    desk.file("data/tollgate/tools/notes.txt", "");
    desk.file(&format!("data/tollgate/tools/components.sha256/{folder}/notes.txt"), "");
    let doctor = xdg(&desk, &["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    assert_eq!(doctor.stdout.matches("notes.txt` is nothing of Tollgate's").count(), 2, "{doctor:?}");
}

/// As the version before kept it, whose compiled code this one takes: nothing is compiled, nobody is asked.
#[test]
fn a_home_of_the_layout_before_is_moved_as_it_is() {
    let desk = installed();
    let (new, tools) = (stored(&desk, "json-query"), desk.path("data/tollgate/tools"));
    let (old, entries) = (tools.join("json-query"), desk.entries().len());
    let before = [&new.component, &new.manifest, &new.artifact].map(|path| fs::read(path).unwrap());
    fs::create_dir(&old).unwrap();
    for (name, bytes) in ["component.wasm", "tool.toml", "component.artifact"].iter().zip(&before) {
        fs::write(old.join(name), bytes).unwrap();
    }
    fs::remove_file(&new.record).unwrap();
    fs::remove_dir_all(tools.join("components.sha256")).unwrap();
    fs::remove_dir_all(desk.path("cache")).unwrap_or_default();
    run(&desk, "json-query").fails(2, &["cannot be used", "`tollgate doctor --fix`"]);
    let fixed = xdg(&desk, &["doctor", "--fix"]);
    assert!(fixed.code == 0 && fixed.stderr == "moved: json-query\n", "{fixed:?}");
    assert_eq!([new.component, new.manifest, new.artifact].map(|path| fs::read(path).unwrap()), before);
    assert_eq!(desk.entries().len(), entries, "nobody was asked");
    works(&desk, "json-query");
    assert!(!old.exists() && !desk.path("cache").exists());
}

/// There the compiled code alone says which component was installed: another one beside it, or a file that somebody else can change, is
/// not taken.
#[test]
fn what_was_exchanged_in_the_layout_before_is_not_moved() {
    let desk = installed();
    let (new, tools) = (stored(&desk, "json-query"), desk.path("data/tollgate/tools"));
    let old = tools.join("json-query");
    fs::create_dir(&old).unwrap();
    let files = ["component.wasm", "tool.toml", "component.artifact"].map(|name| old.join(name));
    for (file, from) in files.iter().zip([&new.component, &new.manifest, &new.artifact]) {
        fs::copy(from, file).unwrap();
    }
    fs::remove_file(&new.record).unwrap();
    fs::remove_dir_all(tools.join("components.sha256")).unwrap();
    let [component, _, artifact] = &files;
    let [wasm, sealed] = [component, artifact].map(|file| fs::read(file).unwrap());
    let other = [&wasm[..], b"\0\x02\x01x"].concat();
    let older = [b"TGARTFC1", &sealed[8..]].concat();
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (component_is, artifact_is, words) in [
        (&other, Some(&sealed), "it was compiled from another component"),
        (&other, Some(&older), "it was compiled from another component"),
        (&wasm, Some(&changed), "it was changed after it was compiled"),
        (&other, None, "cannot be looked at"),
    ] {
        fs::write(component, component_is).unwrap();
        match artifact_is {
            Some(bytes) => fs::write(artifact, bytes).unwrap(),
            None => fs::remove_file(artifact).unwrap(),
        }
        let fixed = xdg(&desk, &["doctor", "--fix"]);
        assert_eq!(fixed.code, 2, "{fixed:?}");
        fixed.says(&["not moved: json-query: ", words]);
        assert!(!new.record.exists() && !tools.join("components.sha256").exists(), "{words}");
    }
    fs::write(component, &wasm).unwrap();
    fs::write(artifact, &sealed).unwrap();
    fs::hard_link(component, desk.path("other-name")).unwrap();
    xdg(&desk, &["doctor", "--fix"]).says(&["not moved: json-query: ", "has another name (a hard link)"]);
    fs::remove_file(desk.path("other-name")).unwrap();
    xdg(&desk, &["doctor", "--fix"]).says(&["moved: json-query"]);
    works(&desk, "json-query");
}

/// Another version of Tollgate reads it.
#[test]
fn a_record_of_another_format_is_left_as_it_is() {
    let desk = installed();
    let record = stored(&desk, "json-query").record;
    let newer = fs::read_to_string(&record).unwrap().replace("\"format\":1", "\"format\":2");
    fs::write(&record, &newer).unwrap();
    for args in [&["install", "tools/json-query.wasm"][..], &["update", "json-query"], &["show", "json-query"]] {
        let refused = xdg(&desk, args);
        refused.fails(2, &["a record of format 2", "another version of Tollgate installed it"]);
        assert!(!refused.stderr.contains("who could change it"), "{refused:?}");
    }
    assert!(xdg(&desk, &["doctor"]).stdout.contains("another version of Tollgate installed it"));
    assert_eq!(fs::read_to_string(&record).unwrap(), newer);
    assert_eq!(xdg(&desk, &["remove", "json-query"]).code, 0);
}

/// A rollback would lead elsewhere, or nowhere.
#[test]
fn an_update_of_the_manifest_alone_promises_no_way_back() {
    let desk = installed();
    desk.edit("tools/json-query.toml", "0.1.0", "0.1.1");
    let done = xdg(&desk, &["update", "json-query", "--yes"]);
    assert!(done.code == 0 && done.stdout.contains("json-query is 0.1.1 sha256:"), "{done:?}");
    assert!(!done.stdout.contains("rollback"), "{done:?}");
    desk.edit("tools/json-query.toml", "0.1.1", "0.1.2");
    let done = xdg(&desk, &["update", "json-query", "--yes", "--json"]).json();
    assert_eq!((&done["before"], &done["gone"]), (&json!(null), &json!([])));
    assert_eq!(done["current"]["version"], "0.1.2");
}

#[test]
fn two_installations_at_once_both_take_place() {
    let desk = desk();
    works(&desk, "tools/json-query.wasm");
    for round in 0..5 {
        let names = ["one", "two", "same", "same"].map(|name| format!("{name}-{round}"));
        let children = names.clone().map(|name| {
            let mut install = command(&desk, &["install", "tools/json-query.wasm", "--name", &name]);
            install.stdout(Stdio::null()).spawn().unwrap()
        });
        for mut child in children {
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
        for name in names {
            works(&desk, &name);
        }
    }
    assert_eq!(kept(&desk).1, 1);
    assert_eq!(xdg(&desk, &["doctor", "--json"]).report()["installed"]["whole"], 15);
}

#[test]
fn what_is_no_tool_is_not_installed() {
    let desk = desk();
    let install = |more: &[&str]| xdg(&desk, &[&["install", "tools/json-query.wasm"], more].concat());
    install(&["--manifest", "nothing.toml"]).fails(2, &["cannot read `nothing.toml`"]);
    xdg(&desk, &["install", "nothing.wasm"]).fails(2, &["cannot read `nothing.wasm`"]);
    let import = "(component (import \"acme:rockets/launch@1.0.0\" (instance (export \"go\" (func)))))";
    let cases: [(&[u8], &str); 5] = [
        (b"hello", "is not WebAssembly"),
        (&wat::parse_str("(module)").unwrap(), "core WebAssembly module"),
        (b"\0asm\x0d\0\x01\0\xff", "damaged"),
        (&wat::parse_str(import).unwrap(), "does not have: acme:rockets/launch@1.0.0"),
        (&wat::parse_str("(component)").unwrap(), "exports no `tollgate:tool/tool@0.1.0`"),
    ];
    for (bytes, words) in cases {
        desk.file("tools/json-query.wasm", bytes);
        install(&[]).fails(2, &[words]);
    }
    desk.edit("tools/json-query.toml", "[tool]", "[tol]");
    install(&[]).fails(2, &["unknown key `tol`"]);
    fs::remove_file(desk.path("tools/json-query.toml")).unwrap();
    install(&[]).fails(2, &["`tools/json-query.wasm` brings no manifest, and none is beside it", "--manifest"]);
    assert!(!desk.path("data").exists() && !desk.path("ledger").exists());
}

#[test]
fn names_are_words_and_paths_are_paths() {
    let desk = installed();
    run(&desk, "json-qeury").fails(2, &["no tool `json-qeury` is installed", "did you mean `json-query`?"]);
    run(&desk, "something-else").fails(2, &["`tollgate list` prints the names", "a path has a `/`"]);
    xdg(&desk, &["remove", "json-qeury"]).fails(2, &["did you mean `json-query`?"]);
    for name in ["..", ".", "../json-query", "/", "Json", "json query", "a\u{1b}[31m", ""] {
        xdg(&desk, &["remove", name]).fails(2, &["cannot be the name of a tool"]);
        let ran = xdg(&desk, &["install", "tools/json-query.wasm", "--name", name]);
        ran.fails(2, &["cannot be the name of a tool"]);
        assert!(!ran.stderr.contains('\u{1b}'));
    }
    fs::copy(desk.path("tools/json-query.wasm"), desk.path("local")).unwrap();
    run(&desk, "local").fails(2, &["no tool `local` is installed", "the file here is `./local`"]);
    assert_eq!(run(&desk, "./local").json(), json!({"value": 1}));
    // A name is never looked for here.
    desk.file("json-query", "not this");
    works(&desk, "json-query");
}

#[test]
fn a_tampered_artifact_is_refused() {
    let desk = installed();
    let path = stored(&desk, "json-query").artifact;
    let stored = fs::read(&path).unwrap();
    // Each field of the header, the tag, and code from its first byte to its last.
    for place in [0, 7, 8, 39, 40, 71, 72, 79, 80, 111, 112, stored.len() / 2, stored.len() - 1] {
        let mut flipped = stored.clone();
        flipped[place] ^= 1;
        fs::write(&path, flipped).unwrap();
        run(&desk, "json-query")
            .fails(2, &["the installed tool `json-query` is refused", "nothing was run", "tollgate doctor --fix"]);
    }
    for bytes in [&b""[..], &stored[..111], &stored[..stored.len() - 1], &[&stored[..], b"x"].concat()] {
        fs::write(&path, bytes).unwrap();
        run(&desk, "json-query").fails(2, &["is refused", "tollgate doctor --fix"]);
    }
    fs::remove_file(&path).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "No such file"]);
    assert!(desk.called().is_empty());
    fs::write(&path, stored).unwrap();
    works(&desk, "json-query");
}

#[test]
fn a_component_that_was_changed_or_exchanged_is_refused() {
    let desk = installed();
    desk.place("echo-read");
    assert_eq!(xdg(&desk, &["install", "tools/echo-read.wasm"]).code, 0);
    let (query, other) = (stored(&desk, "json-query"), stored(&desk, "echo-read"));
    let [own, artifact, operations] =
        [&query.component, &query.artifact, &query.operations].map(|path| fs::read(path).unwrap());
    let digest = Digest::of(&own).to_string();
    fs::write(&query.component, [&own[..], b"\0"].concat()).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "was changed", &digest, "was installed", "who could change"]);
    fs::copy(&other.component, &query.component).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "was changed", &digest]);
    // An artifact of this user's own, for another tool.
    fs::write(&query.component, own).unwrap();
    fs::copy(&other.artifact, &query.artifact).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "compiled from another component"]);
    fs::write(&query.artifact, artifact).unwrap();
    fs::copy(&other.operations, &query.operations).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "compiled from another component"]);
    fs::write(&query.operations, operations).unwrap();
    // A manifest asks for more than the operator has looked at.
    let manifest = fs::read_to_string(&query.manifest).unwrap();
    fs::write(&query.manifest, manifest.replace("0.1.0", "0.1.1")).unwrap();
    run(&desk, "json-query").fails(2, &["was changed", "was installed", "--manifest FILE"]);
    fs::write(&query.manifest, manifest).unwrap();
    works(&desk, "json-query");
}

#[test]
fn a_key_that_others_can_read_is_refused_everywhere() {
    let desk = installed();
    works(&desk, "tools/json-query.wasm");
    fs::set_permissions(key(&desk), Permissions::from_mode(0o644)).unwrap();
    let words = ["artifact.key` can be read or changed by others", "644", "chmod 600"];
    run(&desk, "json-query").fails(2, &words);
    run(&desk, "tools/json-query.wasm").fails(2, &words);
    xdg(&desk, &["install", "tools/json-query.wasm"]).fails(2, &words);
    let doctor = xdg(&desk, &["doctor"]);
    assert!(doctor.code == 2 && doctor.stdout.contains(words[0]), "{doctor:?}");
    fs::set_permissions(key(&desk), Permissions::from_mode(0o600)).unwrap();
    works(&desk, "json-query");
}

#[test]
fn what_was_sealed_with_another_key_is_refused_or_compiled_again() {
    let desk = installed();
    works(&desk, "tools/json-query.wasm");
    let before = identity(cached(&desk));
    fs::write(key(&desk), [7; 31]).unwrap();
    run(&desk, "json-query").fails(2, &["is no key", "remove it", "tollgate doctor --fix"]);
    fs::remove_file(key(&desk)).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "sealed with another key", "tollgate doctor --fix"]);
    works(&desk, "tools/json-query.wasm");
    assert_ne!(identity(cached(&desk)), before);
    xdg(&desk, &["doctor", "--fix"]).says(&["compiled again: json-query 0.1.0 sha256:"]);
    works(&desk, "json-query");
}

#[test]
fn a_second_run_by_path_does_not_compile_again() {
    let desk = desk();
    works(&desk, "tools/json-query.wasm");
    // Whatever is compiled is stored, and what is stored is a new file.
    let first = identity(cached(&desk));
    works(&desk, "tools/json-query.wasm");
    fs::copy(desk.path("tools/json-query.wasm"), desk.path("copy.wasm")).unwrap();
    works(&desk, "copy.wasm");
    assert_eq!(xdg(&desk, &["inspect", "copy.wasm"]).code, 0);
    assert_eq!(identity(cached(&desk)), first);
    // One that does not verify is as good as none, and nothing is said.
    let mut stored = fs::read(cached(&desk)).unwrap();
    let middle = stored.len() / 2;
    stored[middle] ^= 1;
    fs::write(cached(&desk), &stored).unwrap();
    let tampered = identity(cached(&desk));
    works(&desk, "tools/json-query.wasm");
    assert_ne!(identity(cached(&desk)), tampered);
    assert_ne!(fs::read(cached(&desk)).unwrap(), stored);
}

#[test]
fn without_a_place_to_keep_anything_it_compiles_each_time() {
    let desk = desk();
    desk.file("file", "");
    let by_path = [&["run", "tools/json-query.wasm"], &QUERY[..]].concat();
    let answers = |ran: Ran, why: &str| {
        assert_eq!((ran.code, ran.report()), (0, json!({"value": 1})), "{ran:?}");
        ran.says(&["warning: what is compiled is not kept", why]);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    };
    for (variable, place) in
        [("XDG_CACHE_HOME", "`FOLDER/file/tollgate`"), ("XDG_STATE_HOME", "`FOLDER/file/tollgate/artifact.key`")]
    {
        let mut command = command(&desk, &by_path);
        answers(desk.ran(&command.env(variable, desk.path("file")).output().unwrap()), place);
    }
    assert!(!desk.path("cache").exists());
    let mut homeless = command(&desk, &by_path);
    homeless.env_remove("HOME").env_remove("XDG_CACHE_HOME").env_remove("XDG_STATE_HOME").env_remove("XDG_DATA_HOME");
    answers(desk.ran(&homeless.output().unwrap()), "there is no place for it");
    let mut homeless = command(&desk, &["install", "tools/json-query.wasm"]);
    homeless.env_remove("HOME").env_remove("XDG_DATA_HOME");
    desk.ran(&homeless.output().unwrap()).fails(2, &["no place for tools", "TOLLGATE_HOME"]);
}

/// A daemon obeys the policy of the home, which is given and not found.
#[test]
fn a_pin_in_the_policy_of_the_home_is_told_by_whatever_changes_the_tool() {
    let desk = Desk::with("json-query");
    assert_eq!(desk.run(&["install", "tools/json-query.wasm"]).code, 0);
    desk.file("tollgate-home/tollgate.toml", "[tools.json-query]\nlimits.memory = \"64MiB\"\n");
    desk.run(&["policy", "pin", "json-query", "--policy", "none.toml"])
        .fails(2, &["there is no policy `FOLDER/none.toml`"]);
    let pinned = desk.run(&["policy", "pin", "json-query"]);
    assert_eq!(pinned.code, 0, "{pinned:?}");
    assert!(pinned.stdout.contains("\n  policy  FOLDER/tollgate-home/tollgate.toml\n"), "{pinned:?}");
    assert!(!pinned.stdout.contains("tollgate trust"), "it is not found, so that nobody has to accept it: {pinned:?}");
    let other = [&fs::read(desk.path("tools/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", &other);
    let policy = "policy pin json-query --policy FOLDER/tollgate-home/tollgate.toml\n";
    let whose = ", by `FOLDER/tollgate-home/tollgate.toml`, which a daemon obeys; pin the new one with  tollgate ";
    let shown = desk.run(&["update", "json-query"]);
    assert!(shown.stdout.contains(&format!("{whose}{policy}")), "{shown:?}");
    let installed = desk.run(&["install", "tools/json-query.wasm"]);
    assert!(installed.code == 0 && installed.stdout.contains(&format!("{whose}{policy}")), "{installed:?}");
    let again = desk.run(&["install", "tools/json-query.wasm", "--json"]).json();
    assert!(again["refused_by_policy"].as_str().unwrap().contains("for the component sha256:"), "{again}");
}

#[test]
fn what_a_pin_refuses_and_what_is_current_are_told_with_the_command_that_helps() {
    let desk = Desk::with("json-query");
    assert_eq!(desk.run(&["install", "tools/json-query.wasm"]).code, 0);
    desk.file("tollgate.toml", format!("[tools.json-query]\ncomponent = \"sha256:{}\"\n", "0".repeat(64)));
    let refused = desk.run(&[&["run", "json-query"][..], &QUERY].concat());
    refused.fails(
        2,
        &[
            "is for the component sha256:0000",
            "`tollgate policy pin json-query`",
            "`tollgate rollback json-query@VERSION`",
        ],
    );
    let other = [&fs::read(desk.path("tools/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", &other);
    assert_eq!(desk.run(&["install", "tools/json-query.wasm", "--json"]).code, 0);
    let version = desk.run(&["show", "json-query", "--json"]).json()["component"].as_str().unwrap()[..30].to_owned();
    let current = desk.run(&["remove", &format!("json-query@{version}")]);
    current.fails(2, &["error: `json-query` is left as it is: "]);
    let headline = current.stderr.lines().next().unwrap();
    let (_, why) = headline.split_once("is left as it is: ").unwrap();
    assert_eq!(current.stderr.matches(why).count(), 1, "it is said once: {current:?}");
}

/// The README installs a tool with `--manifest`, and nothing beside the component says where that was.
#[test]
fn a_tool_whose_manifest_was_given_is_updated_and_installed_again_with_the_one_that_is_installed() {
    let desk = Desk::with("json-query");
    fs::rename(desk.path("tools/json-query.toml"), desk.path("given.toml")).unwrap();
    let bare = ["install", "tools/json-query.wasm", "--name", "query"];
    desk.run(&bare).fails(2, &["brings no manifest, and none is beside it"]);
    assert_eq!(desk.run(&[&bare[..], &["--manifest", "given.toml"]].concat()).code, 0);
    assert_eq!(desk.run(&["update", "query"]).code, 0);
    // As `doctor` advises it.
    let stored = desk.stored("query");
    fs::remove_file(&stored.component).unwrap();
    assert_eq!(desk.run(&bare).code, 0);
    assert_eq!(desk.run(&[&["run", "query"][..], &QUERY].concat()).json(), json!({"value": 1}));
    let other = [&fs::read(desk.path("tools/json-query.wasm")).unwrap()[..], b"\0\x02\x01x"].concat();
    desk.file("tools/json-query.wasm", &other);
    // Another component is another thing to install, and what it needs is shown before it takes the place.
    desk.run(&bare).fails(2, &["brings no manifest, and none is beside it"]);
    let updated = desk.run(&["update", "query", "--yes"]);
    assert_eq!(updated.code, 0, "{updated:?}");
    updated.says(&["note: `", "brings no manifest, and none is beside it: the one that is installed stays"]);
    assert_eq!(desk.run(&["show", "query", "--json"]).json()["component"], Digest::of(&other).to_string());
    // One that was edited where it is stored is nobody's.
    desk.file("tools/json-query.wasm", [&other[..], b"\0\x02\x01y"].concat());
    let manifest = desk.stored("query").manifest;
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}# more\n")).unwrap();
    desk.run(&["update", "query", "--yes"]).fails(2, &["brings no manifest, and none is beside it"]);
}
