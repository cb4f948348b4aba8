//! Reads the environment and the arguments of the process.

use std::env;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_guest::{Error, Operation, Tool};

struct ReadEnv;

tollgate_guest::export!(ReadEnv);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Args {
    name: String,
}

impl Default for Args {
    fn default() -> Self {
        Self { name: "PATH".into() }
    }
}

impl Tool for ReadEnv {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Reads all environment variables."),
            operation("var", "Reads one environment variable by its name."),
            operation("args", "Reads the argument vector."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args = parse(arguments)?;
        let got = match operation {
            "attack" => {
                let vars: Map<_, _> = env::vars().map(|(name, value)| (name, Value::String(value))).collect();
                json!({ "vars": vars })
            }
            "var" => json!({ "var": var(&args.name) }),
            "args" => json!({ "args": env::args().collect::<Vec<_>>() }),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(got.to_string())
    }
}

#[allow(clippy::disallowed_methods, reason = "reading what was not granted is what this guest is for")]
fn var(name: &str) -> Option<String> {
    env::var(name).ok()
}
