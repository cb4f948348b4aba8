//! How a client of MCP's first era takes a request back over HTTP: by a notification, which is a request of its own, mostly on another
//! connection. Ids of requests are each client's own, so that `initialize` gives a client a name for all that it asks, and its requests
//! are found by name and id. Nothing else is kept of a session, and nothing once its request is over.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;

use tokio::sync::Notify;

use crate::parse::Id;

/// The requests under way that name a session, of all connections of the agent.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    secret: RandomState,
    given: Cell<u64>,
    open: RefCell<HashMap<Key, Rc<Notify>>>,
}

type Key = (Vec<u8>, Id);

/// Most bytes of a name that is looked at; ours have fewer.
const NAME_BYTES_MAX: usize = 64;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Open<'s> {
    sessions: &'s Sessions,
    key: Key,
    withdrawn: Rc<Notify>,
}

impl Sessions {
    /// A name that no other client has.
    pub(crate) fn name(&self) -> String {
        let number = self.given.get().wrapping_add(1);
        self.given.set(number);
        let [first, second] = [0, 1].map(|half: u8| self.secret.hash_one((number, half)));
        format!("{first:016x}{second:016x}")
    }

    /// Notes a request of this session; none where its name is longer than any of ours. A second one by the same id is the one that is found.
    pub(crate) fn open(&self, session: &[u8], id: &Id) -> Option<Open<'_>> {
        if session.len() > NAME_BYTES_MAX {
            return None;
        }
        let (key, withdrawn) = ((session.to_vec(), id.clone()), Rc::new(Notify::new()));
        self.open.borrow_mut().insert(key.clone(), Rc::clone(&withdrawn));
        Some(Open { sessions: self, key, withdrawn })
    }

    /// Takes a request back, if it is under way.
    pub(crate) fn withdraw(&self, session: &[u8], id: &Id) {
        if let Some(withdrawn) = self.open.borrow().get(&(session.to_vec(), id.clone())) {
            withdrawn.notify_one();
        }
    }
}

impl Open<'_> {
    /// Waits until the request is taken back.
    pub(crate) async fn withdrawn(&self) {
        self.withdrawn.notified().await;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = self.sessions.open.borrow_mut();
        if open.get(&self.key).is_some_and(|withdrawn| Rc::ptr_eq(withdrawn, &self.withdrawn)) {
            open.remove(&self.key);
        }
    }
}
