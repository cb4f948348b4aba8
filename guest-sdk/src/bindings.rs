//! The generated bindings of `wit/tool.wit`. Nothing here is written by hand.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::error_impl_error,
    clippy::mem_forget,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated code"
)]
#![allow(unsafe_code, reason = "the canonical ABI hands raw pointers across the component's boundary")]

wit_bindgen::generate!({
    path: "wit",
    world: "tool-provider",
});

#[cfg(target_family = "wasm")]
use crate::shim::Shim;
#[cfg(target_family = "wasm")]
export!(Shim with_types_in self);
