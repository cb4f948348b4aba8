//! The tool {{name}}.

use schemars::JsonSchema;
use serde::Serialize;
use tollgate_guest::{Error, tool};

/// What `greet` answers.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Greeting {
    /// The whole greeting.
    greeting: String,
}

/// Greets someone by name.
#[tool]
fn greet(
    /// Who is greeted.
    name: String,
    /// A title before the name, such as "Dr".
    title: Option<String>,
) -> Result<Greeting, Error> {
    if name.is_empty() {
        return Err(Error::new("no-name", "give a name to greet"));
    }
    let title = title.map(|title| format!("{title} ")).unwrap_or_default();
    Ok(Greeting { greeting: format!("Hello, {title}{name}!") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_greeted_by_name() {
        let greeting = greet("Ada".into(), Some("Countess".into())).unwrap();
        assert_eq!(greeting.greeting, "Hello, Countess Ada!");
        assert_eq!(greet(String::new(), None).unwrap_err().code, "no-name");
    }
}
