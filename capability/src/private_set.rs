//! The whole capability set as text, for the process that runs the tool. **It holds secrets**: the values of environment
//! variables and the arguments, in full. It must never be stored, logged or put into the ledger, and must go only through
//! a socket between two of our own processes; what is kept of a set is its canonical text
//! ([`CapabilitySet::to_canonical_json`]), which has digests in place of values.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::canonical::SetFields;
use crate::set::CapabilitySet;

/// Longest private text that is read back, in bytes: the canonical bound, and all values at their longest, escaped.
pub const PRIVATE_BYTES_MAX: usize = 64 << 20;

/// A capability set on its way to the process that runs the tool, secrets included.
///
/// The only serde form that loses nothing; keys that it does not know are refused. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PrivateText", into = "PrivateText")]
pub struct PrivateSet(CapabilitySet);

/// One key around the fields, so that a canonical text, with digests where values should be, is never taken for a private
/// one, nor the other way round.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrivateText {
    private: SetFields<String>,
}

impl PrivateSet {
    /// The set, ready to be handed on.
    #[must_use]
    pub const fn new(set: CapabilitySet) -> Self {
        Self(set)
    }

    /// The set that was handed on.
    #[must_use]
    pub fn into_set(self) -> CapabilitySet {
        self.0
    }

    /// The set as JSON. **Secret**: see the top of this module.
    ///
    /// # Errors
    ///
    /// [`PrivateSetError::Json`] if a host path is not UTF-8, so that it has no text.
    pub fn to_private_json(&self) -> Result<String, PrivateSetError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads what [`PrivateSet::to_private_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`PrivateSetError`] if it is too long, or not such a text.
    pub fn from_private_json(json: &str) -> Result<Self, PrivateSetError> {
        if json.len() > PRIVATE_BYTES_MAX {
            return Err(PrivateSetError::TooLong { bytes: json.len() });
        }
        Ok(serde_json::from_str(json)?)
    }
}

impl fmt::Debug for PrivateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateSet").finish_non_exhaustive()
    }
}

/// Why there is no private text, or no set in it. Its text shows no value: serde's message, which might, is withheld.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrivateSetError {
    /// Longer than [`PRIVATE_BYTES_MAX`].
    #[error("the private text of a capability set has {bytes} bytes, and the most is {PRIVATE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON, or not that of a capability set.
    #[error("not the private text of a capability set (line {line}, column {column}, {category:?})")]
    Json {
        /// What kind of fault it is.
        category: serde_json::error::Category,
        /// Where.
        line: usize,
        /// Where in that line.
        column: usize,
    },
}

impl From<serde_json::Error> for PrivateSetError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json { category: error.classify(), line: error.line(), column: error.column() }
    }
}

impl From<PrivateText> for PrivateSet {
    fn from(text: PrivateText) -> Self {
        Self(text.private.into_set(|value| value))
    }
}

impl From<PrivateSet> for PrivateText {
    fn from(set: PrivateSet) -> Self {
        Self { private: SetFields::of(set.0, |value| value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::{FsCapability, RandomMode};

    fn secret() -> CapabilitySet {
        CapabilitySet {
            fs: vec![FsCapability {
                opened: Some(crate::FileId { device: 2, inode: 3 }),
                write_quota: u64::MAX,
                ..FsCapability::new("/docs", "/srv/docs", crate::AccessSet::EMPTY.with(crate::Access::Read))
            }],
            env: [("TOKEN".to_owned(), "s3cret".to_owned())].into(),
            args: vec!["--key".to_owned(), "\u{1}k\"".to_owned()],
            random: Some(RandomMode::Seeded(u64::MAX)),
            ..CapabilitySet::default()
        }
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_shown() {
        let set = PrivateSet::new(secret());
        let json = set.to_private_json().unwrap();
        assert_eq!(PrivateSet::from_private_json(&json).unwrap().into_set(), secret());
        assert!(json.contains("s3cret") && !format!("{set:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_not_such_a_text_is_refused_without_showing_it() {
        let json = PrivateSet::new(secret()).to_private_json().unwrap();
        let bad = [
            json.replacen("\"stdio\"", "\"extra\":0,\"stdio\"", 1),
            json.replacen("\"guest\"", "\"extra\":0,\"guest\"", 1),
            json.replacen("\"TOKEN\":\"s3cret\"", "\"TOKEN\":[\"s3cret\"]", 1),
            json.replacen("\"kill\"", "\"s3cret\"", 1),
            json.replacen("\"env\"", "\"args\"", 1),
            json.replacen("\"private\"", "\"extra\":0,\"private\"", 1),
            secret().to_canonical_json().unwrap(),
            format!("{json}{{}}"),
        ];
        for text in bad {
            let error = PrivateSet::from_private_json(&text).unwrap_err();
            assert_ne!(text, json);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        assert!(crate::RecordedSet::parse(&json).is_err());
    }
}
