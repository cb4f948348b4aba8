use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool(description = "Greets someone.")]
fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

/// Greets someone else.
#[tool("greet-else")]
fn greet_else(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
