//! Links every WASI 0.2 interface that wasmtime-wasi has, `wasi:http`, and `tollgate:tool/call`, each to the gate.

use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};

use crate::host::bindings::tollgate::tool::call;
use crate::host::http;
use crate::view::{GateStore, Gated};

/// Adds all of `wasi:cli/imports`, `wasi:http` and `tollgate:tool/call` to `linker`, behind the gate of each store.
///
/// # Errors
///
/// wasmtime's, if an interface is linked already.
pub fn add_to_linker<T: GateStore>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<T, Gated>(linker, T::gate)?;
    io::poll::add_to_linker::<T, Gated>(linker, T::gate)?;
    io::streams::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::environment::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::exit::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::stdin::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::stdout::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::stderr::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::terminal_input::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::terminal_output::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::terminal_stdin::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::terminal_stdout::add_to_linker::<T, Gated>(linker, T::gate)?;
    cli::terminal_stderr::add_to_linker::<T, Gated>(linker, T::gate)?;
    clocks::wall_clock::add_to_linker::<T, Gated>(linker, T::gate)?;
    clocks::monotonic_clock::add_to_linker::<T, Gated>(linker, T::gate)?;
    filesystem::types::add_to_linker::<T, Gated>(linker, T::gate)?;
    filesystem::preopens::add_to_linker::<T, Gated>(linker, T::gate)?;
    random::random::add_to_linker::<T, Gated>(linker, T::gate)?;
    random::insecure::add_to_linker::<T, Gated>(linker, T::gate)?;
    random::insecure_seed::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::network::add_to_linker::<T, Gated>(linker, &sockets::network::LinkOptions::default(), T::gate)?;
    sockets::instance_network::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::tcp::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::tcp_create_socket::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::udp::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::udp_create_socket::add_to_linker::<T, Gated>(linker, T::gate)?;
    sockets::ip_name_lookup::add_to_linker::<T, Gated>(linker, T::gate)?;
    http::add_to_linker(linker)?;
    call::add_to_linker::<T, Gated>(linker, T::gate)?;
    Ok(())
}

/// Whether [`add_to_linker`] links this import, such as `wasi:cli/stdin@0.2.6`: the interface is known and its version
/// is a 0.2; or it is [`OWN_INTERFACE`], in a version that is compatible with ours.
#[must_use]
pub fn links(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    let compatible = if interface == OWN_INTERFACE { "0.1." } else { "0.2." };
    let known = interface == OWN_INTERFACE || INTERFACES.contains(&interface) || http::INTERFACES.contains(&interface);
    version.starts_with(compatible) && known
}

/// The interface of Tollgate's own world that is linked.
pub const OWN_INTERFACE: &str = "tollgate:tool/call";

/// Every interface of WASI that is linked and of which something may be granted, or is harmless.
pub const INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

#[cfg(test)]
mod tests {
    use tollgate_capability::HTTP_FUNCTIONS;

    use super::*;

    #[test]
    fn of_http_what_a_client_imports_is_linked() {
        assert!(links("wasi:http/types@0.2.0") && links("wasi:http/outgoing-handler@0.2.10"));
        assert!(!links("wasi:http/incoming-handler@0.2.0") && !links("wasi:http/types@0.3.0"));
        let of_an_interface =
            |function: &str| function.split_once('.').is_some_and(|(name, _)| http::INTERFACES.contains(&name));
        assert!(HTTP_FUNCTIONS.iter().all(|function| of_an_interface(function)));
    }
}
