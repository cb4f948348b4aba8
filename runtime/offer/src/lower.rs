//! JSON Schemas as interfaces of models take them. At the root stands an object without combinators, nothing refers to elsewhere, and
//! what a provider does not know is left out. What is left out makes a schema wider, never narrower: the tool's own schema judges.
//!
//! What is no object at the root is put into one: `{"input": …}` for arguments, `{"result": …}` for results.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use tollgate_plain::output;

use crate::list::Provider;

/// A schema for a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered {
    /// An object's.
    pub schema: Value,
    /// Whether the value stands in an object that the tool does not have.
    pub is_wrapped: bool,
}

/// The schema of an operation's arguments, of one that `tollgate-schema` takes, whose limits bound the work. Whatever the tool's own takes is taken, by itself or in its wrapping.
#[must_use]
pub fn lower_input(schema: &Value, provider: Provider) -> Lowered {
    lowered(schema, provider, INPUT)
}

/// The schema of an operation's result.
#[must_use]
pub fn lower_output(schema: &Value, provider: Provider) -> Lowered {
    lowered(schema, provider, OUTPUT)
}

/// Whether values of a tool's schema stand in an object that the tool does not have, since they need not be objects.
#[must_use]
pub fn is_wrapped(schema: &Value) -> bool {
    !is_object(schema, schema, DEPTH_MAX)
}

/// The tool's arguments of those that a model gave in their wrapping, byte for byte; what is given bare stays as it is.
#[must_use]
pub fn unwrapped_input(arguments: &str) -> &str {
    let given: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(arguments).ok();
    let inner = given.filter(|given| given.len() == 1).and_then(|given| given.get(INPUT).map(|inner| inner.get()));
    inner.unwrap_or(arguments)
}

/// A tool's result in its wrapping, in JSON.
#[must_use]
pub fn wrapped_output(output: &str) -> String {
    format!("{{\"{OUTPUT}\":{output}}}")
}

const INPUT: &str = "input";
const OUTPUT: &str = "result";

/// Schemas that are taken have no more levels, with their references followed (`tollgate_schema::limits::SCHEMA_DEPTH_MAX`).
const DEPTH_MAX: usize = 100;

/// Most bytes of a lowered schema in JSON, but for its wrapping: references make one long that was short. Four times the longest schema
/// that is taken (`tollgate_schema::limits::SCHEMA_BYTES_MAX`), so that one without references is lowered whole.
const BYTES_MAX: usize = 256 << 10;

fn lowered(schema: &Value, provider: Provider, key: &str) -> Lowered {
    lowered_within(BYTES_MAX, schema, provider, key)
}

fn lowered_within(bytes: usize, schema: &Value, provider: Provider, key: &str) -> Lowered {
    let mut lowering = Lowering { root: schema, provider, bytes };
    if is_object(schema, schema, DEPTH_MAX) {
        return Lowered { schema: Value::Object(lowering.object(schema)), is_wrapped: false };
    }
    let inner = lowering.schema(schema, DEPTH_MAX);
    let mut wrapping = json!({ "type": "object", "properties": { key: inner }, "required": [key] });
    if let (Value::Object(wrapping), true) = (&mut wrapping, provider != Provider::Gemini) {
        wrapping.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Lowered { schema: wrapping, is_wrapped: true }
}

/// Whether whatever fits is an object.
fn is_object(root: &Value, schema: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let Some(keywords) = schema.as_object() else { return false };
    let each = |key: &str| keywords.get(key).and_then(Value::as_array);
    let is = |schema: &Value| is_object(root, schema, depth);
    keywords.get("type").is_some_and(|name| name == "object" || *name == json!(["object"]))
        || target(root, keywords).is_some_and(is)
        || each("allOf").is_some_and(|all| all.iter().any(is))
        || ["anyOf", "oneOf"].iter().any(|key| each(key).is_some_and(|any| !any.is_empty() && any.iter().all(is)))
        || each("enum").is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_object))
        || keywords.get("const").is_some_and(Value::is_object)
}

/// What a `$ref` is of.
fn target<'v>(root: &'v Value, keywords: &Map<String, Value>) -> Option<&'v Value> {
    let pointer = keywords.get("$ref")?.as_str()?.strip_prefix('#')?;
    // The fragment of a URI.
    root.pointer(&decoded(pointer)?)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next())? * 16 + digit(rest.next())?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

struct Lowering<'v> {
    root: &'v Value,
    provider: Provider,
    /// How many more may be written.
    bytes: usize,
}

impl Lowering<'_> {
    /// An object's schema for the root, which has no combinators there.
    fn object(&mut self, schema: &Value) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("type".to_owned(), "object".into());
        let Value::Object(whole) = self.schema(schema, DEPTH_MAX) else { return object };
        let is_closed = whole.get("additionalProperties") == Some(&Value::Bool(false));
        let mut properties = Map::new();
        for (key, value) in &whole {
            match (key.as_str(), value) {
                ("properties", Value::Object(own)) => properties.extend(own.clone()),
                ("type", _) => {}
                (key, _) if COMBINATORS.contains(&key) => {}
                (key, value) => {
                    object.insert(key.to_owned(), value.clone());
                }
            }
        }
        // What a branch names is worth knowing, though any value of it must be taken.
        let branches = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| whole.get(*key)?.as_array()).flatten();
        let named = branches.filter_map(|branch| branch.get("properties")?.as_object()).flatten();
        for (name, below) in named.filter(|_| !is_closed) {
            let remark = below.get("description").map(|text| json!({ "description": text }));
            properties.entry(name.clone()).or_insert_with(|| remark.unwrap_or_else(|| json!({})));
        }
        if !properties.is_empty() || self.provider != Provider::Mcp {
            object.insert("properties".to_owned(), Value::Object(properties));
        }
        object
    }

    /// Whether so many bytes may be written. The first that are too many end it: nothing is written after them.
    fn pays(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.is_some()
    }

    /// Whole, or `{}`: of keywords that belong together, such as `properties` and `additionalProperties`, none may be left out alone.
    fn schema(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(depth) = depth.checked_sub(1) else { return json!({}) };
        let Some(keywords) = schema.as_object() else {
            let is_never = schema == &Value::Bool(false) && self.provider != Provider::Gemini;
            let never = json!({ "not": {} });
            return if is_never && self.pays(length(&never)) { never } else { json!({}) };
        };
        // Following it costs, too: the pointer may be long.
        if !self.pays(keywords.get("$ref").map_or(0, length)) {
            return json!({});
        }
        if let Some(target) = target(self.root, keywords) {
            let remark =
                keywords.get("description").and_then(text).filter(|text| self.pays(length(text) + REMARK_BYTES));
            // What stands beside a reference narrows it: without it, more is taken.
            let mut inlined = self.schema(target, depth);
            if let (Some(text), Value::Object(inlined)) = (remark, &mut inlined) {
                inlined.insert("description".to_owned(), text);
            }
            return inlined;
        }
        if !self.pays(keywords.iter().map(|(key, value)| length_of_keyword(key, value)).sum()) {
            return json!({});
        }
        let lowered = match self.provider {
            Provider::Gemini => self.subset(keywords, depth),
            Provider::Mcp | Provider::Openai | Provider::Anthropic => self.all(keywords, depth),
        };
        Value::Object(lowered)
    }

    /// All keywords, but for what refers and what is older spelling.
    fn all(&mut self, keywords: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut lowered = Map::new();
        for (key, value) in keywords {
            match key.as_str() {
                "$defs" | "$schema" | "$ref" | "$comment" => {}
                "title" | "description" => lowered.extend(text(value).map(|text| (key.clone(), text))),
                "const" => {
                    lowered.entry("enum").or_insert_with(|| json!([value]));
                }
                // What is one of several is any of them.
                "oneOf" => {
                    let any = self.each(value, depth);
                    lowered.entry("anyOf").or_insert(any);
                }
                "anyOf" => {
                    lowered.insert("anyOf".to_owned(), self.each(value, depth));
                }
                "allOf" | "prefixItems" => {
                    lowered.insert(key.clone(), self.each(value, depth));
                }
                "properties" | "patternProperties" => {
                    lowered.insert(key.clone(), self.values(value, depth));
                }
                "items" | "additionalProperties" if value.is_boolean() => {
                    lowered.insert(key.clone(), value.clone());
                }
                // Lowered, more fits; so how many may is not said, and where none need to, nothing is.
                "contains" if keywords.contains_key("minContains") => {}
                "items" | "additionalProperties" | "propertyNames" | "contains" => {
                    lowered.insert(key.clone(), self.schema(value, depth));
                }
                // They refuse what fits the schema in them: lowered, that would be more.
                "not" | "if" | "then" | "else" | "dependentSchemas" | "unevaluatedProperties" | "contentSchema" => {}
                "maxContains" | "minContains" => {}
                // Remarks: one that has what nobody sees, or what changes the order of the text, is left out, which narrows nothing.
                "default" | "examples" | "contentMediaType" | "contentEncoding" | "$anchor" | "$dynamicAnchor"
                | "$id"
                    if steers(value) => {}
                // The author's own remarks. `x-mcp-header` would have clients send an argument in a header as well, which nobody compares.
                own if own.starts_with("x-") => {}
                // Validators warn of one that they do not know, or refuse the whole schema.
                "format" if !value.as_str().is_some_and(|name| FORMATS.contains(&name)) => {}
                _other => {
                    lowered.insert(key.clone(), value.clone());
                }
            }
        }
        lowered
    }

    /// The keywords that Gemini knows.
    fn subset(&mut self, keywords: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let mut lowered = Map::new();
        for (key, value) in keywords {
            match key.as_str() {
                "title" | "description" => lowered.extend(text(value).map(|text| (key.clone(), text))),
                "required" | "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
                | "maxProperties" | "pattern" | "minimum" | "maximum" => {
                    lowered.insert(key.clone(), value.clone());
                }
                "exclusiveMinimum" => {
                    lowered.entry("minimum").or_insert_with(|| value.clone());
                }
                "exclusiveMaximum" => {
                    lowered.entry("maximum").or_insert_with(|| value.clone());
                }
                "enum" if is_texts(value) => {
                    lowered.insert(key.clone(), value.clone());
                }
                "const" if value.is_string() => {
                    lowered.entry("enum").or_insert_with(|| json!([value]));
                }
                "properties" => {
                    lowered.insert(key.clone(), self.values(value, depth));
                }
                // After `prefixItems` it is about the rest alone.
                "items" if !keywords.contains_key("prefixItems") && value.is_object() => {
                    lowered.insert(key.clone(), self.schema(value, depth));
                }
                "anyOf" => {
                    lowered.insert(key.clone(), self.each(value, depth));
                }
                "oneOf" if !keywords.contains_key("anyOf") => {
                    lowered.insert("anyOf".to_owned(), self.each(value, depth));
                }
                _other => {}
            }
        }
        // One that is required and not described makes the whole request fail.
        if let Some(Value::Array(mut required)) = lowered.remove("required") {
            let known = lowered.get("properties").and_then(Value::as_object);
            let is_known =
                |name: &Value| name.as_str().zip(known).is_some_and(|(name, known)| known.contains_key(name));
            required.retain(is_known);
            if !required.is_empty() {
                lowered.insert("required".to_owned(), Value::Array(required));
            }
        }
        of_types(keywords, lowered)
    }

    fn each(&mut self, schemas: &Value, depth: usize) -> Value {
        let schemas = schemas.as_array().into_iter().flatten();
        Value::Array(schemas.map(|schema| self.schema(schema, depth)).collect())
    }

    fn values(&mut self, schemas: &Value, depth: usize) -> Value {
        let schemas = schemas.as_object().into_iter().flatten();
        Value::Object(schemas.map(|(key, schema)| (key.clone(), self.schema(schema, depth))).collect())
    }
}

/// A text for models: its author's, with characters written out that are not seen or that steer what is.
fn text(value: &Value) -> Option<Value> {
    value.as_str().map(|text| Value::from(&*output(text)))
}

/// Most bytes that a keyword of a lowered schema has, with `{}` for each schema below it.
fn length_of_keyword(key: &str, value: &Value) -> usize {
    // Quotes, colon and comma, and the list of one that a `const` is.
    let name = key.len() + 6;
    match key {
        "$defs" | "$schema" | "$ref" | "$comment" | "minContains" | "maxContains" => 0,
        "not" | "if" | "then" | "else" | "dependentSchemas" | "unevaluatedProperties" | "contentSchema" => 0,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => name + value.as_array().map_or(2, |each| 2 + 3 * each.len()),
        "properties" | "patternProperties" => {
            name + 2 + value.as_object().into_iter().flatten().map(|(key, _)| length(key) + 4).sum::<usize>()
        }
        "items" | "additionalProperties" | "propertyNames" | "contains" => name + 5,
        "title" | "description" => text(value).map_or(0, |text| name + length(&text)),
        // Each may become a branch of its own.
        "type" => name + 8 * length(value),
        _other => name + length(value),
    }
}

/// Whether its text would be shown otherwise than it stands.
fn steers(value: &Value) -> bool {
    let text = value.to_string();
    output(&text) != text
}

/// The bytes of a value in JSON.
pub(crate) fn length(value: &(impl Serialize + ?Sized)) -> usize {
    struct Counted(usize);
    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).map_or(usize::MAX, |()| counted.0)
}

/// `"description":` and a comma.
const REMARK_BYTES: usize = 15;

/// One type, or any of several, each with what is said of it.
fn of_types(keywords: &Map<String, Value>, mut lowered: Map<String, Value>) -> Map<String, Value> {
    let names: Vec<&str> = match keywords.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => return lowered,
    };
    if let [name] = names.as_slice() {
        lowered.insert("type".to_owned(), Value::from(*name));
        if *name == "array" {
            lowered.entry("items").or_insert_with(|| json!({}));
        }
        return lowered;
    }
    // Two such lists would be one that holds for both.
    if lowered.contains_key("anyOf") {
        return lowered;
    }
    let branch = |name: &&str| {
        let own = lowered.iter().filter(|(key, _)| says_of(key).is_some_and(|types| types.contains(name)));
        let mut branch: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        branch.insert("type".to_owned(), Value::from(*name));
        if *name == "array" {
            branch.entry("items").or_insert_with(|| json!({}));
        }
        Value::Object(branch)
    };
    let branches: Vec<Value> = names.iter().map(branch).collect();
    lowered.retain(|key, _| matches!(key.as_str(), "title" | "description"));
    lowered.insert("anyOf".to_owned(), Value::Array(branches));
    lowered
}

/// The formats of JSON Schema 2020-12 (Validation, §7.3). Languages' generators write others, such as `uint64`.
const FORMATS: [&str; 19] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// What makes whole requests fail where it stands at the root.
const COMBINATORS: [&str; 5] = ["allOf", "anyOf", "oneOf", "enum", "const"];

fn is_texts(values: &Value) -> bool {
    values.as_array().is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string))
}

/// The types that a keyword says something of.
fn says_of(key: &str) -> Option<&'static [&'static str]> {
    match key {
        "minLength" | "maxLength" | "pattern" | "enum" => Some(&["string"]),
        "minimum" | "maximum" => Some(&["number", "integer"]),
        "items" | "minItems" | "maxItems" => Some(&["array"]),
        "properties" | "required" | "minProperties" | "maxProperties" => Some(&["object"]),
        _other => None,
    }
}

#[cfg(test)]
mod tests;
