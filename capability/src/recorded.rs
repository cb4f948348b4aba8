//! A capability set as an auditor has it: read back from its canonical text, to repeat decisions. It must never be run:
//! the values of variables and arguments are not in that text.

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::call::Call;
use crate::canonical::CanonicalSet;
use crate::check::{Decision, check};
use crate::set::{CapabilitySet, FsCapability, OnViolation};

/// Longest canonical text that is read back, in bytes: a set at all its bounds is shorter.
pub const CANONICAL_BYTES_MAX: usize = 16 << 20;

/// The capability set that was in force for a recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSet {
    set: CapabilitySet,
    digest: [u8; 32],
}

impl RecordedSet {
    /// Reads what [`CapabilitySet::to_canonical_json`] wrote, and nothing else: what is accepted is the one text of its
    /// set, so that its digest is the set's.
    ///
    /// # Errors
    ///
    /// [`RecordedSetError`] if it is too long, not such a text, or not in the canonical form.
    pub fn parse(json: &str) -> Result<Self, RecordedSetError> {
        if json.len() > CANONICAL_BYTES_MAX {
            return Err(RecordedSetError::TooLong { bytes: json.len() });
        }
        let canonical: CanonicalSet = serde_json::from_str(json)?;
        if canonical.to_json()? != json {
            return Err(RecordedSetError::NotCanonical);
        }
        Ok(Self { set: canonical.without_values(), digest: Sha256::digest(json).into() })
    }

    /// SHA-256 of the canonical text: what the ledger names the set by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Decides as [`check`] does over the set that was in force.
    #[must_use]
    pub fn check(&self, call: &Call) -> Decision<'_> {
        check(&self.set, call)
    }

    /// The granted folders; a [`GrantIndex`](crate::GrantIndex) counts in them.
    #[must_use]
    pub fn folders(&self) -> &[FsCapability] {
        &self.set.fs
    }

    /// What happened when a call was denied.
    #[must_use]
    pub fn on_violation(&self) -> OnViolation {
        self.set.on_violation
    }
}

/// Why a text is not that of a recorded set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordedSetError {
    /// Longer than [`CANONICAL_BYTES_MAX`].
    #[error("the text of a capability set has {bytes} bytes, and the most is {CANONICAL_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or not that of a capability set.
    #[error("not the text of a capability set")]
    Json(#[from] serde_json::Error),
    /// A capability set, written otherwise than its one canonical text.
    #[error("the text of a capability set is not in its canonical form")]
    NotCanonical,
}
