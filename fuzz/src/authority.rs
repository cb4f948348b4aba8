//! Hosts, ports and keys of grants: one spelling each.

use std::net::IpAddr;

use tollgate_network::{Authority, Host, Hosts, Origin, OriginPattern};

use crate::text;

/// An authority that is read is written alike but for the case of letters, and read by no other reader as an address that it is not. A
/// key that is read is written alike and speaks of its own host.
pub fn authority(bytes: &[u8]) {
    if let Ok(found) = Authority::parse(bytes) {
        let port = found.port.map(|port| format!(":{port}")).unwrap_or_default();
        let plain = format!("{}{port}", found.host);
        assert!(plain.as_bytes().eq_ignore_ascii_case(bytes), "{plain}");
        host(&found.host, &plain);
        assert_eq!(Authority::parse(plain.as_bytes()), Ok(found));
    }
    if let Some(text) = text(bytes)
        && let Ok(pattern) = OriginPattern::parse(text)
    {
        assert_eq!(pattern.to_string(), text);
        key(&pattern);
    }
}

fn host(host: &Host, plain: &str) {
    let text = host.to_string();
    assert_eq!(text.trim_matches(['[', ']']).parse::<IpAddr>().ok(), host.address(), "{plain}");
    if let Host::Name(name) = host {
        let last = name.labels().last().expect("a label");
        assert!(last.parse::<u128>().is_err(), "{plain}");
        assert!(name.labels().all(|label| (1..=63).contains(&label.len())), "{plain}");
    }
}

fn key(pattern: &OriginPattern) {
    let of = |host: String| {
        let host = Host::parse(host.as_bytes()).ok()?;
        Some(pattern.speaks_of(&Origin { scheme: pattern.scheme(), host, port: pattern.port() }))
    };
    match pattern.hosts() {
        Hosts::Exact(host) => assert_eq!(of(host.to_string()), Some(true), "{pattern}"),
        Hosts::OneLabel(suffix) | Hosts::AnyLabels(suffix) => {
            assert_eq!(of(suffix.to_string()), Some(false), "{pattern}");
            assert_ne!(of(format!("a.{suffix}")), Some(false), "{pattern}");
            assert_ne!(of(format!("a{suffix}")), Some(true), "{pattern}");
        }
    }
}
