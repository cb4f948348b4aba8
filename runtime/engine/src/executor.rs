//! The engine, the linker, the ticker and the record of a process that runs calls. All of its threads share them.
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | any with an `ExecutorThread` | one call at a time, the guest and its file calls included | what the guest waits for, and a ledger that has no room, until the call's deadline; then the ledger to take the call's end, 2 s at least |
//! | `tollgate-epoch`, one | ticks while calls run | the next tick; the next call, where none has run for 200 ms |
//!
//! No deadline ends a system call: a file call that hangs in the kernel holds its thread until it returns. In a worker the
//! supervisor then kills the process.

use std::sync::Arc;

use tollgate_audit::{CallId, Record};
use tollgate_system::of_thread;
use wasmtime::component::Linker;

use crate::engine::{Engine, StartError, engine_error};
use crate::instance::{CallState, Ticker};
use crate::withdrawn::Withdrawals;

/// Runs the calls of one process. Any thread may use it.
#[derive(Debug)]
pub struct Executor {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) linker: LinkerOf,
    pub(crate) record: Arc<dyn Record>,
    pub(crate) ticker: Ticker,
    pub(crate) withdrawals: Withdrawals,
}

impl Executor {
    /// Starts the ticker's thread, which does `first` before anything else.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(
        engine: &Engine,
        record: Arc<dyn Record>,
        first: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Self>, StartError> {
        let engine = engine.0.clone();
        let linker = LinkerOf::new(&engine)?;
        let ticker = Ticker::start(engine.clone(), first).map_err(|error| StartError::Thread(of_thread(error)))?;
        Ok(Arc::new(Self { engine, linker, record, ticker, withdrawals: Withdrawals::default() }))
    }

    /// Withdraws a call that runs or is still to come: its guest is ended, and the call fails as
    /// [`CallError::Cancelled`](crate::error::CallError::Cancelled). Waits for nothing.
    pub fn withdraw(&self, call: CallId) {
        self.withdrawals.withdraw(call);
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
