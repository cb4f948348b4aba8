//! What client and daemon say to each other: JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>), a message on each line.
//!
//! A daemon's words are hostile input: nothing here holds more than a few times the bytes of a line, and an error never repeats
//! what the line said.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::call::{Call, Claims, Reply, Tools, Usage};
use crate::failure::{Failure, Kind, Remains};
use crate::slot::FromResult;

/// A line that asks for a call.
///
/// # Errors
///
/// The arguments are not JSON.
pub(crate) fn call_line(id: u64, call: &Call) -> Result<Vec<u8>, Failure> {
    let arguments = serde_json::from_str(&call.arguments)
        .map_err(|error| Failure::new(Kind::Rejected, format!("the arguments are not JSON: {error}")))?;
    let params = CallParams {
        tool: &call.tool,
        operation: call.operation.as_deref(),
        arguments,
        stdin: call.stdin.as_deref(),
        claims: &call.claims,
        logs: call.follows_logs,
    };
    line(&Request { jsonrpc: "2.0", id: Some(id), method: "call", params: Some(params) })
}

/// A line that asks for something without parameters: `tools` or `ping`.
///
/// # Errors
///
/// None, as far as anybody knows.
pub(crate) fn plain_line(id: u64, method: &str) -> Result<Vec<u8>, Failure> {
    line(&Request::<()> { jsonrpc: "2.0", id: Some(id), method, params: None })
}

/// A line that cancels a call, and is not answered itself.
pub(crate) fn cancel_line(call: u64) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{call}}}}}\n").into_bytes()
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<P>,
}

#[derive(Serialize)]
struct CallParams<'a> {
    tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    arguments: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<&'a str>,
    #[serde(flatten)]
    claims: &'a Claims,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logs: bool,
}

fn line(request: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let unwritable = |error| Failure::new(Kind::Rejected, format!("the request cannot be written as JSON: {error}"));
    let mut line = serde_json::to_vec(request).map_err(unwritable)?;
    // Only arguments can have line breaks, and only between their parts, where JSON takes any space.
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

/// What a line of a daemon's says.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// A request has its result.
    Result {
        /// The request.
        id: u64,
        /// JSON text, of a form that depends on the request.
        result: &'a RawValue,
    },
    /// A request has failed.
    Failed {
        /// The request.
        id: u64,
        /// Why.
        failure: Failure,
    },
    /// The daemon refuses something that it cannot name: the token, the connection, a line that it could not read.
    Refused(Failure),
    /// A call logs something.
    Log {
        /// The request.
        id: u64,
        /// A piece of the log.
        text: String,
    },
    /// A notification of which this version knows nothing, and which may be passed over.
    Unknown,
}

/// Reads a line.
///
/// # Errors
///
/// What is wrong, without a word of what the line says.
pub(crate) fn parse(line: &[u8]) -> Result<Heard<'_>, String> {
    // What a daemon says to the clients of another user, whatever they speak.
    if line.starts_with(b"HTTP/1.1 403") {
        let message = "this socket's agent is another user, by the daemon's policy";
        return Ok(Heard::Refused(Failure::new(Kind::Unauthenticated, message)));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|error| wrong("a message", &error))?;
    if envelope.jsonrpc != "2.0" {
        return Err("a message that is not of JSON-RPC 2.0".to_owned());
    }
    // serde takes the members of an array for those of an object.
    if line.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err("a message that is no object".to_owned());
    }
    match envelope {
        Envelope { method: Some(method), id: None, params, result: None, error: None, .. } => match params {
            Some(params) if method == "log" => {
                let LogParams { id, text } = read(params).map_err(|error| wrong("a piece of a log", &error))?;
                Ok(Heard::Log { id, text })
            }
            None if method == "log" => Err("a piece of a log that says nothing".to_owned()),
            Some(_) | None => Ok(Heard::Unknown),
        },
        Envelope { method: None, id: Some(id), params: None, result: Some(result), error: None, .. } => {
            Ok(Heard::Result { id, result })
        }
        Envelope { method: None, id, params: None, result: None, error: Some(error), .. } => {
            let failure = failure(error)?;
            Ok(match id {
                Some(id) => Heard::Failed { id, failure },
                None => Heard::Refused(failure),
            })
        }
        Envelope { .. } => Err("a message that is neither an answer nor a notification".to_owned()),
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: String,
    // None where it is null too: a refusal without the id of a request.
    id: Option<u64>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LogParams {
    id: u64,
    text: String,
}

#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow)]
    data: FailedCall<'a>,
}

#[derive(Deserialize)]
struct FailedCall<'a> {
    ok: bool,
    call: Option<String>,
    #[serde(borrow)]
    error: &'a RawValue,
    usage: Option<UsageObject>,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

fn failure(error: &RawValue) -> Result<Failure, String> {
    let ErrorObject { data } = read(error).map_err(|error| wrong("a failure", &error))?;
    // As values it takes many times the memory of its text.
    if data.error.get().len() > DETAILS_BYTES_MAX {
        return Err(format!("a failure with details of more than {DETAILS_BYTES_MAX} bytes"));
    }
    let mut details: Map<String, Value> = read(data.error).map_err(|error| wrong("a failure", &error))?;
    // `remove` would bring the last key into the place of the one that it takes.
    let mut text = |key| match details.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) | None => Err("a failure without its kind or message".to_owned()),
    };
    let (kind, message) = (text("kind")?, text("message")?);
    if data.ok {
        return Err("a failure that says that it is none".to_owned());
    }
    let mut failure = Failure::new(Kind::of_word(&kind), message);
    failure.call = data.call;
    let FailedCall { usage, stdout, stderr, .. } = data;
    *failure.remains = Remains { details, usage: usage.map(Usage::from), stdout, stderr };
    Ok(failure)
}

/// Most bytes of what a daemon says of a failure, beside the tool's streams.
const DETAILS_BYTES_MAX: usize = 1 << 20;

/// The answer to a ping.
#[derive(Debug)]
pub(crate) struct Pong;

impl FromResult for Pong {
    fn from_result(_any: &RawValue) -> Result<Self, String> {
        Ok(Self)
    }
}

impl FromResult for Tools {
    fn from_result(result: &RawValue) -> Result<Self, String> {
        // As for the details of a failure.
        if result.get().len() > TOOLS_BYTES_MAX {
            return Err(format!("a list of tools of more than {TOOLS_BYTES_MAX} bytes"));
        }
        read(result).map_err(|error| wrong("a list of tools", &error))
    }
}

/// Most bytes of the list of tools.
const TOOLS_BYTES_MAX: usize = 16 << 20;

impl FromResult for Reply {
    fn from_result(result: &RawValue) -> Result<Self, String> {
        let answer: Answer = read(result).map_err(|error| wrong("an answer to a call", &error))?;
        if !answer.ok {
            return Err("an answer to a call that says that it is none".to_owned());
        }
        let Answer { call, output, usage, stdout, stderr, .. } = answer;
        Ok(Self { call, output: String::from(Box::<str>::from(output)), usage: usage.into(), stdout, stderr })
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    call: String,
    output: Box<RawValue>,
    usage: UsageObject,
    stdout: String,
    stderr: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UsageObject {
    fuel: Fuel,
    memory: Memory,
    time: Time,
    output_bytes: u64,
    stdio_bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fuel {
    used: u64,
    cap: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Memory {
    peak_bytes: u64,
    cap_bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Time {
    wall_us: u64,
    deadline_us: u64,
}

impl From<UsageObject> for Usage {
    fn from(told: UsageObject) -> Self {
        let UsageObject { fuel, memory, time, output_bytes, stdio_bytes } = told;
        Self {
            fuel_used: fuel.used,
            fuel_cap: fuel.cap,
            memory_peak_bytes: memory.peak_bytes,
            memory_cap_bytes: memory.cap_bytes,
            wall_us: time.wall_us,
            deadline_us: time.deadline_us,
            output_bytes,
            stdio_bytes,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, serde_json::Error> {
    let read = serde_json::from_str(json.get())?;
    // As for the message: everything that is read here is an object.
    if json.get().starts_with('{') { Ok(read) } else { Err(serde::de::Error::custom("no object")) }
}

/// serde's own words may repeat any text of the line.
fn wrong(what: &str, error: &serde_json::Error) -> String {
    let how = match error.classify() {
        Category::Data => "is not of the form that it should have",
        Category::Syntax | Category::Eof | Category::Io => "is not JSON",
    };
    format!("{what} that {how}, at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        let call = Call::new("t").arguments_text("{\n \"a\":\r\n\t\"\\n\" , \"n\": 1.00000000000000000001}");
        assert_eq!(
            String::from_utf8(call_line(7, &call).unwrap()).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"call\",\"params\":{\"tool\":\"t\",\
             \"arguments\":{  \"a\":  \t\"\\n\" , \"n\": 1.00000000000000000001}}}\n"
        );
        let claims = Claims {
            agent: Some("a".to_owned()),
            session: Some("s".to_owned()),
            decision: Some("d".to_owned()),
            reason: Some("r\n".to_owned()),
            trace: Some("c".to_owned()),
        };
        let call = Call::new("t").operation("o").stdin("\0x").claims(claims).follow_logs();
        assert_eq!(
            String::from_utf8(call_line(8, &call).unwrap()).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"call\",\"params\":{\"tool\":\"t\",\"operation\":\"o\",\"arguments\":{},\
             \"stdin\":\"\\u0000x\",\"agent\":\"a\",\"session\":\"s\",\"decision\":\"d\",\"reason\":\"r\\n\",\"trace\":\"c\",\
             \"logs\":true}}\n"
        );
        assert_eq!(plain_line(1, "ping").unwrap(), b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
        assert_eq!(cancel_line(9), b"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":9}}\n");
    }

    #[test]
    fn arguments_cannot_break_out_of_their_place() {
        for arguments in ["", "{", "{}}", "{},\"tool\":\"other\"", "1 2", "nan", "\"\n\""] {
            let failure = call_line(1, &Call::new("t").arguments_text(arguments)).unwrap_err();
            assert_eq!(failure.kind, Kind::Rejected, "{arguments}");
            assert!(failure.message.starts_with("the arguments are not JSON: "), "{}", failure.message);
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_message() {
        let head = "{\"jsonrpc\":\"2.0\"";
        for (line, what) in [
            (String::new(), "a message that is not JSON, at column 0"),
            ("tollgate".to_owned(), "a message that is not JSON, at column 2"),
            ("{}".to_owned(), "a message that is not of the form that it should have, at column 2"),
            ("[]".to_owned(), "a message that is not of the form that it should have, at column 2"),
            ("{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":1}".to_owned(), "a message that is not of JSON-RPC 2.0"),
            (format!("{head},\"id\":1"), "a message that is not JSON, at column 23"),
            (format!("{head}}}"), "a message that is neither an answer nor a notification"),
            (format!("{head},\"id\":1}}"), "a message that is neither an answer nor a notification"),
            (format!("{head},\"result\":1}}"), "a message that is neither an answer nor a notification"),
            (format!("{head},\"id\":1,\"result\":null}}"), "a message that is neither an answer nor a notification"),
            (
                format!("{head},\"id\":1,\"result\":1,\"error\":1}}"),
                "a message that is neither an answer nor a notification",
            ),
            (format!("{head},\"id\":1,\"method\":\"log\"}}"), "a message that is neither an answer nor a notification"),
            (
                format!("{head},\"id\":1,\"id\":2,\"result\":1}}"),
                "a message that is not of the form that it should have, at column 28",
            ),
            (format!("{head},\"method\":\"log\"}}"), "a piece of a log that says nothing"),
            ("[\"2.0\",1,null,null,7,null]".to_owned(), "a message that is no object"),
            (
                format!("{head},\"method\":\"log\",\"params\":[1,\"text\"]}}"),
                "a piece of a log that is not of the form that it should have, at column 0",
            ),
            (
                format!("{head},\"id\":1,\"error\":1}}"),
                "a failure that is not of the form that it should have, at column 1",
            ),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err(), what, "{line}");
        }
        for id in ["-1", "1.5", "\"1\"", "[]", "18446744073709551616"] {
            let error = parse(format!("{head},\"id\":{id},\"result\":1}}").as_bytes()).unwrap_err();
            assert!(error.starts_with("a message that is not of the form"), "{id}: {error}");
        }
        assert!(matches!(
            parse(format!("{head},\"method\":\"of-later\",\"params\":7}}").as_bytes()),
            Ok(Heard::Unknown)
        ));
    }

    #[test]
    fn what_is_said_to_another_users_client_is_a_refusal() {
        let heard = parse(b"HTTP/1.1 403 Forbidden\r").unwrap();
        let Heard::Refused(failure) = heard else { panic!("{heard:?}") };
        assert_eq!(failure.kind, Kind::Unauthenticated);
        assert!(parse(b"HTTP/1.1 200 OK\r").is_err());
    }

    #[test]
    fn a_failure_is_whole_or_none() {
        let failed = |data: &str| {
            parse(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{data}}}").as_bytes()).map(|_heard| ())
        };
        failed(r#"{"code":-32000,"message":"m","data":{"ok":false,"error":{"kind":"trap","message":"m"}}}"#).unwrap();
        for data in [
            r#"{"code":-32000,"message":"m"}"#,
            r#"{"code":-32000,"message":"m","data":{"ok":true,"error":{"kind":"trap","message":"m"}}}"#,
            r#"{"code":-32000,"message":"m","data":{"ok":false}}"#,
            r#"{"code":-32000,"message":"m","data":{"ok":false,"error":{"kind":"trap"}}}"#,
            r#"{"code":-32000,"message":"m","data":{"ok":false,"error":{"kind":7,"message":"m"}}}"#,
            r#"{"code":-32000,"message":"m","data":{"ok":false,"error":[]}}"#,
        ] {
            let error = failed(data).unwrap_err();
            assert!(error.starts_with("a failure "), "{data}: {error}");
        }
        let long = "1,".repeat(DETAILS_BYTES_MAX / 2);
        let data = format!(
            "{{\"data\":{{\"ok\":false,\"error\":{{\"kind\":\"trap\",\"message\":\"m\",\"more\":[{long}1]}}}}}}"
        );
        assert_eq!(failed(&data).unwrap_err(), "a failure with details of more than 1048576 bytes");
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let answer = |json: &str| Reply::from_result(&RawValue::from_string(json.to_owned()).unwrap());
        let reply = answer(
            r#"{"ok":true,"call":"c","output":{"n": 1.00000000000000000001 },"usage":{},"stdout":"","stderr":""}"#,
        );
        assert_eq!(reply.unwrap().output, r#"{"n": 1.00000000000000000001 }"#);
        for json in [
            "{}",
            "1",
            r#"{"ok":true,"call":"c","usage":{},"stdout":"","stderr":""}"#,
            r#"{"ok":true,"output":1,"usage":{},"stdout":"","stderr":""}"#,
            r#"{"ok":true,"call":"c","output":1,"stdout":"","stderr":""}"#,
            r#"{"ok":true,"call":"c","output":1,"usage":{},"stderr":""}"#,
            r#"{"ok":true,"call":"c","output":1,"usage":{"fuel":{"used":-1}},"stdout":"","stderr":""}"#,
            r#"{"ok":false,"call":"c","output":1,"usage":{},"stdout":"","stderr":""}"#,
        ] {
            let error = answer(json).unwrap_err();
            assert!(error.starts_with("an answer to a call that "), "{json}: {error}");
        }
    }

    #[test]
    fn a_list_of_tools_is_bounded() {
        let long = format!("{{\"tools\":[{}]}}", " ".repeat(TOOLS_BYTES_MAX));
        let error = Tools::from_result(&RawValue::from_string(long).unwrap()).unwrap_err();
        assert_eq!(error, "a list of tools of more than 16777216 bytes");
    }
}
