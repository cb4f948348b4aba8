//! Reads through a symlink that leaves the granted folder, one that lies there or one that it plants.

use std::{fs, io};

use hostile_guests::{operation, outcome, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct ClimbSymlink;

tollgate_guest::export!(ClimbSymlink);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    /// The link to read through.
    path: String,
    /// Where `plant` lets it point to.
    target: String,
}

impl Default for Args {
    fn default() -> Self {
        Self { path: "/docs/link".into(), target: "../outside.txt".into() }
    }
}

impl Tool for ClimbSymlink {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Reads through a symlink below /docs."),
            operation("plant", "Makes a symlink below /docs that points outside, and reads through it."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let read = match operation {
            "attack" => fs::read_to_string(args.path),
            "plant" => plant(&args).and_then(|()| fs::read_to_string(args.path)),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(outcome(read).to_string())
    }
}

#[allow(deprecated, reason = "the only stable way to make a symlink on WASI")]
fn plant(args: &Args) -> io::Result<()> {
    fs::soft_link(&args.target, &args.path)
}
