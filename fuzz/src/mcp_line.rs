//! A message of MCP as a gateway reads it, before anybody else does.

use tollgate_gateway::parse::{Does, MESSAGE_BYTES_MAX, McpMessage, Opens, RpcError, is_json, opens};

use crate::other_reader::{members, text_of};

/// What is handed on is one short JSON object with the same id and method, without the arguments of a call; those are an object and a part of
/// the bytes as they came. What is refused is refused in few words.
pub fn mcp_line(bytes: &[u8]) {
    let opened = opens(bytes);
    match McpMessage::parse(bytes) {
        Ok(McpMessage { does: Does::Answers, text, .. }) => assert!(text.is_empty() && opened == Opens::Own),
        Ok(McpMessage { id, does, text }) => {
            assert!(text.len() <= MESSAGE_BYTES_MAX);
            let (handed, came) = (members(&text), members(bytes));
            let method = text_of(&came["method"]);
            assert_eq!((text_of(&handed["method"]), text_of(&handed["jsonrpc"]).as_str()), (method.clone(), "2.0"));
            assert_eq!(id.is_some(), handed.contains_key("id"));
            match does {
                Does::Call { arguments } => {
                    let params = members(handed["params"].get().as_bytes());
                    assert!(!params.contains_key("arguments") && params.contains_key("name"));
                    if let Some(arguments) = arguments {
                        assert!(arguments.starts_with(b"{") && is_json(&arguments));
                        assert!(bytes.windows(arguments.len()).any(|part| part == arguments));
                    }
                }
                Does::Cancel { .. } => assert_eq!(method, "notifications/cancelled"),
                Does::Other { method: told } => assert_eq!(method, told),
                Does::Answers => {}
            }
        }
        Err(RpcError { code, message, .. }) => {
            assert!([-32700, -32600, -32602].contains(&code), "{code}");
            assert!(
                message.len() < 1000 && !message.is_empty() && !message.chars().any(char::is_control),
                "{message:?}"
            );
        }
    }
}
