use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;

use serde_json::value::RawValue;
use tollgate_ipc::Channel;
use tollgate_ipc::message::{decode, encode};
use tollgate_testing::sealed_child::{around, assert_out_of_reach, attacks, denied};

use super::*;
use crate::protocol::{Asked, FromGateway, TOLD_LIMITS, ToGateway, Told, asked_limits};

const LIMITS: GatewayLimits = GatewayLimits {
    connections: 4,
    queue: 4,
    header_bytes: 16 << 10,
    body_bytes: 1 << 20,
    idle_ms: 20_000,
    handshake_ms: 20_000,
};

#[test]
fn a_sealed_gateway_serves_and_reaches_nothing() {
    attacks("seal::tests::child_seals_itself_and_attacks", None);
}

#[test]
#[ignore = "run as a child"]
fn child_seals_itself_and_attacks() {
    let folder = around();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let (daemon, theirs) = Channel::pair().unwrap();
    let (unix, handed) = UnixStream::pair().unwrap();
    let (mcp, handed_mcp) = UnixStream::pair().unwrap();
    let (mcp_http, handed_mcp_http) = UnixStream::pair().unwrap();
    let (mut lane, given) = UnixStream::pair().unwrap();
    let (done, ends) = mpsc::channel();
    // The daemon, and its clients, in a thread that is under the filter too: it only uses what it has by then.
    thread::spawn(move || {
        daemon.say_hello().unwrap();
        daemon.send(&ToGateway::Begin { agent: "a".to_owned(), token: false, limits: LIMITS }).unwrap();
        assert_eq!(daemon.receive::<FromGateway>().unwrap().unwrap().0, FromGateway::Ready);
        let give = |said, fd: OwnedFd| daemon.send_with(&said, &[fd.as_fd()]).unwrap();
        give(ToGateway::Lane, given.into());
        give(ToGateway::Client { client: 1, is_busy: false }, handed.into());
        give(ToGateway::Client { client: 2, is_busy: false }, accepted.into());
        give(ToGateway::Client { client: 3, is_busy: false }, handed_mcp.into());
        give(ToGateway::Client { client: 4, is_busy: false }, handed_mcp_http.into());
        let call =
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"echo\",\"arguments\":[1.0]}}\n";
        let body = "{\"tool\":\"echo\",\"arguments\":[2.0]}";
        let post = format!(
            "POST /v1/call HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_b","arguments":{"x":3.0},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"}}}}"#;
        let old = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_b","arguments":{"x":4.0}}}"#;
        let mcp_post = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{old}",
            old.len()
        );
        let modern = format!("{modern}\n");
        let mut answers = Vec::new();
        for (mut client, request) in [
            (Either::Unix(unix), call),
            (Either::Tcp(tcp), &post),
            (Either::Unix(mcp), &modern),
            (Either::Unix(mcp_http), &mcp_post),
        ] {
            client.write(request.as_bytes());
            // By hand: a `Connection` waits in `poll`, which this process must not use.
            let mut bytes = vec![0; 4096];
            let read = lane.read(&mut bytes).unwrap();
            let (asked, [arguments, ..]) = decode::<Asked>(&bytes[..read], asked_limits(&LIMITS)).unwrap();
            assert!(matches!(asked, Asked::Call { .. }), "{asked:?}");
            let told = Told::Answered { call: "c".to_owned(), usage: RawValue::NULL.to_owned() };
            encode(&mut bytes, &told, [&arguments, b"", b""]).unwrap();
            lane.write_all(&bytes).unwrap();
            answers.push(client.read());
        }
        done.send(answers).unwrap();
        // The channel closes, which ends the gateway.
    });
    let served = crate::run(Channel::new(theirs), |limits| {
        seal(limits)?;
        attack(&folder, address);
        Ok(())
    });
    served.unwrap();
    let answers = ends.recv().unwrap();
    assert!(answers[0].contains("\"output\":[1.0]"), "{answers:?}");
    assert!(answers[1].starts_with("HTTP/1.1 200 OK\r\n") && answers[1].contains("\"output\":[2.0]"), "{answers:?}");
    assert!(answers[2].contains("\"structuredContent\":{\"x\":3.0}"), "{answers:?}");
    assert!(answers[3].contains("\"structuredContent\":{\"x\":4.0}"), "{answers:?}");
    assert_eq!(TOLD_LIMITS.blobs[0], 256 << 20);
}

enum Either {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Either {
    fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Unix(socket) => socket.write_all(bytes).unwrap(),
            Self::Tcp(socket) => socket.write_all(bytes).unwrap(),
        }
    }

    fn read(&mut self) -> String {
        let mut bytes = vec![0; 4096];
        let read = match self {
            Self::Unix(socket) => socket.read(&mut bytes).unwrap(),
            Self::Tcp(socket) => socket.read(&mut bytes).unwrap(),
        };
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }
}

fn attack(folder: &std::path::Path, address: std::net::SocketAddr) {
    assert_out_of_reach(folder, address);
    denied("look at a file", fs::metadata(folder.join("outside")));
    denied("listen", TcpListener::bind("127.0.0.1:0"));
    denied("listen at a path", UnixListener::bind(folder.join("socket")));
    denied("a pair of sockets", UnixStream::pair());
    denied("a pipe", io::pipe());
    denied("a file in memory", rustix::fs::memfd_create("m", rustix::fs::MemfdFlags::CLOEXEC));
    let limits = rustix::process::Rlimit { current: None, maximum: None };
    denied("a limit", rustix::process::setrlimit(rustix::process::Resource::Core, limits));
    let dumpable = rustix::process::DumpableBehavior::Dumpable;
    denied("be dumped", rustix::process::set_dumpable_behavior(dumpable));
    denied("a signal", rustix::process::test_kill_process(rustix::process::Pid::INIT));
    denied("another name", io::stdin().as_fd().try_clone_to_owned());
}
