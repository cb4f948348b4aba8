//! Lists the tools of a daemon, calls one of them, prints what it logs while it runs, and then its answer:
//!
//! ```text
//! cargo run -p tollgate-client --example call -- SOCKET word-count count '{"text":"to be or not"}'
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use tollgate_client::{Call, Claims, Client, LogPiece};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [socket, tool, operation, arguments] = *arguments.as_slice() else {
        return Err("give SOCKET TOOL OPERATION ARGUMENTS, the arguments as JSON".into());
    };
    let call = Call::new(tool).operation(operation).arguments_text(arguments);
    run(Path::new(socket), call, &mut io::stdout())
}

pub(crate) fn run(socket: &Path, call: Call, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(socket)?;
    for tool in client.tools()?.tools {
        for operation in tool.operations {
            writeln!(out, "{} {}: {}", tool.name, operation.name, operation.description.unwrap_or_default())?;
        }
    }

    let claims = Claims { agent: Some("example".to_owned()), ..Claims::default() };
    let invocation = client.start(call.claims(claims).follow_logs());
    for piece in invocation.logs() {
        match piece {
            // What a tool says is not trusted: `{:?}` writes out what would steer a terminal.
            LogPiece::Text(text) => writeln!(out, "log: {text:?}")?,
            LogPiece::Dropped { bytes } => writeln!(out, "log: {bytes} bytes were dropped")?,
        }
    }

    match invocation.wait() {
        Ok(reply) => writeln!(out, "{}: {} ({} µs)", reply.call, reply.output, reply.usage.wall_us)?,
        Err(failure) if failure.is_known_not_to_have_run() => {
            writeln!(out, "not run, {}: {}", failure.kind, failure.message)?;
        }
        Err(failure) => writeln!(out, "failed, {}: {}", failure.kind, failure.message)?,
    }
    Ok(())
}
