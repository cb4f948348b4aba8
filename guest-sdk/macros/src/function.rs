//! What `#[tool]` takes: a plain function. Anything else is refused with what to write instead.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, FnArg, Ident, ItemFn, Pat, PatType, Result, ReturnType, Safety, Signature, Type};

use crate::docs;

/// One parameter.
pub(crate) struct Parameter {
    /// The doc comment.
    pub(crate) description: Option<String>,
    /// Attributes of serde and schemars, for the property.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) of: Type,
}

/// Attributes that a parameter may have, all for its property.
const OF_PROPERTIES: [&str; 3] = ["doc", "schemars", "serde"];

/// Checks what can be checked without types, and takes the parameters and what is returned. All that is wrong is told at
/// once.
pub(crate) fn parse(function: &ItemFn) -> Result<(Vec<Parameter>, Type)> {
    let signature = &function.sig;
    let mut wrong = wrong_words(signature);
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        match parameter(input) {
            Ok(parameter) => parameters.push(parameter),
            Err(error) => wrong.push(error),
        }
    }
    let returned = returned(signature);
    wrong.extend(returned.as_ref().err().cloned());
    match all(wrong) {
        Some(error) => Err(error),
        None => Ok((parameters, returned?)),
    }
}

/// Several errors as one.
pub(crate) fn all(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
    errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    })
}

/// Words before `fn` and generics that a function of a tool cannot have.
fn wrong_words(signature: &Signature) -> Vec<Error> {
    let mut wrong = Vec::new();
    if let Some(word) = &signature.asyncness {
        wrong.push(Error::new(
            word.span(),
            "a tool has no async runtime and waits for what it calls: write a plain `fn`",
        ));
    }
    if !matches!(signature.safety, Safety::Default) {
        let message =
            "the host calls a tool with whatever the agent says, so the function must be safe: write a plain `fn`";
        wrong.push(Error::new(signature.safety.span(), message));
    }
    if let Some(abi) = &signature.abi {
        wrong.push(Error::new(abi.span(), "`#[tool]` exports the function itself: write a plain `fn`"));
    }
    if !signature.generics.params.is_empty() {
        let message =
            "an operation has one schema, so its function has no generic parameters: write the types themselves";
        wrong.push(Error::new(signature.generics.span(), message));
    }
    wrong
}

fn returned(signature: &Signature) -> Result<Type> {
    match &signature.output {
        ReturnType::Type(_, returned) => Ok(Type::clone(returned)),
        ReturnType::Default => {
            let message = format!(
                "`{name}` returns nothing: write `fn {name}(…) -> Result<Answer, tollgate_guest::Error>`, where `Answer` is \
                 what the agent gets",
                name = signature.ident
            );
            Err(Error::new(signature.ident.span(), message))
        }
    }
}

fn parameter(input: &FnArg) -> Result<Parameter> {
    let input = match input {
        FnArg::Receiver(receiver) => {
            let message = "a tool has no object between calls, so `#[tool]` takes functions without `self`: put it on a \
                           function outside of `impl`";
            return Err(Error::new(receiver.span(), message));
        }
        FnArg::Typed(input) => input,
    };
    let name = name(input)?;
    if let Some(error) = all(input.attrs.iter().filter_map(wrong_attribute)) {
        return Err(error);
    }
    owned(&input.ty)?;
    let mut attributes = input.attrs.clone();
    attributes.retain(|attribute| !attribute.path().is_ident("doc"));
    Ok(Parameter { description: docs::text(&input.attrs), attributes, name, of: Type::clone(&input.ty) })
}

/// The name of a parameter, which is that of its property.
fn name(input: &PatType) -> Result<Ident> {
    if let Pat::Ident(name) = &*input.pat
        && name.by_ref.is_none()
        && name.subpat.is_none()
    {
        return Ok(name.ident.clone());
    }
    let message =
        "a parameter's name is the name of its JSON property, so it is one name: take the value apart in the body";
    Err(Error::new(input.pat.span(), message))
}

fn wrong_attribute(attribute: &Attribute) -> Option<Error> {
    let is_known = OF_PROPERTIES.iter().any(|known| attribute.path().is_ident(known));
    let message = "a parameter of a tool can have a doc comment, `#[serde(…)]` and `#[schemars(…)]`";
    (!is_known).then(|| Error::new(attribute.span(), message))
}

/// Refuses a type that borrows.
fn owned(of: &Type) -> Result<()> {
    if let Type::ImplTrait(of) = of {
        let message = "an operation has one schema, so its parameters have one type each: write the type itself";
        return Err(Error::new(of.span(), message));
    }
    let Some((reference, instead)) = reference(of.to_token_stream()) else { return Ok(()) };
    let message = format!(
        "the arguments of a tool are read from JSON and belong to the function: take {instead}, not a reference"
    );
    Err(Error::new(reference, message))
}

/// The first `&` in a type, and what to write instead.
fn reference(tokens: TokenStream) -> Option<(Span, &'static str)> {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '&' => return Some((punct.span(), instead(tokens))),
            TokenTree::Group(group) => {
                if let Some(found) = reference(group.stream()) {
                    return Some(found);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    None
}

/// What to write for a reference, by what stands behind the `&`.
fn instead(referred: impl Iterator<Item = TokenTree>) -> &'static str {
    for token in referred {
        match token {
            TokenTree::Ident(word) if word == "str" => return "`String`",
            TokenTree::Ident(word) if word == "Path" => return "`PathBuf`",
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => return "`Vec<…>`",
            TokenTree::Ident(_) | TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    "the value itself"
}
