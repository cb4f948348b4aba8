//! What these tests share: grants in short words, and requests.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses some of it")]

use std::net::IpAddr;

use tollgate_network::{
    ConnectTcp, DialAddress, DialFor, Endpoint, GrantsError, Host, HttpRequest, HttpTexts, NetworkGrants, Origin,
    RawCredential, RawHttpGrant, RawNetworkGrants, RawTcpGrant, Request, ResolveName, Scheme,
};

/// The grant of the table of attacks: `https://api.test`, GET, `/v1/**` without `/v1/admin/**`; `tcp` to `db.test:5432`.
pub(crate) fn table() -> NetworkGrants {
    load(RawNetworkGrants {
        http: [("https://api.test".to_owned(), get(&["/v1/**"], &["/v1/admin/**"]))].into(),
        tcp: [("db.test:5432".to_owned(), RawTcpGrant::default())].into(),
    })
    .unwrap()
}

/// Loads as who reads a policy does, with the list of publicsuffix.org.
pub(crate) fn load(raw: RawNetworkGrants) -> Result<NetworkGrants, GrantsError> {
    NetworkGrants::load(raw, is_public_suffix)
}

/// Whether anybody can have a name below `name`. Names below a domain that the list does not know count by its default rule.
pub(crate) fn is_public_suffix(name: &str) -> bool {
    psl::suffix_str(name) == Some(name)
}

/// GET for these paths, without those.
pub(crate) fn get(paths: &[&str], exclude: &[&str]) -> RawHttpGrant {
    RawHttpGrant { methods: words(&["GET"]), paths: words(paths), exclude: words(exclude), ..RawHttpGrant::default() }
}

/// One grant for HTTP and nothing else.
pub(crate) fn http(key: &str, grant: RawHttpGrant) -> RawNetworkGrants {
    RawNetworkGrants { http: [(key.to_owned(), grant)].into(), ..RawNetworkGrants::default() }
}

/// One grant for TCP and nothing else.
pub(crate) fn tcp(key: &str, grant: RawTcpGrant) -> RawNetworkGrants {
    RawNetworkGrants { tcp: [(key.to_owned(), grant)].into(), ..RawNetworkGrants::default() }
}

pub(crate) fn bearer() -> Option<RawCredential> {
    Some(RawCredential { secret: "GH".to_owned(), bearer: true, ..RawCredential::default() })
}

pub(crate) fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A request without header fields.
pub(crate) fn ask(method: &str, scheme: &str, authority: &str, target: &str) -> HttpRequest {
    with_fields(method, scheme, authority, target, &[])
}

pub(crate) fn with_fields(
    method: &str,
    scheme: &str,
    authority: &str,
    target: &str,
    fields: &[(&[u8], &[u8])],
) -> HttpRequest {
    HttpRequest::new(&HttpTexts {
        method: method.as_bytes(),
        scheme: scheme.as_bytes(),
        authority: authority.as_bytes(),
        target: target.as_bytes(),
        fields,
    })
}

pub(crate) fn boxed(request: HttpRequest) -> Request {
    Request::Http(Box::new(request))
}

pub(crate) fn resolve(name: &str) -> Request {
    Request::Resolve(ResolveName::new(name.as_bytes()))
}

pub(crate) fn connect(address: &str, port: u16) -> Request {
    Request::Connect(ConnectTcp::to_literal(address.parse().unwrap(), port))
}

pub(crate) fn origin(scheme: Scheme, host: &str, port: u16) -> Origin {
    Origin { scheme, host: Host::parse(host.as_bytes()).unwrap(), port }
}

pub(crate) fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: Host::parse(host.as_bytes()).unwrap(), port }
}

/// `address` is about to be dialled for `https://api.test`.
pub(crate) fn dial(address: &str) -> Request {
    dial_for(DialFor::Http(origin(Scheme::Https, "api.test", 443)), address)
}

pub(crate) fn dial_for(to: DialFor, address: &str) -> Request {
    Request::Dial(DialAddress { to, address: address.parse::<IpAddr>().unwrap(), is_own: false })
}
