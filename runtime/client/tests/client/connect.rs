//! Connecting: tokens, refusals, nobody there.

use std::time::Duration;

use tollgate_client::{Call, Client, ConnectError, Kind};

use crate::fake::{Fake, PING, called, failed};

#[test]
fn a_token_is_shown_before_anything_else() {
    let fake = Fake::raw(|peer| {
        peer.hears("token tg_1");
        peer.greet();
        peer.hears(&called(2, "t"));
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let client = Client::connect_with_token(fake.path(), "tg_1").unwrap();
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "7");
    drop(client);
    fake.ends();
}

#[test]
fn a_refused_token_is_an_error_of_connecting() {
    let fake = Fake::raw(|peer| {
        peer.hears("token wrong");
        peer.say(&failed("null", "unauthenticated"));
        peer.hears(PING);
        peer.hears_the_end();
    });
    let error = Client::connect_with_token(fake.path(), "wrong").unwrap_err();
    assert_eq!(error.to_string(), "there is no connection to the daemon: no");
    let ConnectError::Refused(failure) = error else { panic!("{error}") };
    assert_eq!((&failure.kind, failure.is_known_not_to_have_run()), (&Kind::Unauthenticated, true));
    fake.ends();
}

#[test]
fn a_daemon_that_is_busy_says_so() {
    let fake = Fake::raw(|peer| {
        peer.hears(PING);
        peer.say(&failed("null", "busy"));
        peer.hears_the_end();
    });
    let error = Client::connect(fake.path()).unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(failure) if failure.kind == Kind::Busy), "{error}");
    fake.ends();
}

#[test]
fn what_cannot_be_a_token_is_not_sent() {
    // Nobody listens: an error of connecting would be another one.
    let nowhere = std::path::Path::new("/nonexistent/agent.sock");
    let long = "x".repeat(506);
    for token in ["", "a b", "a\n{}", "a\r", "\u{e9}", &long] {
        let error = Client::connect_with_token(nowhere, token).unwrap_err();
        assert!(matches!(error, ConnectError::NotAToken), "{token}: {error}");
    }
    let error = Client::connect_with_token(nowhere, &long[1..]).unwrap_err();
    assert!(matches!(error, ConnectError::NotConnected { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "cannot connect to a daemon at `/nonexistent/agent.sock`; is `tollgate serve` running, and may this user use its socket?"
    );
    let options = format!("{:?}", Client::options().token("secret"));
    assert_eq!(options, "ConnectOptions { has_token: true, line_bytes_max: 67108864, timeout: 10s }");
}

#[test]
fn who_never_answers_is_no_daemon() {
    let fake = Fake::raw(|peer| {
        peer.hears(PING);
        peer.hears_the_end();
    });
    let error = Client::options().timeout(Duration::from_millis(20)).connect(fake.path()).unwrap_err();
    assert!(matches!(error, ConnectError::Silent { timeout } if timeout == Duration::from_millis(20)), "{error}");
    fake.ends();
}

#[test]
fn who_speaks_something_else_is_no_daemon() {
    let fake = Fake::raw(|peer| {
        peer.hears(PING);
        peer.say("HTTP/1.1 400 Bad Request");
        peer.hears_the_end();
    });
    let error = Client::connect(fake.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no connection to the daemon: the connection was closed, because the daemon sent a message that is not JSON, at \
         column 1"
    );
    fake.ends();
}

#[test]
fn the_socket_is_closed_with_the_last_clone() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let client = fake.client();
    let other = client.clone();
    drop(client);
    assert_eq!(other.invoke(Call::new("t")).unwrap().output, "7");
    drop(other);
    fake.ends();
}
