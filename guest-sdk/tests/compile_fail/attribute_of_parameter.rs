use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
fn greet(#[arg(long)] name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
