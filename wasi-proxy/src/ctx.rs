//! State of one call behind the gate: the gate itself, what the guest holds, its streams, clocks and randomness.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate_audit::{CallId, IntentId, OutcomeTotals};
use tollgate_capability::{AccessSet, GrantIndex, HandleFacts, RandomMode};
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::clocks::WasiClocksCtx;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::sockets::WasiSocketsCtx;

use crate::gate::{Counter, Gate};
use crate::stdio::Captured;

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
    pub(crate) captured: Captured,
    pub(crate) roots: Vec<Option<Arc<std::fs::File>>>,
    pub(crate) handles: Handles,
    pub(crate) seeded: Option<StdRng>,
    pub(crate) wasi_fs: WasiFilesystemCtx,
    pub(crate) wasi_clocks: WasiClocksCtx,
    pub(crate) wasi_sockets: WasiSocketsCtx,
}

impl GateCtx {
    /// The state of a call that starts now.
    #[must_use]
    pub fn new(gate: Gate, input: GateInput) -> Self {
        let set = gate.set();
        let seeded = match set.random {
            Some(RandomMode::Seeded(seed)) => Some(StdRng::seed_from_u64(seed)),
            Some(RandomMode::Secure) | None => None,
        };
        Self {
            captured: Captured::new(set.limits.stdio),
            roots: vec![None; set.fs.len()],
            handles: Handles::new(set.limits.handles),
            seeded,
            wasi_fs: WasiFilesystemCtx::default(),
            wasi_clocks: WasiClocksCtx::default(),
            wasi_sockets: WasiSocketsCtx::default(),
            gate,
            input,
        }
    }

    /// Ends the call behind the gate: handles that are still open are settled.
    #[must_use]
    pub fn finish(mut self) -> (tollgate_audit::CallTrail, Vec<Counter>, Stdout) {
        for handle in std::mem::take(&mut self.handles.slots).into_iter().flatten() {
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

/// What the guest wrote to its standard streams, at most `limits.stdio` bytes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stdout {
    /// Bytes of stdout.
    pub stdout: Vec<u8>,
    /// Bytes of stderr.
    pub stderr: Vec<u8>,
}

fn settle(gate: &mut Gate, handle: &Handle) {
    let Handle { bytes_read, bytes_written, calls, .. } = *handle;
    gate.settle_intent(handle.intent, OutcomeTotals { result: "ok", bytes_read, bytes_written, calls });
}

/// An open file or folder, shared by the descriptor and the streams made from it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) grant: GrantIndex,
    /// Path below the granted folder.
    pub(crate) below: String,
    pub(crate) rights: AccessSet,
    pub(crate) intent: Option<IntentId>,
    pub(crate) file: Arc<std::fs::File>,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) calls: u64,
    pub(crate) holders: u32,
}

impl Handle {
    pub(crate) fn facts(&self) -> HandleFacts {
        HandleFacts { grant: self.grant, rights: self.rights }
    }
}

/// What a resource of the guest's table is to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// A descriptor, stream or listing of a handle.
    Handle(usize),
    /// The captured stdout or stderr.
    Output(tollgate_capability::Stdio),
    /// Anything else: pollables, errors, stdin, the network token.
    Other,
}

/// All handles of a call, and which resource belongs to which.
#[derive(Debug)]
pub(crate) struct Handles {
    slots: Vec<Option<Handle>>,
    held: Vec<Option<Held>>,
    open: u32,
    open_max: u32,
}

impl Handles {
    fn new(open_max: u32) -> Self {
        Self { slots: Vec::new(), held: Vec::new(), open: 0, open_max }
    }

    /// Resources that the guest holds.
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    pub(crate) fn insert(&mut self, handle: Handle) -> usize {
        self.slots.push(Some(handle));
        self.slots.len() - 1
    }

    /// Notes that the resource `rep` is `held`, unless the guest holds as many as it may.
    pub(crate) fn hold(&mut self, rep: u32, held: Held) -> Result<(), ResourceTableError> {
        if self.open >= self.open_max {
            return Err(ResourceTableError::Full);
        }
        if let Held::Handle(slot) = held
            && let Some(Some(handle)) = self.slots.get_mut(slot)
        {
            handle.holders += 1;
        }
        let at = index(rep);
        if self.held.len() <= at {
            self.held.resize(at + 1, None);
        }
        if let Some(place) = self.held.get_mut(at) {
            *place = Some(held);
            self.open += 1;
        }
        Ok(())
    }

    pub(crate) fn held(&self, rep: u32) -> Option<Held> {
        self.held.get(index(rep)).copied().flatten()
    }

    /// The slot of the handle behind a resource.
    pub(crate) fn slot(&self, rep: u32) -> Option<usize> {
        match self.held(rep)? {
            Held::Handle(slot) => Some(slot),
            Held::Output(_) | Held::Other => None,
        }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Handle> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Handle> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Forgets the resource; returns its handle if this was the last holder.
    fn release(&mut self, rep: u32) -> Option<Handle> {
        let held = self.held.get_mut(index(rep))?.take()?;
        self.open -= 1;
        let Held::Handle(slot) = held else { return None };
        let place = self.slots.get_mut(slot)?;
        let handle = place.as_mut()?;
        handle.holders -= 1;
        if handle.holders == 0 { place.take() } else { None }
    }
}

fn index(rep: u32) -> usize {
    usize::try_from(rep).unwrap_or(usize::MAX)
}
