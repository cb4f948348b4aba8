//! How long a connection may make no progress. One state for all protocols; each tells it what it waits for.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::protocol::GatewayLimits;
use crate::race::race;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    idle: Duration,
    handshake: Duration,
    start: Instant,
    last: Cell<Instant>,
    was_asked: Cell<bool>,
    // A client that has proven nothing has the time of a handshake, whatever it asks.
    is_proven: Cell<bool>,
    // Its token is on the way to the daemon, which may be busy.
    is_judged: Cell<bool>,
    evicted: Notify,
    calls: Cell<usize>,
    is_reading: Cell<bool>,
    // Since when the client has taken nothing of what is written.
    blocked: Cell<Option<Instant>>,
    // Since when a header is on its way.
    head: Cell<Option<Instant>>,
    has_heads: Cell<bool>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Underway(Rc<Watch>);

impl Watch {
    /// `is_proven`: nothing is to be proven by a token.
    pub(crate) fn new(limits: &GatewayLimits, is_proven: bool) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            idle: Duration::from_millis(limits.idle_ms),
            handshake: Duration::from_millis(limits.handshake_ms),
            start: now,
            last: Cell::new(now),
            was_asked: Cell::new(false),
            is_proven: Cell::new(is_proven),
            is_judged: Cell::new(false),
            evicted: Notify::new(),
            calls: Cell::new(0),
            is_reading: Cell::new(false),
            blocked: Cell::new(None),
            head: Cell::new(None),
            has_heads: Cell::new(false),
        })
    }

    /// The time that a client has for its first request.
    pub(crate) const fn handshake(&self) -> Duration {
        self.handshake
    }

    /// The client has shown a right token.
    pub(crate) fn proven(&self) {
        self.is_proven.set(true);
    }

    /// Whether nothing is left to prove.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven.get()
    }

    /// Whether the daemon is asked about a token of the client's.
    pub(crate) fn judges(&self, is_judged: bool) {
        self.is_judged.set(is_judged);
    }

    /// Closes the connection for another one.
    pub(crate) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Some bytes came.
    pub(crate) fn has_read(&self) {
        let now = Instant::now();
        self.last.set(now);
        if self.has_heads.get() && self.calls.get() == 0 && self.head.get().is_none() {
            self.head.set(Some(now));
        }
    }

    /// The client took some bytes.
    pub(crate) fn has_written(&self) {
        self.last.set(Instant::now());
        self.blocked.set(None);
    }

    /// The client takes nothing for now.
    pub(crate) fn is_blocked(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// From now on each request begins with a header, which must be whole in time.
    pub(crate) fn expect_heads(&self) {
        self.has_heads.set(true);
    }

    /// A whole request, or its header, has come.
    pub(crate) fn is_asked(&self) {
        self.was_asked.set(true);
        self.head.set(None);
    }

    /// Whether the rest of something that began to come is waited for.
    pub(crate) fn reads(&self, is_reading: bool) {
        self.is_reading.set(is_reading);
    }

    /// Counts a request as under way until the result is dropped.
    pub(crate) fn underway(self: &Rc<Self>) -> Underway {
        self.calls.set(self.calls.get() + 1);
        Underway(Rc::clone(self))
    }

    /// Waits until the client has made no progress for too long, or is to make room for another.
    pub(crate) async fn is_to_go(&self) {
        race(self.stands_still(), self.evicted.notified()).await;
    }

    async fn stands_still(&self) {
        loop {
            let now = Instant::now();
            // What is waited for may change meanwhile.
            let soon = now + self.idle.min(self.handshake);
            let wake = match self.deadline() {
                Some(deadline) if deadline <= now => return,
                Some(deadline) => deadline.min(soon),
                None => soon,
            };
            sleep(wake.duration_since(now).max(TICK_MIN)).await;
        }
    }

    /// None where the client waits for us.
    fn deadline(&self) -> Option<Instant> {
        let blocked = self.blocked.get().map(|since| since + self.idle);
        if !self.is_proven.get() {
            return (!self.is_judged.get()).then(|| self.start + self.handshake);
        }
        if !self.was_asked.get() {
            return Some(self.start + self.handshake);
        }
        let awaited = match self.head.get() {
            Some(since) => Some(since + self.handshake),
            None if self.calls.get() > 0 && !self.is_reading.get() => None,
            None => Some(self.last.get() + self.idle),
        };
        [awaited, blocked].into_iter().flatten().min()
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get().saturating_sub(1));
        self.0.last.set(Instant::now());
    }
}

const TICK_MIN: Duration = Duration::from_millis(1);
