//! The table of attacks on a network grant, as far as this layer decides them: each with its verdict and its rule. What counts bytes
//! on a socket, speaks TLS or connects is decided there.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::BTreeSet;

use common::{
    ask, bearer, boxed, connect, dial, dial_for, endpoint, get, http, is_public_suffix, load, origin, resolve, table,
    tcp, with_fields, words,
};
use tollgate_network::{
    Budget, Denied, DialAddress, DialFor, Meters, NetworkCap, NetworkGrants, RawHttpGrant, RawTcpGrant, Reason,
    Request, Scheme, check, check_answers, check_http,
};

/// `ok` or the missing rule.
fn verdict(grants: &NetworkGrants, request: &Request) -> String {
    check(grants, request).map_or_else(|denied| denied.missing.to_string(), |_| "ok".to_owned())
}

/// GET to `https://api.test`.
fn target(target: &str) -> Request {
    boxed(ask("GET", "https", "api.test", target))
}

fn authority(authority: &str) -> Request {
    boxed(ask("GET", "https", authority, "/v1/x"))
}

fn method(method: &str) -> Request {
    boxed(ask(method, "https", "api.test", "/v1/x"))
}

fn field(name: &str, value: &str) -> Request {
    boxed(with_fields("GET", "https", "api.test", "/v1/x", &[(name.as_bytes(), value.as_bytes())]))
}

const CANONICAL: &str = "http:https://api.test:canonical";
const HEADERS: &str = "http:https://api.test:headers";
const PATTERNS: &str = "http:https://api.test:patterns";
const ORIGIN: &str = "http:canonical";
const PUBLIC: &str = "net:address:public";

/// Rows under the grant of the table: number, request, verdict.
fn rows() -> Vec<(u8, Request, &'static str)> {
    let two_lengths: [(&[u8], &[u8]); 2] = [(b"content-length", b"1"), (b"Content-Length", b"1")];
    let mut rows = vec![
        (3, dial("93.184.216.34"), "ok"),
        (3, dial("192.168.0.1"), PUBLIC),
        (5, boxed(with_fields("GET", "https", "api.test", "/v1/x", &two_lengths)), HEADERS),
        (16, authority("api.test."), ORIGIN),
        (16, authority("API.test"), "ok"),
        (23, target("/v1/admin"), PATTERNS),
        (28, authority("b.test"), "http:https://b.test:GET:/v1/x"),
        (32, boxed(ask("GET", "http", "api.test", "/v1/x")), "http:http://api.test:GET:/v1/x"),
        (34, authority("api.test:8443"), "http:https://api.test:8443:GET:/v1/x"),
        (46, target("/V1/x"), "http:https://api.test:GET:/V1/x"),
        (46, target("/v1/%61dmin/x"), CANONICAL),
        (46, target("/v1/Admin/x"), PATTERNS),
        (53, method("POST"), "http:https://api.test:POST:/v1/x"),
        (53, method("PATCH"), "http:https://api.test:PATCH:/v1/x"),
        (60, resolve("secret.evil.test"), "net:name:secret.evil.test"),
        (60, resolve("api.test"), "net:name:api.test"),
        (60, resolve("db.test"), "ok"),
        (63, connect("10.0.0.5", 5432), "tcp:10.0.0.5:5432"),
        // A token of another call is an address like any other.
        (63, connect("240.0.0.1", 5432), "tcp:240.0.0.1:5432"),
        (65, own("93.184.216.34"), PUBLIC),
    ];
    let mut all = |row: u8, make: fn(&str) -> Request, verdict: &'static str, texts: &[&str]| {
        rows.extend(texts.iter().map(|text| (row, make(text), verdict)));
    };
    all(1, dial, PUBLIC, &["127.0.0.1", "10.0.0.5", "169.254.169.254"]);
    all(2, |name| field(name, "x"), HEADERS, &["Transfer-Encoding", "Connection", "Upgrade", "transfer_encoding"]);
    all(4, |value| field("te", value), HEADERS, &["gzip"]);
    all(4, |value| field("Expect", value), HEADERS, &["100-continue"]);
    all(6, |value| field("x", value), HEADERS, &["a\r\nb: c", "a\nb", "a\0b"]);
    all(7, dial, PUBLIC, &["::ffff:169.254.169.254"]);
    all(10, dial, PUBLIC, &["2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"]);
    all(12, authority, ORIGIN, &["0"]);
    all(14, authority, ORIGIN, &["127.1", "0x7f.1", "2130706433", "0177.0.0.1"]);
    all(17, authority, ORIGIN, &["[api.test]", "[[::1]]", "[::1%25lo]"]);
    all(19, authority, ORIGIN, &["evil.test\0.api.test", "evil.test%00.api.test"]);
    all(20, authority, ORIGIN, &["api.test@evil.test", "x:y@api.test"]);
    all(21, |value| field("Upgrade", value), HEADERS, &["websocket"]);
    all(22, authority, ORIGIN, &["api.test:", "api.test:99999", "api.test:+443", "api.test:0443"]);
    all(23, dial, PUBLIC, &["169.254.169.254"]);
    all(24, authority, ORIGIN, &["api\u{ff0e}test", "\u{430}pi.test"]);
    all(26, authority, ORIGIN, &["api.test,evil.test", "api.test;x"]);
    all(36, target, CANONICAL, &["/v1/../admin", "/v1/./a"]);
    all(38, target, CANONICAL, &["/v1/%2e%2e/admin", "/v1/.%2E/"]);
    all(40, target, CANONICAL, &["/v1/..%2fadmin", "/v1/a%2fadmin", "/v1/a%5cb", "/v1/a\\b"]);
    all(42, target, CANONICAL, &["/v1/%252e%252e/"]);
    all(44, target, CANONICAL, &["//v1/x", "/v1//admin"]);
    all(48, target, CANONICAL, &["/v1/x#/../admin", "https://api.test/v1/x", "*"]);
    all(53, method, CANONICAL, &["get", "G T"]);
    all(54, method, CANONICAL, &["CONNECT", "TRACE"]);
    all(56, |value| field("Host", value), HEADERS, &["evil.test"]);
    all(58, |name| field(name, "::1"), HEADERS, &["X-Forwarded-For", "Forwarded", "Via", "X_FORWARDED_FOR"]);
    all(65, dial, PUBLIC, &["fd00:ec2::254", "168.63.129.16"]);
    rows
}

/// An address that the machine has itself.
fn own(address: &str) -> Request {
    let to = DialFor::Http(origin(Scheme::Https, "api.test", 443));
    Request::Dial(DialAddress { to, address: address.parse().unwrap(), is_own: true })
}

#[test]
fn each_attack_has_its_verdict() {
    let grants = table();
    for (row, request, expected) in rows() {
        assert_eq!(verdict(&grants, &request), expected, "row {row}: {request:?}");
    }
    let rows: BTreeSet<u8> = rows().into_iter().map(|(row, _, _)| row).collect();
    let decided_here = [
        1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 16, 17, 19, 20, 21, 22, 23, 24, 26, 28, 32, 34, 36, 38, 40, 42, 44, 46, 48,
        53, 54, 56, 58, 60, 63, 65,
    ];
    assert_eq!(rows, decided_here.into());
}

/// Row 8.
#[test]
fn trailers_are_held_to_the_same_list() {
    let (grants, request) = (table(), ask("GET", "https", "api.test", "/v1/x"));
    let allowed = check_http(&grants, &request).unwrap();
    for name in ["Transfer-Encoding", "Host", "x-forwarded-for", "content-length", "Authorization"] {
        let denied = allowed.check_trailers([(name, "x")]).unwrap_err();
        assert_eq!(denied.missing.to_string(), HEADERS, "{name}");
    }
    assert_eq!(allowed.check_trailers([("X-Checksum", "1")]).unwrap().all().len(), 1);
}

/// Rows 12, 30, 35, 54: what must not load.
#[test]
fn what_must_not_load_does_not() {
    for key in ["https://0.0.0.0", "https://[::]", "https://169.254.169.254", "http://127.0.0.1", "https://0"] {
        assert!(load(http(key, get(&["/**"], &[]))).is_err(), "{key}");
    }
    for key in
        ["https://*.co.uk", "https://**.co.uk", "https://*.github.io", "https://*", "https://**", "https://*.test"]
    {
        assert!(load(http(key, get(&["/**"], &[]))).is_err(), "{key}");
    }
    for key in ["http://api.test", "https://*.api.test", "https://**.api.test"] {
        let grant = RawHttpGrant { credential: bearer(), ..get(&["/**"], &[]) };
        assert!(load(http(key, grant)).is_err(), "{key}");
        assert!(load(http(key, get(&["/**"], &[]))).is_ok(), "{key} without a credential");
    }
    for method in ["CONNECT", "TRACE", "PRI", "TRACK", "get", "*"] {
        let grant = RawHttpGrant { methods: words(&[method]), ..get(&["/**"], &[]) };
        assert!(load(http("https://api.test", grant)).is_err(), "{method}");
    }
    assert!(is_public_suffix("co.uk") && !is_public_suffix("example.co.uk"));
}

/// Rows 12 and 63 for literal addresses that are granted.
#[test]
fn a_literal_is_reached_where_its_network_is_listed() {
    let listed = RawTcpGrant { addresses: Some(words(&["10.0.0.0/24"])), ..RawTcpGrant::default() };
    let grants = load(tcp("10.0.0.5:5432", listed)).unwrap();
    assert_eq!(verdict(&grants, &connect("10.0.0.5", 5432)), "ok");
    assert_eq!(verdict(&grants, &connect("10.0.0.5", 5433)), "tcp:10.0.0.5:5433");
    assert_eq!(verdict(&grants, &connect("::ffff:10.0.0.5", 5432)), "tcp:canonical");
    let to = || DialFor::Tcp(endpoint("10.0.0.5", 5432));
    assert_eq!(verdict(&grants, &dial_for(to(), "10.0.0.5")), "ok");
    assert_eq!(verdict(&grants, &dial_for(to(), "10.0.0.6")), "net:address:listed");
    // In the network, and another address than the one that is granted.
    let other = dial_for(to(), "10.0.0.6");
    let denied = check(&grants, &other).unwrap_err();
    assert_eq!(denied.reason, Reason::OtherAddress);
    assert!(load(tcp("10.0.0.5:5432", RawTcpGrant::default())).is_err());
}

/// Row 3, and the rule that one forbidden answer denies a name.
#[test]
fn a_mixed_answer_denies_the_name() {
    let grants = table();
    let to = DialFor::Http(origin(Scheme::Https, "api.test", 443));
    let answers = |texts: &[&str]| texts.iter().map(|text| (text.parse().unwrap(), false)).collect::<Vec<_>>();
    let public = answers(&["93.184.216.34", "2606:2800:220:1::1"]);
    let allowed = check_answers(&grants, &to, &public).unwrap();
    assert_eq!(
        allowed.iter().map(|one| (one.address(), one.port())).collect::<Vec<_>>(),
        [(public[0].0, 443), (public[1].0, 443)]
    );
    for mixed in [&["93.184.216.34", "10.0.0.1"][..], &["::1", "93.184.216.34"]] {
        let answers = answers(mixed);
        let denied = check_answers(&grants, &to, &answers).unwrap_err();
        assert_eq!(denied.missing.to_string(), PUBLIC);
        assert!(mixed.iter().all(|address| !denied.to_string().contains(address)), "{denied}");
    }
}

/// Row 28: the apex, and two labels.
#[test]
fn a_wildcard_is_neither_the_apex_nor_two_labels() {
    let grants = load(http("https://*.cdn.example.org", get(&["/**"], &[]))).unwrap();
    assert_eq!(verdict(&grants, &boxed(ask("GET", "https", "a.cdn.example.org", "/x"))), "ok");
    for host in ["cdn.example.org", "a.b.cdn.example.org", "xcdn.example.org", "metadata.cdn.example.org"] {
        let missing = format!("http:https://{host}:GET:/x");
        assert_eq!(verdict(&grants, &boxed(ask("GET", "https", host, "/x"))), missing);
    }
}

/// Row 31.
#[test]
fn what_is_sent_as_host_is_the_grants() {
    let grants = table();
    for asked in ["api.test", "API.TEST", "api.test:443"] {
        let request = ask("GET", "https", asked, "/v1/x?y=%zz");
        let allowed = check_http(&grants, &request).unwrap();
        assert_eq!(allowed.host_field(), "api.test");
        assert_eq!(allowed.origin().host.to_string(), "api.test");
        assert_eq!(allowed.target().as_str(), "/v1/x?y=%zz");
    }
}

/// Row 37.
#[test]
fn where_a_credential_is_sent_the_guest_sends_nothing() {
    let grants = load(http("https://api.test", RawHttpGrant { credential: bearer(), ..get(&["/**"], &[]) })).unwrap();
    for name in ["Authorization", "authorization", "AUTHORIZATION"] {
        assert_eq!(verdict(&grants, &field(name, "Bearer x")), HEADERS, "{name}");
    }
    assert_eq!(verdict(&table(), &field("Authorization", "Bearer x")), "ok");
}

/// Rows 9, 11, 49, 61.
#[test]
fn limits_count_to_their_end() {
    let mut meters = Meters::new(&Budget::DEFAULT);
    for (cap, most) in
        [(NetworkCap::Requests, 100), (NetworkCap::Open, 8), (NetworkCap::Names, 16), (NetworkCap::Connects, 32)]
    {
        for _one in 0..most {
            meters.get_mut(cap).take(1).unwrap();
        }
        let denied = Denied::over_limit(cap, meters.get_mut(cap).take(1).unwrap_err());
        assert_eq!(denied.missing.to_string(), format!("limits.{cap}"));
    }
    for (cap, most) in [(NetworkCap::Up, 1 << 20), (NetworkCap::Down, 16 << 20)] {
        assert!(meters.get_mut(cap).take(most).is_ok() && meters.get_mut(cap).take(1).is_err(), "{cap}");
    }
}

/// Row 9, where the length is declared.
#[test]
fn a_declared_length_over_the_grants_own_limit_is_denied_before_a_byte_is_sent() {
    let grant = RawHttpGrant { up: Some(10), ..get(&["/**"], &[]) };
    let grants = load(http("https://api.test", grant)).unwrap();
    assert_eq!(verdict(&grants, &field("content-length", "10")), "ok");
    assert_eq!(verdict(&grants, &field("content-length", "11")), "http:https://api.test:up");
}

/// Row 51.
#[test]
fn an_asterisk_stays_in_its_segment() {
    let grants = load(http("https://api.test", get(&["/*"], &[]))).unwrap();
    assert_eq!(verdict(&grants, &target("/a")), "ok");
    assert_eq!(verdict(&grants, &target("/a/b")), "http:https://api.test:GET:/a/b");
}

/// Row 57: whoever asks, and however often, the answer is the same.
#[test]
fn the_next_process_decides_the_same() {
    let grants = table();
    let handed_on: NetworkGrants = serde_json::from_str(&serde_json::to_string(&grants).unwrap()).unwrap();
    assert_eq!(handed_on, grants);
    for (_row, request, expected) in rows() {
        assert_eq!(verdict(&handed_on, &request), expected, "{request:?}");
    }
}
