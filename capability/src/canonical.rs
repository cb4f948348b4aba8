//! The capability set as text: one text for one set, whose digest stands in the ledger and from which an auditor repeats
//! every decision. Values of environment variables and arguments must never be in it: they may be secrets, and no
//! decision rests on them. Their digests tell one value from another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::record_settings::AuditSettings;
use crate::set::{CapabilitySet, ClockMode, FsCapability, Limits, OnViolation, RandomMode, RecordScope, StdioSet};

impl CapabilitySet {
    /// The set as JSON without white space, keys sorted by name, every key present. In place of each environment
    /// variable's value and of each argument there is its SHA-256, in lower-case hex: who knows the value can tell that it
    /// was this one, and who can guess it can check the guess. [`RecordedSet`](crate::RecordedSet) reads it back.
    ///
    /// # Errors
    ///
    /// [`CanonicalJsonError::Json`] if a host path is not UTF-8, so that it has no text.
    pub fn to_canonical_json(&self) -> Result<String, CanonicalJsonError> {
        Ok(CanonicalSet::of(self.clone(), ValueDigest::of).to_json()?)
    }
}

/// Why a set has no canonical text.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CanonicalJsonError {
    /// It has no JSON.
    #[error("the canonical text of a capability set cannot be made")]
    Json(#[from] serde_json::Error),
}

/// A capability set as its texts have it; `V` is what stands in place of each value that may be a secret.
///
/// Every text of a set is made here, so that a field that is added to the set is in all of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetFields<V> {
    fs: Vec<FsCapability>,
    env: BTreeMap<String, V>,
    args: Vec<V>,
    stdio: StdioSet,
    wall_clock: Option<ClockMode>,
    monotonic_clock: Option<ClockMode>,
    random: Option<RandomMode>,
    // Left out where it is not granted: a set says what there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    context: bool,
    limits: Limits,
    on_violation: OnViolation,
    record: RecordScope,
    audit: AuditSettings,
}

/// What stands in the canonical text: a capability set without its values.
pub(crate) type CanonicalSet = SetFields<ValueDigest>;

/// The fields of `$From` as those of `$To`, each value as `$value` gives it. No field can be left out: both are taken apart
/// and made whole.
macro_rules! same_fields {
    ($From:ident($given:expr) => $To:ident, $value:expr) => {{
        let $From {
            fs,
            env,
            args,
            stdio,
            wall_clock,
            monotonic_clock,
            random,
            context,
            limits,
            on_violation,
            record,
            audit,
        } = $given;
        let env = env.into_iter().map(|(name, value)| (name, $value(value))).collect();
        let args = args.into_iter().map($value).collect();
        $To { fs, env, args, stdio, wall_clock, monotonic_clock, random, context, limits, on_violation, record, audit }
    }};
}

impl<V> SetFields<V> {
    /// The fields of `set`, each value as `show` gives it.
    pub(crate) fn of(set: CapabilitySet, show: fn(String) -> V) -> Self {
        same_fields!(CapabilitySet(set) => SetFields, show)
    }

    /// The set with these fields, each value as `value` gives it.
    pub(crate) fn into_set(self, value: fn(V) -> String) -> CapabilitySet {
        same_fields!(SetFields(self) => CapabilitySet, value)
    }
}

impl CanonicalSet {
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut json = serde_json::to_value(self)?;
        json.sort_all_objects();
        Ok(json.to_string())
    }

    /// The set that decides as the one this was made from. Its values are empty, so it must not be run.
    pub(crate) fn without_values(self) -> CapabilitySet {
        self.into_set(|_digest| String::new())
    }
}

/// SHA-256 of a value that may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ValueDigest([u8; 32]);

impl ValueDigest {
    fn of(value: String) -> Self {
        Self(Sha256::digest(value).into())
    }
}

impl TryFrom<String> for ValueDigest {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest)?;
        Ok(Self(digest))
    }
}

impl From<ValueDigest> for String {
    fn from(digest: ValueDigest) -> Self {
        hex::encode(digest.0)
    }
}
