//! Where the ledger is, and when nothing runs because of it.

use std::fs;

use crate::desk::Desk;

const COUNT: [&str; 8] = [
    "run",
    "tools/word-count.wasm",
    "--op",
    "count",
    "--input",
    r#"{"folder": "/docs"}"#,
    "--grant",
    "fs:/docs=docs:read,list",
];

#[test]
fn the_ledger_is_where_argument_and_environment_say() {
    let desk = Desk::with("word-count");
    desk.count(&["--ledger", "mine"]).json();
    assert!(desk.path("mine/journal").is_file() && !desk.path("ledger").exists());
    let run = |state: Option<&str>, home: Option<&str>| {
        let mut command = desk.command(&COUNT);
        command.env_remove("TOLLGATE_LEDGER").env_remove("HOME");
        command.envs(state.map(|state| ("XDG_STATE_HOME", desk.path(state))));
        command.envs(home.map(|home| ("HOME", desk.path(home))));
        desk.ran(&command.output().unwrap())
    };
    run(Some("state"), Some("home")).json();
    assert!(desk.path("state/tollgate/ledger/journal").is_file() && !desk.path("home").exists());
    run(None, Some("home")).json();
    assert!(desk.path("home/.local/state/tollgate/ledger/journal").is_file());
    run(None, None).fails(2, &["no place for the ledger", "HOME", "--ledger"]);
}

#[test]
fn a_ledger_that_cannot_be_made_is_named() {
    let desk = Desk::with("word-count");
    let ran = desk.count(&["--ledger", "secret.txt/ledger"]);
    ran.fails(2, &["`secret.txt/ledger` cannot be used", "Not a directory", "nothing was run", "--ledger"]);
}

#[test]
fn a_ledger_in_use_names_the_process_that_has_it() {
    let desk = Desk::with("word-count");
    let sleeper = desk.sleeper();
    let pid = &sleeper.notary;
    assert_ne!(*pid, sleeper.host.as_ref().unwrap().0.id().to_string(), "the notary has it, not the host");
    let ran = desk.count(&[]);
    ran.fails(2, &[&format!("in use by process {pid}"), "nothing was run", "wait until it ends", "--ledger"]);
    // Reading needs no lock.
    assert_eq!(desk.run(&["audit", "show"]).code, 0);
    drop(sleeper);
    desk.count(&[]).json();
    assert!(desk.run(&["audit", "show"]).stdout.contains("closer"));
}

#[test]
fn each_ledger_has_a_name_of_its_own() {
    let desk = Desk::with("word-count");
    let origin = |folder: &str| {
        let first = desk.run(&["audit", "show", "--json", "--limit", "1", "--ledger", folder]).json();
        first["origin"].as_str().unwrap().to_owned()
    };
    for folder in ["one", "other"] {
        desk.count(&["--ledger", folder]).json();
        desk.count(&["--ledger", folder]).json();
        let name = origin(folder);
        let digits = name.strip_prefix("tollgate.local/ledger/").unwrap_or_else(|| panic!("{name}"));
        assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_eq!(desk.run(&["audit", "verify", "--ledger", folder]).code, 0);
    }
    assert_ne!(origin("one"), origin("other"), "witnesses tell logs apart by it");
    desk.count(&["--ledger", "named", "--origin", "example.org/tollgate"]).json();
    desk.count(&["--ledger", "named"]).json();
    assert_eq!(origin("named"), "example.org/tollgate");
    let key = desk.run(&["audit", "key", "--ledger", "named"]).stdout;
    assert!(key.starts_with("example.org/tollgate+"), "{key}");
    let other = desk.count(&["--ledger", "named", "--origin", "example.org/other"]);
    other.fails(2, &["is of origin \"example.org/tollgate\"", "nothing was run", "leave --origin out"]);
    desk.count(&["--ledger", "bad", "--origin", "two words"]).fails(2, &["not an origin", "nothing was run"]);

    let install = ["install", "tools/word-count.wasm", "--ledger", "made"];
    let bad = desk.run(&[&install[..], &["--origin", "two words"]].concat());
    bad.fails(2, &["not an origin"]);
    assert_eq!(desk.run(&["list", "--json"]).stdout.trim(), "[]", "nothing was installed");
    assert_eq!(desk.run(&[&install[..], &["--origin", "example.org/made"]].concat()).code, 0);
    assert_eq!(origin("made"), "example.org/made", "whatever makes a ledger can name it");
}

#[test]
fn nothing_runs_on_a_damaged_ledger() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let journal = desk.path("ledger/journal");
    let good = fs::read(&journal).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let damages: [(&[u8], &str); 3] =
        [(&flipped, "is corrupt"), (&good[..good.len() / 2], "data lost"), (b"", "data lost")];
    for (damaged, words) in damages {
        fs::write(&journal, damaged).unwrap();
        desk.count(&[]).fails(5, &["the ledger in `ledger` cannot be used", words, "nothing was run", "audit verify"]);
        assert_eq!(fs::read(&journal).unwrap(), damaged);
        let verified = desk.run(&["audit", "verify"]);
        assert_eq!(verified.code, 5);
        assert!(
            verified.stdout.starts_with("DOES NOT VERIFY") && verified.stdout.contains("  problem  "),
            "{verified:?}"
        );
        assert_eq!(desk.run(&["audit", "verify", "--json"]).report()["ok"], false);
    }
    fs::write(&journal, &flipped).unwrap();
    let shown = desk.run(&["audit", "show"]);
    assert_eq!(shown.code, 5);
    assert!(shown.stdout.lines().count() > 1);
    shown.says(&["the ledger in `ledger` is damaged", "is corrupt", "audit verify"]);
    fs::write(&journal, &good).unwrap();
    fs::write(desk.path("ledger/checkpoint"), "nonsense").unwrap();
    desk.count(&[]).fails(5, &["cannot be used", "nothing was run"]);
    assert_eq!(desk.run(&["audit", "verify"]).code, 5);
}
