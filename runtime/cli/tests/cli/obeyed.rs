//! The policy that is obeyed: whose a found one must be, how far it reaches, what accepting it means; and that neither it, nor what
//! was accepted, nor an installed tool has another name. Each refusal comes before anything runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::json;

use crate::authority::{ALL, COUNT, GRANT, command, nothing_was_called, prober, run, step};
use crate::desk::Desk;
use tollgate_testing::foreign::{missing, skipped};

#[test]
fn a_found_policy_is_in_a_folder_where_nobody_else_renames() {
    let desk = Desk::with("word-count");
    fs::create_dir(desk.path("project")).unwrap();
    fs::rename(desk.path("docs"), desk.path("project/docs")).unwrap();
    desk.file("project/tollgate.toml", format!("[tools.word-count]\n{GRANT}"));
    let count = [&["run", "../tools/word-count.wasm"][..], &COUNT].concat();
    assert_eq!(run(&desk, "project", &count).json()["files"], 2);
    let mode = |mode| fs::set_permissions(desk.path("project"), Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    let refused = run(&desk, "project", &count);
    refused.fails(2, &["others may put another file in its place", "its mode 777", "--policy"]);
    // In a sticky folder a file is its owner's to rename.
    mode(0o1777);
    assert_eq!(run(&desk, "project", &count).json()["files"], 2);
    mode(0o755);
    if rustix::process::geteuid().is_root() {
        chown(desk.path("project"), Some(65534), None).unwrap();
        run(&desk, "project", &count).fails(2, &["the owner of the folder `FOLDER/project` is the user 65534"]);
    }
    assert_eq!(run(&desk, "project", &[&count[..], &["--policy", "tollgate.toml"]].concat()).json()["files"], 2);
}

#[test]
fn a_found_policy_is_judged_by_each_folder_above_it() {
    let desk = Desk::with("word-count");
    fs::create_dir_all(desk.path("outer/project")).unwrap();
    fs::rename(desk.path("docs"), desk.path("outer/project/docs")).unwrap();
    desk.file("outer/project/tollgate.toml", format!("[tools.word-count]\n{GRANT}"));
    let count = [&["run", "../../tools/word-count.wasm"][..], &COUNT].concat();
    let mode = |mode| fs::set_permissions(desk.path("outer"), Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    let refused = run(&desk, "outer/project", &count);
    refused.fails(2, &["put another file in its place: the owner of the folder `FOLDER/outer`", "its mode 777"]);
    nothing_was_called(&desk);
    for near in [0o1777, 0o711] {
        mode(near);
        assert_eq!(run(&desk, "outer/project", &count).json()["files"], 2);
    }
}

#[test]
fn a_found_policy_is_named_and_must_be_the_users_alone() {
    let desk = Desk::with("word-count");
    desk.file("tollgate.toml", format!("[tools.word-count]\n{GRANT}"));
    let count = [&["run", "tools/word-count.wasm"][..], &COUNT].concat();
    let ran = desk.run(&count);
    assert_eq!(ran.policy.as_deref(), Some("policy: FOLDER/tollgate.toml (found in this folder)"));
    assert_eq!(ran.json()["files"], 2);
    let called = desk.called();
    for mode in [0o666, 0o646, 0o602] {
        fs::set_permissions(desk.path("tollgate.toml"), Permissions::from_mode(mode)).unwrap();
        let refused = desk.run(&count);
        refused.fails(2, &["others may have written it", &format!("its mode {mode:03o}"), "chmod go-w", "--policy"]);
    }
    // Given by name it is the user's choice.
    assert_eq!(desk.run(&[&count[..], &["--policy", "tollgate.toml"]].concat()).json()["files"], 2);
    fs::set_permissions(desk.path("tollgate.toml"), Permissions::from_mode(0o644)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(desk.path("tollgate.toml"), Some(65534), None).unwrap();
        desk.run(&count)
            .fails(2, &["others may have written it: its owner is the user 65534", "give the policy with --policy"]);
        desk.run(&["doctor"]).fails(2, &["others may have written it"]);
    }
    assert_eq!(desk.called().len(), called.len() + 1);
}

#[test]
fn a_found_policy_grants_what_lies_below_it_until_it_is_accepted() {
    let desk = Desk::with("word-count");
    fs::create_dir(desk.path("project")).unwrap();
    let text = "[tools.word-count]\nfs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\"] }\n";
    desk.file("project/tollgate.toml", text);
    let count = [&["run", "../tools/word-count.wasm"][..], &COUNT].concat();
    let refused = run(&desk, "project", &count);
    let words =
        ["reaches farther than its own folder", "a folder outside, for `word-count`", "tollgate trust tollgate.toml"];
    refused.fails(2, &words);
    assert!(refused.stderr.contains("2 │") && refused.stderr.contains("reaches farther"), "the line: {refused:?}");
    nothing_was_called(&desk);
    let accepted = run(&desk, "project", &["trust"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(accepted.stdout.contains("FOLDER/docs` as `/docs`, a folder outside, for `word-count`"), "{accepted:?}");
    assert_eq!(run(&desk, "project", &count).json()["files"], 2);
    // One more byte is another policy; so is the same text elsewhere.
    desk.file("project/tollgate.toml", format!("{text}#\n"));
    run(&desk, "project", &count).fails(2, &["reaches farther than its own folder"]);
    fs::create_dir(desk.path("clone")).unwrap();
    desk.file("clone/tollgate.toml", text);
    run(&desk, "clone", &count).fails(2, &["reaches farther than its own folder"]);
    desk.file("project/tollgate.toml", text);
    assert_eq!(run(&desk, "project", &["trust", "--remove"]).code, 0);
    run(&desk, "project", &count).fails(2, &["reaches farther than its own folder"]);
    run(&desk, "project", &["trust", "--remove"]).fails(2, &["was not accepted"]);
    desk.file("other.toml", text);
    run(&desk, "project", &["trust", "../other.toml"]).fails(2, &["is never found by itself"]);
    assert_eq!(run(&desk, "project", &[&count[..], &["--policy", "tollgate.toml"]].concat()).json()["files"], 2);
}

#[test]
fn accepting_a_policy_covers_the_lines_that_were_shown_and_where_they_led() {
    let desk = Desk::with("word-count");
    for folder in ["project/docs", "reports", "ssh"] {
        fs::create_dir_all(desk.path(folder)).unwrap();
    }
    let grant =
        |guest: &str, host: &str| format!("fs.\"{guest}\" = {{ host = \"{host}\", access = [\"read\", \"list\"] }}\n");
    let text = format!("[tools.word-count]\n{}[tools.other]\n{}", grant("/docs", "docs"), grant("/r", "way"));
    desk.file("project/tollgate.toml", text);
    symlink("../reports", desk.path("project/way")).unwrap();
    let count = [&["run", "../tools/word-count.wasm"][..], &COUNT].concat();
    let accepted = run(&desk, "project", &["trust"]);
    assert!(
        accepted.stdout.contains("  reaches  `FOLDER/reports` as `/r`, a folder outside, for `other`\n"),
        "{accepted:?}"
    );
    assert_eq!(accepted.stdout.matches("reaches").count(), 1, "{accepted:?}");
    assert_eq!(run(&desk, "project", &count).json()["files"], 0);
    let called = desk.called();
    // What was not shown stays below the policy's folder.
    fs::remove_dir(desk.path("project/docs")).unwrap();
    symlink("../ssh", desk.path("project/docs")).unwrap();
    let words =
        ["reaches farther than what was accepted: `FOLDER/ssh` as `/docs`", "run `tollgate trust tollgate.toml` again"];
    run(&desk, "project", &count).fails(2, &words);
    assert_eq!(desk.called(), called);
    assert_eq!(run(&desk, "project", &["trust"]).code, 0);
    assert_eq!(run(&desk, "project", &count).json()["files"], 0);
    // What was shown leads where it led then.
    let called = desk.called();
    fs::remove_file(desk.path("project/docs")).unwrap();
    symlink("../reports", desk.path("project/docs")).unwrap();
    run(&desk, "project", &count).fails(2, &["than what was accepted: `FOLDER/reports` as `/docs`", "again"]);
    assert_eq!(desk.called(), called);
    assert_eq!(run(&desk, "project", &[&count[..], &["--policy", "tollgate.toml"]].concat()).json()["files"], 0);
}

#[test]
fn mounts_and_variables_hold_as_they_were_accepted() {
    let desk = Desk::with("word-count");
    for folder in ["docs-2", "other"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    desk.file(
        "tollgate.toml",
        "[tools.word-count]\nfs.\"/docs\" = { host = \"way\", access = [\"read\", \"list\"], mounts = true }\nenv.T = { host = \
         \"T\" }\n",
    );
    symlink("docs-2", desk.path("way")).unwrap();
    let check = ["inspect", "tools/word-count.wasm"];
    desk.run(&check).fails(2, &["its own folder: what is mounted below `FOLDER/docs-2`", "the variable `T` of your"]);
    assert_eq!(desk.run(&["trust"]).stdout.matches("reaches").count(), 2);
    assert_eq!(desk.run(&check).code, 0);
    fs::remove_file(desk.path("way")).unwrap();
    symlink("other", desk.path("way")).unwrap();
    let refused = desk.run(&check);
    refused.fails(2, &["than what was accepted: what is mounted below `FOLDER/other`"]);
    assert!(!refused.stderr.contains("the variable"), "that one is as it was: {refused:?}");
}

#[test]
fn a_draft_that_a_tool_has_linked_is_no_policy() {
    let desk = prober();
    let grant = format!("fs:/docs=.:{ALL}");
    desk.file("work/draft.toml", "");
    let link = json!({ "op": "hard-link", "path": "/docs/draft.toml", "to": "/docs/kept" });
    assert_eq!(step(&desk, &[&grant], &link).code, 0);
    assert!(desk.path("work/kept").exists());
    let called = desk.called();
    let words = ["has another name (a hard link), by which somebody could change it", "`cp ", ".new && mv "];
    let list = json!({ "op": "list", "path": "/docs" });
    let given = |policy: &str| {
        let input = json!({ "steps": [list] }).to_string();
        let args = ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", &input, "--grant", "fs:/docs=.:list"];
        run(&desk, "work", &[&args[..], &["--policy", policy]].concat())
    };
    given("draft.toml").fails(2, &words);
    fs::rename(desk.path("work/draft.toml"), desk.path("work/tollgate.toml")).unwrap();
    step(&desk, &["fs:/docs=.:list"], &list).fails(2, &words);
    run(&desk, "work", &["trust"]).fails(2, &words);
    assert_eq!(desk.called(), called);
    // As the help says.
    fs::copy(desk.path("work/tollgate.toml"), desk.path("work/tollgate.toml.new")).unwrap();
    fs::rename(desk.path("work/tollgate.toml.new"), desk.path("work/tollgate.toml")).unwrap();
    assert_eq!(step(&desk, &["fs:/docs=.:list"], &list).code, 0);
    assert_eq!(given("tollgate.toml").code, 0);
}

#[test]
fn an_installed_tool_with_another_name_is_not_run() {
    let desk = Desk::with("word-count");
    assert_eq!(desk.run(&["install", "tools/word-count.wasm"]).code, 0);
    let stored = desk.stored("word-count");
    let count = [&["run", "word-count"][..], &COUNT, &["--grant", "fs:/docs=docs:read,list"]].concat();
    for file in stored.all() {
        fs::hard_link(file, desk.path("kept")).unwrap();
        let refused = desk.run(&count);
        let name = file.file_name().unwrap().to_str().unwrap();
        refused.fails(2, &[name, "the installed tool `word-count`", "has another name (a hard link)", "install"]);
        fs::remove_file(desk.path("kept")).unwrap();
    }
    nothing_was_called(&desk);
    assert_eq!(desk.run(&count).json()["files"], 2);
}

#[test]
fn a_link_is_found_as_no_policy_wherever_it_leads() {
    let desk = Desk::with("word-count");
    fs::create_dir(desk.path("project")).unwrap();
    let text = "[tools.word-count]\nfs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\"] }\n";
    desk.file("project/own.toml", text);
    symlink("own.toml", desk.path("project/chain.toml")).unwrap();
    let count = [&["run", "../tools/word-count.wasm"][..], &COUNT].concat();
    for target in ["own.toml", "chain.toml", "nowhere.toml"] {
        symlink(target, desk.path("project/tollgate.toml")).unwrap();
        for args in [&count[..], &["trust"], &["doctor"]] {
            let words = ["it is a symbolic link", "give the policy with --policy, or put a copy in its place"];
            run(&desk, "project", args).fails(2, &words);
        }
        fs::remove_file(desk.path("project/tollgate.toml")).unwrap();
    }
    nothing_was_called(&desk);
    assert_eq!(run(&desk, "project", &[&count[..], &["--policy", "chain.toml"]].concat()).json()["files"], 2);
}

#[test]
fn a_policy_of_roots_is_obeyed_by_any_user() {
    let desk = Desk::new();
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can be another user");
    }
    fs::set_permissions(desk.path(""), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(desk.path("app/docs")).unwrap();
    fs::create_dir(desk.path("of-user")).unwrap();
    chown(desk.path("of-user"), Some(4321), Some(4321)).unwrap();
    desk.file("app/tollgate.toml", "");
    let trust = || {
        let mut command = command(&desk, "app", &["trust"]);
        command.env("TOLLGATE_HOME", desk.path("of-user")).uid(4321).gid(4321);
        command.output().map(|output| desk.ran(&output))
    };
    let Ok(ran) = trust() else { return skipped("another user cannot reach the program") };
    assert_eq!(ran.code, 0, "{ran:?}");
    // Nobody links and writes root's file but root.
    fs::hard_link(desk.path("app/tollgate.toml"), desk.path("app/kept")).unwrap();
    assert_eq!(trust().unwrap().code, 0);
    fs::set_permissions(desk.path("app/tollgate.toml"), Permissions::from_mode(0o646)).unwrap();
    trust()
        .unwrap()
        .fails(2, &["others may have written it: its owner is the user 0", "give the policy with --policy"]);
    fs::remove_file(desk.path("app/kept")).unwrap();
    fs::set_permissions(desk.path("app/tollgate.toml"), Permissions::from_mode(0o644)).unwrap();
    chown(desk.path("app/tollgate.toml"), Some(65534), None).unwrap();
    trust().unwrap().fails(2, &["its owner is the user 65534", "give the policy with --policy"]);
}

#[test]
fn a_store_that_is_a_link_is_named_as_one() {
    let desk = Desk::new();
    desk.file("tollgate.toml", "");
    fs::create_dir_all(desk.path("elsewhere")).unwrap();
    fs::create_dir_all(desk.path("own")).unwrap();
    symlink("../elsewhere", desk.path("own/trust")).unwrap();
    let output = desk.command(&["trust"]).env("TOLLGATE_HOME", desk.path("own")).output().unwrap();
    desk.ran(&output).fails(2, &["`FOLDER/own/trust` is a symbolic link", "in the link's place", "set TOLLGATE_HOME"]);
    assert_eq!(fs::read_dir(desk.path("elsewhere")).unwrap().count(), 0);
}

#[test]
fn where_users_have_no_number_of_their_own_nobodys_policy_is_mine() {
    let desk = Desk::new();
    desk.file("tollgate.toml", "");
    let program = command(&desk, "", &["trust"]);
    let mut unshare = Command::new("unshare");
    unshare.arg("--user").arg(program.get_program()).args(program.get_args()).current_dir(desk.path(""));
    unshare.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let Ok(output) = unshare.output() else { return missing("unshare(1)", "apt.log") };
    if output.stderr.starts_with(b"unshare: ") {
        return skipped("no user namespace can be made");
    }
    // Everybody is shown as 65534 there, this user too.
    desk.ran(&output).fails(2, &["others may", "the user 65534", "give the policy with --policy"]);
    assert_eq!(desk.run(&["trust"]).code, 0);
}
