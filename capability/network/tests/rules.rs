//! The texts of rules and reasons, as ledger and errors show them: golden.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fmt::Write as _;

use common::{
    ask, bearer, boxed, connect, dial, dial_for, endpoint, get, load, origin, resolve, table, with_fields, words,
};
use expect_test::expect_file;
use tollgate_network::{
    Budget, ConnectTcp, Denied, DialFor, Host, Meters, NetworkCap, NetworkGrants, RateMeter, RawHttpGrant,
    RawNetworkGrants, Request, Scheme, Way, check, check_connect, check_http,
};

#[test]
fn rules_and_reasons_read_as_they_are_recorded() {
    let mut text = String::new();
    let grants = table();
    let more = more();
    for request in requests() {
        line(&mut text, &grants, &request);
    }
    for request in requests_of_more() {
        line(&mut text, &more, &request);
    }
    for denied in counted() {
        writeln!(text, "deny  {denied}").unwrap();
    }
    expect_file!["golden/rules.txt"].assert_eq(&text);
}

fn line(text: &mut String, grants: &NetworkGrants, request: &Request) {
    match check(grants, request) {
        Ok(allowed) => writeln!(text, "allow {}", allowed.rule()).unwrap(),
        Err(denied) => writeln!(text, "deny  {denied}").unwrap(),
    }
}

fn requests() -> Vec<Request> {
    let targets = [
        "/v1/items?page=2",
        "/v2",
        "/v1/admin/x",
        "/v1/../x",
        "/v1//x",
        "/v1/%2e",
        "/v1/a%5cb",
        "/v1/%252e",
        "/v1/%00",
        "/v1/%ff",
        "/v1/a b",
        "/v1/a;b",
        "/v1/a%2Fb",
        "v1",
        "/v1/x#y",
        "/v1/x?y z",
        "/v1/%",
    ];
    let authorities = [
        "api.test:443",
        "API.test",
        "b.test",
        "api.test:8443",
        "",
        "me:secret@api.test",
        "api%2etest",
        "\u{430}pi.test",
        "a,b",
        "api.test.",
        "a..b",
        "-a.test",
        "127.1",
        "[api.test]",
        "[::1%25lo]",
        "[0::1]",
        "[::ffff:10.0.0.1]",
        "api.test:",
        "api.test:+1",
        "api.test:01",
        "api.test:70000",
        "\x1b[31m",
    ];
    let fields: [(&[u8], &[u8]); 11] = [
        (b"accept", b"*/*"),
        (b"Host", b"evil.test"),
        (b"Connection", b"close"),
        (b"X-HTTP-Method-Override", b"DELETE"),
        (b"X-Forwarded-For", b"::1"),
        (b"content_length", b"1"),
        (b"content-length", b"+1"),
        (b"te", b"gzip"),
        (b"a b", b"x"),
        (b"x", b"a\nb"),
        (b"x", b" a"),
    ];
    let mut requests = Vec::new();
    requests.extend(targets.map(|target| boxed(ask("GET", "https", "api.test", target))));
    requests.extend(authorities.map(|authority| boxed(ask("GET", "https", authority, "/v1/x"))));
    requests.extend(["POST", "get", "TRACE", ""].map(|method| boxed(ask(method, "https", "api.test", "/v1/x"))));
    requests.extend(["http", "HTTPS", "ftp"].map(|scheme| boxed(ask("GET", scheme, "api.test", "/v1/x"))));
    requests.extend(fields.map(|field| boxed(with_fields("GET", "https", "api.test", "/v1/x", &[field]))));
    requests.extend(["db.test", "evil.test", "10.0.0.1", "a b"].map(resolve));
    requests.extend([("10.0.0.5", 5432), ("::ffff:10.0.0.5", 5432)].map(|(address, port)| connect(address, port)));
    requests.extend([5432, 5433].map(|port| Request::Connect(ConnectTcp::to_name(name("db.test"), port))));
    requests.extend(
        [
            "93.184.216.34",
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "2002:7f00:1::",
            "fe80::1",
            "ff02::1",
        ]
        .map(dial),
    );
    requests.push(dial_for(DialFor::Http(origin(Scheme::Https, "b.test", 443)), "93.184.216.34"));
    requests.push(dial_for(DialFor::Tcp(endpoint("db.test", 5433)), "93.184.216.34"));
    requests
}

fn name(text: &str) -> tollgate_network::HostName {
    Host::parse(text.as_bytes()).unwrap().name().unwrap().clone()
}

/// Grants of every other kind.
fn more() -> NetworkGrants {
    let listed = || Some(words(&["public", "10.1.0.0/16"]));
    let api = RawHttpGrant {
        credential: bearer(),
        query: Some(words(&["page"])),
        up: Some(10),
        rate: Some("1/min".to_owned()),
        ..get(&["/**"], &[])
    };
    let grants = [
        ("https://api.test", api),
        ("https://*.cdn.example.org", get(&["/**"], &[])),
        ("http://build.lan:8080", RawHttpGrant { addresses: listed(), ..get(&["/status"], &[]) }),
    ];
    let http = grants.into_iter().map(|(key, grant)| (key.to_owned(), grant)).collect();
    load(RawNetworkGrants { http, ..RawNetworkGrants::default() }).unwrap()
}

fn requests_of_more() -> Vec<Request> {
    let field = |name: &str, value: &str| {
        boxed(with_fields("GET", "https", "api.test", "/x", &[(name.as_bytes(), value.as_bytes())]))
    };
    let build = || DialFor::Http(origin(Scheme::Http, "build.lan", 8080));
    vec![
        boxed(ask("GET", "https", "a.cdn.example.org", "/a.png")),
        boxed(ask("GET", "https", "cdn.example.org", "/a.png")),
        boxed(ask("GET", "https", "metadata.cdn.example.org", "/a.png")),
        boxed(ask("GET", "http", "build.lan:8080", "/status")),
        boxed(ask("GET", "https", "api.test", "/x?page=1&admin=2")),
        boxed(ask("GET", "https", "api.test", "/x?page=1;admin=2")),
        field("Authorization", "Bearer x"),
        field("content-length", "11"),
        dial_for(build(), "10.1.0.7"),
        dial_for(build(), "10.2.0.7"),
    ]
}

/// What counters deny.
fn counted() -> Vec<Denied<'static>> {
    let meters = Meters::new(&Budget::DEFAULT);
    let mut denied: Vec<_> = NetworkCap::ALL
        .into_iter()
        .map(|cap| Denied::over_limit(cap, meters.get(cap).could_take(1 << 30).unwrap_err()))
        .collect();
    let over = meters.get(NetworkCap::Up).could_take(1 << 21).unwrap_err();
    let grants = Box::leak(Box::new(more()));
    let request = Box::leak(Box::new(ask("GET", "https", "api.test", "/x")));
    let allowed = check_http(grants, request).unwrap();
    let (rate, mut meter) = (allowed.grant().rate().unwrap(), RateMeter::default());
    meter.take(rate, 0).unwrap();
    denied.push(allowed.over(Way::Down, over));
    denied.push(allowed.too_soon(meter.take(rate, 1).unwrap_err()));
    let grants = Box::leak(Box::new(table()));
    let request = Box::leak(Box::new(ConnectTcp::to_name(name("db.test"), 5432)));
    denied.push(check_connect(grants, request).unwrap().over(Way::Up, over));
    denied
}
