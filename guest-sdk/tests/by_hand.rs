//! A tool by hand beside operations by `#[tool]`: one tool, unless two operations have the same name.

use tollgate_guest::{Error, Operation, Tool, invoke, operations, tool};

struct ByHand;

impl Tool for ByHand {
    fn operations() -> Vec<Operation> {
        let operation = |name: &str| Operation {
            name: name.into(),
            description: "By hand.".into(),
            input_schema: "{}".into(),
            output_schema: "{}".into(),
        };
        vec![operation("echo"), operation("twice")]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "echo" => Ok(arguments.to_owned()),
            other => Err(Error::unknown_operation(other)),
        }
    }
}

tollgate_guest::export!(ByHand);

/// Says something twice.
#[tool]
fn twice(text: String) -> Result<String, Error> {
    Ok(text.repeat(2))
}

#[test]
fn both_answer() {
    assert_eq!(invoke("echo", "[]").unwrap(), "[]");
    assert_eq!(invoke("twice", r#"{"text": "a"}"#).unwrap(), r#""aa""#);
    assert_eq!(invoke("thrice", "{}").unwrap_err().code, "unknown-operation");
}

#[test]
#[should_panic(
    expected = "two operations are called `twice`, at guest-sdk/tests/by_hand.rs:26:1 and at guest-sdk/tests/by_hand.rs:29:1"
)]
fn two_of_one_name_are_told_with_both_places() {
    drop(operations());
}
