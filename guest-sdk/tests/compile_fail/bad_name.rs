use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool(name = "Greet Someone")]
fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

/// Greets someone else.
#[tool]
fn _greet_else(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
