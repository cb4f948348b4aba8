//! MCP over HTTP: who is let in, both eras, headers that lie, and what a closed connection withdraws.

use serde_json::{Value, json};
use tollgate_gateway::protocol::{GatewayLimits, ToGateway};

use crate::daemon::{Client, Daemon, LIMITS};

const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"}}"#;

const OLD: &str = "mcp-protocol-version: 2025-11-25\r\n";

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    let host = if headers.contains("host:") { "" } else { "host: localhost\r\n" };
    format!(
        "POST /mcp HTTP/1.1\r\n{host}content-type: application/json\r\naccept: application/json, text/event-stream\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

fn modern(method: &str, name: Option<&str>, params: &str) -> String {
    let name = name.map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    let headers = format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{META}{params}}}}}"#);
    post(&headers, &body)
}

fn asked(client: &mut Client, request: &str) -> (String, Value) {
    client.send(request);
    let (head, body) = client.response();
    let status = head.lines().next().unwrap().to_owned();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

const OK: &str = "HTTP/1.1 200 OK";

#[test]
fn both_eras_on_one_connection() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;
    let (status, opened) = asked(&mut client, &post("", initialize));
    assert_eq!((status.as_str(), &opened["result"]["protocolVersion"]), (OK, &json!("2025-11-25")));
    let (status, _none) = asked(&mut client, &post(OLD, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#));
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let (_ok, old) = asked(&mut client, &post(OLD, list));
    let (_ok, new) = asked(&mut client, &modern("tools/list", None, ""));
    assert_eq!(old["result"]["tools"], new["result"]["tools"]);
    assert_eq!((&old["result"]["resultType"], &new["result"]["resultType"]), (&Value::Null, &json!("complete")));
    let call = r#","name":"echo_say","arguments":{"n": 1.00000000000000000000001}"#;
    let (status, called) = asked(&mut client, &modern("tools/call", Some("echo_say"), call));
    assert_eq!((status.as_str(), &called["result"]["structuredContent"]), (OK, &json!({ "n": 1.0 })));
    let asked_for = daemon.known.asked.lock().unwrap();
    assert_eq!(asked_for.last().unwrap().1[0], br#"{"n": 1.00000000000000000000001}"#);
    drop(asked_for);
    let (_ok, called) = asked(
        &mut client,
        &post(OLD, r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo_say"}}"#),
    );
    assert_eq!(called["result"]["structuredContent"], json!({}));
}

#[test]
fn headers_that_lie_make_no_call() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let call = r#","name":"echo_say","arguments":{}"#;
    let (status, error) = asked(&mut client, &modern("tools/call", Some("other_name"), call));
    assert_eq!((status.as_str(), &error["error"]["code"]), ("HTTP/1.1 400 Bad Request", &json!(-32020)));
    let lies = modern("tools/call", Some("echo_say"), call).replace("mcp-method: tools/call", "mcp-method: tools/list");
    assert_eq!(asked(&mut client, &lies).1["error"]["code"], -32020);
    let version = modern("tools/call", Some("echo_say"), call).replace("version: 2026-07-28", "version: 2025-11-25");
    assert_ne!(asked(&mut client, &version).0, OK);
    assert_eq!(asked(&mut client, &post("", "{")).1["error"]["code"], -32700);
    assert_eq!(asked(&mut client, &post("", "[]")).1["error"]["code"], -32600);
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn only_posts_of_json_are_taken() {
    let daemon = Daemon::start(GatewayLimits { body_bytes: 1000, ..LIMITS });
    let mut client = daemon.client();
    for method in ["GET", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\n\r\n"
        );
        client.send(request);
        let (head, _body) = client.response();
        assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("allow: POST"), "{method}: {head}");
    }
    let text = modern("tools/list", None, "").replace("application/json\r\naccept", "text/plain\r\naccept");
    assert_eq!(asked(&mut client, &text).0, "HTTP/1.1 415 Unsupported Media Type");
    client.send(post("", &"x".repeat(1001)));
    assert!(client.rest().starts_with("HTTP/1.1 413 "));
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn web_pages_and_other_hosts_are_turned_away() {
    let daemon = Daemon::start(LIMITS);
    let (mut client, port) = daemon.tcp_client();
    let to = |host: &str, more: &str| {
        modern("tools/list", None, "").replace("host: localhost", &format!("host: {host}{more}"))
    };
    for request in [
        to("evil.example", ""),
        to(&format!("evil.example:{port}"), ""),
        to(&format!("localhost:{port}"), "\r\norigin: http://evil.example"),
        to(&format!("localhost:{port}"), &format!("\r\norigin: https://localhost:{port}")),
        to(&format!("localhost:{port}"), &format!("\r\norigin: http://localhost:{}", port ^ 1)),
        to(
            &format!("localhost:{port}"),
            &format!("\r\norigin: http://localhost:{port}\r\norigin: http://evil.example"),
        ),
        to(&format!("localhost:{port}"), "\r\norigin: null"),
    ] {
        assert_eq!(asked(&mut client, &request).0, "HTTP/1.1 403 Forbidden", "{request}");
    }
    assert_eq!(daemon.asked(), 0);
    assert_eq!(asked(&mut client, &to(&format!("127.0.0.1:{port}"), "")).0, OK);
    // No page comes from the port itself.
    let own = to(&format!("127.0.0.1:{port}"), &format!("\r\norigin: http://localhost:{port}"));
    assert_eq!(asked(&mut client, &own).0, OK);
    // Over the socket there is no other host, but a page's word is a page's word.
    let mut local = daemon.client();
    let page = modern("tools/list", None, "").replace("host: localhost", "host: x\r\norigin: http://evil.example");
    assert_eq!(asked(&mut local, &page).0, "HTTP/1.1 403 Forbidden");
}

#[test]
fn nothing_is_answered_before_the_token() {
    let daemon = Daemon::with(LIMITS, true, 8);
    let mut client = daemon.client();
    assert_eq!(asked(&mut client, &modern("tools/list", None, "")).0, "HTTP/1.1 401 Unauthorized");
    let right = modern("tools/list", None, "").replace("accept:", "authorization: Bearer right\r\naccept:");
    assert_eq!(asked(&mut client, &right).0, OK);
    let mut wrong = daemon.client();
    let request = right.replace("Bearer right", "Bearer wrong");
    assert_eq!(asked(&mut wrong, &request).0, "HTTP/1.1 401 Unauthorized");
}

#[test]
fn a_closed_connection_withdraws_its_call() {
    let daemon = Daemon::with(LIMITS, false, 1);
    for (number, request) in [
        modern("tools/call", Some("wait_x"), r#","name":"wait_x""#),
        post(OLD, r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait_x"}}"#),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = daemon.client();
        client.send(request);
        daemon.running(1);
        client.hang_up();
        daemon.cancelled(number + 1);
        daemon.closed(&client);
        // Its lane is free, so that the next call that runs is another one.
        daemon.running(0);
    }
    let mut after = daemon.client();
    assert_eq!(asked(&mut after, &modern("tools/call", Some("echo_say"), r#","name":"echo_say""#)).0, OK);
}

/// Both clients give their requests the same ids.
#[test]
fn a_client_of_the_first_era_takes_a_call_back_from_another_connection() {
    let daemon = Daemon::with(LIMITS, false, 2);
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait_x"}}"#;
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}"#;
    let [mut first, second] = [0, 1].map(|_client| {
        let mut client = daemon.client();
        client.send(post("", initialize));
        let (head, _opened) = client.response();
        let name = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
        client.send(post(&format!("{OLD}mcp-session-id: {name}\r\n"), call));
        (client, name)
    });
    assert_ne!(first.1, second.1);
    daemon.running(2);
    let mut other = daemon.client();
    let mut cancel = |session: &str| asked(&mut other, &post(&format!("{OLD}{session}"), cancel)).0;
    let nobodys = "mcp-session-id: 00000000000000000000000000000000\r\n".to_owned();
    for session in [String::new(), nobodys, format!("mcp-session-id: {}\r\n", "n".repeat(5_000))] {
        assert_eq!(cancel(&session), "HTTP/1.1 202 Accepted");
    }
    assert_eq!(cancel(&format!("mcp-session-id: {}\r\n", first.1)), "HTTP/1.1 202 Accepted");
    daemon.cancelled(1);
    daemon.running(1);
    let answer: Value = serde_json::from_str(&first.0.response().1).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["message"]), (&json!(1), &json!("cancelled by the client")));
    // It is over, so that the same word again is about nothing.
    cancel(&format!("mcp-session-id: {}\r\n", first.1));
    assert_eq!(asked(&mut first.0, &modern("tools/call", Some("echo_say"), r#","name":"echo_say""#)).0, OK);
    second.0.hang_up();
    daemon.cancelled(2);
}

#[test]
fn a_listener_hears_of_changes_on_its_stream() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 200, ..LIMITS });
    let mut client = daemon.client();
    client.send(modern("subscriptions/listen", None, r#","notifications":{"toolsListChanged":true}"#));
    let mut until = |what: &str| {
        loop {
            let line = client.line();
            if line.contains(what) {
                return line;
            }
        }
    };
    until("notifications/subscriptions/acknowledged");
    // Nobody else is held up, and silence does not end it.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let mut other = daemon.client();
    assert_eq!(asked(&mut other, &modern("tools/list", None, "")).0, OK);
    daemon.say(&ToGateway::Changed);
    until("notifications/tools/list_changed");
    daemon.say(&ToGateway::Drain);
    until(r#""id":1"#);
    drop(client);
    daemon.ended();
}

#[test]
fn the_list_has_a_form_for_each_provider() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let mut get = |query: &str| {
        client.send(format!("GET /v1/tools{query} HTTP/1.1\r\nhost: x\r\n\r\n"));
        client.response()
    };
    assert!(get("?format=mcp").1.contains("echo_say"));
    for query in ["", "?", "?format=openai", "?format=anthropic", "?format=gemini", "?format=tollgate"] {
        assert!(get(query).0.starts_with(OK), "{query}");
    }
    assert!(get("?format=other").0.starts_with("HTTP/1.1 400 "));
}
