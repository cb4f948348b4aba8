//! Clients that go away.

use crate::daemon::{Daemon, LIMITS, call_line};

#[test]
fn its_calls_are_cancelled_and_their_lanes_are_used_again() {
    let daemon = Daemon::with(LIMITS, false, 2);
    let mut client = daemon.client();
    client.send(format!("{}\n{}\n", call_line("1", "wait", ""), call_line("2", "wait", "")));
    daemon.running(2);
    // One more, which waits.
    client.send(format!("{}\n", call_line("3", "echo", "")));
    assert!(client.ask("{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"ping\"}").contains("\"id\":4"));
    drop(client);
    daemon.cancelled(2);
    daemon.running(0);
    let mut client = daemon.client();
    assert!(client.ask(&call_line("1", "log", "")).contains("\"result\""));
    assert_eq!((daemon.calls(), daemon.lanes().0), (vec!["wait".to_owned(), "wait".to_owned(), "log".to_owned()], 2));
}

#[test]
fn an_end_of_file_cancels_and_what_was_answered_still_comes() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("1", "wait", "")));
    daemon.running(1);
    client.send("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\n{\"half");
    client.hang_up();
    assert_eq!(client.rest(), "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
    daemon.cancelled(1);
    daemon.closed(&client);
}

#[test]
fn the_gateway_ends_with_its_daemon() {
    let daemon = Daemon::start(LIMITS);
    let mut client = daemon.client();
    client.send(format!("{}\n", call_line("1", "wait", "")));
    daemon.running(1);
    drop(daemon);
    assert_eq!(client.rest(), "");
}
