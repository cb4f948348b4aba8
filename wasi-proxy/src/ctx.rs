//! State of one call behind the gate: the gate itself, what the guest holds, its streams, clocks and randomness.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate_audit::CallId;
use tollgate_capability::{RandomMode, Stdio};
use tollgate_notary::OutcomeTotals;
use wasmtime_wasi::clocks::WasiClocksCtx;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::sockets::WasiSocketsCtx;

use crate::fs::Roots;
use crate::gate::{Counter, Gate};
use crate::handle::{Handle, Handles};
use crate::stdio::{Captured, HearsStderr, Stdout};

/// What a call brings with it.
#[derive(Debug, Clone)]
pub struct GateInput {
    /// Bytes the guest may read from stdin, if it is granted.
    pub stdin: Bytes,
    /// When the call started, for the frozen wall clock; since the Unix epoch.
    pub wall_start: Duration,
    /// When the call started, zero of the monotonic clock.
    pub monotonic_start: Instant,
    /// Which call it is, for the guest to ask.
    pub call: CallFacts,
}

/// What a guest may learn of the call that it answers.
#[derive(Debug, Clone)]
pub struct CallFacts {
    /// Its id, as the ledger has it.
    pub id: CallId,
    /// The session that the caller gave.
    pub session: Option<String>,
    /// When it must have ended.
    pub deadline: Instant,
}

/// State of one call.
pub struct GateCtx {
    pub(crate) gate: Gate,
    pub(crate) input: GateInput,
    /// What is left of stdin; empty if that is not granted.
    pub(crate) stdin: Bytes,
    pub(crate) captured: Captured,
    pub(crate) roots: Roots,
    pub(crate) handles: Handles,
    pub(crate) seeded: Option<StdRng>,
    /// The seed of the guest's hash maps, once it has asked.
    pub(crate) hash_seed: Option<(u64, u64)>,
    pub(crate) wasi_fs: WasiFilesystemCtx,
    pub(crate) wasi_clocks: WasiClocksCtx,
    pub(crate) wasi_sockets: WasiSocketsCtx,
}

impl GateCtx {
    /// The state of a call that starts now.
    #[must_use]
    pub fn new(gate: Gate, mut input: GateInput) -> Self {
        let set = gate.set();
        let brought = std::mem::take(&mut input.stdin);
        let seeded = match set.random {
            Some(RandomMode::Seeded(seed)) => Some(StdRng::seed_from_u64(seed)),
            Some(RandomMode::Secure) | None => None,
        };
        Self {
            stdin: if set.stdio.contains(Stdio::Stdin) { brought } else { Bytes::new() },
            captured: Captured::new(set.limits.stdio),
            roots: Roots::new(set, input.call.deadline),
            handles: Handles::new(set.limits.handles),
            seeded,
            hash_seed: None,
            wasi_fs: WasiFilesystemCtx::default(),
            wasi_clocks: WasiClocksCtx::default(),
            wasi_sockets: WasiSocketsCtx::default(),
            gate,
            input,
        }
    }

    /// Has somebody hear what the guest writes to its standard error, beside what is captured of it.
    pub fn tell_stderr(&mut self, hears: HearsStderr) {
        self.captured.tell(hears);
    }

    /// Ends the call behind the gate: handles that are still open are settled.
    #[must_use]
    pub fn finish(mut self) -> (tollgate_notary::CallTrail, Vec<Counter>, Stdout) {
        for handle in self.handles.release_all() {
            settle(&mut self.gate, &handle);
        }
        let (trail, counters) = self.gate.into_trail();
        (trail, counters, self.captured.into_output())
    }

    /// Drops one holder of the resource; the last one of a handle settles its intent with the totals.
    pub(crate) fn release(&mut self, rep: u32) {
        if let Some(handle) = self.handles.release(rep) {
            settle(&mut self.gate, &handle);
        }
    }
}

impl fmt::Debug for GateCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateCtx").field("gate", &self.gate).finish_non_exhaustive()
    }
}

fn settle(gate: &mut Gate, handle: &Handle) {
    let Handle { bytes_read, bytes_written, calls, .. } = *handle;
    gate.settle_intent(handle.intent, OutcomeTotals { result: "ok", bytes_read, bytes_written, calls });
}
