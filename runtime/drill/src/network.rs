//! Anybody to talk to: every family and type of socket, and what can be done with the sockets that are there.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

use super::ground::Ground;
use super::raw::{Miss, Reply, descriptor, raw};
use super::{Alone, Attack};

const PRIVILEGED: Alone = Alone::Depends("it takes CAP_NET_RAW, or a part that the kernel may lack");
const PART_OF_KERNEL: Alone = Alone::Depends("the kernel may lack it");

/// A new socket.
const fn family(name: &'static str, what: &'static str, run: fn(&Ground) -> Reply) -> Attack {
    Attack::blocked(name, what, libc::SYS_socket, run)
}

pub(super) const ATTACKS: &[Attack] = &[
    family("tcp-connect", "connect to a listener on this machine by TCP", |ground| {
        let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        let address = inet(ground.aim.tcp_port);
        raw!(libc::SYS_connect, socket, &address, size_of_val(&address) as u64)
    }),
    family("tcp-listen", "listen on TCP", |_| {
        let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        raw!(libc::SYS_listen, socket, 1)
    }),
    family("tcp6", "make a socket of TCP over IPv6", |_| make(libc::AF_INET6, libc::SOCK_STREAM, 0)),
    family("udp-send", "send to a socket on this machine by UDP", |ground| {
        let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        let address = inet(ground.aim.udp_port);
        raw!(libc::SYS_sendto, socket, c"drill", 5, 0, &address, size_of_val(&address) as u64)
    }),
    family("udp6", "make a socket of UDP over IPv6", |_| make(libc::AF_INET6, libc::SOCK_DGRAM, 0)),
    family("raw-ip", "make a raw socket", |_| make(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP))
        .alone(PRIVILEGED),
    family("raw-ip6", "make a raw socket of IPv6", |_| make(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6))
        .alone(PRIVILEGED),
    family("ping", "make a socket to ping with", |_| make(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP))
        .alone(PRIVILEGED),
    family("multipath-tcp", "make a socket of MPTCP, which Landlock's rules on TCP do not cover", |_| {
        make(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)
    })
    .alone(PART_OF_KERNEL),
    family("sctp", "make a socket of SCTP", |_| make(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP))
        .alone(PART_OF_KERNEL),
    family("unix-connect", "connect to a unix socket by its path", |ground| {
        let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        let address = unix(&[ground.aim.unix_path.as_os_str().as_bytes(), &[0]])?;
        raw!(libc::SYS_connect, socket, address.as_slice(), address.len() as u64)
    }),
    family("unix-abstract", "connect to an abstract unix socket", |ground| {
        let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        let address = unix(&[&[0], ground.aim.abstract_name.as_bytes()])?;
        raw!(libc::SYS_connect, socket, address.as_slice(), address.len() as u64)
    }),
    family("unix-datagram", "make a unix socket for datagrams", |_| make(libc::AF_UNIX, libc::SOCK_DGRAM, 0)),
    family("unix-packets", "make a unix socket for packets", |_| make(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0)),
    family("unix-listen", "listen on a unix socket in the granted folder", |ground| {
        let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        let path: CString = ground.inside("socket")?;
        let address = unix(&[path.as_bytes_with_nul()])?;
        raw!(libc::SYS_bind, socket, address.as_slice(), address.len() as u64)
    }),
    family("netlink-route", "ask for the machine's network (netlink)", |_| {
        make(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
    }),
    family("netlink-audit", "speak to the kernel's audit (netlink)", |_| {
        make(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT)
    })
    .alone(PART_OF_KERNEL),
    family("packet", "read the machine's network (AF_PACKET)", |_| make(libc::AF_PACKET, libc::SOCK_RAW, 0))
        .alone(PRIVILEGED),
    family("vsock", "speak to the hypervisor (AF_VSOCK)", |_| make(libc::AF_VSOCK, libc::SOCK_STREAM, 0))
        .alone(PART_OF_KERNEL),
    family("alg", "use the kernel's ciphers (AF_ALG)", |_| make(libc::AF_ALG, libc::SOCK_SEQPACKET, 0))
        .alone(PART_OF_KERNEL),
    family("bluetooth", "make a socket of Bluetooth", |_| make(libc::AF_BLUETOOTH, libc::SOCK_RAW, 0))
        .alone(PART_OF_KERNEL),
    family("xdp", "make a socket past the network stack (AF_XDP)", |_| make(libc::AF_XDP, libc::SOCK_RAW, 0))
        .alone(PRIVILEGED),
    family("ipsec-key", "change the kernel's IPsec keys (AF_KEY)", |_| make(libc::AF_KEY, libc::SOCK_RAW, 2))
        .alone(PRIVILEGED),
    family("can", "make a socket of a vehicle's bus (AF_CAN)", |_| make(libc::AF_CAN, libc::SOCK_RAW, 1))
        .alone(PART_OF_KERNEL),
    family("tipc", "make a socket of a cluster (AF_TIPC)", |_| make(libc::AF_TIPC, libc::SOCK_RDM, 0))
        .alone(PART_OF_KERNEL),
    family("rds", "make a socket of AF_RDS", |_| make(libc::AF_RDS, libc::SOCK_SEQPACKET, 0)).alone(PART_OF_KERNEL),
    Attack::blocked("socketpair", "make a pair of unix sockets", libc::SYS_socketpair, |_| {
        let mut pair = [0_i32; 2];
        raw!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, &mut pair)
    }),
    Attack::blocked("reconnect", "connect a socket that is there to somebody else", libc::SYS_connect, |ground| {
        let address = unix(&[&[0], ground.aim.abstract_name.as_bytes()])?;
        raw!(libc::SYS_connect, ground.held.connection, address.as_slice(), address.len() as u64)
    })
    .alone(Alone::Depends("a socket of a pair is connected")),
    Attack::blocked("disconnect", "disconnect a socket that is there (AF_UNSPEC)", libc::SYS_connect, |ground| {
        raw!(libc::SYS_connect, ground.held.acks, &[0_u64; 2], 16)
    })
    .alone(Alone::Depends("only datagram sockets can be disconnected")),
    Attack::blocked("bind-connection", "give a socket that is there a name", libc::SYS_bind, |ground| {
        raw!(libc::SYS_bind, ground.held.connection, &unix_autobind(), 2)
    })
    .alone(Alone::Depends("the socket may have a name")),
    Attack::blocked("listen-connection", "listen on a socket that is there", libc::SYS_listen, |ground| {
        raw!(libc::SYS_listen, ground.held.connection, 1)
    })
    .alone(Alone::Depends("a socket without a name cannot")),
    Attack::blocked("accept-connection", "accept on a socket that is there", libc::SYS_accept4, |ground| {
        raw!(libc::SYS_accept4, ground.held.connection, 0, 0, libc::SOCK_NONBLOCK)
    })
    .alone(Alone::Depends("it does not listen")),
    Attack::blocked("send-to-other", "send to somebody else on a socket that is there", libc::SYS_sendto, |ground| {
        let address = unix(&[&[0], ground.aim.abstract_name.as_bytes()])?;
        let length = address.len() as u64;
        raw!(libc::SYS_sendto, ground.held.connection, c"drill", 5, libc::MSG_DONTWAIT, address.as_slice(), length)
    })
    .alone(Alone::Depends("a connected socket sends to its peer"))
    .not_in_gateway("its sockets are connected, and send to their peers whatever address is given"),
    Attack::blocked("send-descriptor", "hand the notary a descriptor (SCM_RIGHTS)", libc::SYS_sendmsg, |ground| {
        send_descriptor(ground.held.acks, ground.held.pipe)
    })
    .not_in_gateway("it speaks to the daemon by sendmsg(2), and the daemon closes what it did not ask for"),
    Attack::blocked("send-many", "send many messages at once", libc::SYS_sendmmsg, |ground| {
        raw!(libc::SYS_sendmmsg, ground.held.acks, 0, 0, libc::MSG_DONTWAIT)
    }),
    Attack::blocked("receive-many", "receive many messages at once", libc::SYS_recvmmsg, |ground| {
        raw!(libc::SYS_recvmmsg, ground.held.acks, 0, 0, libc::MSG_DONTWAIT, 0)
    }),
    Attack::blocked("socket-option", "pass a socket's limits (SO_SNDBUFFORCE)", libc::SYS_setsockopt, |ground| {
        let size = [1_i32 << 30; 1];
        raw!(libc::SYS_setsockopt, ground.held.acks, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &size, 4)
    })
    .alone(Alone::Depends("it takes CAP_NET_ADMIN")),
    Attack::blocked("shut-control", "shut the supervisor's end of a socket", libc::SYS_shutdown, |ground| {
        raw!(libc::SYS_shutdown, ground.held.control, libc::SHUT_RDWR)
    })
    .not_in_gateway("whose end is a client's or the daemon's to lose"),
    Attack::blocked("who-is-there", "ask for the name of a socket's other end", libc::SYS_getpeername, |ground| {
        let (mut name, mut size) = ([0_u64; 16], [128_u32; 1]);
        raw!(libc::SYS_getpeername, ground.held.control, &mut name, &mut size)
    }),
];

fn make(family: i32, kind: i32, protocol: i32) -> Reply {
    raw!(libc::SYS_socket, family, kind | libc::SOCK_CLOEXEC, protocol)
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<i32, Miss> {
    descriptor(make(family, kind, protocol)?)
}

/// A `sockaddr_in` of this port on 127.0.0.1.
fn inet(port: u16) -> [u8; 16] {
    let [high, low] = port.to_be_bytes();
    let [f0, f1] = family_bytes(libc::AF_INET);
    [f0, f1, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// A `sockaddr_un` of these bytes.
fn unix(name: &[&[u8]]) -> Result<Vec<u8>, Miss> {
    let address = [&family_bytes(libc::AF_UNIX)[..], &name.concat()].concat();
    if address.len() > size_of::<libc::sockaddr_un>() { Err(Miss::Unable("a shorter path")) } else { Ok(address) }
}

/// A `sockaddr_un` without a name: the kernel gives one.
fn unix_autobind() -> [u8; 2] {
    family_bytes(libc::AF_UNIX)
}

fn family_bytes(family: i32) -> [u8; 2] {
    u16::try_from(family).unwrap_or_default().to_ne_bytes()
}

/// `sendmsg(2)` of one byte and `descriptor`.
fn send_descriptor(socket: i32, descriptor: i32) -> Reply {
    let byte = [0_u8; 1];
    let parts = [byte.as_ptr().expose_provenance() as u64, 1];
    // struct cmsghdr: length, level and type, the descriptor.
    let rights = u64::from(libc::SOL_SOCKET.unsigned_abs()) | u64::from(libc::SCM_RIGHTS.unsigned_abs()) << 32;
    let control = [20, rights, u64::from(descriptor.unsigned_abs())];
    let message = [
        0,
        0,
        parts.as_ptr().expose_provenance() as u64,
        1,
        control.as_ptr().expose_provenance() as u64,
        size_of_val(&control) as u64,
        0,
    ];
    raw!(libc::SYS_sendmsg, socket, &message, libc::MSG_DONTWAIT)
}
