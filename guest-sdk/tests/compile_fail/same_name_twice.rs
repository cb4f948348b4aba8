use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

/// Greets someone else.
#[tool]
fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
