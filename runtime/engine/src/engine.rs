//! WebAssembly's engine under Tollgate's settings, and why it may not start.

use std::io;

use crate::instance::{engine_config, mapped_code};
use crate::surroundings;

/// Compiles and runs WebAssembly under Tollgate's settings; cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) wasmtime::Engine);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine with room for `concurrent_calls` calls at once.
    ///
    /// # Errors
    ///
    /// [`StartError::Engine`].
    pub fn new(concurrent_calls: u32) -> Result<Self, StartError> {
        wasmtime::Engine::new(&engine_config(concurrent_calls)).map(Self).map_err(engine_error)
    }

    /// As [`Engine::new`], for code that stays where it is mapped (`instance/mapped_code.rs`).
    ///
    /// # Errors
    ///
    /// [`StartError::Engine`].
    pub fn for_mapped_code(concurrent_calls: u32) -> Result<Self, StartError> {
        let mut config = engine_config(concurrent_calls);
        mapped_code::run_where_it_is_mapped(&mut config);
        wasmtime::Engine::new(&config).map(Self).map_err(engine_error)
    }
}

/// Why calls cannot be run here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine refused its settings.
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The side store, `<ledger>.private`, cannot be opened, or another process has it.
    #[error("the side store beside the ledger cannot be used")]
    SideStore(#[source] io::Error),
    /// The ledger did not take the record of how this process is sealed.
    #[error("the ledger did not take the record of how this process is sealed: {0}")]
    Unrecorded(String),
}

/// An engine takes addresses and memory at its start: the error names a limit on these that is low.
pub(crate) fn engine_error(error: wasmtime::Error) -> StartError {
    StartError::Engine(format!("{error:#}{}", surroundings::in_words()))
}
