//! Looks values up in a JSON document by JSON Pointer (RFC 6901). Computes only: it needs no capability at all.

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, Tool};

struct JsonQuery;

tollgate_guest::export!(JsonQuery);

impl Tool for JsonQuery {
    fn operations() -> Vec<Operation> {
        vec![
            Operation {
                name: "query".into(),
                description: "Returns the value that a JSON Pointer (RFC 6901) such as /items/0/name selects.".into(),
                input_schema: include_str!("../schemas/input.json").into(),
                output_schema: include_str!("../schemas/query.output.json").into(),
            },
            Operation {
                name: "keys".into(),
                description: "Lists the keys of the object, or the length of the array, that a JSON Pointer selects."
                    .into(),
                input_schema: include_str!("../schemas/input.json").into(),
                output_schema: include_str!("../schemas/keys.output.json").into(),
            },
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        let args: Args =
            serde_json::from_str(arguments).map_err(|error| Error::invalid_arguments(error.to_string()))?;
        let answer = match operation {
            "query" => json!({ "value": args.select()? }),
            "keys" => keys(args.select()?)?,
            other => return Err(Error::unknown_operation(other)),
        };
        Ok(answer.to_string())
    }
}

/// Arguments of both operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    document: Value,
    /// The whole document if it is empty.
    #[serde(default)]
    pointer: String,
}

impl Args {
    fn select(&self) -> Result<&Value, Error> {
        if !self.pointer.is_empty() && !self.pointer.starts_with('/') {
            let message = format!("pointer {:?} must be empty or start with \"/\"", self.pointer);
            return Err(Error::invalid_arguments(message));
        }
        self.document
            .pointer(&self.pointer)
            .ok_or_else(|| Error::new("not-found", format!("nothing is at {:?}", self.pointer)))
    }
}

fn keys(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Object(object) => Ok(json!({ "keys": object.keys().collect::<Vec<_>>() })),
        Value::Array(array) => Ok(json!({ "length": array.len() })),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(Error::new("not-a-container", "the selected value is neither an object nor an array"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document of RFC 6901 §5.
    const RFC_6901: &str = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
                               "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;

    fn query(pointer: &str) -> Result<Value, Error> {
        let document: Value = serde_json::from_str(RFC_6901).unwrap();
        let arguments = json!({ "document": document, "pointer": pointer }).to_string();
        let answer: Value = serde_json::from_str(&JsonQuery::invoke("query", &arguments)?).unwrap();
        Ok(answer["value"].clone())
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
            assert_eq!(query(pointer).unwrap(), value, "{pointer}");
        }
    }

    #[test]
    fn what_is_not_there_is_a_refusal_and_not_null() {
        assert_eq!(query("/nope").unwrap_err().code, "not-found");
        assert_eq!(query("/foo/2").unwrap_err().code, "not-found");
        assert_eq!(query("foo").unwrap_err().code, "invalid-arguments");
    }

    #[test]
    fn keys_of_objects_and_lengths_of_arrays() {
        let keys = |document: Value| JsonQuery::invoke("keys", &json!({ "document": document }).to_string());
        assert_eq!(keys(json!({"b": 1, "a": 2})).unwrap().len(), r#"{"keys":["a","b"]}"#.len());
        assert_eq!(keys(json!([1, 2, 3])).unwrap(), r#"{"length":3}"#);
        assert_eq!(keys(json!(1)).unwrap_err().code, "not-a-container");
    }
}
