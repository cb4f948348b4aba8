//! `tollgate-verify`: what it says, and its exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run the program")]

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;
use tollgate_audit::{CallId, Sequence, disclose, find_call_end, prove};
use tollgate_testing::calls::{open, record_call};
use tollgate_testing::ledgers::tempdir;
use tollgate_testing::{entries, ledgers};

/// Its exit code, and what it prints: to stdout, or to stderr where nothing was tried and nobody wants JSON.
fn run<A: AsRef<OsStr>>(args: &[A]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate-verify")).args(args).output().unwrap();
    let code = output.status.code().unwrap();
    let is_error = code == 2 && !args.iter().any(|arg| arg.as_ref() == "--json");
    let (said, silent) = if is_error { (output.stderr, output.stdout) } else { (output.stdout, output.stderr) };
    assert_eq!(String::from_utf8_lossy(&silent), "");
    (code, String::from_utf8(said).unwrap())
}

/// Before, a FIFO in the place of a file made it wait for ever, and a link to `/dev/zero` read without end.
#[test]
fn files_that_are_none_are_said_to_be_and_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&vec![entries::policy(); 260]).unwrap();
    tollgate_ledger::store_set(dir.path(), "{}").unwrap();
    drop(ledger);
    let state = dir.path().with_extension("state");
    let inside = ledgers::files(dir.path()).into_keys().map(|name| dir.path().join(name));
    for path in inside.chain([state]) {
        let kept = path.with_extension("kept");
        fs::rename(&path, &kept).unwrap();
        let make: [&dyn Fn(); 3] = [
            &|| mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
            &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            &|| std::os::unix::fs::symlink(&kept, &path).unwrap(),
        ];
        for make in make {
            make();
            let code = within_a_minute(&["ledger", dir.path().to_str().unwrap()]);
            assert!(code == 1 || code == 2, "{}: {code}", path.display());
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&kept, &path).unwrap();
    }
    assert_eq!(run(&["ledger", dir.path().to_str().unwrap()]).0, 0);
    let fifo = dir.path().with_extension("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let fifo = fifo.to_str().unwrap();
    assert_eq!(within_a_minute(&["receipt", fifo, "--key", key]), 2);
    assert_eq!(within_a_minute(&["consistency", fifo, dir.path().to_str().unwrap(), "--key", key]), 2);
}

/// Its exit code; it is killed if it does not end.
fn within_a_minute(args: &[&str]) -> i32 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate-verify"))
        .args(args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..6000 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{args:?} does not end");
}

#[test]
fn what_was_meant_is_said() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let key = ledger.verifier_key().to_string();
    ledger.checkpoint().unwrap();
    let file = |name: &str| dir.path().with_extension(name).to_str().unwrap().to_owned();
    let (old, beside, folder) = (file("old"), file("verifier"), dir.path().to_str().unwrap());
    fs::copy(dir.path().join("checkpoint"), &old).unwrap();
    record_call(&ledger, 1);
    ledger.checkpoint().unwrap();
    let (code, text) = run(&["consistency", folder, &old, "--key", &key]);
    let swapped = "; the old one is given first, so they may be swapped";
    assert!(code == 1 && text.contains(swapped), "{code} {text}");
    fs::write(&beside, &key).unwrap();
    let (code, text) = run(&["receipt", "none", "--key", &beside]);
    let meant = format!("`{beside}` (there is a file of this name: did you mean `@{beside}`?)");
    assert!(code == 2 && text.starts_with("not tried: ") && text.contains(&meant), "{code} {text}");
    let (code, text) = run(&["receipt", "none", "--key", &format!("@{}", file("key"))]);
    assert!(code == 2 && text.contains("that is the secret key"), "{code} {text}");
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
        let (code, json) = run(&[args, &["--json"]].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        let reason = json["error"].as_str().unwrap();
        assert_eq!((code, &json["verified"]), (2, &Value::Null), "{json}");
        assert!(text.starts_with(&format!("not tried: {reason}\n")), "{args:?}: {text} {json}");
    }
    let (code, text) = run(&["ledger", "/now\nhere"]);
    assert!(
        code == 2 && text.starts_with("not tried: /now\\nhere: ") && text.contains(": No such file"),
        "{code} {text}"
    );
    let at = format!("@{}", file("key-file"));
    fs::write(file("key-file"), format!("{key}\n")).unwrap();
    assert_eq!(run(&["receipt", &receipt, "--key", &at]), run(&["receipt", &receipt, "--key", &key]));
    fs::write(file("key-file"), "").unwrap();
    let (code, text) = run(&["receipt", &receipt, "--key", &at]);
    let said = format!("not tried: --key: `{at}`: a verifier key reads `name+hash+key`\n");
    assert!(code == 2 && text.starts_with(&said), "{code} {text}");
    let (code, text) = run(&["receipt", &receipt, "--key", "@/nowhere"]);
    assert!(code == 2 && text.starts_with("not tried: --key: /nowhere: No such file"), "{code} {text}");
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

#[test]
fn an_older_format_is_refused_by_its_number() {
    let older = concat!(env!("CARGO_MANIFEST_DIR"), "/../audit/tests/golden/ledger-of-format-4");
    let (code, said) = run(&["ledger", older]);
    let refusal =
        "this ledger has format 2; this program reads format 5: keep the ledger and the program that wrote it";
    assert_eq!((code, said.contains(refusal)), (2, true), "{said}");
}
