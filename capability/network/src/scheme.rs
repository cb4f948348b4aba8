//! The two schemes that a grant can name. Must never take a third one, or another spelling.

use std::fmt;

use thiserror::Error;

use crate::shown::Shown;

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear: who is on the way reads and changes it.
    Http,
    /// Over TLS, with the name of the grant.
    Https,
}

impl Scheme {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Http, Self::Https];

    /// The scheme of this name, in small letters.
    ///
    /// # Errors
    ///
    /// A [`SchemeFault`] that shows any other text.
    pub fn parse(text: &[u8]) -> Result<Self, SchemeFault> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.as_str().as_bytes() == text);
        found.ok_or_else(|| SchemeFault { scheme: Shown::of(text) })
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is named.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A scheme that no request may have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the scheme `{scheme}` is neither `http` nor `https`, in small letters")]
pub struct SchemeFault {
    /// What was given.
    pub scheme: Shown,
}
