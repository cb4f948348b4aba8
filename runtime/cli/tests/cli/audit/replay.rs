//! `tollgate audit replay`: what the gate decided is what the capability set says, and a false decision is found.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_audit::{CallId, Digest, Durability, Kept, Layer};
use tollgate_capability::{Call, Fact, FsCall, FsPath, GrantIndex, OpenFlags, Target};
use tollgate_example_tools::HOSTILE;
use tollgate_ledger::Ledger;
use tollgate_notary::{CallStart, CallTrail, DenialRef, FactRef, OutcomeTotals};
use tollgate_testing::calls::{ending, start};

use super::counted;
use crate::desk::{DOCS, Desk};

#[test]
fn every_decision_of_a_real_run_is_right() {
    let desk = counted();
    let escape =
        ["run", "tools/word-count.wasm", "--op", "count-file", "--input", r#"{"path": "/docs/../secret.txt"}"#];
    assert_eq!(desk.run(&[&escape[..], &DOCS].concat()).code, 3);
    let report = desk.run(&["audit", "replay", "--strict", "--json"]).json();
    assert!(report["same"].as_u64() > Some(4), "{report}");
    assert_eq!((&report["ok"], &report["different"]), (&true.into(), &0.into()));
    let ran = desk.run(&["audit", "replay", "--verdict", "deny"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "repeated: ledger\n  decisions  1\n  same       1\n  different  0\n");
}

#[test]
fn every_decision_on_hostile_guests_is_right() {
    let desk = Desk::new();
    let grants = ["fs:/docs=docs:read,list,write,create", "limit:fuel=20000000", "limit:deadline=2s"];
    let grants: Vec<_> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
    std::os::unix::fs::symlink("../secret.txt", desk.path("docs/link")).unwrap();
    for guest in HOSTILE {
        desk.place(guest.name);
        std::fs::remove_file(desk.path(&format!("tools/{}.toml", guest.name))).unwrap();
        let tool = format!("tools/{}.wasm", guest.name);
        for on_violation in ["kill", "deny"] {
            desk.run(&[&["run", &tool, "--op", "attack", "--on-violation", on_violation][..], &grants].concat());
        }
    }
    let denied: BTreeSet<_> = desk
        .entries()
        .iter()
        .filter(|entry| entry["verdict"] == "deny")
        .map(|entry| entry["rule"].as_str().unwrap().to_owned())
        .collect();
    assert!(["fs:/docs:beneath", "net", "random"].iter().all(|rule| denied.contains(*rule)), "{denied:?}");
    let ran = desk.run(&["audit", "replay", "--strict"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains("\n  different  0\n"), "{ran:?}");
}

/// A ledger with one honest run, and a call recorded by a forger that has the ledger's key.
struct Forged {
    desk: Desk,
    set: Digest,
}

impl Forged {
    fn new() -> Self {
        let desk = counted();
        let entries = desk.entries();
        let call = entries.iter().find(|entry| entry["operation"] == "count").unwrap();
        let set = call["capability_set"].as_str().unwrap().parse().unwrap();
        Self { desk, set }
    }

    /// Records a call in which `record` says what was asked.
    fn call(&self, set: Digest, record: impl FnOnce(&mut CallTrail)) {
        let dir = self.desk.path("ledger");
        let ledger = Arc::new(Ledger::reopen(&dir, "forger", 0).unwrap());
        let start = start(CallId([0xff; 16]));
        let mut trail = CallTrail::begin(ledger, CallStart { capability_set: set, ..start });
        record(&mut trail);
        trail.end(ending(), Kept::Disk).unwrap();
    }
}

fn open(path: &str, write: bool) -> Call {
    Call::Fs(FsCall::OpenAt {
        path: FsPath::new(GrantIndex(0), "", path.to_owned()),
        flags: OpenFlags { read: true, write, follow: true, ..OpenFlags::default() },
        target: Target::Absent,
        handles_open: 1,
        quota_left: 0,
    })
}

fn allow(trail: &mut CallTrail, call: &Call, rule: &str) {
    let facts = call.facts();
    let facts: Vec<_> = facts.0.iter().map(|(name, fact)| (*name, fact_ref(fact))).collect();
    allow_facts(trail, call.function(), &facts, rule);
}

fn allow_facts(trail: &mut CallTrail, function: &str, facts: &[(&str, FactRef<'_>)], rule: &str) {
    let intent = trail.intent(function, facts, rule, Durability::Pipe).unwrap();
    trail.outcome(intent, OutcomeTotals { result: "ok", bytes_read: 0, bytes_written: 0, calls: 1 });
}

fn fact_ref<'f>(fact: &'f Fact<'_>) -> FactRef<'f> {
    match fact {
        Fact::Text(text) => FactRef::Text(text),
        Fact::Uint(value) => FactRef::Uint(*value),
        Fact::Bool(value) => FactRef::Bool(*value),
    }
}

#[test]
fn an_allow_that_the_set_denies_is_named() {
    let forged = Forged::new();
    forged.call(forged.set, |trail| allow(trail, &open("a.txt", true), "fs:/docs:write"));
    let desk = &forged.desk;
    assert_eq!(desk.run(&["audit", "verify"]).code, 0, "hashes and order alone do not show it");
    let ran = desk.run(&["audit", "replay"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (5, ""), "{ran:?}");
    assert!(ran.stdout.starts_with("DIFFERENT DECISIONS: ledger\n"), "{ran:?}");
    let report = desk.run(&["audit", "replay", "--json"]);
    let differences = report.report()["differences"].clone();
    let entries = desk.entries();
    let index = &entries.iter().rfind(|entry| entry["kind"] == "intent").unwrap()["index"];
    assert_eq!((report.code, &differences[0]["index"], &differences[1]), (5, index, &serde_json::Value::Null));
    assert_eq!(differences[0]["call"], "f".repeat(32));
    assert_eq!(differences[0]["recorded"], serde_json::json!({ "verdict": "allow", "rule": "fs:/docs:write" }));
    assert_eq!(differences[0]["right"], serde_json::json!({ "verdict": "deny", "rule": "fs:/docs:write" }));
    assert!(ran.stdout.contains(&format!("entry {index} of call ffff")), "{ran:?}");
    assert_eq!(desk.run(&["audit", "replay", "--operation", "tollgate:describe"]).code, 0);
}

#[test]
fn a_denial_that_the_set_allows_and_a_wrong_rule_are_named() {
    let forged = Forged::new();
    forged.call(forged.set, |trail| {
        allow(trail, &open("a.txt", false), "fs:/docs:list");
        let (call, rule) = (open("a.txt", false), "fs:/docs:read");
        let facts = call.facts();
        let facts: Vec<_> = facts.0.iter().map(|(name, fact)| (*name, fact_ref(fact))).collect();
        let denial = DenialRef { rule, layer: Layer::Gate, action: tollgate_audit::Action::Deny, message: "no" };
        trail.denied(call.function(), &facts, denial).unwrap();
        allow(trail, &call, "fs:/docs:read");
    });
    let report = forged.desk.run(&["audit", "replay", "--json"]).report();
    assert_eq!(report["different"], 2, "{report}");
}

#[test]
fn a_refusal_by_the_kernel_is_no_difference() {
    let forged = Forged::new();
    forged.call(forged.set, |trail| {
        let call = open("link", false);
        let facts = call.facts();
        let facts: Vec<_> = facts.0.iter().map(|(name, fact)| (*name, fact_ref(fact))).collect();
        let intent = trail.intent(call.function(), &facts, "fs:/docs:read", Durability::Pipe).unwrap();
        let (layer, action) = (Layer::Kernel, tollgate_audit::Action::Kill);
        let denial = DenialRef { rule: "fs:/docs:beneath", layer, action, message: "it leads outside" };
        trail.violated(intent, call.function(), denial).unwrap();
    });
    assert_eq!(forged.desk.run(&["audit", "replay", "--strict"]).code, 0);
}

#[test]
fn what_cannot_be_repeated_is_counted_with_why() {
    let forged = Forged::new();
    forged.call(forged.set, |trail| {
        allow(trail, &open(&"x".repeat(2000), false), "fs:/docs:read");
        allow_facts(trail, "wasi:nothing/at.all", &[], "fs");
        allow_facts(trail, open("a", false).function(), &[("path", FactRef::Text("a"))], "fs:/docs:read");
    });
    let desk = &forged.desk;
    let report = desk.run(&["audit", "replay", "--json"]).json();
    let wanted = serde_json::json!({ "text-cut": 1, "function-unknown": 1, "no-such-call": 1 });
    assert_eq!(report["not_repeatable"], wanted, "{report}");
    let ran = desk.run(&["audit", "replay", "--strict"]);
    assert_eq!((ran.code, ran.stdout.matches("\n  unknown    1: ").count()), (5, 3), "{ran:?}");
    assert!(ran.stdout.starts_with("repeated in part: ledger\n"), "{ran:?}");
}

#[test]
fn a_set_that_is_gone_or_changed_is_said() {
    let forged = Forged::new();
    let desk = &forged.desk;
    let set = desk.path(&format!("ledger/sets/{}.json", forged.set.to_string().trim_start_matches("sha256:")));
    let text = std::fs::read_to_string(&set).unwrap();
    std::fs::write(&set, text.replace("read", "head")).unwrap();
    let report = desk.run(&["audit", "replay", "--json"]).json();
    assert!(report["not_repeatable"]["set-unreadable"].as_u64() > Some(0), "{report}");
    std::fs::remove_file(&set).unwrap();
    let report = desk.run(&["audit", "replay", "--json"]).json();
    assert!(report["not_repeatable"]["set-missing"].as_u64() > Some(0), "{report}");
    assert_eq!(desk.run(&["audit", "replay", "--strict"]).code, 5);
    desk.run(&["audit", "replay", "--ledger", "nowhere"]).fails(2, &["there is no ledger in `nowhere`"]);
}
