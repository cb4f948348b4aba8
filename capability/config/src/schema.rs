//! JSON Schemas of both files, for editors. They are made from the same types that read the files; what they cannot say
//! (overlapping folders, bounds of sizes) only the parser checks.

use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde::Serialize;
use serde_json::{Value, json};

use crate::units::Unit;

/// How a reader should call the keys of a table that the file names itself.
pub(crate) fn key(placeholder: &str) -> Value {
    json!({ "title": placeholder })
}

/// The default of a list.
pub(crate) const NOTHING: [&str; 0] = [];

/// How many values each list of a table may hold.
pub(crate) fn values_length(min: usize, max: usize) -> impl FnMut(&mut Schema) {
    move |schema| {
        if let Some(Value::Object(list)) = schema.get_mut("additionalProperties") {
            list.insert("minItems".to_owned(), min.into());
            list.insert("maxItems".to_owned(), max.into());
        }
    }
}

/// Default and bounds of a number. JSON Schema has no words for the bounds of a text with a unit, so that those of sizes and
/// durations are annotations.
pub(crate) fn quantity(unit: Unit, default: u64, (min, max): (u64, u64)) -> impl FnMut(&mut Schema) {
    move |schema| {
        let (keys, values) = match unit {
            Unit::Count => (["minimum", "maximum"], [default, min, max].map(Value::from)),
            Unit::Bytes | Unit::Time => {
                (["x-minimum", "x-maximum"], [default, min, max].map(|value| unit.show(value).into()))
            }
        };
        let [default, min, max] = values;
        let [min_key, max_key] = keys;
        for (key, value) in [("default", default), (min_key, min), (max_key, max)] {
            schema.insert(key.to_owned(), value);
        }
    }
}

/// A number of bytes, or a text of a whole number and a unit: `16MiB`, `512B`, `2MB`. `KiB`, `MiB`, `GiB` and `TiB` are
/// powers of 1024, `KB`, `MB`, `GB` and `TB` of 1000.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Size")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum SizeSchema {
    /// Bytes.
    Bytes(u64),
    /// A number and a unit.
    Text(#[schemars(regex(pattern = r"^[0-9]+(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$"))] String),
}

/// A text of a whole number and a unit: `500ms`, `2s`, `1m`, `1h`.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Duration")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct DurationSchema(#[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h)$"))] String);

/// TOML has no null: a key that may be left out is not one that may be null.
pub(crate) fn without_null(mut schema: Schema) -> Value {
    RecursiveTransform(take_null_out).transform(&mut schema);
    schema.to_value()
}

fn take_null_out(schema: &mut Schema) {
    let null = Value::from("null");
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| *name != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&null));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            only.into_iter().for_each(|(key, value)| drop(schema.insert(key, value)));
        }
    }
}
