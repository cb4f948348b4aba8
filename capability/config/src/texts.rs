//! Bounds on the free texts and the lists of manifests and grants. What leaves this module must never hold a byte that
//! ends it early (NUL) or, where people read it, one that steers a terminal.

use miette::Diagnostic;
use thiserror::Error;
use tollgate_capability::AccessSet;

/// Longest description, in bytes: a language model reads all of them.
pub const DESCRIPTION_BYTES_MAX: usize = 4_096;
/// Longest argument and longest value of an environment variable, in bytes: a quarter of what Linux takes in one string.
pub const VALUE_BYTES_MAX: usize = 32 << 10;
/// Most arguments, and most environment variables: the guest copies all of them at its start.
pub const VALUES_MAX: usize = 128;
/// Most folders of one tool: each is a handle that the host opens before the call.
pub const FOLDERS_MAX: usize = 64;
/// Most operations of one tool: each is offered to a language model by name.
pub const OPERATIONS_MAX: usize = 64;
/// Most tools in one compartment: they share one process, its memory and its fate.
pub const COMPARTMENT_TOOLS_MAX: usize = 64;
/// Most variables, most tools, and most compartments, in one policy.
pub const POLICY_ENTRIES_MAX: usize = 1_024;

/// Why a text or a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum TextError {
    /// It is too long.
    #[error("{what} has {bytes} bytes, and the most is {bytes_max}")]
    #[diagnostic(help("shorten it"))]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest.
        bytes_max: usize,
    },
    /// It has a character that could steer a terminal, or hide.
    #[error("{what} contains a control character")]
    #[diagnostic(help("take it out; line breaks and tabs may stay"))]
    Control {
        /// What it is.
        what: &'static str,
    },
    /// It has a NUL.
    #[error("{what} contains a NUL")]
    #[diagnostic(help("take it out: a NUL ends a text for the kernel and for C"))]
    Nul {
        /// What it is.
        what: &'static str,
    },
    /// A list that is too long.
    #[error("{count} {what}, and the most is {count_max}")]
    #[diagnostic(help("take some out"))]
    TooMany {
        /// What it lists.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The most.
        count_max: usize,
    },
    /// A list of rights with nothing in it.
    #[error("no right is named")]
    #[diagnostic(help("name at least one of read, write, create, delete, list, metadata, or take the folder out"))]
    NoAccess,
    /// Two operations with one alias.
    #[error("`{alias}` is the alias of `{other}` already")]
    #[diagnostic(help("give each operation an alias of its own"))]
    SameAlias {
        /// The alias.
        alias: String,
        /// The tool and the operation that have it.
        other: String,
    },
    /// A compartment with nothing in it.
    #[error("no tool is named")]
    #[diagnostic(help("name the tools that share a worker, or take the compartment out"))]
    NoTool,
    /// Durable rights that are not granted.
    #[error("durable and not granted: {left_out}")]
    #[diagnostic(help("add them to `access`, or take them out of `durable`"))]
    DurableNotGranted {
        /// The rights.
        left_out: AccessSet,
    },
}

/// A text that people read.
pub(crate) fn description(text: String) -> Result<String, TextError> {
    let what = "the description";
    let text = bounded(what, text, DESCRIPTION_BYTES_MAX)?;
    if tollgate_plain::is_plain(&text) { Ok(text) } else { Err(TextError::Control { what }) }
}

/// A text that a guest gets as it is.
pub(crate) fn value(what: &'static str, text: String) -> Result<String, TextError> {
    let text = bounded(what, text, VALUE_BYTES_MAX)?;
    if text.contains('\0') { Err(TextError::Nul { what }) } else { Ok(text) }
}

/// A list of that many.
pub(crate) fn count(what: &'static str, count: usize, count_max: usize) -> Result<(), TextError> {
    if count > count_max { Err(TextError::TooMany { what, count, count_max }) } else { Ok(()) }
}

fn bounded(what: &'static str, text: String, bytes_max: usize) -> Result<String, TextError> {
    if text.len() > bytes_max { Err(TextError::TooLong { what, bytes: text.len(), bytes_max }) } else { Ok(text) }
}
