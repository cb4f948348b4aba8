//! `tollgate run --receipt`, `audit prove`, `audit receipt verify`, `audit consistency`.

use std::fs;

use super::counted;
use crate::desk::{DOCS, Desk, wait_for};

/// A key that is nobody's here.
const OTHER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

#[test]
fn a_run_writes_the_receipt_of_its_end() {
    let desk = Desk::with("word-count");
    let call = desk.count(&["--json", "--receipt", "call.tlog-proof"]).json()["call"].as_str().unwrap().to_owned();
    let ran = desk.run(&["audit", "receipt", "verify", "call.tlog-proof", "--key", &desk.key()]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.starts_with("verified\nThis is entry "), "{ran:?}");
    assert!(ran.stdout.contains(&format!(r#"{{"kind":"call-end","call":"{call}""#)), "{ran:?}");
    assert_eq!(desk.run(&["audit", "verify"]).code, 0);
}

#[test]
fn a_failed_call_has_a_receipt_too() {
    let desk = Desk::with("word-count");
    let escape =
        ["run", "tools/word-count.wasm", "--op", "count-file", "--input", r#"{"path": "/docs/../secret.txt"}"#];
    desk.run(&[&escape[..], &DOCS, &["--receipt", "r"]].concat()).fails(3, &["denied by policy"]);
    let ran = desk.run(&["audit", "receipt", "verify", "r", "--key", &desk.key(), "--json"]).json();
    assert_eq!((&ran["verified"], &ran["facts"]["entry"]["class"]), (&true.into(), &"violation".into()));
}

#[test]
fn a_call_that_was_turned_down_has_a_receipt_too() {
    let desk = Desk::with("word-count");
    let ran = desk.run(&["run", "tools/word-count.wasm", "--op", "count", DOCS[0], DOCS[1], "--receipt", "r"]);
    ran.fails(2, &["do not match the schema"]);
    let ran = desk.run(&["audit", "receipt", "verify", "r", "--key", &desk.key(), "--json"]).json();
    assert_eq!((&ran["verified"], &ran["facts"]["entry"]["class"]), (&true.into(), &"rejected".into()));
}

#[test]
fn nothing_runs_if_the_receipt_could_not_be_written() {
    let desk = Desk::with("word-count");
    desk.count(&["--receipt", "nowhere/r"]).fails(2, &["cannot write `nowhere/r`", "No such file", "nothing was done"]);
    desk.count(&["--receipt", "docs"]).fails(2, &["cannot write `docs`", "nothing was done"]);
    desk.file("old", "evidence");
    desk.count(&["--receipt", "old"]).fails(2, &["cannot write `old`", "it is there already"]);
    assert_eq!(fs::read_to_string(desk.path("old")).unwrap(), "evidence");
    assert!(!desk.path("ledger").exists());
}

#[test]
fn a_receipt_is_made_later() {
    let desk = counted();
    let call = desk.call_of("count");
    let printed = desk.run(&["audit", "prove", "--call", &call]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{printed:?}");
    assert!(printed.stdout.starts_with("c2sp.org/tlog-proof@v1\n"), "{printed:?}");
    let saved = desk.run(&["audit", "prove", "--call", &call, "--out", "r"]);
    assert_eq!((saved.code, saved.stdout.as_str(), saved.stderr.as_str()), (0, "", ""));
    assert_eq!(fs::read_to_string(desk.path("r")).unwrap(), printed.stdout);
    desk.run(&["audit", "prove", "--call", &call, "--out", "r"]).fails(2, &["`r`", "it is there already"]);
}

#[test]
fn chosen_entries_are_disclosed_and_the_others_are_not() {
    let desk = counted();
    let call = desk.call_of("count");
    let prove = ["audit", "prove", "--call", &call, "--intent", "4", "--intent", "2", "--intent", "4", "--out", "d"];
    assert_eq!(desk.run(&prove).code, 0);
    let report = desk.run(&["audit", "receipt", "verify", "d", "--key", &desk.key(), "--json"]).json();
    let shown = report["facts"]["entries"].as_array().unwrap();
    assert_eq!(shown.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    assert!(!report.to_string().contains("b.txt"), "{report}");
    desk.run(&["audit", "prove", "--call", &call, "--intent", "99"]).fails(2, &["no entry #99", "it has #0 to #"]);
}

#[test]
fn what_cannot_be_proven_is_said() {
    let desk = counted();
    desk.run(&["audit", "prove", "--call", "ffff"]).fails(2, &["no call `ffff`"]);
    desk.run(&["audit", "prove", "--call", "xyz"]).fails(2, &["`xyz` is not a call id"]);
    desk.run(&["audit", "prove", "--call", "0"]).fails(2, &["several calls `0`: 0", "give more digits"]);
    let _sleeper = desk.sleeper();
    wait_for(&desk.path("ledger/journal"), |bytes| bytes.windows(6).any(|part| part == b"attack"));
    let open = desk.call_of("attack");
    desk.run(&["audit", "prove", "--call", &open]).fails(2, &["has no end on record"]);
}

#[test]
fn a_call_that_no_checkpoint_covers_gets_one_unless_the_ledger_is_in_use() {
    let desk = counted();
    let checkpoint = desk.path("ledger/checkpoint");
    let old = fs::read(&checkpoint).unwrap();
    desk.count(&[]).json();
    let call = desk.call_of("count");
    fs::write(&checkpoint, old).unwrap();
    let prove = ["audit", "prove", "--call", &call, "--out", "r", "--wait", "0s"];
    let lock = fs::File::open(desk.path("ledger/lock")).unwrap();
    lock.try_lock().unwrap();
    desk.run(&prove).fails(2, &["no checkpoint covers entry", "in use by process ", "--wait"]);
    assert!(!desk.path("r").exists());
    drop(lock);
    assert_eq!(desk.run(&prove).code, 0);
    assert_eq!(desk.run(&["audit", "receipt", "verify", "r", "--key", &desk.key()]).code, 0);
    assert_eq!(desk.run(&["audit", "verify"]).code, 0);
}

#[test]
fn a_receipt_that_does_not_hold_is_refused() {
    let desk = Desk::with("word-count");
    desk.count(&["--receipt", "r"]).json();
    let verify = |file: &str, key: &str| desk.run(&["audit", "receipt", "verify", file, "--key", key]);
    let ran = verify("r", OTHER);
    assert_eq!((ran.code, ran.stderr.as_str()), (5, ""));
    assert!(ran.stdout.starts_with("NOT VERIFIED\nthe checkpoint is not signed by the key given"), "{ran:?}");
    let text = fs::read_to_string(desk.path("r")).unwrap();
    let place = text.find("\nindex ").unwrap() + 7;
    let digit = if text[place..].starts_with('1') { "2" } else { "1" };
    desk.file("forged", format!("{}{digit}{}", &text[..place], &text[place + 1..]));
    assert_eq!(verify("forged", &desk.key()).code, 5);
    verify("secret.txt", &desk.key()).fails(2, &["nothing to verify", "secret.txt", "the first line is neither"]);
    verify("nowhere", &desk.key()).fails(2, &["nothing to verify", "nowhere", "No such file"]);
    verify("r", "swordfish").fails(2, &["`swordfish` is not a verifier key"]);
    verify("r", "@secret.txt").fails(2, &["is not a verifier key"]);
    desk.run(&["audit", "receipt", "verify", "r"]).fails(2, &["--key"]);
    desk.file("key", desk.key());
    assert_eq!(verify("r", "@key").code, 0);
}

#[test]
fn a_receipt_and_a_key_are_taken_from_standard_input() {
    let desk = Desk::with("word-count");
    desk.count(&["--receipt", "r"]).json();
    let (receipt, key) = (fs::read(desk.path("r")).unwrap(), desk.key());
    let verify = |file: &str, key: &str, input: &[u8]| {
        desk.run_with_input(&["audit", "receipt", "verify", file, "--key", key], input)
    };
    assert!(verify("-", &key, &receipt).stdout.starts_with("verified\n"));
    assert!(verify("r", "@-", key.as_bytes()).stdout.starts_with("verified\n"));
    let checkpoint = fs::read(desk.path("ledger/checkpoint")).unwrap();
    let noted = ["audit", "verify", "--checkpoint", "-", "--key", &key];
    assert_eq!(desk.run_with_input(&noted, &checkpoint).code, 0);
    // A file of this name is another thing.
    desk.file("-", "no receipt");
    verify("./-", &key, &receipt).fails(2, &["nothing to verify", "the first line is neither"]);
    let call = desk.call_of("count");
    let printed = desk.run(&["audit", "prove", "--call", &call, "--out", "-"]);
    assert_eq!((printed.code, verify("-", &key, printed.stdout.as_bytes()).code), (0, 0), "{printed:?}");
}

#[test]
fn a_ledger_goes_on_from_a_checkpoint_noted_earlier() {
    let desk = counted();
    fs::copy(desk.path("ledger/checkpoint"), desk.path("noted")).unwrap();
    desk.count(&[]).json();
    let key = desk.key();
    let ran = desk.run(&["audit", "consistency", "noted", "ledger", "--key", &key]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.starts_with("verified\n") && ran.stdout.contains("only added to"), "{ran:?}");
    let file = ["audit", "consistency", "noted", "ledger/checkpoint", "--key", &key, "--json"];
    assert_eq!(desk.run(&file).json()["verified"], true);
    let back = desk.run(&["audit", "consistency", "ledger", "noted", "--key", &key]);
    assert_eq!((back.code, back.stdout.starts_with("NOT VERIFIED\n")), (5, true), "{back:?}");
    assert_eq!(desk.run(&["audit", "consistency", "noted", "ledger", "--key", OTHER]).code, 5);
    desk.run(&["audit", "consistency", "secret.txt", "ledger", "--key", &key]).fails(2, &["secret.txt"]);
}
