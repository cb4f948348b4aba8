//! The generated bindings of `wit/tool.wit`. Nothing here is written by hand.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unnameable_types,
    unused_imports,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::error_impl_error,
    clippy::mem_forget,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::panic,
    clippy::too_many_lines,
    clippy::uninlined_format_args,
    clippy::unwrap_used,
    reason = "generated code"
)]
#![allow(unsafe_code, reason = "the canonical ABI hands raw pointers across the component's boundary")]

// Checked in, so that an author's build does not need what generates it: three quarters of all crates otherwise. A test in
// `example-tools` compares it with the WIT, and writes it with `UPDATE_EXPECT=1`.
include!("bindings/generated.rs");
