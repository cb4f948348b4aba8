//! Where a grant's credential is sent, so that no guest sends anything there. The secret itself is never here.

use thiserror::Error;

use crate::header::{FieldFault, FieldName, forbidden_field};
use crate::shown::Shown;

/// Longest name of a secret, in bytes.
pub const SECRET_NAME_BYTES_MAX: usize = 64;

/// A credential that is added to each request of a grant, by the name of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    secret: String,
    place: Place,
}

/// Where a credential is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// `Authorization: Basic …`: the secret is a name, a colon and a password.
    Basic,
    /// A header field of its own.
    Field(FieldName),
    /// A parameter of the query.
    Query(String),
}

impl Credential {
    /// A credential of the secret that a policy lists as `secret`.
    ///
    /// # Errors
    ///
    /// A [`CredentialError`] if nothing can be sent there, or the name is none.
    pub fn new(secret: &str, place: Place) -> Result<Self, CredentialError> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if secret.is_empty() || secret.len() > SECRET_NAME_BYTES_MAX || !secret.bytes().all(sound) {
            return Err(CredentialError::Secret { secret: Shown::of(secret) });
        }
        place.is_usable()?;
        Ok(Self { secret: secret.to_owned(), place })
    }

    /// The name of its secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Where it is sent.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }
}

impl Place {
    /// The header field in which it is sent, as fields are compared.
    #[must_use]
    pub fn folded_field(&self) -> Option<String> {
        match self {
            Self::Bearer | Self::Basic => Some("authorization".to_owned()),
            Self::Field(name) => Some(name.folded()),
            Self::Query(_) => None,
        }
    }

    /// The parameter in which it is sent.
    #[must_use]
    pub fn query_name(&self) -> Option<&str> {
        match self {
            Self::Bearer | Self::Basic | Self::Field(_) => None,
            Self::Query(name) => Some(name),
        }
    }

    fn is_usable(&self) -> Result<(), CredentialError> {
        match self {
            Self::Bearer | Self::Basic => Ok(()),
            Self::Field(name) => match forbidden_field(name) {
                None => Ok(()),
                Some(fault) => Err(CredentialError::Field(fault)),
            },
            Self::Query(name) if is_query_name(name) => Ok(()),
            Self::Query(name) => Err(CredentialError::Query { name: Shown::of(name) }),
        }
    }
}

/// Why a credential cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The name of the secret is none.
    #[error("`{secret}` is no name of a secret: letters, digits, `_` and `-`, at most {SECRET_NAME_BYTES_MAX}")]
    Secret {
        /// The name.
        secret: Shown,
    },
    /// The field is sent by the proxy itself, or by nobody.
    #[error("no credential can be sent there: {0}")]
    Field(FieldFault),
    /// The parameter's name would need encoding.
    #[error("`{name}` is no plain name of a query parameter: letters, digits, `_`, `-`, `.` and `~`")]
    Query {
        /// The name.
        name: Shown,
    },
}

/// A name that has no other spelling in a query.
fn is_query_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~');
    !name.is_empty() && name.len() <= SECRET_NAME_BYTES_MAX && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Place {
        Place::Field(FieldName::parse(name.as_bytes()).unwrap())
    }

    #[test]
    fn a_credential_goes_where_nobody_else_writes() {
        for place in [Place::Bearer, Place::Basic, field("X-Api-Key"), Place::Query("api_key".to_owned())] {
            assert!(Credential::new("GH", place.clone()).is_ok(), "{place:?}");
        }
        for name in ["Host", "content-length", "x_forwarded_for", "te", "Transfer-Encoding"] {
            assert!(matches!(Credential::new("GH", field(name)), Err(CredentialError::Field(_))), "{name}");
        }
        for name in ["", "a b", "a&b", "a=b", "%61", "ü"] {
            let place = Place::Query(name.to_owned());
            assert!(matches!(Credential::new("GH", place), Err(CredentialError::Query { .. })), "{name}");
        }
        for secret in ["", "a b", "ü", &"a".repeat(65)] {
            assert!(matches!(Credential::new(secret, Place::Bearer), Err(CredentialError::Secret { .. })), "{secret}");
        }
    }
}
