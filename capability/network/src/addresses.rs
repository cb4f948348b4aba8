//! Which addresses a grant's hosts may have: `public`, or the networks that it lists, or both. Must never reach what no grant can
//! list.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use crate::address::{Special, never_granted, special, stands_for};
use crate::shown::Shown;

/// Most networks of one grant: each is looked at for each address.
pub const NETWORKS_MAX: usize = 64;

/// The addresses that a grant's hosts may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    public: bool,
    networks: Vec<IpNet>,
}

impl Addresses {
    /// What holds where a grant says nothing: public addresses.
    pub const PUBLIC: Self = Self { public: true, networks: Vec::new() };

    /// Reads `public` and networks in CIDR form, such as `10.1.0.0/16`.
    ///
    /// # Errors
    ///
    /// An [`AddressesError`] that names the word which cannot be used.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, AddressesError> {
        let mut addresses = Self { public: false, networks: Vec::new() };
        for word in words {
            if word == PUBLIC {
                if addresses.public {
                    return Err(AddressesError::Twice { word: Shown::of(word) });
                }
                addresses.public = true;
                continue;
            }
            let network = network(word)?;
            if addresses.networks.contains(&network) {
                return Err(AddressesError::Twice { word: Shown::of(word) });
            }
            addresses.networks.push(network);
        }
        let count = addresses.networks.len();
        if count > NETWORKS_MAX {
            return Err(AddressesError::TooMany { count });
        }
        if count == 0 && !addresses.public {
            return Err(AddressesError::Empty);
        }
        Ok(addresses)
    }

    /// Whether a host may have `address`. `is_own` says that the machine has that address itself: then it counts as a loopback address,
    /// since what listens there may trust who comes from the same machine.
    ///
    /// # Errors
    ///
    /// The [`AddressFault`] for which it may not. It does not tell the address.
    pub fn judge(&self, address: IpAddr, is_own: bool) -> Result<(), AddressFault> {
        // The kernel connects to a mapped address as to the IPv4 address, whatever network of IPv6 holds it.
        let address = address.to_canonical();
        if let Some(special) = never_granted(address) {
            return Err(AddressFault::Never(special));
        }
        if self.lists(address) {
            return Ok(());
        }
        if is_own {
            return Err(AddressFault::Own);
        }
        match special(address) {
            Some(special) => Err(AddressFault::Special(special)),
            None if self.public => Ok(()),
            None => Err(AddressFault::NotListed),
        }
    }

    /// Whether there is a network beside `public`.
    #[must_use]
    pub fn lists_networks(&self) -> bool {
        !self.networks.is_empty()
    }

    /// The words that it is read from.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.public.then(|| PUBLIC.to_owned()).into_iter().chain(self.networks.iter().map(IpNet::to_string))
    }

    /// Whether a network holds the address, or the IPv4 address to which its packets go.
    fn lists(&self, address: IpAddr) -> bool {
        let plain = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => stands_for(address).map(IpAddr::V4),
        };
        self.networks
            .iter()
            .any(|network| network.contains(&address) || plain.is_some_and(|plain| network.contains(&plain)))
    }
}

/// As rules print it: `public`, `listed` or both. The networks are the operator's, and rules are shown to guests.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.public, self.lists_networks()) {
            (true, false) => PUBLIC,
            (true, true) => "public,listed",
            (false, _) => "listed",
        })
    }
}

/// Why a host may not have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressFault {
    /// No grant can list it.
    #[error("it is {0}, which no grant can reach")]
    Never(Special),
    /// It is not public, and in no network that the grant lists.
    #[error("it is {0}, and in no network that the grant lists")]
    Special(Special),
    /// It is this machine's, and in no network that the grant lists.
    #[error("it is an address of this machine, and in no network that the grant lists")]
    Own,
    /// It is public, and the grant lists networks without it.
    #[error("it is in no network that the grant lists")]
    NotListed,
}

/// Why the list of addresses of a grant cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressesError {
    /// It is empty.
    #[error("the list of addresses is empty")]
    Empty,
    /// More networks than [`NETWORKS_MAX`].
    #[error("the list of addresses has {count} networks; the maximum is {NETWORKS_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is neither `public` nor a network.
    #[error("`{word}` is neither `public` nor a network such as `10.1.0.0/16`; a single address is `10.1.0.7/32`")]
    Word {
        /// What was given.
        word: Shown,
    },
    /// It is a network in another spelling than its usual one.
    #[error("`{word}` is written otherwise than the network that it is: `{plain}`")]
    Form {
        /// What was given.
        word: Shown,
        /// The network.
        plain: IpNet,
    },
    /// It is IPv6, and stands for IPv4.
    #[error("`{word}` is another spelling of IPv4 addresses; list the IPv4 network")]
    Mapped {
        /// What was given.
        word: Shown,
    },
    /// It is there twice.
    #[error("`{word}` is there twice")]
    Twice {
        /// What was given.
        word: Shown,
    },
    /// It is everything.
    #[error("`{word}` is every address; list the networks that are meant")]
    Everything {
        /// What was given.
        word: Shown,
    },
    /// No grant can list any of it.
    #[error("`{word}` cannot be granted: each of its addresses is {special}")]
    Never {
        /// What was given.
        word: Shown,
        /// What they are.
        special: Special,
    },
}

/// The word for public addresses.
const PUBLIC: &str = "public";

fn network(word: &str) -> Result<IpNet, AddressesError> {
    let shown = || Shown::of(word);
    let Ok(network) = word.parse::<IpNet>() else { return Err(AddressesError::Word { word: shown() }) };
    if network.trunc().to_string() != word {
        return Err(AddressesError::Form { word: shown(), plain: network.trunc() });
    }
    if network.prefix_len() == 0 {
        return Err(AddressesError::Everything { word: shown() });
    }
    if let IpNet::V6(network) = network
        && network.prefix_len() >= MAPPED_BITS
        && network.network().to_ipv4_mapped().is_some()
    {
        return Err(AddressesError::Mapped { word: shown() });
    }
    // A network that is such at both ends, for the same reason, would grant nothing. In a wider one each address is judged.
    match (never_granted(network.network()), never_granted(network.broadcast())) {
        (Some(special), Some(last)) if special == last => Err(AddressesError::Never { word: shown(), special }),
        (_, _) => Ok(network),
    }
}

/// Length of the prefix of IPv6 addresses that map IPv4 addresses.
const MAPPED_BITS: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Addresses {
        Addresses::parse(words.iter().copied()).unwrap()
    }

    fn error(words: &[&str]) -> AddressesError {
        Addresses::parse(words.iter().copied()).unwrap_err()
    }

    fn judged(addresses: &Addresses, text: &str) -> Result<(), AddressFault> {
        addresses.judge(text.parse().unwrap(), false)
    }

    #[test]
    fn a_list_replaces_public_unless_it_names_it() {
        let (private, both) = (list(&["10.1.0.0/16"]), list(&["public", "10.1.0.0/16"]));
        assert_eq!(judged(&private, "10.1.2.3"), Ok(()));
        assert_eq!(judged(&private, "8.8.8.8"), Err(AddressFault::NotListed));
        assert_eq!(judged(&private, "10.2.0.1"), Err(AddressFault::Special(Special::Private)));
        assert_eq!(judged(&both, "8.8.8.8"), Ok(()));
        assert_eq!(judged(&both, "10.1.2.3"), Ok(()));
        assert_eq!(judged(&Addresses::PUBLIC, "10.1.2.3"), Err(AddressFault::Special(Special::Private)));
    }

    #[test]
    fn an_address_that_stands_for_another_is_listed_as_that_one() {
        let list = list(&["10.1.0.0/16"]);
        assert_eq!(judged(&list, "::ffff:10.1.2.3"), Ok(()));
        assert_eq!(judged(&list, "64:ff9b::10.1.2.3"), Ok(()));
        assert_eq!(judged(&list, "::10.1.2.3"), Err(AddressFault::Special(Special::Tunnel)));
    }

    #[test]
    fn no_network_of_ipv6_lists_mapped_addresses() {
        for network in ["::/1", "::/64", "::/80"] {
            assert_eq!(
                judged(&list(&[network]), "::ffff:10.1.2.3"),
                Err(AddressFault::Special(Special::Private)),
                "{network}"
            );
        }
    }

    #[test]
    fn the_machines_own_addresses_count_as_loopback() {
        let own = |addresses: &Addresses| addresses.judge("93.184.216.34".parse().unwrap(), true);
        assert_eq!(own(&Addresses::PUBLIC), Err(AddressFault::Own));
        assert_eq!(own(&list(&["93.184.216.0/24"])), Ok(()));
        assert_eq!(judged(&list(&["127.0.0.1/32"]), "127.0.0.1"), Ok(()));
    }

    #[test]
    fn what_no_grant_can_list_is_denied_inside_a_wider_network() {
        for (network, address) in [
            ("168.0.0.0/8", "168.63.129.16"),
            ("fd00::/8", "fd00:ec2::254"),
            ("100.64.0.0/10", "100.100.100.200"),
            ("2002::/16", "2002:a9fe:a9fe::1"),
            ("64:ff9b:1::/48", "64:ff9b:1::a9fe:a9fe"),
            ("128.0.0.0/1", "169.254.169.254"),
        ] {
            let list = list(&[network]);
            assert!(matches!(judged(&list, address), Err(AddressFault::Never(_))), "{address} in {network}");
        }
    }

    #[test]
    fn each_error_is_named() {
        assert_eq!(error(&[]), AddressesError::Empty);
        for word in
            ["", "Public", "private", "10.1.0.7", "10.1/16", "10.1.0.0/33", "any", "example.com", "fe80::1%lo/64"]
        {
            assert!(matches!(error(&[word]), AddressesError::Word { .. }), "{word}");
        }
        for word in ["10.1.0.7/16", "010.1.0.0/16", "FD00::/8", "fd00:0::/16"] {
            assert!(matches!(error(&[word]), AddressesError::Form { .. }), "{word}");
        }
        for word in ["0.0.0.0/0", "::/0"] {
            assert!(matches!(error(&[word]), AddressesError::Everything { .. }), "{word}");
        }
        for word in [
            "169.254.0.0/16",
            "169.254.169.254/32",
            "224.0.0.0/4",
            "ff02::/16",
            "fe80::/10",
            "fd00:ec2::/32",
            "::/128",
            "0.0.0.0/32",
            "168.63.129.16/32",
            "2002:a9fe:a9fe::/48",
        ] {
            assert!(matches!(error(&[word]), AddressesError::Never { .. }), "{word}");
        }
        assert!(matches!(error(&["::ffff:10.0.0.0/104"]), AddressesError::Mapped { .. } | AddressesError::Form { .. }));
        assert!(matches!(error(&["public", "public"]), AddressesError::Twice { .. }));
        assert!(matches!(error(&["10.0.0.0/8", "10.0.0.0/8"]), AddressesError::Twice { .. }));
        let many: Vec<String> = (0..=NETWORKS_MAX).map(|n| format!("10.{n}.0.0/16")).collect();
        assert_eq!(
            Addresses::parse(many.iter().map(String::as_str)),
            Err(AddressesError::TooMany { count: NETWORKS_MAX + 1 })
        );
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for words in [&["public"][..], &["public", "10.1.0.0/16", "fd00::/8"], &["127.0.0.1/32"]] {
            assert_eq!(list(words).words().collect::<Vec<_>>(), words);
        }
        assert_eq!(list(&["public"]).to_string(), "public");
        assert_eq!(list(&["public", "10.1.0.0/16"]).to_string(), "public,listed");
        assert_eq!(list(&["10.1.0.0/16"]).to_string(), "listed");
    }
}
