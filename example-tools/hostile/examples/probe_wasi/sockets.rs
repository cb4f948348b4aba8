//! Direct calls of `wasi:sockets`.

use serde::Deserialize;
use serde_json::Value;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::UdpSocket;
use wasip2::sockets::udp_create_socket::create_udp_socket;

/// The discard service on this machine, where nobody listens.
const DISCARD: IpSocketAddress = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 9, address: (127, 0, 0, 1) });

/// Any free port on this machine.
const ANY_PORT: IpSocketAddress = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });

/// One or two calls, the first of them to make a socket.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Function {
    TcpCreate,
    TcpConnect,
    TcpBind,
    UdpCreate,
    UdpBind,
    UdpStream,
    InstanceNetwork,
    Resolve,
}

impl Function {
    /// Calls it; `name` is what `resolve` resolves.
    pub(crate) fn call(&self, name: &str) -> Result<Value, String> {
        self.try_call(name).map_err(|code| code.name().to_owned())
    }

    fn try_call(&self, name: &str) -> Result<Value, ErrorCode> {
        let done = |()| Value::Null;
        match self {
            Self::TcpCreate => tcp().map(|_| Value::Null),
            Self::TcpConnect => tcp_connect().map(done),
            Self::TcpBind => {
                let socket = tcp()?;
                socket.start_bind(&instance_network(), ANY_PORT)?;
                socket.finish_bind().map(done)
            }
            Self::UdpCreate => udp().map(|_| Value::Null),
            Self::UdpBind => udp_bound().map(|_| Value::Null),
            Self::UdpStream => udp_bound()?.stream(Some(DISCARD)).map(|_| Value::Null),
            Self::InstanceNetwork => {
                drop(instance_network());
                Ok(Value::Null)
            }
            Self::Resolve => resolve(name),
        }
    }
}

fn tcp() -> Result<TcpSocket, ErrorCode> {
    create_tcp_socket(IpAddressFamily::Ipv4)
}

fn tcp_connect() -> Result<(), ErrorCode> {
    let socket = tcp()?;
    socket.start_connect(&instance_network(), DISCARD)?;
    loop {
        socket.subscribe().block();
        match socket.finish_connect() {
            Ok(_) => return Ok(()),
            Err(ErrorCode::WouldBlock) => {}
            Err(code) => return Err(code),
        }
    }
}

fn udp() -> Result<UdpSocket, ErrorCode> {
    create_udp_socket(IpAddressFamily::Ipv4)
}

fn udp_bound() -> Result<UdpSocket, ErrorCode> {
    let socket = udp()?;
    socket.start_bind(&instance_network(), ANY_PORT)?;
    socket.finish_bind()?;
    Ok(socket)
}

fn resolve(name: &str) -> Result<Value, ErrorCode> {
    let answers = resolve_addresses(&instance_network(), name)?;
    let mut addresses = Vec::new();
    loop {
        answers.subscribe().block();
        match answers.resolve_next_address() {
            Ok(Some(address)) => addresses.push(tell(address)),
            Ok(None) => return Ok(addresses.into()),
            Err(ErrorCode::WouldBlock) => {}
            Err(code) => return Err(code),
        }
    }
}

fn tell(address: IpAddress) -> String {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => std::net::Ipv6Addr::new(a, b, c, d, e, f, g, h).to_string(),
    }
}
