//! Messages of MCP, as far as we read them ourselves: which line opens it, and the arguments of a call, which nobody else parses.

use serde_json::value::RawValue;
use tollgate_schema::count_values;

use super::call::NAME_BYTES_MAX;
use super::json::Members;
use super::rpc::{INVALID_PARAMS, INVALID_REQUEST, Id, METHOD_BYTES_MAX, PARSE_ERROR, RpcError, refused};

/// Most bytes of a message, without the arguments of a call.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Most JSON values of a message, without the arguments of a call.
const MESSAGE_VALUES_MAX: usize = 1 << 10;

/// What the first lines of a connection say of its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// It is MCP.
    Mcp,
    /// It may be either: both have this request.
    Ping,
    /// It is our own.
    Own,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpMessage {
    /// The id for its answer; none of a notification, or of what answers us.
    pub id: Option<Id>,
    /// What it is.
    pub does: Does,
    /// The message in JSON, without the arguments of a call.
    pub text: Vec<u8>,
}

/// What a message of MCP is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It asks for a call, with these arguments byte for byte; none where it has none.
    Call {
        /// JSON text of an object.
        arguments: Option<Vec<u8>>,
    },
    /// It takes a request back.
    Cancel {
        /// Which.
        request: Id,
    },
    /// It asks for something else, or tells something.
    Other {
        /// The method.
        method: String,
    },
    /// It answers a request. We have none.
    Answers,
}

/// Looks which protocol a line opens. What is no message at all is for our own protocol to refuse.
#[must_use]
pub fn opens(line: &[u8]) -> Opens {
    let Ok(mut members) = Members::read(line) else { return Opens::Own };
    let params = members.take("params");
    let has_version = params.is_some_and(|params| has_version(members.text(), params));
    match members.take_text("method", METHOD_BYTES_MAX).ok().flatten().as_deref() {
        Some("initialize" | "server/discover") => Opens::Mcp,
        Some(_) if has_version => Opens::Mcp,
        Some("ping") => Opens::Ping,
        Some(_) | None => Opens::Own,
    }
}

/// Whether a request says by itself which version of MCP it is of.
fn has_version(text: &str, params: &RawValue) -> bool {
    let meta = Members::inside(text, params).ok().and_then(|mut params| params.take("_meta"));
    let mut meta = meta.and_then(|meta| Members::inside(text, meta).ok());
    meta.as_mut().is_some_and(|meta| meta.take(VERSION).is_some())
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

impl McpMessage {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RpcError> {
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(refused(None, INVALID_REQUEST, "batches are not taken: send each message by itself"));
        }
        let mut members = Members::read(bytes).map_err(|error| refused(None, PARSE_ERROR, &error))?;
        let id = members.take("id").filter(|id| id.get() != "null").map(Id::read).transpose();
        let id = id.map_err(|error| refused(None, INVALID_REQUEST, &error))?;
        // More of a number is not told back exactly by all that is between.
        if matches!(&id, Some(Id::Number(number)) if i64::try_from(*number).is_err()) {
            return Err(refused(None, INVALID_REQUEST, "an id must be a string or a signed integer of 64 bits"));
        }
        let invalid = |error: String| refused(id.clone(), INVALID_REQUEST, &error);
        if members.take_text("jsonrpc", 8).map_err(invalid)?.as_deref() != Some("2.0") {
            return Err(invalid("`jsonrpc` must be \"2.0\"".to_owned()));
        }
        let params = members.take("params");
        let Some(method) = members.take_text("method", METHOD_BYTES_MAX).map_err(invalid)? else {
            let answers = members.take("result").is_some() || members.take("error").is_some();
            let none = || invalid("`method` is missing".to_owned());
            return if answers { Ok(Self { id, does: Does::Answers, text: Vec::new() }) } else { Err(none()) };
        };
        let message = Self::of(members.text(), id.clone(), method, params);
        let message = message.map_err(|error| refused(id.clone(), INVALID_PARAMS, &error))?;
        if message.text.len() > MESSAGE_BYTES_MAX {
            let long = format!("more than {MESSAGE_BYTES_MAX} bytes beside the arguments of a call");
            return Err(refused(id, INVALID_REQUEST, &long));
        }
        // Each takes many times its bytes once it is parsed.
        if count_values(&message.text) > MESSAGE_VALUES_MAX {
            let many = format!("more than {MESSAGE_VALUES_MAX} values beside the arguments of a call");
            return Err(refused(id, INVALID_REQUEST, &many));
        }
        Ok(message)
    }

    fn of(text: &str, id: Option<Id>, method: String, params: Option<&RawValue>) -> Result<Self, String> {
        let mut inside = params.map(|params| Members::inside(text, params)).transpose()?;
        let name = match (method.as_str(), inside.as_mut()) {
            ("tools/call", Some(params)) => params.take_text("name", NAME_BYTES_MAX)?,
            _ => None,
        };
        let mut take = |key: &str| inside.as_mut().and_then(|params| params.take(key));
        match (method.as_str(), &id) {
            ("tools/call", Some(_)) => {
                let arguments = take("arguments").filter(|arguments| arguments.get() != "null");
                if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
                    return Err("`arguments` must be an object".to_owned());
                }
                let name = text_json(&name.ok_or("`name` is missing")?);
                let meta = take("_meta").map(|meta| format!(",\"_meta\":{}", meta.get())).unwrap_or_default();
                let text = rebuilt(id.as_ref(), &method, Some(&format!("{{\"name\":{name}{meta}}}")));
                let arguments = arguments.map(|arguments| arguments.get().as_bytes().to_vec());
                Ok(Self { id, does: Does::Call { arguments }, text })
            }
            ("notifications/cancelled", None) => {
                let request = take("requestId").ok_or("`requestId` is missing")?;
                let request = Id::read(request)?;
                let text = rebuilt(None, &method, params.map(RawValue::get));
                Ok(Self { id, does: Does::Cancel { request }, text })
            }
            // Nobody would hear its result, and its arguments are none of rmcp's.
            ("tools/call", None) => Err("a call without an id is none".to_owned()),
            _ => {
                let text = rebuilt(id.as_ref(), &method, params.map(RawValue::get));
                Ok(Self { id, does: Does::Other { method }, text })
            }
        }
    }
}

/// A message of known members alone.
fn rebuilt(id: Option<&Id>, method: &str, params: Option<&str>) -> Vec<u8> {
    let id = id.map(|id| format!(",\"id\":{}", text_json(id)));
    let params = params.map(|params| format!(",\"params\":{params}"));
    let method = text_json(method);
    let (id, params) = (id.unwrap_or_default(), params.unwrap_or_default());
    format!("{{\"jsonrpc\":\"2.0\"{id},\"method\":{method}{params}}}").into_bytes()
}

/// What has no JSON is no type of ours.
fn text_json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_none| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_tells_the_protocol() {
        let opened = |line: &str| opens(line.as_bytes());
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
            r#"{"method":"server/discover"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}}"#,
        ] {
            assert_eq!(opened(line), Opens::Mcp, "{line}");
        }
        assert_eq!(opened(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Opens::Ping);
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"io.modelcontextprotocol/protocolVersion":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            "initialize",
            "{",
            "",
            "[]",
        ] {
            assert_eq!(opened(line), Opens::Own, "{line}");
        }
    }

    #[test]
    fn arguments_are_taken_out_as_they_came() {
        let line = br#"{"jsonrpc":"2.0", "id":"a","method":"tools/call","params":{"arguments": {"n":1.000000000000000000001} ,"name":"x_y","_meta":{"k":[1]},"task":{}},"more":1}"#;
        let message = McpMessage::parse(line).unwrap();
        assert_eq!(message.id, Some(Id::Text("a".to_owned())));
        let arguments = Some(br#"{"n":1.000000000000000000001}"#.to_vec());
        assert_eq!(message.does, Does::Call { arguments });
        let text = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x_y","_meta":{"k":[1]}}}"#;
        assert_eq!(String::from_utf8(message.text).unwrap(), text);
        let none = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":null}}"#;
        assert_eq!(McpMessage::parse(none).unwrap().does, Does::Call { arguments: None });
    }

    #[test]
    fn other_messages_stay_and_answers_are_told_apart() {
        let does = |line: &str| McpMessage::parse(line.as_bytes()).unwrap();
        let list = does(r#"{"jsonrpc":"2.0","id":-3,"method":"tools/list","params":{"cursor":"x"}}"#);
        assert_eq!(list.does, Does::Other { method: "tools/list".to_owned() });
        assert_eq!(list.text, br#"{"jsonrpc":"2.0","id":-3,"method":"tools/list","params":{"cursor":"x"}}"#);
        let cancel =
            does(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4,"reason":"r"}}"#);
        assert_eq!(cancel.does, Does::Cancel { request: Id::Number(4) });
        assert_eq!(does(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).does, Does::Answers);
        assert_eq!(does(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#).does, Does::Answers);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"x":"{}"}}}}"#,
            "x".repeat(MESSAGE_BYTES_MAX)
        );
        for (line, code, message) in [
            ("[]", -32600, "batches are not taken: send each message by itself"),
            ("{", -32700, "EOF while parsing an object at line 1 column 1"),
            (r#"{"id":1,"method":"x"}"#, -32600, "`jsonrpc` must be \"2.0\""),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "`method` is missing"),
            (
                r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"x"}"#,
                -32600,
                "an id must be a string or a signed integer of 64 bits",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, -32602, "`name` is missing"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#, -32602, "`name` is missing"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[1]}}"#,
                -32602,
                "`arguments` must be an object",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","name":"y"}}"#,
                -32602,
                "the key `name` stands twice, at line 1 column 75",
            ),
            (&long, -32600, "more than 65536 bytes beside the arguments of a call"),
        ] {
            let error = McpMessage::parse(line.as_bytes()).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (code, message), "{line}");
        }
    }
}
