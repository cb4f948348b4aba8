//! Uses what the SDK offers besides answering: the log, the call's context, panics. The crate is one tool by `#[tool]`.

use std::hint::black_box;

use serde_json::{Value, json};
use tollgate_guest::{Context, Error, log, tool};

/// Writes a record of each level, the last of two lines.
#[tool]
fn log() -> Result<(), Error> {
    log::error!("an error");
    log::warn!("a warning");
    log::info!("some information");
    log::debug!("{} lines\nof detail", 2);
    log::trace!("a trace");
    Ok(())
}

/// Tells which call it answers.
#[tool]
fn context() -> Result<Value, Error> {
    let Context { id, session, deadline_left, .. } = tollgate_guest::context();
    Ok(json!({ "id": id, "session": session, "deadline_left_ms": deadline_left.as_millis() }))
}

/// Adds one to a number of 8 bits: panics at 255.
#[tool]
fn add_one(number: u8) -> Result<u8, Error> {
    Ok(black_box(number) + 1)
}

/// Picks one of three numbers: panics from 3 on.
#[tool]
#[allow(clippy::indexing_slicing, reason = "panicking is what it is for")]
fn pick(at: usize) -> Result<u8, Error> {
    Ok([7, 8, 9][black_box(at)])
}

/// Starts a thread, which there are none of: panics.
#[tool]
fn spawn() -> Result<(), Error> {
    let thread = std::thread::spawn(|| ());
    thread.join().map_err(|_panicked| Error::new("thread", "it panicked"))
}

/// Fails as standard library calls do.
#[tool]
fn open(path: String) -> Result<(), Error> {
    std::fs::File::open(path)?;
    Ok(())
}
