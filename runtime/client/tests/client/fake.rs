//! A daemon that does what a test tells it, on a thread of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{JoinHandle, spawn};

use tempfile::TempDir;
use tollgate_client::{Client, ConnectOptions};

/// It serves one connection.
pub(crate) struct Fake {
    path: PathBuf,
    thread: JoinHandle<()>,
    _folder: TempDir,
}

impl Fake {
    /// It serves by `serve`, from the connection's first byte.
    pub(crate) fn raw(serve: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let thread = spawn(move || serve(&mut Peer::new(listener.accept().unwrap().0)));
        Self { path, thread, _folder: folder }
    }

    /// It greets, then serves by `serve`.
    pub(crate) fn new(serve: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self::raw(|peer| {
            peer.greet();
            serve(peer);
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.path).unwrap()
    }

    pub(crate) fn client_with(&self, options: ConnectOptions) -> Client {
        options.connect(&self.path).unwrap()
    }

    /// All that it wanted has come.
    pub(crate) fn ends(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// A client, as the daemon has it.
pub(crate) struct Peer {
    read: BufReader<UnixStream>,
    write: UnixStream,
}

pub(crate) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

impl Peer {
    fn new(stream: UnixStream) -> Self {
        Self { write: stream.try_clone().unwrap(), read: BufReader::new(stream) }
    }

    pub(crate) fn greet(&mut self) {
        self.hears(PING);
        self.say(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    }

    /// The next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.read.read_line(&mut line).unwrap();
        assert_eq!(line.pop(), Some('\n'), "a whole line: {line}");
        line
    }

    /// The next line is this one.
    pub(crate) fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Nothing more comes.
    pub(crate) fn hears_the_end(&mut self) {
        let mut rest = Vec::new();
        // The end is abrupt where the client leaves something unread.
        self.read.read_to_end(&mut rest).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Says a line, if anybody hears it.
    pub(crate) fn say(&mut self, line: &str) {
        self.say_bytes(format!("{line}\n").as_bytes());
    }

    /// Says some bytes, if anybody hears them.
    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).unwrap_or_default();
    }

    /// Says a line, each byte apart.
    pub(crate) fn spell(&mut self, line: &str) {
        for byte in format!("{line}\n").bytes() {
            self.say_bytes(&[byte]);
        }
    }

    /// Answers a call of which nothing but the output is of interest.
    pub(crate) fn answer(&mut self, id: u64, output: &str) {
        self.say(&answered(id, output));
    }
}

/// The line of a call of a tool without an operation.
pub(crate) fn called(id: u64, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"call","params":{{"tool":"{tool}","arguments":{{}}}}}}"#)
}

/// The same, whose log is followed.
pub(crate) fn followed(id: u64, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"call","params":{{"tool":"{tool}","arguments":{{}},"logs":true}}}}"#
    )
}

/// The line that cancels a call.
pub(crate) fn cancelled(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"cancel","params":{{"id":{id}}}}}"#)
}

pub(crate) fn answered(id: u64, output: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"ok":true,"call":"c{id}","output":{output},"usage":{{}},"stdout":"","stderr":""}}}}"#
    )
}

/// The line of a failure. The id may be `null`.
pub(crate) fn failed(id: impl std::fmt::Display, kind: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"no","data":{{"ok":false,"error":{{"kind":"{kind}","message":"no"}}}}}}}}"#
    )
}

pub(crate) fn logged(id: u64, text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"log","params":{{"id":{id},"text":"{text}"}}}}"#)
}
