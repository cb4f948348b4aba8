//! The tool that the benches call: as little work of its own as possible, so that what is measured is the host.
//!
//! Its arguments are scanned, not parsed: strings with escapes are refused.

use std::fs;

use tollgate_guest::{Error, Operation, Tool};

struct EchoRead;

tollgate_guest::export!(EchoRead);

const READ_INPUT: &str = r#"{"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}"#;
const READ_MANY_INPUT: &str = r#"{"type": "object", "properties": {"path": {"type": "string"}, "times": {"type": "integer", "minimum": 0}}, "required": ["path", "times"]}"#;
const BYTES_OUTPUT: &str = r#"{"type": "object", "properties": {"bytes": {"type": "integer"}}, "required": ["bytes"]}"#;

impl Tool for EchoRead {
    fn operations() -> Vec<Operation> {
        vec![
            operation("echo", "Returns its arguments unchanged.", "{}", "{}"),
            operation("read", "Reads a file and returns its length.", READ_INPUT, BYTES_OUTPUT),
            operation(
                "read-many",
                "Opens and reads a file a number of times and returns the length of all reads.",
                READ_MANY_INPUT,
                BYTES_OUTPUT,
            ),
        ]
    }

    fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
        match operation {
            "echo" => Ok(arguments.to_owned()),
            "read" => read_many(arguments, 1),
            "read-many" => {
                let times = number(arguments, "times").ok_or_else(|| missing("times"))?;
                read_many(arguments, times)
            }
            other => Err(Error::unknown_operation(other)),
        }
    }
}

fn read_many(arguments: &str, times: u64) -> Result<String, Error> {
    let path = string(arguments, "path").ok_or_else(|| missing("path"))?;
    let mut bytes = 0;
    for _ in 0..times {
        bytes += fs::read(path).map_err(|error| Error::new("io", format!("cannot read {path}: {error}")))?.len();
    }
    Ok(format!("{{\"bytes\":{bytes}}}"))
}

fn operation(name: &str, description: &str, input_schema: &str, output_schema: &str) -> Operation {
    Operation {
        name: name.into(),
        description: description.into(),
        input_schema: input_schema.into(),
        output_schema: output_schema.into(),
    }
}

fn missing(key: &str) -> Error {
    Error::invalid_arguments(format!("{key:?} is missing, or has escapes"))
}

/// The text after `"key":`, if the key is there.
fn value<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    json.match_indices(key).find_map(|(at, _)| {
        let before = json.get(..at)?;
        let after = json.get(at + key.len()..)?.strip_prefix('"')?.trim_start().strip_prefix(':')?;
        before.ends_with('"').then(|| after.trim_start())
    })
}

fn string<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let (text, _) = value(json, key)?.strip_prefix('"')?.split_once('"')?;
    (!text.contains('\\')).then_some(text)
}

fn number(json: &str, key: &str) -> Option<u64> {
    let text = value(json, key)?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_its_arguments() {
        let json = r#"{ "times" : 12, "path": "/data/path" }"#;
        assert_eq!(string(json, "path"), Some("/data/path"));
        assert_eq!(number(json, "times"), Some(12));
        assert_eq!(string(r#"{"path":"/a\"b"}"#, "path"), None);
        assert_eq!(number(r#"{"times":""}"#, "times"), None);
    }

    #[test]
    fn echoes() {
        assert_eq!(EchoRead::invoke("echo", r#"{"a":1}"#).unwrap(), r#"{"a":1}"#);
    }
}
