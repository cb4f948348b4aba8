//! Resolves a name, which tells the name to whoever answers for it.

use std::net::ToSocketAddrs as _;

use hostile_guests::{operation, outcome, parse};
use serde::Deserialize;
use tollgate_guest::{Error, Operation, Tool};

struct ResolveName;

tollgate_guest::export!(ResolveName);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    name: String,
}

impl Default for Args {
    fn default() -> Self {
        Self { name: "secret.example.com".into() }
    }
}

impl Tool for ResolveName {
    fn operations() -> Vec<Operation> {
        vec![operation("attack", "Resolves a name.")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => {
                let args: Args = parse(arguments)?;
                let resolved = (args.name.as_str(), 80).to_socket_addrs();
                let addresses = resolved.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>());
                Ok(outcome(addresses).to_string())
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}
