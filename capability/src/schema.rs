//! JSON Schemas of both files, for editors. They are made from the same types that read the files; what they cannot say
//! (overlapping folders, bounds of sizes) only the parser checks.

use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Value, json};

use crate::manifest::RawManifest;
use crate::policy::RawPolicy;
use crate::units::Unit;

/// The schema of `tool.toml`.
#[must_use]
pub fn manifest_schema() -> Value {
    without_null(schemars::schema_for!(RawManifest))
}

/// The schema of `tollgate.toml`.
#[must_use]
pub fn policy_schema() -> Value {
    without_null(schemars::schema_for!(RawPolicy))
}

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

/// TOML has no null: a key that may be left out is not one that may be null.
fn without_null(mut schema: Schema) -> Value {
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
