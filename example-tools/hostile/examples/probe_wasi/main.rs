//! Calls WASI functions directly, those that the standard library would not call, and tells what came back.

mod sockets;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::bindings::tollgate::tool::call;
use tollgate_guest::{Error, Operation, Tool};
use wasip2::cli::{environment, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens;
use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::random::{insecure, insecure_seed, random};

struct ProbeWasi;

tollgate_guest::export!(ProbeWasi);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    calls: Vec<Call>,
}

/// One call: `{"call": "random-bytes", "len": 16}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    call: Function,
    /// How many bytes, or how many nanoseconds.
    #[serde(default)]
    len: u64,
    /// The name to resolve, or the text to write.
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Function {
    WallClock,
    WallClockResolution,
    MonotonicClock,
    MonotonicClockResolution,
    /// Waits for `len` nanoseconds.
    Wait,
    /// Waits until the monotonic clock shows `len`.
    WaitUntil,
    RandomBytes,
    RandomU64,
    InsecureBytes,
    InsecureU64,
    InsecureSeed,
    Environment,
    Arguments,
    InitialCwd,
    /// Reads up to `len` bytes.
    Stdin,
    /// Writes `text`.
    Stdout,
    /// Writes `text`.
    Stderr,
    TerminalStdin,
    TerminalStdout,
    TerminalStderr,
    /// The guest paths of the preopened folders.
    Directories,
    /// Session and time left.
    Context,
    /// Fails with `text`.
    Fail,
    #[serde(untagged)]
    Socket(sockets::Function),
}

impl Tool for ProbeWasi {
    fn operations() -> Vec<Operation> {
        vec![
            operation("call", "Calls one WASI function."),
            operation("sequence", "Calls WASI functions one after the other in one instance."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "call" => {
                let call: Call = parse(arguments)?;
                Ok(call.make().to_string())
            }
            "sequence" => {
                let args: Args = parse(arguments)?;
                Ok(args.calls.iter().map(Call::make).collect::<Value>().to_string())
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}

impl Call {
    /// `{"ok": value}` or `{"err": "code"}`.
    fn make(&self) -> Value {
        match self.try_make() {
            Ok(value) => json!({ "ok": value }),
            Err(code) => json!({ "err": code }),
        }
    }

    fn try_make(&self) -> Result<Value, String> {
        Ok(match &self.call {
            Function::WallClock => datetime(wall_clock::now()),
            Function::WallClockResolution => datetime(wall_clock::resolution()),
            Function::MonotonicClock => monotonic_clock::now().into(),
            Function::MonotonicClockResolution => monotonic_clock::resolution().into(),
            Function::Wait => {
                monotonic_clock::subscribe_duration(self.len).block();
                Value::Null
            }
            Function::WaitUntil => {
                monotonic_clock::subscribe_instant(self.len).block();
                Value::Null
            }
            Function::RandomBytes => random::get_random_bytes(self.len).into(),
            Function::RandomU64 => random::get_random_u64().into(),
            Function::InsecureBytes => insecure::get_insecure_random_bytes(self.len).into(),
            Function::InsecureU64 => insecure::get_insecure_random_u64().into(),
            Function::InsecureSeed => {
                let (low, high) = insecure_seed::insecure_seed();
                json!([low, high])
            }
            Function::Environment => json!(environment::get_environment()),
            Function::Arguments => environment::get_arguments().into(),
            Function::InitialCwd => environment::initial_cwd().into(),
            Function::Stdin => self.read_stdin()?,
            Function::Stdout => self.write(&stdout::get_stdout())?,
            Function::Stderr => self.write(&stderr::get_stderr())?,
            Function::TerminalStdin => terminal_stdin::get_terminal_stdin().is_some().into(),
            Function::TerminalStdout => terminal_stdout::get_terminal_stdout().is_some().into(),
            Function::TerminalStderr => terminal_stderr::get_terminal_stderr().is_some().into(),
            Function::Directories => preopens::get_directories().into_iter().map(|(_, guest)| guest).collect(),
            Function::Context => {
                let call::Context { id, session, deadline_left_ms } = call::get_context();
                json!({ "id": id, "session": session, "deadline_left_ms": deadline_left_ms })
            }
            Function::Fail => {
                call::fail("on-purpose", &self.text);
                Value::Null
            }
            Function::Socket(function) => function.call(&self.text)?,
        })
    }

    fn read_stdin(&self) -> Result<Value, String> {
        match stdin::get_stdin().blocking_read(self.len) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into()),
            Err(StreamError::Closed) => Ok("".into()),
            Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
        }
    }

    fn write(&self, stream: &OutputStream) -> Result<Value, String> {
        match stream.blocking_write_and_flush(self.text.as_bytes()) {
            Ok(()) => Ok(self.text.len().into()),
            Err(StreamError::Closed) => Err("closed".into()),
            Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
        }
    }
}

fn datetime(Datetime { seconds, nanoseconds }: Datetime) -> Value {
    json!({ "seconds": seconds, "nanoseconds": nanoseconds })
}
