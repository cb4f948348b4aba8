//! `wasi:http`: linked and denied, so that components load that import it and never call it, as what other builds of JavaScript
//! make. No capability grants the network: every function passes the gate, which has no rule that allows it, and traps. No
//! resource ever comes to be.

use tollgate_capability::HTTP_FUNCTIONS;
use wasmtime::component::{Linker, ResourceType};

use crate::view::GateStore;

/// Every interface of `wasi:http` that a tool may import.
pub(crate) const INTERFACES: [&str; 2] = ["wasi:http/outgoing-handler", "wasi:http/types"];

/// The newest version of them; a component may import an older 0.2.
const VERSION: &str = "0.2.12";

/// Links every function of [`INTERFACES`], and the resources.
pub(crate) fn add_to_linker<T: GateStore>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    for interface in INTERFACES {
        let mut instance = linker.instance(&format!("{interface}@{VERSION}"))?;
        for function in HTTP_FUNCTIONS {
            let Some(name) = function.strip_prefix(interface).and_then(|rest| rest.strip_prefix('.')) else { continue };
            instance.func_new(name, move |mut store, _type, _arguments, _results| {
                store.data_mut().gate().socket_trap(function)
            })?;
        }
    }
    let mut types = linker.instance(&format!("wasi:http/types@{VERSION}"))?;
    for resource in RESOURCES {
        types.resource(resource, ResourceType::host::<Never>(), |_store, _handle| Ok(()))?;
    }
    Ok(())
}

/// What every resource of `wasi:http` is on the host: none is ever made.
enum Never {}

const RESOURCES: [&str; 11] = [
    "fields",
    "future-incoming-response",
    "future-trailers",
    "incoming-body",
    "incoming-request",
    "incoming-response",
    "outgoing-body",
    "outgoing-request",
    "outgoing-response",
    "request-options",
    "response-outparam",
];
