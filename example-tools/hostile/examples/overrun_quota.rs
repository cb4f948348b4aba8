//! Grows a file as far as it can, by each way there is.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};

use hostile_guests::{error, operation, parse};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, Tool};

/// One write.
const CHUNK_BYTES: usize = 64 * 1024;

struct OverrunQuota;

tollgate_guest::export!(OverrunQuota);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    path: String,
    /// Where the attack stops if nothing else stops it, so that a quota that is not enforced fills no disk.
    bytes: u64,
}

impl Default for Args {
    fn default() -> Self {
        /// 1 GiB.
        const ENOUGH: u64 = 1 << 30;
        Self { path: "/out/big.bin".into(), bytes: ENOUGH }
    }
}

impl Tool for OverrunQuota {
    fn operations() -> Vec<Operation> {
        vec![
            operation("stream", "Creates a file and writes to it until an error."),
            operation("append", "Appends to a file until an error, creating it if it is missing."),
            operation("set-len", "Creates a file and sets its length."),
            operation("sparse", "Creates a file and writes one byte far behind its end."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let got = match operation {
            "stream" => fill(File::create(&args.path), args.bytes),
            "append" => fill(OpenOptions::new().append(true).create(true).open(&args.path), args.bytes),
            "set-len" => all_or_nothing(set_len(&args), args.bytes),
            "sparse" => all_or_nothing(sparse(&args), args.bytes),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(got.to_string())
    }
}

/// How many bytes were written, and what stopped it before all were.
fn fill(file: io::Result<File>, bytes: u64) -> Value {
    let chunk = vec![b'x'; CHUNK_BYTES];
    let mut written = 0;
    let stopped = file.and_then(|mut file| {
        while written < bytes {
            let left = usize::try_from(bytes - written).unwrap_or(CHUNK_BYTES);
            written += file.write(chunk.get(..left).unwrap_or(&chunk))? as u64;
        }
        Ok(())
    });
    match stopped {
        Ok(()) => json!({ "written": written }),
        Err(cause) => json!({ "written": written, "err": error(&cause) }),
    }
}

fn set_len(args: &Args) -> io::Result<()> {
    File::create(&args.path)?.set_len(args.bytes)
}

fn sparse(args: &Args) -> io::Result<()> {
    let mut file = File::create(&args.path)?;
    file.seek(SeekFrom::Start(args.bytes.saturating_sub(1)))?;
    file.write_all(b"x")
}

fn all_or_nothing(result: io::Result<()>, bytes: u64) -> Value {
    match result {
        Ok(()) => json!({ "length": bytes }),
        Err(cause) => json!({ "length": 0, "err": error(&cause) }),
    }
}
