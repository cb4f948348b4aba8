//! What a daemon adds to a call, and how long a cancelled call lives.
//!
//! ```text
//! this program ─┬─ daemon: notary, workers, gateway (as the `tollgate` command)
//!               ├─ canned server, a process: answers each line by the same line, and parses nothing
//!               └─ relay, a process, to one more canned server behind it
//! ```
//!
//! Ways are measured in turn in one run, some calls at a time, so that they see the same machine: the same call of the same tool through the library, over
//! the socket by JSON-RPC, and over HTTP with the connection kept; a line to a server that does nothing, which is what the client
//! and the kernel cost by themselves; and a line through a relay to such a server. A daemon's call goes through two processes more
//! than the library's, and so does that line: it is the floor of what a daemon can add. Differences and ratios are the result.
//! `--only WAY` measures one way alone, for a profiler.

#![allow(clippy::disallowed_methods, reason = "processes are what is measured")]

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use tollgate::request::Caller;
use tollgate::service::{Call, Tollgate};
use tollgate::supervisor::Control;
use tollgate_audit::{Entry, read};
use tollgate_workspace::home::Home;
use tollgate_workspace::own_main;
use tollgate_workspace::program::this_program;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Scale {
    calls: usize,
    cancelled: usize,
}

const WHOLE: Scale = Scale { calls: 5_000, cancelled: 1_000 };
/// `cargo test --benches` runs this file too: it shows that it works.
const QUICK: Scale = Scale { calls: BLOCK, cancelled: 5 };

/// Calls of one way before the next one has its turn, and those before them that are not measured: the processes of another way have
/// had the processors until then.
const BLOCK: usize = 50;
const BLOCK_WARM: usize = 10;

const WAYS: [&str; 6] = [
    "canned line",
    "library",
    "socket, JSON-RPC",
    "socket, HTTP kept alive",
    "socket, JSON-RPC again",
    "canned line behind a relay",
];

const POLICY: &str = "[tools.echo-read]\nfs.\"/data\" = { host = \"DATA\", access = [\"read\"] }\n[tools.spin]\nlimits = { deadline = \"1h\", fuel = 10000000000000 }\n\
     [tools.sleep-forever]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\" }\n";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    match words.as_slice() {
        ["canned", path] => return answer_lines(Path::new(path), &mut |line| line),
        ["relay", path, to] => {
            let mut behind = Lines::connect(Path::new(to));
            return answer_lines(Path::new(path), &mut |line| {
                behind.ask(&line);
                std::mem::take(&mut behind.1)
            });
        }
        _bench => {}
    }
    let only = words.iter().position(|word| *word == "--only").and_then(|at| words.get(at + 1));
    let only = only.map(|only| WAYS.iter().position(|way| way == only).expect("a way"));
    let scale = if words.contains(&"--bench") && !words.contains(&"--quick") { WHOLE } else { QUICK };
    let [own, served] = [(); 2].map(|()| Home::new(&["echo-read", "spin", "sleep-forever"], POLICY));
    let library = Tollgate::open(own.config()).expect("a home");
    let daemon = served.serve(|line| eprintln!("{line}"));
    let socket = served.socket();
    echoes(scale, only, &library, &socket, served.folder());
    if only.is_none() {
        cancelled(scale, &socket, &served.ledger());
    }
    library.close().expect("a whole record");
    daemon.stop().expect("a whole record");
    ExitCode::SUCCESS
}

fn echoes(scale: Scale, only: Option<usize>, library: &Tollgate, socket: &Path, folder: &Path) {
    let at = |name: &str| folder.join(name);
    let (_canned, canned) = Server::start("canned", at("canned.sock"), None);
    let (_behind, behind) = Server::start("canned", at("behind.sock"), None);
    let (_relay, relay) = Server::start("relay", at("relay.sock"), Some(behind.as_path()));
    let (mut canned, mut line, mut relay) = (Lines::connect(&canned), Lines::connect(socket), Lines::connect(&relay));
    let (mut again, mut http) = (Lines::connect(socket), Lines::connect(socket));
    let mut took: [Vec<Duration>; WAYS.len()] = Default::default();
    let blocks = scale.calls.div_ceil(BLOCK);
    for block in 0..=blocks {
        for turn in 0..WAYS.len() {
            let way = (turn + block) % WAYS.len();
            if only.is_some_and(|only| way != only) {
                continue;
            }
            for call in 0..BLOCK_WARM + BLOCK {
                let start = Instant::now();
                match way {
                    0 => canned.ask(LINE),
                    1 => echo(library),
                    2 => line.ask(LINE),
                    3 => http.post(),
                    4 => again.ask(LINE),
                    _relayed => relay.ask(LINE),
                }
                let end = start.elapsed();
                // The first block finds nothing ready.
                if call >= BLOCK_WARM && block > 0 {
                    took[way].push(end);
                }
            }
        }
    }
    println!("## An echo through the daemon\n");
    println!("| way | p10, µs | p50, µs | p99, µs | over the canned line, p50 | to the library, p50 |");
    println!("|---|---|---|---|---|---|");
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    took.iter_mut().for_each(|took| took.sort_unstable());
    let at =
        |way: usize, share: usize| took[way].get(took[way].len() * share / 100).map_or(f64::NAN, |took| micros(*took));
    for (way, name) in WAYS.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:+.0} | {:.2} |",
            at(way, 10),
            at(way, 50),
            at(way, 99),
            at(way, 50) - at(0, 50),
            at(way, 50) / at(1, 50)
        );
    }
    println!(
        "\nThe daemon, gateway included, adds {:.0} µs at p50 and {:.0} at p10 to the library's call, where a line through two processes \
         costs {:.0} and {:.0}; HTTP is {:.2} of the socket's time.\n",
        at(2, 50) - at(1, 50),
        at(2, 10) - at(1, 10),
        at(5, 50),
        at(5, 10),
        at(3, 50) / at(2, 50)
    );
}

/// From the word that a call is not wanted any more to its end: a guest that computes, and one that is parked.
fn cancelled(scale: Scale, socket: &Path, ledger: &Path) {
    println!("## A cancelled call\n\n| guest | p50, ms | p99, ms |\n|---|---|---|");
    for (tool, arguments) in [("spin", "{}"), ("sleep-forever", "{\"millis\":3600000}")] {
        let mut client = Lines::connect(socket);
        let mut took = Vec::new();
        for number in 0..scale.cancelled {
            let call = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"call\",\"params\":{{\"tool\":\"{tool}\",\"operation\":\"attack\",\"arguments\":{arguments}}}}}\n"
            );
            client.say(&call);
            // Far longer than a call takes to begin.
            thread::sleep(Duration::from_millis(4));
            let start = Instant::now();
            client.say(&format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{number}}}}}\n"));
            client.hear();
            // The client is answered at once. The guest is gone once another call finds its lane free.
            let gone = Instant::now();
            client.say("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n");
            client.hear();
            took.push((gone - start).max(Duration::ZERO));
        }
        drop(client);
        let lived = lives(ledger, tool);
        let sorted = |mut all: Vec<Duration>| {
            all.sort_unstable();
            let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)].as_secs_f64() * 1e3;
            (at(50), at(99))
        };
        let (p50, p99) = sorted(lived);
        println!(
            "| {tool}, from its begin to its end on record, of which 4 ms before it was cancelled | {p50:.1} | {p99:.1} |"
        );
        let (p50, p99) = sorted(took);
        println!("| {tool}, until the client is answered | {p50:.2} | {p99:.2} |");
    }
}

/// How long calls of a tool that were cancelled lived, by their entries.
fn lives(ledger: &Path, tool: &str) -> Vec<Duration> {
    let mut calls = std::collections::HashSet::new();
    let mut lives = Vec::new();
    // What ends last may be on its way.
    thread::sleep(Duration::from_millis(200));
    for (_, entry) in read(ledger).expect("a ledger").map_while(Result::ok) {
        match entry {
            Entry::Call(call) if call.tool.as_str() == tool => drop(calls.insert(call.call)),
            Entry::CallEnd(end) if calls.contains(&end.call) && end.class.as_str() == "cancelled" => {
                lives.push(Duration::from_micros(end.at_us));
            }
            _other => {}
        }
    }
    assert!(!lives.is_empty(), "{tool}: nothing was cancelled");
    lives
}

fn echo(library: &Tollgate) {
    let call = Call {
        tool: "echo-read",
        operation: Some("echo"),
        arguments: "{\"a\":1}",
        stdin: Default::default(),
        caller: Caller::default(),
    };
    library.call(&call, &Control::default()).expect("an answer");
}

const BODY: &str = "{\"tool\":\"echo-read\",\"operation\":\"echo\",\"arguments\":{\"a\":1}}";
const LINE: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"echo-read\",\"operation\":\"echo\",\"arguments\":{\"a\":1}}}\n";

/// A client, which parses nothing.
struct Lines(BufReader<Polled>, String);

/// A socket that is read once there is something to read, as event loops and our client do.
struct Polled(UnixStream);

impl Read for Polled {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        self.0.read(into)
    }
}

impl Lines {
    fn connect(socket: &Path) -> Self {
        Self::of(UnixStream::connect(socket).expect("a server"))
    }

    fn of(stream: UnixStream) -> Self {
        Self(BufReader::new(Polled(stream)), String::new())
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().0.write_all(line.as_bytes()).expect("a server that hears");
    }

    fn hear(&mut self) {
        self.1.clear();
        assert!(self.0.read_line(&mut self.1).expect("an answer") > 0, "the connection is closed");
    }

    fn ask(&mut self, line: &str) {
        self.say(line);
        self.hear();
        assert!(!self.1.contains("\"error\""), "{}", self.1);
    }

    fn post(&mut self) {
        let head = format!(
            "POST /v1/call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            BODY.len()
        );
        self.say(&[&head, BODY].concat());
        let mut length = 0;
        loop {
            self.hear();
            if self.1 == "\r\n" {
                break;
            }
            if let Some((name, value)) = self.1.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        assert!(body.starts_with(b"{\"ok\":true"), "{}", String::from_utf8_lossy(&body));
    }
}

/// Answers lines of one client after the other, each by what `answer` makes of it.
fn answer_lines(path: &Path, answer: &mut dyn FnMut(String) -> String) -> ExitCode {
    let listener = UnixListener::bind(path).expect("a socket");
    for stream in listener.incoming().map_while(Result::ok) {
        let mut lines = Lines::of(stream);
        while lines.0.read_line(&mut lines.1).is_ok_and(|read| read > 0) {
            let line = answer(std::mem::take(&mut lines.1));
            lines.say(&line);
        }
    }
    ExitCode::SUCCESS
}

/// A process of this program that answers on a socket; it is killed when this is dropped.
struct Server(Child);

impl Server {
    fn start(word: &str, socket: PathBuf, to: Option<&Path>) -> (Self, PathBuf) {
        let mut command = Command::new(this_program());
        command.arg(word).arg(&socket).args(to);
        let server = Self(command.spawn().expect("this program"));
        for _turn in 0..1_000 {
            if UnixStream::connect(&socket).is_ok() {
                return (server, socket);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no server at {}", socket.display());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("a process of ours");
    }
}
