//! Replies to a call as clients read them, by the names that `tollgate run --json` has for the same things.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tollgate_ipc::Blobs;

use crate::parse::{Id, RpcError, is_json};
use crate::protocol::{Failure, Told};

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It has an answer.
    Answered(Answered),
    /// It has none.
    Failed(Box<Failed>),
}

/// A call's answer.
#[derive(Debug)]
pub(crate) struct Answered {
    // None where a tool of the daemon's own answered.
    call: Option<String>,
    // JSON text, as the tool wrote it.
    output: Vec<u8>,
    usage: Box<RawValue>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Failed {
    call: Option<String>,
    usage: Option<Box<RawValue>>,
    error: Failure,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Reply {
    /// What the daemon told at the end of a call.
    pub(crate) fn of(told: Told, [output, stdout, stderr]: Blobs) -> Self {
        match told {
            // What is no JSON would break the framing of the answer that it becomes a part of.
            Told::Answered { call, usage } if is_json(&output) => {
                Self::Answered(Answered { call: Some(call), output, usage, stdout, stderr })
            }
            Told::Own if is_json(&output) => {
                Self::Answered(Answered { call: None, output, usage: RawValue::NULL.to_owned(), stdout, stderr })
            }
            Told::Answered { call, usage } => {
                let error = Failure::new("output", "what the tool answered is no JSON");
                Self::Failed(Box::new(Failed { call: Some(call), usage: Some(usage), error, stdout, stderr }))
            }
            Told::Failed { call, usage, error } => {
                Self::Failed(Box::new(Failed { call, usage, error, stdout, stderr }))
            }
            Told::Token { .. } | Told::Tools | Told::Log | Told::Own | Told::Receipt | Told::Ready { .. } => {
                Self::failed(senseless())
            }
        }
    }

    /// A call that did not begin.
    pub(crate) fn failed(error: Failure) -> Self {
        Self::Failed(Box::new(Failed::new(error)))
    }

    /// The call's name in the ledger, if it got one.
    pub(crate) fn call(&self) -> Option<&str> {
        match self {
            Self::Answered(answered) => answered.call(),
            Self::Failed(failed) => failed.call(),
        }
    }

    /// The status of HTTP.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Answered(_) => 200,
            Self::Failed(failed) => status(failed.kind()),
        }
    }

    /// One JSON object.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Answered(answered) => answered.to_json(),
            Self::Failed(failed) => failed.to_json(),
        }
    }

    /// A line of JSON-RPC.
    pub(crate) fn to_line(&self, id: &Id) -> Vec<u8> {
        match self {
            Self::Answered(answered) => result_line(id, &answered.to_json()),
            Self::Failed(failed) => failed.to_line(Some(id)),
        }
    }
}

impl Answered {
    /// Its name in the ledger, if it is a call on record.
    pub(crate) fn call(&self) -> Option<&str> {
        self.call.as_deref()
    }

    /// JSON text.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    fn to_json(&self) -> String {
        if self.call.is_none() {
            return format!("{{\"ok\":true,\"output\":{}}}", lossy(&self.output));
        }
        let (call, usage) = (json(&self.call), self.usage.get());
        let (stdout, stderr) = (json(&lossy(&self.stdout)), json(&lossy(&self.stderr)));
        let output = lossy(&self.output);
        format!(
            "{{\"ok\":true,\"call\":{call},\"output\":{output},\"usage\":{usage},\"stdout\":{stdout},\"stderr\":{stderr}}}"
        )
    }
}

impl Failed {
    /// Of something that is no call, or did not begin.
    pub(crate) const fn new(error: Failure) -> Self {
        Self { call: None, usage: None, error, stdout: Vec::new(), stderr: Vec::new() }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.error.kind
    }

    pub(crate) const fn error(&self) -> &Failure {
        &self.error
    }

    /// The call's name in the ledger, if it got one.
    pub(crate) fn call(&self) -> Option<&str> {
        self.call.as_deref()
    }

    pub(crate) fn to_json(&self) -> String {
        // Without a call nothing ran that could have written.
        let ran = self.call.is_some() || self.usage.is_some();
        let stream = |bytes| ran.then(|| lossy(bytes));
        json(&FailedObject {
            ok: false,
            call: self.call(),
            error: error_json(&self.error),
            usage: self.usage.as_deref(),
            stdout: stream(&self.stdout),
            stderr: stream(&self.stderr),
        })
    }

    /// A line of JSON-RPC; the id is none where the request is not known.
    pub(crate) fn to_line(&self, id: Option<&Id>) -> Vec<u8> {
        error_line(id, code(self.kind()), &self.error.message, &self.to_json())
    }
}

/// As it is told.
#[derive(Serialize)]
struct FailedObject<'f> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'f str>,
    error: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'f RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<Cow<'f, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<Cow<'f, str>>,
}

/// A line of JSON-RPC for a request that is refused as it stands.
pub(crate) fn refused_line(RpcError { id, code, message }: &RpcError) -> Vec<u8> {
    let failed = Failed::new(Failure::new("rejected", message.as_str()));
    error_line(id.as_ref(), *code, message, &failed.to_json())
}

/// A line of JSON-RPC with a result, which is JSON text.
pub(crate) fn result_line(id: &Id, result: &str) -> Vec<u8> {
    on_one_line(format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", json(id)))
}

/// A line of JSON-RPC with a piece of a tool's log.
pub(crate) fn log_line(id: &Id, piece: &[u8]) -> Vec<u8> {
    let (id, text) = (json(id), json(&lossy(piece)));
    on_one_line(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{{\"id\":{id},\"text\":{text}}}}}"))
}

/// A line of JSON-RPC that was made by somebody else.
pub(crate) fn message_line(message: &impl Serialize) -> Vec<u8> {
    on_one_line(json(message))
}

fn error_line(id: Option<&Id>, code: i32, message: &str, data: &str) -> Vec<u8> {
    let (id, message) = (json(&id), json(&message));
    on_one_line(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{message},\"data\":{data}}}}}"
    ))
}

/// JSON text with its end.
fn on_one_line(text: String) -> Vec<u8> {
    let mut line = unbroken(text);
    line.push('\n');
    line.into_bytes()
}

/// JSON text in one line. A line break in it can only be between its parts, where any space will do as well.
pub(crate) fn unbroken(text: String) -> String {
    if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text }
}

/// What the daemon said makes no sense where it said it.
pub(crate) fn senseless() -> Failure {
    Failure::new("internal", "the daemon answered something else than what it was asked")
}

fn error_json(error: &Failure) -> Value {
    let mut told = Map::new();
    told.insert("kind".to_owned(), Value::from(error.kind.as_str()));
    told.insert("message".to_owned(), Value::from(error.message.as_str()));
    for (key, value) in error.details.as_object().into_iter().flatten() {
        told.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    Value::Object(told)
}

fn status(kind: &str) -> u16 {
    match kind {
        "rejected" => 400,
        "unauthenticated" => 401,
        "violation" => 403,
        "unknown-tool" | UNKNOWN_CALL => 404,
        "tool" | "output" | "trap" | "cap" => 422,
        "cancelled" => 499,
        "busy" => 503,
        // "worker", "internal", and what this version does not know.
        _other => 500,
    }
}

/// The media type of a receipt: lines of text, of which none is JSON (C2SP tlog-proof).
pub(crate) const RECEIPT_TYPE: &str = "text/plain";

/// The kind of what is asked of a call that is not there for whoever asks.
pub(crate) const UNKNOWN_CALL: &str = "unknown-call";

fn code(kind: &str) -> i32 {
    match kind {
        "rejected" | "unknown-tool" | UNKNOWN_CALL => -32602,
        "busy" => -32001,
        "cancelled" => -32002,
        _other => -32000,
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What has no JSON is no type of ours.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_none| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn answered(output: &str) -> Reply {
        let told = Told::Answered { call: "c1".to_owned(), usage: raw("{\"fuel\":{\"used\":7}}") };
        Reply::of(told, [output.into(), b"out".to_vec(), b"e\xffr\n".to_vec()])
    }

    fn failed(kind: &str) -> Reply {
        let details = json!({ "rule": "r", "kind": "spoofed", "message": "spoofed" });
        let error = Failure { kind: kind.to_owned(), message: "no".to_owned(), details };
        let told = Told::Failed { call: Some("c1".to_owned()), usage: Some(raw("{}")), error };
        Reply::of(told, [Vec::new(), b"out".to_vec(), Vec::new()])
    }

    #[test]
    fn an_answer_is_passed_on_byte_by_byte() {
        let reply = answered("{\"n\": 1.00000000000000000001 }");
        let object = "{\"ok\":true,\"call\":\"c1\",\"output\":{\"n\": 1.00000000000000000001 },\"usage\":{\"fuel\":{\"used\":7}},\
                      \"stdout\":\"out\",\"stderr\":\"e\u{fffd}r\\n\"}";
        assert_eq!((reply.status(), reply.to_json().as_str()), (200, object));
        let line = reply.to_line(&Id::Text("a".to_owned()));
        assert_eq!(
            String::from_utf8(line).unwrap(),
            format!("{{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{object}}}\n")
        );
    }

    #[test]
    fn an_output_cannot_break_its_line_or_its_object() {
        let line = answered("{\n\"a\":\r\n1}").to_line(&Id::Number(1));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(line.starts_with(
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"ok\":true,\"call\":\"c1\",\"output\":{ \"a\":  1},"
        ));
        for output in ["", "1}", "{", "\"\n\"", "1}\n{\"jsonrpc\":\"2.0\"", "nan"] {
            let reply = answered(output);
            assert_eq!(reply.status(), 422, "{output}");
            assert!(
                reply
                    .to_json()
                    .contains("\"error\":{\"kind\":\"output\",\"message\":\"what the tool answered is no JSON\"}")
            );
        }
    }

    #[test]
    fn a_failure_has_its_status_and_its_code() {
        for (kind, status, code) in [
            ("rejected", 400, -32602),
            ("unauthenticated", 401, -32000),
            ("violation", 403, -32000),
            ("unknown-tool", 404, -32602),
            ("tool", 422, -32000),
            ("output", 422, -32000),
            ("trap", 422, -32000),
            ("cap", 422, -32000),
            ("cancelled", 499, -32002),
            ("worker", 500, -32000),
            ("internal", 500, -32000),
            ("busy", 503, -32001),
            ("of-later", 500, -32000),
        ] {
            let reply = failed(kind);
            assert_eq!(reply.status(), status, "{kind}");
            let object = format!(
                "{{\"ok\":false,\"call\":\"c1\",\"error\":{{\"kind\":\"{kind}\",\"message\":\"no\",\"rule\":\"r\"}},\"usage\":{{}},\
                 \"stdout\":\"out\",\"stderr\":\"\"}}"
            );
            assert_eq!(reply.to_json(), object);
            let line = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{{\"code\":{code},\"message\":\"no\",\"data\":{object}}}}}\n"
            );
            assert_eq!(String::from_utf8(reply.to_line(&Id::Number(1))).unwrap(), line);
        }
        let unborn = Reply::failed(Failure::new("busy", "later"));
        assert_eq!(unborn.to_json(), "{\"ok\":false,\"error\":{\"kind\":\"busy\",\"message\":\"later\"}}");
        assert_eq!(Reply::of(Told::Tools, Blobs::default()).status(), 500);
    }
}
