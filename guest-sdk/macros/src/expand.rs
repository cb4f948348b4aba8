//! From the function to the function, and the operation registered. The function stays as it is, so that unit tests call
//! it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, GenericArgument, Ident, Item, ItemFn, PathArguments, Result, Type};

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
    let mut wrong = Vec::new();
    let mut keep = |error| wrong.push(error);
    let name = name::of(attribute, &function.sig.ident).map_err(&mut keep).ok();
    let description = description(function).map_err(&mut keep).ok();
    let parsed = function::parse(function).map_err(&mut keep).ok();
    match (name, description, parsed) {
        (Some(name), Some(description), Some((parameters, returned))) => {
            Ok(registration(function, &name, &description, &parameters, &returned))
        }
        _ => Err(function::all(wrong).unwrap_or_else(|| Error::new(Span::call_site(), "`#[tool]` failed"))),
    }
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
    let assertions = assertions(parameters, returned);
    let fields = parameters.iter().map(|Parameter { attributes, name, of }| quote!(#(#attributes)* #name: #of));
    let names = parameters.iter().map(|parameter| &parameter.name);
    // A local variable of this macro's own, so that a function of the same name can still be called.
    let arguments = Ident::new("arguments", Span::mixed_site());
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

            fn __tollgate_describe() -> ::tollgate_guest::Operation {
                ::tollgate_guest::__private::describe::<__TollgateArguments, #returned>(#name, #description)
            }

            fn __tollgate_run(
                #arguments: &::core::primitive::str,
            ) -> ::core::result::Result<::std::string::String, ::tollgate_guest::Error> {
                let #arguments: __TollgateArguments = ::tollgate_guest::__private::parse(#arguments)?;
                ::tollgate_guest::__private::answer(#called(#(#arguments.#names),*))
            }

            ::tollgate_guest::__register! {
                ::tollgate_guest::__private::Kind::Operation {
                    name: #name,
                    describe: __tollgate_describe,
                    run: __tollgate_run,
                }
            }
        };
    }
}

/// Checks of types where they are written, so that what is missing is told by our messages and in the right place.
fn assertions(parameters: &[Parameter], returned: &Type) -> TokenStream {
    let of_parameters = parameters.iter().map(|Parameter { of, .. }| {
        quote_spanned!(of.span()=> const _: () = ::tollgate_guest::__private::assert_parameter::<#of>();)
    });
    let of_outcome = quote_spanned! {returned.span()=>
        const _: () = ::tollgate_guest::__private::assert_outcome::<#returned>();
    };
    let (answer, refusal) = parts(returned);
    let of_answer =
        quote_spanned!(answer.span()=> const _: () = ::tollgate_guest::__private::assert_answer::<#answer>(););
    let of_refusal =
        quote_spanned!(refusal.span()=> const _: () = ::tollgate_guest::__private::assert_refusal::<#refusal>(););
    quote!(#(#of_parameters)* #of_outcome #of_answer #of_refusal)
}

/// The two types in a `Result<…, …>`, as they are written, or as the trait tells them of an alias.
fn parts(returned: &Type) -> (TokenStream, TokenStream) {
    if let Type::Path(path) = returned
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
    {
        let mut types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(of) => Some(quote!(#of)),
            _ => None,
        });
        if let (Some(answer), Some(refusal), None) = (types.next(), types.next(), types.next()) {
            return (answer, refusal);
        }
    }
    let part = |name: &str| {
        let name = Ident::new(name, returned.span());
        quote_spanned!(returned.span()=> <#returned as ::tollgate_guest::__private::Outcome>::#name)
    };
    (part("Answer"), part("Refusal"))
}
