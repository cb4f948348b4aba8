//! Text that others wrote steers no terminal, whichever way it comes out: of answers, arguments, manifests, file names,
//! components, ledgers. In JSON it is still the same value.

use std::fs;

use serde_json::{Value, json};

use crate::desk::{Desk, Ran};

/// A few of each kind, as many as a file name takes; without NUL and line feed, which no argument or name can have in every place.
const EVIL: &str = "a\u{1}\u{7}\u{8}\r\u{1b}[2J\u{7f}\u{80}\u{85}\u{9b}31m\u{9f}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\
    \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{fe0f}\u{feff}\u{e0001}\u{e0041}\u{e007f}z";

/// Every character that the table must have, but NUL.
fn all() -> String {
    let ranges = [
        0x1..=0x1f,
        0x7f..=0x9f,
        0x61c..=0x61c,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xe0000..=0xe007f,
    ];
    ranges.into_iter().flatten().filter_map(char::from_u32).collect()
}

/// The same output, in which nothing steers.
fn plain(ran: Ran) -> Ran {
    let steering = all();
    for text in [&ran.stdout, &ran.stderr] {
        let found = text.chars().find(|character| !matches!(character, '\n' | '\t') && steering.contains(*character));
        assert_eq!(found, None, "{ran:?}");
    }
    ran
}

#[test]
fn answers_of_tools_and_what_is_asked_of_them() {
    let desk = Desk::with("json-query");
    for text in [EVIL.to_owned(), all(), format!("{}\0", all())] {
        let input = json!({ "document": { "name": text }, "pointer": "/name" }).to_string();
        let args = ["run", "tools/json-query.wasm", "--op", "query", "--input", &input];
        assert_eq!(plain(desk.run(&args)).json()["value"], text);
        let ran = plain(desk.run(&[&args[..], &["--json"]].concat())).json();
        assert_eq!(ran["output"]["value"], text, "{ran}");
    }
    let pointer = json!({ "document": {}, "pointer": format!("no pointer {EVIL}") }).to_string();
    for more in [&[][..], &["--json"]] {
        let args = ["run", "tools/json-query.wasm", "--op", "query", "--input", &pointer];
        assert_ne!(plain(desk.run(&[&args[..], more].concat())).code, 0);
    }
}

#[test]
fn arguments_of_the_command_line() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let tool = "tools/word-count.wasm";
    let option = format!("--{EVIL}");
    let commands: &[&[&str]] = &[
        &[EVIL],
        &["run", EVIL],
        &["run", &option],
        &["run", tool, "--op", EVIL, "--input", "{}"],
        &["run", tool, "--op", "count", "--input", EVIL],
        &["run", tool, "--op", "count", "--input", "{}", "--grant", EVIL],
        &["run", tool, "--op", "count", "--input", "{}", "--policy", EVIL],
        &["check", EVIL, "read", "/docs"],
        &["check", "tools/word-count.toml", "read", EVIL],
        &["inspect", EVIL],
        &["install", tool, "--name", EVIL],
        &["remove", EVIL],
        &["audit", "show", "--call", EVIL],
        &["audit", "show", "--ledger", EVIL],
        &["audit", "erase", "--call", EVIL],
        &["audit", "receipt", "verify", EVIL, "--key", EVIL],
    ];
    for command in commands {
        let ran = plain(desk.run(command));
        assert_ne!(ran.code, 0, "{command:?}: {ran:?}");
        plain(desk.run(&[*command, &["--json"]].concat()));
    }
}

/// A line feed is in no name by accident: none starts a line that could pass for one of ours.
#[test]
fn a_line_feed_in_an_argument_starts_no_line() {
    let desk = Desk::with("word-count");
    let (evil, forged) = ("x\nverified: forged", "verified: forged");
    desk.file(evil, "[x");
    let tool = "tools/word-count.wasm";
    let (option, joined, origin) = (format!("--{evil}"), format!("--wait={evil}"), format!("a://{evil}"));
    let commands: &[&[&str]] = &[
        &[evil],
        &["run", &option],
        &["run", tool, &joined],
        &["run", tool, "--wait", evil],
        &["run", tool, "--origin", &origin],
        &["drill", "--thread", evil],
        &["run", tool, "--op", "count", "--input", "{}", "--policy", evil],
        &["check", evil, "env"],
        &["run", tool, "--manifest", evil],
    ];
    for command in commands {
        let ran = desk.run(command);
        assert_eq!(ran.code, 2, "{command:?}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(r"x\nverified: forged") && !said.lines().any(|line| line.starts_with(forged)), "{ran:?}");
    }
    assert!(!desk.path("ledger").exists());
}

#[test]
fn manifests_and_policies() {
    let desk = Desk::with("word-count");
    let manifest = fs::read_to_string(desk.path("tools/word-count.toml")).unwrap();
    let escaped: String = EVIL.chars().map(|character| format!("\\U{:08x}", u32::from(character))).collect();
    let bad = [
        // A line that would be overwritten by what follows the carriage return.
        format!("version = 1\rname = \"harmless\"\n{manifest}"),
        format!("{manifest}\n# {EVIL}\n"),
        format!("\"{escaped}\" = 1\n{manifest}"),
        manifest.replacen("description = \"", &format!("description = \"{escaped}"), 1),
        EVIL.to_owned(),
    ];
    for text in bad {
        desk.file("tools/word-count.toml", &text);
        assert_ne!(plain(desk.run(&["check", "tools/word-count.toml", "env"])).code, 0, "{text:?}");
        plain(desk.run(&["inspect", "tools/word-count.wasm"]));
        plain(desk.count(&["--json"]));
        desk.file("tools/word-count.toml", &manifest);
        desk.file("tollgate.toml", &text);
        assert_ne!(plain(desk.count(&[])).code, 0, "{text:?}");
        plain(desk.count(&["--json"]));
        fs::remove_file(desk.path("tollgate.toml")).unwrap();
    }
}

#[test]
fn names_of_files() {
    let desk = Desk::with("word-count");
    let named = format!("tools/{EVIL}.wasm");
    fs::copy(desk.path("tools/word-count.wasm"), desk.path(&named)).unwrap();
    desk.file(&format!("tools/{EVIL}.toml"), "no manifest");
    desk.file(&format!("docs/{EVIL}.txt"), "some words");
    for command in [&["inspect", &*named][..], &["run", &named, "--op", "count"], &["install", &named]] {
        plain(desk.run(command));
        plain(desk.run(&[command, &["--json"]].concat()));
    }
    plain(desk.count(&[]));
}

#[test]
fn names_of_imports() {
    let desk = Desk::with("word-count");
    let text = "(component (import \"url=<https://example.com/\\u{202e}\\u{9b}31m\\u{e0041}\\0d>\" (func)))";
    desk.file("tools/evil.wasm", wat::parse_str(text).unwrap());
    let manifest = fs::read_to_string(desk.path("tools/word-count.toml")).unwrap();
    desk.file("tools/evil.toml", manifest.replace("word-count", "evil"));
    for command in [&["inspect", "tools/evil.wasm"][..], &["run", "tools/evil.wasm", "--op", "count"]] {
        let ran = plain(desk.run(command));
        assert_ne!(ran.code, 0, "{ran:?}");
        plain(desk.run(&[command, &["--json"]].concat()));
    }
}

#[test]
fn what_a_ledger_says() {
    let desk = Desk::with("word-count");
    desk.count(&["--agent", EVIL, "--session", EVIL, "--reason", EVIL, "--decision", EVIL, "--trace", EVIL]).json();
    let call = desk.call_of("count");
    for command in [
        &["show"][..],
        &["show", "--json"],
        &["show", "--call", &call, "--private"],
        &["show", "--call", &call, "--private", "--json"],
        &["export"],
        &["report"],
        &["report", "--by", "agent", "--format", "json"],
        &["report", "--by", "agent", "--format", "html"],
        &["report", "--by", "session", "--format", "markdown"],
        &["replay"],
        &["replay", "--json"],
        &["verify"],
        &["erase", "--call", &call, "--reason", EVIL, "--by", EVIL],
    ] {
        let ran = plain(desk.run(&[&["audit"][..], command].concat()));
        assert_eq!(ran.code, 0, "{command:?}: {ran:?}");
    }
    // What is written into a file is shown by others.
    desk.run(&["audit", "report", "--by", "agent", "--format", "json", "--out", "report.json"]);
    let report = fs::read_to_string(desk.path("report.json")).unwrap();
    assert!(!report.contains(|character: char| character != '\n' && all().contains(character)), "{report}");
    assert!(serde_json::from_str::<Value>(&report).unwrap().to_string().contains('\u{202e}'));
    let exported = desk.run(&["audit", "export", "--kind", "call"]).stdout;
    let call: Value = serde_json::from_str(exported.lines().next_back().unwrap()).unwrap();
    for field in ["agent", "session", "reason", "decision", "trace"] {
        assert_eq!(call["entry"]["claims"][field], EVIL, "{field}");
    }
}
