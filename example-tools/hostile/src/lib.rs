//! What the hostile guests share: arguments, operations, and how they tell what they got.
//!
//! Every guest answers what it reached, or the error that stopped it, so that a test can prove that nothing happened.
//! Nothing here may touch WASI: what a guest calls must be in the guest.

use std::io;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation};

/// An operation that takes any object, and answers with any JSON.
#[must_use]
pub fn operation(name: &str, description: &str) -> Operation {
    Operation {
        name: name.into(),
        description: description.into(),
        input_schema: r#"{"type": "object"}"#.into(),
        output_schema: "{}".into(),
    }
}

/// Parses the arguments of an attack.
///
/// # Errors
///
/// They are not what `T` takes.
pub fn parse<T: DeserializeOwned>(arguments: &str) -> Result<T, Error> {
    serde_json::from_str(arguments).map_err(|error| Error::invalid_arguments(error.to_string()))
}

/// `{"ok": value}`, or `{"err": {"kind", "errno", "message"}}` as [`error`] tells it.
#[must_use]
pub fn outcome<T: Into<Value>>(result: io::Result<T>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value.into() }),
        Err(cause) => json!({ "err": error(&cause) }),
    }
}

/// `{"kind": "PermissionDenied", "errno": 63, "message": "…"}`; `errno` is the C library's number for WASI, or null.
#[must_use]
pub fn error(cause: &io::Error) -> Value {
    json!({
        "kind": format!("{:?}", cause.kind()),
        "errno": cause.raw_os_error(),
        "message": cause.to_string(),
    })
}
