use std::path::Path;

use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
fn greet(name: &str) -> Result<String, Error> {
    Ok(name.to_owned())
}

/// Counts.
#[tool]
fn count(texts: &[String], folder: Option<&Path>) -> Result<usize, Error> {
    Ok(texts.len() + usize::from(folder.is_some()))
}

fn main() {}
