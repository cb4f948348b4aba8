//! Reaches for the network: connects, sends a datagram, listens.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use hostile_guests::{operation, outcome, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct DialOut;

tollgate_guest::export!(DialOut);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    address: SocketAddr,
}

impl Default for Args {
    fn default() -> Self {
        /// The discard service, where nobody listens.
        const DISCARD: u16 = 9;
        Self { address: SocketAddr::from(([127, 0, 0, 1], DISCARD)) }
    }
}

impl Tool for DialOut {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Opens a TCP connection."),
            operation("udp", "Sends a UDP datagram."),
            operation("listen", "Waits for TCP connections."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let Args { address } = parse(arguments)?;
        let reached = match operation {
            "attack" => TcpStream::connect(address).map(|_| "connected"),
            "udp" => send(address).map(|()| "sent"),
            "listen" => TcpListener::bind(address).map(|_| "listening"),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(outcome(reached).to_string())
    }
}

fn send(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    socket.send_to(b"secret", address).map(drop)
}
