//! A client of a daemon's agent that speaks JSON-RPC by lines.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// One connection.
pub struct Rpc {
    pub stream: BufReader<UnixStream>,
    next: u64,
}

impl Rpc {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("a daemon");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Self { stream: BufReader::new(stream), next: 0 }
    }

    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("a daemon that hears");
    }

    /// The next line; none at the end.
    pub fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a request, and does not wait; its id.
    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let line = json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        self.say(format!("{line}\n"));
        self.next
    }

    /// Sends a request; its answer.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        let answer = self.hear().expect("an answer");
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// Asks for a call, and does not wait; its id.
    pub fn begin(&mut self, tool: &str, operation: &str, arguments: &Value) -> u64 {
        self.send("call", &json!({ "tool": tool, "operation": operation, "arguments": arguments }))
    }

    pub fn call(&mut self, tool: &str, operation: &str, arguments: &Value) -> Value {
        self.ask("call", &json!({ "tool": tool, "operation": operation, "arguments": arguments }))
    }

    /// That it is served, where `echo-read` is installed.
    pub fn is_served(&mut self) {
        let answer = self.call("echo-read", "echo", &json!({ "a": 1 }));
        assert_eq!(answer["result"]["ok"], true, "{answer}");
    }
}
