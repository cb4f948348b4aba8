//! A line of JSON-RPC as a gateway reads it.

use serde_json::Value;
use tollgate_gateway::parse::{
    Asks, CLAIM_BYTES_MAX, CallRequest, ID_BYTES_MAX, Id, Message, NAME_BYTES_MAX, RpcError, is_json,
};
use tollgate_gateway::protocol::Named;

use crate::other_reader::{members, text_of};

/// What is taken is one JSON object by another reader too, with this id and this method, and its arguments are a part of the line
/// byte by byte. What is refused is refused in few words, under one of the codes of the specification. As the body of an HTTP
/// request the bytes are held to the same.
pub fn rpc_line(bytes: &[u8]) {
    match Message::parse(bytes) {
        Ok(None) => {}
        Ok(Some(message)) => is_said(bytes, &message),
        Err(RpcError { id, code, message }) => {
            assert!([-32700, -32600, -32601, -32602].contains(&code), "{code}");
            is_short(&message);
            id.iter().for_each(is_bounded);
        }
    }
    match CallRequest::parse(bytes) {
        Ok(call) => is_part(bytes, &call),
        Err(problem) => is_short(&problem),
    }
}

fn is_said(line: &[u8], Message { id, asks }: &Message) {
    let read = members(line);
    assert_eq!(text_of(&read["jsonrpc"]), "2.0");
    match id {
        Some(id) => {
            let told = serde_json::to_string(id).expect("JSON");
            assert_eq!(value(&told), value(read["id"].get()));
        }
        None => assert!(!read.contains_key("id") && matches!(asks, Asks::Cancel { .. })),
    }
    id.iter().for_each(is_bounded);
    let method = match asks {
        Asks::Ping => "ping",
        Asks::Tools => "tools",
        Asks::Call { request, .. } => {
            let params = members(read["params"].get().as_bytes());
            match &request.named {
                Named::Tool { tool, .. } => assert_eq!(&text_of(&params["tool"]), tool),
                Named::Offered { name } => assert_eq!(&text_of(&params["name"]), name),
            }
            is_part(line, request);
            "call"
        }
        Asks::Cancel { call } => {
            is_bounded(call);
            "cancel"
        }
    };
    assert_eq!(text_of(&read["method"]), method);
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("a value")
}

fn is_part(text: &[u8], call: &CallRequest) {
    let arguments = call.arguments.as_slice();
    assert!(arguments == b"{}" || text.windows(arguments.len()).any(|part| part == arguments));
    assert!(is_json(arguments));
    let (Named::Tool { tool: name, .. } | Named::Offered { name }) = &call.named;
    assert!(name.len() <= NAME_BYTES_MAX);
    let claims = &call.claims;
    let claims = [&claims.agent, &claims.session, &claims.decision, &claims.reason, &claims.trace];
    assert!(claims.into_iter().flatten().all(|claim| claim.len() <= CLAIM_BYTES_MAX));
}

fn is_bounded(id: &Id) {
    assert!(serde_json::to_string(id).expect("JSON").len() <= 6 * ID_BYTES_MAX + 2);
}

/// A message goes to whoever sent the line, and may be shown on a terminal.
fn is_short(message: &str) {
    assert!(message.len() < 1000 && !message.is_empty(), "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}
