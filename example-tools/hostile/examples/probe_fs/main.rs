//! Tries file accesses step by step and tells what came of each, so that a test can drive every path rule.
//!
//! `run` goes through the standard library, as tools do; `raw` calls `wasi:filesystem` directly, with flags and paths
//! that the C library would never send; `handles` does so too, on handles and streams that stay open.

mod handles;
mod raw;
mod std_steps;

use hostile_guests::{operation, parse};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate_guest::{Error, Operation, Tool};

struct ProbeFs;

tollgate_guest::export!(ProbeFs);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args<S> {
    steps: Vec<S>,
}

impl Tool for ProbeFs {
    fn operations() -> Vec<Operation> {
        vec![
            operation("run", "Takes steps on paths through the standard library."),
            operation("raw", "Takes steps on descriptors and relative paths by direct WASI calls."),
            operation("handles", "Takes steps on handles that stay open, by direct WASI calls."),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "run" => each(arguments, |step: &std_steps::Step| step.take()),
            "raw" => {
                let preopens = raw::Preopens::get();
                each(arguments, |step: &raw::Step| step.take(&preopens))
            }
            "handles" => {
                let table = handles::Table::new();
                each(arguments, |step: &handles::Step| step.take(&table))
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}

/// One outcome for each step, in order; a step that fails does not end the run.
fn each<S: DeserializeOwned>(arguments: &str, take: impl Fn(&S) -> Value) -> Result<String, Error> {
    let args: Args<S> = parse(arguments)?;
    Ok(args.steps.iter().map(take).collect::<Value>().to_string())
}
