use tollgate_guest::{Error, tool};

#[derive(serde::Deserialize)]
struct Person {
    name: String,
}

/// Greets someone.
#[tool]
fn greet(person: Person) -> Result<String, Error> {
    Ok(person.name)
}

fn main() {}
