//! Words about caps: each denies where the manifest says it, and where the grant does.

use std::thread;

use serde_json::json;
use tollgate::{CallError, Caller, Request};
use tollgate_audit::Kind;
use tollgate_capability::Cap;
use tollgate_workspace::processes::await_that;

use crate::Texts;

/// A guest that goes over a cap.
struct Over<'a> {
    cap: Cap,
    /// The cap as it is written, and in its unit.
    value: (&'a str, u64),
    guest: &'static str,
    /// What it needs and is granted besides.
    needs: &'a str,
    grant: &'a str,
    operation: &'a str,
    arguments: &'a str,
}

impl Over<'_> {
    fn assert_denied_by_manifest_and_by_grant(&self) {
        let Self { cap, value: (text, limit), guest, needs, grant, operation, arguments } = *self;
        let line = format!("limits.{} = {text}", cap.as_str());
        let mut texts = Texts::new();
        let lines = [(format!("{line}\n{needs}"), grant.to_owned()), (needs.to_owned(), format!("{line}\n{grant}"))];
        for (needs, grant) in lines {
            let tool = texts.tool(guest, &needs, &grant);
            let failure = texts.lab.failure(&tool, operation, arguments);
            let CallError::Cap(hit) = failure.error else { panic!("{line}: {failure:?}") };
            assert_eq!((hit.cap, hit.limit), (cap, limit));
            texts.lab.verified();
        }
    }
}

const PROBE: Over<'_> = Over {
    cap: Cap::Memory,
    value: ("", 0),
    guest: "probe-wasi",
    needs: "",
    grant: "",
    operation: "call",
    arguments: r#"{"call": "initial-cwd"}"#,
};

#[test]
pub(crate) fn memory() {
    let over =
        Over { guest: "eat-memory", operation: "attack", arguments: "{}", value: (r#""2MiB""#, 2 << 20), ..PROBE };
    over.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn fuel() {
    let over = Over {
        cap: Cap::Fuel,
        value: ("1_000_000", 1_000_000),
        guest: "spin",
        operation: "attack",
        arguments: "{}",
        ..PROBE
    };
    over.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn deadline() {
    let over = Over {
        cap: Cap::Deadline,
        value: (r#""200ms""#, 200),
        needs: r#"needs.clocks.monotonic = "real""#,
        grant: r#"clocks.monotonic = "real""#,
        arguments: r#"{"call": "wait", "len": 3600000000000}"#,
        ..PROBE
    };
    over.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn input() {
    Over { cap: Cap::Input, value: (r#""10B""#, 10), ..PROBE }.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn output() {
    Over { cap: Cap::Output, value: (r#""10B""#, 10), ..PROBE }.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn stdio() {
    let arguments = r#"{"call": "stdout", "text": "four"}"#;
    Over { cap: Cap::Stdio, value: ("3", 3), arguments, ..PROBE }.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn handles() {
    let arguments = r#"{"call": "stdout", "text": ""}"#;
    Over { cap: Cap::Handles, value: ("0", 0), arguments, ..PROBE }.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn random() {
    let over = Over {
        cap: Cap::Random,
        value: ("7", 7),
        needs: r#"needs.random = "secure""#,
        grant: r#"random = "secure""#,
        arguments: r#"{"call": "random-u64"}"#,
        ..PROBE
    };
    over.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn host_memory() {
    let arguments = json!({ "call": "stdout", "text": "x".repeat(20_000) }).to_string();
    let over = Over { cap: Cap::HostMemory, value: (r#""16KiB""#, 16 << 10), arguments: &arguments, ..PROBE };
    over.assert_denied_by_manifest_and_by_grant();
}

const FOUR_DENIALS: &str =
    r#"{"calls": [{"call": "tcp-create"}, {"call": "tcp-create"}, {"call": "tcp-create"}, {"call": "tcp-create"}]}"#;
const GOES_ON: &str = r#"on_violation = "deny""#;

#[test]
pub(crate) fn records() {
    let over = Over {
        cap: Cap::Records,
        value: ("6", 6),
        grant: GOES_ON,
        operation: "sequence",
        arguments: FOUR_DENIALS,
        ..PROBE
    };
    over.assert_denied_by_manifest_and_by_grant();
}

#[test]
pub(crate) fn record_bytes() {
    let over = Over {
        cap: Cap::RecordBytes,
        value: (r#""500B""#, 500),
        grant: GOES_ON,
        operation: "sequence",
        arguments: FOUR_DENIALS,
        ..PROBE
    };
    over.assert_denied_by_manifest_and_by_grant();
}

/// The second call meets the first one asleep.
#[test]
pub(crate) fn calls() {
    let clock = (r#"needs.clocks.monotonic = "real""#, r#"clocks.monotonic = "real""#);
    for (needs, grant) in [
        (format!("limits.calls = 1\n{}", clock.0), clock.1.to_owned()),
        (clock.0.to_owned(), format!("limits.calls = 1\n{}", clock.1)),
    ] {
        let mut texts = Texts::new();
        let tool = texts.tool("probe-wasi", &needs, &grant);
        let lab = &texts.lab;
        let call = |arguments: &str| {
            let request =
                Request { operation: "call", arguments, stdin: Default::default(), caller: Caller::default() };
            tool.call(&request)
        };
        let started = || lab.entries().iter().filter(|entry| entry.kind() == Kind::Call).count();
        let before = started();
        thread::scope(|scope| {
            let first = scope.spawn(|| call(r#"{"call": "wait", "len": 1000000000}"#));
            await_that("the first call has started", || started() != before);
            let second = call(r#"{"call": "initial-cwd"}"#).unwrap_err();
            assert!(matches!(second.error, CallError::Cap(hit) if (hit.cap, hit.limit) == (Cap::Calls, 1)));
            first.join().unwrap().unwrap();
        });
    }
}
