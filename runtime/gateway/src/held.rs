//! Answers that clients have not taken yet. While those of a connection are too many bytes, no lane takes a further question of it;
//! while those of all connections are, of none that holds any. So what a gateway holds has an end, whatever its clients do not read. A
//! connection of HTTP has one answer at a time, which is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The bytes that all connections hold.
#[derive(Debug, Default)]
pub(crate) struct All {
    bytes: AtomicUsize,
    // Whether a question waits for room.
    is_awaited: AtomicBool,
    room: Notify,
}

/// The bytes that one connection holds.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Own>);

#[derive(Debug)]
struct Own {
    bytes: AtomicUsize,
    all: Arc<All>,
}

/// Bytes of an answer, until the connection has written them.
#[derive(Debug)]
pub(crate) struct Holding {
    bytes: usize,
    own: Arc<Own>,
}

impl All {
    /// A question waits for room.
    pub(crate) fn is_awaited(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
    }

    /// Waits until there is more room than before.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }
}

impl Held {
    /// Nothing, of a new connection.
    pub(crate) fn none(all: &Arc<All>) -> Self {
        Self(Arc::new(Own { bytes: AtomicUsize::new(0), all: Arc::clone(all) }))
    }

    /// Holds bytes of an answer.
    pub(crate) fn hold(&self, bytes: usize) -> Holding {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        Holding { bytes, own: Arc::clone(&self.0) }
    }

    /// Whether another answer may come for this connection.
    pub(crate) fn has_room(&self) -> bool {
        let (own, all) = (self.0.bytes.load(Ordering::Relaxed), self.0.all.bytes.load(Ordering::Relaxed));
        own == 0 || own < OWN_BYTES && all < ALL_BYTES
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.own.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.own.all.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.own.all.is_awaited.swap(false, Ordering::Relaxed) {
            self.own.all.room.notify_waiters();
        }
    }
}

/// What a connection may hold when a lane takes another question of it.
const OWN_BYTES: usize = 1 << 20;

/// The same of all connections together.
const ALL_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_too_much_waits_and_who_holds_nothing_never_does() {
        let all = Arc::new(All::default());
        let [one, other, third] = [(); 3].map(|()| Held::none(&all));
        let small = one.hold(OWN_BYTES - 1);
        assert!(one.has_room());
        let more = one.hold(1);
        assert!(!one.has_room() && other.has_room());
        drop(more);
        assert!(one.has_room());
        let most = other.hold(ALL_BYTES - OWN_BYTES);
        assert!(one.has_room());
        let last = third.hold(1);
        assert!(!one.has_room() && !third.has_room(), "all together hold what they may");
        drop(last);
        assert!(one.has_room() && third.has_room());
        drop((most, small));
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
    }
}
