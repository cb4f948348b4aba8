//! Allocates and touches memory for ever.

use std::hint::black_box;

use hostile_guests::operation;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool};

/// One allocation.
const CHUNK_BYTES: usize = 1024 * 1024;

/// As many as fit into 4 GiB, so that the list of chunks never grows itself.
const CHUNKS_MAX: usize = 4096;

struct EatMemory;

tollgate_guest::export!(EatMemory);

impl Tool for EatMemory {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Allocates until the allocator aborts."),
            operation("until-refused", "Allocates until an allocation fails, and tells how much it held."),
        ]
    }

    fn invoke(operation: &str, _arguments: &str) -> Result<String, Error> {
        match operation {
            "attack" => attack(),
            "until-refused" => Ok(json!({ "bytes": until_refused() }).to_string()),
            other => Err(Error::unknown_operation(other)),
        }
    }
}

fn attack() -> ! {
    let mut held = Vec::with_capacity(CHUNKS_MAX);
    loop {
        held.push(vec![1_u8; CHUNK_BYTES]);
        black_box(&held);
    }
}

fn until_refused() -> usize {
    let mut held = Vec::with_capacity(CHUNKS_MAX);
    loop {
        let mut chunk = Vec::new();
        if chunk.try_reserve_exact(CHUNK_BYTES).is_err() {
            return held.len() * CHUNK_BYTES;
        }
        chunk.resize(CHUNK_BYTES, 1_u8);
        held.push(black_box(chunk));
    }
}
