use tollgate_guest::{Error, tool};

/// Greets someone.
#[tool]
fn greet_someone_who_is_known_by_a_name_that_has_more_letters_than_fit(name: String) -> Result<String, Error> {
    Ok(name)
}

fn main() {}
