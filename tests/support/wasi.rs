//! What becomes of each function of WASI 0.2, and of `tollgate:tool/call`: a row for every one.

use tollgate_capability::Access;

/// The gate's names under which a call of this function may be counted; none if it is harmless.
#[must_use]
pub fn gate_names(function: &str) -> Vec<String> {
    let nothing = WITH_NOTHING.iter().filter(|row| row.function == function).map(|row| row.gate.to_owned());
    let right = WITHOUT_THE_RIGHT.iter().filter(|row| function.strip_prefix(DESCRIPTOR) == Some(row.method));
    let empty = EMPTY_WITH_NOTHING.iter().filter(|row| row.function == function).map(|row| row.function.to_owned());
    let never = NEVER_DENIED.iter().filter(|(name, _, _)| *name == function).map(|(_, gate, _)| (*gate).to_owned());
    let mut names: Vec<_> =
        nothing.chain(empty).chain(right.map(|row| format!("{DESCRIPTOR}{}", row.gate))).chain(never).collect();
    if names.iter().any(|name| name == WRITE) || function == STREAM_WRITE {
        names.extend([WRITE.to_owned(), "wasi:io/streams.[method]output-stream.write".to_owned()]);
    }
    names
}

const DESCRIPTOR: &str = "wasi:filesystem/types.[method]descriptor.";

/// A gated function that a guest without any capability can call.
pub struct WithNothing {
    pub function: &'static str,
    /// The gate's name for it.
    pub gate: &'static str,
    /// A call of `probe-wasi`.
    pub call: &'static str,
    /// The rule that is missing.
    pub rule: &'static str,
    /// What the guest gets under `deny`; `None` where WASI has no harmless answer and the instance ends.
    pub answer: Option<&'static str>,
}

const fn ends(function: &'static str, gate: &'static str, call: &'static str, rule: &'static str) -> WithNothing {
    WithNothing { function, gate, call, rule, answer: None }
}

const fn goes_on(function: &'static str, call: &'static str, rule: &'static str, answer: &'static str) -> WithNothing {
    WithNothing { function, gate: function, call, rule, answer: Some(answer) }
}

const MONOTONIC_NOW: &str = "wasi:clocks/monotonic-clock.now";
const WALL_NOW: &str = "wasi:clocks/wall-clock.now";
const RANDOM_BYTES: &str = "wasi:random/random.get-random-bytes";
const INSECURE_BYTES: &str = "wasi:random/insecure.get-insecure-random-bytes";
const CONTEXT: &str = "tollgate:tool/call.get-context";
const MONOTONIC: &str = "clocks.monotonic";
const WALL: &str = "clocks.wall";
const ACCESS_DENIED: &str = r#"{"err": "access-denied"}"#;

pub const WITH_NOTHING: &[WithNothing] = &[
    ends(MONOTONIC_NOW, MONOTONIC_NOW, r#"{"call": "monotonic-clock"}"#, MONOTONIC),
    ends(
        "wasi:clocks/monotonic-clock.resolution",
        MONOTONIC_NOW,
        r#"{"call": "monotonic-clock-resolution"}"#,
        MONOTONIC,
    ),
    ends("wasi:clocks/monotonic-clock.subscribe-duration", MONOTONIC_NOW, r#"{"call": "wait", "len": 1}"#, MONOTONIC),
    ends("wasi:clocks/monotonic-clock.subscribe-instant", MONOTONIC_NOW, r#"{"call": "wait-until"}"#, MONOTONIC),
    ends(WALL_NOW, WALL_NOW, r#"{"call": "wall-clock"}"#, WALL),
    ends("wasi:clocks/wall-clock.resolution", WALL_NOW, r#"{"call": "wall-clock-resolution"}"#, WALL),
    ends(RANDOM_BYTES, RANDOM_BYTES, r#"{"call": "random-bytes", "len": 8}"#, "random"),
    ends("wasi:random/random.get-random-u64", RANDOM_BYTES, r#"{"call": "random-u64"}"#, "random"),
    ends(INSECURE_BYTES, INSECURE_BYTES, r#"{"call": "insecure-bytes", "len": 8}"#, "random"),
    ends("wasi:random/insecure.get-insecure-random-u64", INSECURE_BYTES, r#"{"call": "insecure-u64"}"#, "random"),
    ends(CONTEXT, CONTEXT, r#"{"call": "context"}"#, "context"),
    goes_on("wasi:sockets/tcp-create-socket.create-tcp-socket", r#"{"call": "tcp-create"}"#, "net", ACCESS_DENIED),
    goes_on("wasi:sockets/udp-create-socket.create-udp-socket", r#"{"call": "udp-create"}"#, "net", ACCESS_DENIED),
    goes_on(
        "wasi:sockets/ip-name-lookup.resolve-addresses",
        r#"{"call": "resolve", "text": "localhost"}"#,
        "net",
        ACCESS_DENIED,
    ),
];

/// A gated function that a guest without any capability can call, and gets nothing from.
pub struct EmptyWithNothing {
    pub function: &'static str,
    /// A call of `probe-wasi`.
    pub call: &'static str,
    /// What the guest gets.
    pub answer: &'static str,
}

pub const EMPTY_WITH_NOTHING: &[EmptyWithNothing] = &[
    EmptyWithNothing {
        function: "wasi:cli/environment.get-environment",
        call: r#"{"call": "environment"}"#,
        answer: r#"{"ok": []}"#,
    },
    EmptyWithNothing {
        function: "wasi:cli/environment.get-arguments",
        call: r#"{"call": "arguments"}"#,
        answer: r#"{"ok": []}"#,
    },
    EmptyWithNothing {
        function: "wasi:cli/stdin.get-stdin",
        call: r#"{"call": "stdin", "len": 9}"#,
        answer: r#"{"ok": ""}"#,
    },
];

/// A gated method of `wasi:filesystem/types.descriptor`.
pub struct WithoutTheRight {
    pub method: &'static str,
    /// The gate's name for it.
    pub gate: &'static str,
    /// A `raw` step of `probe-fs` in a folder with `a.txt` and the empty folder `sub`.
    pub step: &'static str,
    /// The right that is missing.
    pub missing: Access,
}

const fn at_path(method: &'static str, step: &'static str, missing: Access) -> WithoutTheRight {
    WithoutTheRight { method, gate: method, step, missing }
}

const fn on_handle(method: &'static str, gate: &'static str, step: &'static str, missing: Access) -> WithoutTheRight {
    WithoutTheRight { method, gate, step, missing }
}

pub const WITHOUT_THE_RIGHT: &[WithoutTheRight] = &[
    at_path("open-at", r#"{"op": "open-at", "path": "a.txt", "flags": ["read"]}"#, Access::Read),
    at_path("stat-at", r#"{"op": "stat-at", "path": "a.txt"}"#, Access::Metadata),
    at_path("metadata-hash-at", r#"{"op": "metadata-hash-at", "path": "a.txt"}"#, Access::Metadata),
    at_path("readlink-at", r#"{"op": "readlink-at", "path": "a.txt"}"#, Access::Metadata),
    at_path("set-times-at", r#"{"op": "set-times-at", "path": "a.txt"}"#, Access::Write),
    at_path("create-directory-at", r#"{"op": "create-directory-at", "path": "new"}"#, Access::Create),
    at_path("remove-directory-at", r#"{"op": "remove-directory-at", "path": "sub"}"#, Access::Delete),
    at_path("unlink-file-at", r#"{"op": "unlink-file-at", "path": "a.txt"}"#, Access::Delete),
    at_path("rename-at", r#"{"op": "rename-at", "path": "a.txt", "to": "b.txt"}"#, Access::Delete),
    at_path("link-at", r#"{"op": "link-at", "path": "a.txt", "to": "b.txt"}"#, Access::Read),
    at_path("symlink-at", r#"{"op": "symlink-at", "path": "a.txt", "to": "b.txt"}"#, Access::Create),
    on_handle("read", "read", r#"{"flags": ["write"], "then": "read"}"#, Access::Read),
    on_handle("read-via-stream", "read", r#"{"flags": ["write"], "then": "read-via-stream"}"#, Access::Read),
    on_handle("write", "write", r#"{"flags": ["read"], "then": "write", "data": "x"}"#, Access::Write),
    on_handle("write-via-stream", "write", r#"{"flags": ["read"], "then": "write-via-stream"}"#, Access::Write),
    on_handle(
        "append-via-stream",
        "append-via-stream",
        r#"{"flags": ["read"], "then": "append-via-stream"}"#,
        Access::Write,
    ),
    on_handle("set-size", "set-size", r#"{"flags": ["read"], "then": "set-size"}"#, Access::Write),
    on_handle("set-times", "set-times", r#"{"flags": ["read"], "then": "set-times"}"#, Access::Write),
    on_handle("read-directory", "read-directory", r#"{"op": "preopen", "then": "read-directory"}"#, Access::List),
    on_handle("stat", "stat", r#"{"op": "preopen", "then": "stat"}"#, Access::Metadata),
    on_handle("metadata-hash", "metadata-hash", r#"{"op": "preopen", "then": "metadata-hash"}"#, Access::Metadata),
];

/// Gated functions that no guest can have denied, with the gate's name and the reason.
pub const NEVER_DENIED: &[(&str, &str, &str)] = &[
    ("wasi:cli/stdout.get-stdout", "wasi:cli/stdout.get-stdout", WRITES_JUDGED),
    ("wasi:cli/stderr.get-stderr", "wasi:cli/stderr.get-stderr", WRITES_JUDGED),
    (
        "wasi:filesystem/preopens.get-directories",
        "wasi:filesystem/preopens.get-directories",
        "opens what is granted and nothing else; recorded one by one",
    ),
    ("wasi:filesystem/types.[method]descriptor.sync", SYNC, FLUSHES),
    ("wasi:filesystem/types.[method]descriptor.sync-data", SYNC, FLUSHES),
    (
        "wasi:filesystem/types.[method]directory-entry-stream.read-directory-entry",
        "wasi:filesystem/types.[method]descriptor.read-directory",
        "each page of a listing passes the door of read-directory; entries that the patterns leave out are not shown",
    ),
    ("wasi:io/streams.[method]input-stream.read", READ, OPENED),
    ("wasi:io/streams.[method]input-stream.blocking-read", READ, OPENED),
    ("wasi:io/streams.[method]input-stream.skip", READ, OPENED),
    ("wasi:io/streams.[method]input-stream.blocking-skip", READ, OPENED),
    ("wasi:io/streams.[method]output-stream.write", WRITE, BLOCKING),
    ("wasi:io/streams.[method]output-stream.write-zeroes", WRITE, BLOCKING),
    ("wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush", WRITE, BLOCKING),
    ("wasi:io/streams.[method]output-stream.splice", WRITE, BLOCKING),
    ("wasi:io/streams.[method]output-stream.blocking-splice", WRITE, BLOCKING),
];

/// Denied to a guest that has its stream, as any may; see `writing_to_a_denied_stream`.
pub const STREAM_WRITE: &str = "wasi:io/streams.[method]output-stream.blocking-write-and-flush";

const SYNC: &str = "wasi:filesystem/types.[method]descriptor.sync";
const READ: &str = "wasi:filesystem/types.[method]descriptor.read";
const WRITE: &str = "wasi:filesystem/types.[method]descriptor.write";
const FLUSHES: &str = "a handle that was opened may be flushed, with any right";
const OPENED: &str = "without the right to read there is no such stream";
const WRITES_JUDGED: &str = "each write to the stream is judged";
const BLOCKING: &str = "passes the same door as blocking-write-and-flush, which the probe calls";

/// Methods of sockets: none is ever made, so no guest gets at them; the gate denies them all the same.
pub const WITHOUT_A_SOCKET: &[(&str, &[&str])] = &[
    (
        "wasi:sockets/tcp.[method]tcp-socket",
        &[
            "start-bind",
            "finish-bind",
            "start-connect",
            "finish-connect",
            "start-listen",
            "finish-listen",
            "accept",
            "local-address",
            "remote-address",
            "is-listening",
            "address-family",
            "set-listen-backlog-size",
            "keep-alive-enabled",
            "set-keep-alive-enabled",
            "keep-alive-idle-time",
            "set-keep-alive-idle-time",
            "keep-alive-interval",
            "set-keep-alive-interval",
            "keep-alive-count",
            "set-keep-alive-count",
            "hop-limit",
            "set-hop-limit",
            "receive-buffer-size",
            "set-receive-buffer-size",
            "send-buffer-size",
            "set-send-buffer-size",
            "subscribe",
            "shutdown",
        ],
    ),
    (
        "wasi:sockets/udp.[method]udp-socket",
        &[
            "start-bind",
            "finish-bind",
            "stream",
            "local-address",
            "remote-address",
            "address-family",
            "unicast-hop-limit",
            "set-unicast-hop-limit",
            "receive-buffer-size",
            "set-receive-buffer-size",
            "send-buffer-size",
            "set-send-buffer-size",
            "subscribe",
        ],
    ),
    ("wasi:sockets/udp.[method]incoming-datagram-stream", &["receive", "subscribe"]),
    ("wasi:sockets/udp.[method]outgoing-datagram-stream", &["check-send", "send", "subscribe"]),
    ("wasi:sockets/ip-name-lookup.[method]resolve-address-stream", &["resolve-next-address", "subscribe"]),
];

/// Functions that pass no gate, with the reason.
pub const HARMLESS: &[(&str, &str)] = &[
    ("tollgate:tool/call.fail", "ends the instance, and says no more than a result does; counted"),
    ("wasi:cli/environment.initial-cwd", "there is none"),
    ("wasi:cli/exit.exit", "ends the instance, which the guest may do by trapping too; counted"),
    ("wasi:cli/exit.exit-with-code", "as exit"),
    ("wasi:cli/terminal-stdin.get-terminal-stdin", NO_TERMINAL),
    ("wasi:cli/terminal-stdout.get-terminal-stdout", NO_TERMINAL),
    ("wasi:cli/terminal-stderr.get-terminal-stderr", NO_TERMINAL),
    ("wasi:filesystem/types.filesystem-error-code", ERROR_HELD),
    ("wasi:filesystem/types.[method]descriptor.advise", "changes nothing that anybody can see"),
    ("wasi:filesystem/types.[method]descriptor.get-flags", "tells what the guest opened the handle for"),
    ("wasi:filesystem/types.[method]descriptor.get-type", "tells a file from a folder, and only these two are opened"),
    (
        "wasi:filesystem/types.[method]descriptor.is-same-object",
        "compares two handles that the guest holds; tells nothing else of them",
    ),
    ("wasi:io/error.[method]error.to-debug-string", ERROR_HELD),
    ("wasi:io/poll.poll", WAITS),
    ("wasi:io/poll.[method]pollable.ready", WAITS),
    ("wasi:io/poll.[method]pollable.block", WAITS),
    ("wasi:io/streams.[method]input-stream.subscribe", WAITS),
    ("wasi:io/streams.[method]output-stream.subscribe", WAITS),
    ("wasi:io/streams.[method]output-stream.check-write", "a constant"),
    ("wasi:io/streams.[method]output-stream.flush", "what is written is written; there is no buffer"),
    ("wasi:io/streams.[method]output-stream.blocking-flush", "as flush"),
    ("wasi:random/insecure-seed.insecure-seed", "a constant unless randomness is granted; counted"),
    ("wasi:sockets/instance-network.instance-network", "a token; every function that takes it is gated"),
    ("wasi:sockets/network.network-error-code", ERROR_HELD),
];

const NO_TERMINAL: &str = "answers that there is no terminal";
const ERROR_HELD: &str = "tells more of an error that the guest holds";
const WAITS: &str = "waiting gives nothing, and the deadline ends it";
