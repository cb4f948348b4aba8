//! Borrowed access to one store's gate, the type on which the WASI traits are implemented.

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::ctx::GateCtx;

/// A store's data that has a gate.
pub trait GateStore: Send + 'static {
    /// The gate and the table of this store.
    fn gate(&mut self) -> GateView<'_>;
}

/// What a host function gets: the context of the call and the guest's resources.
#[derive(Debug)]
pub struct GateView<'a> {
    /// State of the call.
    pub ctx: &'a mut GateCtx,
    /// The guest's resources; its capacity is the cap on open handles.
    pub table: &'a mut ResourceTable,
}

impl GateView<'_> {
    /// wasmtime-wasi's own implementation, to forward permitted calls on handles to.
    pub(crate) fn wasi_fs(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView { ctx: &mut self.ctx.wasi_fs, table: self.table }
    }

    pub(crate) fn wasi_clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView { ctx: &mut self.ctx.wasi_clocks, table: self.table }
    }

    pub(crate) fn wasi_sockets(&mut self) -> WasiSocketsCtxView<'_> {
        WasiSocketsCtxView { ctx: &mut self.ctx.wasi_sockets, table: self.table }
    }
}

/// The `HasData` of [`GateView`].
pub(crate) struct Gated;

impl HasData for Gated {
    type Data<'a> = GateView<'a>;
}
