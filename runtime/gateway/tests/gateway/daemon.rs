//! A daemon for a gateway that runs in a thread of this process, unsealed: what it answers is said by the names of its tools.

use std::collections::{HashMap, HashSet};
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tollgate_gateway::protocol::{
    Asked, Failure, Format, FromGateway, GatewayLimits, Named, ToGateway, Told, asked_limits,
};
use tollgate_ipc::{Blobs, Channel, Connection};

/// Wide enough for what no test is about.
pub(crate) const LIMITS: GatewayLimits = GatewayLimits {
    connections: 16,
    queue: 16,
    header_bytes: 8 << 10,
    body_bytes: 1 << 20,
    idle_ms: 60_000,
    handshake_ms: 60_000,
};

/// What all threads of the daemon know.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) asked: Mutex<Vec<(Asked, Blobs)>>,
    heard: Mutex<Heard>,
    news: Condvar,
}

#[derive(Default)]
struct Heard {
    cancelled: HashSet<u64>,
    closed: HashSet<u64>,
    released: HashSet<String>,
    lanes: usize,
    wanted: usize,
    busy_lanes: HashMap<usize, u64>,
    waiting: Option<usize>,
}

pub(crate) struct Daemon {
    control: Arc<Channel>,
    pub(crate) known: Arc<Known>,
    clients: AtomicU64,
    gateway: Option<JoinHandle<io::Result<()>>>,
    hears: Option<JoinHandle<()>>,
}

impl Daemon {
    pub(crate) fn start(limits: GatewayLimits) -> Self {
        Self::with(limits, false, 8)
    }

    pub(crate) fn with(limits: GatewayLimits, token: bool, lanes_max: usize) -> Self {
        let (control, theirs) = Channel::pair().unwrap();
        let gateway = thread::spawn(|| tollgate_gateway::run(Channel::new(theirs), |_limits| Ok(())));
        control.say_hello().unwrap();
        control.send(&ToGateway::Begin { agent: "tester".to_owned(), token, limits }).unwrap();
        let control = Arc::new(control);
        let (ready, _none) = control.receive::<FromGateway>().unwrap().unwrap();
        assert_eq!(ready, FromGateway::Ready);
        let known = Arc::new(Known::default());
        let hears = {
            let (control, known) = (Arc::clone(&control), Arc::clone(&known));
            thread::spawn(move || hear(&control, &known, limits, lanes_max))
        };
        Self { control, known, clients: AtomicU64::new(0), gateway: Some(gateway), hears: Some(hears) }
    }

    /// How many calls wait, by the gateway's word.
    pub(crate) fn waiting(&self) -> usize {
        self.known.heard.lock().unwrap().waiting = None;
        self.say(&ToGateway::Count);
        let heard = self.known.heard.lock().unwrap();
        let heard = self.known.news.wait_timeout_while(heard, PATIENCE, |heard| heard.waiting.is_none()).unwrap().0;
        heard.waiting.expect("a count")
    }

    pub(crate) fn say(&self, said: &ToGateway) {
        self.control.send(said).unwrap();
    }

    fn hand_over(&self, is_busy: bool, socket: OwnedFd) -> u64 {
        let client = self.clients.fetch_add(1, Ordering::Relaxed) + 1;
        self.control.send_with(&ToGateway::Client { client, is_busy }, &[socket.as_fd()]).unwrap();
        client
    }

    pub(crate) fn client(&self) -> Client {
        self.client_that(false)
    }

    pub(crate) fn client_that(&self, is_busy: bool) -> Client {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        ours.set_write_timeout(Some(PATIENCE)).unwrap();
        let number = self.hand_over(is_busy, theirs.into());
        Client { socket: Socket::Unix(ours), number, come: Vec::new() }
    }

    /// Over TCP, and the port.
    pub(crate) fn tcp_client(&self) -> (Client, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ours = TcpStream::connect(address).unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let number = self.hand_over(false, theirs.into());
        (Client { socket: Socket::Tcp(ours), number, come: Vec::new() }, address.port())
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        let asked = self.known.asked.lock().unwrap();
        let tool = |asked: &Asked| match asked {
            Asked::Call { named, .. } => Some(called(named)),
            Asked::Token { .. } | Asked::Tools { .. } | Asked::Receipt { .. } | Asked::Ready => None,
        };
        asked.iter().filter_map(|(asked, _)| tool(asked)).collect()
    }

    pub(crate) fn asked(&self) -> usize {
        self.known.asked.lock().unwrap().len()
    }

    /// Waits until the gateway has said that a client is over.
    pub(crate) fn closed(&self, client: &Client) {
        self.until("the client is closed", |heard| heard.closed.contains(&client.number));
    }

    /// Waits until so many calls are under way on lanes.
    pub(crate) fn running(&self, calls: usize) {
        self.until("calls run", |heard| heard.busy_lanes.len() == calls);
    }

    /// Waits until the gateway has cancelled so many.
    pub(crate) fn cancelled(&self, calls: usize) {
        self.until("calls are cancelled", |heard| heard.cancelled.len() == calls);
    }

    pub(crate) fn cancels(&self) -> usize {
        self.known.heard.lock().unwrap().cancelled.len()
    }

    pub(crate) fn lanes(&self) -> (usize, usize) {
        let heard = self.known.heard.lock().unwrap();
        (heard.lanes, heard.wanted)
    }

    /// Lets calls of the tool `wait-NAME` end.
    pub(crate) fn release(&self, name: &str) {
        self.known.heard.lock().unwrap().released.insert(format!("wait-{name}"));
        self.known.news.notify_all();
    }

    fn until(&self, what: &str, is: impl Fn(&Heard) -> bool) {
        let heard = self.known.heard.lock().unwrap();
        let (_heard, late) = self.known.news.wait_timeout_while(heard, PATIENCE, |heard| !is(heard)).unwrap();
        assert!(!late.timed_out(), "{what}");
    }

    /// Waits for the gateway's end, as after `Drain`.
    pub(crate) fn ended(mut self) {
        self.gateway.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.control.hang_up();
        if let Some(gateway) = self.gateway.take() {
            let ended = gateway.join();
            if !thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
        self.known.heard.lock().unwrap().released.insert("*".to_owned());
        self.known.news.notify_all();
        self.hears.take().unwrap().join().unwrap_or_default();
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

fn hear(control: &Channel, known: &Arc<Known>, limits: GatewayLimits, lanes_max: usize) {
    while let Ok(Some((said, _none))) = control.receive::<FromGateway>() {
        let mut heard = known.heard.lock().unwrap();
        match said {
            FromGateway::Ready => panic!("once"),
            FromGateway::Count { waiting } => heard.waiting = Some(waiting),
            FromGateway::WantLane => {
                heard.wanted += 1;
                if heard.lanes == lanes_max {
                    control.send(&ToGateway::NoLane).unwrap_or_default();
                } else {
                    heard.lanes += 1;
                    let (ours, theirs) = UnixStream::pair().unwrap();
                    control.send_with(&ToGateway::Lane, &[theirs.as_fd()]).unwrap_or_default();
                    let known = Arc::clone(known);
                    thread::spawn(move || serve(Connection::new(ours), &known, limits));
                }
            }
            FromGateway::Closed { client } => assert!(heard.closed.insert(client), "{client} is closed twice"),
            FromGateway::Cancel { request } => assert!(heard.cancelled.insert(request), "{request} twice"),
        }
        known.news.notify_all();
    }
}

static LANES: AtomicUsize = AtomicUsize::new(0);

fn serve(mut lane: Connection, known: &Known, limits: GatewayLimits) {
    let place = LANES.fetch_add(1, Ordering::Relaxed);
    while let Ok((asked, blobs)) = lane.receive::<Asked>(asked_limits(&limits), None) {
        known.asked.lock().unwrap().push((asked.clone(), blobs.clone()));
        let [first, stdin, _] = blobs;
        let told: (Told, Blobs) = match asked {
            Asked::Token { .. } => (Told::Token { is_right: first == b"right" }, Blobs::default()),
            Asked::Tools { format: Format::Mcp | Format::McpByPolicy, .. } => {
                (Told::Tools, [MCP_LIST.into(), Vec::new(), Vec::new()])
            }
            Asked::Tools { .. } => (Told::Tools, [b"[{\"name\":\"echo\"}]".to_vec(), Vec::new(), Vec::new()]),
            Asked::Receipt { call, .. } if call == CALL_ID => (Told::Receipt, [RECEIPT.into(), Vec::new(), Vec::new()]),
            Asked::Receipt { .. } => {
                let error = Failure::new("unknown-call", "there is no receipt of this call here");
                (Told::Failed { call: None, usage: None, error }, Blobs::default())
            }
            Asked::Ready => (Told::Ready { ready: true, why: Vec::new() }, Blobs::default()),
            Asked::Call { request, named, logs, .. } => {
                let tool = called(&named);
                known.heard.lock().unwrap().busy_lanes.insert(place, request);
                known.news.notify_all();
                let Some(told) = call(&mut lane, known, request, &tool, logs, first, stdin) else { return };
                known.heard.lock().unwrap().busy_lanes.remove(&place);
                known.news.notify_all();
                told
            }
        };
        let (header, [one, two, three]) = &told;
        if lane.send(header, [one, two, three], None).is_err() {
            return;
        }
    }
}

/// What is called: the tool, of which an offered name is the beginning.
fn called(named: &Named) -> String {
    match named {
        Named::Tool { tool, .. } => tool.clone(),
        Named::Offered { name } => name.split('_').next().unwrap().to_owned(),
    }
}

/// A call of which there is a receipt.
pub(crate) const CALL_ID: &str = "00112233445566778899aabbccddeeff";
pub(crate) const RECEIPT: &str = "c2sp.org/tlog-proof@v1\nextra AA==\n";

/// What is offered to models.
pub(crate) const MCP_LIST: &str = r#"{"tools":[{"name":"echo_say","description":"Says it again","inputSchema":{"type":"object"},"outputSchema":{"type":"object"},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}]}"#;

fn used() -> Box<RawValue> {
    RawValue::from_string("{\"fuel\":1}".to_owned()).unwrap()
}

fn call(
    lane: &mut Connection,
    known: &Known,
    request: u64,
    tool: &str,
    logs: bool,
    arguments: Vec<u8>,
    stdin: Vec<u8>,
) -> Option<(Told, Blobs)> {
    let answered = |output: Vec<u8>| {
        let told = Told::Answered { call: "c".to_owned(), usage: used() };
        Some((told, [output, stdin.clone(), Vec::new()]))
    };
    let failed = |kind: &str| {
        let details = match kind {
            "denied" => json!({ "rule": "fs.write", "advice": "Another way is denied too.", "reason": "r" }),
            "arguments" => json!({ "problems": ["/a: is missing", "/b: is no text"] }),
            _other => Value::Null,
        };
        let told = match kind {
            "denied" => "violation",
            "arguments" => "rejected",
            other => other,
        };
        let error = Failure { kind: told.to_owned(), message: format!("it is {kind}"), details };
        let told = Told::Failed { call: Some("c".to_owned()), usage: Some(used()), error };
        Some((told, [Vec::new(), Vec::new(), b"err".to_vec()]))
    };
    match tool {
        "echo" => answered(arguments),
        "log" => {
            for piece in [&b"one\n"[..], b"t\xffwo"] {
                if logs {
                    lane.send(&Told::Log, [piece, b"", b""], None).ok()?;
                }
            }
            answered(b"null".to_vec())
        }
        "big" => answered([&b"\""[..], &vec![b'x'; 4 << 20], b"\""].concat()),
        "object" => answered([&b"{\"v\":\""[..], &vec![b'x'; 4 << 20], b"\"}"].concat()),
        "lines" => answered(b"{\n \"a\": 1\n}".to_vec()),
        "no-json" => answered(b"{\"a\"".to_vec()),
        // The lane breaks.
        "break" => {
            known.heard.lock().unwrap().lanes -= 1;
            None
        }
        _ if tool.starts_with("fail-") => failed(&tool[5..]),
        _ if tool.starts_with("wait") => {
            let is_over = |heard: &Heard| {
                heard.cancelled.contains(&request) || heard.released.contains(tool) || heard.released.contains("*")
            };
            let heard = known.heard.lock().unwrap();
            let heard = known.news.wait_while(heard, |heard| !is_over(heard)).unwrap();
            if heard.cancelled.contains(&request) { failed("cancelled") } else { answered(b"true".to_vec()) }
        }
        _ => failed("unknown-tool"),
    }
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// One client.
pub(crate) struct Client {
    socket: Socket,
    pub(crate) number: u64,
    come: Vec<u8>,
}

impl Client {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Unix(socket) => socket.write_all(bytes),
            Socket::Tcp(socket) => socket.write_all(bytes),
        }
    }

    fn read_some(&mut self) -> usize {
        let mut bytes = [0; 1 << 16];
        let read = match &mut self.socket {
            Socket::Unix(socket) => socket.read(&mut bytes),
            Socket::Tcp(socket) => socket.read(&mut bytes),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("no answer: {error}; so far {:?}", String::from_utf8_lossy(&self.come)),
        };
        self.come.extend_from_slice(&bytes[..read]);
        read
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.come.drain(..=end).collect();
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.read_some() > 0, "closed after {:?}", String::from_utf8_lossy(&self.come));
        }
    }

    /// A response of HTTP: its head, and its body by its length.
    pub(crate) fn response(&mut self) -> (String, String) {
        let end = loop {
            if let Some(end) = self.come.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(self.read_some() > 0, "closed after {:?}", String::from_utf8_lossy(&self.come));
        };
        let head = String::from_utf8(self.come.drain(..end + 4).collect()).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap_or("0").parse().unwrap();
        while self.come.len() < length {
            assert!(self.read_some() > 0, "closed in a body");
        }
        (head.trim_end().to_owned(), String::from_utf8(self.come.drain(..length).collect()).unwrap())
    }

    /// All that comes until the connection is closed.
    pub(crate) fn rest(&mut self) -> String {
        while self.read_some() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.come)).into_owned()
    }

    /// Sends a line, and takes the next one.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    pub(crate) fn post(&mut self, body: &str) -> (String, String) {
        self.send(post("", body));
        self.response()
    }

    /// Sends lines while answers are read: how many have a result, and how many an error.
    pub(crate) fn flood(&mut self, lines: &str, answers: usize) -> (usize, usize) {
        let Socket::Unix(socket) = &self.socket else { panic!("over TCP it is the same") };
        let mut sends = socket.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || sends.write_all(lines.as_bytes()).unwrap());
            let results = (0..answers).filter(|_| self.line().contains("\"result\"")).count();
            (results, answers - results)
        })
    }

    /// Sends bytes with a file beside them.
    pub(crate) fn send_with(&self, bytes: &[u8], file: BorrowedFd<'_>) {
        let Socket::Unix(socket) = &self.socket else { panic!("no file goes over TCP") };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let (mut ancillary, files) = (SendAncillaryBuffer::new(&mut space), [file]);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&files)));
        sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::empty()).unwrap();
    }

    pub(crate) fn hang_up(&self) {
        let ended = match &self.socket {
            Socket::Unix(socket) => socket.shutdown(std::net::Shutdown::Write),
            Socket::Tcp(socket) => socket.shutdown(std::net::Shutdown::Write),
        };
        ended.unwrap();
    }
}

/// A request to call a tool.
pub(crate) fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// A line that calls a tool.
pub(crate) fn call_line(id: &str, tool: &str, more: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"call\",\"params\":{{\"tool\":\"{tool}\"{more}}}}}")
}
