//! Recurses for ever.

use std::hint::black_box;

use hostile_guests::operation;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool};

struct Recurse;

tollgate_guest::export!(Recurse);

impl Tool for Recurse {
    fn operations() -> Vec<Operation> {
        vec![
            operation("attack", "Recurses for ever without a frame in linear memory: fills the host's stack."),
            operation("frames", "Recurses for ever with a frame in linear memory: fills the guest's own stack."),
        ]
    }

    fn invoke(operation: &str, _arguments: &str) -> Result<String, Error> {
        let bottom = black_box(u64::MAX);
        let came_back = match operation {
            "attack" => down(0, bottom),
            "frames" => down_with_frame(0, bottom),
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(json!({ "came_back": came_back }).to_string())
    }
}

/// The rotation of what comes back keeps the compiler from making a loop of it.
fn down(depth: u64, bottom: u64) -> u64 {
    if depth == bottom {
        return depth;
    }
    down(depth.wrapping_add(1), bottom).rotate_left(7) ^ depth
}

fn down_with_frame(depth: u64, bottom: u64) -> u64 {
    let frame = black_box([depth; 128]);
    if depth == bottom {
        return depth;
    }
    let below = down_with_frame(depth.wrapping_add(1), bottom);
    below.rotate_left(7) ^ black_box(frame).iter().fold(0, |sum, word| sum ^ word)
}
