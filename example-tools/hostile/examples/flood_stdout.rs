//! Writes to standard output or standard error for ever.

use std::io::{self, Write};

use hostile_guests::{error, operation, parse};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, Tool};

/// One line, with its line feed.
const LINE: &[u8; 64] = b"all work and no play makes the guest a dull tool, all day long.\n";

struct FloodStdout;

tollgate_guest::export!(FloodStdout);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    lines: u64,
}

impl Default for Args {
    fn default() -> Self {
        Self { lines: u64::MAX }
    }
}

impl Tool for FloodStdout {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Writes lines of 64 bytes to standard output, for ever or a number of them."),
            operation("stderr", "Writes lines of 64 bytes to standard error, for ever or a number of them."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let flooded = match operation {
            "attack" => flood(io::stdout().lock(), args.lines),
            "stderr" => flood(io::stderr().lock(), args.lines),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(flooded.to_string())
    }
}

/// How many lines were written, and what stopped it before all were.
fn flood(mut stream: impl Write, lines: u64) -> Value {
    for written in 0..lines {
        if let Err(cause) = stream.write_all(LINE) {
            return json!({ "lines": written, "err": error(&cause) });
        }
    }
    json!({ "lines": lines })
}
