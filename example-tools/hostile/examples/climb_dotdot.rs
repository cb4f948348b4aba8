//! Reads a path that climbs out of the granted folder.

use std::fs;

use hostile_guests::{operation, outcome, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct ClimbDotdot;

tollgate_guest::export!(ClimbDotdot);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    path: String,
}

impl Default for Args {
    fn default() -> Self {
        Self { path: "/docs/../outside.txt".into() }
    }
}

impl Tool for ClimbDotdot {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Reads a path that climbs out of /docs.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                Ok(outcome(fs::read_to_string(args.path)).to_string())
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
