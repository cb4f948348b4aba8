//! What runs calls: the engine, the linker, the ticker, and where the record goes. All threads of a process share it.

use std::io;
use std::sync::Arc;

use tollgate_audit::{Record, of_thread};
use wasmtime::component::Linker;

use crate::instance::{CallState, Ticker, engine_config, mapped_code};
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

    /// The same for code that stays where it is mapped ([`mapped_code::map`]).
    pub(crate) fn for_mapped_code(concurrent_calls: u32) -> Result<Self, StartError> {
        let mut config = engine_config(concurrent_calls);
        mapped_code::run_where_it_is_mapped(&mut config);
        wasmtime::Engine::new(&config).map(Self).map_err(engine_error)
    }
}

/// Runs the calls of one process.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: LinkerOf,
    pub(crate) record: Arc<dyn Record>,
    pub(crate) ticker: Ticker,
}

impl Machine {
    /// Starts the ticker's thread, which does `first` before anything else.
    pub(crate) fn start(
        engine: &Engine,
        record: Arc<dyn Record>,
        first: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Self>, StartError> {
        let engine = engine.0.clone();
        let linker = LinkerOf::new(&engine)?;
        let ticker = Ticker::start(engine.clone(), first).map_err(|error| StartError::Thread(of_thread(error)))?;
        Ok(Arc::new(Self { engine, linker, record, ticker }))
    }
}

/// A linker, which has no `Debug` of its own.
pub(crate) struct LinkerOf(pub(crate) Linker<CallState>);

impl LinkerOf {
    pub(crate) fn new(engine: &wasmtime::Engine) -> Result<Self, StartError> {
        let mut linker = Linker::new(engine);
        tollgate_wasi_proxy::add_to_linker(&mut linker).map_err(engine_error)?;
        Ok(Self(linker))
    }
}

impl std::fmt::Debug for LinkerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Linker")
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
    /// The ledger did not take the record of how this process is sealed.
    #[error("the ledger did not take the record of how this process is sealed: {0}")]
    Unrecorded(String),
}

/// What an engine takes at its start is addresses and memory: a limit on these is named.
fn engine_error(error: wasmtime::Error) -> StartError {
    StartError::Engine(format!("{error:#}{}", surroundings::in_words()))
}
