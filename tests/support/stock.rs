//! A guest under plain wasmtime, without the gate: what any other host of WASI answers it.

use std::path::Path;

use serde_json::Value;
use tokio::runtime;
use tollgate_example_tools::Guest;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "guest-sdk/wit",
        world: "tool-provider",
        exports: { default: async },
    });
}

/// A guest, compiled.
pub struct Stock {
    tool: bindings::ToolProviderPre<State>,
    event_loop: runtime::Runtime,
}

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Stock {
    /// Compiles a guest.
    pub fn new(guest: &Guest) -> Self {
        let tool = compiled(guest).and_then(bindings::ToolProviderPre::new).expect("a tool");
        let event_loop = runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        Self { tool, event_loop }
    }

    /// Calls a new instance that is given a folder as `/docs` and nothing else, and parses its answer.
    pub fn answer(&self, folder: &Path, operation: &str, arguments: &str) -> Value {
        let answer = self.event_loop.block_on(async {
            let mut wasi = WasiCtx::builder();
            wasi.allow_blocking_current_thread(true).preopened_dir(folder, "/docs", FsPerms::ReadWrite)?;
            let state = State { wasi: wasi.build(), table: ResourceTable::new() };
            let mut store = Store::new(self.tool.engine(), state);
            let tool = self.tool.instantiate_async(&mut store).await?;
            tool.tollgate_tool_tool().call_invoke(&mut store, operation, arguments).await
        });
        let answer = answer.expect("a guest that ends").expect("a guest that answers");
        serde_json::from_str(&answer).expect("JSON")
    }
}

fn compiled(guest: &Guest) -> wasmtime::Result<InstancePre<State>> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // How the SDK ends a call in which a tool panics.
    linker
        .instance("tollgate:tool/call@0.1.0")?
        .func_wrap("fail", |_store, (_code, message): (String, String)| Err::<(), _>(wasmtime::Error::msg(message)))?;
    linker.instantiate_pre(&Component::from_file(&engine, guest.component)?)
}
