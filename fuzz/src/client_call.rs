//! A call as a client writes it, read by a gateway.

use serde_json::Value;
use tollgate_client::{Call, Claims, parse::client_line};
use tollgate_gateway::parse::{Asks, Message, is_json};
use tollgate_gateway::protocol::Named;

/// By lines: tool, operation, a claim, then the arguments. What a client writes is one line; where a gateway takes it, it is this call,
/// with arguments that mean the same; and only arguments that are no JSON are refused before they are sent.
pub fn client_call(bytes: &[u8]) {
    let Some(text) = super::text(bytes) else { return };
    let mut parts = text.splitn(4, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (tool, operation, claim, arguments) = (part(), part(), part(), part());
    let claims = Claims { agent: Some(claim.clone()), ..Claims::default() };
    let call = Call::new(&tool).operation(&operation).claims(claims).arguments_text(&arguments);
    let line = match client_line(7, &call) {
        Ok(line) => line,
        Err(failure) => {
            assert!(!is_json(arguments.as_bytes()), "{}", failure.message);
            return;
        }
    };
    let [whole @ .., b'\n'] = line.as_slice() else { panic!("no line: {line:?}") };
    assert!(!whole.contains(&b'\n'));
    // A gateway refuses names and claims that are too long, or steer a terminal.
    let Ok(Some(Message { id: _, asks })) = Message::parse(whole) else { return };
    let Asks::Call { request, .. } = asks else { panic!("no call: {line:?}") };
    assert_eq!(request.named, Named::Tool { tool, operation: Some(operation) });
    assert_eq!(request.claims.agent, Some(claim));
    let value = |text: &[u8]| serde_json::from_slice::<Value>(text).ok();
    assert_eq!(value(&request.arguments), value(arguments.as_bytes()));
}
