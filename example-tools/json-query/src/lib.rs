//! Looks values up in a JSON document: one value by JSON Pointer, any shape by JMESPath. Computes only: it needs no
//! capability at all.

// For the component alone: see `Cargo.toml`.
#[cfg(target_family = "wasm")]
mod search;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tollgate_guest::{Error, tool};

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    value: Value,
}

/// What a container holds.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(untagged)]
enum Contents {
    Object {
        /// Sorted.
        keys: Vec<String>,
    },
    Array {
        length: usize,
    },
}

/// Returns the value that a JSON Pointer (RFC 6901) such as /items/0/name selects.
#[tool]
fn query(
    /// The JSON document to look into.
    document: Value,
    /// The pointer; empty for the whole document, which is the default.
    #[schemars(regex(pattern = "^(/.*)?$"))]
    #[serde(default)]
    pointer: String,
) -> Result<Found, Error> {
    Ok(Found { value: select(&document, &pointer)?.clone() })
}

/// Lists the keys of the object, or the length of the array, that a JSON Pointer selects.
#[tool]
fn keys(
    /// The JSON document to look into.
    document: Value,
    /// The pointer; empty for the whole document, which is the default.
    #[schemars(regex(pattern = "^(/.*)?$"))]
    #[serde(default)]
    pointer: String,
) -> Result<Contents, Error> {
    match select(&document, &pointer)? {
        Value::Object(object) => {
            let mut keys: Vec<_> = object.keys().cloned().collect();
            keys.sort_unstable();
            Ok(Contents::Object { keys })
        }
        Value::Array(array) => Ok(Contents::Array { length: array.len() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(Error::new("not-a-container", "the selected value is neither an object nor an array"))
        }
    }
}

fn select<'d>(document: &'d Value, pointer: &str) -> Result<&'d Value, Error> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(Error::invalid_arguments(format!("pointer {pointer:?} must be empty or start with \"/\"")));
    }
    document.pointer(pointer).ok_or_else(|| Error::new("not-found", format!("nothing is at {pointer:?}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The document of RFC 6901 §5.
    const RFC_6901: &str = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
                               "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;

    fn query_rfc(pointer: &str) -> Result<Value, Error> {
        query(serde_json::from_str(RFC_6901).unwrap(), pointer.into()).map(|found| found.value)
    }

    #[test]
    fn answers_the_examples_of_the_rfc() {
        for (pointer, value) in [
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(query_rfc(pointer).unwrap(), value, "{pointer}");
        }
    }

    #[test]
    fn what_is_not_there_is_a_refusal_and_not_null() {
        assert_eq!(query_rfc("/nope").unwrap_err().code, "not-found");
        assert_eq!(query_rfc("/foo/2").unwrap_err().code, "not-found");
        assert_eq!(query_rfc("foo").unwrap_err().code, "invalid-arguments");
    }

    #[test]
    fn keys_of_objects_and_lengths_of_arrays() {
        let keys_of = |document: Value| keys(document, String::new());
        let sorted = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(keys_of(json!({"b": 1, "a": 2})).unwrap(), Contents::Object { keys: sorted });
        assert_eq!(keys_of(json!([1, 2, 3])).unwrap(), Contents::Array { length: 3 });
        assert_eq!(keys_of(json!(1)).unwrap_err().code, "not-a-container");
    }
}
