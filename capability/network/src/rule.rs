//! The rules of network grants by name, as `check`, ledger and errors give them. Must never decide.

use std::fmt;

use crate::addresses::Addresses;
use crate::budget::NetworkCap;
use crate::host::HostName;
use crate::method::Method;
use crate::origin::{Endpoint, Origin};
use crate::reason::Reason;

/// A request that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied<'a> {
    /// The rule that would have to hold.
    pub missing: Rule<'a>,
    /// Why it does not.
    pub reason: Reason,
}

/// As it is told: the rule, then why.
impl fmt::Display for Denied<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.missing, self.reason)
    }
}

/// A rule of network grants. Its text (`Display`) is what ledger and errors show, such as `tcp:db.example.com:5432`. Origins and paths
/// in it are the request's, in their one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'a> {
    /// `http:https://api.example.com:GET:/repos/x`: this request.
    Http {
        /// Where it goes.
        origin: &'a Origin,
        /// Its method.
        method: &'a Method,
        /// Its path, as it is sent.
        path: &'a str,
    },
    /// `http:https://api.example.com:patterns`, and so on: a part of every request to an origin.
    HttpPart {
        /// Where it goes.
        origin: &'a Origin,
        /// Which part.
        part: HttpPart,
    },
    /// `http:https://api.example.com`: any request to this origin.
    HttpAny {
        /// Where it goes.
        origin: &'a Origin,
    },
    /// `http:canonical`: scheme and authority are in their one spelling.
    HttpOrigin,
    /// `tcp:db.example.com:5432`: this connection.
    Tcp {
        /// Where it goes.
        endpoint: &'a Endpoint,
    },
    /// `tcp:db.example.com:5432:up` and `:down`.
    TcpBytes {
        /// Where it goes.
        endpoint: &'a Endpoint,
        /// Which way.
        way: Way,
    },
    /// `tcp:canonical`: the address is in its one spelling.
    TcpCanonical,
    /// `net:name:db.example.com`: the addresses of this name.
    Name {
        /// The name.
        name: &'a HostName,
    },
    /// `net:canonical`: the name is in its one spelling.
    NameCanonical,
    /// `net:address:public`, `net:address:listed`: the addresses that a grant's hosts may have.
    Address {
        /// These.
        addresses: &'a Addresses,
    },
    /// `limits.requests` and so on: a cap, never a permission.
    Limit(NetworkCap),
}

/// A part of a request over HTTP, or of all requests of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpPart {
    /// Method, path and query are in their one spelling.
    Canonical,
    /// The path is not excluded.
    Patterns,
    /// The query has granted names alone.
    Query,
    /// Header fields are the guest's to set.
    Headers,
    /// Bytes that go up or come down.
    Bytes(Way),
    /// How often.
    Rate,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the guest.
    Up,
    /// To the guest.
    Down,
}

impl HttpPart {
    /// The word for it in a rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Canonical => "canonical",
            Self::Patterns => "patterns",
            Self::Query => "query",
            Self::Headers => "headers",
            Self::Bytes(way) => way.as_str(),
            Self::Rate => "rate",
        }
    }
}

impl Way {
    /// The word for it in a rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { origin, method, path } => write!(f, "http:{origin}:{method}:{path}"),
            Self::HttpPart { origin, part } => write!(f, "http:{origin}:{}", part.as_str()),
            Self::HttpAny { origin } => write!(f, "http:{origin}"),
            Self::HttpOrigin => f.write_str("http:canonical"),
            Self::Tcp { endpoint } => write!(f, "tcp:{endpoint}"),
            Self::TcpBytes { endpoint, way } => write!(f, "tcp:{endpoint}:{}", way.as_str()),
            Self::TcpCanonical => f.write_str("tcp:canonical"),
            Self::Name { name } => write!(f, "net:name:{name}"),
            Self::NameCanonical => f.write_str("net:canonical"),
            Self::Address { addresses } => write!(f, "net:address:{addresses}"),
            Self::Limit(cap) => write!(f, "limits.{cap}"),
        }
    }
}
