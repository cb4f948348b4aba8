//! What an IP address is by IANA's tables, and which addresses no grant can reach. Must never call an address public whose packets
//! may end on this machine, on its network or at a cloud's metadata service, however the address is written.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), stricter where these are finer: what is kept for a
//! protocol is special, also where it can be reached, and so is all of 192.0.0.0/24 and of 2001::/23; no IPv6 address is public outside 2000::/3, which is all that IANA gives out as global unicast.
//! An IPv6 address that stands for an IPv4 address is judged as that one: `::ffff:0:0/96`, and `64:ff9b::/96` (RFC 6052). Where
//! the machinery in between is not known (6to4, Teredo, local NAT64, forms that are out of use) it is never public.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// 0.0.0.0/8 and `::`: this host on this network; Linux connects to itself.
    Unspecified,
    /// 127.0.0.0/8 and `::1`.
    Loopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918), fc00::/7 (RFC 4193), fec0::/10.
    Private,
    /// 100.64.0.0/10 (RFC 6598): behind a carrier's translator, or a VPN's.
    Shared,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// Where a cloud tells its machines who they are, and gives them their credentials.
    Metadata,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20.
    Documentation,
    /// 198.18.0.0/15: for measurements, and used by proxies that make up addresses.
    Benchmarking,
    /// 192.0.0.0/24 and 2001::/23: protocols' own.
    Protocol,
    /// 240.0.0.0/4, and IPv6 outside 2000::/3.
    Reserved,
    /// 192.88.99.0/24, 2002::/16 (6to4), 2001::/32 (Teredo), 64:ff9b:1::/48 (local NAT64), `::/96` and `::ffff:0:0:0/96` (out of use):
    /// the packet goes on to an IPv4 address.
    Tunnel,
}

impl Special {
    /// Whether no grant can list such an address: nothing that a tool has business with is there, or what is there gives away the
    /// machine's own credentials.
    #[must_use]
    pub const fn is_never_granted(self) -> bool {
        match self {
            Self::Unspecified | Self::LinkLocal | Self::Metadata | Self::Multicast | Self::Broadcast => true,
            Self::Loopback
            | Self::Private
            | Self::Shared
            | Self::Documentation
            | Self::Benchmarking
            | Self::Protocol
            | Self::Reserved
            | Self::Tunnel => false,
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an unspecified address, which means the machine itself",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "a shared address of a carrier or a VPN",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Protocol => "an address that is kept for a protocol",
            Self::Reserved => "an address that is not given out for public use",
            Self::Tunnel => "an address behind which an IPv4 address stands that this rule cannot vouch for",
        })
    }
}

/// What `address` is, if it is not public.
#[must_use]
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => match stands_for(address) {
            Some(plain) => special_v4(plain),
            None => special_v6(address),
        },
    }
}

/// Why no grant can reach `address`, if none can: because of the address, or of an IPv4 address in it.
#[must_use]
pub fn never_granted(address: IpAddr) -> Option<Special> {
    let inside = match address {
        IpAddr::V4(_) => Vec::new(),
        IpAddr::V6(address) => embedded(address),
    };
    // Zeros where an address could stand are no address.
    let behind = inside.into_iter().filter_map(special_v4).filter(|special| *special != Special::Unspecified);
    special(address).into_iter().chain(behind).find(|special| special.is_never_granted())
}

/// The IPv4 address to whose host the packets of `address` go, where the way there is known.
#[must_use]
pub fn stands_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    address.to_ipv4_mapped().or_else(|| NAT64.contains(&address).then(|| last_v4(address)))
}

fn special_v4(address: Ipv4Addr) -> Option<Special> {
    V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, special)| *special)
}

fn special_v6(address: Ipv6Addr) -> Option<Special> {
    let row = V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, special)| *special);
    row.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some(Special::Reserved))
}

/// Every IPv4 address that some translator or tunnel reads in `address`.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let last = last_v4(address);
    let [_, _, b2, b3, b4, b5, b6, b7, _, b9, b10, b11, b12, ..] = address.octets();
    let plain = [MAPPED, COMPATIBLE, TRANSLATED, NAT64];
    if plain.iter().any(|network| network.contains(&address)) {
        vec![last]
    } else if LOCAL_NAT64.contains(&address) {
        // RFC 6052 §2.2, below prefixes of 48, 56, 64 and 96 bits: byte 8 is left out.
        let places = [[b6, b7, b9, b10], [b7, b9, b10, b11], [b9, b10, b11, b12]];
        places.into_iter().map(Ipv4Addr::from).chain([last]).collect()
    } else if SIX_TO_FOUR.contains(&address) {
        vec![Ipv4Addr::from([b2, b3, b4, b5])]
    } else if TEREDO.contains(&address) {
        // The server, and the client with all of its bits flipped (RFC 4380 §4).
        vec![Ipv4Addr::from([b4, b5, b6, b7]), Ipv4Addr::from(!u32::from(last))]
    } else {
        Vec::new()
    }
}

const fn last_v4(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(start: [u16; 8], bits: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = start;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

/// The first row that holds an address says what it is.
const V4: [(Ipv4Net, Special); 23] = [
    // Amazon, Google, Azure, DigitalOcean and others; Azure's second; Alibaba; Oracle.
    (v4(169, 254, 169, 254, 32), Special::Metadata),
    (v4(168, 63, 129, 16, 32), Special::Metadata),
    (v4(100, 100, 100, 200, 32), Special::Metadata),
    (v4(192, 0, 0, 192, 32), Special::Metadata),
    (v4(0, 0, 0, 0, 8), Special::Unspecified),
    (v4(10, 0, 0, 0, 8), Special::Private),
    (v4(100, 64, 0, 0, 10), Special::Shared),
    (v4(127, 0, 0, 0, 8), Special::Loopback),
    (v4(169, 254, 0, 0, 16), Special::LinkLocal),
    (v4(172, 16, 0, 0, 12), Special::Private),
    (v4(192, 0, 0, 0, 24), Special::Protocol),
    (v4(192, 0, 2, 0, 24), Special::Documentation),
    (v4(192, 31, 196, 0, 24), Special::Protocol),
    (v4(192, 52, 193, 0, 24), Special::Protocol),
    (v4(192, 88, 99, 0, 24), Special::Tunnel),
    (v4(192, 168, 0, 0, 16), Special::Private),
    (v4(192, 175, 48, 0, 24), Special::Protocol),
    (v4(198, 18, 0, 0, 15), Special::Benchmarking),
    (v4(198, 51, 100, 0, 24), Special::Documentation),
    (v4(203, 0, 113, 0, 24), Special::Documentation),
    (v4(224, 0, 0, 0, 4), Special::Multicast),
    (v4(255, 255, 255, 255, 32), Special::Broadcast),
    (v4(240, 0, 0, 0, 4), Special::Reserved),
];

/// The first row that holds an address says what it is. What stands for an IPv4 address has been looked at before.
const V6: [(Ipv6Net, Special); 21] = [
    // Amazon, Google, Oracle, Scaleway.
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32), Special::Metadata),
    (v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128), Special::Metadata),
    (v6([0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), Special::Metadata),
    (v6([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042], 128), Special::Metadata),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Special::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Special::Loopback),
    (COMPATIBLE, Special::Tunnel),
    (TRANSLATED, Special::Tunnel),
    (LOCAL_NAT64, Special::Tunnel),
    (TEREDO, Special::Tunnel),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Special::Benchmarking),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Special::Protocol),
    (v6([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32), Special::Documentation),
    (SIX_TO_FOUR, Special::Tunnel),
    (v6([0x2620, 0x004f, 0x8000, 0, 0, 0, 0, 0], 48), Special::Protocol),
    // The 6bone, given back in 2006 (RFC 3701).
    (v6([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), Special::Reserved),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Special::Documentation),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Special::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Special::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Special::Private),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Special::Multicast),
];

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
/// RFC 2765, replaced since.
const TRANSLATED: Ipv6Net = v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96);
const NAT64: Ipv6Net = v6([0x0064, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const LOCAL_NAT64: Ipv6Net = v6([0x0064, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Special> {
        special(text.parse().unwrap())
    }

    fn never(text: &str) -> Option<Special> {
        never_granted(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "169.253.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(of(text), None, "{text}");
            assert_eq!(never(text), None, "{text}");
        }
    }

    /// The first and the last address of each row.
    #[test]
    fn every_row_holds_its_ends() {
        for (network, expected) in V4 {
            for address in [network.network(), network.broadcast()] {
                assert!(special_v4(address).is_some(), "{address}");
                assert_eq!(
                    special_v4(address).is_some_and(Special::is_never_granted),
                    expected.is_never_granted() || address == Ipv4Addr::BROADCAST,
                    "{address}"
                );
            }
        }
        for (network, expected) in V6 {
            for address in [network.network(), network.broadcast()] {
                let found = special_v6(address).unwrap_or_else(|| panic!("{address}"));
                assert!(found == expected || network.prefix_len() < 100, "{address}: {found:?}");
            }
        }
    }

    #[test]
    fn special_addresses_are_told_apart() {
        for (text, expected) in [
            ("0.0.0.0", Special::Unspecified),
            ("0.1.2.3", Special::Unspecified),
            ("::", Special::Unspecified),
            ("127.0.0.1", Special::Loopback),
            ("127.255.255.255", Special::Loopback),
            ("::1", Special::Loopback),
            ("10.0.0.5", Special::Private),
            ("172.31.255.255", Special::Private),
            ("192.168.1.1", Special::Private),
            ("fd12:3456::1", Special::Private),
            ("fc00::1", Special::Private),
            ("fec0::1", Special::Private),
            ("100.64.0.1", Special::Shared),
            ("100.127.255.255", Special::Shared),
            ("169.254.1.1", Special::LinkLocal),
            ("fe80::1", Special::LinkLocal),
            ("febf::1", Special::LinkLocal),
            ("169.254.169.254", Special::Metadata),
            ("168.63.129.16", Special::Metadata),
            ("100.100.100.200", Special::Metadata),
            ("192.0.0.192", Special::Metadata),
            ("fd00:ec2::254", Special::Metadata),
            ("fd20:ce::254", Special::Metadata),
            ("fd00:c1::a9fe:a9fe", Special::Metadata),
            ("fd00:42::42", Special::Metadata),
            ("224.0.0.1", Special::Multicast),
            ("239.255.255.255", Special::Multicast),
            ("ff02::1", Special::Multicast),
            ("255.255.255.255", Special::Broadcast),
            ("240.0.0.1", Special::Reserved),
            ("192.0.2.1", Special::Documentation),
            ("2001:db8::1", Special::Documentation),
            ("3fff:fff::1", Special::Documentation),
            ("198.18.0.1", Special::Benchmarking),
            ("198.19.255.255", Special::Benchmarking),
            ("2001:2::1", Special::Benchmarking),
            ("192.0.0.8", Special::Protocol),
            ("2001:1::1", Special::Protocol),
            ("2001:1ff::1", Special::Protocol),
            ("2002:7f00:1::", Special::Tunnel),
            ("2002:808:808::1", Special::Tunnel),
            ("2001:0:4136:e378::1", Special::Tunnel),
            ("192.88.99.1", Special::Tunnel),
            ("64:ff9b:1::808:808", Special::Tunnel),
            ("::8.8.8.8", Special::Tunnel),
            ("::ffff:0:8.8.8.8", Special::Tunnel),
            ("100::1", Special::Reserved),
            ("5f00::1", Special::Reserved),
            ("4000::1", Special::Reserved),
            ("1fff::1", Special::Reserved),
            ("64:ff9b::1:0:0", Special::Reserved),
            ("::ffff:127.0.0.1", Special::Loopback),
            ("::ffff:169.254.169.254", Special::Metadata),
            ("64:ff9b::a9fe:a9fe", Special::Metadata),
            ("64:ff9b::10.0.0.1", Special::Private),
        ] {
            assert_eq!(of(text), Some(expected), "{text}");
        }
    }

    /// A grant that lists the tunnel's own network does not list what is behind it.
    #[test]
    fn what_no_grant_reaches_is_found_behind_tunnels() {
        for text in [
            "2002:a9fe:a9fe::1",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "2001:0:a9fe:a9fe::",
            "2001::5601:5601",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "fd00:ec2:1::5",
            "ff05::2",
            "169.254.0.1",
        ] {
            assert!(never(text).is_some(), "{text}");
        }
        for text in [
            "10.0.0.1",
            "127.0.0.1",
            "::1",
            "198.18.0.5",
            "2002:808:808::1",
            "64:ff9b:1::808:808",
            "240.0.0.1",
            "fd00:1::1",
        ] {
            assert_eq!(never(text), None, "{text}");
        }
    }
}
