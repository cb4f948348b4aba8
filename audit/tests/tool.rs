//! `tollgate-verify`: what it says, and its exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run the program")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{open, record_call, tempdir};
use tollgate_audit::{CallId, Sequence, disclose, find_call_end, prove};

fn run<A: AsRef<OsStr>>(args: &[A]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate-verify")).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn yes_no_and_not_tried() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let key = ledger.verifier_key().to_string();
    let end = find_call_end(dir.path(), record_call(&ledger, 1).call).unwrap();
    ledger.checkpoint().unwrap();
    let file = |name: &str| dir.path().with_extension(name).to_str().unwrap().to_owned();
    let [receipt, shown, old] = ["tlog-proof", "disclosure", "old"].map(file);
    fs::write(&receipt, prove(dir.path(), end).unwrap().to_string()).unwrap();
    fs::write(&shown, disclose(dir.path(), CallId([1; 16]), &[Sequence(1)]).unwrap().to_string()).unwrap();
    fs::copy(dir.path().join("checkpoint"), &old).unwrap();
    record_call(&ledger, 2);
    ledger.checkpoint().unwrap();
    let folder = dir.path().to_str().unwrap();
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    for args in [
        &["ledger", folder, "--key", &key][..],
        &["ledger", folder],
        &["receipt", &receipt, "--key", &key],
        &["receipt", &shown, "--key", &key],
        &["consistency", &old, folder, "--key", &key],
    ] {
        let (code, text) = run(args);
        assert!(code == 0 && text.starts_with("verified\n"), "{args:?}: {text}");
        let (code, text) = run(&[args, &["--json"]].concat());
        assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()["verified"].clone()), (0, true.into()));
    }
    for args in [
        &["ledger", folder, "--key", other][..],
        &["receipt", &receipt, "--key", other],
        &["receipt", &shown, "--key", other],
        &["consistency", &old, folder, "--key", other],
        &["consistency", folder, &old, "--key", &key],
    ] {
        let (code, text) = run(args);
        assert!(code == 1 && text.starts_with("NOT VERIFIED\n"), "{args:?}: {code} {text}");
    }
    for args in [
        &[][..],
        &["receipt", &receipt],
        &["receipt", &receipt, "--key", "x"],
        &["receipt", "/nowhere", "--key", &key],
        &["ledger", "/nowhere"],
        &["ledger", folder, "--unknown"],
        &["other", folder],
    ] {
        let (code, text) = run(args);
        assert!(code == 2 && text.starts_with("not tried: "), "{args:?}: {code} {text}");
    }
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    let evil = "a\u{1b}[2J\r\u{85}\u{9b}31m\u{202e}\u{2066}\u{e0041}z";
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let key = ledger.verifier_key().to_string();
    let file = dir.path().with_extension("evil").to_str().unwrap().to_owned();
    fs::write(&file, evil).unwrap();
    for args in [
        &[evil][..],
        &["ledger", evil],
        &["ledger", evil, "--key", evil],
        &["receipt", &file, "--key", &key],
        &["consistency", &file, evil, "--key", &key],
    ] {
        for more in [&[][..], &["--json"]] {
            let (code, text) = run(&[args, more].concat());
            assert_ne!(code, 0, "{args:?}");
            let steers = |character: char| character != '\n' && tollgate_plain::is_steering(character);
            assert!(!text.contains(steers), "{args:?}: {text:?}");
        }
    }
}
