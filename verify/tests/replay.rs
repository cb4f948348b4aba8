//! `tollgate-verify replay`: the ledger is verified, and each decision on record is made once more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "tests that run the program")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tollgate_audit::{CallId, Digest, Durability, Kept, VerifierKey};
use tollgate_capability::{Call, CapabilitySet, Decision, Fact, RandomCall, RandomMode, check};
use tollgate_ledger::store_set;
use tollgate_notary::{CallStart, CallTrail, DenialRef, FactRef, OutcomeTotals};
use tollgate_testing::calls::{DENIAL, ending, open, start};
use tollgate_testing::ledgers::tempdir;

/// Its exit code, and what it printed.
fn replay(dir: &Path, key: &VerifierKey, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-verify"));
    let output = command.arg("replay").arg(dir).arg("--key").arg(key.to_string()).args(more).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn random() -> Call {
    Call::Random(RandomCall::RandomBytes { bytes: 16 })
}

fn with_facts<T>(call: &Call, use_them: impl FnOnce(&[(&str, FactRef<'_>)]) -> T) -> T {
    let facts = call.facts();
    let of = |fact| match fact {
        &Fact::Uint(value) => FactRef::Uint(value),
        other @ (Fact::Text(_) | Fact::Bool(_)) => panic!("{other:?}"),
    };
    use_them(&facts.0.iter().map(|(name, fact)| (*name, of(fact))).collect::<Vec<_>>())
}

/// A ledger with two calls for random bytes: one under a set that grants them, and one under a set that does not, which is on
/// record as `recorded` says. The sets are in its folder, unless the second one `is_lost`.
fn ledger(dir: &Path, is_forged: bool, is_lost: bool) -> VerifierKey {
    let granting = CapabilitySet { random: Some(RandomMode::Secure), ..CapabilitySet::default() };
    let ledger = open(dir);
    for (number, set) in [(1, granting), (2, CapabilitySet::default())] {
        let text = set.to_canonical_json().unwrap();
        let digest = Digest::of(text.as_bytes());
        if !(is_lost && number == 2) {
            assert_eq!(store_set(dir, &text).unwrap(), digest);
        }
        let begun = CallStart { capability_set: digest, ..start(CallId([number; 16])) };
        let mut trail = CallTrail::begin(ledger.clone(), begun);
        let call = random();
        with_facts(&call, |facts| match check(&set, &call) {
            Decision::Allow(rule) => allow(&mut trail, call.function(), facts, &rule.to_string()),
            Decision::Deny(_) if is_forged => allow(&mut trail, call.function(), facts, "random"),
            Decision::Deny(denial) => {
                let rule = denial.missing.to_string();
                trail.denied(call.function(), facts, DenialRef { rule: &rule, ..DENIAL }).unwrap();
            }
        });
        trail.end(ending(), Kept::Journal).unwrap();
    }
    ledger.checkpoint().unwrap();
    ledger.verifier_key()
}

fn allow(trail: &mut CallTrail, function: &str, facts: &[(&str, FactRef<'_>)], rule: &str) {
    let intent = trail.intent(function, facts, rule, Durability::Pipe).unwrap();
    trail.outcome(intent, OutcomeTotals { result: "ok", bytes_read: 0, bytes_written: 0, calls: 1 });
}

#[test]
fn decisions_that_the_sets_give_are_the_same() {
    let dir = tempdir().unwrap();
    let key = ledger(dir.path(), false, false);
    let (code, said) = replay(dir.path(), &key, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("repeated: decisions\n  decisions  2\n  same       2\n  different  0\n"), "{said}");
    let (code, said) = replay(dir.path(), &key, &["--json", "--complete"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["verified"], &json["replay"]["same"]), (0, &true.into(), &2.into()), "{json}");
}

#[test]
fn a_decision_that_the_set_does_not_give_is_named_and_fails() {
    let dir = tempdir().unwrap();
    let key = ledger(dir.path(), true, false);
    let (code, said) = replay(dir.path(), &key, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("DIFFERENT DECISIONS") && said.contains("is on record as allowed by [random]"), "{said}");
    let (code, said) = replay(dir.path(), &key, &["--json"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["replay"]["ok"], &json["replay"]["different"]), (1, &false.into(), &1.into()), "{json}");
}

#[test]
fn what_cannot_be_repeated_is_counted_and_fails_where_all_is_wanted() {
    let dir = tempdir().unwrap();
    let key = ledger(dir.path(), false, true);
    let (code, said) = replay(dir.path(), &key, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("repeated in part") && said.contains("unknown    1: its capability set is not kept"),
        "{said}"
    );
    assert_eq!(replay(dir.path(), &key, &["--complete"]).0, 5);
}

/// Nothing is repeated of a ledger that does not verify: its entries prove nothing.
#[test]
fn a_ledger_that_does_not_verify_is_not_repeated() {
    let dir = tempdir().unwrap();
    ledger(dir.path(), false, false);
    let other = tempdir().unwrap();
    let key = ledger(other.path(), false, false);
    let (code, said) = replay(dir.path(), &key, &[]);
    assert_eq!((code, said.contains("decisions")), (1, false), "{said}");
}
