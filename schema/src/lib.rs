//! JSON Schema, draft 2020-12, where schema and value are both untrusted.
//!
//! ```text
//! text ─▶ Schema::parse ─▶ Schema ─▶ Schema::judge(value, Budget) ─▶ problems, or a budget that is spent
//! ```
//!
//! What a schema costs to read is bounded by [`limits`]; what it costs to judge a value is counted in steps and bounded by
//! a [`Budget`]. Neither depends on what the schema's author meant well: no vocabulary is taken that this crate does not
//! enforce, nothing outside the schema's own text is ever read, and no pattern backtracks.
//!
//! It must never do a step that it has not counted before.

#![forbid(unsafe_code)]

mod compile;
mod judge;
pub mod limits;
mod node;
mod number;
mod pattern;
mod short;
mod values;
mod words;

use serde_json::Value;

pub use self::judge::{Budget, Stop};
pub use self::values::{ValuesError, count_values, read_values};

/// A schema that is ready to judge values.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<node::Node>,
    root: node::NodeId,
}

/// Why a text is not taken as a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is too long.
    #[error("it has {bytes} bytes; at most {} are taken", limits::SCHEMA_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is no JSON, or has too many values.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// Something in it is not taken.
    #[error("at `{place}`: {what}")]
    At {
        /// Where, as a JSON pointer; `#` is the whole schema.
        place: String,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl Schema {
    /// Reads a schema: the JSON that it is, and what judges values by it. It costs at most a constant for each byte of
    /// `text`, and [`limits`] bound the memory that the result takes.
    ///
    /// # Errors
    ///
    /// [`SchemaError`]. Whatever this crate does not enforce is refused: a schema that is taken means what it says.
    pub fn parse(text: &str) -> Result<(Value, Self), SchemaError> {
        if text.len() > limits::SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong { bytes: text.len() });
        }
        let value = read_values(text, limits::SCHEMA_VALUES_MAX)?;
        let schema = compile::compile(&value)?;
        Ok((value, schema))
    }

    /// What is wrong with `value`, each with its JSON pointer, at most [`limits::PROBLEMS_MAX`]; nothing if it fits.
    ///
    /// # Errors
    ///
    /// [`Stop`]: the budget was spent before that was known. The value must be taken as one that does not fit.
    pub fn judge(&self, value: &Value, budget: &mut Budget) -> Result<Vec<String>, Stop> {
        judge::judge(self, value, budget)
    }

    /// Steps that one value costs at most that no keyword goes into, all references followed.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.node(self.root).map_or(0, |node| node.size)
    }

    /// Schemas in it, each counted once however often it is referred to.
    #[must_use]
    pub fn schemas(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes that its compiled patterns take.
    #[must_use]
    pub fn pattern_bytes(&self) -> usize {
        self.nodes.iter().flat_map(|node| &node.checks).map(node::Check::pattern_bytes).sum()
    }

    fn node(&self, id: node::NodeId) -> Option<&node::Node> {
        self.nodes.get(id.0)
    }
}
