//! The hook that runs on a worker's threads once it is sealed: nothing in `tollgate`, the attacks in a drill.

use std::fmt::Debug;
use std::os::fd::RawFd;
use std::sync::{Arc, Condvar, Mutex};

use serde::{Deserialize, Serialize};
use tollgate_audit::WriterId;
use tollgate_capability::CapabilitySet;
use tollgate_notary::Lease;
use tollgate_system::{held, lock};

/// What else happens in a worker that is sealed and serves. In the `tollgate` program it is [`NothingElse`]. A drill attacks from
/// here, in a process that is the shipped one otherwise. It is a type parameter of [`serve_and`](super::serve_and), so no message
/// can bring it about.
pub trait AfterSealed: Debug + Send + Sync + 'static {
    /// What the process is sealed for beside its tools.
    fn sealed_for(&self) -> Option<CapabilitySet>;

    /// Called on one thread of each kind, once that thread is sealed. May block: the thread does its own work only afterwards.
    fn after_sealed(&self, thread: ThreadKind, process: &SealedProcess);
}

/// No hook.
#[derive(Debug, Clone, Copy)]
pub struct NothingElse;

impl AfterSealed for NothingElse {
    fn sealed_for(&self) -> Option<CapabilitySet> {
        None
    }

    fn after_sealed(&self, _thread: ThreadKind, _process: &SealedProcess) {}
}

/// The kinds of thread that a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThreadKind {
    /// The thread that hears the supervisor.
    Main,
    /// The threads that run calls. Their names begin with its word.
    Executor,
    /// The thread that advances the engine's epoch.
    Epoch,
}

impl ThreadKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Main, Self::Executor, Self::Epoch];

    /// The kind in one word, as the ledger names threads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Executor => "executor",
            Self::Epoch => "epoch",
        }
    }
}

/// A worker as code inside it sees it.
#[derive(Debug, Clone)]
pub struct SealedProcess {
    /// Its id in the ledger.
    pub id: WriterId,
    /// The first calls that it may name.
    pub calls: Lease,
    /// Its socket to the supervisor.
    pub control: RawFd,
    /// Its end of the pipe to the notary.
    pub pipe: RawFd,
    /// Its socket to the notary.
    pub acks: RawFd,
    /// The socket on which its first thread gets its calls.
    pub connection: RawFd,
    told: Arc<Told>,
}

#[derive(Debug, Default)]
struct Told {
    is_told: Mutex<bool>,
    changed: Condvar,
}

impl SealedProcess {
    /// A process with this id and these calls. The descriptors are control, pipe, acks and connection.
    #[must_use]
    pub fn new((id, calls): (WriterId, Lease), [control, pipe, acks, connection]: [RawFd; 4]) -> Self {
        Self { id, calls, control, pipe, acks, connection, told: Arc::default() }
    }

    /// Waits until the supervisor has been told how the start went.
    pub fn await_start(&self) {
        let told = lock(&self.told.is_told);
        drop(held(self.told.changed.wait_while(told, |told| !*told)));
    }

    /// Notes that the supervisor has been told.
    pub(super) fn has_started(&self) {
        *lock(&self.told.is_told) = true;
        self.told.changed.notify_all();
    }
}

/// A worker's hook, and the process that it is called with.
#[derive(Debug)]
pub(super) struct After<A> {
    hook: A,
    pub(super) process: SealedProcess,
}

impl<A: AfterSealed> After<A> {
    pub(super) fn new(hook: A, process: SealedProcess) -> Arc<Self> {
        Arc::new(Self { hook, process })
    }

    pub(super) fn sealed_for(&self) -> Option<CapabilitySet> {
        self.hook.sealed_for()
    }

    pub(super) fn on(&self, thread: ThreadKind) {
        self.hook.after_sealed(thread, &self.process);
    }
}
