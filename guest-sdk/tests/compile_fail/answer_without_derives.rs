use tollgate_guest::{Error, tool};

struct Greeting {
    text: String,
}

/// Greets someone.
#[tool]
fn greet(name: String) -> Result<Greeting, Error> {
    Ok(Greeting { text: name })
}

fn main() {}
