//! Counts lines, words and bytes of the text files in a folder.
//!
//! Reads and lists, nothing else: no clock, no randomness (so no `HashMap`), no access to metadata.

mod args;
mod folder;
mod tally;

use serde::Serialize;
use tollgate_guest::{Error, Operation, Tool};

use crate::args::{CountArgs, CountFileArgs};

struct WordCount;

tollgate_guest::export!(WordCount);

impl Tool for WordCount {
    fn operations() -> Vec<Operation> {
        vec![
            Operation {
                name: "count".into(),
                description: "Counts lines, words and bytes of every file in a folder and the folders below it, \
                              and lists the most frequent words."
                    .into(),
                input_schema: include_str!("../schemas/count.input.json").into(),
                output_schema: include_str!("../schemas/count.output.json").into(),
            },
            Operation {
                name: "count-file".into(),
                description: "Counts lines, words and bytes of one file.".into(),
                input_schema: include_str!("../schemas/count-file.input.json").into(),
                output_schema: include_str!("../schemas/count-file.output.json").into(),
            },
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "count" => {
                let args: CountArgs = args::parse(arguments)?;
                to_json(&folder::count(&args.folder, args.top)?)
            }
            "count-file" => {
                let args: CountFileArgs = args::parse(arguments)?;
                to_json(&folder::count_file(&args.path)?)
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}

fn to_json(answer: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(answer).map_err(|error| Error::new("internal", error.to_string()))
}
