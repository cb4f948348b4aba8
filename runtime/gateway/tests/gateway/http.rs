//! HTTP: what is answered, byte by byte; what is refused, and how.

use crate::daemon::{CALL_ID, Daemon, LIMITS, RECEIPT, post};

const JSON: &str = "\r\ncontent-type: application/json";

#[test]
fn answers_byte_by_byte() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send("GET /healthz HTTP/1.1\r\n\r\n");
    let (head, body) = client.response();
    assert_eq!(
        (head.as_str(), body.as_str()),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3", "ok\n")
    );
    client.send("GET /readyz HTTP/1.1\r\n\r\n");
    let (head, body) = client.response();
    assert_eq!(head, format!("HTTP/1.1 200 OK{JSON}\r\ncontent-length: 23"));
    assert_eq!(body, r#"{"ready":true,"why":[]}"#);
    client.send("GET /v1/tools HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().1, r#"[{"name":"echo"}]"#);
    let (head, body) = client.post(r#"{"tool":"echo","arguments": [1.000000000000000000001 , "\u00e9"],"stdin":"é"}"#);
    assert!(head.starts_with(&format!("HTTP/1.1 200 OK{JSON}\r\ncontent-length: ")), "{head}");
    assert_eq!(
        body,
        r#"{"ok":true,"call":"c","output":[1.000000000000000000001 , "\u00e9"],"usage":{"fuel":1},"stdout":"é","stderr":""}"#
    );
    let (_, body) = client.post(r#"{"tool":"lines"}"#);
    assert!(body.contains("\"output\":{\n \"a\": 1\n},"), "{body}");
}

#[test]
fn each_kind_of_failure_has_its_status() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    for (kind, status) in [
        ("rejected", "400 Bad Request"),
        ("violation", "403 Forbidden"),
        ("unknown-tool", "404 Not Found"),
        ("tool", "422 Unprocessable Entity"),
        ("cap", "422 Unprocessable Entity"),
        ("worker", "500 Internal Server Error"),
        ("internal", "500 Internal Server Error"),
    ] {
        let (head, body) = client.post(&format!("{{\"tool\":\"fail-{kind}\"}}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}{JSON}")), "{head}");
        assert_eq!(
            body,
            format!(
                "{{\"ok\":false,\"call\":\"c\",\"error\":{{\"kind\":\"{kind}\",\"message\":\"it is {kind}\"}},\"usage\":{{\"fuel\":1}},\
                 \"stdout\":\"\",\"stderr\":\"err\"}}"
            )
        );
    }
    let (head, _) = client.post(r#"{"tool":"fail-busy"}"#);
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("\r\nretry-after: 1"), "{head}");
    let (head, _) = client.post(r#"{"tool":"fail-cancelled"}"#);
    assert!(head.starts_with("HTTP/1.1 499 "), "{head}");
}

#[test]
fn what_is_no_request_of_ours_is_refused() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let mut refused = |request: &str, status: &str, message: &str| {
        client.send(request);
        let (head, body) = client.response();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {head}");
        assert_eq!(
            body,
            format!("{{\"ok\":false,\"error\":{{\"kind\":\"rejected\",\"message\":\"{message}\"}}}}"),
            "{request}"
        );
        head
    };
    refused(
        "GET / HTTP/1.1\r\n\r\n",
        "404",
        "no such path: there are /healthz, /readyz, /v1/tools, /v1/call, /v1/receipts/CALL and /mcp",
    );
    let head = refused("DELETE /v1/call HTTP/1.1\r\n\r\n", "405", "this path takes POST");
    assert!(head.contains("\r\nallow: POST"), "{head}");
    let head = refused("POST /healthz HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "405", "this path takes GET");
    assert!(head.contains("\r\nallow: GET") && !head.contains("access-control"), "{head}");
    let text = "POST /v1/call HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}";
    refused(text, "415", "the Content-Type must be application/json");
    refused(
        "POST /v1/call HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
        "415",
        "the Content-Type must be application/json",
    );
    refused(&post("", "{\n\"tool\" 1}"), "400", "expected `:` at line 2 column 8");
    refused(
        &post("", r#"{"tool":"echo","arguements":{}}"#),
        "400",
        "unknown key `arguements`, with its value at line 1 column 29; did you mean `arguments`?",
    );
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn a_receipt_is_at_its_calls_name() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let mut get = |call: &str| {
        client.send(format!("GET /v1/receipts/{call} HTTP/1.1\r\n\r\n"));
        client.response()
    };
    let (head, body) = get(CALL_ID);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("\r\ncontent-type: text/plain\r\n"), "{head}");
    assert_eq!(body, RECEIPT);
    let (head, body) = get("00000000000000000000000000000000");
    let none = r#"{"ok":false,"error":{"kind":"unknown-call","message":"there is no receipt of this call here"}}"#;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    assert_eq!(body, none);
    for call in ["", "x", &CALL_ID.to_uppercase(), &format!("{CALL_ID}0"), "%2e%2e/call"] {
        let (head, body) = get(call);
        assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
        assert_eq!(
            body,
            format!(r#"{{"ok":false,"error":{{"kind":"unknown-call","message":"`{call}` is no name of a call"}}}}"#)
        );
    }
    assert_eq!(daemon.asked(), 2);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let daemon = Daemon::start(LIMITS);
    let too_large =
        r#"{"ok":false,"error":{"kind":"rejected","message":"the body has more than 1048576 bytes (`body_bytes`)"}}"#;
    let mut client = daemon.client();
    client.send(format!("POST /v1/call HTTP/1.1{JSON}\r\ncontent-length: {}\r\n\r\n", LIMITS.body_bytes + 1));
    let (head, body) = client.response();
    assert!(head.starts_with("HTTP/1.1 413") && head.contains("\r\nconnection: close"), "{head}");
    assert_eq!((body.as_str(), client.rest()), (too_large, String::new()));
    let mut client = daemon.client();
    client.send(format!("POST /v1/call HTTP/1.1{JSON}\r\ntransfer-encoding: chunked\r\n\r\n"));
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    // It may be closed while this is written.
    for _chunk in 0..=16 {
        client.try_send(chunk.as_bytes()).unwrap_or_default();
    }
    let (head, body) = client.response();
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    assert_eq!(body, too_large);
    let mut client = daemon.client();
    client.send(format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(LIMITS.header_bytes)));
    assert!(client.rest().starts_with("HTTP/1.1 431"));
    assert_eq!(daemon.asked(), 0);
}

/// The status is the parser's, without a body. TCP would take it back from a client whose bytes are left unread.
#[test]
fn what_is_no_http_is_answered_by_a_status_that_is_not_lost() {
    let daemon = Daemon::start(LIMITS);
    let rest = "x".repeat(1 << 20);
    for (request, status) in [
        (format!("GET /healthz HTTP/1.1\r\nx: {rest}"), "431 Request Header Fields Too Large"),
        (format!("GET a b c HTTP/1.1\r\n\r\n{rest}"), "400 Bad Request"),
        (format!("GET / HTTP/9.9\r\n\r\n{rest}"), "400 Bad Request"),
        (format!("GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n{rest}"), "400 Bad Request"),
    ] {
        let (over_tcp, _port) = daemon.tcp_client();
        for mut client in [daemon.client(), over_tcp] {
            client.send(&request);
            client.hang_up();
            assert_eq!(client.rest(), format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
            daemon.closed(&client);
        }
    }
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn over_tcp_web_pages_are_not_served() {
    let daemon = Daemon::start(LIMITS);
    let (mut client, port) = daemon.tcp_client();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        client.send(format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert!(client.response().0.starts_with("HTTP/1.1 200 OK"), "{host}");
    }
    let own = format!("host: localhost:{port}\r\n");
    for headers in [
        "",
        "host: localhost\r\n",
        "host: evil.example\r\n",
        &format!("host: evil.example:{port}\r\n"),
        &format!("{own}host: evil.example\r\n"),
        &format!("{own}origin: http://localhost\r\n"),
        &format!("{own}origin: http://localhost:{}\r\n", port ^ 1),
        &format!("{own}origin: http://evil.example:{port}\r\n"),
        &format!("{own}origin: null\r\n"),
    ] {
        client.send(format!("GET /healthz HTTP/1.1\r\n{headers}\r\n"));
        let (head, _) = client.response();
        assert!(head.starts_with("HTTP/1.1 403 Forbidden"), "{headers}: {head}");
        assert!(!head.contains("access-control"), "{head}");
    }
    client.send(format!("GET http://evil.example/healthz HTTP/1.1\r\n{own}\r\n"));
    assert!(client.response().0.starts_with("HTTP/1.1 403 Forbidden"));
    // No page comes from the port itself.
    client.send(format!("GET /healthz HTTP/1.1\r\n{own}origin: http://localhost:{port}\r\n\r\n"));
    assert!(client.response().0.starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn requests_in_a_row_are_answered_in_their_order() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let calls: String = (0..50).map(|n| post("", &format!("{{\"tool\":\"echo\",\"arguments\":{n}}}"))).collect();
    client.send(calls);
    for n in 0..50 {
        let (_, body) = client.response();
        assert!(body.contains(&format!("\"output\":{n},")), "{body}");
    }
}

#[test]
fn a_second_request_inside_a_first_is_never_answered() {
    let daemon = Daemon::start(LIMITS);
    let inside = "GET /healthz HTTP/1.1\r\n\r\n";
    let start = format!("POST /v1/call HTTP/1.1{JSON}\r\n");
    for headers in
        ["content-length: 5\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"]
    {
        let mut client = daemon.client();
        client.send(format!("{start}{headers}\r\n0\r\n\r\n{inside}"));
        let answers = client.rest();
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(answers.starts_with("HTTP/1.1 400"), "{answers}");
    }
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "content-length: +5\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "content-length : 5\r\n",
        "x: a\r\n folded: b\r\n",
        "x: a\0b\r\n",
        "x: a\rb\r\n",
        "\u{e9}: a\r\n",
    ] {
        let mut client = daemon.client();
        client.send(format!("{start}{headers}\r\n{inside}"));
        let answers = client.rest();
        assert!(
            answers.starts_with("HTTP/1.1 400") && answers.matches("HTTP/1.1 ").count() == 1,
            "{headers:?}: {answers}"
        );
    }
    assert_eq!(daemon.asked(), 0);
    // A line may end without its carriage return (RFC 9112, 2.2): it is one line then, whoever reads it.
    let mut client = daemon.client();
    client.send(format!("GET /healthz HTTP/1.1\nx: a\n\n{inside}"));
    assert_eq!((client.response().1, client.response().1), ("ok\n".to_owned(), "ok\n".to_owned()));
}

#[test]
fn a_client_that_goes_away_cancels_its_call() {
    let daemon = Daemon::with(LIMITS, false, 1);
    let mut client = daemon.client();
    client.send(post("", r#"{"tool":"wait"}"#));
    daemon.running(1);
    drop(client);
    daemon.cancelled(1);
    let mut client = daemon.client();
    assert!(client.post(r#"{"tool":"echo"}"#).0.starts_with("HTTP/1.1 200"));
}
