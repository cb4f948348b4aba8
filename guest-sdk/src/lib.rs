//! Write a Tollgate tool in Rust: implement [`Tool`], hand the type to [`export!`], compile to `wasm32-wasip2`.
//!
//! ```
//! use tollgate_guest::{Error, Operation, Tool};
//!
//! struct Greeter;
//!
//! impl Tool for Greeter {
//!     fn operations() -> Vec<Operation> {
//!         vec![Operation {
//!             name: "greet".into(),
//!             description: "Greets the world.".into(),
//!             input_schema: r#"{"type": "object"}"#.into(),
//!             output_schema: r#"{"type": "string"}"#.into(),
//!         }]
//!     }
//!
//!     fn invoke(operation: &str, _arguments: &str) -> Result<String, Error> {
//!         match operation {
//!             "greet" => Ok(r#""hello, world""#.into()),
//!             other => Err(Error::unknown_operation(other)),
//!         }
//!     }
//! }
//!
//! tollgate_guest::export!(Greeter);
//! # fn main() {}
//! ```
//!
//! A tool may do nothing but compute until its manifest asks for more and the operator grants it. Starting calls
//! nothing: an instance that only computes makes no WASI call at all. Some of what the standard library does counts as
//! asking:
//!
//! | Rust | calls |
//! |---|---|
//! | `HashMap`, `HashSet` (keys are random) | `insecure-seed`; `BTreeMap` calls nothing |
//! | `env::var`, `env::vars`, `Backtrace::capture` and so `anyhow::Error` | `get-environment` |
//! | `fs::metadata`, `Path::exists` | `metadata-hash-at`, `stat-at` |
//! | `fs::read_dir` | `metadata-hash-at` for each entry |
//! | `Instant::now`, `SystemTime::now`, `thread::sleep` | the clocks |
//! | an allocation that fails | `get-environment`, after its message on standard error |
//!
//! This crate must never call WASI before the tool does: an access that the author did not write would end the tool.
//! The one exception is the panic message on standard error.

#[doc(hidden)]
pub mod bindings;
mod panic;
mod shim;

pub use bindings::exports::tollgate::tool::tool::{Error, Operation};

/// A tool: the operations it offers and how it answers them.
///
/// Both functions run in an instance of their own, so nothing that one call leaves in memory reaches the next.
pub trait Tool {
    /// All operations, in the order in which they are shown to whoever chooses the tool.
    ///
    /// Called once when the tool is loaded, without any capability: it may compute and nothing else.
    fn operations() -> Vec<Operation>;

    /// Runs `operation`. `arguments` is JSON text that the host has checked against the operation's input schema;
    /// the answer is JSON text that matches its output schema.
    ///
    /// # Errors
    ///
    /// The tool's own refusal: it ran, and says why it has no answer. What the gate denies need not be turned into
    /// one, since by default a violation ends the tool at once.
    fn invoke(operation: &str, arguments: &str) -> Result<String, Error>;
}

impl Error {
    /// A refusal with a short stable `code` (`not-found`) and a `message` that tells an agent what to do.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// The arguments are JSON, but not what the operation takes: code `invalid-arguments`.
    pub fn invalid_arguments(message: impl Into<String>) -> Self {
        Self::new("invalid-arguments", message)
    }

    /// The tool has no operation of this name: code `unknown-operation`.
    pub fn unknown_operation(operation: &str) -> Self {
        Self::new("unknown-operation", format!("this tool has no operation {operation:?}"))
    }
}

/// Makes a type that implements [`Tool`] the tool that this component exports. Once per crate, at its top level.
///
/// On other targets than WebAssembly only the types are checked, so that a tool's unit tests run on the host.
#[macro_export]
macro_rules! export {
    ($tool:ty) => {
        const _: () = {
            type ExportedTool = $crate::__private::Shim<$tool>;
            #[cfg(target_family = "wasm")]
    $crate::__private::export_world!(ExportedTool with_types_in $crate::__private::bindings);
            #[cfg(not(target_family = "wasm"))]
            $crate::__private::assert_exportable::<ExportedTool>();
        };
    };
}

/// What [`export!`] expands to. Not covered by any promise of stability.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings;
    pub use crate::bindings::export_world;
    pub use crate::shim::{Shim, assert_exportable};
}
