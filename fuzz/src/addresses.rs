//! Addresses, and the lists of grants that they are judged by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tollgate_network::{Addresses, never_granted, special};

use crate::text;

/// 16 bytes of an address, then words of a list. A list that is read is written alike. An IPv4 address gets the same verdict in each
/// form that leads to it, and no list lets through what no grant reaches.
pub fn addresses(bytes: &[u8]) {
    let Some((address, words)) = bytes.split_first_chunk::<16>() else { return };
    let v6 = Ipv6Addr::from(*address);
    let [.., a, b, c, d] = *address;
    let v4 = Ipv4Addr::from([a, b, c, d]);
    let nat64 = Ipv6Addr::from(0x0064_ff9b_u128 << 96 | u128::from(u32::from(v4)));
    let mut lists = vec![Addresses::PUBLIC];
    if let Some(words) = text(words)
        && let Ok(list) = Addresses::parse(words.split_whitespace())
    {
        // `public` comes first, the networks in their order.
        let mut read: Vec<&str> = words.split_whitespace().collect();
        read.sort_by_key(|word| *word != "public");
        assert!(list.words().eq(read), "{words}");
        lists.push(list);
    }
    for list in &lists {
        judged(list, IpAddr::V6(v6));
        judged(list, IpAddr::V4(v4));
        let plain = list.judge(IpAddr::V4(v4), false);
        assert_eq!(list.judge(IpAddr::V6(v4.to_ipv6_mapped()), false), plain, "{v4}");
        if !list.words().any(|word| word.contains(':')) {
            assert_eq!(list.judge(IpAddr::V6(nat64), false), plain, "{v4}");
        }
    }
}

fn judged(list: &Addresses, address: IpAddr) {
    let is_reached = list.judge(address, false).is_ok();
    assert!(!is_reached || never_granted(address).is_none(), "{address}");
    assert!(!is_reached || list.lists_networks() || special(address).is_none(), "{address}");
    assert!(is_reached || list.judge(address, true).is_err(), "{address}");
}
