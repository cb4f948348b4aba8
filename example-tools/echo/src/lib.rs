//! Answers with what it is given: the smallest tool there is. Needs no capability.

use tollgate_guest::{Error, tool};

/// Answers with the text that it is given.
#[tool]
fn echo(
    /// What to answer.
    text: String,
) -> Result<String, Error> {
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_what_it_is_given() {
        assert_eq!(echo("hello".into()).unwrap(), "hello");
        assert_eq!(tollgate_guest::invoke("echo", r#"{"text": "hello"}"#).unwrap(), r#""hello""#);
    }
}
