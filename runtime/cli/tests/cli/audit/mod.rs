//! `tollgate audit`: what is shown, what verifies, and what becomes of a reader that goes away.

mod adopt;
mod erase;
mod export;
pub(crate) mod older;
mod prove;
mod replay;
mod report;
mod show;
mod torn;
mod verify;

use std::io::pipe;

use serde_json::Value;

use crate::desk::Desk;

/// A desk with a ledger of one call of word-count.
pub(crate) fn counted() -> Desk {
    let desk = Desk::with("word-count");
    desk.count(&["--agent", "a\u{1b}[31mgent"]).json();
    desk
}

#[test]
fn entries_are_shown_as_text_and_as_json_lines() {
    let desk = counted();
    let text = desk.run(&["audit", "show"]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    let json = desk.entries();
    assert_eq!(text.stdout.lines().count(), json.len());
    for (line, words) in text.stdout.lines().zip([
        "opened     tollgate.local/ledger",
        "enforced   worker ",
        "policy     word-count set sha256:",
    ]) {
        assert!(line.contains(words), "{line}");
    }
    assert!(text.stdout.contains("word-count@0.1.0 count agent=a\\u{1b}[31mgent (claimed)\n"), "{text:?}");
    assert!(text.stdout.contains(" allow open-at path=a.txt"), "{text:?}");
    assert!(json.iter().enumerate().all(|(place, entry)| entry["index"] == place), "{json:?}");
}

#[test]
fn entries_are_chosen_by_number_and_by_call() {
    let desk = counted();
    let all = desk.run(&["audit", "show"]).stdout;
    let last = desk.run(&["audit", "show", "--last", "3"]);
    assert_eq!(
        last.stdout.lines().collect::<Vec<_>>(),
        all.lines().collect::<Vec<_>>().split_off(all.lines().count() - 3)
    );
    assert_eq!(desk.run(&["audit", "show", "--last", "0"]).stdout, "");
    assert_eq!(desk.run(&["audit", "show", "--last", "9999"]).stdout, all);
    let entries = desk.entries();
    let call = entries.iter().find(|entry| entry["operation"] == "count").unwrap()["call"].as_str().unwrap();
    let whole = desk.run(&["audit", "show", "--json", "--call", call]).stdout;
    let of_call = |line: &str| serde_json::from_str::<Value>(line).unwrap()["call"] == call;
    assert!(whole.lines().count() > 5 && whole.lines().all(of_call), "{whole}");
    let short = format!("{}…{}", &call[..4], &call[20..]);
    assert!(all.contains(&short), "{all}");
    for id in [short.as_str(), &call[..20]] {
        assert_eq!(desk.run(&["audit", "show", "--json", "--call", id]).stdout, whole);
    }
    desk.run(&["audit", "show", "--call", "ffff"]).fails(2, &["no call `ffff`", "lists all calls"]);
    desk.run(&["audit", "show", "--call", "xyz"]).fails(2, &["`xyz` is not a call id"]);
}

#[test]
fn a_ledger_verifies_against_a_root_noted_earlier() {
    let desk = counted();
    let text = desk.run(&["audit", "verify"]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(text.stdout.starts_with("verified: ledger\n  entries  "), "{text:?}");
    let report = desk.run(&["audit", "verify", "--json"]).json();
    let (root, size) = (report["root"].as_str().unwrap(), report["size"].to_string());
    assert!(text.stdout.contains(root), "{text:?}");
    desk.count(&[]).json();
    let noted = ["audit", "verify", "--root", root, "--size", &size];
    assert_eq!(desk.run(&noted).code, 0);
    let other = "0".repeat(64);
    let ran = desk.run(&["audit", "verify", "--root", &other, "--size", &size]);
    assert_eq!((ran.code, ran.stdout.starts_with("DOES NOT VERIFY: ledger\n")), (5, true), "{ran:?}");
    desk.run(&["audit", "verify", "--root", "12", "--size", "3"]).fails(2, &["`12` is not a root: 64 hex digits"]);
    desk.run(&["audit", "verify", "--root", root]).fails(2, &["--size"]);
}

#[test]
fn a_folder_without_a_ledger_is_said_to_be_one() {
    let desk = Desk::new();
    for command in ["show", "verify"] {
        desk.run(&["audit", command]).fails(2, &["there is no ledger in `ledger`", "--ledger"]);
        desk.run(&["audit", command, "--ledger", "secret.txt"]).fails(2, &["there is no ledger in `secret.txt`"]);
    }
}

#[test]
fn arguments_that_cannot_be_used_are_told_as_json_where_json_is_wanted() {
    let desk = Desk::new();
    for (args, message, help) in [
        (&["verify", "--nope"][..], "unexpected argument '--nope' found", "Usage: tollgate audit verify"),
        (
            &["adopt"],
            "the following required arguments were not provided:\n  --reason <TEXT>",
            "Usage: tollgate audit adopt",
        ),
        (&["prove", "--call", "1"], "unexpected argument '--json' found", "Usage: tollgate audit prove"),
        (&["verify", "--key", "x"], "`x` is not a verifier key", "copy it from what tollgate printed"),
        (&["show"], "there is no ledger in `ledger`", "give its folder with --ledger"),
    ] {
        let ran = desk.run(&[&["audit"], args, &["--json"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (2, ""), "{ran:?}");
        let told = ran.report();
        let [said, advice] = ["message", "help"].map(|name| told["error"][name].as_str().unwrap());
        assert_eq!((&told["ok"], &told["error"]["kind"]), (&false.into(), &"usage".into()), "{told}");
        assert!(said.starts_with(message) && advice.contains(help), "{told}");
    }
    desk.run(&["audit", "verify", "--nope"]).fails(2, &["error: unexpected argument '--nope' found", "Usage: "]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let desk = counted();
    let commands: [&[&str]; 6] = [
        &["audit", "show"],
        &["audit", "show", "--json"],
        &["audit", "verify"],
        &["completions", "bash"],
        &["--help"],
        &["check", "tools/word-count.toml", "--grant", "fs:/docs=docs:read,list", "read", "/docs/a.txt"],
    ];
    for args in commands {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ran = desk.ran(&desk.command(args).stdout(writer).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}: {ran:?}");
    }
    // Nor does it hide what was found.
    std::fs::write(desk.path("ledger/journal"), b"").unwrap();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(desk.command(&["audit", "verify"]).stdout(writer).status().unwrap().code(), Some(5));
}
