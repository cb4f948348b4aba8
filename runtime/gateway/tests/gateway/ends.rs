//! Clients that go away.

use std::io::Read as _;
use std::os::fd::AsFd as _;

use tollgate_gateway::protocol::ToGateway;

use crate::daemon::{Daemon, LIMITS, call_line};

/// The kernel closes what comes with bytes and is not taken.
#[test]
fn a_file_that_a_client_sends_is_kept_nowhere() {
    let daemon = Daemon::start(LIMITS);
    let (mut left, sent) = std::io::pipe().unwrap();
    let mut clients = [daemon.client(), daemon.client()];
    let ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    for _ in 0..100 {
        for client in &mut clients {
            client.send_with(ping.as_bytes(), sent.as_fd());
            assert!(client.line().contains("\"id\":1"));
        }
    }
    // In the midst of a line, and before a connection that is lost.
    clients[0].send_with(b"{\"jsonrpc\"", sent.as_fd());
    clients[1].send_with(b"[nonsense\n", sent.as_fd());
    drop(sent);
    let [half, _whole] = clients;
    drop(half);
    assert_eq!(left.read(&mut [0]).unwrap(), 0, "nobody has it open");
    assert!(daemon.client().ask(ping.trim_end()).contains("\"id\":1"));
}

#[test]
fn a_client_that_is_dropped_is_cut_off_with_its_calls_and_others_are_not() {
    let daemon = Daemon::with(LIMITS, false, 4);
    let (mut gone, mut kept) = (daemon.client(), daemon.client());
    gone.send(format!("{}\n", call_line("1", "wait", "")));
    kept.send(format!("{}\n", call_line("1", "wait", "")));
    daemon.running(2);
    daemon.say(&ToGateway::Drop { clients: vec![gone.number] });
    daemon.closed(&gone);
    assert_eq!(gone.rest(), "");
    daemon.cancelled(1);
    daemon.running(1);
    // One that is gone already, and one that never was.
    daemon.say(&ToGateway::Drop { clients: vec![gone.number, 1_000_000] });
    assert!(kept.ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}").contains("\"id\":2"));
    assert_eq!(daemon.cancels(), 1);
}

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
