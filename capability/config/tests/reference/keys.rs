//! The tables and keys of a file, in the order of its schema, each with what the schema says of it.

use serde_json::{Map, Value};

/// A table, or a key that takes a value.
pub(crate) struct Item {
    /// Such as `needs.fs[].access`; where the file chooses the name, a word in capitals: `tools.NAME.record`.
    pub(crate) path: String,
    pub(crate) is_table: bool,
    pub(crate) required: bool,
    /// Its schema, references to tables resolved.
    pub(crate) schema: Map<String, Value>,
}

impl Item {
    /// The name of its example's file.
    pub(crate) fn file_stem(&self) -> String {
        self.path.replace("[]", "")
    }
}

/// All tables and keys below the root.
pub(crate) fn items(schema: &Value) -> Vec<Item> {
    let mut walk = Walk { root: schema, items: Vec::new() };
    walk.properties(schema.as_object().unwrap(), "");
    walk.items
}

struct Walk<'s> {
    root: &'s Value,
    items: Vec<Item>,
}

impl Walk<'_> {
    fn properties(&mut self, table: &Map<String, Value>, path: &str) {
        let required = table.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        for (key, schema) in table["properties"].as_object().unwrap() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.value(schema.as_object().unwrap().clone(), path, required.contains(&Value::from(key.as_str())));
        }
    }

    fn value(&mut self, schema: Map<String, Value>, path: String, required: bool) {
        let whole = resolved(self.root, &schema);
        if whole.contains_key("properties") {
            self.items.push(Item { path: path.clone(), is_table: true, required, schema: whole.clone() });
            return self.properties(&whole, &path);
        }
        if let Some(Value::Object(each)) = whole.get("additionalProperties") {
            let name =
                whole["propertyNames"]["title"].as_str().unwrap_or_else(|| panic!("{path}: a name for its keys"));
            return self.value(described_by(each, &whole), format!("{path}.{name}"), false);
        }
        if let Some(Value::Object(each)) = whole.get("items")
            && resolved(self.root, each).contains_key("properties")
        {
            return self.value(described_by(each, &whole), format!("{path}[]"), required);
        }
        self.items.push(Item { path: path.clone(), is_table: false, required, schema });
        // A value that may be a table, too: its keys are keys of their own.
        for choice in whole.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            let choice = resolved(self.root, choice.as_object().unwrap());
            if choice.contains_key("properties") {
                self.properties(&choice, &path);
            }
        }
    }
}

/// What a schema says, and what the one says that it refers to; its own words go first.
pub(crate) fn resolved(root: &Value, schema: &Map<String, Value>) -> Map<String, Value> {
    let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema.clone() };
    let target = root.pointer(reference.trim_start_matches('#')).unwrap().as_object().unwrap();
    let mut whole = target.clone();
    whole.extend(schema.iter().filter(|(key, _)| *key != "$ref").map(|(key, value)| (key.clone(), value.clone())));
    whole
}

/// The schema of one of many, described as all of them are.
fn described_by(each: &Map<String, Value>, all: &Map<String, Value>) -> Map<String, Value> {
    let mut each = each.clone();
    for word in ["description", "minItems", "maxItems"] {
        if let (None, Some(value)) = (each.get(word), all.get(word)) {
            each.insert(word.to_owned(), value.clone());
        }
    }
    each
}
