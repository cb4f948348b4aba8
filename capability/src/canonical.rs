//! The capability set as text: one text for one set, whose digest stands in the ledger and from which an auditor repeats
//! every decision. Values of environment variables must never be in it: they may be secrets, and no decision rests on
//! them.

use thiserror::Error;

use crate::set::CapabilitySet;

/// Longest canonical text that is read back, in bytes: a set at all its bounds is shorter.
pub const CANONICAL_BYTES_MAX: usize = 16 << 20;

impl CapabilitySet {
    /// The set as JSON without white space, keys sorted by name, every key present. Variables of the environment are
    /// there by name, each with an empty text as its value.
    ///
    /// # Errors
    ///
    /// [`CanonicalJsonError::Json`] if a host path is not UTF-8, so that it has no text.
    pub fn to_canonical_json(&self) -> Result<String, CanonicalJsonError> {
        let mut set = self.clone();
        set.env.iter_mut().flatten().for_each(|(_, value)| value.clear());
        let mut json = serde_json::to_value(set)?;
        json.sort_all_objects();
        Ok(json.to_string())
    }

    /// The set that a canonical text stands for, with empty values in the environment. `check` decides by it as by the
    /// set that the text was made from.
    ///
    /// # Errors
    ///
    /// [`CanonicalJsonError`] if it is too long or not such a text.
    pub fn from_canonical_json(text: &str) -> Result<Self, CanonicalJsonError> {
        if text.len() > CANONICAL_BYTES_MAX {
            return Err(CanonicalJsonError::TooLong { bytes: text.len() });
        }
        Ok(serde_json::from_str(text)?)
    }
}

/// Why a set has no canonical text, or a text no set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CanonicalJsonError {
    /// Longer than [`CANONICAL_BYTES_MAX`].
    #[error("the canonical text of a capability set has {bytes} bytes, and the most is {CANONICAL_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or not that of a capability set.
    #[error("the canonical text of a capability set cannot be made or read")]
    Json(#[from] serde_json::Error),
}
