//! Calls as futures, polled by the smallest runtime that there is.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tollgate_client::{Call, Client, Invocation, Kind, LogPiece, Logs};

use crate::fake::{Fake, called, cancelled, followed, logged};

/// Wakes a thread, and counts how often.
struct Unpark(Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// What a future comes to, and how often it was polled before and woken: as often.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut pending = 0;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            assert_eq!(unpark.1.load(Ordering::SeqCst), pending);
            return output;
        }
        pending += 1;
        while unpark.1.load(Ordering::SeqCst) < pending {
            thread::park();
        }
    }
}

#[test]
fn a_call_is_a_future_and_so_is_its_log() {
    let fake = Fake::new(|peer| {
        peer.hears(&followed(2, "t"));
        peer.say(&logged(2, "a"));
        peer.say(&logged(2, "b"));
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let call = fake.client().start(Call::new("t").follow_logs());
    let (pieces, reply) = block_on(async {
        let mut logs = call.logs();
        let mut pieces = Vec::new();
        while let Some(LogPiece::Text(text)) = std::future::poll_fn(|context| logs.poll_next(context)).await {
            pieces.push(text);
        }
        (pieces, call.await)
    });
    assert_eq!((pieces, reply.unwrap().output), (vec!["a".to_owned(), "b".to_owned()], "7".to_owned()));
    fake.ends();
}

#[test]
fn a_future_is_woken_once_and_its_outcome_is_there_once() {
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |peer| {
        peer.hears(&called(2, "t"));
        told.recv().unwrap();
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let mut call = fake.client().start(Call::new("t"));
    // A task that has moved on since is not woken.
    let stale = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&stale));
    assert!(Pin::new(&mut call).poll(&mut Context::from_waker(&waker)).is_pending());
    let current = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&current));
    assert!(Pin::new(&mut call).poll(&mut Context::from_waker(&waker)).is_pending());
    go_on.send(()).unwrap();
    while current.1.load(Ordering::SeqCst) == 0 {
        thread::park();
    }
    assert_eq!(block_on(&mut call).unwrap().output, "7");
    assert_eq!((stale.1.load(Ordering::SeqCst), current.1.load(Ordering::SeqCst)), (0, 1));
    let again = block_on(&mut call).unwrap_err();
    assert_eq!((again.kind, again.message.as_str()), (Kind::Internal, "the outcome of this call was taken before"));
    assert_eq!(call.wait().unwrap_err().kind, Kind::Internal, "it does not wait for ever");
    fake.ends();
}

#[test]
fn a_future_that_is_dropped_cancels_its_call() {
    let fake = Fake::new(|peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&cancelled(2));
        peer.hears_the_end();
    });
    let mut call = fake.client().start(Call::new("t"));
    assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    fake.ends();
}

/// A waker is somebody else's code, and runs on the connection's thread.
#[test]
fn a_waker_that_panics_leaves_no_call_waiting() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker that panics"));
        }
    }
    let (go_on, told) = std::sync::mpsc::channel();
    let fake = Fake::new(move |peer| {
        peer.hears(&called(2, "t"));
        peer.hears(&called(3, "t"));
        told.recv().unwrap();
        peer.answer(2, "7");
        peer.hears_the_end();
    });
    let client = fake.client();
    let (mut first, second) = (client.start(Call::new("t")), client.start(Call::new("t")));
    let waker = Waker::from(Arc::new(Panics));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    go_on.send(()).unwrap();
    let failure = second.wait().unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (Kind::Disconnected, "the connection's thread ended"));
    assert_eq!(first.wait().unwrap().output, "7");
    fake.ends();
}

#[test]
fn any_thread_may_have_each_of_them() {
    fn is_shared<T: Send + Sync + Unpin + 'static>() {}
    is_shared::<Client>();
    is_shared::<Invocation>();
    is_shared::<Logs>();
}
