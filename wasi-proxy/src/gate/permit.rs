//! Proofs that a call was allowed. Each owns its call, and an effect takes the proof by value and reads from it what to act
//! on: no effect happens twice for one decision, or for another call than the decided one.

use rustix::io::Errno;
use tollgate_capability::Call;
use tollgate_notary::IntentId;

/// Proof that a call was allowed and that its intent, if it is of the recorded kind, is in the ledger.
#[must_use = "a dropped permit leaves an intent without an outcome"]
#[derive(Debug)]
pub struct Permit(Spent);

impl Permit {
    pub(super) fn new(call: Call, intent: Option<IntentId>) -> Self {
        Self(Spent { call, intent })
    }

    /// The call that is permitted.
    #[must_use]
    pub fn call(&self) -> &Call {
        self.0.call()
    }

    /// Uses the permit up for the effect of its call, which is given that call.
    pub(crate) fn perform<T>(self, effect: impl FnOnce(&Call) -> Result<T, Failed>) -> Performed<T> {
        let result = effect(&self.0.call);
        Performed { result, spent: self.0 }
    }

    /// Uses the permit up where another crate performs the effect, or where there is none.
    pub(crate) fn spend(self) -> Spent {
        self.0
    }
}

/// What an effect came to, and what waits to hear of it.
#[must_use = "what came of an intent must be recorded"]
pub(crate) struct Performed<T> {
    pub(crate) result: Result<T, Failed>,
    pub(crate) spent: Spent,
}

/// A permit that was used: the intent still waits for its outcome.
#[must_use = "what came of an intent must be recorded"]
#[derive(Debug)]
pub(crate) struct Spent {
    call: Call,
    intent: Option<IntentId>,
}

impl Spent {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// The call and its intent.
    pub(super) fn into_parts(self) -> (Call, Option<IntentId>) {
        (self.call, self.intent)
    }

    /// For a call whose outcome is recorded later, when its handle is released.
    pub(crate) fn into_intent(self) -> Option<IntentId> {
        self.intent
    }
}

/// Proof that a call was allowed whose outcome says no more than that: it is counted, and its record, if every call has
/// one, is complete.
#[must_use = "an effect needs it"]
#[derive(Debug)]
pub(crate) struct Checked(Call);

impl Checked {
    pub(super) fn new(call: Call) -> Self {
        Self(call)
    }

    /// The call that was allowed.
    pub(crate) fn call(&self) -> &Call {
        &self.0
    }
}

/// Why an effect did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The way to the name leads out of the granted folder.
    Escapes(WayOut),
    /// Something else stands there by now than what was decided on: nothing was done, decide again.
    Raced,
    /// Something else was put in the place of what was decided on while the call was made, and may have been changed.
    Exchanged,
    /// The kernel's own reason.
    Kernel(Errno),
    /// The proof is of a call with another effect, or its folder is not open: a broken invariant, so nothing was done.
    Broken,
}

/// By what a way leads out of a granted folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// A symbolic link.
    Link,
    /// A mount that is not granted.
    Mount,
    /// A file system of the kernel's own.
    Pseudo,
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}
