#![doc = include_str!("../README.md")]
//!
//! # What the standard library asks for
//!
//! Starting calls nothing: an instance that only computes makes no WASI call at all. Some of what the standard library does
//! counts as asking:
//!
//! | Rust | calls |
//! |---|---|
//! | `HashMap`, `HashSet` (keys are random) | `insecure-seed`; `BTreeMap` calls nothing |
//! | `env::var`, `env::vars`, `Backtrace::capture` and so `anyhow::Error` | `get-environment`, which is empty without a grant |
//! | `fs::metadata`, `Path::exists` | `metadata-hash-at`, `stat-at` |
//! | `fs::read_dir` | `metadata-hash-at` for each entry |
//! | `Instant::now`, `SystemTime::now`, `thread::sleep` | the clocks |
//! | `println!`, `eprintln!`, the macros of [`log`] | standard output, standard error |
//! | an allocation that fails | `get-environment`, after its message on standard error |
//!
//! This crate must never call WASI before the tool does: an access that the author did not write would end the tool.

#[doc(hidden)]
pub mod bindings;
mod context;
mod dispatch;
mod error;
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "unit tests of a tool have a logger of their own"))]
mod logging;
#[cfg(target_family = "wasm")]
mod panic;
mod raw;
mod registry;
mod schema;
#[cfg(target_family = "wasm")]
mod shim;
mod typed;

pub use bindings::exports::tollgate::tool::tool::{Error, Operation};
pub use context::{Context, context};
pub use dispatch::{invoke, operations};
pub use log;
pub use raw::Tool;

/// Makes a function an operation of the tool that this crate is. The function stays as it is.
///
/// - **Name**: the function's, with hyphens for underscores, or that of `#[tool(name = "…")]`; letters from a to z, digits
///   and hyphens, at most 64 bytes.
/// - **Description**: the doc comment, by which an agent chooses the operation. Required.
/// - **Arguments**: each parameter is a property of one JSON object, its doc comment the property's description. An
///   `Option` may be missing; a property of no parameter is refused. The attributes of serde and schemars work on
///   parameters: `#[serde(default)]`, `#[schemars(range(max = 100))]`. Types own what they hold, and implement
///   `serde::Deserialize` and `schemars::JsonSchema`.
/// - **Answer**: the function returns `Result<T, E>`, where `T` implements `serde::Serialize` and
///   `schemars::JsonSchema`, and `E` can be turned into [`Error`].
///
/// ```
/// use tollgate_guest::{Error, tool};
///
/// /// Adds numbers.
/// #[tool(name = "sum")]
/// fn add(
///     /// What to add.
///     numbers: Vec<i64>,
///     /// Where to begin; 0 if it is missing.
///     start: Option<i64>,
/// ) -> Result<i64, Error> {
///     let mut sum = start.unwrap_or_default();
///     for number in numbers {
///         sum = sum.checked_add(number).ok_or_else(|| Error::new("too-large", "the sum has no 64 bits"))?;
///     }
///     Ok(sum)
/// }
///
/// # fn main() {
/// assert_eq!(add(vec![1, 2], Some(3)).unwrap(), 6);
/// assert_eq!(tollgate_guest::invoke("sum", r#"{"numbers": [1, 2]}"#).unwrap(), "3");
/// # }
/// ```
///
/// Types that refer to themselves have no schema without references, and the host refuses the tool.
pub use tollgate_guest_macros::tool;

/// What the macros expand to. Not covered by any promise of stability.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    pub use schemars;
    pub use serde;

    pub use crate::registry::{Entry, Kind, Place};
    pub use crate::typed::{Answer, Outcome, Parameter, Refusal, answer, assert_parameter, describe, parse};
}
