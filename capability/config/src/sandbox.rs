//! The kernel layer that the operator asks for: how much of it must be there (`[sandbox]`). What the kernel offers is
//! enforced in every case; a level here must never make it enforce less.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much the kernel enforces around a worker, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxLevel {
    /// As much as there is, perhaps nothing.
    None,
    /// The filter on system calls, and Landlock of any ABI.
    Partial,
    /// The filter on system calls, and every Landlock right of the plan: files, truncation, device ioctl, TCP, and the
    /// scopes of signals and abstract sockets (ABI 6).
    #[default]
    Full,
}

impl SandboxLevel {
    /// Every level, the weakest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Partial, Self::Full];

    /// The word for it in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Full => "full",
        }
    }
}

impl std::fmt::Display for SandboxLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is asked of the kernel (`[sandbox]` of a policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SandboxSettings {
    /// The floor: where the kernel enforces less, no tool runs. Default: full.
    pub require: SandboxLevel,
}
