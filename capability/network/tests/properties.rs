//! What grammar and `check` promise, held over generated texts, grants and requests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a generator that fails is a test that fails")]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::{boxed, get, http, words};
use proptest::prelude::*;
use proptest::sample::select;
use tollgate_network::{
    Addresses, Authority, DialAddress, DialFor, Endpoint, FieldName, Host, HostName, Hosts, HttpRequest, HttpTexts,
    Method, NetworkGrants, Origin, OriginPattern, Paths, Query, Rate, RateMeter, RawHttpGrant, RawNetworkGrants,
    RawTcpGrant, Request, ResolveName, Scheme, Target, check, check_http, never_granted, special,
};

/// Bytes that mean something to some reader, and others.
fn odd() -> impl Strategy<Value = String> {
    let telling = [
        "%", "%2e", "%2E", "%2f", "%5c", "%25", "%00", "%61", "%c3%bc", "%ff", ";", "\\", "..", ".", "/", "//", "?",
        "#", "@", ":", "[", "]", " ", "\0", "\r\n", "\t", "*", "**", "+", "&", "=", ",", "ü", "\u{ff0e}", "\u{ff0f}",
        "A", "0x", "127.1", "xn--", "-",
    ];
    prop_oneof![4 => select(telling.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

/// A text that is near one of those that `plain` makes: with odd pieces in it, or none.
fn near(plain: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec((any::<prop::sample::Index>(), odd()), 0..3);
    (plain, pieces).prop_map(|(mut text, pieces)| {
        for (place, piece) in pieces {
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
            text.insert_str(places[place.index(places.len())], &piece);
        }
        text
    })
}

fn host() -> impl Strategy<Value = String> {
    let names =
        ["api.test", "a.example.org", "b.a.example.org", "example.org", "db.test", "localhost", "metadata.test"];
    let plain = prop_oneof![
        4 => select(names.to_vec()).prop_map(str::to_owned),
        1 => "[a-cA-C0-9_-]{1,5}(\\.[a-c0-9-]{1,4}){0,3}",
        1 => any::<Ipv4Addr>().prop_map(|address| address.to_string()),
        1 => any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from(bits))),
    ];
    near(plain)
}

fn authority() -> impl Strategy<Value = String> {
    let port = prop_oneof![4 => Just(String::new()), 2 => Just(":443".to_owned()), 1 => "[:+0-9]{0,7}"];
    (host(), port).prop_map(|(host, port)| host + &port)
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["v1", "admin", "Admin", "x", "a%20b", "a;b", "a%2Fb", "%C3%BC", "", "a:b", "secret."]).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9._~!$&'()*+,;=:@%/-]{0,6}",
    ]
}

fn target() -> impl Strategy<Value = String> {
    let query = prop_oneof![3 => Just(String::new()), 1 => "\\?[a-c&=;%+ 0-9]{0,8}"];
    let plain = (prop::collection::vec(segment(), 0..5), query)
        .prop_map(|(segments, query)| format!("/{}{query}", segments.join("/")));
    near(plain)
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![6 => select(vec!["GET", "POST", "PUT"]).prop_map(str::to_owned), 1 => near(Just("GET".to_owned()))]
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        4 => select(vec!["accept", "X-Key", "content-length", "te", "authorization"]).prop_map(str::to_owned),
        1 => near(select(vec!["host", "via", "accept"]).prop_map(str::to_owned)),
    ];
    let value = prop_oneof![3 => Just("trailers".to_owned()), 1 => near(Just("1".to_owned()))];
    prop::collection::vec((name, value), 0..3)
}

/// The texts of a request.
#[derive(Debug, Clone)]
struct Texts {
    method: String,
    scheme: &'static str,
    authority: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Texts {
    fn request(&self) -> HttpRequest {
        let fields: Vec<(&[u8], &[u8])> =
            self.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        HttpRequest::new(&HttpTexts {
            method: self.method.as_bytes(),
            scheme: self.scheme.as_bytes(),
            authority: self.authority.as_bytes(),
            target: self.target.as_bytes(),
            fields: &fields,
        })
    }
}

fn texts() -> impl Strategy<Value = Texts> {
    let scheme = select(vec!["https", "https", "https", "http", "HTTPS", "ftp"]);
    (method(), scheme, authority(), target(), fields()).prop_map(|(method, scheme, authority, target, fields)| Texts {
        method,
        scheme,
        authority,
        target,
        fields,
    })
}

fn key() -> impl Strategy<Value = &'static str> {
    select(vec![
        "https://api.test",
        "https://a.example.org",
        "https://*.example.org",
        "https://**.example.org",
        "https://*.a.example.org",
        "http://api.test",
        "https://api.test:8443",
    ])
}

fn patterns(least: usize) -> impl Strategy<Value = Vec<String>> {
    let pattern = select(vec!["/**", "/v1/**", "/*", "/v1/*", "/v1/admin/**", "/**/x", "/a*b/**", "/v1/a%20b", "/"]);
    prop::collection::vec(pattern.prop_map(str::to_owned), least..3)
}

fn grant() -> impl Strategy<Value = RawHttpGrant> {
    let methods = select(vec![&["GET"][..], &["GET", "POST"], &["PUT"]]);
    let query = select(vec![None, None, Some(&["a"][..])]);
    (methods, patterns(1), patterns(0), query, any::<bool>(), any::<bool>()).prop_map(
        |(methods, paths, exclude, query, encoded_slash, semicolon)| RawHttpGrant {
            methods: words(methods),
            paths,
            exclude,
            query: query.map(words),
            encoded_slash,
            semicolon,
            ..RawHttpGrant::default()
        },
    )
}

fn raw() -> impl Strategy<Value = RawNetworkGrants> {
    let http = prop::collection::btree_map(key().prop_map(str::to_owned), grant(), 0..4);
    let tcp = prop::collection::btree_map(Just("db.test:5432".to_owned()), Just(RawTcpGrant::default()), 0..2);
    (http, tcp).prop_map(|(http, tcp)| RawNetworkGrants { http, tcp })
}

fn load(raw: RawNetworkGrants) -> NetworkGrants {
    common::load(raw).unwrap()
}

/// Addresses near those that count.
fn address() -> impl Strategy<Value = IpAddr> {
    let starts = select(vec![
        "::",
        "::ffff:0:0",
        "64:ff9b::",
        "64:ff9b:1::",
        "2001::",
        "2002::",
        "2001:db8::",
        "fd00:ec2::",
        "fe80::",
        "ff00::",
        "2606:4700::",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::",
        "64:ff9b::a9fe:a9fe",
    ]);
    let v6 = (starts, any::<u32>())
        .prop_map(|(start, low)| Ipv6Addr::from(start.parse::<Ipv6Addr>().unwrap().to_bits() ^ u128::from(low)));
    let v4 = (any::<u32>(), select(vec![0, 10, 127, 169, 172, 192, 224, 255]))
        .prop_map(|(low, high)| Ipv4Addr::from((low >> 8) | high << 24));
    prop_oneof![
        v6.prop_map(IpAddr::V6),
        v4.prop_map(IpAddr::V4),
        any::<Ipv4Addr>().prop_map(IpAddr::V4),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// What is canonical is read as itself, and is what was asked but for the case of letters.
    #[test]
    fn a_canonical_authority_is_read_as_itself(text in authority()) {
        if let Ok(found) = Authority::parse(text.as_bytes()) {
            let port = found.port.map(|port| format!(":{port}")).unwrap_or_default();
            let plain = format!("{}{port}", found.host);
            prop_assert_eq!(Authority::parse(plain.as_bytes()), Ok(found));
            prop_assert!(plain.eq_ignore_ascii_case(&text), "{} {}", plain, text);
            prop_assert_eq!(plain.to_ascii_lowercase(), plain);
        }
    }

    /// A host that is accepted is not read as an address by anyone, unless it is that address.
    #[test]
    fn a_name_is_no_address(text in host()) {
        match Host::parse(text.as_bytes()) {
            Ok(Host::Name(name)) => {
                prop_assert!(name.as_str().parse::<IpAddr>().is_err());
                let last = name.labels().last().unwrap();
                let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|digit| digit.is_ascii_hexdigit()));
                prop_assert!(!hex && last.parse::<u128>().is_err(), "{}", name);
            }
            Ok(literal) => prop_assert_eq!(text.trim_matches(['[', ']']).parse().ok(), literal.address()),
            Err(_) => {}
        }
    }

    #[test]
    fn a_target_that_is_accepted_is_sent_as_it_is(text in target()) {
        if let Ok(found) = Target::parse(text.as_bytes()) {
            prop_assert_eq!(found.as_str(), &text);
            prop_assert_eq!(Target::parse(found.as_str().as_bytes()), Ok(found.clone()));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            let path = found.path();
            prop_assert!(!path.contains("//") && !path.contains(['\\', '#', '?', ' ']), "{}", path);
            for segment in found.segments().iter().flat_map(|segment| segment.split('/')) {
                prop_assert!(!matches!(segment.split(';').next(), Some("." | "..")), "{}", path);
                prop_assert!(!segment.contains('\\') && !segment.contains(|byte: char| byte.is_ascii_control()), "{}", path);
            }
        }
    }

    /// Two paths that say the same are spelled the same, but for the case of hexadecimal digits and characters that a path may hold
    /// either way.
    #[test]
    fn a_path_has_no_second_spelling(first in target(), second in target()) {
        if let (Ok(first), Ok(second)) = (Target::parse(first.as_bytes()), Target::parse(second.as_bytes()))
            && first.segments() == second.segments()
        {
            let plain = |target: &Target| -> String {
                let reserved = "!$&'()*+,;=:@".chars().map(|plain| (format!("%{:02X}", u32::from(plain)), plain.to_string()));
                let upper = target.path().split('%').enumerate().map(|(place, part)| {
                    if place == 0 { return part.to_owned() }
                    let (digits, rest) = part.split_at(2);
                    format!("%{}{rest}", digits.to_ascii_uppercase())
                });
                reserved.fold(upper.collect(), |path: String, (triplet, plain)| path.replace(&triplet, &plain))
            };
            prop_assert_eq!(plain(&first), plain(&second));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let request = HttpRequest::new(&HttpTexts { method: &bytes, scheme: &bytes, authority: &bytes, target: &bytes, fields: &[(&bytes, &bytes)] });
        prop_assert!(check_http(&load(http("https://api.test", get(&["/**"], &[]))), &request).is_err());
        let _name = FieldName::parse(&bytes);
        let _name = ResolveName::new(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _words = (OriginPattern::parse(&text).is_ok(), Addresses::parse([&*text]).is_ok(), Rate::parse(&text).is_ok(), Paths::parse(&[text.into_owned()], &[]).is_ok());
    }

    #[test]
    fn without_a_grant_everything_is_denied(texts in texts(), name in host(), address in address()) {
        let empty = NetworkGrants::default();
        prop_assert!(check(&empty, &boxed(texts.request())).is_err());
        prop_assert!(check(&empty, &Request::Resolve(ResolveName::new(name.as_bytes()))).is_err());
        if let Ok(host) = Host::parse(name.as_bytes()) {
            let to = DialFor::Tcp(Endpoint { host, port: 443 });
            let request = Request::Dial(DialAddress { to, address, is_own: false });
            prop_assert!(check(&empty, &request).is_err());
        }
    }

    /// What is sent is what was asked, byte for byte; the host is the grant's.
    #[test]
    fn what_is_allowed_is_what_is_sent(raw in raw(), texts in texts()) {
        let (grants, request) = (load(raw), texts.request());
        if let Ok(allowed) = check_http(&grants, &request) {
            prop_assert_eq!(allowed.method().as_str(), &texts.method);
            prop_assert_eq!(allowed.target().as_str(), &texts.target);
            let asked = texts.authority.to_ascii_lowercase();
            let own = format!(":{}", allowed.origin().scheme.default_port());
            prop_assert_eq!(allowed.host_field(), asked.strip_suffix(&own).unwrap_or(&asked));
            prop_assert!(allowed.grant().key().speaks_of(allowed.origin()));
            let sent: Vec<_> = allowed.fields().all().iter().map(|field| (field.name.as_str().to_owned(), String::from_utf8(field.value.clone()).unwrap())).collect();
            prop_assert_eq!(sent, texts.fields);
            prop_assert!(allowed.grant().methods().contains(allowed.method()));
            prop_assert!(allowed.grant().paths().include(allowed.target()) && !allowed.grant().paths().exclude(allowed.target()));
        }
    }

    #[test]
    fn a_decision_can_be_repeated_from_the_text_of_the_grants(raw in raw(), texts in texts()) {
        let grants = load(raw);
        let text = serde_json::to_string(&grants).unwrap();
        let again: NetworkGrants = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
        let request = boxed(texts.request());
        prop_assert_eq!(check(&grants, &request), check(&again, &request));
    }

    /// A grant is as narrow as its words: fewer methods or paths, or more that is excluded, never allow more.
    #[test]
    fn taking_words_away_never_allows_more(raw in raw(), texts in texts(), exclude in patterns(1), what in 0..3) {
        let mut less = raw.clone();
        for grant in less.http.values_mut() {
            match what {
                0 => grant.exclude.extend(exclude.clone()),
                1 if grant.paths.len() > 1 => drop(grant.paths.pop()),
                _ => (grant.encoded_slash, grant.semicolon) = (false, false),
            }
        }
        let (raw, less, request) = (load(raw), load(less), texts.request());
        prop_assert!(check_http(&less, &request).is_err() || check_http(&raw, &request).is_ok());
    }

    /// Of several keys one decides: whatever else is granted, that of the host's own key stays as it is.
    #[test]
    fn a_hosts_own_key_decides_alone(raw in raw(), own in grant(), texts in texts()) {
        let mut both = raw;
        both.http.insert("https://a.example.org".to_owned(), own.clone());
        let (alone, both, request) = (load(http("https://a.example.org", own)), load(both), texts.request());
        if request.origin().is_ok_and(|origin| origin.to_string() == "https://a.example.org") {
            prop_assert_eq!(check_http(&alone, &request).is_ok(), check_http(&both, &request).is_ok());
        }
    }

    #[test]
    fn an_asterisk_never_crosses_a_segment(pattern in "(/(\\*|\\*?a(\\*a)?\\*?)){1,4}", path in "(/[ab]{1,3}){1,4}") {
        let paths = Paths::parse(std::slice::from_ref(&pattern), &[]).unwrap();
        let target = Target::parse(path.as_bytes()).unwrap();
        if paths.include(&target) {
            prop_assert_eq!(pattern.matches('/').count(), path.matches('/').count());
            for (pattern, segment) in pattern.split('/').zip(path.split('/')) {
                prop_assert!(pattern.contains('*') || pattern == segment);
            }
        }
    }

    /// A second matcher, which tries everything.
    #[test]
    fn patterns_match_as_by_trying_everything(pattern in "(/(\\*\\*|\\*|\\*?[ab](\\*[ab])?\\*?)){1,5}", path in "(/[ab]{1,2}){1,5}") {
        let paths = Paths::parse(std::slice::from_ref(&pattern), &[]).unwrap();
        let target = Target::parse(path.as_bytes()).unwrap();
        let (patterns, segments): (Vec<_>, Vec<_>) = (pattern.split('/').skip(1).collect(), path.split('/').skip(1).collect());
        prop_assert_eq!(paths.include(&target), by_trying(&patterns, &segments), "{} {}", pattern, path);
    }

    /// Exclude wins, in any case of letters.
    #[test]
    fn what_is_excluded_is_denied_in_any_case(grant in grant(), exclude in patterns(1), texts in texts()) {
        let grant = RawHttpGrant { exclude: exclude.clone(), ..grant };
        let grants = load(http("https://api.test", grant));
        let plain = Paths::parse(&exclude, &[]).unwrap();
        let mut texts = Texts { authority: "api.test".to_owned(), scheme: "https", ..texts };
        let Ok(target) = Target::parse(texts.target.as_bytes()) else { return Ok(()) };
        if plain.include(&target) {
            prop_assert!(check_http(&grants, &texts.request()).is_err());
            texts.target = texts.target.to_ascii_uppercase();
            prop_assert!(check_http(&grants, &texts.request()).is_err());
            texts.target = texts.target.to_ascii_lowercase();
            prop_assert!(check_http(&grants, &texts.request()).is_err());
        }
    }

    #[test]
    fn a_wildcard_is_below_its_suffix(key in key(), text in host()) {
        let pattern = OriginPattern::parse(key).unwrap();
        let Ok(host) = Host::parse(text.as_bytes()) else { return Ok(()) };
        let shown = host.to_string();
        let is_below = |suffix: &HostName| shown.ends_with(&format!(".{suffix}"));
        if pattern.speaks_of(&Origin { scheme: pattern.scheme(), host, port: pattern.port() }) {
            match pattern.hosts() {
                Hosts::Exact(exact) => prop_assert_eq!(exact.to_string(), shown),
                Hosts::OneLabel(suffix) => {
                    prop_assert!(is_below(suffix));
                    prop_assert_eq!(shown.matches('.').count(), suffix.as_str().matches('.').count() + 1);
                }
                Hosts::AnyLabels(suffix) => prop_assert!(is_below(suffix)),
            }
        }
    }

    /// An IPv4 address is judged alike in every form that leads to it, and what no grant reaches is in no list.
    #[test]
    fn addresses_are_judged_alike_in_every_form(address in address(), v4 in any::<Ipv4Addr>()) {
        let everything = Addresses::parse(["public", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]).unwrap();
        prop_assert_eq!(everything.judge(address, false).is_err(), never_granted(address).is_some());
        prop_assert_eq!(Addresses::PUBLIC.judge(address, false).is_ok(), special(address).is_none() && never_granted(address).is_none());
        prop_assert!(Addresses::PUBLIC.judge(address, true).is_err());
        let nat64 = Ipv6Addr::from(0x0064_ff9b_u128 << 96 | u128::from(u32::from(v4)));
        for form in [IpAddr::V6(v4.to_ipv6_mapped()), IpAddr::V6(nat64)] {
            for list in [&everything, &Addresses::PUBLIC, &Addresses::parse(["10.0.0.0/8"]).unwrap()] {
                prop_assert_eq!(list.judge(form, false), list.judge(IpAddr::V4(v4), false));
            }
        }
        if let IpAddr::V6(address) = address && special(address.into()).is_none() {
            let global = address.octets()[0] >> 5 == 1;
            prop_assert!(global || address.to_ipv4_mapped().is_some() || address.segments()[..2] == [0x64, 0xff9b], "{}", address);
        }
    }

    /// In any time there are no more uses than the rate's, and those that the time has shares for.
    #[test]
    fn a_rate_holds_over_any_time(count in 1_u32..20, steps in prop::collection::vec(0_u64..20_000_000_000, 1..200)) {
        let rate = Rate::parse(&format!("{count}/min")).unwrap();
        let (mut meter, mut now, mut taken) = (RateMeter::default(), 0_u64, Vec::new());
        for step in steps {
            now += step;
            if meter.take(rate, now).is_ok() {
                taken.push(now);
            }
        }
        for (first, start) in taken.iter().enumerate() {
            for (last, end) in taken.iter().enumerate().skip(first) {
                let shares = (end - start) * u64::from(count) / 60_000_000_000;
                prop_assert!((last - first) as u64 <= u64::from(count) + shares, "{:?}", taken);
            }
        }
    }

    #[test]
    fn methods_and_schemes_have_one_spelling(text in near(select(vec!["GET", "https"]).prop_map(str::to_owned))) {
        if let Ok(method) = Method::parse(text.as_bytes()) {
            prop_assert_eq!(method.as_str(), &text);
        }
        if let Ok(scheme) = Scheme::parse(text.as_bytes()) {
            prop_assert_eq!(scheme.as_str(), &text);
        }
    }

    /// Names that are found in a query, written anew, are found again.
    #[test]
    fn names_of_a_query_are_certain(text in near("[a-c]{0,2}(=[a-c]{0,2})?(&[a-c]{0,2}(=[a-c]{0,2})?){0,3}")) {
        let Ok(target) = Target::parse(format!("/?{text}").as_bytes()) else { return Ok(()) };
        if let Ok(names) = target.query().map_or(Ok(&[][..]), Query::names) {
            let parts = text.split('&').filter(|part| !part.is_empty()).count();
            prop_assert_eq!(names.len(), parts);
            prop_assert!(names.iter().all(|name| !name.is_empty() && !name.contains([';', ' ', '+'])));
        }
    }
}

fn by_trying(patterns: &[&str], segments: &[&str]) -> bool {
    match (patterns, segments) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=segments.len()).any(|skipped| by_trying(rest, &segments[skipped..])),
        ([pattern, rest @ ..], [segment, others @ ..]) => {
            segment_by_trying(pattern.as_bytes(), segment.as_bytes()) && by_trying(rest, others)
        }
        ([], _) | (_, []) => false,
    }
}

fn segment_by_trying(pattern: &[u8], segment: &[u8]) -> bool {
    match pattern {
        [] => segment.is_empty(),
        [b'*', rest @ ..] => (0..=segment.len()).any(|skipped| segment_by_trying(rest, &segment[skipped..])),
        [byte, rest @ ..] => segment.first() == Some(byte) && segment_by_trying(rest, &segment[1..]),
    }
}
