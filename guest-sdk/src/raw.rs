//! The level below `#[tool]`: operations and JSON text by hand. For a tool that must do nothing that it did not write, such as
//! parsing its arguments.

use crate::{Error, Operation};

/// A tool by hand: the operations it offers and how it answers them. Registered by [`export!`](crate::export).
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

/// Makes a type that implements [`Tool`] a tool of this component. Once per crate, at its top level; operations by
/// [`tool`](macro@crate::tool) may stand beside it.
///
/// ```
/// use tollgate_guest::{Error, Operation, Tool};
///
/// struct Echo;
///
/// impl Tool for Echo {
///     fn operations() -> Vec<Operation> {
///         vec![Operation {
///             name: "echo".into(),
///             description: "Answers its arguments.".into(),
///             input_schema: r#"{"type": "object"}"#.into(),
///             output_schema: r#"{"type": "object"}"#.into(),
///         }]
///     }
///
///     fn invoke(operation: &str, arguments: &str) -> Result<String, Error> {
///         match operation {
///             "echo" => Ok(arguments.to_owned()),
///             other => Err(Error::unknown_operation(other)),
///         }
///     }
/// }
///
/// tollgate_guest::export!(Echo);
/// # fn main() {
/// assert_eq!(tollgate_guest::invoke("echo", "{}").unwrap(), "{}");
/// # }
/// ```
#[macro_export]
macro_rules! export {
    ($tool:ty) => {
        $crate::__register! {
            $crate::__private::Kind::Tool {
                operations: <$tool as $crate::Tool>::operations,
                invoke: <$tool as $crate::Tool>::invoke,
            }
        }
    };
}

/// Registers a `Kind` with the place where the outermost macro is. What `export!` and `#[tool]` expand to.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($kind:expr) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Entry {
                place: $crate::__private::Place {
                    file: ::core::file!(),
                    line: ::core::line!(),
                    column: ::core::column!(),
                },
                kind: $kind,
            }
        }
    };
}
