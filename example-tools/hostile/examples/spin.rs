//! Computes for ever.

use std::hint::black_box;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool};

struct Spin;

tollgate_guest::export!(Spin);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    rounds: u64,
}

impl Default for Args {
    fn default() -> Self {
        Self { rounds: u64::MAX }
    }
}

impl Tool for Spin {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Computes for ever, or for a number of rounds.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                for round in 0..args.rounds {
                    black_box(round);
                }
                Ok(json!({ "rounds": args.rounds }).to_string())
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
