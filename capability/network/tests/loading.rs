//! Words that must not load, each with what is said about it; and words that decide among each other.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{ask, bearer, boxed, get, http, load, tcp, with_fields, words};
use tollgate_network::{NetworkGrants, RawCredential, RawHttpGrant, RawNetworkGrants, RawTcpGrant, check, check_http};

/// What is said of a grant for HTTP that must not load.
fn refused(key: &str, grant: RawHttpGrant) -> String {
    load(http(key, grant)).unwrap_err().to_string()
}

fn says(said: &str, words: &str) {
    assert!(said.contains(words), "`{words}` is not in: {said}");
}

#[test]
fn an_error_names_the_key_and_says_why() {
    let all = || get(&["/**"], &[]);
    says(&refused("https://*.github.io", all()), "`http.\"https://*.github.io\"`: ");
    says(&refused("https://*.github.io", all()), "anybody can have a name below `github.io`");
    says(&refused("https://**.co.uk", all()), "anybody can have a name below `co.uk`");
    says(&refused("https://*.s3.amazonaws.com", all()), "anybody can have a name below `s3.amazonaws.com`");
    says(&refused("https://API.test", all()), "`https://api.test`");
    says(&refused("https://api.test:443", all()), "leave the port out");
    says(&refused("https://api.test/v1", all()), "paths are granted by `paths`");
    says(&refused("http://10.1.0.7", all()), "write `addresses = [\"10.1.0.7/32\"]`");
    says(&refused("http://[::1]", all()), "write `addresses = [\"::1/128\"]`");
    says(&refused("http://169.254.169.254", all()), "which no grant can reach");
    says(&refused("http://localhost:8080", all()), "list the networks that it may be in");
    says(&refused("https://metadata.google.internal", all()), "list the networks that it may be in");
    says(&refused("https://*.corp.internal", all()), "list the networks that it may be in");
    says(&refused("https://api.test", get(&[], &[])), "all paths are `/**`");
    let none = RawHttpGrant { methods: vec![], ..all() };
    says(&refused("https://api.test", none), "there are 0 methods");
    let twice = RawHttpGrant { methods: words(&["GET", "GET"]), ..all() };
    says(&refused("https://api.test", twice), "`GET` is there twice");
    for name in ["", "a b", "a+b", "a;b", "a\\b", "a\n"] {
        let query = RawHttpGrant { query: Some(words(&[name])), ..all() };
        says(&refused("https://api.test", query), "no name of a query that all servers read alike");
    }
    let rate = RawHttpGrant { rate: Some("60 per minute".to_owned()), ..all() };
    says(&refused("https://api.test", rate), "`60 per minute` is no rate");
    let metadata = RawHttpGrant { addresses: Some(words(&["169.254.169.254/32"])), ..all() };
    says(&refused("http://metadata.test", metadata), "cannot be granted");
}

#[test]
fn a_credential_has_one_place_on_one_host_over_tls() {
    let with = |credential: RawCredential| RawHttpGrant { credential: Some(credential), ..get(&["/**"], &[]) };
    let secret = || RawCredential { secret: "GH".to_owned(), ..RawCredential::default() };
    says(&refused("https://api.test", with(secret())), "exactly one place");
    let both = RawCredential { bearer: true, header: Some("x-key".to_owned()), ..secret() };
    says(&refused("https://api.test", with(both)), "exactly one place");
    let host = RawCredential { header: Some("Host".to_owned()), ..secret() };
    says(&refused("https://api.test", with(host)), "no credential can be sent there");
    let bearer = || RawCredential { bearer: true, ..secret() };
    says(&refused("https://*.api.test", with(bearer())), "grant that host by itself");
    says(&refused("http://api.test", with(bearer())), "never travels in the clear");
    assert!(load(http("https://api.test", with(bearer()))).is_ok());
}

#[test]
fn a_grant_for_tcp_names_one_host_and_its_port() {
    let error = |key: &str| load(tcp(key, RawTcpGrant::default())).unwrap_err().to_string();
    says(&error("db.test"), "has no port");
    says(&error("*.db.test:5432"), "names one host");
    says(&error("DB.test:5432"), "`db.test:5432`");
    says(&error("db.test:05432"), "leading zero");
    says(&error("10.0.0.5:5432"), "10.0.0.5/32");
    says(&error("db:5432"), "list the networks");
    assert!(load(tcp("db.test:5432", RawTcpGrant::default())).is_ok());
}

#[test]
fn words_that_nothing_enforces_are_errors() {
    let parse = |text: &str| serde_json::from_str::<NetworkGrants>(text);
    assert!(parse(r#"{"http":{"https://api.test":{"methods":["GET"],"paths":["/**"]}}}"#).is_ok());
    for text in [
        r#"{"udp":{}}"#,
        r#"{"http":{"https://api.test":{"methods":["GET"],"paths":["/**"],"scan":true}}}"#,
        r#"{"http":{"https://api.test":{"paths":["/**"]}}}"#,
        r#"{"http":{"https://api.test":{"methods":["GET"],"paths":["/**"],"credential":{"secret":"S","cookie":"c"}}}}"#,
        r#"{"tcp":{"db.test:5432":{"tls":true}}}"#,
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// What is recorded stays readable, whatever becomes of the list of public suffixes.
#[test]
fn recorded_grants_are_read_back_without_the_list() {
    let text = r#"{"http":{"https://*.github.io":{"methods":["GET"],"paths":["/**"]}}}"#;
    let grants: NetworkGrants = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&grants).unwrap(), text);
    assert!(NetworkGrants::load(grants.into(), common::is_public_suffix).is_err());
}

fn paths_of(keys: &[(&str, &str)]) -> NetworkGrants {
    let http = keys.iter().map(|(key, path)| ((*key).to_owned(), get(&[path], &[]))).collect();
    load(RawNetworkGrants { http, ..RawNetworkGrants::default() }).unwrap()
}

#[test]
fn of_several_keys_one_decides() {
    let grants = paths_of(&[
        ("https://**.example.org", "/any"),
        ("https://*.example.org", "/one"),
        ("https://**.b.example.org", "/longer"),
        ("https://a.example.org", "/exact"),
        ("https://a.example.org:8443", "/port"),
    ]);
    for (host, path) in [
        ("a.example.org", "/exact"),
        ("a.example.org:8443", "/port"),
        ("c.example.org", "/one"),
        ("b.example.org", "/one"),
        ("x.y.example.org", "/any"),
        ("x.b.example.org", "/longer"),
    ] {
        for asked in ["/any", "/one", "/longer", "/exact", "/port"] {
            let request = boxed(ask("GET", "https", host, asked));
            assert_eq!(check(&grants, &request).is_ok(), asked == path, "{host} {asked}");
        }
    }
}

#[test]
fn names_of_this_network_need_a_network_below_wildcards_too() {
    let grants = paths_of(&[("https://**.example.org", "/")]);
    let request = ask("GET", "https", "metadata.example.org", "/");
    assert!(check_http(&grants, &request).unwrap_err().to_string().contains("lists no network"));
    let listed = RawHttpGrant { addresses: Some(words(&["10.0.0.0/8"])), ..get(&["/"], &[]) };
    let grants = load(http("https://**.example.org", listed)).unwrap();
    assert!(check_http(&grants, &request).is_ok());
}

#[test]
fn a_query_has_granted_names_alone() {
    let grant = RawHttpGrant { query: Some(words(&["page", "q"])), ..get(&["/**"], &[]) };
    let grants = load(http("https://api.test", grant)).unwrap();
    let ask = |target: &str| {
        check_http(&grants, &ask("GET", "https", "api.test", target)).map(drop).map_err(|denied| denied.to_string())
    };
    for target in ["/", "/?", "/?page=1", "/?q=a%20b", "/?page=1&q=2&page=3"] {
        assert_eq!(ask(target), Ok(()), "{target}");
    }
    for target in ["/?Page=1", "/?admin=1", "/?page=1;admin=2", "/?%70age=1", "/?page=1&", "/?page=%"] {
        let said = ask(target).unwrap_err();
        assert!(said.starts_with("http:https://api.test:query: "), "{said}");
    }
}

#[test]
fn a_credential_in_the_query_is_not_the_guests_to_send() {
    let credential =
        RawCredential { secret: "S".to_owned(), query: Some("key".to_owned()), ..RawCredential::default() };
    let grants =
        load(http("https://api.test", RawHttpGrant { credential: Some(credential), ..get(&["/**"], &[]) })).unwrap();
    let ask = |target: &str| check_http(&grants, &ask("GET", "https", "api.test", target)).is_ok();
    assert!(ask("/?q=1") && ask("/"));
    assert!(!ask("/?key=1") && !ask("/?KEY=1") && !ask("/?a;key=1") && !ask("/?%6bey=1") && !ask("/?%E2%84%AAey=1"));
}

#[test]
fn a_field_of_a_credential_is_the_proxys_in_every_spelling() {
    let credential =
        RawCredential { secret: "S".to_owned(), header: Some("X-Api-Key".to_owned()), ..RawCredential::default() };
    let grants =
        load(http("https://api.test", RawHttpGrant { credential: Some(credential), ..get(&["/**"], &[]) })).unwrap();
    for (name, allowed) in [
        ("x-api-key", false),
        ("X_API_KEY", false),
        ("x.api.key", false),
        ("x-api-keys", true),
        ("authorization", true),
    ] {
        let request = with_fields("GET", "https", "api.test", "/", &[(name.as_bytes(), b"x")]);
        assert_eq!(check_http(&grants, &request).is_ok(), allowed, "{name}");
    }
    assert!(bearer().is_some());
}

#[test]
fn slashes_and_semicolons_are_opted_in() {
    let plain = load(http("https://api.test", get(&["/a/**"], &["/a/secret"]))).unwrap();
    let grant = RawHttpGrant { encoded_slash: true, semicolon: true, ..get(&["/a/**"], &["/a/secret"]) };
    let opted_in = load(http("https://api.test", grant)).unwrap();
    for (target, allowed) in [
        ("/a/b;v=1", true),
        ("/a/b%2Fc", true),
        ("/a/secret;v=1", false),
        ("/a%2Fsecret", false),
        ("/a/x%2F..%2Fsecret", false),
        ("/a/..;/b", false),
    ] {
        let request = ask("GET", "https", "api.test", target);
        assert!(check_http(&plain, &request).is_err(), "{target}");
        assert_eq!(check_http(&opted_in, &request).is_ok(), allowed, "{target}");
    }
}
