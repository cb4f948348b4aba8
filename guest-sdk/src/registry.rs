//! What the crates of a component registered: operations by `#[tool]`, whole tools by `export!`. Filled before the
//! component's first call, by constructors that only link what is there. Must never call anything that is registered.

use core::fmt;

use crate::{Error, Operation};

/// An operation or a tool, and where it is written.
#[derive(Debug)]
pub struct Entry {
    /// Where `#[tool]` or `export!` is.
    pub place: Place,
    /// What is there.
    pub kind: Kind,
}

/// The two things that can be registered.
#[derive(Debug)]
pub enum Kind {
    /// One function.
    Operation {
        /// The operation's name.
        name: &'static str,
        /// Makes what the host is told of it.
        describe: fn() -> Operation,
        /// Answers arguments, which are JSON text, with JSON text.
        run: fn(&str) -> Result<String, Error>,
    },
    /// An implementation of [`crate::Tool`].
    Tool {
        /// Makes what the host is told of its operations.
        operations: fn() -> Vec<Operation>,
        /// Answers one of them.
        invoke: fn(&str, &str) -> Result<String, Error>,
    },
}

/// A place in the source. Ordered as the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's path, as the compiler has it.
    pub file: &'static str,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

inventory::collect!(Entry);

/// All entries, in no order.
pub(crate) fn entries() -> impl Iterator<Item = &'static Entry> {
    inventory::iter::<Entry>()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        write!(f, "{file}:{line}:{column}")
    }
}
