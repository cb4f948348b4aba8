//! Nothing is answered before a right token.

use tollgate_gateway::protocol::{Asked, GatewayLimits};

use crate::daemon::{Daemon, LIMITS, call_line, post};

const NONE: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"this agent's clients show a token first: `tollgate serve token add` makes one","data":{"ok":false,"error":{"kind":"unauthenticated","message":"this agent's clients show a token first: `tollgate serve token add` makes one"}}}}"#;
const WRONG: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"the token is not this agent's","data":{"ok":false,"error":{"kind":"unauthenticated","message":"the token is not this agent's"}}}}"#;

fn tokens(daemon: &Daemon) -> usize {
    let asked = daemon.known.asked.lock().unwrap();
    asked.iter().filter(|(asked, _)| matches!(asked, Asked::Token { .. })).count()
}

#[test]
fn a_line_shows_it() {
    let daemon = Daemon::with(LIMITS, true, 2);
    let mut client = daemon.client();
    assert_eq!(client.ask(&call_line("1", "echo", "")), NONE);
    client.hang_up();
    assert_eq!(client.rest(), "");
    assert_eq!(daemon.asked(), 0);

    let mut client = daemon.client();
    assert_eq!(client.ask("token wrong"), WRONG);
    client.send("token right\n");
    assert!(client.ask(&call_line("1", "echo", "")).contains("\"result\""));
    assert_eq!(tokens(&daemon), 2);

    let mut client = daemon.client();
    client.send(format!("token right\r\n{}", "GET /v1/tools HTTP/1.1\r\n\r\n"));
    assert_eq!(client.response().1, "[{\"name\":\"echo\"}]");
    client.send(post("authorization: Bearer wrong\r\n", r#"{"tool":"echo"}"#));
    assert!(client.response().0.starts_with("HTTP/1.1 401"), "a header that is there counts");
}

/// What comes behind a wrong one is not looked at, however sound it is.
#[test]
fn a_request_behind_a_wrong_one_ends_the_connection() {
    let daemon = Daemon::with(LIMITS, true, 2);
    let mut client = daemon.client();
    let call = call_line("1", "echo", "");
    client.send(format!("token wrong\n{call}\ntoken right\n{call}\n"));
    client.hang_up();
    assert_eq!(client.rest(), format!("{WRONG}\n{NONE}\n"));
    assert_eq!(tokens(&daemon), 1, "the right one came too late");
    assert!(daemon.calls().is_empty());
    daemon.closed(&client);
}

#[test]
fn three_wrong_ones_close_the_connection() {
    let daemon = Daemon::with(LIMITS, true, 2);
    let mut client = daemon.client();
    for _time in 0..3 {
        assert_eq!(client.ask("token wrong"), WRONG);
    }
    client.hang_up();
    assert_eq!(client.rest(), "");
    let mut client = daemon.client();
    for time in 0..3 {
        client.send(post(&format!("authorization: Bearer wrong{time}\r\n"), r#"{"tool":"echo"}"#));
        let (head, body) = client.response();
        assert!(
            head.starts_with("HTTP/1.1 401 Unauthorized\r\n") && head.contains("\r\nwww-authenticate: Bearer"),
            "{head}"
        );
        assert_eq!(head.contains("connection: close"), time == 2, "{head}");
        assert_eq!(
            body,
            r#"{"ok":false,"error":{"kind":"unauthenticated","message":"the token is not this agent's"}}"#
        );
    }
    assert_eq!(client.rest(), "");
    assert!(daemon.calls().is_empty());
}

#[test]
fn each_request_of_http_shows_it_and_the_daemon_is_asked_once() {
    let daemon = Daemon::with(LIMITS, true, 2);
    let mut client = daemon.client();
    client.send("GET /healthz HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().1, "ok\n");
    for path in ["/readyz", "/v1/tools", "/nonsense"] {
        client.send(format!("GET {path} HTTP/1.1\r\n\r\n"));
        assert!(client.response().0.starts_with("HTTP/1.1 401"), "{path}");
    }
    assert_eq!(daemon.asked(), 0);
    for _time in 0..3 {
        client.send(post("authorization: bearer right\r\n", r#"{"tool":"echo"}"#));
        assert!(client.response().0.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(tokens(&daemon), 1);
    client.send(post("", r#"{"tool":"echo"}"#));
    assert!(client.response().0.starts_with("HTTP/1.1 401"), "each request shows it");
    client.send(post("authorization: Bearer right\r\nauthorization: Bearer wrong\r\n", r#"{"tool":"echo"}"#));
    assert!(client.response().0.starts_with("HTTP/1.1 401"));
}

#[test]
fn where_none_is_asked_for_any_serves() {
    let daemon = Daemon::with(LIMITS, false, 2);
    let mut client = daemon.client();
    client.send("token whatever\n");
    assert!(client.ask(&call_line("1", "echo", "")).contains("\"result\""));
    assert_eq!(tokens(&daemon), 0);
}

/// Anybody can open a port, and hold what is open by asking again and again.
#[test]
fn who_shows_none_holds_no_place_for_long() {
    let daemon = Daemon::with(GatewayLimits { handshake_ms: 300, ..LIMITS }, true, 2);
    let mut client = daemon.client();
    let health = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    // Far more than the time of a handshake.
    let ends = (0..1_000).any(|_time| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        client.try_send(health).is_err()
    });
    assert!(ends, "whoever has proven nothing is served on");
    daemon.closed(&client);
}

#[test]
fn those_who_show_none_have_a_quarter_of_the_places_and_the_oldest_goes() {
    let daemon = Daemon::with(GatewayLimits { connections: 8, ..LIMITS }, true, 2);
    let mut proven = daemon.client();
    proven.send("token right\n");
    assert!(proven.ask(&call_line("1", "echo", "")).contains("\"result\""));
    let mut others: Vec<_> = (0..3).map(|_number| daemon.client()).collect();
    assert_eq!(others.remove(0).rest(), "", "it makes room");
    for other in &mut others {
        other.send("token right\n");
        assert!(other.ask(&call_line("1", "echo", "")).contains("\"result\""));
    }
    assert!(proven.ask(&call_line("2", "echo", "")).contains("\"result\""));
}
