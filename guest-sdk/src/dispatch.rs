//! From the host's calls to what is registered. Must never make a schema while it answers.

use crate::registry::{Entry, Kind, Place, entries};
use crate::{Error, Operation};

/// All operations of this crate, as the host sees them: those of one file in the order in which they are written.
///
/// For a tool's unit tests; in a component the host calls it.
///
/// # Panics
///
/// If two operations have the same name: the message names both places.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let mut described: Vec<(Place, Operation)> = Vec::new();
    for entry in in_source_order() {
        for operation in describe(entry) {
            if let Some((earlier, _)) = described.iter().find(|(_, earlier)| earlier.name == operation.name) {
                two_of_one_name(&operation.name, *earlier, entry.place);
            }
            described.push((entry.place, operation));
        }
    }
    described.into_iter().map(|(_, operation)| operation).collect()
}

/// Answers one operation as the host asks for it: `arguments` and the answer are JSON text.
///
/// For a tool's unit tests; in a component the host calls it. Most tests are simpler if they call the function itself.
///
/// # Errors
///
/// The tool's own, `invalid-arguments` where they are not what the operation takes, and `unknown-operation`.
pub fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
    let mut tool = None;
    for entry in entries() {
        match entry.kind {
            Kind::Operation { name, run, .. } if name == operation => return run(arguments),
            Kind::Operation { .. } => {}
            Kind::Tool { invoke, .. } => tool = Some(invoke),
        }
    }
    match tool {
        Some(invoke) => invoke(operation, arguments),
        None => Err(Error::unknown_operation(operation)),
    }
}

/// Each is put where it belongs: they are few, and a sorting algorithm would be the largest part of an operation.
fn in_source_order() -> Vec<&'static Entry> {
    let mut sorted: Vec<&Entry> = Vec::new();
    for entry in entries() {
        let at = sorted.iter().take_while(|earlier| earlier.place < entry.place).count();
        sorted.insert(at, entry);
    }
    sorted
}

fn describe(entry: &Entry) -> Vec<Operation> {
    match entry.kind {
        Kind::Operation { describe, .. } => vec![describe()],
        Kind::Tool { operations, .. } => operations(),
    }
}

#[allow(clippy::panic, reason = "the tool is wrong, and can only be told by not being loaded")]
fn two_of_one_name(name: &str, first: Place, second: Place) -> ! {
    panic!(
        "two operations are called `{name}`, at {first} and at {second}: give one another name, as by \
         `#[tool(name = \"…\")]`"
    )
}
