//! Who decides: which policy is obeyed, whose grant a component gets, which folders a grant means, and that no tool changes any
//! of it. Each refusal comes before anything runs.

mod kept;
mod mounts;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::desk::{DOCS, Desk, Ran};

pub(crate) const COUNT: [&str; 4] = ["--op", "count", "--input", r#"{"folder": "/docs"}"#];
pub(crate) const GRANT: &str = "fs.\"/docs\" = { host = \"docs\", access = [\"read\", \"list\"] }\n";

/// The program in a folder of the desk.
pub(crate) fn command(desk: &Desk, folder: &str, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    command.current_dir(desk.path(folder)).env("TOLLGATE_LEDGER", desk.path("ledger"));
    command
}

pub(crate) fn run(desk: &Desk, folder: &str, args: &[&str]) -> Ran {
    desk.ran(&command(desk, folder, args).output().unwrap())
}

/// A desk with the prober and a folder `work` to call it in.
pub(crate) fn prober() -> Desk {
    let desk = Desk::with("probe-fs");
    fs::create_dir(desk.path("work")).unwrap();
    desk
}

/// Has the prober take one step with this grant, called in `work`.
pub(crate) fn step(desk: &Desk, grants: &[&str], step: &serde_json::Value) -> Ran {
    let input = json!({ "steps": [step] }).to_string();
    let grants = grants.iter().flat_map(|grant| ["--grant", grant]);
    let args: Vec<&str> =
        ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", &input].into_iter().chain(grants).collect();
    run(desk, "work", &args)
}

fn write(path: &str) -> serde_json::Value {
    json!({ "op": "write", "path": path, "data": "[tools.probe-fs]\nrandom = \"secure\"\n" })
}

pub(crate) const ALL: &str = "read,write,create,delete,list,metadata";

#[track_caller]
pub(crate) fn nothing_was_called(desk: &Desk) {
    assert!(desk.called().is_empty());
}

// Deciding places.

#[test]
fn no_ledger_is_made_in_a_granted_folder() {
    let desk = Desk::with("word-count");
    for ledger in ["docs/led", "docs"] {
        let run = ["run", "tools/word-count.wasm", "--ledger", ledger];
        let ran = desk.run(&[&run[..], &COUNT, &DOCS].concat());
        ran.fails(2, &["the grant for `/docs` hands over the ledger or its key"]);
        let left = fs::read_dir(desk.path("docs")).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| !name.to_string_lossy().ends_with(".txt")).collect();
        assert!(!desk.path("docs/led").exists() && !desk.path("docs/led.key").exists(), "{left:?}");
        assert!(!desk.path("docs.key").exists() && !desk.path("docs/checkpoint").exists(), "{left:?}");
    }
}

#[test]
fn a_workspace_stays_grantable_and_gets_no_policy() {
    let desk = prober();
    let all = format!("fs:/docs=.:{ALL}");
    assert_eq!(step(&desk, &[&all], &write("/docs/notes.txt")).code, 0);
    let denied = step(&desk, &[&all], &write("/docs/tollgate.toml"));
    denied.fails(3, &["fs:/docs:policy", "could find a policy under this name", "nothing grants it"]);
    assert!(!desk.path("work/tollgate.toml").exists() && desk.path("work/notes.txt").exists());
}

#[test]
fn a_policy_that_is_a_link_is_out_of_reach_at_both_ends() {
    let desk = prober();
    fs::create_dir_all(desk.path("real")).unwrap();
    desk.file("real/policy.toml", "");
    symlink("../real/policy.toml", desk.path("work/link.toml")).unwrap();
    for host in ["../real", "."] {
        let grant = format!("fs:/docs={host}:write");
        let args = ["run", "../tools/probe-fs.wasm", "--policy", "link.toml", "--grant", &grant];
        let ran = run(&desk, "work", &args);
        ran.fails(2, &["hands over the policy: `FOLDER/work/link.toml`", "decide over its own rights"]);
    }
    // With another policy in use, the one that the next run would find counts still.
    fs::rename(desk.path("work/link.toml"), desk.path("work/tollgate.toml")).unwrap();
    desk.file("other.toml", "");
    for (host, what) in [("../real", "the place where a policy is found"), (".", "the place where a policy is found")] {
        let grant = format!("fs:/docs={host}:write");
        let args = ["run", "../tools/probe-fs.wasm", "--policy", "../other.toml", "--grant", &grant];
        run(&desk, "work", &args).fails(2, &[&format!("hands over {what}")]);
    }
    let args = ["run", "../tools/probe-fs.wasm", "--policy", "../other.toml", "--grant", "fs:/docs=..:write"];
    run(&desk, "work", &args).fails(2, &["hands over the policy: `FOLDER/work/../other.toml`"]);
    nothing_was_called(&desk);
}

#[test]
fn what_is_not_there_yet_is_out_of_reach_too() {
    let desk = prober();
    fs::create_dir(desk.path("state")).unwrap();
    let refused = |home: &str, right: &str, what: &str| {
        let grant = format!("fs:/docs=../state:{right}");
        let mut command = command(&desk, "work", &["run", "../tools/probe-fs.wasm", "--grant", &grant]);
        let output = command.env("TOLLGATE_HOME", desk.path(home)).output().unwrap();
        desk.ran(&output).fails(2, &[&format!("hands over {what}")]);
        assert!(!desk.path("state/home/tools").exists());
    };
    refused("state/home", "read", "the key of compiled tools");
    refused("state/home", "create", "the key of compiled tools");
    fs::create_dir(desk.path("elsewhere")).unwrap();
    // Each by itself: the others are elsewhere.
    for (name, what) in [
        ("trust", "the store of accepted policies"),
        ("tools", "the installed tools"),
        ("cache", "the cache of compiled tools"),
    ] {
        fs::remove_dir_all(desk.path("elsewhere")).unwrap();
        fs::create_dir(desk.path("elsewhere")).unwrap();
        symlink(desk.path(&format!("state/{name}")), desk.path(&format!("elsewhere/{name}"))).unwrap();
        refused("elsewhere", "create", what);
    }
    nothing_was_called(&desk);
}

#[test]
fn a_tool_changes_neither_its_component_nor_its_manifest_nor_the_program() {
    let desk = prober();
    step(&desk, &["fs:/docs=../tools:write"], &write("/docs/x")).fails(2, &["hands over the component"]);
    fs::create_dir(desk.path("manifests")).unwrap();
    fs::rename(desk.path("tools/probe-fs.toml"), desk.path("manifests/m.toml")).unwrap();
    let grant = "fs:/docs=../manifests:delete";
    let args = ["run", "../tools/probe-fs.wasm", "--manifest", "../manifests/m.toml", "--grant", grant];
    run(&desk, "work", &args).fails(2, &["hands over the manifest"]);
    let program = Path::new(env!("CARGO_BIN_EXE_tollgate")).parent().unwrap();
    let grant = format!("fs:/docs={}:create", program.display());
    step(&desk, &[&grant], &write("/docs/x")).fails(2, &["hands over the program `tollgate`"]);
    nothing_was_called(&desk);
    // What only looks, changes nothing.
    assert_eq!(
        step(&desk, &["fs:/docs=../tools:read,list,metadata"], &json!({ "op": "list", "path": "/docs" })).code,
        0
    );
}

#[test]
fn no_tool_changes_what_the_drill_runs_unsealed() {
    let desk = prober();
    for folder in ["bin", "shared"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    for program in [env!("CARGO_BIN_EXE_tollgate"), env!("CARGO_BIN_EXE_tollgate-drill")] {
        fs::copy(program, desk.path("bin").join(Path::new(program).file_name().unwrap())).unwrap();
    }
    let (drill, shared) = (desk.path("bin/tollgate-drill"), desk.path("shared/drill"));
    let run = |args: &[&str]| {
        let named = command(&desk, "work", args);
        let mut copied = Command::new(desk.path("bin/tollgate"));
        copied.args(named.get_args()).current_dir(desk.path("work"));
        copied.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
        desk.ran(&copied.output().unwrap())
    };
    assert_eq!(run(&["drill", "--list"]).code, 0);

    // By a link beside `tollgate`.
    fs::rename(&drill, &shared).unwrap();
    symlink("../shared/drill", &drill).unwrap();
    let input = json!({ "steps": [write("/docs/drill")] }).to_string();
    let grant =
        ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", &input, "--grant", "fs:/docs=../shared:write"];
    run(&grant).fails(2, &["the grant for `/docs` hands over the program of `tollgate drill`"]);
    nothing_was_called(&desk);
    assert_eq!(fs::read(&shared).unwrap(), fs::read(env!("CARGO_BIN_EXE_tollgate-drill")).unwrap());

    // By a name of the same file.
    fs::remove_file(&drill).unwrap();
    fs::hard_link(&shared, &drill).unwrap();
    let refused = |why: &str| {
        let why = format!("bin/tollgate-drill`, which would run unsealed, is not run: {why}");
        let ran = run(&["drill", "--list"]);
        ran.fails(2, &[&why]);
        assert_eq!(ran.stdout, "");
    };
    refused("it has another name somewhere (a hard link), by which a tool may have changed it");
    // `cargo` leaves one where no tool may change it.
    fs::create_dir(desk.path("bin/deps")).unwrap();
    fs::rename(&shared, desk.path("bin/deps/tollgate_drill-0123")).unwrap();
    assert_eq!(run(&["drill", "--list"]).code, 0);
    let built = [&grant[..7], &["fs:/docs=../bin/deps:write"]].concat();
    run(&built).fails(2, &["hands over the program of `tollgate drill`"]);
    fs::set_permissions(&drill, fs::Permissions::from_mode(0o757)).unwrap();
    refused("others may write it");
}

/// A process that attacks is no tool's name away.
#[test]
fn the_drill_takes_no_argument_for_the_role_of_an_attacker() {
    let desk = Desk::new();
    desk.run(&["drill", "--as-attacker"]).fails(2, &["unexpected argument '--as-attacker'"]);
    let order = ["--front", "1", "--order", "{}"];
    desk.run(&[&["drill", "attacker"], &order[..]].concat()).fails(2, &["unexpected argument '--front'"]);
    desk.run(&["drill", "attacker"]).fails(2, &["no tool `attacker` is installed"]);
}

#[test]
fn what_decides_does_not_depend_on_the_working_folder() {
    let desk = Desk::with("word-count");
    let count = [&["run", "tools/word-count.wasm"][..], &COUNT, &DOCS].concat();
    for args in [&count[..], &["trust"], &["list"], &["doctor"]] {
        let output = desk.command(args).env("TOLLGATE_HOME", "own").output().unwrap();
        desk.ran(&output).fails(2, &["TOLLGATE_HOME is the relative path `own`", "give it as an absolute path"]);
    }
    nothing_was_called(&desk);
    // The specification has it that these are passed over.
    let mut command = desk.command(&count);
    fs::create_dir(desk.path("home")).unwrap();
    command.env_remove("TOLLGATE_HOME").env("HOME", desk.path("home"));
    for variable in ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env(variable, "own");
    }
    assert_eq!(desk.ran(&command.output().unwrap()).json()["files"], 2);
    assert!(!desk.path("own").exists() && desk.path("home/.local/state/tollgate/artifact.key").exists());
}

#[test]
fn a_tool_exchanges_no_receipt_of_its_own_call() {
    let desk = prober();
    fs::create_dir(desk.path("work/d")).unwrap();
    let run = |grant: &str, receipt: &str| {
        let args = ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}"];
        run(&desk, "work", &[&args[..], &["--grant", grant, "--receipt", receipt]].concat())
    };
    for (right, receipt) in [("create", "d/r"), ("delete", "d/r"), ("write", "d/r"), ("create", "d/sub/../r")] {
        run(&format!("fs:/docs=d:{right}"), receipt).fails(2, &["hands over the place of the receipt: `d/"]);
        assert!(!desk.path("work/d/r").exists());
    }
    nothing_was_called(&desk);
    for (grant, receipt) in [("fs:/docs=d:read,list", "d/r"), ("fs:/docs=d:create", "r")] {
        assert_eq!(run(grant, receipt).code, 0);
        assert!(desk.path("work").join(receipt).exists());
    }
}

/// As the home's policy has them, and one that is given: a daemon may serve either.
#[test]
fn a_tool_exchanges_no_socket_of_an_agent_of_the_policy() {
    let desk = prober();
    fs::create_dir(desk.path("work/d")).unwrap();
    let agent = format!("[agents.one]\nis = {{ socket = true }}\nlisten = {:?}\n", desk.path("work/d/socket"));
    for right in ["create", "delete", "write"] {
        let grant = format!("[tools.probe-fs]\nfs.\"/docs\" = {{ host = \"d\", access = [\"{right}\"] }}\n");
        desk.file("work/given.toml", format!("{grant}{agent}"));
        let ran = run(
            &desk,
            "work",
            &["run", "../tools/probe-fs.wasm", "--policy", "given.toml", "--op", "run", "--input", "{\"steps\": []}"],
        );
        ran.fails(2, &["hands over", "socket"]);
    }
    nothing_was_called(&desk);
}

#[test]
fn a_tool_takes_no_grant_by_the_name_of_another_tools_file() {
    let desk = Desk::with("word-count");
    let count = [&["run", "tools/word-count.wasm"][..], &COUNT].concat();
    let policy = |right: &str, entry: &str| {
        let other = format!("[tools.other]\nfs.\"/w\" = {{ host = \"tools\", access = [\"{right}\"] }}\n");
        desk.file("tollgate.toml", format!("{other}[tools.word-count]\n{entry}{GRANT}"));
    };
    for right in ["write", "create", "delete"] {
        policy(right, "");
        desk.run(&count).fails(
            2,
            &[
                "gets the entry `word-count` of the policy",
                "the tool `other` may exchange it (as `/w`)",
                "tollgate install",
            ],
        );
    }
    nothing_was_called(&desk);
    policy("read", "");
    assert_eq!(desk.run(&count).code, 0);
    // By its digest no other component gets the entry, and by its path none that the table of places leaves to a tool.
    let inspected = desk.run(&["inspect", "tools/word-count.wasm", "--json"]).report();
    policy("write", &format!("component = \"{}\"\n", inspected["component"].as_str().unwrap()));
    assert_eq!(desk.run(&count).code, 0);
    policy("write", "component = \"tools/word-count.wasm\"\n");
    assert_eq!(desk.run(&count).code, 0);
}

#[test]
fn a_tool_exchanges_no_component_that_an_entry_is_for() {
    let desk = prober();
    fs::create_dir(desk.path("plugins")).unwrap();
    let other = "[tools.other]\ncomponent = \"../plugins/other.wasm\"\n";
    desk.file("work/tollgate.toml", other);
    step(&desk, &["fs:/docs=../plugins:create"], &write("/docs/x")).fails(2, &["hands over the component"]);
    nothing_was_called(&desk);
    desk.file("work/tollgate.toml", "");
    assert_eq!(step(&desk, &["fs:/docs=../plugins:create,write"], &write("/docs/x")).code, 0);
}

#[test]
fn a_ledger_elsewhere_does_not_give_up_the_usual_one() {
    let desk = prober();
    fs::create_dir_all(desk.path("state/ledger")).unwrap();
    let args = ["run", "../tools/probe-fs.wasm", "--ledger", "../ledger-2", "--grant", "fs:/docs=../state:metadata"];
    let output = command(&desk, "work", &args).env("TOLLGATE_LEDGER", desk.path("state/ledger")).output().unwrap();
    desk.ran(&output).fails(2, &["hands over the ledger or its key"]);
    assert!(!desk.path("ledger-2").exists());
    // The one that is used counts before it is there.
    let args =
        ["run", "../tools/probe-fs.wasm", "--ledger", "../state/new/ledger", "--grant", "fs:/docs=../state:metadata"];
    run(&desk, "work", &args).fails(2, &["the grant for `/docs` hands over the ledger or its key"]);
    assert!(!desk.path("state/new").exists());
}

#[test]
fn the_way_to_a_ledger_is_out_of_reach_link_by_link() {
    let desk = prober();
    fs::create_dir(desk.path("records")).unwrap();
    symlink("../records", desk.path("work/records")).unwrap();
    let grant = format!("fs:/docs=.:{ALL}");
    let args = ["run", "../tools/probe-fs.wasm", "--ledger", "records/ledger", "--grant", &grant];
    run(&desk, "work", &args).fails(2, &["hands over the ledger or its key: `records/ledger`"]);
    // Beside the link there is nothing that leads to the ledger.
    fs::create_dir(desk.path("work/apart")).unwrap();
    let grant = format!("fs:/docs=apart:{ALL}");
    let args = ["run", "../tools/probe-fs.wasm", "--ledger", "records/ledger", "--grant", &grant];
    let input = json!({ "steps": [write("/docs/x")] }).to_string();
    assert_eq!(run(&desk, "work", &[&args[..], &["--op", "run", "--input", &input]].concat()).code, 0);
}

// Folders of grants.

#[test]
fn a_folder_that_another_tool_can_exchange_is_refused_or_bound() {
    let desk = Desk::with("word-count");
    fs::create_dir(desk.path("work")).unwrap();
    fs::rename(desk.path("docs"), desk.path("work/docs")).unwrap();
    desk.file("secrets/a.txt", "one two three\n");
    let policy = |nested: &str| {
        desk.file(
            "tollgate.toml",
            format!(
                "[tools.probe-fs]\nfs.\"/docs\" = {{ host = \"work\", access = [\"create\", \"delete\"] }}\n[tools.word-count]\n\
                 fs.\"/docs\" = {{ host = \"work/docs\", access = [\"read\", \"list\"]{nested} }}\n"
            ),
        );
    };
    let count = [&["run", "tools/word-count.wasm"][..], &COUNT].concat();
    policy("");
    desk.run(&count).fails(2, &["which lies in `FOLDER/work`", "the tool `probe-fs` (as `/docs`)", "nested = true"]);
    nothing_was_called(&desk);
    policy(", nested = true");
    assert_eq!(desk.run(&count).json()["files"], 2);
    // As the prober could have done it.
    fs::rename(desk.path("work/docs"), desk.path("work/away")).unwrap();
    symlink(desk.path("secrets"), desk.path("work/docs")).unwrap();
    desk.run(&count)
        .fails(2, &["a symbolic link in `FOLDER/work`, where the tool `probe-fs` (as `/docs`) may make links"]);
    fs::remove_file(desk.path("work/docs")).unwrap();
    fs::rename(desk.path("secrets"), desk.path("work/docs")).unwrap();
    desk.run(&count)
        .fails(2, &["where another folder stands than the one that was bound", "tollgate trust FOLDER/work/docs"]);
    assert_eq!(desk.called().len(), 1);
    assert_eq!(desk.run(&["trust", "work/docs"]).code, 0);
    assert_eq!(desk.run(&count).json()["files"], 1);
}

#[test]
fn a_link_of_a_tool_that_another_grant_let_make_it_is_not_followed() {
    let desk = prober();
    desk.place("word-count");
    symlink("../docs", desk.path("work/link")).unwrap();
    let count = [&["run", "../tools/word-count.wasm"][..], &COUNT, &["--grant", "fs:/docs=link:read,list"]].concat();
    assert_eq!(run(&desk, "work", &count).json()["files"], 2);
    // The policy that the reader runs under says nothing of this grant.
    assert_eq!(step(&desk, &["fs:/docs=.:create,write"], &write("/docs/x")).code, 0);
    let called = desk.called();
    let refused = run(&desk, "work", &count);
    refused.fails(2, &["a symbolic link in `FOLDER/work`, where a tool of an earlier run may make links"]);
    assert_eq!(desk.called(), called);
    let named = [&["run", "../tools/word-count.wasm"][..], &COUNT, &["--grant", "fs:/docs=../docs:read,list"]].concat();
    assert_eq!(run(&desk, "work", &named).json()["files"], 2);
}

#[test]
fn what_was_opened_stands_in_the_entry_of_the_policy() {
    use std::os::unix::fs::MetadataExt as _;
    let desk = Desk::with("word-count");
    symlink("docs", desk.path("link")).unwrap();
    let grant = ["--grant", "fs:/docs=link:read,list"];
    let ran = desk.run(&[&["run", "tools/word-count.wasm"][..], &COUNT, &grant].concat());
    assert_eq!(ran.json()["files"], 2);
    let entries = desk.entries();
    let policy = entries.iter().find(|entry| entry["kind"] == "policy").unwrap();
    let found = fs::metadata(desk.path("docs")).unwrap();
    let docs = fs::canonicalize(desk.path("docs")).unwrap();
    let opened = format!("{}:{} {}", found.dev(), found.ino(), docs.display());
    assert_eq!(
        policy["folders"],
        json!({ "/docs": opened.replace(docs.parent().unwrap().to_str().unwrap(), "FOLDER") })
    );
}

// Whose grant it is.

#[test]
fn a_component_does_not_choose_its_grant() {
    let desk = Desk::with("word-count");
    desk.file("tollgate.toml", format!("[tools.word-count]\n{GRANT}"));
    // Another component with a manifest of that name, under a file name of its own.
    fs::copy(desk.path("tools/word-count.wasm"), desk.path("tools/evil.wasm")).unwrap();
    fs::copy(desk.path("tools/word-count.toml"), desk.path("tools/evil.toml")).unwrap();
    let evil = [&["run", "tools/evil.wasm"][..], &COUNT].concat();
    desk.run(&evil).fails(2, &["the tool `evil` needs what nothing grants", "[tools.evil]"]);
    nothing_was_called(&desk);
    // What the operator typed is the name; `_` is as `-`.
    fs::rename(desk.path("tools/evil.wasm"), desk.path("tools/word_count.wasm")).unwrap();
    fs::rename(desk.path("tools/evil.toml"), desk.path("tools/word_count.toml")).unwrap();
    assert_eq!(desk.run(&[&["run", "tools/word_count.wasm"][..], &COUNT].concat()).json()["files"], 2);
    // No other name is made fit: a file that only looks like the tool's is none.
    for name in ["tools/Word_Count.wasm", "tools/word.count.wasm", "tools/word count.wasm"] {
        fs::copy(desk.path("tools/word_count.wasm"), desk.path(name)).unwrap();
        desk.run(&[&["run", name][..], &COUNT].concat()).fails(2, &["gives no name for a tool", "rename the file"]);
    }
}

#[test]
fn an_entry_is_for_its_component() {
    let desk = Desk::with("word-count");
    let count = [&["run", "tools/word-count.wasm"][..], &COUNT].concat();
    let digest = desk.run(&[&["inspect", "tools/word-count.wasm", "--json"][..], &DOCS].concat()).json();
    let digest = digest["component"].as_str().unwrap().to_owned();
    desk.file("tollgate.toml", format!("[tools.word-count]\ncomponent = \"sha256:{}\"\n{GRANT}", "0".repeat(64)));
    desk.run(&count).fails(2, &["is for the component sha256:0000", &digest]);
    nothing_was_called(&desk);
    desk.file("tollgate.toml", format!("[tools.any]\ncomponent = \"{digest}\"\n{GRANT}"));
    assert_eq!(desk.run(&count).json()["files"], 2);
    desk.file("tollgate.toml", format!("[tools.by-path]\ncomponent = \"tools/word-count.wasm\"\n{GRANT}"));
    assert_eq!(desk.run(&count).json()["files"], 2);
    let called: Vec<_> =
        desk.entries().iter().filter_map(|entry| entry["operation"].as_str().map(|_| entry["tool"].clone())).collect();
    assert!(called.contains(&json!("any")) && called.contains(&json!("by-path")), "{called:?}");
    desk.file("tollgate.toml", format!("[tools.word-count]\ncomponent = \"elsewhere.wasm\"\n{GRANT}"));
    desk.run(&count).fails(2, &["is for the component `FOLDER/elsewhere.wasm`"]);
    desk.file("tollgate.toml", "[tools.word-count]\ncomponent = \"sha256:12\"\n");
    desk.run(&count).fails(2, &["\"sha256:12\" names no component", "this value"]);
}

#[test]
fn two_tools_of_one_manifest_are_told_apart_by_their_installed_names() {
    let desk = Desk::with("word-count");
    desk.file("tollgate.toml", format!("[tools.first]\n{GRANT}"));
    for name in ["first", "second"] {
        let installed = desk.run(&["install", "tools/word-count.wasm", "--name", name]);
        assert!(installed.stdout.contains("  declared  word-count, by its manifest\n"), "{installed:?}");
    }
    assert_eq!(desk.run(&[&["run", "first"][..], &COUNT].concat()).json()["files"], 2);
    desk.run(&[&["run", "second"][..], &COUNT].concat()).fails(2, &["the tool `second` needs what nothing grants"]);
    let entries = desk.entries();
    let policy = entries.iter().find(|entry| entry["kind"] == "policy").unwrap();
    assert_eq!((&policy["tool"], &policy["declared"]), (&json!("first"), &json!("word-count")));
    let call = entries.iter().find(|entry| entry["operation"] == "count").unwrap();
    assert_eq!(call["tool"], "first");
    let listed = desk.run(&["list"]).stdout;
    assert!(listed.contains("first (declared word-count)"), "{listed}");
    let inspected = desk.run(&["inspect", "first"]).stdout;
    assert!(inspected.contains("declared   word-count, by its manifest"), "{inspected}");
}

#[test]
fn what_a_component_calls_itself_is_not_its_installed_name_unasked() {
    let desk = Desk::with("word-count");
    fs::rename(desk.path("tools/word-count.wasm"), desk.path("tools/evil.wasm")).unwrap();
    fs::rename(desk.path("tools/word-count.toml"), desk.path("tools/evil.toml")).unwrap();
    let refused = desk.run(&["install", "tools/evil.wasm"]);
    refused.fails(2, &["says that it is the tool `word-count`, and its file is called otherwise", "--name word-count"]);
    assert_eq!(desk.run(&["list", "--json"]).json(), json!([]));
    let reviewed = desk.run(&["install", "tools/evil.wasm", "--manifest", "tools/evil.toml"]);
    assert!(reviewed.stdout.starts_with("installed word-count "), "{reviewed:?}");
}
