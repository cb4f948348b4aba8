//! Where the intent of a call must be before the call takes effect: the operator says it by right, folder by folder. It must
//! never weaken the record: an intent is in the notary's pipe in any case.

/// How safe an intent is before its effect, the weaker first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// In the notary's pipe: it outlives the worker.
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
