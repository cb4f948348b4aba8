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
    export_macro_name: "export_world",
    pub_export_macro: true,
    default_bindings_module: "tollgate_guest::bindings",
});
