//! The engine, the linker and the ledger: what all tools of a process share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_audit::{Record, SideStore};
use wasmtime::component::Linker;

use crate::instance::{CallState, Ticker, engine_config};

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
}

/// Shared by all tools and workers of a process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: LinkerOf,
    pub(crate) books: Books,
    pub(crate) ticker: Ticker,
}

/// Where a runtime keeps what must be known later: the record of its calls, what of it may be erased, and the capability
/// sets that were in force.
#[derive(Debug)]
pub struct Books {
    pub(crate) record: Arc<dyn Record>,
    pub(crate) private: SideStore,
    pub(crate) ledger: PathBuf,
}

impl Books {
    /// Records into `record`, whose ledger is in the folder `ledger`: a notary's [`Recorder`](tollgate_audit::Recorder), or
    /// a [`Ledger`](tollgate_audit::Ledger) that this process itself holds.
    ///
    /// # Errors
    ///
    /// The side store, `<ledger>.private`, cannot be opened, or another process has it.
    pub fn open(record: Arc<dyn Record>, ledger: &Path) -> io::Result<Self> {
        Ok(Self { record, private: SideStore::open(ledger)?, ledger: ledger.to_owned() })
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

/// Why a runtime did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine refused its settings.
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl Runtime {
    /// Runs calls on `engine`, recording them into `books`.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(engine: &Engine, books: Books) -> Result<Self, StartError> {
        let engine = engine.0.clone();
        let linker = LinkerOf::new(&engine)?;
        let ticker = Ticker::start(engine.clone()).map_err(StartError::Thread)?;
        Ok(Self(Arc::new(Shared { engine, linker, books, ticker })))
    }
}

fn engine_error(error: wasmtime::Error) -> StartError {
    StartError::Engine(format!("{error:#}"))
}
