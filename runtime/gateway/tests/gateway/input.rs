//! What is no sound input: an error that says so or a closed connection, and no call.

use tollgate_gateway::protocol::GatewayLimits;

use crate::daemon::{Daemon, LIMITS, call_line, post};

#[test]
fn lines_that_are_refused_leave_the_connection_open() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let deep = call_line("1", "echo", &format!(",\"arguments\":{}{}", "[".repeat(200), "]".repeat(200)));
    let many = call_line("1", "echo", &format!(",\"arguments\":[{}0]", "0,".repeat(400_000)));
    for (line, code, message) in [
        ("{", -32700, "EOF while parsing an object at line 1 column 1"),
        ("nonsense", -32700, "not an object at line 1 column 1"),
        ("[{}]", -32600, "batches are not taken: send each request on a line of its own"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}",
            -32600,
            "an id must be a string or an integer of 64 bits",
        ),
        ("{\"jsonrpc\":\"1.0\",\"method\":\"ping\"}", -32600, "`jsonrpc` must be \\\"2.0\\\""),
        (&deep, -32700, "nested deeper than 127 at line 1 column"),
    ] {
        // The first byte of a connection tells what it speaks; of any other line it tells nothing.
        if !client_speaks(&mut client) {
            panic!("it is closed");
        }
        let answer = client.ask(line);
        let start = format!("{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{{\"code\":{code},\"message\":\"{message}");
        assert!(answer.starts_with(&start), "{line}: {answer}");
    }
    // They are some 800 KB, and fewer than may come: what they would become is never made here.
    assert!(client.ask(&many).contains("\"result\""));
    let unknown = client.ask("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"shutdown\"}");
    assert!(unknown.contains("\"id\":5,\"error\":{\"code\":-32601,"), "{unknown}");
    assert_eq!(daemon.asked(), 1);
}

fn client_speaks(client: &mut crate::daemon::Client) -> bool {
    client.ask("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}") == "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}"
}

#[test]
fn what_speaks_neither_protocol_is_told_once() {
    let daemon = Daemon::start(LIMITS);
    for bytes in [&b"[1]\n"[..], b"\n", b" {", b"\x16\x03\x01", b"\0", b"ssh-2.0", b"\xef\xbb\xbf{"] {
        let mut client = daemon.client();
        client.send(bytes);
        client.hang_up();
        assert_eq!(client.rest(), "tollgate: JSON-RPC 2.0 by lines, or HTTP/1.1, is spoken here\n", "{bytes:?}");
        daemon.closed(&client);
    }
    let mut client = daemon.client();
    client.send("tokenn\n");
    assert!(client.line().contains("the first line is no `token TOKEN`"));
    client.hang_up();
    assert_eq!(client.rest(), "");
    let mut client = daemon.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let told = client.rest();
    assert!(!told.contains(" 200 "), "{told}");
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn a_line_that_is_too_long_ends_its_connection_and_cancels_its_calls() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("1", "wait", "")));
    daemon.running(1);
    client.send(vec![b' '; LIMITS.body_bytes + 1]);
    let line = client.line();
    assert!(
        line.contains(
            "\"id\":null,\"error\":{\"code\":-32700,\"message\":\"a line of more than 1048576 bytes (`body_bytes`)\""
        ),
        "{line}"
    );
    daemon.cancelled(1);
    client.hang_up();
    assert_eq!(client.rest(), "");
    daemon.closed(&client);
    // As long as it may be.
    let mut client = daemon.client();
    let mut line = call_line("1", "echo", "");
    line.push_str(&" ".repeat(LIMITS.body_bytes - line.len()));
    assert!(client.ask(&line).contains("\"result\""));
}

#[test]
fn who_says_nothing_or_half_of_it_is_closed() {
    let short = GatewayLimits { idle_ms: 400, handshake_ms: 400, ..LIMITS };
    let daemon = Daemon::with(short, true, 2);
    for half in ["", "{", "token ri", "G", "GET /healthz HTTP/1.1\r\nx:"] {
        let mut client = daemon.client();
        client.send(half);
        let told = client.rest();
        // Without a token no line is read at all.
        assert!(told.is_empty() || half == "{" && told.contains("unauthenticated"), "{half}: {told}");
        daemon.closed(&client);
    }
    drop(daemon);
    let daemon = Daemon::start(short);
    for half in
        ["", "{\"jsonrpc\"", "POST /v1/call HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"]
    {
        for first in ["", "ping", "http"] {
            let mut client = daemon.client();
            match first {
                "ping" if !half.starts_with('P') => assert!(client_speaks(&mut client)),
                "http" if !half.starts_with('{') => {
                    client.send("GET /healthz HTTP/1.1\r\n\r\n");
                    client.response();
                }
                _none => {}
            }
            client.send(half);
            assert_eq!(client.rest(), "", "{first}, {half}");
            daemon.closed(&client);
        }
    }
    assert!(daemon.calls().is_empty());
}

#[test]
fn a_header_must_be_whole_in_time_however_it_trickles() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 60_000, handshake_ms: 500, ..LIMITS });
    let mut client = daemon.client();
    client.send("GET /healthz HTTP/1.1\r\n\r\n");
    client.response();
    // It may be idle for longer, but not within a header.
    client.send("GET /healthz HTTP/1.1\r\n");
    while client.try_send(b"x: y\r\n").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    daemon.closed(&client);
}

#[test]
fn a_client_that_waits_for_its_call_is_not_idle() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 400, handshake_ms: 400, ..LIMITS });
    let (mut lines, mut web) = (daemon.client(), daemon.client());
    lines.send(format!("{}\n", call_line("1", "wait-a", "")));
    web.send(post("", r#"{"tool":"wait-a"}"#));
    daemon.running(2);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    daemon.release("a");
    assert!(lines.line().contains("\"result\""));
    assert!(web.response().0.starts_with("HTTP/1.1 200"));
}
