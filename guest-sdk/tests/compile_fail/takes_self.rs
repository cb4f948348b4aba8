use tollgate_guest::{Error, tool};

struct Greeter;

impl Greeter {
    /// Greets someone.
    #[tool]
    fn greet(&self, name: String) -> Result<String, Error> {
        Ok(name)
    }
}

fn main() {}
