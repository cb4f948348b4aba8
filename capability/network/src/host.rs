//! Hosts: names and literal addresses, in one spelling each. A host that leaves this module is the text that is compared, sent
//! as `Host` and given to TLS. Must never turn one text into another, but for the case of letters.
//!
//! ```text
//! host  = name / IPv4 / "[" IPv6 "]"
//! name  = label *( "." label )                    at most 253 bytes, no dot at the end
//! label = alnum [ *61( alnum / "-" / "_" ) alnum ]   "_" may stand first and last too
//! IPv4  = four decimal numbers up to 255 without leading zeros
//! IPv6  = as RFC 5952 writes it, without a zone
//! ```
//!
//! A name whose last label is a number, decimal or `0x…`, is no name: `inet_aton(3)` and browsers read addresses in it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::shown::Shown;

/// Longest host, in bytes: that of a name in the DNS (RFC 1035 §2.3.4) as text without its last dot.
pub const HOST_BYTES_MAX: usize = 253;
/// Longest label of a name, in bytes (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// Where a request goes, as its text has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, which the DNS knows.
    Name(HostName),
    /// A literal IPv4 address.
    V4(Ipv4Addr),
    /// A literal IPv6 address, never one that maps an IPv4 address.
    V6(Ipv6Addr),
}

/// A name of the DNS in small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl Host {
    /// The host that `text` is. Capital letters are taken, and compared and sent as small ones.
    ///
    /// # Errors
    ///
    /// A [`HostFault`] that says what makes the text unusable.
    pub fn parse(text: &[u8]) -> Result<Self, HostFault> {
        if text.is_empty() {
            return Err(HostFault::Empty);
        }
        if text.len() > HOST_BYTES_MAX {
            return Err(HostFault::TooLong { bytes: text.len() });
        }
        if text.starts_with(b"[") { literal_v6(text) } else { name_or_v4(text) }
    }

    /// The host that a literal address is.
    ///
    /// # Errors
    ///
    /// [`HostFault::Mapped`] for an IPv6 address that is another spelling of an IPv4 address.
    pub fn literal(address: IpAddr) -> Result<Self, HostFault> {
        match address {
            IpAddr::V4(address) => Ok(Self::V4(address)),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(plain) => Err(HostFault::Mapped { host: Shown::of(format!("[{address}]")), plain }),
                None => Ok(Self::V6(address)),
            },
        }
    }

    /// The name, if it is one.
    #[must_use]
    pub const fn name(&self) -> Option<&HostName> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    /// The address, if it is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

/// As in a URL: an IPv6 address in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its labels, from the left.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether the name says by itself that it is of this machine or this network, so that only a grant that lists networks
    /// can mean it: one label, `metadata.*`, and what RFC 6761, RFC 6762, RFC 8375 and ICANN keep for private use.
    #[must_use]
    pub fn is_special(&self) -> bool {
        let is_below = |suffix: &str| {
            let before = self.0.strip_suffix(suffix);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        let is_single = !self.0.contains('.');
        is_single || self.labels().next() == Some("metadata") || SPECIAL_SUFFIXES.into_iter().any(is_below)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HostFault {
    /// There is none.
    #[error("the host is empty")]
    Empty,
    /// It is longer than [`HOST_BYTES_MAX`].
    #[error("the host has {bytes} bytes; the maximum is {HOST_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// There is an `@`. What stands before it may be a password, so that the text is not shown.
    #[error("there is an `@` in the host; a user name and a password must not stand there")]
    UserInfo,
    /// There is a `%`.
    #[error("there is a `%` in the host `{host}`; hosts are written without percent-encoding")]
    Percent {
        /// What was given.
        host: Shown,
    },
    /// There is a letter that is not ASCII.
    #[error("the host `{host}` is not ASCII; an international name is written in its `xn--` form")]
    NotAscii {
        /// What was given.
        host: Shown,
    },
    /// There is a byte that no host has.
    #[error("there is `{byte}` in the host `{host}`, which has no place in a host")]
    Byte {
        /// The first such byte.
        byte: Shown,
        /// What was given.
        host: Shown,
    },
    /// It ends in a dot.
    #[error("the host `{host}` ends in a dot, which would be a second spelling of the name")]
    TrailingDot {
        /// What was given.
        host: Shown,
    },
    /// It begins with a dot, or has two in a row.
    #[error("there is an empty label in the host `{host}`: a dot at its start, or two in a row")]
    EmptyLabel {
        /// What was given.
        host: Shown,
    },
    /// A label is longer than [`LABEL_BYTES_MAX`].
    #[error("the label `{label}` of the host has {bytes} bytes; the maximum is {LABEL_BYTES_MAX}")]
    LongLabel {
        /// The label.
        label: Shown,
        /// Its length.
        bytes: usize,
    },
    /// A label begins or ends with a hyphen.
    #[error("the label `{label}` of the host begins or ends with a hyphen")]
    Hyphen {
        /// The label.
        label: Shown,
    },
    /// The last label is a number, and the whole is no plain IPv4 address.
    #[error(
        "the host `{host}` ends in a number, so that some programs take it for an address, and it is not written as IPv4 \
         addresses are: four numbers up to 255 without leading zeros"
    )]
    Numeric {
        /// What was given.
        host: Shown,
    },
    /// What stands in brackets is no IPv6 address.
    #[error("the host `{host}` has brackets, and what they hold is not exactly one IPv6 address")]
    Brackets {
        /// What was given.
        host: Shown,
    },
    /// It has a zone.
    #[error("the host `{host}` has a zone, which means something on one machine only")]
    Zone {
        /// What was given.
        host: Shown,
    },
    /// It is an IPv6 address in another spelling than its usual one.
    #[error("the host `{host}` is an IPv6 address that is written otherwise than `[{plain}]`")]
    Ipv6Form {
        /// What was given.
        host: Shown,
        /// The address as RFC 5952 writes it.
        plain: Ipv6Addr,
    },
    /// It is an IPv6 address that maps an IPv4 address.
    #[error("the host `{host}` is another spelling of the IPv4 address {plain}")]
    Mapped {
        /// What was given.
        host: Shown,
        /// The IPv4 address.
        plain: Ipv4Addr,
    },
}

fn literal_v6(text: &[u8]) -> Result<Host, HostFault> {
    let host = || Shown::of(text);
    let inside = text.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or_default();
    if inside.contains(&b'%') {
        return Err(HostFault::Zone { host: host() });
    }
    let Some((inside, address)) =
        std::str::from_utf8(inside).ok().and_then(|inside| Some((inside, inside.parse().ok()?)))
    else {
        return Err(HostFault::Brackets { host: host() });
    };
    let plain: Ipv6Addr = address;
    let found = Host::literal(IpAddr::V6(plain))?;
    if !inside.eq_ignore_ascii_case(&plain.to_string()) {
        return Err(HostFault::Ipv6Form { host: host(), plain });
    }
    Ok(found)
}

fn name_or_v4(text: &[u8]) -> Result<Host, HostFault> {
    let host = || Shown::of(text);
    let Some(lower) = plain_text(text)? else { return Err(HostFault::NotAscii { host: host() }) };
    let Some(last) = lower.split('.').next_back().filter(|last| !last.is_empty()) else {
        return Err(HostFault::TrailingDot { host: host() });
    };
    if is_number(last) {
        let Ok(address) = lower.parse() else { return Err(HostFault::Numeric { host: host() }) };
        return Ok(Host::V4(address));
    }
    for label in lower.split('.') {
        label_is_sound(label, text)?;
    }
    Ok(Host::Name(HostName(lower)))
}

/// The text in small letters, if it has no byte but those of names; none if a byte is not ASCII.
fn plain_text(text: &[u8]) -> Result<Option<String>, HostFault> {
    let host = || Shown::of(text);
    if text.contains(&b'@') {
        return Err(HostFault::UserInfo);
    }
    let odd = text.iter().find(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')));
    match odd {
        None => Ok(std::str::from_utf8(text).ok().map(str::to_ascii_lowercase)),
        Some(b'%') => Err(HostFault::Percent { host: host() }),
        Some(byte) if byte.is_ascii() => Err(HostFault::Byte { byte: Shown::of([*byte]), host: host() }),
        Some(_) => Ok(None),
    }
}

/// Whether a last label is read as a number by `inet_aton(3)` or by browsers (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let is_hex = |rest: &str| rest.bytes().all(|digit| digit.is_ascii_hexdigit());
    label.bytes().all(|digit| digit.is_ascii_digit()) || label.strip_prefix("0x").is_some_and(is_hex)
}

fn label_is_sound(label: &str, host: &[u8]) -> Result<(), HostFault> {
    if label.is_empty() {
        return Err(HostFault::EmptyLabel { host: Shown::of(host) });
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(HostFault::LongLabel { label: Shown::of(label), bytes: label.len() });
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HostFault::Hyphen { label: Shown::of(label) });
    }
    Ok(())
}

/// What no name server of the internet answers for.
const SPECIAL_SUFFIXES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Host::parse(text.as_bytes()).map(|host| host.to_string()).unwrap()
    }

    fn fault(text: &str) -> HostFault {
        Host::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn hosts_have_one_spelling() {
        for (text, plain) in [
            ("api.test", "api.test"),
            ("API.Test", "api.test"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("_dmarc.a_b.test", "_dmarc.a_b.test"),
            ("1.a", "1.a"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(shown(text), plain, "{text}");
        }
    }

    #[test]
    fn a_text_that_some_program_reads_as_an_address_is_no_name() {
        for text in [
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "0",
            "0x7f000001",
            "1.2.3.0x4",
            "a.0x",
            "a.1",
            "256.1.1.1",
            "1.2.3.4.5",
        ] {
            assert!(matches!(fault(text), HostFault::Numeric { .. }), "{text}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        let long = ["a"; 127].join(".") + "a";
        let label = format!("{}.test", "l".repeat(64));
        assert_eq!(fault(""), HostFault::Empty);
        assert_eq!(fault(&long), HostFault::TooLong { bytes: 254 });
        assert_eq!(fault("x:y@api.test"), HostFault::UserInfo);
        assert!(matches!(fault("api%2etest"), HostFault::Percent { .. }));
        assert!(matches!(fault("api\u{ff0e}test"), HostFault::NotAscii { .. }));
        assert!(matches!(fault("\u{430}pi.test"), HostFault::NotAscii { .. }));
        for text in ["a b", "a\0.test", "a,b", "a;b", "a/b", "a\\b", "a:80", "a]", "a*b"] {
            assert!(matches!(fault(text), HostFault::Byte { .. }), "{text}");
        }
        assert!(matches!(fault("api.test."), HostFault::TrailingDot { .. }));
        assert!(matches!(fault("."), HostFault::TrailingDot { .. }));
        assert!(matches!(fault("a..b"), HostFault::EmptyLabel { .. }));
        assert!(matches!(fault(".a"), HostFault::EmptyLabel { .. }));
        assert!(matches!(fault(&label), HostFault::LongLabel { bytes: 64, .. }));
        assert!(matches!(fault("-a.test"), HostFault::Hyphen { .. }));
        assert!(matches!(fault("a-.test"), HostFault::Hyphen { .. }));
        for text in ["[api.test]", "[[::1]]", "[", "[]", "[::1", "[::1]x", "[1.2.3.4]"] {
            assert!(matches!(fault(text), HostFault::Brackets { .. }), "{text}");
        }
        assert!(matches!(fault("[fe80::1%25lo]"), HostFault::Zone { .. }));
        assert!(matches!(fault("[0:0:0:0:0:0:0:1]"), HostFault::Ipv6Form { plain: Ipv6Addr::LOCALHOST, .. }));
        assert!(matches!(fault("[::ffff:127.0.0.1]"), HostFault::Mapped { plain: Ipv4Addr::LOCALHOST, .. }));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!fault("me:secret@api.test").to_string().contains("secret"));
    }

    #[test]
    fn names_of_this_network_are_special() {
        let special = |text: &str| Host::parse(text.as_bytes()).unwrap().name().unwrap().is_special();
        for text in [
            "localhost",
            "db",
            "a.localhost",
            "printer.local",
            "x.internal",
            "metadata.google.internal",
            "metadata.test",
            "nas.home.arpa",
        ] {
            assert!(special(text), "{text}");
        }
        for text in ["api.test", "notlocal.test", "my-internal.example", "xlocal.example", "meta.data.example"] {
            assert!(!special(text), "{text}");
        }
    }
}
