//! Sleeps for ever: costs no fuel, only time.

use std::thread;
use std::time::Duration;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool};

struct SleepForever;

tollgate_guest::export!(SleepForever);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    millis: u64,
}

impl Default for Args {
    fn default() -> Self {
        /// A century: further off than any deadline, and it still fits the nanoseconds of a WASI duration.
        const CENTURY_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
        Self { millis: CENTURY_MILLIS }
    }
}

impl Tool for SleepForever {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Sleeps for a century, or for a number of milliseconds.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                thread::sleep(Duration::from_millis(args.millis));
                Ok(json!({ "slept_millis": args.millis }).to_string())
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
