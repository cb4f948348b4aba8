//! From the function to the function, and the operation registered. The function stays as it is, so that unit tests call
//! it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, Ident, Item, ItemFn, Result, Type};

use crate::function::{self, Parameter};
use crate::{docs, name};

/// What `#[tool]` on `item` stands for. What is wrong becomes compile errors beside the item, so that nothing else is told to
/// be missing.
pub(crate) fn tool(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = no_function(&item).unwrap_or(error).into_compile_error();
            return quote!(#error #item);
        }
    };
    let operation = operation(attribute, &function).unwrap_or_else(Error::into_compile_error);
    let function = without_attributes_of_parameters(function);
    quote!(#function #operation)
}

/// The error for an item that is no function.
fn no_function(item: &TokenStream) -> Option<Error> {
    let message = "`#[tool]` is for functions: write `#[tool] fn name(…) -> Result<…, tollgate_guest::Error>`";
    let item = syn::parse2::<Item>(item.clone()).ok()?;
    Some(Error::new_spanned(item, message))
}

/// What rustc takes: attributes of parameters belong to the generated arguments.
fn without_attributes_of_parameters(mut function: ItemFn) -> ItemFn {
    for input in &mut function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => receiver.attrs.clear(),
            FnArg::Typed(input) => input.attrs.clear(),
        }
    }
    function
}

fn operation(attribute: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let name = name::of(attribute, &function.sig.ident);
    let description = description(function);
    let parsed = function::parse(function);
    let wrong = [name.as_ref().err(), description.as_ref().err(), parsed.as_ref().err()];
    if let Some(error) = function::all(wrong.into_iter().flatten().cloned()) {
        return Err(error);
    }
    let (parameters, returned) = parsed?;
    Ok(registration(function, &name?, &description?, &parameters, &returned))
}

fn description(function: &ItemFn) -> Result<String> {
    let name = &function.sig.ident;
    docs::text(&function.attrs).ok_or_else(|| {
        let message = format!(
            "`{name}` has no description, by which the agent chooses it: write a doc comment above it, such as `/// Counts the \
             words of a text.`"
        );
        Error::new(name.span(), message)
    })
}

fn registration(
    function: &ItemFn,
    name: &str,
    description: &str,
    parameters: &[Parameter],
    returned: &Type,
) -> TokenStream {
    let called = &function.sig.ident;
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let assertions = assertions(parameters);
    let fields = parameters.iter().map(field);
    let names = parameters.iter().map(|parameter| &parameter.name);
    // A local variable of this macro's own, so that a function of the same name can still be called.
    let arguments = Ident::new("arguments", Span::mixed_site());
    let describe =
        quote_spanned!(returned.span()=> ::tollgate_guest::__private::describe::<__TollgateArguments, #returned>);
    let answer = quote_spanned!(returned.span()=> ::tollgate_guest::__private::answer::<#returned>);
    // All in one expression: what is wrong with a type is told once there.
    quote! {
        #(#conditions)*
        const _: () = {
            #assertions

            #[derive(::tollgate_guest::__private::serde::Deserialize, ::tollgate_guest::__private::schemars::JsonSchema)]
            #[serde(crate = "::tollgate_guest::__private::serde", deny_unknown_fields)]
            #[schemars(crate = "::tollgate_guest::__private::schemars")]
            struct __TollgateArguments {
                #(#fields),*
            }

            ::tollgate_guest::__register! {
                ::tollgate_guest::__private::Kind::Operation {
                    name: #name,
                    describe: || #describe(#name, #description),
                    run: |#arguments| {
                        let #arguments: __TollgateArguments = ::tollgate_guest::__private::parse(#arguments)?;
                        #answer(#called(#(#arguments.#names),*))
                    },
                }
            }
        };
    }
}

/// A parameter as the field of a struct, which serde and schemars derive from.
fn field(Parameter { description, attributes, name, of }: &Parameter) -> TokenStream {
    let description = description.iter();
    quote!(#(#[doc = #description])* #(#attributes)* #name: #of)
}

/// Checks of the parameters' types, before what is derived: the first message is ours, and at the right place.
fn assertions(parameters: &[Parameter]) -> TokenStream {
    let assertions = parameters.iter().map(|Parameter { of, .. }| {
        quote_spanned!(of.span()=> const _: () = ::tollgate_guest::__private::assert_parameter::<#of>();)
    });
    quote!(#(#assertions)*)
}
