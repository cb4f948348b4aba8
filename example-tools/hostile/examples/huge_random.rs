//! Asks for so many random bytes in one call that the host, not the guest, runs out of memory.

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool};
use wasip2::random::insecure::get_insecure_random_bytes;
use wasip2::random::random::get_random_bytes;

struct HugeRandom;

tollgate_guest::export!(HugeRandom);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    bytes: u64,
}

impl Default for Args {
    fn default() -> Self {
        /// 1 GiB.
        const HUGE: u64 = 1 << 30;
        Self { bytes: HUGE }
    }
}

impl Tool for HugeRandom {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Asks for 1 GiB of secure random bytes, or another number of them."),
            operation("insecure", "Asks for 1 GiB of insecure random bytes, or another number of them."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let got = match operation {
            "attack" => get_random_bytes(args.bytes),
            "insecure" => get_insecure_random_bytes(args.bytes),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(json!({ "bytes": got.len() }).to_string())
    }
}
