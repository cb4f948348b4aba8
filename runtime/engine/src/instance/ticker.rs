//! Advances the engine's epoch while calls run, and sleeps while none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::EPOCH_TICK;

/// The thread `tollgate-epoch`, which ticks while calls run. Dropping this ends the thread and waits for it.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicU32,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// While one of these lives, the epoch advances.
#[must_use = "the epoch stands still without it"]
#[derive(Debug)]
pub(crate) struct Ticking<'t>(&'t Shared);

/// How long the thread goes on ticking after the last call. Waking it would cost the next call more than these ticks cost.
const LINGER: Duration = Duration::from_millis(200);

impl Ticker {
    /// Starts the thread, which does `first` before anything else.
    pub(crate) fn start(engine: Engine, first: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("tollgate-epoch".into()).spawn(move || {
            first();
            run(&engine, &seen);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the epoch going for a call.
    pub(crate) fn tick(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = self.thread()
        {
            thread.unpark();
        }
        Ticking(&self.shared)
    }

    fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(handle) = self.thread.take() {
            handle.thread().unpark();
            // A panic in the ticker has been printed; there is nothing left to stop.
            drop(handle.join());
        }
    }
}

fn run(engine: &Engine, shared: &Shared) {
    let mut last_call = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) > 0 {
            last_call = Instant::now();
        }
        if last_call.elapsed() > LINGER {
            shared.parked.store(true, Ordering::SeqCst);
            // A call that started since either sees `parked`, or is seen here.
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            last_call = Instant::now();
        }
        thread::sleep(EPOCH_TICK);
        engine.increment_epoch();
    }
}
