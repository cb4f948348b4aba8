use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
unsafe fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
