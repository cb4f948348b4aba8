//! The decision on the network: one pure, total function over grants and a request. No I/O, no clock, no arm that allows by default;
//! without grants everything is denied.
//!
//! The gate asks with what the guest said, the egress proxy with what the gate handed on, the dialer with each address that it is about
//! to connect to: the same function, so that what one of them lets pass by mistake the next one denies.

use std::net::IpAddr;

use crate::addresses::{AddressFault, Addresses};
use crate::budget::{NetworkCap, OverBudget};
use crate::fold::fold;
use crate::grant::{HttpGrant, TcpGrant};
use crate::grants::NetworkGrants;
use crate::header::{FieldFault, Fields};
use crate::host::HostName;
use crate::method::Method;
use crate::origin::{Endpoint, Origin};
use crate::origin_pattern::Hosts;
use crate::rate::TooSoon;
use crate::reason::Reason;
use crate::request::{ConnectTcp, DialAddress, DialFor, HttpRequest, NameFault, Request, ResolveName};
use crate::rule::{Denied, HttpPart, Rule, Way};
use crate::shown::Shown;
use crate::target::{Target, TargetFault};

/// Decides whether `grants` allow `request`.
///
/// Who has both can repeat the decision. What is counted (budgets, rates) is decided by the counters of whoever makes the effect.
///
/// # Errors
///
/// The rule that is missing, and why.
pub fn check<'a>(grants: &'a NetworkGrants, request: &'a Request) -> Result<Allowed<'a>, Denied<'a>> {
    match request {
        Request::Http(request) => check_http(grants, request).map(Allowed::Http),
        Request::Resolve(request) => check_resolve(grants, request).map(Allowed::Name),
        Request::Connect(request) => check_connect(grants, request).map(Allowed::Tcp),
        Request::Dial(request) => check_dial(grants, request).map(Allowed::Address),
    }
}

/// Proof that a request is allowed, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed<'a> {
    /// A request over HTTP.
    Http(AllowedHttp<'a>),
    /// The addresses of a name.
    Name(AllowedName<'a>),
    /// A connection.
    Tcp(AllowedTcp<'a>),
    /// A connection to one address.
    Address(AllowedAddress<'a>),
}

impl<'a> Allowed<'a> {
    /// The rule that allows it.
    #[must_use]
    pub fn rule(&self) -> Rule<'a> {
        match self {
            Self::Http(allowed) => allowed.rule(),
            Self::Name(allowed) => allowed.rule(),
            Self::Tcp(allowed) => allowed.rule(),
            Self::Address(allowed) => allowed.rule(),
        }
    }
}

/// A request over HTTP that is allowed, as it is to be sent: what was decided on, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "what is sent is what was decided on: it is in here"]
pub struct AllowedHttp<'a> {
    grant: &'a HttpGrant,
    origin: &'a Origin,
    method: &'a Method,
    target: &'a Target,
    fields: &'a Fields,
}

impl<'a> AllowedHttp<'a> {
    /// The rule that allows it.
    #[must_use]
    pub fn rule(&self) -> Rule<'a> {
        http_rule(self.origin, self.method, self.target)
    }

    /// The grant that decided.
    #[must_use]
    pub const fn grant(&self) -> &'a HttpGrant {
        self.grant
    }

    /// Where it goes: what is dialled, and whose name TLS asks for.
    #[must_use]
    pub const fn origin(&self) -> &'a Origin {
        self.origin
    }

    /// The method to send.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The target to send: the guest's text.
    #[must_use]
    pub const fn target(&self) -> &'a Target {
        self.target
    }

    /// The header fields to send: the guest's, beside those that the proxy sets itself.
    #[must_use]
    pub const fn fields(&self) -> &'a Fields {
        self.fields
    }

    /// The value of the `Host` field to send. It is made of the grant, and never of the guest's text; below a wildcard, of the name in
    /// the form in which it was compared with the grant.
    #[must_use]
    pub fn host_field(&self) -> String {
        let key = self.grant.key();
        match key.hosts() {
            Hosts::Exact(host) => Origin { scheme: key.scheme(), host: host.clone(), port: key.port() }.host_field(),
            Hosts::OneLabel(_) | Hosts::AnyLabels(_) => self.origin.host_field(),
        }
    }

    /// Decides on the trailers of its body, once they are there.
    ///
    /// # Errors
    ///
    /// The rule on header fields, and what is wrong with the trailers.
    pub fn check_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        trailers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Fields, Denied<'a>> {
        let fields = Fields::of_trailers(trailers).map_err(|fault| self.part(HttpPart::Headers, fault))?;
        no_credential(self.grant, &fields).map_err(|fault| self.part(HttpPart::Headers, fault))?;
        Ok(fields)
    }

    /// The denial where the grant's own limit of bytes is passed.
    #[must_use]
    pub fn over(&self, way: Way, over: OverBudget) -> Denied<'a> {
        self.part(HttpPart::Bytes(way), over)
    }

    /// The denial where the grant's rate is used up.
    #[must_use]
    pub fn too_soon(&self, too_soon: TooSoon) -> Denied<'a> {
        self.part(HttpPart::Rate, too_soon)
    }

    fn part(&self, part: HttpPart, reason: impl Into<Reason>) -> Denied<'a> {
        Denied { missing: Rule::HttpPart { origin: self.origin, part }, reason: reason.into() }
    }
}

/// A name whose addresses a guest may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedName<'a> {
    name: &'a HostName,
}

impl<'a> AllowedName<'a> {
    /// The rule that allows it.
    #[must_use]
    pub const fn rule(&self) -> Rule<'a> {
        Rule::Name { name: self.name }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'a HostName {
        self.name
    }
}

/// A connection that a guest may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTcp<'a> {
    grant: &'a TcpGrant,
}

impl<'a> AllowedTcp<'a> {
    /// The rule that allows it.
    #[must_use]
    pub const fn rule(&self) -> Rule<'a> {
        Rule::Tcp { endpoint: self.grant.endpoint() }
    }

    /// The grant that decided. What is dialled is its endpoint.
    #[must_use]
    pub const fn grant(&self) -> &'a TcpGrant {
        self.grant
    }

    /// The denial where the grant's own limit of bytes is passed.
    #[must_use]
    pub fn over(&self, way: Way, over: OverBudget) -> Denied<'a> {
        Denied { missing: Rule::TcpBytes { endpoint: self.grant.endpoint(), way }, reason: over.into() }
    }
}

/// An address that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAddress<'a> {
    addresses: &'a Addresses,
    address: IpAddr,
    port: u16,
}

impl<'a> AllowedAddress<'a> {
    /// The rule that allows it.
    #[must_use]
    pub const fn rule(&self) -> Rule<'a> {
        Rule::Address { addresses: self.addresses }
    }

    /// The address to connect to.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Denied<'static> {
    /// The denial where a limit of the call is passed.
    #[must_use]
    pub fn over_limit(cap: NetworkCap, over: OverBudget) -> Self {
        Self { missing: Rule::Limit(cap), reason: over.into() }
    }
}

/// Decides on a request over HTTP.
///
/// # Errors
///
/// The rule that is missing, and why.
pub fn check_http<'a>(grants: &'a NetworkGrants, request: &'a HttpRequest) -> Result<AllowedHttp<'a>, Denied<'a>> {
    let origin = request.origin().map_err(|fault| denied(Rule::HttpOrigin, fault.clone()))?;
    let part = |part| Rule::HttpPart { origin, part };
    let method = request.method().map_err(|fault| denied(part(HttpPart::Canonical), fault.clone()))?;
    let target = request.target().map_err(|fault| denied(part(HttpPart::Canonical), fault.clone()))?;
    let rule = http_rule(origin, method, target);
    let grant = http_grant(grants, origin).map_err(|reason| denied(rule, reason))?;
    opted_in(grant, target).map_err(|fault| denied(part(HttpPart::Canonical), fault))?;
    if !grant.methods().contains(method) || !grant.paths().include(target) {
        return Err(denied(rule, Reason::NotGranted));
    }
    if grant.paths().exclude(target) {
        return Err(denied(part(HttpPart::Patterns), Reason::Excluded));
    }
    query_is_granted(grant, target).map_err(|reason| denied(part(HttpPart::Query), reason))?;
    let fields = request.fields().map_err(|fault| denied(part(HttpPart::Headers), fault.clone()))?;
    no_credential(grant, fields).map_err(|fault| denied(part(HttpPart::Headers), fault))?;
    let allowed = AllowedHttp { grant, origin, method, target, fields };
    match (fields.content_length(), grant.up()) {
        (Some(asked), Some(left)) if asked > left => Err(allowed.over(Way::Up, OverBudget { asked, left })),
        (_, _) => Ok(allowed),
    }
}

/// Decides whether a guest may ask for the addresses of a name.
///
/// # Errors
///
/// The rule that is missing, and why.
pub fn check_resolve<'a>(grants: &NetworkGrants, request: &'a ResolveName) -> Result<AllowedName<'a>, Denied<'a>> {
    let name = request.name().map_err(|fault| denied(Rule::NameCanonical, fault.clone()))?;
    if grants.names(name) { Ok(AllowedName { name }) } else { Err(denied(Rule::Name { name }, Reason::NotGranted)) }
}

/// Decides on a connection that a guest asks for.
///
/// # Errors
///
/// The rule that is missing, and why.
pub fn check_connect<'a>(grants: &'a NetworkGrants, request: &'a ConnectTcp) -> Result<AllowedTcp<'a>, Denied<'a>> {
    let endpoint = request.endpoint().map_err(|fault| denied(Rule::TcpCanonical, NameFault::Host(fault.clone())))?;
    Ok(AllowedTcp { grant: tcp_grant(grants, endpoint)? })
}

/// Decides on a connection that is about to be made: whether what it is made for is granted, and may have this address.
///
/// # Errors
///
/// The rule that is missing, and why. Neither tells the address.
pub fn check_dial<'a>(grants: &'a NetworkGrants, request: &'a DialAddress) -> Result<AllowedAddress<'a>, Denied<'a>> {
    let DialAddress { to, address, is_own } = request;
    dial(grants, to, *address, *is_own)
}

/// Decides on all addresses that a name was found to have, each with whether the machine has it itself: one that may not be reached
/// denies the name, since an answer that mixes addresses is how a name is turned against the network that asks for it. Where there is no
/// address there is nothing to deny, and nothing to connect to.
///
/// # Errors
///
/// That of the first address that is denied.
pub fn check_answers<'a>(
    grants: &'a NetworkGrants,
    to: &'a DialFor,
    answers: &[(IpAddr, bool)],
) -> Result<Vec<AllowedAddress<'a>>, Denied<'a>> {
    answers.iter().map(|(address, is_own)| dial(grants, to, *address, *is_own)).collect()
}

fn dial<'a>(
    grants: &'a NetworkGrants,
    to: &'a DialFor,
    address: IpAddr,
    is_own: bool,
) -> Result<AllowedAddress<'a>, Denied<'a>> {
    let addresses = match to {
        DialFor::Http(origin) => {
            let grant = http_grant(grants, origin).map_err(|reason| denied(Rule::HttpAny { origin }, reason))?;
            grant.addresses()
        }
        DialFor::Tcp(endpoint) => tcp_grant(grants, endpoint)?.addresses(),
    };
    let rule = Rule::Address { addresses };
    if to.host().address().is_some_and(|literal| literal != address) {
        return Err(denied(rule, Reason::OtherAddress));
    }
    addresses.judge(address, is_own).map_err(|fault: AddressFault| denied(rule, fault))?;
    Ok(AllowedAddress { addresses, address, port: to.port() })
}

/// The grant that decides about an origin.
fn http_grant<'a>(grants: &'a NetworkGrants, origin: &Origin) -> Result<&'a HttpGrant, Reason> {
    let Some(grant) = grants.decides(origin) else { return Err(not_granted(grants, origin)) };
    let is_special = origin.host.name().is_some_and(HostName::is_special);
    if is_special && !grant.addresses().lists_networks() {
        return Err(Reason::SpecialName);
    }
    Ok(grant)
}

fn tcp_grant<'a>(grants: &'a NetworkGrants, endpoint: &'a Endpoint) -> Result<&'a TcpGrant, Denied<'a>> {
    if let Some(grant) = grants.tcp_to(endpoint) {
        return Ok(grant);
    }
    let other = grants.tcp().iter().map(TcpGrant::endpoint).find(|granted| granted.host == endpoint.host);
    let reason = other.map_or(Reason::NotGranted, |granted| Reason::OtherPort { port: granted.port });
    Err(denied(Rule::Tcp { endpoint }, reason))
}

/// Why no grant speaks of an origin, with what is granted of the same host.
fn not_granted(grants: &NetworkGrants, origin: &Origin) -> Reason {
    let of_host = || grants.http().iter().map(HttpGrant::key).filter(|key| key.hosts().contain(&origin.host));
    let same_scheme = of_host().find(|key| key.scheme() == origin.scheme);
    match (same_scheme, of_host().next()) {
        (Some(key), _) => Reason::OtherPort { port: key.port() },
        (None, Some(key)) => Reason::OtherScheme { scheme: key.scheme() },
        (None, None) => Reason::NotGranted,
    }
}

fn http_rule<'a>(origin: &'a Origin, method: &'a Method, target: &'a Target) -> Rule<'a> {
    Rule::Http { origin, method, path: target.path() }
}

/// What servers read in two ways is taken where the grant says so alone.
const fn opted_in(grant: &HttpGrant, target: &Target) -> Result<(), TargetFault> {
    if target.has_semicolon() && !grant.takes_semicolon() {
        return Err(TargetFault::Semicolon);
    }
    if target.has_encoded_slash() && !grant.takes_encoded_slash() {
        return Err(TargetFault::EncodedSlash);
    }
    Ok(())
}

/// Where the grant names what a query may have, or sends a credential in it, names have to be certain.
fn query_is_granted(grant: &HttpGrant, target: &Target) -> Result<(), Reason> {
    let sent = grant.credential().and_then(|credential| credential.place().query_name());
    let Some(query) = target.query().filter(|_| grant.query().is_some() || sent.is_some()) else { return Ok(()) };
    for name in query.names().map_err(Clone::clone)? {
        if sent.is_some_and(|sent| fold(sent) == fold(name)) {
            return Err(Reason::QueryCredential { name: Shown::of(name) });
        }
        if grant.query().is_some_and(|granted| !granted.contains(name)) {
            return Err(Reason::QueryName { name: Shown::of(name) });
        }
    }
    Ok(())
}

/// Where the grant's credential is sent, the guest sends nothing.
fn no_credential(grant: &HttpGrant, fields: &Fields) -> Result<(), FieldFault> {
    let place = grant.credential().and_then(|credential| credential.place().folded_field());
    match place.and_then(|folded| fields.named(&folded)) {
        Some(name) => Err(FieldFault::Credential { name: Shown::of(name.as_str()) }),
        None => Ok(()),
    }
}

fn denied(missing: Rule<'_>, reason: impl Into<Reason>) -> Denied<'_> {
    Denied { missing, reason: reason.into() }
}
