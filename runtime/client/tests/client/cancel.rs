//! Calls that nobody wants any more.

use std::thread;
use std::time::Duration;

use tollgate_client::{Call, Kind};

use crate::fake::{Fake, called, cancelled, failed};

#[test]
fn a_call_that_is_dropped_is_cancelled() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&called(3, "t"));
        peer.hears(&cancelled(2));
        // What still comes of it is nobody's, and no error.
        peer.say(&failed(2, "cancelled"));
        peer.answer(3, "7");
        peer.hears_the_end();
    });
    let client = fake.client();
    let (dropped, other) = (client.start(Call::new("t")), client.start(Call::new("t")));
    drop(dropped);
    assert_eq!(other.wait().unwrap().output, "7");
    drop(client);
    fake.ends();
}

#[test]
fn who_cancels_can_wait_for_the_end() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&cancelled(2));
        peer.say(&failed(2, "cancelled"));
        peer.hears(&called(3, "t"));
        peer.hears(&cancelled(3));
        // It was over by then.
        peer.answer(3, "7");
        peer.hears_the_end();
    });
    let client = fake.client();
    let mut call = client.start(Call::new("t"));
    call.cancel();
    call.cancel();
    let failure = call.wait().unwrap_err();
    assert_eq!((&failure.kind, failure.is_known_not_to_have_run()), (&Kind::Cancelled, false));
    let mut call = client.start(Call::new("t"));
    call.cancel();
    assert_eq!(call.wait().unwrap().output, "7");
    drop(client);
    fake.ends();
}

#[test]
fn a_call_that_is_over_is_not_cancelled() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let mut call = fake.client().start(Call::new("t"));
    while !call.is_over() {
        thread::yield_now();
    }
    call.cancel();
    drop(call);
    fake.ends();
}

#[test]
fn a_wait_that_ends_gives_the_call_back() {
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |peer| {
        peer.hears(&called(2, "t"));
        told.recv().unwrap();
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let call = fake.client().start(Call::new("t"));
    let call = call.wait_timeout(Duration::ZERO).unwrap_err();
    let call = call.wait_timeout(Duration::from_millis(5)).unwrap_err();
    assert!(!call.is_over());
    go_on.send(()).unwrap();
    let reply = call.wait_timeout(Duration::MAX).expect("it has ended").unwrap();
    assert_eq!(reply.output, "7");
    fake.ends();
}

/// The client is gone by then.
#[test]
fn a_call_holds_its_connection_open() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&called(3, "t"));
        peer.answer(2, "7");
        peer.hears(&cancelled(3));
        peer.hears_the_end();
    });
    let client = fake.client();
    let (first, second) = (client.start(Call::new("t")), client.start(Call::new("t")));
    drop(client);
    assert_eq!(first.wait().unwrap().output, "7");
    drop(second);
    fake.ends();
}
