//! The data of one call's store.

use tollgate_wasi_proxy::{GateCtx, GateStore, GateView};
use wasmtime::component::ResourceTable;

use super::Caps;

/// The generated side of `tollgate:tool`.
pub(crate) mod bindings {
    #![allow(missing_docs, unreachable_pub, unnameable_types, reason = "generated from the WIT, documented there")]
    #![allow(clippy::all, clippy::pedantic, reason = "generated code")]
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "generated code")]
    #![allow(
        clippy::missing_errors_doc,
        clippy::use_self,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    #![allow(clippy::error_impl_error, reason = "the WIT calls it error")]
    #![allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        clippy::uninlined_format_args,
        reason = "generated code"
    )]
    #![allow(
        unused_qualifications,
        elided_lifetimes_in_paths,
        missing_debug_implementations,
        reason = "generated code"
    )]
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "tool-provider",
        exports: { default: async },
    });
}

/// What a store holds.
#[derive(Debug)]
pub(crate) struct CallState {
    pub(crate) gate: GateCtx,
    pub(crate) table: ResourceTable,
    pub(crate) caps: Caps,
}

impl GateStore for CallState {
    fn gate(&mut self) -> GateView<'_> {
        GateView { ctx: &mut self.gate, table: &mut self.table }
    }
}
