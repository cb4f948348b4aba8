//! What the operator asks of the record of a call beside its host calls. A manifest must never have a say in it: its author
//! is not trusted.

use serde::{Deserialize, Serialize};

/// How calls of one tool are recorded and answered (`[tools.NAME.audit]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSettings {
    /// Whether arguments and results are recorded.
    pub arguments: ArgumentsRecord,
    /// When a result may be handed out.
    pub acknowledge: Acknowledge,
}

/// Whether a call's arguments and results are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ArgumentsRecord {
    /// As salted digests: who has them can show that it was these.
    #[default]
    Digest,
    /// As salted digests, and in full beside the ledger, where they can be erased.
    Full,
    /// Not at all.
    None,
}

impl ArgumentsRecord {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Digest, Self::Full, Self::None];

    /// The word for it in grants.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Full => "full",
            Self::None => "none",
        }
    }
}

/// How safe the end of a call must be before its result is handed out, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// In the notary's pipe: it outlives the worker.
    #[default]
    Pipe,
    /// In the ledger's journal: it outlives the notary process.
    Journal,
    /// On disk: it outlives the machine's power.
    Disk,
}

impl Acknowledge {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Pipe, Self::Journal, Self::Disk];

    /// The word for it in grants.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Journal => "journal",
            Self::Disk => "disk",
        }
    }
}
