//! Every function of `wasi:cli/imports`, and of our own world, is either gated or listed as harmless with the reason, and what is
//! gated is denied when it is not granted.

mod documented;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

use serde_json::{Value, json};
use tollgate::Tool;
use tollgate_capability::{
    Access, AccessSet, Call, CapabilitySet, FsCall, FsCapability, GrantIndex, HandleFacts, OnViolation, RecordScope,
    RefusedCall, Stdio, StdioCall,
};
use tollgate_wasi_proxy::{INTERFACES, OWN_INTERFACE};
use tollgate_workspace::expect::{Denied, denials};
use tollgate_workspace::wasi::{
    EMPTY_WITH_NOTHING, EmptyWithNothing, HARMLESS, NEVER_DENIED, STREAM_WRITE, WITH_NOTHING, WITHOUT_A_SOCKET,
    WITHOUT_THE_RIGHT, WithNothing, WithoutTheRight,
};
use tollgate_workspace::{Lab, guest};
use wit_parser::{Resolve, WorldItem};

const DESCRIPTOR: &str = "wasi:filesystem/types.[method]descriptor";

#[test]
fn every_function_of_wasi_is_gated_or_harmless() {
    let known: Vec<String> = gated().into_iter().chain(harmless()).collect();
    let once: BTreeSet<String> = known.iter().cloned().collect();
    assert_eq!(known.len(), once.len(), "a function is in two lists");
    let all = wasi(true).into_values().chain(own().into_values()).flatten();
    let is_linked = |name: &String| {
        let interface = name.split_once('.').unwrap().0;
        interface == OWN_INTERFACE || INTERFACES.contains(&interface)
    };
    let linked: BTreeSet<String> = all.filter(is_linked).collect();
    assert_eq!(linked.difference(&once).collect::<Vec<_>>(), Vec::<&String>::new(), "neither gated nor harmless");
    assert_eq!(once.difference(&linked).collect::<Vec<_>>(), Vec::<&String>::new(), "no function of WASI");
}

#[test]
fn the_linked_interfaces_are_those_of_the_world() {
    let world: Vec<String> = wasi(false).into_keys().collect();
    assert_eq!(world, INTERFACES);
    assert_eq!(own().into_keys().collect::<Vec<_>>(), [OWN_INTERFACE]);
}

/// Unlinked as wasmtime-wasi has them, so no guest gets them; this fails when one becomes part of the world.
#[test]
fn functions_that_wasi_has_not_settled_are_known() {
    let all: BTreeSet<String> = wasi(true).into_values().flatten().collect();
    let settled: BTreeSet<String> = wasi(false).into_values().flatten().collect();
    let unsettled: Vec<&str> = all.difference(&settled).map(String::as_str).collect();
    assert_eq!(
        unsettled,
        ["wasi:clocks/timezone.display", "wasi:clocks/timezone.utc-offset", "wasi:sockets/network.network-error-code",]
    );
}

#[test]
fn a_socket_call_is_named_by_its_function() {
    assert_eq!(Call::Refused(RefusedCall { function: "its-name" }).function(), "its-name");
}

#[test]
fn functions_that_are_never_denied_have_the_gates_names() {
    let handle = || HandleFacts { grant: GrantIndex(0), rights: AccessSet::EMPTY };
    let names = [
        Call::Fs(FsCall::Preopen { grant: GrantIndex(0) }).function(),
        Call::Fs(FsCall::Sync { handle: handle() }).function(),
        Call::Fs(FsCall::Read { handle: handle() }).function(),
        Call::Fs(FsCall::ReadDirectory { handle: handle() }).function(),
        Call::Fs(FsCall::Write { handle: handle(), bytes: 0, quota_left: 0 }).function(),
        Call::Stdio(StdioCall::get(Stdio::Stdout)).function(),
        Call::Stdio(StdioCall::get(Stdio::Stderr)).function(),
    ];
    let used: BTreeSet<&str> = NEVER_DENIED.iter().map(|(_, gate, _)| *gate).collect();
    assert_eq!(used, BTreeSet::from(names));
}

#[test]
fn what_is_never_denied_is_recorded_where_every_call_is() {
    let mut lab = Lab::new();
    lab.file("docs/a.txt", "for all");
    let set = CapabilitySet { record: RecordScope::Every, ..folder(&lab, &[], OnViolation::Kill) };
    let tool = lab.tool_with(guest("probe-fs"), set).unwrap();
    for then in ["sync", "sync-data", "read-via-stream"] {
        let step = json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": then });
        let answer = lab.call(&tool, "raw", &json!({ "steps": [step] }).to_string()).unwrap();
        let intents: Vec<String> = lab.entries_of(answer.call).iter().filter_map(intent_function).collect();
        let expected = if then == "read-via-stream" { vec!["read", "read"] } else { vec!["sync"] };
        let expected: Vec<String> = expected.iter().map(|method| format!("{DESCRIPTOR}.{method}")).collect();
        assert_eq!(intents[0], "wasi:filesystem/preopens.get-directories");
        assert_eq!(intents[2..], expected, "{then}");
    }
}

#[test]
fn nothing_is_granted_so_everything_is_denied() {
    let mut lab = Lab::new();
    let kills = probe_wasi(&mut lab, OnViolation::Kill);
    let goes_on = probe_wasi(&mut lab, OnViolation::Deny);
    for WithNothing { function, gate, call, rule, answer } in WITH_NOTHING {
        let denied = Denied::not_granted(gate, rule);
        lab.killed(&kills, "call", call, denied);
        let Some(expected) = answer else {
            lab.killed(&goes_on, "call", call, denied);
            continue;
        };
        let found = lab.call(&goes_on, "call", call).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&found.output).unwrap(), expected, "{function}");
        let entries = lab.entries_of(found.call);
        let (intent, violation) = denials(&entries)[0];
        assert_eq!((intent.function.as_str(), violation.rule.as_str()), (*gate, *rule));
        assert_eq!(violation.action.as_str(), "deny");
        lab.verified();
    }
}

/// Any guest has its stream, as C libraries expect; without the grant it cannot write to it.
#[test]
fn writing_to_a_denied_stream_is_denied() {
    let mut lab = Lab::new();
    let tool = probe_wasi(&mut lab, OnViolation::Deny);
    for stream in [Stdio::Stdout, Stdio::Stderr] {
        let (name, rule) = (stream.as_str(), format!("stdio:{}", stream.as_str()));
        let write = Call::Stdio(StdioCall::WriteStdio { stream, bytes: 0, left: 0 }).function();
        let expected = [Denied::not_granted(write, &rule)];
        let answer = lab.denied(&tool, "call", &json!({ "call": name, "text": "x" }).to_string(), &expected);
        assert_eq!(answer, json!({ "err": "Operation not permitted (os error 1)" }));
    }
}

#[test]
fn nothing_is_granted_so_what_every_program_looks_at_is_empty() {
    let mut lab = Lab::new();
    let set = CapabilitySet { record: RecordScope::Every, ..CapabilitySet::default() };
    let tool = lab.tool_with(guest("probe-wasi"), set).unwrap();
    for EmptyWithNothing { function, call, answer } in EMPTY_WITH_NOTHING {
        let expected: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(lab.empty(&tool, "call", call, function), expected, "{function}");
    }
    assert_eq!(lab.answer(&tool, "call", r#"{"call": "initial-cwd"}"#), json!({ "ok": null }));
}

#[test]
fn without_the_right_each_method_of_descriptors_is_denied() {
    let mut lab = Lab::new();
    let component = lab.component(guest("probe-fs")).unwrap();
    for WithoutTheRight { method, gate, step, missing } in WITHOUT_THE_RIGHT {
        lab.file("docs/a.txt", "for all");
        lab.folder("docs/sub");
        let before = snapshot(&lab.path("docs"));
        let arguments = json!({ "steps": [with_defaults(step)] }).to_string();
        let function = format!("{DESCRIPTOR}.{gate}");
        let rule = format!("fs:/docs:{missing}");
        let denied = Denied::not_granted(&function, &rule);
        let missing = without(method, *missing);
        let kills = folder(&lab, missing, OnViolation::Kill);
        let kills = lab.load(guest("probe-fs"), &component, kills).unwrap();
        lab.killed(&kills, "raw", &arguments, denied);
        let goes_on = folder(&lab, missing, OnViolation::Deny);
        let goes_on = lab.load(guest("probe-fs"), &component, goes_on).unwrap();
        let answer = lab.denied(&goes_on, "raw", &arguments, &[denied]);
        assert_eq!(answer[0]["err"]["kind"], "not-permitted", "{method}: {answer}");
        assert_eq!(snapshot(&lab.path("docs")), before, "{method}");
    }
}

/// Each function of every interface in `wasi:cli/imports`, as wasmtime-wasi's own WIT has them.
fn wasi(unsettled: bool) -> BTreeMap<String, Vec<String>> {
    imports(&wit_folder(), "wasmtime:wasi/bindings", unsettled)
}

/// Each function that the world of a tool imports.
fn own() -> BTreeMap<String, Vec<String>> {
    imports(&workspace().join("guest-sdk/wit"), "tollgate:tool/tool-provider", false)
}

fn imports(folder: &Path, world: &str, unsettled: bool) -> BTreeMap<String, Vec<String>> {
    let mut resolve = Resolve { all_features: unsettled, ..Resolve::default() };
    let (package, _files) = resolve.push_path(folder).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let interfaces = resolve.worlds[world].imports.values().map(|item| {
        let WorldItem::Interface { id, .. } = item else { panic!("the world imports interfaces only") };
        let interface = &resolve.interfaces[*id];
        let package = &resolve.packages[interface.package.unwrap()].name;
        let name = format!("{}:{}/{}", package.namespace, package.name, interface.name.as_ref().unwrap());
        let functions = interface.functions.keys().map(|function| format!("{name}.{function}")).collect();
        (name, functions)
    });
    interfaces.collect()
}

#[allow(clippy::disallowed_methods, reason = "cargo knows where the sources of a dependency are")]
fn wit_folder() -> PathBuf {
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &platform])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "wasmtime-wasi").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src/p2/wit")
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn gated() -> Vec<String> {
    let with_nothing = WITH_NOTHING.iter().map(|row| row.function.to_owned());
    let empty = EMPTY_WITH_NOTHING.iter().map(|row| row.function.to_owned());
    let descriptors = WITHOUT_THE_RIGHT.iter().map(|row| format!("{DESCRIPTOR}.{}", row.method));
    let never = NEVER_DENIED.iter().map(|(function, _, _)| (*function).to_owned());
    with_nothing
        .chain(empty)
        .chain(descriptors)
        .chain(never)
        .chain(socket_methods())
        .chain([STREAM_WRITE.to_owned()])
        .collect()
}

fn harmless() -> impl Iterator<Item = String> {
    HARMLESS.iter().map(|(function, _)| (*function).to_owned())
}

fn socket_methods() -> Vec<String> {
    let methods = |(resource, methods): &(&str, &[&str])| {
        methods.iter().map(|method| format!("{resource}.{method}")).collect::<Vec<_>>()
    };
    WITHOUT_A_SOCKET.iter().flat_map(methods).collect()
}

fn intent_function(entry: &tollgate_audit::Entry<'_>) -> Option<String> {
    match entry {
        tollgate_audit::Entry::Intent(intent) => Some(intent.function.as_str().to_owned()),
        _ => None,
    }
}

fn probe_wasi(lab: &mut Lab, on_violation: OnViolation) -> Tool {
    let set = CapabilitySet { on_violation, ..CapabilitySet::default() };
    lab.tool_with(guest("probe-wasi"), set).unwrap()
}

/// All rights but these below `/docs`, and nothing else.
fn folder(lab: &Lab, without: &[Access], on_violation: OnViolation) -> CapabilitySet {
    let access = Access::ALL.into_iter().filter(|right| !without.contains(right)).collect();
    let fs = FsCapability {
        write_quota: 1 << 20,
        ..FsCapability::new("/docs", fs::canonicalize(lab.path("docs")).unwrap(), access)
    };
    CapabilitySet { fs: vec![fs], on_violation, ..CapabilitySet::default() }
}

/// A hash may be had with either of two rights.
fn without(method: &str, missing: Access) -> &'static [Access] {
    match (method, missing) {
        ("metadata-hash-at" | "metadata-hash", _) => &[Access::Metadata, Access::List],
        (_, Access::Read) => &[Access::Read],
        (_, Access::Write) => &[Access::Write],
        (_, Access::Create) => &[Access::Create],
        (_, Access::Delete) => &[Access::Delete],
        (_, Access::List) => &[Access::List],
        (_, Access::Metadata) => &[Access::Metadata],
    }
}

/// A step in `/docs`; one on a handle opens `a.txt` first.
fn with_defaults(step: &str) -> Value {
    let mut step: Value = serde_json::from_str(step).unwrap();
    let fields = step.as_object_mut().unwrap();
    fields.insert("base".into(), "/docs".into());
    if !fields.contains_key("op") {
        fields.insert("op".into(), "open-at".into());
        fields.insert("path".into(), "a.txt".into());
    }
    step
}

/// Names, contents and times below a folder.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, (Option<Vec<u8>>, SystemTime)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let modified = fs::symlink_metadata(&path).unwrap().modified().unwrap();
        let content = fs::read(&path).ok();
        (path, (content, modified))
    });
    entries.collect()
}
