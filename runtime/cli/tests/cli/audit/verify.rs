//! `tollgate audit verify` with what an auditor brings along, and `audit key`.

use std::fs;

use super::counted;
use crate::desk::Desk;

const OTHER: &str = "tollgate.local/ledger+3481d542+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

#[test]
fn the_key_verifies_the_ledger_that_names_it() {
    let desk = counted();
    let key = desk.key();
    assert!(key.starts_with("tollgate.local/ledger/"), "{key}");
    assert_eq!(desk.run(&["audit", "key", "--json"]).json()["key"], key.as_str());
    let ran = desk.run(&["audit", "verify", "--key", &key]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains(&format!("are signed by {key}.\n")) && !ran.stdout.contains("unproven"), "{ran:?}");
    desk.file("key", format!("{key}\n"));
    assert_eq!(desk.run(&["audit", "verify", "--key", "@key"]).stdout, ran.stdout);
}

#[test]
fn a_ledger_under_another_key_does_not_verify() {
    let desk = counted();
    let other = Desk::with("word-count");
    other.count(&[]).json();
    let ran = desk.run(&["audit", "verify", "--key", &other.key()]);
    assert_eq!((ran.code, ran.stdout.starts_with("DOES NOT VERIFY: ledger\n")), (5, true), "{ran:?}");
    let help = format!(
        "the ledger in ledger has the key {}; if another one is meant, give its folder with --ledger, or set TOLLGATE_LEDGER or \
         TOLLGATE_HOME as where it was made",
        desk.key()
    );
    assert!(ran.stdout.contains(&format!("  help     {help}\n")), "{ran:?}");
    let told = desk.run(&["audit", "verify", "--key", &other.key(), "--json"]).report();
    assert_eq!(told["help"], help.as_str());
    assert!(desk.run(&["audit", "verify", "--key", &desk.key(), "--json"]).json().get("help").is_none());
    desk.run(&["audit", "verify", "--key", OTHER]).fails(2, &["is not a verifier key"]);
    desk.run(&["audit", "verify", "--key", "@nowhere"]).fails(2, &["cannot read `nowhere`", "after the @"]);
}

#[test]
fn a_key_that_is_none_is_told_what_was_meant() {
    let desk = counted();
    desk.file("trusted.key", desk.key());
    let verify = |key: &str| desk.run(&["audit", "verify", "--key", key]);
    let meant = ["`trusted.key` is not a verifier key", "there is a file of this name: did you mean `@trusted.key`?"];
    verify("trusted.key").fails(2, &meant);
    desk.run(&["audit", "receipt", "verify", "none", "--key", "trusted.key"]).fails(2, &meant);
    let secret = verify("@ledger.key");
    secret.fails(2, &["`@ledger.key` is not a verifier key", "that is the secret key", "`tollgate audit key` prints"]);
    let text = fs::read_to_string(desk.path("ledger.key")).unwrap();
    assert!(!secret.stderr.contains(text.trim()), "{secret:?}");
    verify("other.key").fails(2, &["copy it from what tollgate printed"]);
}

#[test]
fn what_no_key_vouches_for_is_said() {
    let ran = counted().run(&["audit", "verify"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("\n  unproven that this key is the one you trust"), "{ran:?}");
}

#[test]
fn a_ledger_verifies_up_to_a_checkpoint_noted_earlier() {
    let desk = counted();
    fs::copy(desk.path("ledger/checkpoint"), desk.path("noted")).unwrap();
    let noted_bytes = fs::metadata(desk.path("ledger/journal")).unwrap().len();
    desk.count(&[]).json();
    let key = desk.key();
    let verify = ["audit", "verify", "--checkpoint", "noted", "--key", &key];
    let ran = desk.run(&verify);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains("none changed, missing or out of order: the ledger was only added to.\n"), "{ran:?}");
    assert!(ran.stdout.contains("  unproven the "), "{ran:?}");
    assert!(
        ran.stdout.starts_with("verified to ") && ran.stdout.contains("; what is newer is not judged: "),
        "{ran:?}"
    );
    let json = [&verify[..], &["--json"]].concat();
    assert_eq!(desk.run(&json).json()["complete"], false);
    // What stands behind it is not judged; what stands before it is.
    let journal = desk.path("ledger/journal");
    let whole = fs::read(&journal).unwrap();
    let damaged = |at: u64| {
        let mut damaged = whole.clone();
        damaged[usize::try_from(at).unwrap()] ^= 1;
        fs::write(&journal, damaged).unwrap();
    };
    damaged(noted_bytes + 100);
    assert_eq!(desk.run(&["audit", "verify"]).code, 5);
    let ran = desk.run(&verify);
    assert_eq!((ran.code, ran.stdout.contains("only added to")), (0, false), "{ran:?}");
    assert!(ran.stdout.contains("What stood behind them does not verify."), "{ran:?}");
    assert_eq!(desk.run(&json).json()["complete"], false);
    damaged(noted_bytes - 100);
    let ran = desk.run(&verify);
    assert_eq!((ran.code, ran.stdout.starts_with("DOES NOT VERIFY: ledger\n")), (5, true), "{ran:?}");
}

#[test]
fn a_checkpoint_of_another_history_does_not_verify() {
    let (desk, other) = (counted(), counted());
    fs::copy(other.path("ledger/checkpoint"), desk.path("noted")).unwrap();
    let ran = desk.run(&["audit", "verify", "--checkpoint", "noted", "--json"]);
    assert_eq!((ran.code, &ran.report()["ok"]), (5, &false.into()));
    let with_its_key = desk.run(&["audit", "verify", "--checkpoint", "noted", "--key", &other.key()]);
    assert_eq!(with_its_key.code, 5);
    // Data lost since it was signed.
    fs::copy(desk.path("ledger/checkpoint"), desk.path("noted")).unwrap();
    let journal = fs::read(desk.path("ledger/journal")).unwrap();
    fs::write(desk.path("ledger/journal"), &journal[..journal.len() / 2]).unwrap();
    assert_eq!(desk.run(&["audit", "verify", "--checkpoint", "noted"]).code, 5);
    desk.run(&["audit", "verify", "--checkpoint", "secret.txt"]).fails(2, &["nothing to verify", "secret.txt"]);
    desk.run(&["audit", "verify", "--checkpoint", "noted", "--root", "00", "--size", "1"]).fails(2, &["--root"]);
}
