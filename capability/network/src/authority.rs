//! A host with its port. Must never guess a port, or read past what it takes for the end of a host.
//!
//! ```text
//! authority = host [ ":" port ]
//! port      = a number from 1 to 65535 without leading zeros
//! ```

use thiserror::Error;

use crate::host::{Host, HostFault};
use crate::shown::Shown;

/// A host, and a port where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, if the text has one.
    pub port: Option<u16>,
}

impl Authority {
    /// The authority that `text` is.
    ///
    /// # Errors
    ///
    /// An [`AuthorityFault`] that says what makes the text unusable.
    pub fn parse(text: &[u8]) -> Result<Self, AuthorityFault> {
        if text.contains(&b'@') {
            return Err(HostFault::UserInfo.into());
        }
        let (host, port) = split(text);
        let host = Host::parse(host)?;
        let port = port.map(parse_port).transpose()?;
        Ok(Self { host, port })
    }
}

/// Why a text is no authority.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorityFault {
    /// The host is unusable.
    #[error(transparent)]
    Host(#[from] HostFault),
    /// The port is unusable.
    #[error(transparent)]
    Port(#[from] PortFault),
}

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortFault {
    /// Nothing follows the colon.
    #[error("there is a `:` after the host, and no port")]
    Empty,
    /// There is something but digits.
    #[error("the port `{port}` is not a number in plain digits")]
    NotDigits {
        /// What was given.
        port: Shown,
    },
    /// It has a leading zero.
    #[error("the port `{port}` has a leading zero")]
    LeadingZero {
        /// What was given.
        port: Shown,
    },
    /// It is 0, or greater than 65535.
    #[error("the port `{port}` is not between 1 and 65535")]
    Range {
        /// What was given.
        port: Shown,
    },
}

/// The host, and what follows the colon behind it. What follows a closing bracket without a colon stays the host's, which it
/// spoils.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let from =
        if text.starts_with(b"[") { text.iter().position(|byte| *byte == b']').unwrap_or(text.len()) } else { 0 };
    let colon = text.iter().skip(from).position(|byte| *byte == b':').map(|place| from + place);
    match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((host, [_colon, port @ ..])) => (host, Some(port)),
        Some((_, [])) | None => (text, None),
    }
}

/// The port that `text` is.
///
/// # Errors
///
/// A [`PortFault`] for anything but a number from 1 to 65535 in its one spelling.
pub(crate) fn parse_port(text: &[u8]) -> Result<u16, PortFault> {
    let port = || Shown::of(text);
    match text {
        [] => Err(PortFault::Empty),
        digits if !digits.iter().all(u8::is_ascii_digit) => Err(PortFault::NotDigits { port: port() }),
        [b'0', _, ..] => Err(PortFault::LeadingZero { port: port() }),
        digits => {
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            number.filter(|number| *number != 0).ok_or_else(|| PortFault::Range { port: port() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, Option<u16>), AuthorityFault> {
        Authority::parse(text.as_bytes()).map(|found| (found.host.to_string(), found.port))
    }

    fn port_fault(text: &str) -> PortFault {
        match parsed(text) {
            Err(AuthorityFault::Port(fault)) => fault,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_port_is_taken_as_it_is_written() {
        assert_eq!(parsed("api.test"), Ok(("api.test".to_owned(), None)));
        assert_eq!(parsed("API.test:8443"), Ok(("api.test".to_owned(), Some(8443))));
        assert_eq!(parsed("[2001:db8::1]:65535"), Ok(("[2001:db8::1]".to_owned(), Some(65535))));
        assert_eq!(parsed("[2001:db8::1]"), Ok(("[2001:db8::1]".to_owned(), None)));
    }

    #[test]
    fn each_fault_of_a_port_is_named() {
        assert_eq!(port_fault("api.test:"), PortFault::Empty);
        assert_eq!(port_fault("[::1]:"), PortFault::Empty);
        for text in ["api.test:+443", "api.test:-1", "api.test: 1", "api.test:80:90", "api.test:x", "fe80::1"] {
            assert!(matches!(port_fault(text), PortFault::NotDigits { .. }), "{text}");
        }
        assert!(matches!(port_fault("api.test:0443"), PortFault::LeadingZero { .. }));
        assert!(matches!(port_fault("api.test:00"), PortFault::LeadingZero { .. }));
        for text in ["api.test:0", "api.test:65536", "api.test:99999", "api.test:99999999999999999999999"] {
            assert!(matches!(port_fault(text), PortFault::Range { .. }), "{text}");
        }
    }

    #[test]
    fn what_surrounds_a_host_spoils_it() {
        for text in ["api.test@evil.test", "x:y@api.test", "@", "[::1]:80@evil.test"] {
            assert_eq!(parsed(text), Err(AuthorityFault::Host(HostFault::UserInfo)), "{text}");
        }
        for text in ["[::1]x:80", "[[::1]]:80", "[::1"] {
            assert!(matches!(parsed(text), Err(AuthorityFault::Host(HostFault::Brackets { .. }))), "{text}");
        }
        assert_eq!(parsed(":80"), Err(AuthorityFault::Host(HostFault::Empty)));
    }
}
