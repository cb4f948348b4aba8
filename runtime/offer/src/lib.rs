//! What models are offered of installed tools: each operation by one name, with schemas that the interfaces of models take, and with
//! annotations that hold, since they are read off the capability set that is enforced.
//!
//! ```text
//! operations, aliases ─▶ names ─▶ ┐
//! schemas of a tool ────▶ lower ─▶ ├─▶ list, in the form of each provider
//! capability set ───────▶ hints ─▶ ┘                  or two tools that stand for all of them (search)
//! ```
//!
//! Pure, and over untrusted texts: a tool's schemas and descriptions are its author's. A lowered schema must never refuse what the tool's
//! own takes, and no hint may promise more than the set holds.

#![forbid(unsafe_code)]

mod hints;
mod list;
mod lower;
mod names;
mod search;

pub use self::hints::Hints;
pub use self::list::{LIST_BYTES_MAX, List, Offer, Provider, TOOL_BYTES_MAX};
pub use self::lower::{Lowered, is_wrapped, lower_input, lower_output, unwrapped_input, wrapped_output};
pub use self::names::{Aliases, NAME_BYTES_MAX, NotOffered, Operation, name_of, offered, resolve};
pub use self::search::{CALL, FIND, FOUND_BYTES_MAX, Through, find, list_of_two, through};
