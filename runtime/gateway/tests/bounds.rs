//! What a client may cost, measured in a process of its own: a test for each would share its memory with the others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[path = "gateway/daemon.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod daemon;

use daemon::{Client, Daemon, LIMITS, call_line};
use tollgate_gateway::protocol::GatewayLimits;

/// The most memory that this process has had, in KiB (`proc_pid_status(5)`).
fn peak_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn serves(client: &mut Client) {
    assert!(client.ask(&call_line("1", "echo", ",\"arguments\":7")).contains("\"output\":7"));
}

#[test]
fn no_client_costs_more_than_its_bounds_and_others_are_served_on() {
    let daemon = Daemon::start(GatewayLimits { idle_ms: 1000, handshake_ms: 1000, ..LIMITS });
    let before = peak_kib();
    let grown = |what: &str| {
        let grown = peak_kib().saturating_sub(before);
        assert!(grown < 48 << 10, "{what}: {grown} KiB");
        let mut other = daemon.client();
        serves(&mut other);
    };

    // 100 MiB in one line, as one body by its chunks, and behind a header that announces little.
    let piece = vec![b'x'; 1 << 16];
    let flood = |start: &str, piece: &[u8]| {
        let mut client = daemon.client();
        client.send(start);
        let sent = (0..1600).take_while(|_piece| client.try_send(piece).is_ok()).count();
        daemon.closed(&client);
        (sent, client.rest())
    };
    let (_, told) = flood("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"", &piece);
    assert!(told.contains("\"code\":-32700"), "{told}");
    grown("a line");
    let start = "POST /v1/call HTTP/1.1\r\ncontent-type: application/json\r\n";
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
    let (sent, told) = flood(&format!("{start}transfer-encoding: chunked\r\n\r\n"), &chunk);
    assert!(sent < 1600 && told.starts_with("HTTP/1.1 413"), "{sent}: {told}");
    grown("a body");
    let (sent, told) = flood(&format!("{start}content-length: 4\r\n\r\nnull"), &piece);
    assert!(sent < 1600 && told.starts_with("HTTP/1.1 400"), "{sent}: {told}");
    grown("what is behind a body");
    let (sent, told) = flood("GET /", &piece);
    assert!(sent < 1600 && told.starts_with("HTTP/1.1 4"), "{sent}: {told}");
    grown("a path");

    // A million requests, of which no answer is read.
    for request in [
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n".to_owned(),
        format!("{}\n", call_line("1", "echo", "")),
        "{\"jsonrpc\":\"2.0\",\"id\":null}\n".to_owned(),
        "GET /healthz HTTP/1.1\r\n\r\n".to_owned(),
        "GET /v1/tools HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let mut client = daemon.client();
        let many = request.repeat(1000);
        let sent = (0..1000).take_while(|_thousand| client.try_send(many.as_bytes()).is_ok()).count();
        assert!(sent < 1000, "{request}: all was read");
        daemon.closed(&client);
        grown(&request);
    }

    // An answer that is long, and that nobody reads.
    let mut client = daemon.client();
    for id in 0..8 {
        client.send(format!("{}\n", call_line(&id.to_string(), "big", "")));
    }
    daemon.closed(&client);
    let mut other = daemon.client();
    serves(&mut other);
}
