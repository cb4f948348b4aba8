//! JMESPath (<https://jmespath.org>) over a document. Tested in the component: `tests/tools/json_query.rs`.

use serde_json::Value;
use tollgate_guest::{Error, tool};

use crate::Found;

/// Selects, filters and reshapes a document by a JMESPath expression such as items[?price > `10`].name; null if nothing fits.
#[tool]
fn search(
    /// The JSON document to look into.
    document: Value,
    /// The JMESPath expression.
    expression: String,
) -> Result<Found, Error> {
    let refused = |error: jmespath::JmespathError| Error::new("invalid-expression", error.to_string());
    let found = jmespath::compile(&expression).and_then(|compiled| compiled.search(document)).map_err(refused)?;
    let value = serde_json::to_value(found);
    Ok(Found { value: value.map_err(|error| Error::new("no-json", format!("the result is no JSON: {error}")))? })
}
