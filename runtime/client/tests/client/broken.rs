//! Daemons that go away, make no sense, or do not read.

use tollgate_client::{CALLS_MAX, Call, Client, Failure, Kind};

use crate::fake::{Fake, Peer, answered, called, failed, logged};

/// A call that is under way while the daemon does `what`, and one that comes later.
fn broken_by(client: impl FnOnce(&Fake) -> Client, what: impl FnOnce(&mut Peer) + Send + 'static) -> Failure {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        what(peer);
    });
    let client = client(&fake);
    let failure = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!((&failure.kind, &failure.call), (&Kind::Disconnected, &None), "{failure}");
    assert!(!failure.is_known_not_to_have_run(), "{failure}");
    assert!(!client.is_connected());
    let later = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!((&later.kind, &later.message), (&Kind::Disconnected, &failure.message));
    assert!(later.is_known_not_to_have_run());
    assert_eq!(client.tools().unwrap_err().kind, Kind::Disconnected);
    fake.ends();
    failure
}

#[test]
fn a_daemon_that_goes_away_ends_every_call() {
    let failure = broken_by(Fake::client, |_peer| {});
    assert_eq!(failure.message, "the daemon closed the connection");
    let failure = broken_by(Fake::client, |peer| peer.say_bytes(answered(2, "7").as_bytes()));
    assert_eq!(failure.message, "the daemon closed the connection in the middle of a line");
}

#[test]
fn what_came_before_the_end_counts() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&called(3, "t"));
        peer.answer(2, "7");
    });
    let client = fake.client();
    let (first, second) = (client.start(Call::new("t")), client.start(Call::new("t")));
    assert_eq!(first.wait().unwrap().output, "7");
    assert_eq!(second.wait().unwrap_err().kind, Kind::Disconnected);
    fake.ends();
}

#[test]
fn a_daemon_that_makes_no_sense_is_not_listened_to() {
    for (line, what) in [
        (String::new(), "a message that is not JSON, at column 0"),
        ("garbage".to_owned(), "a message that is not JSON, at column 1"),
        ("\u{0}".to_owned(), "a message that is not JSON, at column 1"),
        (answered(3, "7"), "something for the request 3, which is not under way"),
        (answered(1, "7"), "something for the request 1, which is not under way"),
        (logged(3, "x"), "something for the request 3, which is not under way"),
        (failed(3, "busy"), "something for the request 3, which is not under way"),
        (
            r#"{"jsonrpc":"2.0","id":2,"result":{"ok":true,"call":"c"}}"#.to_owned(),
            "an answer to a call that is not of the form that it should have, at column 22",
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"no"}}"#.to_owned(),
            "a failure that is not of the form that it should have, at column 30",
        ),
        (r#"{"jsonrpc":"2.0","id":2}"#.to_owned(), "a message that is neither an answer nor a notification"),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#.to_owned(),
            "a message that is neither an answer nor a notification",
        ),
    ] {
        let shown = line.clone();
        let failure = broken_by(Fake::client, move |peer| {
            peer.say(&line);
            // Nothing behind it counts.
            peer.answer(2, "7");
            peer.hears_the_end();
        });
        assert_eq!(failure.message, format!("the connection was closed, because the daemon sent {what}"), "{shown}");
    }
}

#[test]
fn an_answer_comes_once() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&called(3, "t"));
        peer.answer(2, "7");
        peer.answer(2, "8");
        peer.hears_the_end();
    });
    let client = fake.client();
    let (first, second) = (client.start(Call::new("t")), client.start(Call::new("t")));
    assert_eq!(first.wait().unwrap().output, "7");
    assert_eq!(
        second.wait().unwrap_err().message,
        "the connection was closed, because the daemon sent something for the request 2, which is not under way"
    );
    fake.ends();
}

#[test]
fn a_line_without_an_end_is_not_kept() {
    let failure = broken_by(
        |fake| fake.client_with(Client::options().line_bytes_max(1000)),
        |peer| {
            peer.say_bytes(&[b' '; 1001]);
            peer.hears_the_end();
        },
    );
    assert_eq!(
        failure.message,
        "the connection was closed, because the daemon sent a line of more than 1000 bytes (`line_bytes_max`)"
    );
}

/// What it refuses may be any of the calls under way, which it ends all.
#[test]
fn a_refusal_without_an_id_ends_the_connection() {
    let failure = broken_by(Fake::client, |peer| {
        peer.say(&failed("null", "rejected"));
        peer.hears_the_end();
    });
    assert_eq!(failure.message, "the daemon ends the connection: no");
}

#[test]
fn notifications_of_later_versions_are_passed_over() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.say(r#"{"jsonrpc":"2.0","method":"of-later","params":{"id":99}}"#);
        peer.say(r#"{"jsonrpc":"2.0","method":"of-later"}"#);
        peer.answer(2, "7");
    });
    assert_eq!(fake.client().invoke(Call::new("t")).unwrap().output, "7");
    fake.ends();
}

#[test]
fn a_daemon_that_does_not_read_holds_up_nobody() {
    const LINE: usize = 64 << 10;
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |_peer| told.recv().unwrap());
    let client = fake.client_with(Client::options().line_bytes_max(LINE));
    let call = || Call::new("t").stdin("x".repeat(LINE / 2));
    let mut calls = Vec::new();
    let busy = loop {
        let call = client.start(call());
        if call.is_over() {
            break call.wait().unwrap_err();
        }
        calls.push(call);
        assert!(calls.len() < 1000, "a socket has no room for so much");
    };
    assert_eq!((&busy.kind, busy.is_known_not_to_have_run()), (&Kind::Busy, true));
    assert!(busy.message.starts_with("the daemon does not read: "), "{busy}");
    assert!(client.is_connected());
    go_on.send(()).unwrap();
    let failures: Vec<Failure> = calls.into_iter().map(|call| call.wait().unwrap_err()).collect();
    assert!(failures.iter().all(|failure| failure.kind == Kind::Disconnected));
    let unrun: Vec<bool> = failures.iter().map(Failure::is_known_not_to_have_run).collect();
    let first = unrun.iter().position(|unrun| *unrun).expect("the last one was not sent whole");
    assert!(first > 0, "the first one was");
    assert!(unrun[first..].iter().all(|unrun| *unrun), "{unrun:?}");
    fake.ends();
}

#[test]
fn calls_under_way_are_bounded() {
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |peer| {
        for id in 2..CALLS_MAX as u64 + 2 {
            peer.hears(&called(id, "t"));
        }
        told.recv().unwrap();
        peer.answer(2, "7");
        // The one that was one too many had an id.
        peer.hears(&called(CALLS_MAX as u64 + 3, "t"));
        peer.answer(CALLS_MAX as u64 + 3, "8");
    });
    let client = fake.client();
    let mut calls: Vec<_> = (0..CALLS_MAX).map(|_call| client.start(Call::new("t"))).collect();
    let busy = client.invoke(Call::new("t")).unwrap_err();
    assert_eq!(
        (&busy.kind, busy.message.as_str()),
        (&Kind::Busy, "this connection has 65536 calls under way, the maximum")
    );
    assert!(busy.is_known_not_to_have_run());
    go_on.send(()).unwrap();
    assert_eq!(calls.swap_remove(0).wait().unwrap().output, "7");
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "8");
    fake.ends();
}
