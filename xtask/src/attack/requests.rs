//! Row 18: whatever a client sends, or does not, it gets an error or the end of its connection, costs bounded memory, and others are
//! served on by the same gateway.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::daemon::{Client, Daemon, TOOLS, await_that, calls, is_answered, is_refused, of, peak_bytes, post, verdict};
use super::ran::Verdict;
use super::scene::Scene;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("garbage", |scene| {
        sent(
            scene,
            &[
                b"\0\0\0\0",
                b"\x16\x03\x01\x02\x00\x01\x00",
                b"hello\n",
                b"[]\n",
                b"{\n",
                b"{}\n",
                b"\"\"\n",
                b"GET\r\n\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"token \n",
                b"\xff\xfe\n",
            ],
        )
    }),
    known("half a frame, and the end", |scene| {
        sent(
            scene,
            &[
                b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ca",
                b"POST /v1/call HTTP/1.1\r\nHost: lo",
                b"POST /v1/call HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
                b"token 00",
            ],
        )
    }),
    known("silence, and a byte now and then", silence),
    known("a hundred thousand requests, of which no answer is read", flood),
    known("a request of 100 MiB", |scene| large(scene, &Large::Line)),
    known("an id that is in use, and the cancelling of somebody else's call", foreign_cancel),
    known("a request is hidden behind another: CL and TE, two lengths", smuggled),
    known("two Hosts, a web page's Origin, and another name at a port", hosts),
    known("headers without end", headers),
    variant("a body of 100 MiB that is announced", |scene| large(scene, &Large::Announced)),
    variant("a body of 100 MiB in chunks", |scene| large(scene, &Large::Chunked)),
    variant("arguments that are nested ten thousand times", |scene| {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{{\"tool\":\"hostile\",\"arguments\":{deep}}}}}\n"
        );
        sent(scene, &[line.as_bytes()])
    }),
    variant("more connections than there may be", connections),
    variant("more calls than may run and wait", queue),
    variant("a call whose client is gone runs on", left),
];

const LIMITS: &str = "\n[serve]\nhandshake = \"1s\"\nidle = \"2s\"\n";

/// More than a gateway takes with requests of its limits; far less than what is sent.
const GATEWAY_BYTES_MAX: u64 = 96 << 20;

/// A daemon whose gateway was looked at, and must be the same afterwards.
struct Looked<'s> {
    daemon: Daemon<'s>,
    gateway: u32,
    // Keeps the gateway busy enough not to end.
    _client: Client,
}

impl<'s> Looked<'s> {
    fn start(scene: &'s Scene<'s>, policy: &str) -> Result<Self> {
        let daemon = Daemon::start(scene, policy)?;
        let mut client = daemon.client("local")?;
        if !is_answered(&client.call("hostile", &json!([]), json!({}))?) {
            return Err("the hostile tool is not served".into());
        }
        let gateway = daemon.process("gateway")?;
        Ok(Self { daemon, gateway, _client: client })
    }

    /// Others are served by the gateway that there was, which did not grow; only `answered` calls were made of all that was sent.
    fn end(self, effects: &[(bool, &str)], musts: &[(bool, &str)], answered: usize, held_by: &str) -> Result<Verdict> {
        self.daemon.must_serve("local", None)?;
        let peak = peak_bytes(self.gateway).unwrap_or(u64::MAX);
        let is_same = self.daemon.process("gateway").is_ok_and(|gateway| gateway == self.gateway);
        let said = self.daemon.said();
        drop(self._client);
        let entries = self.daemon.end()?;
        let made = calls(&entries).len();
        let all = [
            effects,
            &[
                (!is_same, "the gateway died of it"),
                (peak > GATEWAY_BYTES_MAX, "the gateway grew beyond 96 MiB"),
                (made > answered + 2, "more calls were made than were asked for"),
            ],
        ]
        .concat();
        verdict(&all, musts, &format!("{held_by}; gateway at most {} MiB", peak >> 20)).map(|verdict| match verdict {
            Verdict::Reached(what) => Verdict::Reached(format!("{what} ({made} calls, {} MiB): {said}", peak >> 20)),
            other @ (Verdict::Held(_) | Verdict::Skipped(_)) => other,
        })
    }
}

/// Bytes that make no request, each on a connection of its own that ends with them.
fn sent(scene: &Scene<'_>, all: &[&[u8]]) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let mut heard = Vec::new();
    for bytes in all {
        let mut client = looked.daemon.client("local")?;
        // It may be closed before it has taken all.
        client.say(bytes).ok();
        client.ends().ok();
        heard.push(client.rest()?);
    }
    let is_error = |heard: &String| {
        heard.is_empty()
            || heard.contains("\"error\"")
            || heard.starts_with("HTTP/1.1 4")
            || heard.starts_with("tollgate: JSON-RPC 2.0 by lines, or HTTP/1.1, is spoken here")
    };
    looked.end(
        &[(heard.iter().any(|heard| heard.contains("\"ok\":true")), "it was taken for a request")],
        &[(heard.iter().all(is_error), "an error, or the end")],
        0,
        "an error, or the end of the connection",
    )
}

fn silence(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, &[TOOLS, LIMITS].concat())?;
    let mut silent = Vec::new();
    for bytes in [&b""[..], b"{", b"P", b"token ", b"POST /v1/call HTTP/1.1\r\n"] {
        let mut client = looked.daemon.client("local")?;
        client.say(bytes)?;
        silent.push(client);
    }
    // Each byte in time, the whole never.
    let mut slow = looked.daemon.client("local")?;
    let mut taken = 0;
    for byte in
        b"POST /v1/call HTTP/1.1\r\nX-Slow: 0123456789012345678901234567890123456789".iter().chain([b'a'; 400].iter())
    {
        std::thread::sleep(Duration::from_millis(50));
        if slow.say(&[*byte]).is_err() {
            break;
        }
        taken += 1;
    }
    let mut heard = Vec::new();
    for client in &mut silent {
        heard.push(client.rest()?);
    }
    looked.daemon.must_serve("local", None)?;
    // The first client was silent for long too.
    let Looked { daemon, .. } = looked;
    daemon.end()?;
    verdict(
        &[
            (taken > 200, "a byte now and then holds a connection"),
            (heard.iter().any(|heard| heard.contains("\"ok\":true")), "silence was answered"),
        ],
        &[],
        "each connection is closed by the clock, whoever speaks slowly too",
    )
}

fn flood(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let mut client = looked.daemon.client("local")?;
    let lines = b"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"nonsense\",\"params\":{}}\n".repeat(1000);
    let taken = (0..100).take_while(|_| client.say_within(&lines, Duration::from_secs(3)).is_ok()).count();
    // A second client is not held up by it.
    looked.daemon.must_serve("local", None)?;
    drop(client);
    looked.end(
        &[(taken == 100, "all were taken although no answer was read")],
        &[],
        1,
        &format!("it is not heard beyond some {taken} thousand until it reads its answers"),
    )
}

enum Large {
    Line,
    Announced,
    Chunked,
}

fn large(scene: &Scene<'_>, how: &Large) -> Result<Verdict> {
    const MIB: usize = 1 << 20;
    let looked = Looked::start(scene, TOOLS)?;
    let mut client = looked.daemon.client("local")?;
    let head = "POST /v1/call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let (begin, piece) = match how {
        Large::Line => {
            let begin =
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"tool\":\"hostile\",\"arguments\":\"";
            (begin.to_owned(), "x".repeat(MIB))
        }
        Large::Announced => (format!("{head}Content-Length: {}\r\n\r\n\"", 100 * MIB), "x".repeat(MIB)),
        Large::Chunked => {
            (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), format!("{MIB:x}\r\n{}\r\n", "x".repeat(MIB)))
        }
    };
    client.say(begin.as_bytes())?;
    let taken = (0..100).take_while(|_| client.say(piece.as_bytes()).is_ok()).count();
    let heard = client.rest()?;
    let musts: &[(bool, &str)] = match how {
        // What it was told is lost where it goes on sending.
        Large::Line => &[],
        Large::Announced | Large::Chunked => {
            &[(heard.is_empty() || heard.starts_with("HTTP/1.1 413"), "413, or the end")]
        }
    };
    looked.end(
        &[(taken == 100, "all of it was taken"), (heard.contains("\"ok\":true"), "it was taken for a request")],
        musts,
        0,
        &format!("closed after {taken} MiB"),
    )
}

fn foreign_cancel(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let daemon = &looked.daemon;
    let running = || -> Result<u64> {
        let status = daemon.status()?;
        Ok(status.pointer("/agents/0/running").and_then(Value::as_u64).unwrap_or_default())
    };
    let mut own = daemon.client("local")?;
    own.begin_waiting(&json!(5))?;
    await_that("a call runs", || Ok(running()? == 1))?;
    own.say(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}\n")?;
    let twice = own.hear()?.unwrap_or_default();
    let mut other = daemon.client("local")?;
    other.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":5}}\n")?;
    other.say(b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"cancel\",\"params\":{\"id\":5}}\n")?;
    let foreign = other.hear()?.unwrap_or_default();
    let runs_on = running()? == 1;
    own.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":5}}\n")?;
    let cancelled = own.hear()?.unwrap_or_default();
    drop((own, other));
    looked.end(
        &[(!runs_on, "another client ended the call")],
        &[
            (twice.pointer("/error/code") == Some(&json!(-32600)), "an id in use is an error"),
            (foreign.get("error").is_some(), "who cancels what is not its own is told so"),
            (is_refused(&cancelled, "cancelled", ""), "its own client cancels it"),
        ],
        1,
        "-32600; the call runs on until its own client cancels it",
    )
}

fn smuggled(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let body = json!({ "tool": "hostile", "operation": "play", "arguments": { "steps": [] } }).to_string();
    let hidden = post("", &body);
    let (empty, head) =
        ("0\r\n\r\n", "POST /v1/call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    let whole = empty.len() + hidden.len();
    let requests = [
        // A length that takes the hidden request for the body, and chunks that end before it; the other way round.
        format!("{head}Content-Length: {whole}\r\nTransfer-Encoding: chunked\r\n\r\n{empty}{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{empty}{hidden}"),
        format!("{head}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("{head}Content-Length: +0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 0, 0\r\n\r\n{hidden}"),
        format!("{head}Content-Length: 0x0\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n{empty}{hidden}"),
        format!("{head}Transfer-Encoding: xchunked\r\n\r\n{empty}{hidden}"),
        format!("{head}Transfer-Encoding : chunked\r\n\r\n{empty}{hidden}"),
        format!("{head}X: y\r\n Transfer-Encoding: chunked\r\n\r\n{empty}{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0;x=\n\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n00000000000000000000000000000000\r\n\r\n{hidden}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{hidden}"),
    ];
    let mut reached = Vec::new();
    for request in &requests {
        let mut client = looked.daemon.client("local")?;
        client.say(request.as_bytes()).ok();
        client.ends().ok();
        let heard = client.rest()?;
        if heard.contains("\"ok\":true") || heard.matches("HTTP/1.1 ").count() > 1 {
            reached.push(format!("{request:?}: {heard:?}"));
        }
    }
    let what = reached.join("\n");
    looked.end(&[(!reached.is_empty(), what.as_str())], &[], 0, "no second request was read, in any of 13 forms")
}

fn hosts(scene: &Scene<'_>) -> Result<Verdict> {
    let port = free_port()?;
    let agent = format!(
        "\n[agents.web]\nis = {{ token = true }}\nport = {port}\nlisten = {:?}\ntools.hostile = {{}}\n",
        scene.place("sockets/web")
    );
    let daemon = Daemon::start(scene, &[TOOLS, &agent].concat())?;
    let token = scene.tollgate(&["serve", "token", "add", "web"])?.done()?.out.trim().to_owned();
    let body = json!({ "tool": "hostile", "operation": "play", "arguments": { "steps": [] } }).to_string();
    let ask = |headers: &str| -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let request = format!(
            "POST /v1/call HTTP/1.1\r\n{headers}Authorization: Bearer {token}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut heard = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut heard).ok();
        Ok(String::from_utf8_lossy(&heard).into_owned())
    };
    let local = format!("Host: localhost:{port}\r\n");
    let own = ask(&local)?;
    let mut heard = Vec::new();
    for headers in [
        format!("{local}Host: evil.example\r\n"),
        format!("Host: evil.example\r\n{local}"),
        format!("{local}{local}"),
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: localhost.evil.example:{port}\r\n"),
        format!("Host: user@localhost:{port}\r\n"),
        String::new(),
        format!("{local}Origin: http://evil.example\r\n"),
        format!("{local}Origin: null\r\n"),
        format!("{local}Origin: http://localhost:{}\r\n", port ^ 1),
        format!("{local}Origin: https://localhost:{port}\r\n"),
    ] {
        heard.push(ask(&headers)?);
    }
    let entries = daemon.end()?;
    verdict(
        &[
            (heard.iter().any(|heard| heard.contains("\"ok\":true")), "a web page's request was taken"),
            (calls(&entries).len() != 1, "a call is on record"),
        ],
        &[
            (own.contains("\"ok\":true"), "a local program is served"),
            (heard.iter().all(|heard| heard.starts_with("HTTP/1.1 403")), "403 to each"),
        ],
        "403: one Host, which is this machine's, and no Origin of another",
    )
}

/// A port of the loopback interface that nobody listens on.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn headers(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let mut heard = Vec::new();
    for (name, value, times) in [("X-Many", "x", 1_000_000), ("X-Long", "0123456789abcdef", 4_000), ("A", "", 5_000)] {
        let mut client = looked.daemon.client("local")?;
        client.say(b"GET /v1/tools HTTP/1.1\r\nHost: localhost\r\n")?;
        let lines = format!("{name}: {}\r\n", value.repeat(if name == "X-Long" { 4096 } else { 1 })).repeat(100);
        let taken = (0..times / 100).take_while(|_| client.say(lines.as_bytes()).is_ok()).count();
        client.say(b"\r\n").ok();
        heard.push((taken < times / 100, client.rest()?));
    }
    looked.end(
        &[(heard.iter().any(|(_, heard)| heard.starts_with("HTTP/1.1 200")), "they were taken")],
        &[(
            heard.iter().all(|(_, heard)| {
                heard.is_empty() || heard.starts_with("HTTP/1.1 431") || heard.starts_with("HTTP/1.1 4")
            }),
            "431, or the end",
        )],
        0,
        "431, or the end of the connection",
    )
}

fn connections(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, &[TOOLS, "\n[serve]\nconnections = 8\n"].concat())?;
    let mut held = Vec::new();
    let socket = looked.daemon.socket("local")?;
    for _ in 0..300 {
        held.push(Client::connect(&socket)?);
    }
    let mut served = 0;
    let mut busy = 0;
    for client in &mut held {
        let answer = client.call("hostile", &json!([]), json!({}))?;
        served += usize::from(is_answered(&answer));
        busy += usize::from(answer.to_string().contains("busy"));
    }
    drop(held);
    await_that("there is room again", || {
        let status = looked.daemon.status()?;
        Ok(status.pointer("/agents/0/connections").and_then(Value::as_u64).is_some_and(|count| count <= 1))
    })?;
    looked.end(
        &[(served > 8, "more are served than may be")],
        &[(served > 0 && busy > 0, "some are served, some are told busy")],
        served,
        "busy, or the end; 8 are served",
    )
}

fn queue(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, &[TOOLS, "\n[serve]\ncalls = 2\nqueue = 4\n"].concat())?;
    let mut client = looked.daemon.client("local")?;
    for id in 0..50 {
        client.begin_waiting(&json!(id))?;
    }
    let mut answers = Vec::new();
    // One connection has as many under way as may wait; two of them run.
    for _ in 0..46 {
        answers.push(client.hear()?.unwrap_or_default());
    }
    let all_busy = answers.iter().all(|answer| is_refused(answer, "busy", ""));
    let status = looked.daemon.status()?;
    let count = |key: &str| status.pointer(&format!("/agents/0/{key}")).and_then(Value::as_u64);
    let bounded = count("running").is_some_and(|calls| calls <= 2) && count("waiting").is_some_and(|calls| calls <= 4);
    drop(client);
    await_that("no call is left", || {
        let status = looked.daemon.status()?;
        Ok(status.pointer("/agents/0/running") == Some(&json!(0))
            && status.pointer("/agents/0/waiting") == Some(&json!(0)))
    })?;
    looked.end(
        &[(!bounded, "more run or wait than may")],
        &[(all_busy, "those beyond are told busy")],
        6,
        "busy for 46 of 50",
    )
}

fn left(scene: &Scene<'_>) -> Result<Verdict> {
    let looked = Looked::start(scene, TOOLS)?;
    let mut client = looked.daemon.client("local")?;
    client.begin_waiting(&json!(1))?;
    await_that("a call runs", || Ok(looked.daemon.status()?.pointer("/agents/0/running") == Some(&json!(1))))?;
    drop(client);
    let ended =
        await_that("no call is left", || Ok(looked.daemon.status()?.pointer("/agents/0/running") == Some(&json!(0))));
    let scene = looked.daemon.scene;
    let verdict =
        looked.end(&[(ended.is_err(), "it runs on without a client")], &[], 1, "cancelled, and on record as that")?;
    let is_cancelled = super::daemon::entries(scene)?.iter().any(|entry| of(entry, "class") == "cancelled");
    if is_cancelled { Ok(verdict) } else { Err("the end is not on record as cancelled".into()) }
}
