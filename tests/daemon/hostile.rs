//! Clients that mean harm, or are broken: each costs itself, and others are served on.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use tollgate_workspace::processes::await_that;

use crate::lab::{DaemonLab, READS, SLEEPS, kind_of};

const LIMITS: &str = "[serve]\nconnections = 8\ncalls = 2\nqueue = 4\nidle = \"1s\"\nhandshake = \"500ms\"\nbody = \"64KiB\"\nheader = \"4KiB\"\n";

pub(crate) fn bad_clients_take_nothing_from_others() {
    let lab = DaemonLab::new(&["echo-read", "sleep-forever"], &format!("{READS}{SLEEPS}{LIMITS}"));
    let served = || lab.connect().is_served();
    served();
    // What is no request: an answer at most, and the end.
    for garbage in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\x00",
        b"hello\n",
        b"{\n",
        b"{\"jsonrpc\":\"2.0\"}\n",
        b"[]\n",
        b"GET\r\n\r\n",
        b"token \n",
        &[b'{'; 100_000],
    ] {
        let mut stream = UnixStream::connect(lab.socket()).expect("a daemon");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        // It may be closed before it has taken all.
        stream.write_all(garbage).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).ok();
        assert!(!String::from_utf8_lossy(&said).contains("\"ok\":true"), "{garbage:?}");
        served();
    }
    // Half a request and silence: closed by the clock, whatever is half.
    for half in [&b"{\"jsonrpc\":"[..], b"GET /v1/tools HTTP/1.1\r\nHost: ", b"token abc", b""] {
        let mut stream = UnixStream::connect(lab.socket()).expect("a daemon");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream.write_all(half).expect("a daemon that hears");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("the end");
        served();
    }
    // Requests without an end, of which no answer is read: the client stands still before much is held for it.
    let mut flood = UnixStream::connect(lab.socket()).expect("a daemon");
    flood.set_write_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let line = b"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"nonsense\"}\n".repeat(1_000);
    let taken = (0..1_000).take_while(|_| flood.write_all(&line).is_ok()).count();
    assert!(taken < 1_000, "it is not heard for ever");
    served();
    drop(flood);
    // The gateway learns of it once it has written what the client does not read.
    await_that("room", || lab.daemon.status().agents[0].connections == 0);
    let mut good = lab.connect();
    good.is_served();
    // More connections than there may be: told so, and the others go on.
    let mut more: Vec<_> = (0..7).map(|_| lab.connect()).collect();
    more.iter_mut().for_each(tollgate_workspace::rpc::Rpc::is_served);
    let mut beyond = lab.connect();
    let begun = beyond.begin("echo-read", "echo", &json!({}));
    let busy = beyond.hear();
    if let Some(busy) = busy {
        assert!(busy["id"].is_null() || busy["id"] == begun, "{busy}");
        assert!(busy.to_string().contains("busy"), "{busy}");
    }
    drop((more, beyond));
    await_that("room", || lab.daemon.status().agents[0].connections <= 1);
    // More calls than may run and wait: the last is told so at once.
    let mut many = lab.connect();
    for _call in 0..7 {
        many.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    }
    let busy = many.hear().expect("an answer");
    assert_eq!(kind_of(&busy), "busy", "{busy}");
    drop(many);
    await_that("no call is left", || lab.daemon.status().agents[0].running == 0);
    let mut good = lab.connect();
    good.is_served();
    // An id that is still in use, and somebody else's.
    let before = lab.begun("attack");
    good.say(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"call\",\"params\":{\"tool\":\"sleep-forever\",\"operation\":\"attack\",\"arguments\":{\"millis\":3600000}}}\n");
    lab.await_begun("attack", before + 1);
    good.say(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}\n");
    let twice = good.hear().expect("an answer");
    assert_eq!(twice["error"]["code"], -32600, "{twice}");
    let mut other = lab.connect();
    other.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":5}}\n");
    other.say(b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"cancel\",\"params\":{\"id\":5}}\n");
    let foreign = other.hear().expect("an answer");
    assert!(foreign["error"].is_object(), "{foreign}");
    assert_eq!(lab.daemon.status().agents[0].running, 1, "it runs on");
    drop((good, other));
    let said = lab.said();
    lab.end();
    assert!(said.iter().all(|line| !line.contains("gateway")), "no gateway has died: {said:?}");
}
