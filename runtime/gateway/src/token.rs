//! The token of a connection: the daemon compares, and what was right once is not asked again on the same connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use subtle::ConstantTimeEq as _;

use crate::protocol::Failure;
use crate::service::Core;
use crate::watch::Watch;

/// What a connection has shown so far.
#[derive(Debug)]
pub(crate) struct Tokens {
    watch: Rc<Watch>,
    right: RefCell<Option<Vec<u8>>>,
    wrong: Cell<u8>,
    came_by_line: Cell<bool>,
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// It is wrong, and the connection is to be closed.
    OneTooMany,
}

impl Tokens {
    /// None yet.
    pub(crate) fn of(watch: &Rc<Watch>) -> Self {
        Self {
            watch: Rc::clone(watch),
            right: RefCell::default(),
            wrong: Cell::default(),
            came_by_line: Cell::default(),
        }
    }

    /// Whether a right one came before all requests, and holds for each of them.
    pub(crate) fn holds(&self) -> bool {
        self.came_by_line.get()
    }

    /// The last right one came before all requests.
    pub(crate) fn hold(&self) {
        self.came_by_line.set(true);
    }

    /// Looks at a token.
    pub(crate) async fn show(&self, core: &Core, client: u64, token: &[u8]) -> Result<Shown, Failure> {
        // It takes as long wherever they differ.
        let is_known = self.right.borrow().as_deref().is_some_and(|right| right.ct_eq(token).into());
        if is_known || self.judged(core, client, token).await? {
            *self.right.borrow_mut() = Some(token.to_vec());
            self.watch.proven();
            return Ok(Shown::Right);
        }
        self.wrong.set(self.wrong.get().saturating_add(1));
        Ok(if self.wrong.get() >= WRONG_MAX { Shown::OneTooMany } else { Shown::Wrong })
    }

    /// What the daemon says of it.
    async fn judged(&self, core: &Core, client: u64, token: &[u8]) -> Result<bool, Failure> {
        self.watch.judges(true);
        let is_right = core.is_right(client, token).await;
        self.watch.judges(false);
        is_right
    }
}

/// Wrong tokens that close a connection.
const WRONG_MAX: u8 = 3;

/// Why nothing is answered.
pub(crate) fn no_token() -> Failure {
    Failure::new("unauthenticated", "this agent's clients show a token first: `tollgate serve token add` makes one")
}

/// Why a token opens nothing.
pub(crate) fn wrong_token() -> Failure {
    Failure::new("unauthenticated", "the token is not this agent's")
}
