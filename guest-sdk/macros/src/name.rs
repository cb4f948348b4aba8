//! Names of operations: `[a-z][a-z0-9-]*`, at most [`NAME_BYTES_MAX`] bytes, as `tool.wit` says.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser as _;
use syn::{Error, Ident, LitStr, Result};

/// Longest name of an operation.
const NAME_BYTES_MAX: usize = 64;

/// The name of the operation that `function` is: what the attribute says, or else the function's own name.
pub(crate) fn of(attribute: TokenStream, function: &Ident) -> Result<String> {
    if let Some(name) = given(attribute)? {
        return valid(name.value(), name.span());
    }
    let name = function.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name).replace('_', "-");
    valid(name, function.span())
}

/// The name in `#[tool(name = "…")]`.
fn given(attribute: TokenStream) -> Result<Option<LitStr>> {
    const ONE_KEY: &str = "`#[tool]` has one key: write `#[tool(name = \"…\")]`, or `#[tool]` alone";
    if let Some(first) = attribute.clone().into_iter().next()
        && !matches!(first, TokenTree::Ident(_))
    {
        return Err(Error::new(first.span(), ONE_KEY));
    }
    let mut name = None;
    let parser = syn::meta::parser(|meta: ParseNestedMeta<'_>| {
        if !meta.path.is_ident("name") {
            return Err(meta.error(ONE_KEY));
        }
        let given: LitStr = meta.value()?.parse()?;
        if name.replace(given).is_some() { Err(meta.error("`name` is given twice")) } else { Ok(()) }
    });
    parser.parse2(attribute)?;
    Ok(name)
}

fn valid(name: String, span: Span) -> Result<String> {
    let is_valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_valid {
        let message = format!(
            "`{name}` cannot be the name of an operation: it begins with a letter from a to z, followed by such letters, \
             digits and hyphens; give it one by `#[tool(name = \"…\")]`"
        );
        return Err(Error::new(span, message));
    }
    if name.len() > NAME_BYTES_MAX {
        let message = format!(
            "the name of an operation has at most {NAME_BYTES_MAX} bytes, and `{name}` has {}; give it a shorter one by \
             `#[tool(name = \"…\")]`",
            name.len()
        );
        return Err(Error::new(span, message));
    }
    Ok(name)
}
