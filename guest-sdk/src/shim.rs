//! Carries the calls of the generated bindings to a [`Tool`]. Must never touch the arguments or the answer.

use core::marker::PhantomData;

use crate::bindings::exports::tollgate::tool::tool::Guest;
use crate::{Error, Operation, Tool, panic};

/// The exported side of a tool.
#[derive(Debug)]
pub struct Shim<T>(PhantomData<T>);

impl<T: Tool> Guest for Shim<T> {
    fn operations() -> Vec<Operation> {
        panic::report_without_environment();
        T::operations()
    }

    fn invoke(operation: String, arguments: String) -> Result<String, Error> {
        panic::report_without_environment();
        T::invoke(&operation, &arguments)
    }
}

/// Compiles if `G` can be exported.
pub const fn assert_exportable<G: Guest>() {}
