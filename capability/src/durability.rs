//! Where the intent of a call must be before the call takes effect: the operator says it by right, folder by folder. It must
//! never weaken the record: an intent is in the notary's pipe in any case.

use crate::call::HostCall;
use crate::check::decide;
use crate::set::CapabilitySet;

/// How safe an intent is before its effect, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// In the notary's pipe: it outlives the host process.
    #[default]
    Pipe,
    /// On disk: it outlives the machine's power.
    Disk,
}

impl Durability {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Disk => "disk",
        }
    }

    pub(crate) const fn of(durable: bool) -> Self {
        if durable { Self::Disk } else { Self::Pipe }
    }
}

impl CapabilitySet {
    /// Where the intent of `call` must be before its effect: [`Durability::Disk`] if it needs a right that its folder, or
    /// either of its two folders, lists as [`durable`](crate::FsCapability::durable). The rights are those that
    /// [`check`](crate::check) asks for. What touches no folder, or is denied and so has no effect, is
    /// [`Durability::Pipe`]. Pure, as the decision is.
    ///
    /// A call that is only counted ([`HostCall::acquires`]) has no intent unless every call is recorded: for it the answer
    /// matters only then.
    #[must_use]
    pub fn durability(&self, call: &HostCall) -> Durability {
        if self.fs.iter().all(|fs| fs.durable.is_empty()) {
            return Durability::Pipe;
        }
        decide(self, call).map_or(Durability::Pipe, |held| held.durability)
    }
}
