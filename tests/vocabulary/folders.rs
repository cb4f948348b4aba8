//! Words about folders.

use serde_json::{Value, json};
use tollgate::authority::{DecidingPlaces, FolderError, Nesting, TrustStore, open_folders};
use tollgate_capability::{Access, CapabilitySet, PathFault, Reason};
use tollgate_config::{BindError, Manifest, Policy, Subject, intersect};
use tollgate_workspace::exists;
use tollgate_workspace::expect::Denied;

use crate::{NoTool, Texts, manifest_text};

const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";
const WRITE: &str = "wasi:filesystem/types.[method]descriptor.write";

fn steps(step: Value) -> String {
    json!({ "steps": [step] }).to_string()
}

fn step(op: &str) -> String {
    steps(json!({ "op": op, "path": "/docs/a.txt", "data": "new" }))
}

fn with_a_file() -> Texts {
    let texts = Texts::new();
    texts.lab.file("docs/a.txt", "old");
    texts
}

/// Names of rights but one, as a list in TOML.
fn all_but(left_out: Option<Access>) -> String {
    let rights = Access::ALL.into_iter().filter(|right| Some(*right) != left_out);
    format!("{:?}", rights.map(Access::as_str).collect::<Vec<_>>())
}

/// A step works with all rights, and is denied where the right is not granted, or granted and not needed.
fn denied_without(right: Access, function: &str, arguments: &str) {
    let mut texts = with_a_file();
    let rule = format!("fs:/docs:{right}");
    let denied = Denied::not_granted(function, &rule);
    for (needed, granted) in [(None, Some(right)), (Some(right), None)] {
        let needs = format!("needs.fs = [{{ guest = \"/docs\", access = {} }}]", all_but(needed));
        let grant = format!("fs.\"/docs\" = {{ host = \"docs\", access = {} }}", all_but(granted));
        let tool = texts.tool("probe-fs", &needs, &grant);
        texts.lab.killed(&tool, "run", arguments, denied);
        let tool = texts.tool("probe-fs", &needs, &format!("{grant}\non_violation = \"deny\""));
        let answer = texts.lab.denied(&tool, "run", arguments, &[denied]);
        assert_eq!(answer[0]["err"]["kind"], "PermissionDenied", "{answer}");
        assert_eq!(std::fs::read_to_string(texts.lab.path("docs/a.txt")).unwrap(), "old");
        assert!(!exists(&texts.lab.path("docs/new.txt")));
    }
    let needs = format!("needs.fs = [{{ guest = \"/docs\", access = {} }}]", all_but(None));
    let grant = format!("fs.\"/docs\" = {{ host = \"docs\", access = {} }}", all_but(None));
    let tool = texts.tool("probe-fs", &needs, &grant);
    let answer = texts.lab.answer(&tool, "run", arguments);
    assert!(answer[0].get("ok").is_some(), "{answer}");
}

#[test]
pub(crate) fn read() {
    denied_without(Access::Read, OPEN_AT, &step("read"));
}

#[test]
pub(crate) fn write() {
    denied_without(Access::Write, OPEN_AT, &step("overwrite"));
}

#[test]
pub(crate) fn create() {
    let function = "wasi:filesystem/types.[method]descriptor.create-directory-at";
    denied_without(Access::Create, function, &steps(json!({ "op": "mkdir", "path": "/docs/new.txt" })));
}

#[test]
pub(crate) fn delete() {
    denied_without(Access::Delete, "wasi:filesystem/types.[method]descriptor.unlink-file-at", &step("unlink"));
}

#[test]
pub(crate) fn list() {
    denied_without(Access::List, OPEN_AT, &steps(json!({ "op": "list", "path": "/docs" })));
}

#[test]
pub(crate) fn metadata() {
    denied_without(Access::Metadata, "wasi:filesystem/types.[method]descriptor.stat-at", &step("stat"));
}

const NEEDS_READ: &str = r#"needs.fs = [{ guest = "/docs", access = ["read"] }]"#;

/// The guest sees the host's folder under its own name for it, and nothing beside it.
#[test]
pub(crate) fn guest_and_host() {
    let mut texts = with_a_file();
    texts.lab.file("other/a.txt", "another");
    let tool = texts.tool("probe-fs", NEEDS_READ, r#"fs."/docs" = { host = "other", access = ["read"] }"#);
    assert_eq!(texts.lab.answer(&tool, "run", &step("read")), json!([{ "ok": "another" }]));
    let beside = json!({ "op": "open-at", "base": "/docs", "path": "../docs/a.txt", "flags": ["read"] });
    let reason = Reason::Path(PathFault::Escapes);
    texts.lab.killed(&tool, "raw", &steps(beside), Denied { function: OPEN_AT, rule: "fs:/docs:beneath", reason });
    let elsewhere = texts.lab.answer(&tool, "run", &steps(json!({ "op": "read", "path": "/other/a.txt" })));
    assert!(elsewhere[0]["err"].is_object(), "{elsewhere}");
    let granted_elsewhere = "[tools.probe-fs]\nfs.\"/other\" = { host = \"other\", access = [\"read\"] }";
    let refused = texts.load("probe-fs", &manifest_text("probe-fs", NEEDS_READ), granted_elsewhere).unwrap_err();
    assert!(matches!(refused, NoTool::Missing(_)), "{refused:?}");
}

#[test]
pub(crate) fn variables() {
    let mut texts = with_a_file();
    texts.lab.file("deep/docs/a.txt", "below the variable");
    let policy = "[variables]\nwork = \"./deep\"\n\n[tools.probe-fs]\n\
        fs.\"/docs\" = { host = \"${work}/docs\", access = [\"read\"] }";
    let tool = texts.load("probe-fs", &manifest_text("probe-fs", NEEDS_READ), policy).unwrap();
    assert_eq!(texts.lab.answer(&tool, "run", &step("read")), json!([{ "ok": "below the variable" }]));
}

/// Reads `a.txt`, which is allowed, and `b.md`, which a pattern leaves out.
fn b_is_left_out(patterns: &str) {
    let mut texts = with_a_file();
    texts.lab.file("docs/b.md", "hidden");
    let grant = format!("fs.\"/docs\" = {{ host = \"docs\", access = [\"read\"], {patterns} }}");
    let read_b = steps(json!({ "op": "read", "path": "/docs/b.md" }));
    let denied = Denied { function: OPEN_AT, rule: "fs:/docs:patterns", reason: Reason::Excluded };
    let tool = texts.tool("probe-fs", NEEDS_READ, &grant);
    texts.lab.killed(&tool, "run", &read_b, denied);
    assert_eq!(texts.lab.answer(&tool, "run", &step("read")), json!([{ "ok": "old" }]));
    let tool = texts.tool("probe-fs", NEEDS_READ, &format!("{grant}\non_violation = \"deny\""));
    let answer = texts.lab.denied(&tool, "run", &read_b, &[denied]);
    assert_eq!(answer[0]["err"]["errno"], 63);
}

#[test]
pub(crate) fn include() {
    b_is_left_out(r#"include = ["*.txt"]"#);
}

#[test]
pub(crate) fn exclude() {
    b_is_left_out(r#"exclude = ["*.md"]"#);
}

#[test]
pub(crate) fn quota() {
    let mut texts = with_a_file();
    let needs = r#"needs.fs = [{ guest = "/docs", access = ["write"] }]"#;
    let tool = texts.tool("probe-fs", needs, r#"fs."/docs" = { host = "docs", access = ["write"], quota = "3B" }"#);
    let overwrite = |data: &str| steps(json!({ "op": "overwrite", "path": "/docs/a.txt", "data": data }));
    let reason = Reason::OverLimit { asked: 4, left: 3 };
    texts.lab.killed(&tool, "run", &overwrite("four"), Denied { function: WRITE, rule: "fs:/docs:quota", reason });
    assert_eq!(std::fs::read_to_string(texts.lab.path("docs/a.txt")).unwrap(), "old");
    assert_eq!(texts.lab.answer(&tool, "run", &overwrite("new")), json!([{ "ok": null }]));
    assert_eq!(std::fs::read_to_string(texts.lab.path("docs/a.txt")).unwrap(), "new");
}

/// What a tool's grant gives of a policy in `folder`, its folders open.
fn opened(folder: &std::path::Path, policy: &str) -> Result<CapabilitySet, FolderError> {
    let policy = Policy::parse(policy, "tollgate.toml", folder).unwrap();
    let grant = policy.grants.grant(&"probe-fs".parse().unwrap());
    let needs = manifest_text("probe-fs", "needs.fs = [{ guest = \"/docs\", access = [\"read\"] }]");
    let manifest = Manifest::parse(&needs, "tool.toml").unwrap();
    let mut set = intersect(&manifest, &grant, |_| None).unwrap().set;
    let store = TrustStore::new(folder.join("trust"));
    let places = DecidingPlaces::none();
    let (store, starts) = (Some(&store), true);
    let nesting = Nesting { grant: &grant, grants: &policy.grants, store, starts, places: &places, bounds: None };
    open_folders(&mut set, nesting)?;
    Ok(set)
}

#[test]
pub(crate) fn nested() {
    let folder = tempfile::tempdir().unwrap();
    let docs = folder.path().join("work/docs");
    std::fs::create_dir_all(&docs).unwrap();
    let other = "[tools.other]\nfs.\"/work\" = { host = \"work\", access = [\"delete\"] }\n";
    let policy = |nested: bool| {
        format!(
            "{other}[tools.probe-fs]\nfs.\"/docs\" = {{ host = \"work/docs\", access = [\"read\"], nested = {nested} }}"
        )
    };
    let refused = opened(folder.path(), &policy(false)).unwrap_err();
    assert!(matches!(refused, FolderError::Nested { .. }), "{refused}");
    let bound = opened(folder.path(), &policy(true)).unwrap();
    assert!(bound.fs[0].opened.is_some());
    std::fs::rename(&docs, folder.path().join("away")).unwrap();
    std::fs::create_dir(&docs).unwrap();
    let exchanged = opened(folder.path(), &policy(true)).unwrap_err();
    assert!(matches!(exchanged, FolderError::Exchanged { .. }), "{exchanged}");
}

#[test]
pub(crate) fn component() {
    let pin = format!("[tools.probe-fs]\ncontext = true\ncomponent = \"sha256:{}\"", "07".repeat(32));
    let policy = Policy::parse(&pin, "tollgate.toml", std::path::Path::new("/p")).unwrap();
    let name = "probe-fs".parse().unwrap();
    let bind = |byte| policy.grants.bind(Subject { name: &name, digest: [byte; 32], installed: true }, |_path| false);
    assert!(bind(7).unwrap().grant.context);
    assert!(matches!(bind(8), Err(BindError::Pinned { .. })));
}
