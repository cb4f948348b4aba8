//! What a call over MCP costs, against one of ACT (PyPI `act-cli`), which runs a component behind MCP as well, without a sealed process, a
//! fresh instance for each call, or a ledger.
//!
//! ```text
//! this program ─┬─ canned server, a process: answers each line by the same line, and parses nothing
//!               ├─ `act run --mcp`, a process
//!               ├─ `tollgate mcp`, a process: the bridge ──┐
//!               └─ daemon: notary, workers, gateway ◀──────┘
//! ```
//!
//! Ways are measured in turn in one run, some calls at a time, so that they see the same machine. The clients of MCP parse nothing: what is
//! measured is the server. Differences and ratios are the result. `.ci/run` installs ACT; without it, its way is left out, and a line says
//! so. `--only WAY` measures one way alone, for a profiler.

#![allow(clippy::disallowed_methods, reason = "processes are what is measured")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use tollgate_client::{Call, Client};
use tollgate_workspace::home::Home;
use tollgate_workspace::own_main;
use tollgate_workspace::program::this_program;

/// `cargo test --benches` runs this file too: it shows that it works.
const QUICK: usize = BLOCK;
const WHOLE: usize = 5_000;

/// Calls of one way before the next one has its turn, and those before them that are not measured: the processes of another way have
/// had the processors until then.
const BLOCK: usize = 50;
const BLOCK_WARM: usize = 10;

const WAYS: [&str; 6] = [
    "canned answer, stdio",
    "ACT, stdio",
    "MCP by the bridge, stdio",
    "MCP, socket",
    "JSON-RPC, socket",
    "the Rust client, socket",
];
const CANNED: usize = 0;
const ACT: usize = 1;
const BRIDGE: usize = 2;
const SOCKET: usize = 3;
const LINES: usize = 4;
const CLIENT: usize = 5;

const POLICY: &str = "[tools.echo-read]\nfs.\"/data\" = { host = \"DATA\", access = [\"read\"] }\n";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if let Some(code) = own_main::as_tollgate(&words) {
        return code;
    }
    match words.as_slice() {
        ["canned"] => return answer_each_line(),
        ["mcp", "--socket", _socket] => return tollgate_cli::main(),
        _bench => {}
    }
    let only = words.iter().position(|word| *word == "--only").and_then(|at| words.get(at + 1));
    let only = only.map(|only| WAYS.iter().position(|way| way == only).expect("a way"));
    let calls = if words.contains(&"--bench") && !words.contains(&"--quick") { WHOLE } else { QUICK };
    let home = Home::new(&["echo-read"], POLICY);
    let daemon = home.serve(|line| eprintln!("{line}"));
    echoes(calls, only, &home.socket());
    daemon.stop().expect("a whole record");
    ExitCode::SUCCESS
}

fn echoes(calls: usize, only: Option<usize>, socket: &Path) {
    let program = this_program();
    let program = program.to_str().expect("text");
    let mut canned = Piped::start(program, &["canned"]);
    let mut act = act().map(|(act, component)| Piped::start(&act, &["run", "--mcp", &component]));
    let mut bridge = Piped::start(program, &["mcp", "--socket", socket.to_str().expect("text")]);
    let (mut mcp, mut lines) = (Lines::connect(socket), Lines::connect(socket));
    let client = Client::connect(socket).expect("a daemon");
    let opened = [Some(&mut bridge.lines), act.as_mut().map(|act| &mut act.lines), Some(&mut mcp)];
    opened.into_iter().flatten().for_each(Lines::initialize);
    let has_act = act.is_some();
    let mut ask = |way: usize| match way {
        CANNED => canned.lines.ask(ECHO),
        ACT => act.as_mut().expect("ACT").lines.ask(ACT_ECHO),
        BRIDGE => bridge.lines.ask(ECHO),
        SOCKET => mcp.ask(ECHO),
        LINES => lines.ask(LINE),
        _client => {
            let call = Call::new("echo-read").operation("echo").arguments_text("{\"a\":1}");
            client.invoke(call).expect("an answer");
        }
    };
    let mut took: [Vec<Duration>; WAYS.len()] = Default::default();
    for block in 0..=calls.div_ceil(BLOCK) {
        for turn in 0..WAYS.len() {
            let way = (turn + block) % WAYS.len();
            if only.is_some_and(|only| way != only) || (way == ACT && !has_act) {
                continue;
            }
            for call in 0..BLOCK_WARM + BLOCK {
                let start = Instant::now();
                ask(way);
                let end = start.elapsed();
                // The first block finds nothing ready.
                if call >= BLOCK_WARM && block > 0 {
                    took[way].push(end);
                }
            }
        }
    }
    took.iter_mut().for_each(|took| took.sort_unstable());
    tell(&took);
}

fn tell(took: &[Vec<Duration>; WAYS.len()]) {
    let at = |way: usize, share: usize| {
        took[way].get(took[way].len() * share / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
    };
    println!("## An echo over MCP\n");
    println!(
        "| way | p10, µs | p50, µs | p99, µs | over the canned answer, p50 | to ACT, p50 |\n|---|---|---|---|---|---|"
    );
    for (way, name) in WAYS.iter().enumerate() {
        let (p10, p50, p99) = (at(way, 10), at(way, 50), at(way, 99));
        println!(
            "| {name} | {p10:.0} | {p50:.0} | {p99:.0} | {:+.0} | {:.2} |",
            p50 - at(CANNED, 50),
            p50 / at(ACT, 50)
        );
    }
    let more = |way: usize, than: usize| [10, 50].map(|share| at(way, share) - at(than, share));
    let ([bridge, mcp], client) = ([more(BRIDGE, SOCKET), more(SOCKET, LINES)], more(SOCKET, CLIENT));
    println!(
        "\nAt p10 and p50, in µs: the bridge adds {:.0} and {:.0} to the socket, MCP {:.0} and {:.0} to lines of JSON-RPC, and {:.0} and \
         {:.0} to the Rust client.\n",
        bridge[0], bridge[1], mcp[0], mcp[1], client[0], client[1]
    );
}

/// Where `.ci/run` puts ACT, and a component of its kind.
fn act() -> Option<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let [act, component] = ["act/bin/act", "act-echo.wasm"].map(|name| folder.join(name));
    if act.exists() && component.exists() {
        let text = |path: PathBuf| path.to_str().expect("text").to_owned();
        return Some((text(act), text(component)));
    }
    println!(
        "ACT is not installed in target/clients (`.ci/run` does it, and says why not in target/act.log): its way is left out\n"
    );
    None
}

const INITIALIZE: &str = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},\
                          \"clientInfo\":{\"name\":\"raw\",\"version\":\"1\"}}}\n";
const INITIALIZED: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
const ECHO: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo-read_echo\",\"arguments\":{\"a\":1}}}\n";
const ACT_ECHO: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"a\":1}}}\n";
const LINE: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"echo-read\",\"operation\":\"echo\",\"arguments\":{\"a\":1}}}\n";
const ANSWER: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"1\"}],\"isError\":false}}\n";

/// A client, which parses nothing.
struct Lines {
    to: File,
    from: BufReader<Polled>,
    heard: String,
}

/// What is read once there is something to read, as event loops and our client do.
struct Polled(File);

impl Read for Polled {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        self.0.read(into)
    }
}

impl Lines {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("a server");
        Self::of(stream.try_clone().expect("a socket").into(), stream.into())
    }

    fn of(to: OwnedFd, from: OwnedFd) -> Self {
        Self { to: to.into(), from: BufReader::new(Polled(from.into())), heard: String::new() }
    }

    fn initialize(&mut self) {
        self.ask(INITIALIZE);
        self.to.write_all(INITIALIZED.as_bytes()).expect("a server that hears");
    }

    fn ask(&mut self, line: &str) {
        self.to.write_all(line.as_bytes()).expect("a server that hears");
        self.heard.clear();
        assert!(self.from.read_line(&mut self.heard).expect("an answer") > 0, "the server has ended");
        let is_wrong = ["\"error\"", "\"isError\":true"].iter().any(|wrong| self.heard.contains(wrong));
        assert!(!is_wrong, "{}", self.heard);
    }
}

/// A server that is spoken with by its standard streams; it is killed when this is dropped.
struct Piped {
    child: Child,
    lines: Lines,
}

impl Piped {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("a program");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, lines: Lines::of(to.into(), from.into()) }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("a process of ours");
    }
}

fn answer_each_line() -> ExitCode {
    let mut lines = Lines::of(duplicate(std::io::stdout()), duplicate(std::io::stdin()));
    while lines.from.read_line(&mut lines.heard).is_ok_and(|read| read > 0) {
        lines.heard.clear();
        if lines.to.write_all(ANSWER.as_bytes()).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn duplicate(stream: impl std::os::fd::AsFd) -> OwnedFd {
    stream.as_fd().try_clone_to_owned().expect("a stream")
}
