//! Helps: the cause decides what is said, and nobody is sent to look at what is not to blame.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use rustix::process::Resource;
use serde_json::json;

use crate::around;
use crate::desk::{COUNT, DOCS, Desk, Ran};
use tollgate_testing::foreign::skipped;

/// What is said on stderr, without the breaks of its lines.
fn said(ran: &Ran) -> String {
    ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn fails(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
    for word in words {
        assert!(said(ran).contains(word), "no {word:?} in {}", said(ran));
    }
}

#[test]
fn an_installed_tool_that_cannot_be_looked_at_is_told_by_its_cause() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    let component = desk.stored("word-count").component;
    fs::remove_file(&component).unwrap();
    symlink("component.wasm", &component).unwrap();
    let ran = desk.run(&["run", "word-count"]);
    let help = "help: mend the symbolic links on the way to the tool's folder: they lead in circles, or one stands where none is followed: \
                `FOLDER/tollgate-home/tools/components.sha256/";
    fails(&ran, 2, &["the installed tool `word-count` cannot be looked at", help]);
}

#[test]
fn a_store_of_what_is_accepted_is_told_by_its_cause() {
    let desk = Desk::with("word-count");
    desk.file("tollgate.toml", "[sandbox]\nrequire = \"none\"\n");
    assert_eq!(desk.run(&["trust", "tollgate.toml"]).code, 0);
    let trust = desk.home().join("trust");
    let kept = fs::read_dir(&trust).unwrap().next().unwrap().unwrap().path();
    fs::write(&kept, "{").unwrap();
    let damaged = desk.run(&COUNT);
    fails(
        &damaged,
        2,
        &["is damaged", "help: look who wrote it; then remove it, and accept the policy or the folder anew"],
    );
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o622)).unwrap();
    fails(&desk.run(&COUNT), 2, &["its mode is 622", "help: look what others wrote there; then make it yours alone"]);
    fs::remove_dir_all(&trust).unwrap();
    fs::write(&trust, "").unwrap();
    let a_file = "help: look at the path of the store of what is accepted: a file stands where a folder should, or set \
                  TOLLGATE_HOME to another folder";
    fails(&desk.run(&["trust", "tollgate.toml"]), 2, &[a_file]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn a_granted_folder_is_told_by_its_cause() {
    let desk = Desk::with("word-count");
    symlink("circle", desk.path("circle")).unwrap();
    let count = |grant: &str| desk.run(&[&COUNT[..], &["--grant", grant]].concat());
    let circle = "help: mend the symbolic links on the way to the folder that is granted: they lead in circles, or one stands where none is followed, or name another \
                  one in its `host`";
    fails(&count("fs:/docs=circle:read,list"), 2, &["which cannot be used", circle]);
    let absent = "help: create the folder, or name one that is there in `fs.\"/docs\".host`";
    fails(&count("fs:/docs=absent:read,list"), 2, &["which cannot be used", absent]);
    fails(&count("fs:/docs=secret.txt/below:read,list"), 2, &["a file stands where a folder should"]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn too_few_files_are_raised_and_the_programs_own_file_is_let_alone() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&[&COUNT[..], &DOCS].concat()).code, 0);
    let mut command = desk.command(&[&COUNT[..], &DOCS].concat());
    around::limit(&mut command, Resource::Nofile, 10);
    let ran = desk.ran(&command.output().unwrap());
    fails(&ran, 5, &["Too many open files", "help: nothing was run; raise the limit on open files (`ulimit -n`)"]);
    assert!(!said(&ran).contains("this program's own file"), "{ran:?}");
}

/// What doctor calls enough is enough for a run.
#[test]
fn doctor_wants_as_many_files_as_a_run() {
    let desk = Desk::with("word-count");
    let args = [&COUNT[..], &DOCS].concat();
    assert_eq!(desk.run(&args).code, 0);
    let below = |args: &[&str], files: u64| {
        let mut command = desk.command(args);
        around::limit(&mut command, Resource::Nofile, files);
        desk.ran(&command.output().unwrap())
    };
    let runs: Vec<bool> = (16..28).map(|files| below(&args, files).code == 0).collect();
    assert!(!runs[0] && runs[11], "{runs:?}");
    let says: Vec<bool> = (16..28).map(|files| below(&["doctor"], files).code == 0).collect();
    assert_eq!(says, runs);
}

#[test]
fn a_key_of_another_user_is_left_to_that_user() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&[&COUNT[..], &DOCS].concat()).code, 0);
    let key = desk.home().join("artifact.key");
    if chown(&key, Some(54_321), None).is_err() {
        return skipped("only root can give a file away");
    }
    let ran = desk.run(&[&COUNT[..], &DOCS].concat());
    fails(&ran, 2, &["belongs to the user 54321, and this process is the user 0", "help: leave it to that user"]);
    assert!(!said(&ran).contains("remove") && !said(&ran).contains("mode"), "{ran:?}");
    assert!(key.exists());
}

#[test]
fn a_file_in_the_place_of_tools_is_no_tool() {
    let desk = Desk::with("word-count");
    let install = ["install", "tools/word-count.wasm"];
    desk.file("tollgate-home/tools", "");
    let ran = desk.run(&install);
    fails(
        &ran,
        2,
        &["tollgate-home/tools` cannot be changed", "help: look at the path of the folder of tools: a file stands"],
    );
    fs::remove_file(desk.home().join("tools")).unwrap();
    // In the way of nothing.
    let name = desk.file("tollgate-home/tools/word-count", "");
    assert_eq!(desk.run(&install).code, 0);
    assert_eq!(fs::read(name).unwrap(), b"");
}

/// A call that is killed leaves the file that it had reserved.
#[test]
fn an_empty_receipt_of_a_killed_run_does_not_block_the_next() {
    let desk = Desk::with("word-count");
    let count = [&COUNT[..], &DOCS, &["--receipt", "receipt"]].concat();
    desk.file("receipt", "");
    assert_eq!(desk.run(&count).code, 0);
    let receipt = fs::read(desk.path("receipt")).unwrap();
    assert!(!receipt.is_empty());
    fails(&desk.run(&count), 2, &["cannot write `receipt`", "help: nothing was done; it is there already"]);
    assert_eq!(fs::read(desk.path("receipt")).unwrap(), receipt);
    // What another command will write to is not free, nor is what stands elsewhere.
    let other = fs::File::create(desk.path("other")).unwrap();
    other.try_lock().unwrap();
    symlink("elsewhere", desk.path("link")).unwrap();
    desk.file("elsewhere", "");
    for taken in ["other", "link", "/dev/null"] {
        let ran = desk.run(&[&COUNT[..], &DOCS, &["--receipt", taken]].concat());
        fails(&ran, 2, &["help: nothing was done; it is there already"]);
    }
    drop(other);
    assert_eq!(desk.run(&[&COUNT[..], &DOCS, &["--receipt", "other"]].concat()).code, 0);
    assert_eq!(fs::read(desk.path("elsewhere")).unwrap(), b"");
    assert_eq!(desk.called().len(), 2);
}

/// What is there is taken over only if it is surely what a killed command of this user left.
#[test]
fn an_empty_file_that_others_may_write_or_name_is_taken_for_no_receipt() {
    let desk = Desk::with("word-count");
    let count = [&COUNT[..], &DOCS, &["--receipt", "receipt"]].concat();
    let file = desk.file("receipt", "");
    let taken = || {
        fails(&desk.run(&count), 2, &["cannot write `receipt`", "help: nothing was done; it is there already"]);
        assert_eq!(fs::read(&file).unwrap(), b"");
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o622)).unwrap();
    taken();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::hard_link(&file, desk.path("another")).unwrap();
    taken();
    fs::remove_file(desk.path("another")).unwrap();
    let mut command = desk.command(&count);
    command.stdout(fs::OpenOptions::new().append(true).open(&file).unwrap());
    let ran = desk.ran(&command.output().unwrap());
    fails(&ran, 2, &["`receipt` is where standard output or standard error goes", "help: nothing was done"]);
    assert_eq!(fs::read(&file).unwrap(), b"");
    assert!(!desk.path("ledger").exists());
}

/// A command that fails removes what it made, and nothing else.
#[test]
fn a_reserved_receipt_is_removed_only_if_it_is_still_the_empty_file_that_was_made() {
    let desk = Desk::with("word-count");
    desk.file("tools/word-count.wasm", "no component");
    let count = [&COUNT[..], &["--receipt", "receipt"], &DOCS].concat();
    fails(&desk.run(&count), 2, &["cannot be used as a tool"]);
    assert!(!desk.path("receipt").exists());
    let found = desk.file("receipt", "");
    fails(&desk.run(&count), 2, &["cannot be used as a tool"]);
    assert!(found.exists(), "it was there before");
}

#[test]
fn a_receipt_is_written_to_no_place_that_decides() {
    let desk = Desk::with("word-count");
    for (place, what) in [
        ("ledger/journal", "the ledger or its key"),
        ("ledger", "the ledger or its key"),
        ("docs/../ledger.key", "the ledger or its key"),
        ("tollgate-home/tools/new", "the installed tools"),
        ("tollgate.toml", "the place where a policy is found"),
    ] {
        let ran = desk.run(&[&COUNT[..], &DOCS, &["--receipt", place]].concat());
        fails(&ran, 2, &[&format!("`{place}` is no place for a receipt: {what} is there"), "help: nothing was done"]);
        assert!(!desk.path("ledger").exists() && !desk.path("ledger.key").exists() && !desk.path(place).exists());
    }
    assert_eq!(desk.run(&[&COUNT[..], &DOCS].concat()).code, 0);
    let call = desk.last_call();
    let prove = ["audit", "prove", "--call", &call, "--out", "ledger/receipt"];
    fails(&desk.run(&prove), 2, &["`ledger/receipt` is no place for a receipt: the ledger or its key is there"]);
    assert!(!desk.path("ledger/receipt").exists());
}

#[test]
fn a_folder_in_the_place_of_standard_input_is_told_as_one() {
    let desk = Desk::with("word-count");
    let mut command = desk.command(&[&COUNT[..5], &["-"], &DOCS].concat());
    command.stdin(fs::File::open(desk.path("docs")).unwrap());
    let ran = desk.ran(&command.output().unwrap());
    fails(&ran, 2, &["cannot read standard input", "Is a directory", "help: it is a folder: give a file there"]);
}

#[test]
fn a_file_that_is_not_there_is_told_as_that() {
    let desk = Desk::with("word-count");
    let run = |more: &[&str]| desk.run(&[&COUNT[..], &DOCS, more].concat());
    let policy = run(&["--policy", "nope"]);
    fails(&policy, 2, &["cannot read `nope`", "No such file", "help: give a file that is there with --policy"]);
    let folder = run(&["--policy", "docs"]);
    fails(&folder, 2, &["cannot read `docs`", "help: look at this file: a folder stands where a file should"]);
    let manifest = run(&["--manifest", "nope"]);
    fails(&manifest, 2, &["cannot read `nope`", "help: give a file that is there with --manifest: the tool's"]);
    fails(&desk.run(&["trust", "nope"]), 2, &["there is no `nope`", "help: give the policy, `tollgate.toml`, or"]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn a_file_of_an_installed_tool_that_is_gone_is_told_as_that() {
    let desk = Desk::with("word-count");
    for which in 0..2 {
        assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
        let stored = desk.stored("word-count");
        let gone = [stored.component, stored.manifest][which].clone();
        fs::remove_file(&gone).unwrap();
        let file = gone.file_name().unwrap().to_str().unwrap();
        let gone = format!("/{file}`, of the installed tool `word-count`, is not there");
        let help = "help: install it again from where it came from: `tollgate install PATH --name word-count`";
        fails(&desk.run(&["run", "word-count"]), 2, &[&gone, help]);
    }
}

#[test]
fn a_grant_in_half_is_told_its_own_form_and_the_network_that_it_cannot_be_granted() {
    let desk = Desk::with("word-count");
    let run = |grant: &str| desk.run(&[&COUNT[..], &["--grant", grant]].concat());
    let half = run("fs");
    fails(&half, 2, &["the grant `fs` does not have an accepted form", "help: accepted: fs:GUEST=HOST:ACCESS"]);
    assert!(!said(&half).contains("did you mean"), "{half:?}");
    for network in ["net", "net=example.com", "tcp:443"] {
        let ran = run(network);
        fails(
            &ran,
            2,
            &["help: the network cannot be granted, to any tool: each call of it is denied. Known kinds here: `fs`"],
        );
        assert!(!said(&ran).contains("did you mean"), "{ran:?}");
    }
    desk.file("tollgate.toml", "[tools.word-count]\nnet = [\"example.com\"]\n");
    fails(&run("fs:/docs=docs:read"), 2, &["unknown key `net`", "help: the network cannot be granted, to any tool"]);
}

#[test]
fn a_policy_is_measured_and_its_types_are_told_in_the_words_of_toml() {
    let desk = Desk::with("word-count");
    let run = || desk.run(&[&COUNT[..], &["--policy", "policy"]].concat());
    for (policy, told) in [
        ("tools.a = 3", "integer `3`, expected a table"),
        ("tools.a.fs.\"/d\" = 3", "integer `3`, expected a table"),
        ("sandbox = 3", "integer `3`, expected a table"),
        ("tools.a.clocks.wall = 3", "expected a word in quotes"),
        ("tools.a.stdio = 3", "integer `3`, expected a list"),
        (
            "tools.a.random = { seed = 99999999999999999999 }",
            "`99999999999999999999`, expected a whole number from 0 to",
        ),
    ] {
        desk.file("policy", policy);
        fails(&run(), 2, &["the value does not fit: ", told]);
        for rust in ["struct", "Raw", "i128", "u64", "sequence", "a map"] {
            assert!(!said(&run()).contains(rust), "{rust}: {}", said(&run()));
        }
    }
    desk.file("policy", "#".repeat(3 << 20));
    let long = run();
    fails(&long, 2, &["policy has more than 1048576 bytes, which is the maximum"]);
    assert!(!said(&long).contains("1048577"), "{long:?}");
}

#[test]
fn a_drill_without_a_folder_for_temporary_files_names_its_variable() {
    let desk = Desk::empty();
    let mut command = desk.command(&["drill"]);
    command.env("TMPDIR", "/nonexistent");
    let ran = desk.ran(&command.output().unwrap());
    let help = "help: make the folder for temporary files, and the folders above it: something on the way is not there, or set \
                TMPDIR to another one";
    fails(&ran, 2, &["files for the drill cannot be made", help]);
}

/// Also for root, who could make it.
#[test]
fn no_home_is_made() {
    let desk = Desk::with("word-count");
    let run = |args: &[&str]| {
        let mut command = desk.command(args);
        command.env_remove("TOLLGATE_HOME").env_remove("TOLLGATE_LEDGER").env("HOME", desk.path("no/home"));
        for name in ["XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        desk.ran(&command.output().unwrap())
    };
    let count = [&COUNT[..], &DOCS].concat();
    let none = "is given by TOLLGATE_HOME, XDG_STATE_HOME, and HOME is `FOLDER/no/home`, where no folder is";
    let ledger =
        "is given by TOLLGATE_LEDGER, TOLLGATE_HOME, XDG_STATE_HOME, and HOME is `FOLDER/no/home`, where no folder is";
    fails(&run(&count), 2, &["there is no place for the ledger: none", ledger, "give a folder with --ledger"]);
    fails(&run(&["install", "tools/word-count.wasm"]), 2, &["there is no place for tools: none is given by"]);
    desk.file("tollgate.toml", "[sandbox]\nrequire = \"none\"\n");
    fails(&run(&["trust"]), 2, &["there is no place to keep what is accepted: none", none]);
    fs::remove_file(desk.path("tollgate.toml")).unwrap();
    // With a ledger that is given it runs, and says what it does not keep.
    let ran = run(&[&count[..], &["--ledger", "ledger"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(said(&ran).contains("warning: what is compiled is not kept"), "{ran:?}");
    assert!(!desk.path("no").exists());
    // What no tool may change is below it all the same: it may be there later.
    fs::create_dir(desk.path("no")).unwrap();
    let into = ["--ledger", "ledger", "--grant", "fs:/docs=no:read,list,create"];
    let ran = run(&[&COUNT[..], &into].concat());
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(!desk.path("no/home").exists());
}

#[test]
fn wrong_arguments_are_told_to_machines_too() {
    let desk = Desk::empty();
    let ran = desk.run(&["list", "--bogus", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{ran:?}");
    let report = ran.report();
    assert_eq!(report["ok"], false);
    assert_eq!(report["error"]["kind"], "usage");
    assert_eq!(report["error"]["message"], "unexpected argument '--bogus' found");
    assert!(report["error"]["help"].as_str().unwrap().contains("Usage: tollgate list"), "{report}");
    fails(&desk.run(&["list", "--bogus"]), 2, &["unexpected argument '--bogus' found"]);
}

#[test]
fn new_remove_and_trust_are_told_to_machines_too() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    assert_eq!(desk.run(&["remove", "word-count", "--json"]).json(), json!({ "ok": true, "removed": "word-count" }));
    let gone = desk.run(&["remove", "word-count", "--json"]);
    assert_eq!((gone.code, &gone.report()["error"]["message"]), (2, &json!("no tool `word-count` is installed")));
    let made = desk.run(&["new", "greeter", "--json"]).json();
    assert_eq!(made, json!({ "ok": true, "name": "greeter", "folder": "greeter" }));
    desk.file("tollgate.toml", "[sandbox]\nrequire = \"none\"\n");
    let accepted = desk.run(&["trust", "--json"]).json();
    let reaches = ["less of the kernel's seal than `full`"];
    assert_eq!(accepted, json!({ "ok": true, "accepted": "FOLDER/tollgate.toml", "reaches": reaches }));
    let removed = desk.run(&["trust", "--remove", "--json"]).json();
    assert_eq!(removed, json!({ "ok": true, "removed": "FOLDER/tollgate.toml" }));
    let bound = desk.run(&["trust", "docs", "--json"]).json();
    assert_eq!((&bound["ok"], &bound["bound"]), (&json!(true), &json!("FOLDER/docs")));
    assert_eq!(desk.run(&["trust", "nope", "--json"]).report()["error"]["message"], "there is no `nope`");
}

#[test]
fn a_result_that_nothing_takes_is_an_error() {
    let desk = Desk::with("word-count");
    let tollgate = env!("CARGO_BIN_EXE_tollgate");
    let into = |redirection: &str, args: &[&str]| {
        let inner = desk.command(args);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("exec \"$@\" {redirection}"), "sh", tollgate]).args(inner.get_args());
        command.current_dir(desk.path("")).env("TOLLGATE_LEDGER", "ledger").env("TOLLGATE_HOME", desk.home());
        desk.ran(&command.output().unwrap())
    };
    let count = [&COUNT[..], &DOCS].concat();
    for args in [&count[..], &["doctor"], &["list", "--json"], &["audit", "show"], &["--help"], &["--version"]] {
        let closed = into(">&-", args);
        fails(&closed, 5, &["cannot write to standard output", "Bad file descriptor", "only its result is lost"]);
        // Who wants no result has said so.
        assert_ne!(into(">/dev/null", args).code, 5, "{args:?}");
        assert_ne!(into("1<>/dev/null", args).code, 5, "{args:?}");
    }
    assert_eq!(desk.called().len(), 3);
}

#[test]
fn a_policy_in_a_folder_above_is_named_and_not_obeyed() {
    let desk = Desk::with("word-count");
    desk.file(
        "tollgate.toml",
        "[tools.word-count]\nfs.\"/docs\" = { host = \"docs\", access = [\"read\", \"list\"] }\n",
    );
    fs::create_dir_all(desk.path("a/b")).unwrap();
    let below = |folder: &str, component: &str, more: &[&str]| {
        let mut command = desk.command(&[&["run", component][..], &COUNT[2..], more].concat());
        command.current_dir(desk.path(folder)).env("TOLLGATE_LEDGER", desk.path("ledger"));
        desk.ran(&command.output().unwrap())
    };
    let (needs, lines) = ("needs what nothing grants", "or add to tollgate.toml, in the tables that are there already");
    let above = "help: no tollgate.toml is in this folder; there is one in `..`: run there, or give it with --policy \
                 ../tollgate.toml";
    fails(&below("a", "../tools/word-count.wasm", &[]), 2, &[needs, above, lines]);
    let farther = "there is one in `../..`: run there, or give it with --policy ../../tollgate.toml";
    fails(&below("a/b", "../../tools/word-count.wasm", &[]), 2, &[needs, farther]);
    assert!(!desk.path("ledger").exists());
    assert_eq!(below("a", "../tools/word-count.wasm", &["--policy", "../tollgate.toml"]).code, 0);
    // A link is followed by nobody, so nobody is sent to it.
    fs::rename(desk.path("tollgate.toml"), desk.path("real.toml")).unwrap();
    symlink("real.toml", desk.path("tollgate.toml")).unwrap();
    let ran = below("a", "../tools/word-count.wasm", &[]);
    fails(&ran, 2, &["help: add to tollgate.toml"]);
    assert!(!said(&ran).contains("there is one in"), "{ran:?}");
}

#[test]
fn a_table_under_a_misspelt_name_is_named() {
    let desk = Desk::with("word-count");
    let grant = "fs.\"/docs\" = { host = \"docs\", access = [\"read\", \"list\"] }\n";
    desk.file("tollgate.toml", format!("[tools.wrod-count]\n{grant}"));
    let near = "help: the policy `FOLDER/tollgate.toml` names `wrod-count` and not `word-count`: did you mean \
                `[tools.word-count]`? or add to tollgate.toml";
    fails(&desk.run(&COUNT), 2, &["needs what nothing grants", near]);
    let inspected = desk.run(&["inspect", "tools/word-count.wasm"]);
    assert!(inspected.code == 2 && inspected.stdout.contains("did you mean `[tools.word-count]`?"), "{inspected:?}");
    // The name of another tool is no slip.
    for other in ["outline", "word-count-py"] {
        desk.file("tollgate.toml", format!("[tools.{other}]\n{grant}"));
        fails(&desk.run(&COUNT), 2, &["help: add to tollgate.toml"]);
    }
    desk.file("tollgate.toml", "[tools.word-count]\n");
    fails(&desk.run(&COUNT), 2, &["help: add to tollgate.toml"]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn a_project_that_is_not_built_is_told_to_be() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["new", "first-line"]).code, 0);
    let not_built = "help: the folder `first-line` is a tool's project, and not built: `tollgate build first-line`, then run \
                     `first-line/first-line.wasm`";
    let named = desk.run(&["run", "first-line"]);
    fails(&named, 2, &["no tool `first-line` is installed", not_built]);
    assert!(!said(&named).contains("the file here"), "{named:?}");
    fails(
        &desk.run(&["run", "first-line/first-line.wasm"]),
        2,
        &["cannot read `first-line/first-line.wasm`", not_built],
    );
    fails(&desk.run(&["inspect", "first-line/other.wasm"]), 2, &[not_built]);
    let folder = desk.run(&["run", "./first-line"]);
    fails(&folder, 2, &["`./first-line` is a folder, and no component", "`tollgate build ./first-line`"]);
    let mut inside = desk.command(&["run", "first-line.wasm"]);
    let inside = desk.ran(&inside.current_dir(desk.path("first-line")).output().unwrap());
    fails(
        &inside,
        2,
        &["help: this folder is a tool's project, and not built: `tollgate build`, then run `first-line.wasm`"],
    );
    desk.file("first-line/first-line.wasm", "");
    let built =
        "help: the folder `first-line` is a tool's project: what is built of it is `first-line/first-line.wasm`";
    fails(&desk.run(&["run", "first-line"]), 2, &[built]);
    // A folder that is no project is none of a tool's.
    let other = desk.run(&["run", "docs"]);
    fails(&other, 2, &["no tool `docs` is installed", "help: no tool is installed yet"]);
    fails(&desk.run(&["dev", "docs", "--op", "greet"]), 2, &["`docs` is no tool's project", "`tollgate dev FOLDER`"]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn a_grant_of_the_folder_above_tollgates_own_is_told_to_move_either() {
    let desk = Desk::with("word-count");
    let other = tempfile::tempdir().unwrap();
    let grant = |access: &str| {
        let grant = format!("fs:/docs=.:{access}");
        let args = [&COUNT[..], &["--grant", &grant, "--manifest", "own.toml"]].concat();
        desk.file(
            "own.toml",
            fs::read_to_string(desk.path("tools/word-count.toml"))
                .unwrap()
                .replace("[\"read\", \"list\"]", "[\"read\"]"),
        );
        let mut command = desk.command(&args);
        desk.ran(&command.env("TOLLGATE_LEDGER", other.path().join("ledger")).output().unwrap())
    };
    let reads = grant("read");
    let key = ["hands over the key of compiled tools: `FOLDER/tollgate-home/artifact.key`", MOVE];
    fails(&reads, 2, &key);
    assert!(!said(&reads).contains("or only"), "{reads:?}");
    assert!(!desk.path("ledger").exists() && !other.path().join("ledger").exists());
}

const MOVE: &str = "help: a tool that reads it could forge compiled tools: move TOLLGATE_HOME out of the folder, or grant a \
                    folder beside it";

#[test]
fn standard_input_that_is_granted_and_not_needed_is_told_as_that() {
    let desk = Desk::with("word-count");
    let run = |more: &[&str]| desk.run(&[&COUNT[..], &DOCS, &["--stdin", "secret.txt"], more].concat());
    let need = "in tools/word-count.toml: stdio = [\"stdin\", \"stdout\", \"stderr\"] under [needs]";
    let granted = run(&["--grant", "stdio=stdin,stdout,stderr"]);
    fails(&granted, 2, &["it is granted, and the manifest does not need it", need, "or leave --stdin out"]);
    assert!(!said(&granted).contains("--grant"), "{granted:?}");
    let grant = "or for one run: --grant stdio=stdin,stdout,stderr";
    fails(&run(&[]), 2, &["it is not granted, and the manifest does not need it", need, grant, "or leave --stdin out"]);
    assert!(!desk.path("ledger").exists());
}

#[test]
fn what_would_allow_it_is_told_to_machines_too() {
    let desk = Desk::with("word-count");
    let dot = ["run", "tools/word-count.wasm", "--op", "count-file", "--input", r#"{"path": "/docs/a.txt"}"#];
    let run = |more: &[&str]| desk.run(&[&dot[..], &["--grant", "fs:/docs=docs:list", "--json"], more].concat());
    desk.edit("tools/word-count.toml", "[\"read\", \"list\"]", "[\"list\"]");
    let denied = run(&[]).report()["error"].clone();
    assert_eq!(denied["rule"], "fs:/docs:read");
    let lines: Vec<&str> = denied["help"].as_str().unwrap().split("; and ").collect();
    assert!(lines[0].starts_with("in tollgate.toml: fs.\"/docs\" = { …, access = ["), "{lines:?}");
    assert_eq!(
        *lines.last().unwrap(),
        "in tools/word-count.toml: [[needs.fs]] of /docs: access = [\"read\", \"list\"]"
    );
    let text = desk.run(&[&dot[..], &["--grant", "fs:/docs=docs:list"]].concat());
    assert!(lines.iter().all(|line| text.stderr.contains(line)), "{text:?}");
    desk.edit("tools/word-count.toml", "[\"list\"]", "[\"read\", \"list\"]");
    let capped = desk.run(&[&dot[..], &DOCS, &["--grant", "limit:output=1", "--json"]].concat()).report();
    let asked = capped["error"]["asked"].as_u64().unwrap().next_power_of_two();
    let raise = format!("in tollgate.toml: limits.output = \"{asked}B\" under [tools.word-count]");
    assert_eq!((&capped["error"]["kind"], &capped["error"]["help"]), (&json!("cap"), &json!(raise)));
}

#[test]
fn a_path_of_the_host_and_a_file_without_its_sign_are_told_as_that() {
    let desk = Desk::with("word-count");
    let count = |input: &str| {
        desk.run(&[&["run", "tools/word-count.wasm", "--op", "count-file", "--input", input][..], &DOCS].concat())
    };
    let host = count(&json!({ "path": desk.path("docs/a.txt") }).to_string());
    fails(&host, 1, &["[not-found]", "note the tool sees `FOLDER/docs` as `/docs`"]);
    let absent = count(r#"{"path": "/docs/none.txt"}"#);
    fails(&absent, 1, &["[not-found]"]);
    assert!(!said(&absent).contains("the tool sees"), "{absent:?}");
    desk.file("in.json", r#"{"path": "/docs/a.txt"}"#);
    let file = "note there is a file of this name: did you mean --input @in.json?";
    fails(&count("in.json"), 2, &["the arguments are not JSON", file]);
    assert!(!said(&count("{")).contains("note "));
    assert_eq!(count("@in.json").code, 0);
}

#[test]
fn entries_that_nothing_is_of_are_told_to_be_none() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&[&COUNT[..], &DOCS].concat()).code, 0);
    let none = desk.run(&["audit", "show", "--agent", "nobody"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none:?}");
    assert_eq!(none.stderr, "nothing in the ledger in `ledger` matches\n");
    assert_eq!(desk.run(&["audit", "show", "--agent", "nobody", "--json"]).stderr, "");
    assert_eq!(desk.run(&["audit", "show", "--last", "1"]).stderr, "");
}

#[test]
fn a_ledger_that_takes_no_checkpoint_runs_nothing() {
    let desk = Desk::with("word-count");
    let count = [&COUNT[..], &DOCS].concat();
    assert_eq!(desk.run(&count).code, 0);
    let mode = |mode| fs::set_permissions(desk.path("ledger"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o500);
    let mut command = desk.command(&count);
    around::without_override(&mut command);
    let ran = desk.ran(&command.output().unwrap());
    mode(0o700);
    let help = "help: nothing was run; mend the rights of the ledger's folder, or give another one with --ledger";
    fails(&ran, 2, &["nothing can be written in the folder of the ledger, `ledger`", "Permission denied", help]);
    assert_eq!(desk.called().len(), 1);
    assert_eq!(desk.run(&["audit", "verify"]).code, 0);
}
