//! The attribute `#[tool]`. Must never expand to anything that runs before the operation is called, but its registration.

mod docs;
mod expand;
mod function;
mod name;

use proc_macro::TokenStream;

/// Makes a function an operation of the tool that this crate is.
///
/// The documentation of the attribute is at `tollgate_guest::tool`.
#[proc_macro_attribute]
pub fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand::tool(attribute.into(), item.into()).into()
}
