//! Each hostile guest attacks and is stopped: nothing happens on the host, the caller is told, the ledger shows it.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tollgate::{CallError, CapHit, Tool};
use tollgate_capability::{Cap, CapabilitySet, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES, OnViolation, PathFault, Reason};
use tollgate_example_tools::{assert_test_exists, foreach_hostile};
use tollgate_wasi_proxy::Exited;
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, exists, guest};

foreach_hostile!(assert_test_exists);

const SECRET: &str = "nobody may read this";
const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";
const SYMLINK_AT: &str = "wasi:filesystem/types.[method]descriptor.symlink-at";
const WRITE: &str = "wasi:filesystem/types.[method]descriptor.write";
const SET_SIZE: &str = "wasi:filesystem/types.[method]descriptor.set-size";
const STREAM_WRITE: &str = "wasi:io/streams.[method]output-stream.write";
const ENVIRONMENT: &str = "wasi:cli/environment.get-environment";
const ARGUMENTS: &str = "wasi:cli/environment.get-arguments";
const CREATE_TCP: &str = "wasi:sockets/tcp-create-socket.create-tcp-socket";
const CREATE_UDP: &str = "wasi:sockets/udp-create-socket.create-udp-socket";
const RESOLVE: &str = "wasi:sockets/ip-name-lookup.resolve-addresses";

const DOCS: &[&str] = &["fs:/docs=docs:read,list"];

/// What a guest's C library makes of `not-permitted`.
fn eperm() -> Value {
    json!({ "err": { "kind": "PermissionDenied", "errno": 63, "message": "Operation not permitted (os error 63)" } })
}

/// What it makes of `access-denied`.
fn eacces() -> Value {
    json!({ "err": { "kind": "PermissionDenied", "errno": 2, "message": "Permission denied (os error 2)" } })
}

/// A granted folder with a file, and a secret beside it.
fn beside_a_secret() -> Lab {
    let lab = Lab::new();
    lab.file("docs/a.txt", "for all");
    lab.file("outside.txt", SECRET);
    lab
}

#[test]
fn climb_dotdot() {
    let mut lab = beside_a_secret();
    let tool = lab.tool(guest("climb-dotdot"), DOCS);
    let beneath = Denied { function: OPEN_AT, rule: "fs:/docs:beneath", reason: Reason::Path(PathFault::Escapes) };
    let failure = lab.killed(&tool, "attack", "{}", beneath);
    assert!(!failure.to_string().contains(SECRET));
    let goes_on = lab.tool_that_goes_on(guest("climb-dotdot"), DOCS);
    assert_eq!(lab.denied(&goes_on, "attack", "{}", &[beneath]), eperm());
}

#[test]
fn climb_symlink() {
    let mut lab = beside_a_secret();
    symlink("../outside.txt", lab.path("docs/link")).unwrap();
    let tool = lab.tool(guest("climb-symlink"), DOCS);
    let outside = Denied { function: OPEN_AT, rule: "fs:/docs:beneath", reason: Reason::LinkOutside };
    lab.killed(&tool, "attack", "{}", outside);
    let goes_on = lab.tool_that_goes_on(guest("climb-symlink"), DOCS);
    assert_eq!(lab.denied(&goes_on, "attack", "{}", &[outside]), eperm());
}

#[test]
fn climb_symlink_by_an_absolute_link() {
    let mut lab = beside_a_secret();
    symlink(lab.path("outside.txt"), lab.path("docs/link")).unwrap();
    let tool = lab.tool(guest("climb-symlink"), DOCS);
    let outside = Denied { function: OPEN_AT, rule: "fs:/docs:beneath", reason: Reason::LinkOutside };
    lab.killed(&tool, "attack", "{}", outside);
}

#[test]
fn climb_symlink_that_it_plants() {
    let mut lab = beside_a_secret();
    let leads_out = Denied { function: SYMLINK_AT, rule: "fs:/docs:beneath", reason: Reason::LinkText };
    let tool = lab.tool(guest("climb-symlink"), DOCS);
    lab.killed(&tool, "plant", "{}", leads_out);
    let goes_on = lab.tool_that_goes_on(guest("climb-symlink"), DOCS);
    assert_eq!(lab.denied(&goes_on, "plant", "{}", &[leads_out]), eperm());
    let inside = Denied::not_granted(SYMLINK_AT, "fs:/docs:create");
    lab.killed(&tool, "plant", r#"{"target": "a.txt"}"#, inside);
    assert!(!exists(&lab.path("docs/link")));
}

#[test]
fn read_env() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("read-env"), &[]);
    for (operation, function, nothing) in [
        ("attack", ENVIRONMENT, json!({ "vars": {} })),
        ("var", ENVIRONMENT, json!({ "var": null })),
        ("args", ARGUMENTS, json!({ "args": [] })),
    ] {
        assert_eq!(lab.empty(&tool, operation, "{}", function), nothing);
    }
}

#[test]
fn dial_out() {
    let mut lab = Lab::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let arguments = json!({ "address": listener.local_addr().unwrap() }).to_string();
    let no_socket = Denied::not_granted(CREATE_TCP, "net");
    let tool = lab.tool(guest("dial-out"), &[]);
    lab.killed(&tool, "attack", &arguments, no_socket);
    let goes_on = lab.tool_that_goes_on(guest("dial-out"), &[]);
    assert_eq!(lab.denied(&goes_on, "attack", &arguments, &[no_socket]), eacces());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn dial_out_by_udp() {
    let mut lab = Lab::new();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let arguments = json!({ "address": receiver.local_addr().unwrap() }).to_string();
    let no_socket = Denied::not_granted(CREATE_UDP, "net");
    let tool = lab.tool(guest("dial-out"), &[]);
    lab.killed(&tool, "udp", &arguments, no_socket);
    let goes_on = lab.tool_that_goes_on(guest("dial-out"), &[]);
    assert_eq!(lab.denied(&goes_on, "udp", &arguments, &[no_socket]), eacces());
    assert_eq!(receiver.recv_from(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn dial_out_by_listening() {
    let mut lab = Lab::new();
    let no_socket = Denied::not_granted(CREATE_TCP, "net");
    let tool = lab.tool(guest("dial-out"), &[]);
    lab.killed(&tool, "listen", r#"{"address": "127.0.0.1:0"}"#, no_socket);
    let goes_on = lab.tool_that_goes_on(guest("dial-out"), &[]);
    assert_eq!(lab.denied(&goes_on, "listen", r#"{"address": "127.0.0.1:0"}"#, &[no_socket]), eacces());
}

#[test]
fn resolve_name() {
    let mut lab = Lab::new();
    let no_lookup = Denied::not_granted(RESOLVE, "net");
    let tool = lab.tool(guest("resolve-name"), &[]);
    let failure = lab.killed(&tool, "attack", "{}", no_lookup);
    assert!(failure.to_string().contains("`secret.example.com`"), "{failure}");
    let goes_on = lab.tool_that_goes_on(guest("resolve-name"), &[]);
    assert_eq!(lab.denied(&goes_on, "attack", r#"{"name": "localhost"}"#, &[no_lookup]), eacces());
}

#[test]
fn eat_memory() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("eat-memory"), &[]);
    let limit = 16 << 20;
    for operation in ["attack", "until-refused"] {
        let failure = lab.failure(&tool, operation, "{}");
        let CallError::Cap(CapHit { cap: Cap::Memory, asked: Some(asked), limit: found }) = failure.error else {
            panic!("{failure}")
        };
        assert_eq!(found, limit);
        assert!(asked > limit && asked - failure.usage.memory_peak_bytes <= (1 << 20) + (64 << 10), "{failure:?}");
        assert_eq!(failure.usage.memory_cap_bytes, limit);
        lab.capped(&tool, operation, "{}", CapHit { cap: Cap::Memory, asked: Some(asked), limit });
    }
}

/// 64 KiB of memory and one table: elements count 16 bytes each, and each step asks for a thousand.
#[test]
fn grow_tables() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("grow-tables"), &[]);
    let limit = 16 << 20;
    let grown = 65_536 + 16_000 * 1_044;
    let hit = CapHit { cap: Cap::Memory, asked: Some(grown + 16_000), limit };
    let failure = lab.capped(&tool, "attack", "{}", hit);
    assert_eq!(failure.usage.memory_peak_bytes, grown);
}

#[test]
fn recurse() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("recurse"), &[]);
    for (operation, words) in [("attack", "stack overflow"), ("frames", "out of bounds memory access")] {
        let failure = lab.crashed(&tool, operation, "{}");
        let CallError::Trap { message } = &failure.error else { panic!("{failure}") };
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn spin() {
    let mut lab = Lab::new();
    let by_deadline = lab.tool(guest("spin"), &["limit:deadline=200ms", "limit:fuel=1000000000000"]);
    let hit = CapHit { cap: Cap::Deadline, asked: None, limit: 200 };
    let failure = lab.capped(&by_deadline, "attack", "{}", hit);
    assert!(failure.usage.wall_us >= 200_000 && failure.usage.deadline_us == 200_000, "{failure:?}");
    assert!(failure.usage.fuel_used >= 10_000_000, "what it burnt is on the record: {failure:?}");
    let by_fuel = lab.tool(guest("spin"), &["limit:fuel=1000000"]);
    let hit = CapHit { cap: Cap::Fuel, asked: None, limit: 1_000_000 };
    let failure = lab.capped(&by_fuel, "attack", "{}", hit);
    assert_eq!(failure.usage.fuel_used, 1_000_000);
}

#[test]
fn sleep_forever() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("sleep-forever"), &["clock:monotonic=real", "limit:deadline=200ms"]);
    let hit = CapHit { cap: Cap::Deadline, asked: None, limit: 200 };
    let failure = lab.capped(&tool, "attack", "{}", hit);
    assert!(failure.usage.wall_us >= 200_000, "{failure:?}");
    assert!(failure.usage.fuel_used > 0 && failure.usage.fuel_used < 1_000_000, "it sleeps: {failure:?}");
}

#[test]
fn flood_stdout() {
    let mut lab = Lab::new();
    let limit = 64 << 10;
    let hit = CapHit { cap: Cap::Stdio, asked: Some(64), limit };
    let tool = lab.tool(guest("flood-stdout"), &[]);
    let failure = lab.capped_by_gate(&tool, ("attack", "{}"), hit, STREAM_WRITE, 0);
    assert_eq!((failure.output.stdout.len() as u64, failure.output.stderr.len()), (limit, 0));
    assert_eq!(failure.usage.stdio_bytes, limit);
    let goes_on = lab.tool_that_goes_on(guest("flood-stdout"), &[]);
    let failure = lab.capped_by_gate(&goes_on, ("stderr", "{}"), hit, STREAM_WRITE, 0);
    assert_eq!((failure.output.stdout.len(), failure.output.stderr.len() as u64), (0, limit));
}

#[test]
fn open_handles() {
    let mut lab = beside_a_secret();
    let grants = &["fs:/docs=docs:read", "limit:handles=20"];
    let hit = CapHit { cap: Cap::Handles, asked: Some(21), limit: 20 };
    let tool = lab.tool(guest("open-handles"), grants);
    let goes_on = lab.tool_that_goes_on(guest("open-handles"), grants);
    for tool in [&tool, &goes_on] {
        lab.capped_by_gate(tool, ("attack", "{}"), hit, OPEN_AT, 20);
    }
    let just_fits = lab.answer(&tool, "attack", r#"{"count": 19}"#);
    assert_eq!(just_fits, json!({ "opened": 19 }), "the folder is a handle too");
}

#[test]
fn huge_random() {
    let mut lab = Lab::new();
    let limit = 64 << 10;
    let hit = CapHit { cap: Cap::Random, asked: Some(1 << 30), limit };
    let tool = lab.tool(guest("huge-random"), &["random=secure"]);
    let goes_on = lab.tool_that_goes_on(guest("huge-random"), &["random=secure"]);
    for tool in [&tool, &goes_on] {
        lab.capped_by_gate(tool, ("attack", "{}"), hit, "wasi:random/random.get-random-bytes", limit);
        let insecure = "wasi:random/insecure.get-insecure-random-bytes";
        lab.capped_by_gate(tool, ("insecure", "{}"), hit, insecure, limit);
    }
    let just_fits = json!({ "bytes": limit });
    assert_eq!(lab.answer(&tool, "attack", &just_fits.to_string()), just_fits);
}

const QUOTA: u64 = 100_000;
const CHUNK: u64 = 64 << 10;
/// What the file costs before a byte is in it.
const FILE: u64 = INODE_CHARGE_BYTES + NAME_CHARGE_BYTES + "big.bin".len() as u64;

/// A lab and the guest that grows files, under a quota of 100,000 bytes beside what the file itself costs.
fn under_quota(on_violation: OnViolation) -> (Lab, Tool) {
    let mut lab = Lab::new();
    lab.folder("out");
    let mut set = CapabilitySet { on_violation, ..lab.set(guest("overrun-quota"), &["fs:/out=out:write,create"]) };
    set.fs[0].write_quota = FILE + QUOTA;
    let tool = lab.tool_with(guest("overrun-quota"), set).unwrap();
    (lab, tool)
}

fn over_quota(function: &str, asked: u64, left: u64) -> Denied<'_> {
    Denied { function, rule: "fs:/out:quota", reason: Reason::OverLimit { asked, left } }
}

fn length(lab: &Lab) -> u64 {
    fs::metadata(lab.path("out/big.bin")).unwrap().len()
}

#[test]
fn overrun_quota() {
    for operation in ["stream", "append"] {
        let denied = over_quota(WRITE, CHUNK, QUOTA - CHUNK);
        let (mut lab, tool) = under_quota(OnViolation::Kill);
        lab.killed(&tool, operation, "{}", denied);
        assert_eq!(length(&lab), CHUNK);
        let (mut lab, tool) = under_quota(OnViolation::Deny);
        let answer = lab.denied(&tool, operation, "{}", &[denied]);
        // The C library makes EIO of every failed stream.
        let eio = json!({ "kind": "Uncategorized", "errno": 29, "message": "I/O error (os error 29)" });
        assert_eq!(answer, json!({ "written": CHUNK, "err": eio }));
        assert_eq!(length(&lab), CHUNK);
    }
}

#[test]
fn overrun_quota_without_writing() {
    let enospc = json!({ "kind": "StorageFull", "errno": 51, "message": "No space left on device (os error 51)" });
    // The hole is made by the write, which goes through a stream: the C library makes EIO of every failed stream.
    let eio = json!({ "kind": "Uncategorized", "errno": 29, "message": "I/O error (os error 29)" });
    for (operation, function, error) in [("set-len", SET_SIZE, enospc), ("sparse", WRITE, eio)] {
        let denied = over_quota(function, 1 << 30, QUOTA);
        let (mut lab, tool) = under_quota(OnViolation::Kill);
        lab.killed(&tool, operation, "{}", denied);
        assert_eq!(length(&lab), 0);
        let (mut lab, tool) = under_quota(OnViolation::Deny);
        let answer = lab.denied(&tool, operation, "{}", &[denied]);
        assert_eq!(answer, json!({ "length": 0, "err": error }));
        assert_eq!(length(&lab), 0);
    }
}

#[test]
fn overrun_quota_to_the_last_byte() {
    for operation in ["stream", "append", "set-len", "sparse"] {
        let (mut lab, tool) = under_quota(OnViolation::Kill);
        lab.answer(&tool, operation, &json!({ "bytes": QUOTA }).to_string());
        assert_eq!(length(&lab), QUOTA, "{operation}");
        let (mut lab, tool) = under_quota(OnViolation::Kill);
        let failure = lab.failure(&tool, operation, &json!({ "bytes": QUOTA + 1 }).to_string());
        assert!(matches!(&failure.error, CallError::Violation(violation) if violation.rule == "fs:/out:quota"));
        assert!(length(&lab) <= QUOTA, "{operation}");
    }
}

#[test]
fn big_output() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("big-output"), &["limit:memory=256MiB", "limit:fuel=10000000000"]);
    let limit = 1 << 20;
    let hit = CapHit { cap: Cap::Output, asked: Some(limit + 1), limit };
    let failure = lab.capped(&tool, "attack", &json!({ "bytes": limit + 1 }).to_string(), hit);
    assert_eq!(failure.usage.output_bytes, 0, "nothing of it is handed on");
    let answer = lab.call(&tool, "attack", &json!({ "bytes": limit }).to_string()).unwrap();
    assert_eq!((answer.output.len() as u64, answer.usage.output_bytes), (limit, limit));
    // What the host would not even copy out of the guest never gets as far as its length.
    let not_copied = CapHit { cap: Cap::HostMemory, asked: None, limit: 8 << 20 };
    lab.capped(&tool, "attack", "{}", not_copied);
}

#[test]
fn panic() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("panic"), &[]);
    let failure = lab.told_by_tool(&tool, "attack", r#"{"message": "no way out"}"#, "panic");
    let CallError::Tool { message, .. } = &failure.error else { panic!("{failure}") };
    assert!(message.starts_with("panicked at example-tools/hostile/examples/panic.rs:"), "{message}");
    assert!(message.ends_with(": no way out"), "{message}");
    assert_eq!((failure.output.stderr.len(), failure.usage.stdio_bytes), (0, 0), "nothing is written");
}

#[test]
fn exit() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("exit"), &[]);
    // The function that C libraries call carries no number: only whether it went well.
    for (code, expected) in [(7, Exited::Failure), (1, Exited::Failure), (0, Exited::Success)] {
        let failure = lab.crashed(&tool, "attack", &json!({ "code": code }).to_string());
        assert!(matches!(failure.error, CallError::Exit { how } if how == expected), "{failure}");
        assert!(!failure.to_string().contains("exit(1)"), "{failure}");
    }
}

#[test]
fn exit_with_a_code() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("exit"), &[]);
    let failure = lab.crashed(&tool, "attack", r#"{"code": 7, "told": true}"#);
    assert!(matches!(failure.error, CallError::Exit { how: Exited::Code(7) }), "{failure}");
    assert_eq!(failure.to_string(), "the tool called exit(7) instead of answering");
}
