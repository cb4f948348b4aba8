//! Answers with more than anybody wants to read.

use hostile_guests::{operation, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct BigOutput;

tollgate_guest::export!(BigOutput);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    bytes: usize,
}

impl Default for Args {
    fn default() -> Self {
        /// 64 MiB.
        const HUGE: usize = 64 << 20;
        Self { bytes: HUGE }
    }
}

impl Tool for BigOutput {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Answers with a JSON string of 64 MiB, or of another length with its quotes.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                let mut answer = String::with_capacity(args.bytes);
                answer.push('"');
                answer.extend(std::iter::repeat_n('x', args.bytes.saturating_sub(2)));
                answer.push('"');
                Ok(answer)
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
