//! What manifests and policies are written with alike: names, rights and clocks.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_capability::{Access, AccessSet, ClockMode};
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError};
use crate::names::NameError;
use crate::texts::TextError;

/// Both clocks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Clocks")]
pub(crate) struct RawClocks {
    /// The time of day.
    pub(crate) wall: Option<ClockMode>,
    /// The time since some instant.
    pub(crate) monotonic: Option<ClockMode>,
}

/// The name that a text should be.
pub(crate) fn parsed<T>(document: &Document, raw: &Spanned<String>) -> Result<T, DocumentError>
where
    T: FromStr<Err = NameError>,
{
    raw.get_ref().parse().map_err(|fault: T::Err| document.value(raw.span(), fault))
}

/// At least one right.
pub(crate) fn rights(document: &Document, raw: &Spanned<Vec<Access>>) -> Result<AccessSet, DocumentError> {
    let access = raw.get_ref().iter().copied().collect::<AccessSet>();
    if access.is_empty() { Err(document.value(raw.span(), TextError::NoAccess)) } else { Ok(access) }
}
