//! Clients that have not shown a token yet. Anybody on this machine can be one where an agent has a port, so they have few places: one
//! too many closes the oldest of them, and the places of clients that have shown a token stay free.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::watch::Watch;

/// Those of one gateway.
#[derive(Debug)]
pub(crate) struct Unproven {
    most: usize,
    // The oldest first.
    waiting: RefCell<VecDeque<Rc<Watch>>>,
}

/// A place among them, for as long as the connection lives.
#[derive(Debug)]
pub(crate) struct Waits<'u> {
    among: &'u Unproven,
    watch: Rc<Watch>,
}

impl Unproven {
    /// A quarter of all connections.
    pub(crate) fn of(connections: usize) -> Self {
        Self { most: (connections / 4).max(1), waiting: RefCell::default() }
    }

    /// Takes one more, for which the oldest may have to go.
    pub(crate) fn enter(&self, watch: &Rc<Watch>) -> Waits<'_> {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|other| !other.is_proven());
        while waiting.len() >= self.most
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.evict();
        }
        waiting.push_back(Rc::clone(watch));
        Waits { among: self, watch: Rc::clone(watch) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.among.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.watch));
    }
}
