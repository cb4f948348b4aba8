use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use serde_json::json;
use tollgate_ipc::{Channel, Connection};

use super::*;
use crate::protocol::{Asked, FromGateway, TOLD_LIMITS, ToGateway, Told, asked_limits};

const FOLDER: &str = "TOLLGATE_TEST_SEALED_GATEWAY";

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
    let folder = tempfile();
    fs::write(folder.join("outside"), "secret").unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "seal::tests::child_seals_itself_and_attacks", "--ignored", "--nocapture"])
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let told = format!("{said}{}", String::from_utf8_lossy(&child.stderr));
    let outside = fs::read_to_string(folder.join("outside")).unwrap();
    let is_alone = fs::read_dir(&folder).unwrap().count();
    fs::remove_dir_all(&folder).unwrap();
    assert!(child.status.success(), "{told}");
    assert!(said.contains("1 passed"), "{told}");
    assert_eq!((outside.as_str(), is_alone), ("secret", 1));
}

fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("tollgate-gateway-seal-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
#[ignore = "run as a child"]
fn child_seals_itself_and_attacks() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let (daemon, theirs) = Channel::pair().unwrap();
    let (unix, handed) = UnixStream::pair().unwrap();
    let (mcp, handed_mcp) = UnixStream::pair().unwrap();
    let (mcp_http, handed_mcp_http) = UnixStream::pair().unwrap();
    let (lane, given) = UnixStream::pair().unwrap();
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
        let mut lane = Connection::new(lane);
        for (mut client, request) in [
            (Either::Unix(unix), call),
            (Either::Tcp(tcp), &post),
            (Either::Unix(mcp), &modern),
            (Either::Unix(mcp_http), &mcp_post),
        ] {
            client.write(request.as_bytes());
            let (asked, [arguments, ..]) = lane.receive::<Asked>(asked_limits(&LIMITS), None).unwrap();
            assert!(matches!(asked, Asked::Call { .. }), "{asked:?}");
            let told = Told::Answered { call: "c".to_owned(), usage: json!({}) };
            lane.send(&told, [&arguments, b"", b""], None).unwrap();
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
    let outside = folder.join("outside");
    let denied = |what: &str, kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{what}");
    let kind = |error: io::Error| error.kind();
    denied("read a file", fs::read(&outside).err().map(kind));
    denied("write a file", fs::write(&outside, "").err().map(kind));
    denied("make a file", fs::write(folder.join("new"), "").err().map(kind));
    denied("make a folder", fs::create_dir(folder.join("new")).err().map(kind));
    denied("list a folder", fs::read_dir(folder).err().map(kind));
    denied("remove a file", fs::remove_file(&outside).err().map(kind));
    denied("move a file", fs::rename(&outside, folder.join("new")).err().map(kind));
    denied("link a file", fs::hard_link(&outside, folder.join("new")).err().map(kind));
    denied("look at a file", fs::metadata(&outside).err().map(kind));
    denied("own memory", File::options().write(true).open("/proc/self/mem").err().map(kind));
    denied("a thread", thread::Builder::new().spawn(|| ()).err().map(kind));
    denied("a program", Command::new("/bin/true").status().err().map(kind));
    denied("connect", TcpStream::connect(address).err().map(kind));
    denied("listen", TcpListener::bind("127.0.0.1:0").err().map(kind));
    denied("listen at a path", UnixListener::bind(folder.join("socket")).err().map(kind));
    denied("send", UdpSocket::bind("127.0.0.1:0").err().map(kind));
    denied("a pair of sockets", UnixStream::pair().err().map(kind));
    denied("a pipe", io::pipe().err().map(kind));
    let errno = |error: rustix::io::Errno| io::Error::from(error).kind();
    let memory = rustix::fs::memfd_create("m", rustix::fs::MemfdFlags::CLOEXEC);
    denied("a file in memory", memory.err().map(errno));
    let limits = rustix::process::Rlimit { current: None, maximum: None };
    denied("a limit", rustix::process::setrlimit(rustix::process::Resource::Core, limits).err().map(errno));
    let dumpable = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
    denied("be dumped", dumpable.err().map(errno));
    denied("a signal", rustix::process::test_kill_process(rustix::process::Pid::INIT).err().map(errno));
    denied("another name", io::stdin().as_fd().try_clone_to_owned().err().map(kind));
}
