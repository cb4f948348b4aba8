use tollgate_guest::tool;

enum MyError {
    Nobody,
}

/// Greets someone.
#[tool]
fn greet(name: String) -> Result<String, MyError> {
    if name.is_empty() { Err(MyError::Nobody) } else { Ok(name) }
}

type Answer<T> = Result<T, MyError>;

/// Greets someone else.
#[tool]
fn greet_else(name: String) -> Answer<String> {
    Ok(name)
}

fn main() {}
