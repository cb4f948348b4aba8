use tollgate_guest::{Error, tool};

#[tool]
fn greet(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
