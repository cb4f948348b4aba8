//! A tool's input schema, made a validator. Schema and arguments are both untrusted and are evaluated outside fuel and
//! deadline, so a schema must be one whose work is bounded: no recursion, no references but `#/…`, no more than
//! [`EXPANDED_NODES_MAX`] nodes with all references followed, and patterns without backtracking.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Longest schema, in bytes.
const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Nodes of a schema with all references followed: some hundred times what a usual tool needs.
const EXPANDED_NODES_MAX: u64 = 10_000;
/// Levels of a schema with all references followed.
const EXPANDED_DEPTH_MAX: usize = 200;
/// Keys that refer to a schema by something else than a JSON pointer.
const INDIRECTIONS: [&str; 6] =
    ["$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef"];

/// A schema and its validator.
pub(crate) struct InputSchema {
    pub(crate) value: Value,
    pub(crate) validator: Validator,
}

/// Reads a schema. The error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<InputSchema, String> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {SCHEMA_BYTES_MAX} are taken", text.len()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut walk = Walk { root: &value, known: BTreeMap::new(), open: BTreeSet::new() };
    let nodes = walk.nodes(&value, 0)?;
    if nodes > EXPANDED_NODES_MAX {
        return Err(format!("with its references followed it has over {EXPANDED_NODES_MAX} nodes"));
    }
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(&value).map_err(|error| error.to_string())?;
    Ok(InputSchema { value, validator })
}

/// Has the libraries below ask the system what they ask once (the number of processors, for patterns): a sealed host could
/// not.
pub(crate) fn warm_up() {
    // A schema that is known to be good.
    if let Ok(schema) = parse(r#"{"type": "string", "pattern": "^[a-z]+$"}"#) {
        drop(schema.validator.validate(&Value::from("a")));
    }
}

/// Counts the nodes of a schema with all references followed.
struct Walk<'v> {
    root: &'v Value,
    known: BTreeMap<&'v str, u64>,
    open: BTreeSet<&'v str>,
}

impl<'v> Walk<'v> {
    fn nodes(&mut self, value: &'v Value, depth: usize) -> Result<u64, String> {
        if depth > EXPANDED_DEPTH_MAX {
            return Err(format!("with its references followed it has over {EXPANDED_DEPTH_MAX} levels"));
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(1),
            Value::Array(values) => self.sum(values.iter(), depth),
            Value::Object(object) => {
                if let Some(key) = INDIRECTIONS.iter().find(|key| object.contains_key(**key)) {
                    return Err(format!("it uses `{key}`; only `$ref` with `#/…` is taken"));
                }
                let referred = match object.get("$ref") {
                    Some(Value::String(pointer)) => self.referred(pointer, depth)?,
                    // A property may be called `$ref`; what is not a text refers to nothing.
                    Some(_) | None => 0,
                };
                Ok(referred.saturating_add(self.sum(object.values(), depth)?))
            }
        }
    }

    fn sum(&mut self, values: impl Iterator<Item = &'v Value>, depth: usize) -> Result<u64, String> {
        let mut sum = 1_u64;
        for value in values {
            sum = sum.saturating_add(self.nodes(value, depth + 1)?);
        }
        Ok(sum)
    }

    fn referred(&mut self, pointer: &'v str, depth: usize) -> Result<u64, String> {
        if let Some(nodes) = self.known.get(pointer) {
            return Ok(*nodes);
        }
        let target = pointer.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Err(format!("its reference `{pointer}` leads nowhere; only `#/…` within it is taken"));
        };
        if !self.open.insert(pointer) {
            return Err(format!("it is recursive: `{pointer}` leads back to itself"));
        }
        let nodes = self.nodes(target, depth + 1)?;
        self.open.remove(pointer);
        self.known.insert(pointer, nodes);
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(schema: &str) -> String {
        parse(schema).err().unwrap_or_else(|| panic!("taken: {schema}"))
    }

    #[test]
    fn a_usual_schema_with_definitions_is_taken() {
        let schema = r##"{"type": "object", "properties": {"at": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}},
            "$defs": {"point": {"type": "array", "items": {"type": "number"}}}}"##;
        let schema = parse(schema).unwrap();
        assert!(schema.validator.is_valid(&serde_json::json!({"at": [1, 2]})));
        assert!(!schema.validator.is_valid(&serde_json::json!({"at": ["x"]})));
    }

    #[test]
    fn recursion_is_refused() {
        assert!(refused(r##"{"$ref": "#"}"##).contains("recursive"));
        assert!(refused(r##"{"properties": {"a": {"$ref": "#"}}}"##).contains("recursive"));
        let mutual = r##"{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##;
        assert!(refused(mutual).contains("recursive"));
        assert!(refused(r##"{"$dynamicRef": "#x"}"##).contains("$dynamicRef"));
    }

    #[test]
    fn doubling_by_references_is_refused() {
        let mut definitions = r#""d0": {"type": "integer"}"#.to_owned();
        for level in 1..=40 {
            let before = level - 1;
            definitions += &format!(
                r##", "d{level}": {{"allOf": [{{"$ref": "#/$defs/d{before}"}}, {{"$ref": "#/$defs/d{before}"}}]}}"##
            );
        }
        let schema = format!(r##"{{"$defs": {{{definitions}}}, "$ref": "#/$defs/d40"}}"##);
        assert!(refused(&schema).contains("nodes"));
    }

    #[test]
    fn other_documents_are_never_read() {
        assert!(refused(r#"{"$ref": "file:///etc/passwd"}"#).contains("leads nowhere"));
        assert!(refused(r#"{"$ref": "http://example.com/schema"}"#).contains("leads nowhere"));
        assert!(refused(r#"{"$id": "http://example.com/schema"}"#).contains("$id"));
    }

    #[test]
    fn a_backtracking_pattern_is_no_schema() {
        assert!(parse(r#"{"pattern": "(?=a)b"}"#).is_err());
        assert!(parse(r#"{"pattern": "^(a+)+$"}"#).is_ok(), "linear in this engine");
    }

    #[test]
    fn size_and_depth_have_bounds() {
        assert!(refused(&format!(r#"{{"title": "{}"}}"#, "x".repeat(SCHEMA_BYTES_MAX))).contains("bytes"));
        assert!(refused(&format!("{}true{}", r#"{"not":"#.repeat(128), "}".repeat(128))).contains("recursion limit"));
        let chain: Vec<String> =
            (0..300).map(|at| format!(r##""d{at}": {{"$ref": "#/$defs/d{}"}}"##, at + 1)).collect();
        let schema = format!(r##"{{"$defs": {{{}, "d300": true}}, "$ref": "#/$defs/d0"}}"##, chain.join(","));
        assert!(refused(&schema).contains("levels"));
    }
}
