//! Opens a file again and again, and closes nothing.

use std::fs::File;

use hostile_guests::{error, operation, parse};
use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, Tool};

struct OpenHandles;

tollgate_guest::export!(OpenHandles);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    path: String,
    count: usize,
}

impl Default for Args {
    fn default() -> Self {
        Self { path: "/docs/a.txt".into(), count: usize::MAX }
    }
}

impl Tool for OpenHandles {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Opens a file for ever, or a number of times, and keeps every handle.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => Ok(attack(&parse(arguments)?).to_string()),
            other => Err(Error::unknown_operation(other)),
        }
    }
}

/// How many handles were held, and what stopped it before all were.
fn attack(args: &Args) -> Value {
    let mut held = Vec::new();
    while held.len() < args.count {
        match File::open(&args.path) {
            Ok(file) => held.push(file),
            Err(cause) => return json!({ "opened": held.len(), "err": error(&cause) }),
        }
    }
    json!({ "opened": held.len() })
}
