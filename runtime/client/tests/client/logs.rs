//! What tools log while they run.

use std::thread;

use tollgate_client::{Call, LOG_BYTES_MAX, LogPiece};

use crate::fake::{Fake, called, cancelled, followed, logged};

fn text(text: &str) -> LogPiece {
    LogPiece::Text(text.to_owned())
}

#[test]
fn pieces_come_in_order_and_end_with_the_call() {
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |peer| {
        peer.hears(&followed(2, "t"));
        peer.hears(&followed(3, "t"));
        peer.spell(&logged(2, "a\\nb"));
        // The first piece comes before the call ends.
        told.recv().unwrap();
        peer.say(&logged(3, "of another"));
        peer.say(&logged(2, "c"));
        peer.answer(2, "7");
        peer.answer(3, "8");
    });
    let client = fake.client();
    let (call, other) = (client.start(Call::new("t").follow_logs()), client.start(Call::new("t").follow_logs()));
    let mut logs = call.logs();
    assert_eq!(logs.next(), Some(text("a\nb")));
    go_on.send(()).unwrap();
    assert_eq!(logs.collect::<Vec<_>>(), [text("c")]);
    assert_eq!(other.logs().collect::<Vec<_>>(), [text("of another")]);
    assert_eq!((call.wait().unwrap().output, other.wait().unwrap().output), ("7".to_owned(), "8".to_owned()));
    fake.ends();
}

#[test]
fn who_did_not_ask_for_logs_gets_none() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.say(&logged(2, "a"));
        peer.answer(2, "7");
    });
    let call = fake.client().start(Call::new("t"));
    assert_eq!(call.logs().next(), None);
    assert_eq!(call.wait().unwrap().output, "7");
    fake.ends();
}

/// A log that nobody reads neither holds up other calls nor fills the memory.
#[test]
fn a_slow_reader_holds_up_nobody() {
    const PIECE: usize = 1 << 16;
    const PIECES: usize = 64;
    let fake = Fake::new(|peer| {
        peer.hears(&followed(2, "t"));
        let piece = logged(2, &"x".repeat(PIECE));
        (0..PIECES).for_each(|_piece| peer.say(&piece));
        peer.hears(&called(3, "t"));
        peer.answer(3, "7");
        peer.answer(2, "8");
    });
    let client = fake.client();
    let call = client.start(Call::new("t").follow_logs());
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "7");
    let pieces: Vec<LogPiece> = call.logs().collect();
    let kept = LOG_BYTES_MAX / (PIECE + 64);
    assert_eq!(pieces.len(), kept + 1);
    assert!(pieces[..kept].iter().all(|piece| *piece == text(&"x".repeat(PIECE))));
    assert_eq!(pieces[kept], LogPiece::Dropped { bytes: ((PIECES - kept) * PIECE) as u64 });
    assert_eq!(call.wait().unwrap().output, "8");
    fake.ends();
}

#[test]
fn a_log_ends_when_its_call_is_dropped() {
    let fake = Fake::new(|peer| {
        peer.hears(&followed(2, "t"));
        peer.say(&logged(2, "a"));
        peer.hears(&cancelled(2));
        peer.say(&logged(2, "b"));
        peer.hears(&called(3, "t"));
        peer.answer(3, "7");
    });
    let client = fake.client();
    let call = client.start(Call::new("t").follow_logs());
    let mut logs = call.logs();
    assert_eq!(logs.next(), Some(text("a")));
    let reader = thread::spawn(move || logs.next());
    drop(call);
    assert_eq!(reader.join().unwrap(), None);
    assert_eq!(client.invoke(Call::new("t")).unwrap().output, "7");
    fake.ends();
}
