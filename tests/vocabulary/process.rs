//! Words about what a process usually has: variables, arguments, streams, clocks, randomness; and about answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tollgate::{CallError, Caller, Claims, LoadError, RejectError, Request, Tool};
use tollgate_audit::{CallClass, Entry};
use tollgate_capability::COARSE_CLOCK_NS;
use tollgate_workspace::Lab;
use tollgate_workspace::expect::Denied;

use crate::{NoTool, Texts, manifest_text};

const ENVIRONMENT: &str = "wasi:cli/environment.get-environment";
const CREATE_TCP: &str = "wasi:sockets/tcp-create-socket.create-tcp-socket";
const CONTEXT: &str = "tollgate:tool/call.get-context";
const WALL_NOW: &str = "wasi:clocks/wall-clock.now";
const MONOTONIC_NOW: &str = "wasi:clocks/monotonic-clock.now";
const RANDOM_BYTES: &str = "wasi:random/random.get-random-bytes";
const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";
const READ: &str = "wasi:filesystem/types.[method]descriptor.read";

fn call(name: &str) -> String {
    json!({ "call": name, "len": 8, "text": "x" }).to_string()
}

/// What a probe that needs nothing but output is told when it calls this.
fn denied_without(name: &str, function: &str, rule: &str) {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "", "");
    texts.lab.killed(&tool, "call", &call(name), Denied::not_granted(function, rule));
}

/// What a probe that needs nothing but output gets when it calls this.
fn empty_without(name: &str, function: &str) -> serde_json::Value {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "record = \"every\"", "");
    texts.lab.empty(&tool, "call", &call(name), function)
}

/// A need without a grant is an error before anything runs.
fn refused_without_grant(needs: &str) {
    let refused = Texts::new().load("probe-wasi", &manifest_text("probe-wasi", needs), "").unwrap_err();
    assert!(matches!(refused, NoTool::Missing(_)), "{refused:?}");
}

#[test]
pub(crate) fn env() {
    assert_eq!(empty_without("environment", ENVIRONMENT), json!({ "ok": [] }));
    refused_without_grant(r#"needs.env = ["LANG"]"#);
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", r#"needs.env = ["LANG"]"#, r#"env = { LANG = "C", TOKEN = "unneeded" }"#);
    assert_eq!(texts.lab.answer(&tool, "call", &call("environment")), json!({ "ok": [["LANG", "C"]] }));
    let tool = texts.tool("probe-wasi", "needs.env = []", r#"env = { LANG = "C" }"#);
    assert_eq!(texts.lab.answer(&tool, "call", &call("environment")), json!({ "ok": [] }));
}

#[test]
pub(crate) fn env_of_the_host() {
    let mut texts = Texts::new();
    let needs = r#"needs.env = ["TOKEN"]"#;
    let tool = texts.tool("probe-wasi", needs, r#"env.TOKEN = { host = "OPERATORS_TOKEN" }"#);
    assert_eq!(texts.lab.answer(&tool, "call", &call("environment")), json!({ "ok": [["TOKEN", "from the host"]] }));
    let unset = "[tools.probe-wasi]\nenv.TOKEN = { host = \"UNSET\" }";
    let refused = texts.load("probe-wasi", &manifest_text("probe-wasi", needs), unset).unwrap_err();
    assert!(matches!(refused, NoTool::Missing(_)), "{refused:?}");
}

#[test]
pub(crate) fn args() {
    assert_eq!(empty_without("arguments", "wasi:cli/environment.get-arguments"), json!({ "ok": [] }));
    refused_without_grant("needs.args = true");
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "needs.args = true", r#"args = ["--fast", "x"]"#);
    assert_eq!(texts.lab.answer(&tool, "call", &call("arguments")), json!({ "ok": ["--fast", "x"] }));
}

/// The empty list is no need: a grant gives it nothing.
#[test]
pub(crate) fn args_empty() {
    let mut texts = Texts::new();
    for grant in ["", r#"args = ["--fast"]"#] {
        let tool = texts.tool("probe-wasi", "needs.args = []", grant);
        assert_eq!(texts.lab.answer(&tool, "call", &call("arguments")), json!({ "ok": [] }));
    }
}

#[test]
pub(crate) fn stdin() {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "record = \"every\"", "");
    assert_eq!(texts.lab.empty(&tool, "call", &call("stdin"), "wasi:cli/stdin.get-stdin"), json!({ "ok": "" }));
    let answer = tool.call(&from_a_caller(&call("stdin"))).unwrap();
    assert_eq!(answer.output, r#"{"ok":""}"#, "what the caller gives is not for a tool without the grant");
    refused_without_grant(r#"needs.stdio = ["stdin"]"#);
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", r#"needs.stdio = ["stdin"]"#, r#"stdio = ["stdin"]"#);
    let answer = tool.call(&from_a_caller(&call("stdin"))).unwrap();
    assert_eq!(answer.output, r#"{"ok":"from the"}"#);
}

fn from_a_caller(arguments: &str) -> Request<'_> {
    Request { operation: "call", arguments, stdin: "from the caller".into(), caller: Caller::default() }
}

/// All streams of stdin are one input: each goes on where the last one stopped.
#[test]
fn stdin_has_one_place_for_all_of_its_streams() {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", r#"needs.stdio = ["stdin"]"#, r#"stdio = ["stdin"]"#);
    let read = |len: u64| json!({ "call": "stdin", "len": len });
    let arguments = json!({ "calls": [read(5), read(4), read(99), read(1)] }).to_string();
    let request = Request { operation: "sequence", ..from_a_caller(&arguments) };
    let answer = tool.call(&request).unwrap();
    assert_eq!(answer.output, r#"[{"ok":"from "},{"ok":"the "},{"ok":"caller"},{"ok":""}]"#);
}

/// A write to an output stream is denied where it is not needed, and where it is not granted.
fn output_stream(name: &str, other: &str) {
    let rule = format!("stdio:{name}");
    let denied = Denied::not_granted("wasi:io/streams.[method]output-stream.write", &rule);
    let mut texts = Texts::new();
    for (needs, grant) in
        [(format!("needs.stdio = [\"{other}\"]"), String::new()), (String::new(), format!("stdio = [\"{other}\"]"))]
    {
        let tool = texts.tool("probe-wasi", &needs, &grant);
        texts.lab.killed(&tool, "call", &call(name), denied);
        assert_eq!(texts.lab.answer(&tool, "call", &call(other)), json!({ "ok": 1 }));
    }
    let tool = texts.tool("probe-wasi", &format!("needs.stdio = [\"{name}\"]"), &format!("stdio = [\"{name}\"]"));
    assert_eq!(texts.lab.answer(&tool, "call", &call(name)), json!({ "ok": 1 }));
}

#[test]
pub(crate) fn stdout() {
    output_stream("stdout", "stderr");
}

#[test]
pub(crate) fn stderr() {
    output_stream("stderr", "stdout");
}

#[test]
pub(crate) fn context() {
    denied_without("context", CONTEXT, "context");
    refused_without_grant("needs.context = true");
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "needs.context = true\nlimits.deadline = \"3s\"", "context = true");
    let arguments = call("context");
    let caller = Caller::from(Claims { session: Some("s-1".into()), ..Claims::default() });
    let request = Request { operation: "call", arguments: &arguments, stdin: Default::default(), caller };
    let answer = tool.call(&request).unwrap();
    let told: serde_json::Value = serde_json::from_str(&answer.output).unwrap();
    assert_eq!(told["ok"]["id"], answer.call.to_string());
    assert_eq!(told["ok"]["session"], "s-1");
    let left_ms = told["ok"]["deadline_left_ms"].as_u64().unwrap();
    assert!(left_ms < 3_000 && left_ms.is_multiple_of(100), "{left_ms}: less than the deadline, in coarse steps");
}

#[test]
fn failing_needs_no_grant_and_says_what_a_result_says() {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "", "");
    let failure = texts.lab.call(&tool, "call", &call("fail")).unwrap_err();
    let CallError::Tool { code, message } = &failure.error else { panic!("{failure:?}") };
    assert_eq!((code.as_str(), message.as_str()), ("on-purpose", "x"));
    let tool = texts.tool("probe-wasi", "limits.output = 100", "");
    let arguments = json!({ "call": "fail", "text": "x".repeat(91) }).to_string();
    let failure = texts.lab.call(&tool, "call", &arguments).unwrap_err();
    let CallError::Cap(hit) = failure.error else { panic!("{failure:?}") };
    assert_eq!(
        (hit.cap.as_str(), hit.asked, hit.limit),
        ("output", Some(101), 100),
        "an error has the cap of an answer"
    );
}

#[test]
pub(crate) fn random_secure() {
    denied_without("random-bytes", RANDOM_BYTES, "random");
    refused_without_grant(r#"needs.random = "secure""#);
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", r#"needs.random = "secure""#, r#"random = "secure""#);
    let (one, other) =
        (texts.lab.answer(&tool, "call", &call("random-u64")), texts.lab.answer(&tool, "call", &call("random-u64")));
    assert_ne!(one, other);
}

#[test]
pub(crate) fn random_seeded() {
    refused_without_grant(r#"needs.random = "seeded""#);
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", r#"needs.random = "seeded""#, "random = { seed = 42 }");
    let again = texts.tool("probe-wasi", r#"needs.random = "secure""#, "random = { seed = 42 }");
    let other = texts.tool("probe-wasi", r#"needs.random = "seeded""#, "random = { seed = 43 }");
    for name in ["random-bytes", "random-u64", "insecure-bytes", "insecure-u64", "insecure-seed"] {
        let first = texts.lab.answer(&tool, "call", &call(name));
        assert_eq!(texts.lab.answer(&tool, "call", &call(name)), first, "the same bytes in every call");
        assert_eq!(texts.lab.answer(&again, "call", &call(name)), first);
        assert_ne!(texts.lab.answer(&other, "call", &call(name)), first, "{name}");
    }
}

/// One is drawn for an instance, and moves no other generator: a guest has the same bytes whether it has hash maps or not.
#[test]
fn the_hash_seed_is_drawn_once_and_moves_no_generator() {
    let mut texts = Texts::new();
    let (seed, bytes) = (json!({ "call": "insecure-seed" }), json!({ "call": "random-u64" }));
    let steps = |steps: &[&serde_json::Value]| json!({ "calls": steps }).to_string();
    for grant in ["random = { seed = 42 }", r#"random = "secure""#] {
        let tool = texts.tool("probe-wasi", r#"needs.random = "seeded""#, grant);
        let answer = texts.lab.answer(&tool, "sequence", &steps(&[&seed, &bytes, &seed]));
        assert_eq!(answer[0], answer[2], "{grant}");
    }
    let tool = texts.tool("probe-wasi", r#"needs.random = "seeded""#, "random = { seed = 42 }");
    let with = texts.lab.answer(&tool, "sequence", &steps(&[&seed, &bytes, &seed, &bytes]));
    let without = texts.lab.answer(&tool, "sequence", &steps(&[&bytes, &bytes]));
    assert_eq!([&with[1], &with[3]], [&without[0], &without[1]]);
    let secure = texts.tool("probe-wasi", r#"needs.random = "secure""#, r#"random = "secure""#);
    let draws = [(); 2].map(|()| texts.lab.answer(&secure, "sequence", &steps(&[&seed])));
    assert_ne!(draws[0], draws[1], "another one for each instance");
    let ungranted = texts.tool("probe-wasi", "", "");
    let draws = [(); 2].map(|()| texts.lab.answer(&ungranted, "sequence", &steps(&[&seed])));
    assert_eq!(draws[0], draws[1], "a constant where nothing is granted");
}

/// A probe whose clock is the coarser of what it needs and what it is granted.
fn clock(texts: &mut Texts, which: &str, needed: &str, granted: &str) -> Tool {
    texts.tool(
        "probe-wasi",
        &format!("needs.clocks.{which} = \"{needed}\"\nneeds.args = true"),
        &format!("clocks.{which} = \"{granted}\"\nargs = []"),
    )
}

/// A time of the wall clock in nanoseconds.
fn wall(lab: &mut Lab, tool: &Tool, name: &str) -> u128 {
    let answer = lab.answer(tool, "call", &call(name));
    let part = |name: &str| u128::from(answer["ok"][name].as_u64().unwrap());
    part("seconds") * 1_000_000_000 + part("nanoseconds")
}

#[allow(clippy::disallowed_methods, reason = "what a guest is shown is compared with it")]
fn host_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
pub(crate) fn wall_clock_real() {
    denied_without("wall-clock", WALL_NOW, "clocks.wall");
    refused_without_grant(r#"needs.clocks.wall = "real""#);
    let mut texts = Texts::new();
    let tool = clock(&mut texts, "wall", "real", "real");
    let before = host_time().as_nanos();
    let shown = wall(&mut texts.lab, &tool, "wall-clock");
    assert!(before <= shown && shown <= host_time().as_nanos());
    assert_eq!(wall(&mut texts.lab, &tool, "wall-clock-resolution"), 1);
}

#[test]
pub(crate) fn wall_clock_coarse() {
    let mut texts = Texts::new();
    for (needed, granted) in [("coarse", "real"), ("real", "coarse")] {
        let tool = clock(&mut texts, "wall", needed, granted);
        let shown = wall(&mut texts.lab, &tool, "wall-clock");
        assert_eq!(shown % u128::from(COARSE_CLOCK_NS), 0);
        assert_eq!(wall(&mut texts.lab, &tool, "wall-clock-resolution"), u128::from(COARSE_CLOCK_NS));
    }
}

#[test]
pub(crate) fn wall_clock_frozen() {
    let mut texts = Texts::new();
    let both = r#"needs.clocks = { wall = "frozen", monotonic = "real" }"#;
    let tool = texts.tool("probe-wasi", both, r#"clocks = { wall = "real", monotonic = "real" }"#);
    let (before, after_a_while) = (json!({ "call": "wall-clock" }), json!({ "call": "wait", "len": 20_000_000 }));
    let arguments = json!({ "calls": [before, after_a_while, before] }).to_string();
    let answer = texts.lab.answer(&tool, "sequence", &arguments);
    assert_eq!(answer[0], answer[2], "one instant for the whole call");
    let tool = clock(&mut texts, "wall", "real", "frozen");
    assert_eq!(wall(&mut texts.lab, &tool, "wall-clock-resolution"), u128::from(u64::MAX));
}

/// The clock before and after a wait of 20 ms.
fn around_a_wait(lab: &mut Lab, tool: &Tool) -> (u64, u64) {
    let (now, wait) = (json!({ "call": "monotonic-clock" }), json!({ "call": "wait", "len": 20_000_000 }));
    let answer = lab.answer(tool, "sequence", &json!({ "calls": [now, wait, now] }).to_string());
    (answer[0]["ok"].as_u64().unwrap(), answer[2]["ok"].as_u64().unwrap())
}

#[test]
pub(crate) fn monotonic_clock_real() {
    denied_without("monotonic-clock", MONOTONIC_NOW, "clocks.monotonic");
    refused_without_grant(r#"needs.clocks.monotonic = "real""#);
    let mut texts = Texts::new();
    let tool = clock(&mut texts, "monotonic", "real", "real");
    let (before, after) = around_a_wait(&mut texts.lab, &tool);
    assert!(after - before >= 20_000_000);
    assert_eq!(texts.lab.answer(&tool, "call", &call("monotonic-clock-resolution")), json!({ "ok": 1 }));
}

#[test]
pub(crate) fn monotonic_clock_coarse() {
    let mut texts = Texts::new();
    for (needed, granted) in [("coarse", "real"), ("real", "coarse")] {
        let tool = clock(&mut texts, "monotonic", needed, granted);
        let (before, after) = around_a_wait(&mut texts.lab, &tool);
        assert_eq!((before % COARSE_CLOCK_NS, after % COARSE_CLOCK_NS), (0, 0));
        let resolution = texts.lab.answer(&tool, "call", &call("monotonic-clock-resolution"));
        assert_eq!(resolution, json!({ "ok": COARSE_CLOCK_NS }));
    }
}

#[test]
pub(crate) fn monotonic_clock_frozen() {
    let mut texts = Texts::new();
    for (needed, granted) in [("frozen", "real"), ("coarse", "frozen")] {
        let tool = clock(&mut texts, "monotonic", needed, granted);
        assert_eq!(around_a_wait(&mut texts.lab, &tool), (0, 0));
    }
}

#[test]
pub(crate) fn on_violation_kill() {
    let mut texts = Texts::new();
    let denied = Denied::not_granted(CREATE_TCP, "net");
    for grant in ["", r#"on_violation = "kill""#] {
        let tool = texts.tool("probe-wasi", "", grant);
        texts.lab.killed(&tool, "call", &call("tcp-create"), denied);
    }
}

#[test]
pub(crate) fn on_violation_deny() {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "", r#"on_violation = "deny""#);
    let denied = Denied::not_granted(CREATE_TCP, "net");
    assert_eq!(texts.lab.denied(&tool, "call", &call("tcp-create"), &[denied]), json!({ "err": "access-denied" }));
}

/// The functions of all intents of a call that reads a file, under a manifest's and a grant's word for `record`.
fn recorded(needs: &str, grant: &str) -> Vec<String> {
    let mut texts = Texts::new();
    texts.lab.file("docs/a.txt", "old");
    let needs = format!("{needs}\nneeds.fs = [{{ guest = \"/docs\", access = [\"read\"] }}]");
    let grant = format!("{grant}\nfs.\"/docs\" = {{ host = \"docs\", access = [\"read\"] }}");
    let tool = texts.tool("probe-fs", &needs, &grant);
    let step = json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": "read" });
    let answer = texts.lab.call(&tool, "raw", &json!({ "steps": [step] }).to_string()).unwrap();
    texts.lab.verified();
    let entries = texts.lab.entries_of(answer.call);
    let functions = entries.iter().filter_map(|entry| match entry {
        Entry::Intent(intent) => Some(intent.function.as_str().to_owned()),
        _ => None,
    });
    functions.collect()
}

const GET_DIRECTORIES: &str = "wasi:filesystem/preopens.get-directories";

#[test]
pub(crate) fn record_acquire() {
    assert_eq!(recorded(r#"record = "acquire""#, r#"record = "acquire""#), [GET_DIRECTORIES, OPEN_AT]);
    assert_eq!(recorded("", ""), [GET_DIRECTORIES, OPEN_AT]);
}

/// The stricter of both holds.
#[test]
pub(crate) fn record_every() {
    for (needs, grant) in [(r#"record = "every""#, r#"record = "acquire""#), ("", r#"record = "every""#)] {
        assert_eq!(recorded(needs, grant), [GET_DIRECTORIES, OPEN_AT, READ]);
    }
}

/// A grant is for the tool of its name alone.
#[test]
pub(crate) fn tool_name() {
    let manifest = manifest_text("probe-wasi", "needs.args = true");
    let mut texts = Texts::new();
    let refused = texts.load("probe-wasi", &manifest, "[tools.another]\nargs = []").unwrap_err();
    let NoTool::Missing(missing) = refused else { panic!("{refused:?}") };
    assert_eq!(missing.tool.as_str(), "probe-wasi");
    let tool = texts.load("probe-wasi", &manifest, "[tools.probe-wasi]\nargs = []").unwrap();
    assert_eq!(tool.name(), "probe-wasi");
}

#[test]
pub(crate) fn tool_version() {
    let mut texts = Texts::new();
    let tool = texts.tool("probe-wasi", "", "");
    let answer = texts.lab.call(&tool, "call", &call("initial-cwd")).unwrap();
    let entries = texts.lab.entries_of(answer.call);
    assert!(matches!(&entries[0], Entry::Call(call) if call.version.as_str() == "1.2.3"), "{:?}", entries[0]);
}

#[test]
pub(crate) fn operations_name() {
    let mut texts = Texts::new();
    let manifest = manifest_text("probe-wasi", "").replace("\"sequence\"", "\"another\"");
    let refused = texts.load("probe-wasi", &manifest, "").unwrap_err();
    let NoTool::Load(LoadError::Operations { only_manifest, only_component }) = refused else { panic!("{refused:?}") };
    assert_eq!((only_manifest, only_component), (vec!["another".to_owned()], vec!["sequence".to_owned()]));
    let tool = texts.tool("probe-wasi", "", "");
    let failure = texts.lab.failure(&tool, "another", "{}");
    let CallError::Rejected(RejectError::UnknownOperation { name, known }) = &failure.error else {
        panic!("{failure}")
    };
    assert_eq!((name.as_str(), known.as_slice()), ("another", ["call".to_owned(), "sequence".to_owned()].as_slice()));
    let entries = texts.lab.entries_of(failure.call.unwrap());
    assert!(matches!(&entries[..], [Entry::Call(_), Entry::CallEnd(end)] if end.class == CallClass::Rejected));
}
