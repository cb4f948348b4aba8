//! Panics.

use hostile_guests::{operation, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct Panic;

tollgate_guest::export!(Panic);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    message: String,
}

impl Default for Args {
    fn default() -> Self {
        Self { message: "on purpose".into() }
    }
}

impl Tool for Panic {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Panics with a message.")]
    }

    #[allow(clippy::panic, reason = "panicking is what this guest is for")]
    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                panic!("{}", args.message)
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
