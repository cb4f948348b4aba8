//! A request to call a tool, which HTTP has as its body and JSON-RPC as its params.

use serde_json::value::RawValue;

use super::json::Members;
use crate::protocol::{Claims, Named};

/// Most bytes of the name of a tool or an operation.
pub const NAME_BYTES_MAX: usize = 256;

/// Whether a text can be a call's name in the ledger: 32 small hexadecimal digits.
#[must_use]
pub fn is_call_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Most bytes of each claim.
pub const CLAIM_BYTES_MAX: usize = 16 << 10;

/// A call that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRequest {
    /// What is called.
    pub named: Named,
    /// JSON text, byte for byte as it came; `{}` where none did.
    pub arguments: Vec<u8>,
    /// What the tool may read from stdin.
    pub stdin: Vec<u8>,
    /// What the client says of itself.
    pub claims: Claims,
}

impl CallRequest {
    /// Reads the body of an HTTP request.
    ///
    /// # Errors
    ///
    /// What is wrong, with line and column.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let mut members = Members::read(body)?;
        let request = Self::take(&mut members)?;
        members.must_be_empty(KEYS)?;
        Ok(request)
    }

    /// Reads the params of JSON-RPC, and whether logs are wanted.
    pub(super) fn parse_params(text: &str, params: &RawValue) -> Result<(Self, bool), String> {
        let mut members = Members::inside(text, params)?;
        let logs = match members.take("logs").map(|value| (value, value.get())) {
            None | Some((_, "false" | "null")) => false,
            Some((_, "true")) => true,
            Some((value, _other)) => return Err(format!("`logs` must be true or false, at {}", members.place(value))),
        };
        let request = Self::take(&mut members)?;
        members.must_be_empty(&[KEYS, &["logs"]].concat())?;
        Ok((request, logs))
    }

    fn take(members: &mut Members<'_>) -> Result<Self, String> {
        let tool = members.take_text("tool", NAME_BYTES_MAX)?;
        let operation = members.take_text("operation", NAME_BYTES_MAX)?;
        let name = members.take_text("name", NAME_BYTES_MAX)?;
        let arguments = members.take("arguments").map_or("{}", RawValue::get).as_bytes().to_vec();
        let stdin = members.take_text("stdin", usize::MAX)?.unwrap_or_default().into_bytes();
        let mut claim = |key| members.take_text(key, CLAIM_BYTES_MAX);
        let claims = Claims {
            agent: claim("agent")?,
            session: claim("session")?,
            decision: claim("decision")?,
            reason: claim("reason")?,
            trace: claim("trace")?,
        };
        // Last: who misspelt a key is told of that first.
        let named = match (tool, operation, name) {
            (Some(tool), operation, None) => Named::Tool { tool, operation },
            (None, None, Some(name)) => Named::Offered { name },
            (None, _, None) => {
                members.must_be_empty(KEYS)?;
                return Err("`tool` is missing".to_owned());
            }
            (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
                return Err("`name` stands for both `tool` and `operation`: give it alone, or those".to_owned());
            }
        };
        Ok(Self { named, arguments, stdin, claims })
    }
}

/// The keys of a request.
const KEYS: &[&str] =
    &["tool", "operation", "name", "arguments", "stdin", "agent", "session", "decision", "reason", "trace"];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tool: &str, operation: Option<&str>) -> Named {
        Named::Tool { tool: tool.to_owned(), operation: operation.map(str::to_owned) }
    }

    #[test]
    fn an_offered_name_stands_alone() {
        let named = CallRequest::parse(br#"{"name":"a_b"}"#).unwrap().named;
        assert_eq!(named, Named::Offered { name: "a_b".to_owned() });
        for body in [r#"{"name":"a_b","tool":"a"}"#, r#"{"name":"a_b","operation":"b"}"#] {
            let problem = CallRequest::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem, "`name` stands for both `tool` and `operation`: give it alone, or those", "{body}");
        }
    }

    #[test]
    fn arguments_stay_as_they_came() {
        let body = br#"{"tool":"echo","arguments": {"n": 0.10000000000000000000000000001, "big":18446744073709551617 ,"s":"\u00e9\/"} }"#;
        let request = CallRequest::parse(body).unwrap();
        let arguments = r#"{"n": 0.10000000000000000000000000001, "big":18446744073709551617 ,"s":"\u00e9\/"}"#;
        assert_eq!(request.arguments, arguments.as_bytes());
        assert_eq!((request.named, request.stdin), (of("echo", None), Vec::new()));
        assert_eq!(request.claims, Claims::default());
        assert_eq!(CallRequest::parse(br#"{"tool":"t"}"#).unwrap().arguments, b"{}");
        assert_eq!(CallRequest::parse(br#"{"tool":"t","arguments":null}"#).unwrap().arguments, b"null");
    }

    #[test]
    fn each_key_has_its_place() {
        let body = br#"{"tool":"t","operation":"o","stdin":"\u0000x","agent":"a","session":"s","decision":"d","reason":"r","trace":"c"}"#;
        let request = CallRequest::parse(body).unwrap();
        assert_eq!((request.named, request.stdin), (of("t", Some("o")), b"\0x".to_vec()));
        let Claims { agent, session, decision, reason, trace } = request.claims;
        let claims = [agent, session, decision, reason, trace].map(Option::unwrap);
        assert_eq!(claims, ["a", "s", "d", "r", "c"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (body, problem) in [
            (r#"{}"#, "`tool` is missing"),
            (r#"{"tol":"t"}"#, "unknown key `tol`, with its value at line 1 column 8; did you mean `tool`?"),
            (
                r#"{"tool":"t","logs":true}"#,
                "unknown key `logs`, with its value at line 1 column 20; known are `tool`, `operation`, `name`, `arguments`, `stdin`, \
                 `agent`, `session`, `decision`, `reason`, `trace`",
            ),
            (r#"{"tool":7}"#, "`tool` must be a string, at line 1 column 9"),
            (r#"{"tool":null}"#, "`tool` is missing"),
            ("{\"tool\":\"t\",\n\"agent\":[]}", "`agent` must be a string, at line 2 column 9"),
            (r#"{"tool":"t","stdin":"\ud800"}"#, "`stdin` must be a string, at line 1 column 21"),
        ] {
            let found = CallRequest::parse(body.as_bytes()).unwrap_err();
            assert_eq!(found, problem, "{body}");
        }
        let long = |key: &str, bytes: usize| format!(r#"{{"tool":"t","{key}":"{}"}}"#, "x".repeat(bytes));
        assert!(CallRequest::parse(long("reason", CLAIM_BYTES_MAX).as_bytes()).is_ok());
        let error = CallRequest::parse(long("reason", CLAIM_BYTES_MAX + 1).as_bytes()).unwrap_err();
        assert_eq!(error, "`reason` has 16385 bytes; the maximum is 16384; at line 1 column 22");
        assert!(CallRequest::parse(long("operation", NAME_BYTES_MAX + 1).as_bytes()).is_err());
    }
}
