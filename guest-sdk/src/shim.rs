//! What the component exports: carries the host's calls to [`dispatch`]. Must never touch the arguments or the answer.

use crate::bindings::exports::tollgate::tool::tool::Guest;
use crate::{Error, Operation, dispatch, logging, panic};

/// The exported side of a tool.
#[derive(Debug)]
pub(crate) struct Shim;

impl Guest for Shim {
    fn operations() -> Vec<Operation> {
        prepare();
        dispatch::operations()
    }

    fn invoke(operation: String, arguments: String) -> Result<String, Error> {
        prepare();
        dispatch::invoke(&operation, &arguments)
    }
}

fn prepare() {
    panic::end_the_call();
    logging::to_stderr();
}

/// Runs the constructors that registered the operations, once, when the component is instantiated.
///
/// Without it the linker has each export run them, and destructors after it.
#[allow(unsafe_code, reason = "the name is the linker's, and so is the list of constructors")]
// SAFETY: no other function of a component has this name, since nothing links a `_initialize` of its own into a `cdylib`.
#[unsafe(export_name = "_initialize")]
extern "C" fn initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function, which takes and returns nothing. The component's start calls `_initialize`
    // before any export and never again, so each constructor runs once.
    unsafe { __wasm_call_ctors() }
}

/// What the component exports. The macro writes the functions of the canonical ABI, so that its lints are allowed here.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "generated code; raw pointers cross the boundary")]
mod exports {
    use super::Shim;

    crate::bindings::export!(Shim with_types_in crate::bindings);
}
