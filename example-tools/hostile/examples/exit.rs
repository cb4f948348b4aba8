//! Ends its process, which must not be the host's.

use std::process;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};
use wasip2::cli::exit::exit_with_code;

struct Exit;

tollgate_guest::export!(Exit);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    code: i32,
    /// Whether the function is called that takes a code; C libraries call the other one.
    told: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self { code: 3, told: false }
    }
}

impl Tool for Exit {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Exits with code 3, or another.")]
    }

    #[allow(clippy::exit, reason = "exiting is what this guest is for")]
    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                if args.told {
                    exit_with_code(u8::try_from(args.code).unwrap_or(u8::MAX));
                }
                process::exit(args.code)
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
