//! JSON Schemas of both files, for editors. They are made from the same types that read the files; what they cannot say
//! (overlapping folders, bounds of sizes) only the parser checks.

use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use crate::manifest::RawManifest;
use crate::policy::RawPolicy;

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
