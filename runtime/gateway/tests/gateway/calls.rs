//! JSON-RPC: what is answered, byte by byte; calls side by side; the queue; cancelling.

use tollgate_gateway::protocol::{Asked, Claims, GatewayLimits, Named, ToGateway};

use crate::daemon::{Daemon, LIMITS, call_line};

#[test]
fn answers_byte_by_byte() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let arguments = r#","arguments": {"n": 1.00000000000000000000000000000000001, "e":"\u00e9"},"stdin":"in""#;
    assert_eq!(
        client.ask(&call_line("1", "echo", arguments)),
        r#"{"jsonrpc":"2.0","id":1,"result":{"ok":true,"call":"c","output":{"n": 1.00000000000000000000000000000000001, "e":"\u00e9"},"usage":{"fuel":1},"stdout":"in","stderr":""}}"#
    );
    assert_eq!(
        client.ask(&call_line("\"a\"", "fail-violation", "")),
        r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32000,"message":"it is violation","data":{"ok":false,"call":"c","error":{"kind":"violation","message":"it is violation"},"usage":{"fuel":1},"stdout":"","stderr":"err"}}}"#
    );
    assert_eq!(
        client.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools"}"#),
        r#"{"jsonrpc":"2.0","id":2,"result":[{"name":"echo"}]}"#
    );
    assert_eq!(client.ask(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#), r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    let lines = client.ask(&call_line("4", "lines", ""));
    assert!(lines.contains(r#""output":{  "a": 1 },"#), "{lines}");
    let no_json = client.ask(&call_line("5", "no-json", ""));
    assert!(no_json.contains(r#""error":{"kind":"output","#), "{no_json}");
}

#[test]
fn claims_are_handed_on_as_claims() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    let claims = r#","operation":"o","agent":"root","session":"s","decision":"d","reason":"r","trace":"t""#;
    client.ask(&call_line("1", "echo", claims));
    let asked = daemon.known.asked.lock().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let (agent, session) = (text("root"), text("s"));
    let claims = Claims { agent, session, decision: text("d"), reason: text("r"), trace: text("t") };
    let named = Named::Tool { tool: "echo".to_owned(), operation: text("o") };
    let call = Asked::Call { client: client.number, request: 1, named, claims, logs: false };
    assert_eq!(asked[0], (call, [b"{}".to_vec(), Vec::new(), Vec::new()]));
}

#[test]
fn a_log_comes_while_the_call_runs() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("7", "log", r#","logs":true"#)));
    assert_eq!(client.line(), r#"{"jsonrpc":"2.0","method":"log","params":{"id":7,"text":"one\n"}}"#);
    assert_eq!(
        client.line(),
        "{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{\"id\":7,\"text\":\"t\u{fffd}wo\"}}"
    );
    assert!(client.line().contains(r#""id":7,"result":{"ok":true"#));
    assert!(client.ask(&call_line("8", "log", "")).contains(r#""id":8,"result":{"ok":true"#));
}

#[test]
fn calls_run_side_by_side_and_are_answered_as_they_end() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n{}\n", call_line("1", "wait-a", ""), call_line("2", "wait-b", "")));
    daemon.running(2);
    assert!(client.ask(&call_line("3", "echo", "")).contains(r#""id":3,"result""#));
    daemon.release("b");
    assert!(client.line().contains(r#""id":2,"result""#));
    daemon.release("a");
    assert!(client.line().contains(r#""id":1,"result""#));
}

#[test]
fn an_id_in_use_is_refused_and_the_first_goes_on() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("\"x\"", "wait-a", "")));
    daemon.running(1);
    let refused = client.ask(&call_line("\"x\"", "echo", ""));
    assert_eq!(
        refused,
        r#"{"jsonrpc":"2.0","id":"x","error":{"code":-32600,"message":"the id \"x\" is still in use","data":{"ok":false,"error":{"kind":"rejected","message":"the id \"x\" is still in use"}}}}"#
    );
    assert_eq!(daemon.calls(), ["wait-a"]);
    // Spelt otherwise, it is the same.
    assert!(client.ask(r#"{"jsonrpc":"2.0","id":"\u0078","method":"ping"}"#).contains("still in use"));
    daemon.release("a");
    assert!(client.line().contains(r#""id":"x","result""#));
    assert!(client.ask(&call_line("\"x\"", "echo", "")).contains(r#""id":"x","result""#));
}

#[test]
fn a_notification_makes_no_call() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"call\",\"params\":{\"tool\":\"echo\"}}\n\n  \r\n");
    assert!(client.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).contains(r#""id":1"#));
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn a_cancelled_call_is_answered_and_its_lane_is_used_again() {
    let daemon = Daemon::with(LIMITS, false, 1);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("1", "wait", "")));
    daemon.running(1);
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":1}}\n");
    assert_eq!(
        client.line(),
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"cancelled by the client","data":{"ok":false,"error":{"kind":"cancelled","message":"cancelled by the client"}}}}"#
    );
    daemon.cancelled(1);
    assert!(client.ask(&call_line("1", "echo", r#","arguments":7"#)).contains(r#""output":7"#));
    assert_eq!(daemon.lanes().0, 1);
    // By request.
    client.send(format!("{}\n", call_line("2", "wait", "")));
    daemon.running(1);
    client.send("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"cancel\",\"params\":{\"id\":2}}\n");
    let mut answers = [client.line(), client.line()];
    answers.sort();
    assert!(answers[0].contains(r#""id":2,"error":{"code":-32002"#), "{answers:?}");
    assert_eq!(answers[1], r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    daemon.cancelled(2);
}

#[test]
fn a_call_in_the_queue_leaves_it_and_the_daemon_hears_nothing_of_it() {
    let daemon = Daemon::with(LIMITS, false, 1);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("1", "wait-a", "")));
    daemon.running(1);
    client.send(format!("{}\n{}\n", call_line("2", "echo", ""), call_line("3", "log", "")));
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":2}}\n");
    assert!(client.line().contains(r#""id":2,"error":{"code":-32002"#));
    daemon.release("a");
    assert!(client.line().contains(r#""id":1,"result""#));
    assert!(client.line().contains(r#""id":3,"result""#));
    assert_eq!((daemon.calls(), daemon.cancels()), (vec!["wait-a".to_owned(), "log".to_owned()], 0));
}

#[test]
fn nobody_cancels_somebody_elses_call() {
    let daemon = Daemon::start(LIMITS);
    let (mut client, mut other) = (daemon.client(), daemon.client());
    client.send(format!("{}\n", call_line("1", "wait-a", "")));
    daemon.running(1);
    other.send("{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":1}}\n");
    let unknown = other.ask(r#"{"jsonrpc":"2.0","id":9,"method":"cancel","params":{"id":1}}"#);
    let message = "no request with this id is under way on this connection";
    assert!(unknown.contains(&format!("\"id\":9,\"error\":{{\"code\":-32602,\"message\":\"{message}\"")), "{unknown}");
    assert_eq!(daemon.cancels(), 0);
    daemon.release("a");
    assert!(client.line().contains(r#""id":1,"result""#));
}

#[test]
fn waiting_calls_hold_four_bodies_at_most() {
    let daemon = Daemon::with(GatewayLimits { body_bytes: 10_000, ..LIMITS }, false, 1);
    let mut clients: Vec<_> = (0..6).map(|_| daemon.client()).collect();
    clients[0].send(format!("{}\n", call_line("1", "wait-a", "")));
    daemon.running(1);
    let large = format!(r#","stdin":"{}""#, "x".repeat(9_000));
    for (place, client) in clients.iter_mut().enumerate().skip(1) {
        client.send(format!("{}\n", call_line("1", "echo", &large)));
        if place < 5 {
            // Its line was read once the answer to the next one is there.
            assert!(client.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).contains("\"id\":2"));
            assert_eq!(daemon.waiting(), place);
        }
    }
    let busy = clients[5].line();
    assert!(busy.contains("-32001") && busy.contains("four times `serve.body`"), "{busy}");
    assert_eq!(daemon.waiting(), 4);
    daemon.release("a");
    for client in &mut clients[..5] {
        assert!(client.line().contains(r#""id":1,"result""#));
    }
    assert_eq!(daemon.waiting(), 0);
}

#[test]
fn one_more_than_may_wait_is_busy_at_once() {
    let daemon = Daemon::with(GatewayLimits { queue: 2, ..LIMITS }, false, 1);
    let (mut first, mut second, mut third) = (daemon.client(), daemon.client(), daemon.client());
    first.send(format!("{}\n", call_line("1", "wait-a", "")));
    daemon.running(1);
    first.send(format!("{}\n", call_line("2", "echo", "")));
    // As many as one connection may have.
    let busy = first.ask(&call_line("3", "echo", ""));
    assert!(busy.contains(r#""id":3,"error":{"code":-32001,"message":"this connection has as many"#), "{busy}");
    second.send(format!("{}\n", call_line("1", "echo", "")));
    // Its line was read once the answer to the next one is there.
    assert!(second.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).contains("\"id\":2"));
    let busy = third.ask(&call_line("1", "echo", ""));
    assert!(
        busy.contains(r#""id":1,"error":{"code":-32001,"message":"as many calls wait as may (`serve.queue`"#),
        "{busy}"
    );
    let (head, body) = {
        let mut fourth = daemon.client();
        fourth.post(r#"{"tool":"echo"}"#)
    };
    assert_eq!(
        head,
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\ncontent-length: 145"
    );
    assert_eq!(
        body,
        r#"{"ok":false,"error":{"kind":"busy","message":"as many calls wait as may (`serve.queue`, and four times `serve.body` of bytes); ask again later"}}"#
    );
    daemon.release("a");
    assert!(first.line().contains(r#""id":1,"result""#));
    assert!(first.line().contains(r#""id":2,"result""#));
    assert!(second.line().contains(r#""id":1,"result""#));
    assert_eq!(daemon.calls(), ["wait-a", "echo", "echo"]);
}

#[test]
fn a_lane_that_breaks_fails_its_call_and_the_gateway_goes_on() {
    let daemon = Daemon::with(LIMITS, false, 1);
    let mut client = daemon.client();
    let broken = client.ask(&call_line("1", "break", ""));
    assert!(
        broken.contains(r#""id":1,"error":{"code":-32000,"message":"the connection to the daemon broke"#),
        "{broken}"
    );
    assert!(client.ask(&call_line("2", "echo", "")).contains(r#""id":2,"result""#));
    assert_eq!(daemon.lanes(), (1, 2));
}

/// That there will be no more may be said right behind the first lane.
#[test]
fn calls_wait_for_the_only_lane_there_will_be() {
    for _time in 0..20 {
        let daemon = Daemon::with(LIMITS, false, 1);
        let mut client = daemon.client();
        let lines: String = (0..8).map(|id| format!("{}\n", call_line(&id.to_string(), "echo", ""))).collect();
        client.send(lines);
        for _answer in 0..8 {
            let line = client.line();
            assert!(line.contains("\"result\""), "{line}");
        }
        assert_eq!(daemon.lanes().0, 1);
    }
}

#[test]
fn without_any_lane_calls_are_busy_and_nobody_waits() {
    let daemon = Daemon::with(LIMITS, false, 0);
    let mut client = daemon.client();
    for id in ["1", "2"] {
        let busy = client.ask(&call_line(id, "echo", ""));
        assert!(
            busy.contains("\"error\":{\"code\":-32001,\"message\":\"the daemon gives this agent no connection"),
            "{busy}"
        );
    }
    assert_eq!(daemon.asked(), 0);
}

#[test]
fn lanes_are_asked_for_as_they_are_needed() {
    let daemon = Daemon::with(LIMITS, false, 8);
    let mut client = daemon.client();
    for id in 1..=5 {
        assert!(client.ask(&call_line(&id.to_string(), "echo", "")).contains("\"result\""));
    }
    assert_eq!(daemon.lanes(), (1, 1), "one after the other needs one");
    for id in 1..=3 {
        client.send(format!("{}\n", call_line(&id.to_string(), "wait-a", "")));
    }
    daemon.running(3);
    assert_eq!(daemon.lanes(), (3, 3));
    daemon.release("a");
    for _call in 1..=3 {
        assert!(client.line().contains("\"result\""));
    }
}

#[test]
fn a_gateway_that_drains_ends_what_is_under_way_and_then_itself() {
    let daemon = Daemon::start(LIMITS);
    let (mut client, mut idle, mut web) = (daemon.client(), daemon.client(), daemon.client());
    client.send(format!("{}\n", call_line("1", "wait-a", "")));
    assert!(idle.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).contains("result"));
    web.send("GET /healthz HTTP/1.1\r\n\r\n");
    assert!(web.response().0.starts_with("HTTP/1.1 200"));
    daemon.running(1);
    daemon.say(&ToGateway::Drain);
    assert_eq!((idle.rest(), web.rest()), (String::new(), String::new()));
    let mut late = daemon.client();
    late.send("{");
    assert!(late.rest().contains("\"code\":-32001"));
    let busy = client.ask(&call_line("2", "echo", ""));
    assert!(busy.contains(r#""id":2,"error":{"code":-32001,"message":"the daemon is about to end"#), "{busy}");
    daemon.release("a");
    assert!(client.line().contains(r#""id":1,"result""#));
    assert_eq!(client.rest(), "");
    daemon.ended();
}

#[test]
fn a_connection_too_many_is_told_so_in_its_own_words() {
    let daemon = Daemon::start(LIMITS);
    let mut first = daemon.client();
    assert!(first.ask(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).contains("result"));
    let mut second = daemon.client_that(true);
    second.send("{\"json");
    let busy = r#""data":{"ok":false,"error":{"kind":"busy","message":"this agent has as many connections as it may (`connections`)"}}}}"#;
    assert!(second.line().ends_with(busy));
    second.hang_up();
    assert_eq!(second.rest(), "");
    daemon.closed(&second);
    let mut third = daemon.client_that(true);
    third.send("GET /healthz HTTP/1.1\r\n\r\n");
    let (head, body) = third.response();
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && head.contains("\r\nretry-after: 1\r\n"),
        "{head}"
    );
    assert!(body.starts_with("{\"ok\":false,\"error\":{\"kind\":\"busy\""), "{body}");
    assert!(first.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).contains("result"));
}
