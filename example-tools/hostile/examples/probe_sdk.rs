//! Uses what the SDK offers besides answering: the log, the call's context, panics. The crate is one tool by `#[tool]`.

use std::hint::black_box;

use rayon::prelude::*;
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

/// Adds up all numbers below one with rayon, whose own pool is this thread where there is no other.
#[tool]
fn sum_in_parallel(below: u32) -> Result<u64, Error> {
    Ok((0..below).into_par_iter().map(u64::from).sum())
}

/// Makes a pool of two threads: fails.
#[tool]
fn pool() -> Result<(), Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    pool.map(drop).map_err(|error| Error::new("thread", error.to_string()))
}

/// Starts a thread and minds that there is none: fails.
#[tool]
fn try_spawn() -> Result<(), Error> {
    let thread = std::thread::Builder::new().spawn(|| ());
    thread.map(drop).map_err(|error| Error::new("thread", error.to_string()))
}

/// Fails as standard library calls do.
#[tool]
fn open(path: String) -> Result<(), Error> {
    std::fs::File::open(path)?;
    Ok(())
}
