//! `tollgate install`, `list`, `remove`, `run NAME`, and what is kept of tools that are run by their path.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tollgate_audit::Digest;

use crate::desk::{DOCS, Desk, Ran};

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

/// A file of the installed json-query.
fn of_tool(desk: &Desk, name: &str) -> PathBuf {
    desk.path("data/tollgate/tools/json-query").join(name)
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
    let bytes = fs::metadata(of_tool(&desk, "component.wasm")).unwrap().len();
    assert_eq!((&listed[0]["name"], &listed[0]["version"]), (&json!("json-query"), &json!("0.1.0")));
    assert_eq!(listed[0]["bytes"], bytes);
    assert_eq!(xdg(&desk, &["remove", "json-query"]).stdout, "removed json-query\n");
    run(&desk, "json-query").fails(2, &["no tool `json-query` is installed", "tollgate install PATH"]);
    assert_eq!(fs::read_dir(desk.path("data/tollgate/tools")).unwrap().count(), 0);
    assert!(!desk.path("cache").exists(), "an installed tool needs no cache");
}

#[test]
fn files_are_for_their_owner_alone() {
    let desk = installed();
    works(&desk, "tools/json-query.wasm");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["component.wasm", "tool.toml", "component.artifact"] {
        assert_eq!(mode(of_tool(&desk, name)), 0o600, "{name}");
    }
    assert_eq!((mode(key(&desk)), mode(cached(&desk))), (0o600, 0o600));
    assert_eq!((mode(of_tool(&desk, "")), mode(desk.path("cache/tollgate"))), (0o700, 0o700));
}

#[test]
fn tollgate_home_holds_all_of_it() {
    let desk = desk();
    let run = |args: &[&str]| desk.run(args);
    assert_eq!(run(&["install", "tools/json-query.wasm"]).code, 0);
    assert_eq!(run(&[&["run", "json-query"], &QUERY[..]].concat()).json(), json!({"value": 1}));
    assert_eq!(run(&[&["run", "tools/json-query.wasm"], &QUERY[..]].concat()).json(), json!({"value": 1}));
    for path in ["tools/json-query/component.artifact", "artifact.key", "cache"] {
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
    let component = of_tool(&desk, "component.wasm");
    fs::remove_file(&component).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &component, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(xdg(&desk, &["list", "--json"]).json()[0]["component"], digest);
    xdg(&desk, &["install", "tools/json-query.wasm"]).fails(2, &["a tool `json-query` is installed: 0.1.0 sha256:"]);
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
fn a_tool_is_not_replaced_unless_that_is_asked_for() {
    let desk = installed();
    let before = identity(of_tool(&desk, "component.wasm"));
    let again = xdg(&desk, &["install", "tools/json-query.wasm"]);
    again.fails(2, &["a tool `json-query` is installed: 0.1.0 sha256:", " UTC", "--force", "--name"]);
    assert_eq!(identity(of_tool(&desk, "component.wasm")), before);
    desk.edit("tools/json-query.toml", "0.1.0", "0.2.0");
    let forced = xdg(&desk, &["install", "tools/json-query.wasm", "--force"]);
    assert!(forced.stdout.starts_with("replaced json-query 0.2.0 "), "{forced:?}");
    assert_eq!(xdg(&desk, &["list", "--json"]).json()[0]["version"], "0.2.0");
    assert_eq!(fs::read_dir(desk.path("data/tollgate/tools")).unwrap().count(), 1);
    works(&desk, "json-query");
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
    let path = of_tool(&desk, "component.artifact");
    let stored = fs::read(&path).unwrap();
    // Each field of the header, the tag, and code from its first byte to its last.
    for place in [0, 7, 8, 39, 40, 71, 72, 79, 80, 111, 112, stored.len() / 2, stored.len() - 1] {
        let mut flipped = stored.clone();
        flipped[place] ^= 1;
        fs::write(&path, flipped).unwrap();
        run(&desk, "json-query")
            .fails(2, &["the installed tool `json-query` is refused", "nothing was run", "--force"]);
    }
    for bytes in [&b""[..], &stored[..111], &stored[..stored.len() - 1], &[&stored[..], b"x"].concat()] {
        fs::write(&path, bytes).unwrap();
        run(&desk, "json-query").fails(2, &["is refused", "--force"]);
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
    let other = desk.path("data/tollgate/tools/echo-read");
    let own = fs::read(of_tool(&desk, "component.wasm")).unwrap();
    let artifact = fs::read(of_tool(&desk, "component.artifact")).unwrap();
    fs::write(of_tool(&desk, "component.wasm"), [&own[..], b"\0"].concat()).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "compiled from another component", "who could change"]);
    fs::copy(other.join("component.wasm"), of_tool(&desk, "component.wasm")).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "compiled from another component"]);
    // An artifact of this user's own, for another tool.
    fs::write(of_tool(&desk, "component.wasm"), own).unwrap();
    fs::copy(other.join("component.artifact"), of_tool(&desk, "component.artifact")).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "compiled from another component"]);
    fs::write(of_tool(&desk, "component.artifact"), artifact).unwrap();
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
    xdg(&desk, &["install", "tools/json-query.wasm", "--force"]).fails(2, &words);
    fs::set_permissions(key(&desk), Permissions::from_mode(0o600)).unwrap();
    works(&desk, "json-query");
}

#[test]
fn what_was_sealed_with_another_key_is_refused_or_compiled_again() {
    let desk = installed();
    works(&desk, "tools/json-query.wasm");
    let before = identity(cached(&desk));
    fs::write(key(&desk), [7; 31]).unwrap();
    run(&desk, "json-query").fails(2, &["is no key", "remove it", "--force"]);
    fs::remove_file(key(&desk)).unwrap();
    run(&desk, "json-query").fails(2, &["is refused", "sealed with another key", "--force"]);
    works(&desk, "tools/json-query.wasm");
    assert_ne!(identity(cached(&desk)), before);
    assert_eq!(xdg(&desk, &["install", "tools/json-query.wasm", "--force"]).code, 0);
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
