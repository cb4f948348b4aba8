//! The calls of `wasi:sockets` with which a use of the network begins. No word grants them.

use super::facts::{FactValue, Facts, FactsError, Unread};
use super::table::calls;

calls! {
    /// A call that makes a socket or asks for the addresses of a name.
    pub enum SocketCall {
        CreateTcpSocket "wasi:sockets/tcp-create-socket.create-tcp-socket" recorded {
            /// `ipv4` or `ipv6`.
            family: AddressFamily = "family",
        },
        CreateUdpSocket "wasi:sockets/udp-create-socket.create-udp-socket" recorded {
            /// `ipv4` or `ipv6`.
            family: AddressFamily = "family",
        },
        ResolveAddresses "wasi:sockets/ip-name-lookup.resolve-addresses" recorded {
            /// The name.
            name: String = "name",
        },
    }
}

/// IP version of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the two address families of wasi:sockets")]
pub enum AddressFamily {
    Ipv4,
    Ipv6,
}

impl AddressFamily {
    pub(crate) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The word for it in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl FactValue for AddressFamily {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.text(key, self.as_str());
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.word(key, &Self::ALL, Self::as_str, "an address family")
    }
}
