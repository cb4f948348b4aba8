//! What is asked of the network, with what was found in its texts. A request can be made of any texts; what is wrong with them is kept
//! beside them, for the decision. Must never hold anything that a decision cannot be repeated from.

use std::net::IpAddr;

use crate::authority::{Authority, AuthorityFault};
use crate::header::{FieldFault, Fields};
use crate::host::{Host, HostFault, HostName};
use crate::method::{Method, MethodFault};
use crate::origin::{Endpoint, Origin};
use crate::scheme::{Scheme, SchemeFault};
use crate::target::{Target, TargetFault};

/// Anything that the network is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A request over HTTP.
    Http(Box<HttpRequest>),
    /// The addresses of a name, asked for by the guest.
    Resolve(ResolveName),
    /// A connection, asked for by the guest.
    Connect(ConnectTcp),
    /// A connection to one address, about to be made for one of these.
    Dial(DialAddress),
}

/// A request over HTTP, as a guest gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    origin: Result<Origin, OriginFault>,
    method: Result<Method, MethodFault>,
    target: Result<Target, TargetFault>,
    fields: Result<Fields, FieldFault>,
}

/// The texts of a request over HTTP.
#[derive(Debug, Clone, Copy)]
pub struct HttpTexts<'t> {
    /// Such as `GET`.
    pub method: &'t [u8],
    /// Such as `https`.
    pub scheme: &'t [u8],
    /// Such as `api.example.com`.
    pub authority: &'t [u8],
    /// Path and query, such as `/v1/items?page=2`.
    pub target: &'t [u8],
    /// Names and values of header fields, in their order.
    pub fields: &'t [(&'t [u8], &'t [u8])],
}

impl HttpRequest {
    /// The request that has these texts.
    #[must_use]
    pub fn new(texts: &HttpTexts<'_>) -> Self {
        Self {
            origin: origin(texts.scheme, texts.authority),
            method: Method::parse(texts.method),
            target: Target::parse(texts.target),
            fields: Fields::of_head(texts.fields.iter().copied()),
        }
    }

    /// Where it goes.
    ///
    /// # Errors
    ///
    /// What is wrong with its scheme or its authority.
    pub const fn origin(&self) -> Result<&Origin, &OriginFault> {
        self.origin.as_ref()
    }

    /// Its method.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub const fn method(&self) -> Result<&Method, &MethodFault> {
        self.method.as_ref()
    }

    /// Its path and query.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub const fn target(&self) -> Result<&Target, &TargetFault> {
        self.target.as_ref()
    }

    /// Its header fields.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub const fn fields(&self) -> Result<&Fields, &FieldFault> {
        self.fields.as_ref()
    }
}

/// Why a request has no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginFault {
    /// The scheme is none of ours.
    #[error(transparent)]
    Scheme(#[from] SchemeFault),
    /// The authority is unusable.
    #[error(transparent)]
    Authority(#[from] AuthorityFault),
}

/// A name whose addresses a guest asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveName {
    name: Result<HostName, NameFault>,
}

impl ResolveName {
    /// The question for `text`.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let name = match Host::parse(text) {
            Ok(Host::Name(name)) => Ok(name),
            Ok(Host::V4(_) | Host::V6(_)) => Err(NameFault::Address),
            Err(fault) => Err(NameFault::Host(fault)),
        };
        Self { name }
    }

    /// The name.
    ///
    /// # Errors
    ///
    /// Why the text is none.
    pub const fn name(&self) -> Result<&HostName, &NameFault> {
        self.name.as_ref()
    }
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// It is no host.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// It is an address.
    #[error("it is an address, and has no other address")]
    Address,
}

/// A connection that a guest asks for: to a name that it asked for before, or to a literal address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTcp {
    endpoint: Result<Endpoint, HostFault>,
}

impl ConnectTcp {
    /// A connection to a name.
    #[must_use]
    pub const fn to_name(name: HostName, port: u16) -> Self {
        Self { endpoint: Ok(Endpoint { host: Host::Name(name), port }) }
    }

    /// A connection to an address that the guest gave itself.
    #[must_use]
    pub fn to_literal(address: IpAddr, port: u16) -> Self {
        Self { endpoint: Host::literal(address).map(|host| Endpoint { host, port }) }
    }

    /// Where it goes.
    ///
    /// # Errors
    ///
    /// What is wrong with the address.
    pub const fn endpoint(&self) -> Result<&Endpoint, &HostFault> {
        self.endpoint.as_ref()
    }
}

/// A connection to one address, about to be made. The grant for what it is made for decides about the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialAddress {
    /// What it is made for.
    pub to: DialFor,
    /// The address.
    pub address: IpAddr,
    /// Whether the machine has that address itself, in whichever form.
    pub is_own: bool,
}

/// What a connection is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialFor {
    /// Requests to an origin.
    Http(Origin),
    /// A connection of a guest.
    Tcp(Endpoint),
}

impl DialFor {
    /// The host whose address is dialled.
    #[must_use]
    pub const fn host(&self) -> &Host {
        match self {
            Self::Http(origin) => &origin.host,
            Self::Tcp(endpoint) => &endpoint.host,
        }
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Http(origin) => origin.port,
            Self::Tcp(endpoint) => endpoint.port,
        }
    }
}

fn origin(scheme: &[u8], authority: &[u8]) -> Result<Origin, OriginFault> {
    let scheme = Scheme::parse(scheme)?;
    let Authority { host, port } = Authority::parse(authority)?;
    Ok(Origin { scheme, host, port: port.unwrap_or_else(|| scheme.default_port()) })
}
