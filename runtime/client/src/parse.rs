//! What a client makes of a daemon's bytes, and sends it, for the fuzz targets. No part of what this crate promises.

use serde_json::value::RawValue;

use crate::call::{Call, Reply, Tools};
use crate::failure::Failure;
use crate::lines::{Lines, TooLong};
use crate::slot::FromResult as _;
use crate::wire::{Heard, call_line, parse};

/// What a line of a daemon's says, read in every way that a request could want it.
#[derive(Debug)]
pub enum Said<'a> {
    /// A request has its result.
    Result {
        /// The request.
        id: u64,
        /// JSON text.
        result: &'a RawValue,
        /// The answer to a call that it is, or why it is none.
        reply: Box<Result<Reply, String>>,
        /// The list of tools that it is, or why it is none.
        tools: Result<Tools, String>,
    },
    /// A request has failed, or something that has no name.
    Failed {
        /// The request.
        id: Option<u64>,
        /// Why.
        failure: Box<Failure>,
    },
    /// A request logs something.
    Log {
        /// The request.
        id: u64,
        /// What.
        text: String,
    },
    /// Something that is passed over.
    Unknown,
}

/// Reads a line of a daemon's.
///
/// # Errors
///
/// What is wrong with it.
pub fn daemon_line(line: &[u8]) -> Result<Said<'_>, String> {
    Ok(match parse(line)? {
        Heard::Result { id, result } => {
            let (reply, tools) = (Box::new(Reply::from_result(result)), Tools::from_result(result));
            Said::Result { id, result, reply, tools }
        }
        Heard::Failed { id, failure } => Said::Failed { id: Some(id), failure: Box::new(failure) },
        Heard::Refused(failure) => Said::Failed { id: None, failure: Box::new(failure) },
        Heard::Log { id, text } => Said::Log { id, text },
        Heard::Unknown => Said::Unknown,
    })
}

/// The lines that pieces of a stream make, and whether one was too long: nothing is heard behind it.
pub fn daemon_lines<'b>(bytes_max: usize, pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<Vec<u8>>, bool) {
    let (mut lines, mut heard) = (Lines::new(bytes_max), Vec::new());
    let mut hear = |piece| {
        lines.take(piece, |line| -> Result<(), TooLong> {
            heard.push(line.to_vec());
            Ok(())
        })
    };
    let is_too_long = pieces.into_iter().try_for_each(&mut hear).is_err();
    (heard, is_too_long)
}

/// The line that asks for a call.
///
/// # Errors
///
/// Its arguments are not JSON.
pub fn client_line(id: u64, call: &Call) -> Result<Vec<u8>, Failure> {
    call_line(id, call)
}
