//! JSON Schemas from types, as a host takes them: draft 2020-12, and they say so, without references. Must never run while a
//! tool answers.

use core::mem::ManuallyDrop;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// The schema of what is read as `T`.
pub(crate) fn of_input<T: JsonSchema>() -> String {
    of::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The only draft that a host takes.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of what is written as `T`.
pub(crate) fn of_output<T: JsonSchema>() -> String {
    of::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn of<T: JsonSchema>(settings: SchemaSettings) -> String {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    // Never dropped: the instance ends after it has told its operations, and what drops a generator is 3 KiB of code.
    let mut generator = ManuallyDrop::new(settings.into_generator());
    let mut schema = ManuallyDrop::new(generator.subschema_for::<T>());
    if schema.as_object().is_some() {
        schema.insert("$schema".to_owned(), DRAFT.into());
    }
    if !generator.definitions().is_empty() {
        // Only what refers to itself has definitions left. The host refuses it, and must see why.
        let definitions = generator.take_definitions(false);
        schema.insert("$defs".to_owned(), definitions.into());
    }
    // Cannot fail: a JSON value has keys of text.
    serde_json::to_string(schema.as_value()).unwrap_or_default()
}
