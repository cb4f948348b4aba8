use tollgate_guest::{Error, tool};

/// Adds.
#[tool]
fn add((a, b): (i32, i32)) -> Result<i32, Error> {
    Ok(a + b)
}

/// Ignores.
#[tool]
fn ignore(_: String) -> Result<(), Error> {
    Ok(())
}

fn main() {}
