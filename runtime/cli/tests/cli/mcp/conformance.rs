//! MCP's own conformance suite against the built program, for both eras: what it finds wrong stands in
//! `runtime/cli/tests/clients/conformance`, with the reason, and nothing else is. A row that is right by now fails as well.
//!
//! The suite sends no token, and a port takes none without; it also wants the list of tools changed by a call. So it speaks to a relay, which
//! puts the token into each request, and has the operator change the policy. All else passes byte for byte, but for the relay's port in `Host`
//! and `Origin`, which is the daemon's behind it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::desk::Desk;
use crate::mcp::official::installed;
use crate::serve::{Served, desk};

/// The suite's names for operations of `probe-mcp`.
const ALIASES: &str = "simple-text = \"test_simple_text\", error = \"test_error_handling\", logging = \"test_logging_tool\", \
                       streaming = \"test_streaming_elicitation\", schema = \"json_schema_2020_12_tool\"";

fn policy(port: u16, more: &str) -> String {
    format!(
        "[tools.probe-mcp]\naliases = {{ {ALIASES} }}\n{more}[agents.suite]\nis = {{ token = true }}\nport = {port}\n\
         tools.probe-mcp = {{}}\ntools.echo = {{}}\n"
    )
}

#[test]
fn nothing_is_wrong_but_what_a_tool_runtime_does_not_owe() {
    let Some(installed) = installed() else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let desk = desk(&["probe-mcp", "echo"], &policy(port, ""));
    let served = Served::start(&desk);
    let token = desk.run(&["serve", "token", "add", "suite"]).stdout.trim().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay =
        Relay { desk: &desk, port, own: listener.local_addr().unwrap().port(), token, is_over: AtomicBool::new(false) };
    thread::scope(|scope| {
        scope.spawn(|| relay.accept(scope, &listener));
        let runs = ["2026-07-28", "2025-11-25"].map(|revision| (revision, relay.run_suite(&installed, revision)));
        relay.is_over.store(true, Ordering::Relaxed);
        // So that it looks.
        TcpStream::connect(("127.0.0.1", relay.own)).unwrap();
        for (revision, (is_right, said)) in runs {
            assert!(is_right, "{revision}: {said}");
        }
    });
    served.stop();
}

struct Relay<'d> {
    desk: &'d Desk,
    /// The daemon's.
    port: u16,
    own: u16,
    token: String,
    is_over: AtomicBool,
}

impl Relay<'_> {
    /// Whether the suite finds what it is expected to; what it said in the end.
    fn run_suite(&self, installed: &Path, revision: &str) -> (bool, String) {
        let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/clients/conformance/{revision}.yaml"));
        let mut suite = Command::new(installed.join("node/bin/node"));
        suite.arg(installed.join("js/node_modules/@modelcontextprotocol/conformance/dist/index.js")).arg("server");
        suite.args(["--url", &format!("http://127.0.0.1:{}/mcp", self.own), "--requirements", revision]);
        suite.arg("--expected-failures").arg(expected).args(["-o", revision]).current_dir(self.desk.path(""));
        let output = suite.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("=== SUMMARY ==="), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let summary = said.split_once("=== SUMMARY ===").unwrap().1.to_owned();
        (output.status.success(), summary)
    }

    fn accept<'s>(&'s self, scope: &'s thread::Scope<'s, '_>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            // A connection that breaks is the suite's to judge.
            scope.spawn(move || self.pass(stream).unwrap_or_default());
        }
    }

    /// Passes requests one way and answers the other, until either side ends.
    fn pass(&self, client: TcpStream) -> io::Result<()> {
        let mut daemon = TcpStream::connect(("127.0.0.1", self.port))?;
        let (mut answers, mut to_client) = (daemon.try_clone()?, client.try_clone()?);
        thread::scope(|scope| {
            scope.spawn(move || {
                io::copy(&mut answers, &mut to_client).unwrap_or_default();
                to_client.shutdown(Shutdown::Both).unwrap_or_default();
            });
            let mut requests = BufReader::new(client);
            while self.pass_request(&mut requests, &mut daemon).unwrap_or(false) {}
            // Closing a request's connection takes it back.
            daemon.shutdown(Shutdown::Both)
        })
    }

    /// One request; false at the end.
    fn pass_request(&self, from: &mut BufReader<TcpStream>, to: &mut TcpStream) -> io::Result<bool> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            let name = line.split(':').next().unwrap().to_ascii_lowercase();
            match name.as_str() {
                "host" | "origin" => line = line.replace(&format!(":{}", self.own), &format!(":{}", self.port)),
                "content-length" => length = line.split_once(':').unwrap().1.trim().parse().unwrap(),
                _other => {}
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        if String::from_utf8_lossy(&body).contains("test_trigger_tool_change") {
            self.change_the_list();
        }
        to.write_all(format!("{head}authorization: Bearer {}\r\n\r\n", self.token).as_bytes())?;
        to.write_all(&body)?;
        Ok(true)
    }

    fn change_the_list(&self) {
        let path = self.desk.path("tollgate-home/tollgate.toml");
        let is_changed = fs::read_to_string(path).unwrap().contains("said");
        let more = if is_changed { "" } else { "[tools.echo]\naliases = { echo = \"said\" }\n" };
        self.desk.file("tollgate-home/tollgate.toml", policy(self.port, more));
        assert_eq!(self.desk.run(&["serve", "reload"]).code, 0);
    }
}
