//! Words about the record: what must be on disk before it happens, when a result may be handed out, and what is kept of
//! arguments and results.

use std::fs;

use serde_json::{Value, json};
use tollgate::CallError;
use tollgate_audit::{Durability, Entry, Kept, Recorded};
use tollgate_capability::Access;
use tollgate_ledger::SideStore;
use tollgate_workspace::{Lab, UNABLE, exists};

use crate::Texts;

const NEEDS_ALL: &str = "needs.fs = [{ guest = \"/docs\", \
                         access = [\"read\", \"write\", \"create\", \"delete\", \"list\", \"metadata\"] }]";

/// What needs this right is not done by a ledger that cannot sync, and is done where the right need not be durable.
fn durable(right: Access, step: Value) {
    let arguments = json!({ "steps": [step] }).to_string();
    let access: Vec<_> = Access::ALL.map(Access::as_str).into();
    let grant =
        |durable: &[&str]| format!("fs.\"/docs\" = {{ host = \"docs\", access = {access:?}, durable = {durable:?} }}");
    let mut texts = Texts::of(Lab::unable(Kept::Disk));
    texts.lab.file("docs/a.txt", "old");
    let tool = texts.tool("probe-fs", NEEDS_ALL, &grant(&[right.as_str()]));
    let failure = texts.lab.failure(&tool, "run", &arguments);
    assert!(matches!(&failure.error, CallError::Unrecorded(reason) if reason.contains(UNABLE)), "{failure:?}");
    assert_eq!(fs::read_to_string(texts.lab.path("docs/a.txt")).unwrap(), "old");
    assert!(!exists(&texts.lab.path("docs/new")));

    let tool = texts.tool("probe-fs", NEEDS_ALL, &grant(&[]));
    let answer = texts.lab.answer(&tool, "run", &arguments);
    assert!(answer[0].get("ok").is_some(), "{answer}");

    // On a disk that works the record says what it survives.
    let mut texts = Texts::new();
    texts.lab.file("docs/a.txt", "old");
    let tool = texts.tool("probe-fs", NEEDS_ALL, &grant(&[right.as_str()]));
    texts.lab.answer(&tool, "run", &arguments);
    let durable = |entry: &Entry<'_>| matches!(entry, Entry::Intent(intent) if intent.durability == Durability::Disk);
    assert!(texts.lab.entries().iter().any(durable));
    texts.lab.verified();
}

#[test]
pub(crate) fn durable_read() {
    durable(Access::Read, json!({ "op": "read", "path": "/docs/a.txt" }));
}

#[test]
pub(crate) fn durable_write() {
    durable(Access::Write, json!({ "op": "overwrite", "path": "/docs/a.txt", "data": "new" }));
}

#[test]
pub(crate) fn durable_create() {
    durable(Access::Create, json!({ "op": "mkdir", "path": "/docs/new" }));
}

#[test]
pub(crate) fn durable_delete() {
    durable(Access::Delete, json!({ "op": "unlink", "path": "/docs/a.txt" }));
}

#[test]
pub(crate) fn durable_list() {
    durable(Access::List, json!({ "op": "list", "path": "/docs" }));
}

#[test]
pub(crate) fn durable_metadata() {
    durable(Access::Metadata, json!({ "op": "stat", "path": "/docs/a.txt" }));
}

/// Whether a result is handed out by a ledger that cannot keep entries so well.
fn acknowledged(word: &str, unable: Kept) -> Result<(), String> {
    let mut texts = Texts::of(Lab::unable(unable));
    let tool = texts.tool("probe-wasi", "", &format!("audit.acknowledge = \"{word}\""));
    let arguments = json!({ "call": "stdout", "len": 1, "text": "x" }).to_string();
    match texts.lab.call(&tool, "call", &arguments) {
        Ok(_answer) => Ok(()),
        Err(failure) => match &failure.error {
            CallError::Unrecorded(reason) => Err(reason.clone()),
            other => panic!("{other}"),
        },
    }
}

#[test]
pub(crate) fn acknowledge_pipe() {
    acknowledged("pipe", Kept::Journal).unwrap();
}

#[test]
pub(crate) fn acknowledge_journal() {
    assert!(acknowledged("journal", Kept::Journal).unwrap_err().contains(UNABLE));
    acknowledged("journal", Kept::Disk).unwrap();
}

#[test]
pub(crate) fn acknowledge_disk() {
    assert!(acknowledged("disk", Kept::Disk).unwrap_err().contains(UNABLE));
}

const SECRET: &str = "a-secret-that-an-agent-passed-on";

/// A call whose arguments and result hold a secret: what is recorded of both, what the side store has, and whether the
/// secret stands anywhere in plain.
fn recorded(word: &str) -> (Recorded, bool, Option<tollgate_audit::Private>, bool) {
    let mut texts = Texts::new();
    texts.lab.file("docs/a.txt", SECRET);
    let grant = format!("audit.arguments = \"{word}\"\nfs.\"/docs\" = {{ host = \"docs\", access = [\"read\"] }}");
    let tool = texts.tool("probe-fs", "needs.fs = [{ guest = \"/docs\", access = [\"read\"] }]", &grant);
    let steps = json!({ "steps": [{ "op": "read", "path": "/docs/a.txt", "data": SECRET }] }).to_string();
    let answer = texts.lab.call(&tool, "run", &steps).unwrap();
    assert!(answer.output.contains(SECRET));
    let entries = texts.lab.entries_of(answer.call);
    let Some(Entry::Call(call)) = entries.first() else { panic!("{entries:?}") };
    let Some(Entry::CallEnd(end)) = entries.last() else { panic!("{entries:?}") };
    let private = SideStore::find(&texts.lab.ledger(), answer.call).unwrap();
    let is_plain = |name: &str| {
        let bytes = fs::read(texts.lab.path(name)).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    assert!(!is_plain("ledger/journal"), "{word}");
    (call.arguments, end.result.is_some(), private, is_plain("ledger.private/00000001.open"))
}

#[test]
pub(crate) fn arguments_digest() {
    let (arguments, has_result, private, is_plain) = recorded("digest");
    assert!(matches!(arguments, Recorded::Salted(_)) && has_result && !is_plain);
    let private = private.unwrap();
    assert_eq!((private.arguments, private.result), (None, None), "the salt alone");
}

#[test]
pub(crate) fn arguments_full() {
    let (arguments, has_result, private, is_plain) = recorded("full");
    assert!(has_result && is_plain);
    let private = private.unwrap();
    let kept = private.arguments.unwrap();
    assert_eq!(arguments, Recorded::Salted(private.salt.arguments(&kept)));
    assert!(String::from_utf8(private.result.unwrap()).unwrap().contains(SECRET));
}

#[test]
pub(crate) fn arguments_none() {
    let (arguments, has_result, private, is_plain) = recorded("none");
    assert!(arguments == Recorded::Nothing && !has_result && private.is_none() && !is_plain);
}
