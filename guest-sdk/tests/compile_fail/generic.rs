use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
fn greet<T: Into<String>>(name: T) -> Result<String, Error> {
    Ok(name.into())
}

/// Greets someone else.
#[tool]
fn greet_else(name: impl Into<String>) -> Result<String, Error> {
    Ok(name.into())
}

fn main() {}
