//! One line of JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>): what it asks for, or why it is refused.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::call::CallRequest;
use super::json::Members;

/// Most bytes of an id that is a string.
pub const ID_BYTES_MAX: usize = 256;

/// What a client calls a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A string.
    Text(String),
    /// An integer of at most 64 bits, with or without a sign.
    Number(i128),
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id for its answer; none where it is a notification, which gets none.
    pub id: Option<Id>,
    /// For what.
    pub asks: Asks,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Whether anybody is there.
    Ping,
    /// Which tools there are.
    Tools,
    /// A call.
    Call {
        /// Of what.
        request: CallRequest,
        /// Whether its log is wanted while it runs.
        logs: bool,
    },
    /// That a call of the same connection ends.
    Cancel {
        /// The id of its request.
        call: Id,
    },
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// The id of the request, if it has one that can be told back.
    pub id: Option<Id>,
    /// As the specification has it: -32700, -32600, -32601 or -32602.
    pub code: i32,
    /// For people.
    pub message: String,
}

impl Message {
    /// Reads a line; none where it is to be ignored: a notification of a method that answers, or of one that is not known.
    ///
    /// # Errors
    ///
    /// [`RpcError`].
    pub fn parse(line: &[u8]) -> Result<Option<Self>, RpcError> {
        if line.trim_ascii_start().starts_with(b"[") {
            return Err(refused(
                None,
                INVALID_REQUEST,
                "batches are not taken: send each request on a line of its own",
            ));
        }
        let mut members = Members::read(line).map_err(|error| refused(None, PARSE_ERROR, &error))?;
        let id = members.take("id").map(Id::read).transpose();
        let id = id.map_err(|error| refused(None, INVALID_REQUEST, &error))?;
        let (method, params) = head(&mut members).map_err(|error| refused(id.clone(), INVALID_REQUEST, &error))?;
        match asks(members.text(), &method, params) {
            Ok(Asks::Cancel { call }) => Ok(Some(Self { id, asks: Asks::Cancel { call } })),
            Ok(asks) if id.is_some() => Ok(Some(Self { id, asks })),
            Err((code, error)) if id.is_some() => Err(refused(id, code, &error)),
            Ok(_) | Err(_) => Ok(None),
        }
    }
}

/// The method and the params, once all else is as it must be.
fn head<'a>(members: &mut Members<'a>) -> Result<(String, Option<&'a RawValue>), String> {
    if members.take_text("jsonrpc", 8)?.as_deref() != Some("2.0") {
        return Err("`jsonrpc` must be \"2.0\"".to_owned());
    }
    let method = members.take_text("method", METHOD_BYTES_MAX)?;
    let params = members.take("params");
    members.must_be_empty(&["jsonrpc", "id", "method", "params"])?;
    let method = method.ok_or_else(|| "`method` is missing".to_owned())?;
    Ok((method, params))
}

fn asks(text: &str, method: &str, params: Option<&RawValue>) -> Result<Asks, (i32, String)> {
    let invalid = |error| (INVALID_PARAMS, error);
    let empty = |asks| match params.map(|params| Members::inside(text, params)).transpose() {
        Ok(None) => Ok(asks),
        Ok(Some(members)) => members.must_be_empty(&[]).map(|()| asks).map_err(|_unknown| no_params(method)),
        Err(_other) => Err(no_params(method)),
    };
    match method {
        "ping" => empty(Asks::Ping),
        "tools" => empty(Asks::Tools),
        "call" => {
            let params = params.ok_or_else(|| invalid("`params` is missing".to_owned()))?;
            let (request, logs) = CallRequest::parse_params(text, params).map_err(invalid)?;
            Ok(Asks::Call { request, logs })
        }
        "cancel" => {
            let params = params.ok_or_else(|| invalid("`params` is missing".to_owned()))?;
            let mut members = Members::inside(text, params).map_err(invalid)?;
            let call = members.take("id").ok_or_else(|| invalid("`id` of the call is missing".to_owned()))?;
            members.must_be_empty(&["id"]).map_err(invalid)?;
            Ok(Asks::Cancel { call: Id::read(call).map_err(invalid)? })
        }
        _other => Err((UNKNOWN_METHOD, "no such method: there are `call`, `cancel`, `ping` and `tools`".to_owned())),
    }
}

fn no_params(method: &str) -> (i32, String) {
    (INVALID_PARAMS, format!("`{method}` takes no params"))
}

pub(super) fn refused(id: Option<Id>, code: i32, message: &str) -> RpcError {
    RpcError { id, code, message: message.to_owned() }
}

impl Id {
    pub(super) fn read(value: &RawValue) -> Result<Self, String> {
        let text = value.get();
        if text.starts_with('"') {
            return match serde_json::from_str::<String>(text) {
                Ok(text) if text.len() <= ID_BYTES_MAX => Ok(Self::Text(text)),
                Ok(text) => Err(format!("an id of {} bytes; the maximum is {ID_BYTES_MAX}", text.len())),
                Err(error) => Err(format!("an id that is no string: {error}")),
            };
        }
        let signed = serde_json::from_str::<i64>(text).map(i128::from);
        let number = signed.or_else(|_other| serde_json::from_str::<u64>(text).map(i128::from));
        // A number that was written otherwise, such as `-0`, would be told back in other words.
        match number {
            Ok(number) if number.to_string() == text => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err("an id must be a string or an integer of 64 bits".to_owned()),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_u64(number),
                (Err(_), Err(_)) => serializer.serialize_none(),
            },
        }
    }
}

pub(super) const METHOD_BYTES_MAX: usize = 128;

pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
const UNKNOWN_METHOD: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Named;

    fn refusal(line: &str) -> (Option<Id>, i32, String) {
        let RpcError { id, code, message } = Message::parse(line.as_bytes()).unwrap_err();
        (id, code, message)
    }

    #[test]
    fn what_lines_ask_for() {
        let line =
            r#"{"jsonrpc":"2.0","id":"a","method":"call","params":{"tool":"t","arguments":{"x":1.50},"logs":true}}"#;
        let Some(Message { id, asks: Asks::Call { request, logs } }) = Message::parse(line.as_bytes()).unwrap() else {
            panic!("a call")
        };
        assert_eq!((id, logs), (Some(Id::Text("a".to_owned())), true));
        let t = Named::Tool { tool: "t".to_owned(), operation: None };
        assert_eq!((request.named, request.arguments.as_slice()), (t, &b"{\"x\":1.50}"[..]));
        let asks = |line: &str| Message::parse(line.as_bytes()).unwrap();
        let of = |id, asks| Some(Message { id, asks });
        assert_eq!(asks(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#), of(Some(Id::Number(7)), Asks::Ping));
        assert_eq!(
            asks(r#"{"params":{},"id":-7,"method":"tools","jsonrpc":"2.0"} "#),
            of(Some(Id::Number(-7)), Asks::Tools)
        );
        let cancel = asks(r#"{"jsonrpc":"2.0","method":"cancel","params":{"id":18446744073709551615}}"#);
        assert_eq!(cancel, of(None, Asks::Cancel { call: Id::Number(u64::MAX.into()) }));
    }

    #[test]
    fn a_notification_that_nothing_follows_from_is_ignored() {
        for line in [
            r#"{"jsonrpc":"2.0","method":"call","params":{"tool":"t"}}"#,
            r#"{"jsonrpc":"2.0","method":"call"}"#,
            r#"{"jsonrpc":"2.0","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","method":"tools","params":7}"#,
            r#"{"jsonrpc":"2.0","method":"nonsense"}"#,
            r#"{"jsonrpc":"2.0","method":"cancel","params":{"id":null}}"#,
        ] {
            assert_eq!(Message::parse(line.as_bytes()), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_may_not_be_asked_is_refused() {
        let one = Some(Id::Number(1));
        for (line, id, code, message) in [
            ("{", None, -32700, "EOF while parsing an object at line 1 column 1"),
            ("{\"a\"", None, -32700, "EOF while parsing an object at line 1 column 4"),
            ("[{}]", None, -32600, "batches are not taken: send each request on a line of its own"),
            ("7", None, -32700, "not an object at line 1 column 1"),
            ("{}", None, -32600, "`jsonrpc` must be \"2.0\""),
            (r#"{"id":1,"method":"ping"}"#, one.clone(), -32600, "`jsonrpc` must be \"2.0\""),
            (r#"{"jsonrpc":"2.0","id":1}"#, one.clone(), -32600, "`method` is missing"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","parms":1}"#,
                one.clone(),
                -32600,
                "unknown key `parms`, with its value at line 1 column 49; did you mean `params`?",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#,
                one.clone(),
                -32601,
                "no such method: there are `call`, `cancel`, `ping` and `tools`",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, one.clone(), -32602, "`ping` takes no params"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools","params":{"a":1}}"#,
                one.clone(),
                -32602,
                "`tools` takes no params",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"call"}"#, one.clone(), -32602, "`params` is missing"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"call","params":{"tool":"t","agnet":"a"}}"#,
                one.clone(),
                -32602,
                "unknown key `agnet`, with its value at line 1 column 70; did you mean `agent`?",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"call","params":{"tool":"t","logs":1}}"#,
                one.clone(),
                -32602,
                "`logs` must be true or false, at line 1 column 69",
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":"cancel","params":{}}"#, one, -32602, "`id` of the call is missing"),
        ] {
            assert_eq!(refusal(line), (id, code, message.to_owned()), "{line}");
        }
    }

    #[test]
    fn an_id_is_a_string_or_an_integer() {
        let with = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        for id in ["null", "1.0", "1e3", "-0", "true", "[]", "{}", "18446744073709551616", "-9223372036854775809"] {
            let (told, code, message) = refusal(&with(id));
            assert_eq!(
                (told, code, message.as_str()),
                (None, -32600, "an id must be a string or an integer of 64 bits"),
                "{id}"
            );
        }
        assert_eq!(refusal(&with(&format!("\"{}\"", "x".repeat(257)))).2, "an id of 257 bytes; the maximum is 256");
        for id in ["0", "-1", "18446744073709551615", "-9223372036854775808", "\"\"", "\"a\\nb\""] {
            let message = Message::parse(with(id).as_bytes()).unwrap().unwrap();
            assert_eq!(serde_json::to_string(&message.id.unwrap()).unwrap(), id);
        }
    }
}
