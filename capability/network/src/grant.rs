//! Grants for the network: one for each origin, one for each endpoint. A grant that is made holds all that its type promises; must
//! never be made of words that cannot be enforced together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::addresses::{AddressFault, Addresses, AddressesError};
use crate::authority::{Authority, AuthorityFault};
use crate::credential::{Credential, CredentialError, Place};
use crate::header::FieldName;
use crate::host::Host;
use crate::method::{Method, MethodFault};
use crate::origin::Endpoint;
use crate::origin_pattern::{Hosts, KeyError, OriginPattern};
use crate::paths::{Paths, PathsError};
use crate::query::is_certain;
use crate::rate::{Rate, RateError};
use crate::scheme::Scheme;
use crate::shown::Shown;

/// Most methods of one grant.
pub const METHODS_MAX: usize = 32;
/// Most query names of one grant.
pub const GRANTED_QUERY_NAMES_MAX: usize = 64;

/// A grant for HTTP in words, below its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHttpGrant {
    /// Methods, in capital letters; at least one.
    pub methods: Vec<String>,
    /// Patterns of paths ([`Paths`]); at least one.
    pub paths: Vec<String>,
    /// Patterns of paths that are not granted all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Names that a query may have; without it, queries are not looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Vec<String>>,
    /// Addresses that the hosts may have: `public` and networks; without it, `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// A credential that is added to each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<RawCredential>,
    /// Whether there may be a `%2F` in a path.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encoded_slash: bool,
    /// Whether there may be a `;` in a path.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub semicolon: bool,
    /// Most bytes of one call that go up to this origin; without it, the call's own limit holds alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<u64>,
    /// Most bytes of one call that come down from this origin; without it, the call's own limit holds alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<u64>,
    /// Most requests in a time, such as `60/min`, over all calls of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}

/// A credential in words: a secret, and exactly one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCredential {
    /// The name of the secret.
    pub secret: String,
    /// `Authorization: Bearer …`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bearer: bool,
    /// `Authorization: Basic …`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub basic: bool,
    /// A header field of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A query parameter of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A grant for TCP in words, below its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTcpGrant {
    /// Addresses that the host may have: `public` and networks; without it, `public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// Most bytes of one call that go up to this endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<u64>,
    /// Most bytes of one call that come down from this endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<u64>,
}

/// What may be asked of the origins of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    key: OriginPattern,
    methods: BTreeSet<Method>,
    paths: Paths,
    query: Option<BTreeSet<String>>,
    addresses: Addresses,
    credential: Option<Credential>,
    raw: RawHttpGrant,
    rate: Option<Rate>,
}

impl HttpGrant {
    /// The grant of a key and its words.
    ///
    /// # Errors
    ///
    /// A [`GrantError`] that says what cannot be granted.
    pub fn parse(key: &str, raw: RawHttpGrant) -> Result<Self, GrantError> {
        let key = OriginPattern::parse(key)?;
        let addresses = addresses(raw.addresses.as_deref())?;
        reachable(key.hosts(), &addresses)?;
        let grant = Self {
            methods: methods(&raw.methods)?,
            paths: Paths::parse(&raw.paths, &raw.exclude)?,
            query: raw.query.as_deref().map(query_names).transpose()?,
            credential: raw.credential.as_ref().map(credential).transpose()?,
            rate: raw.rate.as_deref().map(Rate::parse).transpose()?,
            addresses,
            key,
            raw,
        };
        grant.credential_is_safe()?;
        Ok(grant)
    }

    /// A credential goes to one host that its grant names, and over TLS alone.
    fn credential_is_safe(&self) -> Result<(), GrantError> {
        if self.credential.is_none() {
            return Ok(());
        }
        if self.key.hosts().suffix().is_some() {
            return Err(GrantError::CredentialAndWildcard { key: Shown::of(self.key.to_string()) });
        }
        match self.key.scheme() {
            Scheme::Https => Ok(()),
            Scheme::Http => Err(GrantError::CredentialInTheClear { key: Shown::of(self.key.to_string()) }),
        }
    }

    /// The origins.
    #[must_use]
    pub const fn key(&self) -> &OriginPattern {
        &self.key
    }

    /// The methods.
    #[must_use]
    pub const fn methods(&self) -> &BTreeSet<Method> {
        &self.methods
    }

    /// The paths.
    #[must_use]
    pub const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The names that a query may have, if the grant speaks of them.
    #[must_use]
    pub const fn query(&self) -> Option<&BTreeSet<String>> {
        self.query.as_ref()
    }

    /// The addresses that the hosts may have.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The credential.
    #[must_use]
    pub const fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// Whether there may be a `%2F` in a path.
    #[must_use]
    pub const fn takes_encoded_slash(&self) -> bool {
        self.raw.encoded_slash
    }

    /// Whether there may be a `;` in a path.
    #[must_use]
    pub const fn takes_semicolon(&self) -> bool {
        self.raw.semicolon
    }

    /// Most bytes of one call that go up to this origin.
    #[must_use]
    pub const fn up(&self) -> Option<u64> {
        self.raw.up
    }

    /// Most bytes of one call that come down from this origin.
    #[must_use]
    pub const fn down(&self) -> Option<u64> {
        self.raw.down
    }

    /// How often it may be used.
    #[must_use]
    pub const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The words that it was made of.
    #[must_use]
    pub const fn raw(&self) -> &RawHttpGrant {
        &self.raw
    }
}

/// A connection that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpGrant {
    endpoint: Endpoint,
    addresses: Addresses,
    raw: RawTcpGrant,
}

impl TcpGrant {
    /// The grant of a key, a host and a port such as `db.example.com:5432`, and its words.
    ///
    /// # Errors
    ///
    /// A [`GrantError`] that says what cannot be granted.
    pub fn parse(key: &str, raw: RawTcpGrant) -> Result<Self, GrantError> {
        if key.contains('*') {
            return Err(GrantError::TcpWildcard { key: Shown::of(key) });
        }
        let authority = Authority::parse(key.as_bytes())?;
        let Some(port) = authority.port else { return Err(GrantError::NoPort { key: Shown::of(key) }) };
        let endpoint = Endpoint { host: authority.host, port };
        if endpoint.to_string() != key {
            return Err(GrantError::TcpForm { key: Shown::of(key), plain: endpoint.to_string() });
        }
        let addresses = addresses(raw.addresses.as_deref())?;
        reachable(&Hosts::Exact(endpoint.host.clone()), &addresses)?;
        Ok(Self { endpoint, addresses, raw })
    }

    /// Host and port.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The addresses that the host may have.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Most bytes of one call that go up to this endpoint.
    #[must_use]
    pub const fn up(&self) -> Option<u64> {
        self.raw.up
    }

    /// Most bytes of one call that come down from this endpoint.
    #[must_use]
    pub const fn down(&self) -> Option<u64> {
        self.raw.down
    }

    /// The words that it was made of.
    #[must_use]
    pub const fn raw(&self) -> &RawTcpGrant {
        &self.raw
    }
}

/// Why words are no grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The key names no origins.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key names no endpoint.
    #[error(transparent)]
    Authority(#[from] AuthorityFault),
    /// A method cannot be granted.
    #[error(transparent)]
    Method(#[from] MethodFault),
    /// The paths cannot be used.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// The addresses cannot be used.
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    /// The credential cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The rate is none.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// No method, or too many.
    #[error("there are {count} methods; there must be between 1 and {METHODS_MAX}")]
    Methods {
        /// How many there are.
        count: usize,
    },
    /// A word is in a list twice.
    #[error("`{word}` is there twice")]
    Twice {
        /// The word.
        word: Shown,
    },
    /// Too many query names.
    #[error("there are {count} query names; the maximum is {GRANTED_QUERY_NAMES_MAX}")]
    QueryNames {
        /// How many there are.
        count: usize,
    },
    /// A name that no query can have for certain.
    #[error(
        "`{name}` is no name of a query that all servers read alike: it is empty, or has a `;`, `+`, space, backslash or control"
    )]
    QueryName {
        /// The name.
        name: Shown,
    },
    /// No place for a credential, or more than one.
    #[error("a credential has exactly one place: `bearer = true`, `basic = true`, `header` or `query`")]
    CredentialPlace,
    /// A credential with a wildcard.
    #[error(
        "`{key}` has a wildcard, and a credential goes to one host that its grant names; grant that host by itself"
    )]
    CredentialAndWildcard {
        /// The key.
        key: Shown,
    },
    /// A credential without TLS.
    #[error("`{key}` is not `https://`, and a credential never travels in the clear")]
    CredentialInTheClear {
        /// The key.
        key: Shown,
    },
    /// A wildcard below a public suffix.
    #[error(
        "`{key}` speaks of names of many owners: anybody can have a name below `{suffix}`; grant single hosts, or a name below it"
    )]
    PublicSuffix {
        /// The key.
        key: Shown,
        /// What follows the wildcard.
        suffix: String,
    },
    /// A literal address that the grant does not reach.
    #[error("`{host}` cannot be reached by this grant: {fault}{}", literal_help(fault, host))]
    Literal {
        /// The address.
        host: String,
        /// Why not.
        fault: AddressFault,
    },
    /// A name of this machine or this network, without networks.
    #[error(
        "`{name}` is a name of this machine or this network; list the networks that it may be in, such as `addresses = [\"10.1.0.0/16\"]`"
    )]
    SpecialName {
        /// The name.
        name: String,
    },
    /// A key for TCP has no port.
    #[error("`{key}` has no port; write it such as `db.example.com:5432`")]
    NoPort {
        /// The key.
        key: Shown,
    },
    /// A key for TCP has a wildcard.
    #[error("`{key}` has a wildcard; a grant for TCP names one host")]
    TcpWildcard {
        /// The key.
        key: Shown,
    },
    /// A key for TCP in another spelling than its usual one.
    #[error("`{key}` is written otherwise than the key that it is: `{plain}`")]
    TcpForm {
        /// The key.
        key: Shown,
        /// How it is written.
        plain: String,
    },
}

/// What to write, where a literal address only lacks its network.
fn literal_help(fault: &AddressFault, host: &str) -> String {
    if matches!(fault, AddressFault::Never(_)) {
        return String::new();
    }
    let bits = if host.starts_with('[') { 128 } else { 32 };
    format!("; to list it, write `addresses = [\"{}/{bits}\"]`", host.trim_matches(['[', ']']))
}

fn methods(texts: &[String]) -> Result<BTreeSet<Method>, GrantError> {
    if texts.is_empty() || texts.len() > METHODS_MAX {
        return Err(GrantError::Methods { count: texts.len() });
    }
    let mut methods = BTreeSet::new();
    for text in texts {
        if !methods.insert(Method::parse(text.as_bytes())?) {
            return Err(GrantError::Twice { word: Shown::of(text) });
        }
    }
    Ok(methods)
}

fn query_names(texts: &[String]) -> Result<BTreeSet<String>, GrantError> {
    if texts.len() > GRANTED_QUERY_NAMES_MAX {
        return Err(GrantError::QueryNames { count: texts.len() });
    }
    let mut names = BTreeSet::new();
    for text in texts {
        if !is_certain(text) {
            return Err(GrantError::QueryName { name: Shown::of(text) });
        }
        if !names.insert(text.clone()) {
            return Err(GrantError::Twice { word: Shown::of(text) });
        }
    }
    Ok(names)
}

fn addresses(words: Option<&[String]>) -> Result<Addresses, AddressesError> {
    words.map_or(Ok(Addresses::PUBLIC), |words| Addresses::parse(words.iter().map(String::as_str)))
}

fn credential(raw: &RawCredential) -> Result<Credential, GrantError> {
    let field = |name: &String| FieldName::parse(name.as_bytes()).map(Place::Field);
    let field = raw.header.as_ref().map(field).transpose().map_err(CredentialError::Field)?;
    let query = raw.query.clone().map(Place::Query);
    let bearer = raw.bearer.then_some(Place::Bearer);
    let basic = raw.basic.then_some(Place::Basic);
    let mut places = [field, query, bearer, basic].into_iter().flatten();
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(Credential::new(&raw.secret, place)?),
        (_, _) => Err(GrantError::CredentialPlace),
    }
}

/// Whether the grant reaches its hosts at all, as far as their texts say: a literal address is judged as it will be when it is
/// connected to; names of this network need a network.
fn reachable(hosts: &Hosts, addresses: &Addresses) -> Result<(), GrantError> {
    let name = match hosts {
        Hosts::Exact(host) => match (host.address(), host) {
            (Some(address), _) => {
                let fault = |fault| GrantError::Literal { host: host.to_string(), fault };
                return addresses.judge(address, false).map_err(fault);
            }
            (None, Host::Name(name)) => name,
            (None, Host::V4(_) | Host::V6(_)) => return Ok(()),
        },
        Hosts::OneLabel(suffix) | Hosts::AnyLabels(suffix) => suffix,
    };
    if name.is_special() && !addresses.lists_networks() {
        return Err(GrantError::SpecialName { name: name.to_string() });
    }
    Ok(())
}
