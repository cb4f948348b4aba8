//! Keys of grants for HTTP: which origins a grant speaks of. Must never speak of a name that its owner did not mean: a wildcard stands
//! for whole labels, at the left alone, and never for none.
//!
//! | key | speaks of |
//! |---|---|
//! | `https://api.example.com` | that host at port 443 |
//! | `http://build.lan:8080` | that host at port 8080, in the clear |
//! | `https://*.cdn.example.org` | `a.cdn.example.org`; neither `cdn.example.org` nor `a.b.cdn.example.org` |
//! | `https://**.example.org` | `a.example.org`, `a.b.example.org`; not `example.org` |
//! | `https://[2001:db8::1]` | that address |
//!
//! A key has one spelling: small letters, no port that the scheme has anyway, no path.

use std::fmt;

use thiserror::Error;

use crate::authority::{PortFault, parse_port};
use crate::host::{Host, HostFault, HostName};
use crate::origin::Origin;
use crate::scheme::Scheme;
use crate::shown::Shown;

/// The origins that a grant speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OriginPattern {
    scheme: Scheme,
    hosts: Hosts,
    port: u16,
}

/// The hosts of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hosts {
    /// One host.
    Exact(Host),
    /// `*.suffix`: names with one label before it.
    OneLabel(HostName),
    /// `**.suffix`: names with one label or more before it.
    AnyLabels(HostName),
}

impl OriginPattern {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = || Shown::of(text);
        let Some((scheme, authority)) = text.split_once("://") else { return Err(KeyError::NoScheme { key: key() }) };
        let Ok(scheme) = Scheme::parse(scheme.as_bytes()) else { return Err(KeyError::NoScheme { key: key() }) };
        if authority.contains(['/', '?', '#']) {
            return Err(KeyError::Path { key: key() });
        }
        let (hosts, port) = split_port(authority);
        let hosts = Hosts::parse(hosts)?;
        let port = port.map(|port| parse_port(port.as_bytes())).transpose()?;
        if port == Some(scheme.default_port()) {
            return Err(KeyError::DefaultPort { key: key() });
        }
        let pattern = Self { scheme, hosts, port: port.unwrap_or_else(|| scheme.default_port()) };
        if pattern.to_string() != text {
            return Err(KeyError::Form { key: key(), plain: pattern.to_string() });
        }
        Ok(pattern)
    }

    /// Its scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its hosts.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it speaks of `origin`.
    #[must_use]
    pub fn speaks_of(&self, origin: &Origin) -> bool {
        self.scheme == origin.scheme && self.port == origin.port && self.hosts.contain(&origin.host)
    }
}

/// As it is written in a policy.
impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.hosts)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(suffix) = text.strip_prefix("**.") {
            return Ok(Self::AnyLabels(below_wildcard(suffix, text)?));
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            return Ok(Self::OneLabel(below_wildcard(suffix, text)?));
        }
        if text.contains('*') {
            return Err(KeyError::Wildcard { host: Shown::of(text) });
        }
        Ok(Self::Exact(Host::parse(text.as_bytes())?))
    }

    /// What follows the wildcard, if there is one.
    #[must_use]
    pub const fn suffix(&self) -> Option<&HostName> {
        match self {
            Self::Exact(_) => None,
            Self::OneLabel(suffix) | Self::AnyLabels(suffix) => Some(suffix),
        }
    }

    /// Whether `host` is one of them.
    #[must_use]
    pub fn contain(&self, host: &Host) -> bool {
        let before = |suffix: &HostName| host.name().and_then(|name| labels_before(name, suffix));
        match self {
            Self::Exact(exact) => exact == host,
            Self::OneLabel(suffix) => before(suffix).is_some_and(|labels| !labels.contains('.')),
            Self::AnyLabels(suffix) => before(suffix).is_some(),
        }
    }

    /// How much of a name is given: of several keys that fit, the greatest decides. One host outweighs every wildcard, a longer suffix
    /// a shorter one, and one label any number of them.
    pub(crate) fn weight(&self) -> (bool, usize, bool) {
        match self {
            Self::Exact(_) => (true, 0, false),
            Self::OneLabel(suffix) => (false, suffix.as_str().len(), true),
            Self::AnyLabels(suffix) => (false, suffix.as_str().len(), false),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::OneLabel(suffix) => write!(f, "*.{suffix}"),
            Self::AnyLabels(suffix) => write!(f, "**.{suffix}"),
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It does not begin with `http://` or `https://`.
    #[error("`{key}` does not begin with `https://` or `http://`")]
    NoScheme {
        /// The key.
        key: Shown,
    },
    /// Something follows the host and the port.
    #[error("`{key}` has something after its host and port; paths are granted by `paths`")]
    Path {
        /// The key.
        key: Shown,
    },
    /// The host cannot be used.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// The port cannot be used.
    #[error(transparent)]
    Port(#[from] PortFault),
    /// The port is the scheme's own.
    #[error(
        "`{key}` names the port that its scheme has anyway, which would be a second spelling of the key; leave the port out"
    )]
    DefaultPort {
        /// The key.
        key: Shown,
    },
    /// There is a wildcard where none may be.
    #[error("in `{host}` there is a `*` that is not `*.` or `**.` at the start of a name")]
    Wildcard {
        /// The host.
        host: Shown,
    },
    /// The wildcard stands for all names below one label.
    #[error("`{host}` speaks of names of many owners; a wildcard needs a name of two labels at least behind it")]
    TooWide {
        /// The host.
        host: Shown,
    },
    /// It is a key in another spelling than its usual one.
    #[error("`{key}` is written otherwise than the key that it is: `{plain}`")]
    Form {
        /// The key.
        key: Shown,
        /// How it is written.
        plain: String,
    },
}

/// The name behind a wildcard.
fn below_wildcard(suffix: &str, hosts: &str) -> Result<HostName, KeyError> {
    if suffix.contains('*') {
        return Err(KeyError::Wildcard { host: Shown::of(hosts) });
    }
    match Host::parse(suffix.as_bytes())? {
        Host::Name(name) if name.labels().count() < 2 => Err(KeyError::TooWide { host: Shown::of(hosts) }),
        Host::Name(name) => Ok(name),
        Host::V4(_) | Host::V6(_) => Err(KeyError::Wildcard { host: Shown::of(hosts) }),
    }
}

/// What stands in `name` before `suffix` and its dot.
fn labels_before<'n>(name: &'n HostName, suffix: &HostName) -> Option<&'n str> {
    let before = name.as_str().strip_suffix(suffix.as_str())?.strip_suffix('.')?;
    Some(before).filter(|labels| !labels.is_empty())
}

/// Host and port of a key; the colons of an IPv6 address are in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> OriginPattern {
        OriginPattern::parse(text).unwrap()
    }

    fn speaks(key: &str, scheme: Scheme, host: &str, port: u16) -> bool {
        let host = Host::parse(host.as_bytes()).unwrap();
        pattern(key).speaks_of(&Origin { scheme, host, port })
    }

    #[test]
    fn a_key_is_written_as_it_is_read() {
        for key in [
            "https://api.example.com",
            "http://build.lan:8080",
            "https://*.cdn.example.org",
            "https://**.example.org:8443",
            "https://192.0.2.1",
            "http://[2001:db8::1]:8080",
            "https://[2001:db8::1]",
            "http://localhost:443",
        ] {
            assert_eq!(pattern(key).to_string(), key);
        }
    }

    #[test]
    fn a_wildcard_stands_for_labels_and_never_for_none() {
        let https = |key, host| speaks(key, Scheme::Https, host, 443);
        assert!(https("https://*.example.org", "a.example.org") && https("https://**.example.org", "a.example.org"));
        assert!(
            https("https://**.example.org", "a.b.example.org") && !https("https://*.example.org", "a.b.example.org")
        );
        for host in ["example.org", "aexample.org", "example.org.evil.test", "org", "a.example.orgx"] {
            assert!(!https("https://*.example.org", host) && !https("https://**.example.org", host), "{host}");
        }
        assert!(!https("https://**.example.org", "192.0.2.1"));
    }

    #[test]
    fn scheme_and_port_are_exact() {
        assert!(speaks("https://api.test", Scheme::Https, "API.test", 443));
        assert!(!speaks("https://api.test", Scheme::Http, "api.test", 443));
        assert!(!speaks("https://api.test", Scheme::Https, "api.test", 8443));
        assert!(!speaks("https://api.test", Scheme::Http, "api.test", 80));
    }

    #[test]
    fn each_error_is_named() {
        let error = |key: &str| OriginPattern::parse(key).unwrap_err();
        for key in ["api.test", "//api.test", "ftp://api.test", "HTTPS://api.test", "*", ""] {
            assert!(matches!(error(key), KeyError::NoScheme { .. }), "{key}");
        }
        for key in ["https://api.test/", "https://api.test/v1", "https://api.test?x", "https://api.test#x"] {
            assert!(matches!(error(key), KeyError::Path { .. }), "{key}");
        }
        for key in [
            "https://*",
            "https://**",
            "https://a.*.test",
            "https://*a.test",
            "https://*.*.test",
            "https://*.192.0.2.1",
            "https://*.[::1]",
        ] {
            assert!(matches!(error(key), KeyError::Wildcard { .. }), "{key}");
        }
        for key in ["https://*.test", "https://**.com"] {
            assert!(matches!(error(key), KeyError::TooWide { .. }), "{key}");
        }
        for key in ["https://api.test:443", "http://api.test:80"] {
            assert!(matches!(error(key), KeyError::DefaultPort { .. }), "{key}");
        }
        assert!(matches!(error("https://API.test"), KeyError::Form { plain, .. } if plain == "https://api.test"));
        for key in ["https://", "https://api.test.", "https://me@api.test", "https://0", "https://[::ffff:1.2.3.4]"] {
            assert!(matches!(error(key), KeyError::Host(_)), "{key}");
        }
        for key in ["https://api.test:", "https://api.test:0443", "https://api.test:99999", "https://[::1]:x"] {
            assert!(matches!(error(key), KeyError::Port(_)), "{key}");
        }
    }
}
