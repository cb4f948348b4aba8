//! All that a tool may do on the network. Empty grants allow nothing. Of several keys that fit a host one alone decides: grants never
//! add up to more than each of them says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::grant::{GrantError, HttpGrant, RawHttpGrant, RawTcpGrant, TcpGrant};
use crate::host::HostName;
use crate::origin::{Endpoint, Origin};
use crate::shown::Shown;

/// Most grants of one tool: each is looked at for each request.
pub const GRANTS_MAX: usize = 256;

/// Grants in words, by their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNetworkGrants {
    /// Grants for HTTP, by origins such as `https://api.example.com`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub http: BTreeMap<String, RawHttpGrant>,
    /// Grants for TCP, by endpoints such as `db.example.com:5432`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tcp: BTreeMap<String, RawTcpGrant>,
}

/// What a tool may do on the network.
///
/// Its text (serde) is that of [`RawNetworkGrants`], the words that it was made of: it can be recorded and read back. What is read back
/// is held to everything but the list of public suffixes, which changes from year to year, while a recorded decision has to stay
/// repeatable: [`NetworkGrants::load`] is for policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawNetworkGrants", into = "RawNetworkGrants")]
pub struct NetworkGrants {
    http: Vec<HttpGrant>,
    tcp: Vec<TcpGrant>,
}

impl NetworkGrants {
    /// The grants of a policy. `is_public_suffix` says whether anybody can have a name below a name (`co.uk`, `github.io`), by the list of
    /// publicsuffix.org. It is asked for what stands behind a wildcard. The list can be asked and not searched, so that a `**.` above such a
    /// name, as in `**.amazonaws.com`, loads: whoever writes it means names of many owners.
    ///
    /// # Errors
    ///
    /// A [`GrantsError`] that names the key and says why it must not load.
    pub fn load(raw: RawNetworkGrants, is_public_suffix: impl Fn(&str) -> bool) -> Result<Self, GrantsError> {
        let grants = Self::try_from(raw)?;
        for grant in &grants.http {
            if let Some(suffix) = grant.key().hosts().suffix()
                && is_public_suffix(suffix.as_str())
            {
                let key = Shown::of(grant.key().to_string());
                let error = GrantError::PublicSuffix { key: key.clone(), suffix: suffix.to_string() };
                return Err(GrantsError::Grant { kind: "http", key, error: Box::new(error) });
            }
        }
        Ok(grants)
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.tcp.is_empty()
    }

    /// The grants for HTTP, by their keys' order.
    #[must_use]
    pub fn http(&self) -> &[HttpGrant] {
        &self.http
    }

    /// The grants for TCP, by their keys' order.
    #[must_use]
    pub fn tcp(&self) -> &[TcpGrant] {
        &self.tcp
    }

    /// The grant that decides about `origin`: that of its own key, or else of the longest wildcard that fits.
    #[must_use]
    pub fn decides(&self, origin: &Origin) -> Option<&HttpGrant> {
        let fitting = self.http.iter().filter(|grant| grant.key().speaks_of(origin));
        fitting.max_by_key(|grant| grant.key().hosts().weight())
    }

    /// The grant for `endpoint`.
    #[must_use]
    pub fn tcp_to(&self, endpoint: &Endpoint) -> Option<&TcpGrant> {
        self.tcp.iter().find(|grant| grant.endpoint() == endpoint)
    }

    /// Whether a grant for TCP names `name`, at any port: then a guest may ask for it.
    #[must_use]
    pub fn names(&self, name: &HostName) -> bool {
        self.tcp.iter().any(|grant| grant.endpoint().host.name() == Some(name))
    }
}

impl TryFrom<RawNetworkGrants> for NetworkGrants {
    type Error = GrantsError;

    fn try_from(raw: RawNetworkGrants) -> Result<Self, GrantsError> {
        let count = raw.http.len() + raw.tcp.len();
        if count > GRANTS_MAX {
            return Err(GrantsError::TooMany { count });
        }
        let http = raw
            .http
            .into_iter()
            .map(|(key, words)| HttpGrant::parse(&key, words).map_err(|error| of("http", &key, error)));
        let tcp = raw
            .tcp
            .into_iter()
            .map(|(key, words)| TcpGrant::parse(&key, words).map_err(|error| of("tcp", &key, error)));
        Ok(Self { http: http.collect::<Result<_, _>>()?, tcp: tcp.collect::<Result<_, _>>()? })
    }
}

impl From<NetworkGrants> for RawNetworkGrants {
    fn from(grants: NetworkGrants) -> Self {
        let http = grants.http.iter().map(|grant| (grant.key().to_string(), grant.raw().clone()));
        let tcp = grants.tcp.iter().map(|grant| (grant.endpoint().to_string(), grant.raw().clone()));
        Self { http: http.collect(), tcp: tcp.collect() }
    }
}

/// Why grants must not load.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantsError {
    /// More than [`GRANTS_MAX`].
    #[error("there are {count} grants for the network; the maximum is {GRANTS_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// One of them cannot be granted.
    #[error("`{kind}.\"{key}\"`: {error}")]
    Grant {
        /// `http` or `tcp`.
        kind: &'static str,
        /// Its key.
        key: Shown,
        /// Why.
        error: Box<GrantError>,
    },
}

fn of(kind: &'static str, key: &str, error: GrantError) -> GrantsError {
    GrantsError::Grant { kind, key: Shown::of(key), error: Box::new(error) }
}
