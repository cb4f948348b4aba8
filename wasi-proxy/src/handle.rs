//! What a guest holds: open files with their rights and totals, and which resource stands for which. The file of a handle
//! must never leave this module but with the proof of a call on that very handle.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, Call, FsCall, GrantIndex, HandleFacts, Stdio};
use tollgate_notary::IntentId;
use wasmtime::component::ResourceTableError;

use crate::gate::{Checked, Gate, Permit, Refused};

/// An open file or folder, shared by the descriptor and the streams made from it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) grant: GrantIndex,
    /// Path below the granted folder.
    pub(crate) below: String,
    pub(crate) rights: AccessSet,
    pub(crate) intent: Option<IntentId>,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) calls: u64,
    file: Arc<std::fs::File>,
    holders: u32,
}

/// Where an opened file or folder belongs, and what may be done with it.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) grant: GrantIndex,
    pub(crate) below: String,
    pub(crate) rights: AccessSet,
}

impl Handle {
    /// A handle of `file`, opened under an intent that its release settles.
    pub(crate) fn new(
        Origin { grant, below, rights }: Origin,
        file: Arc<std::fs::File>,
        intent: Option<IntentId>,
    ) -> Self {
        Self { grant, below, rights, intent, bytes_read: 0, bytes_written: 0, calls: 0, file, holders: 0 }
    }

    /// How long the file is: a look, which changes and acquires nothing.
    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Checks a call on this handle whose outcome goes into the handle's totals; the proof brings the file.
    pub(crate) fn checked(
        &self,
        gate: &mut Gate,
        call: impl FnOnce(HandleFacts, u64) -> Call,
    ) -> Result<OnHandle<Checked>, Unfit> {
        let call = self.call(gate, call)?;
        let proof = gate.checked(call)?;
        Ok(OnHandle { proof, file: Arc::clone(&self.file) })
    }

    /// As [`Self::checked`], for a call that has an intent and an outcome of its own.
    pub(crate) fn admit(
        &self,
        gate: &mut Gate,
        call: impl FnOnce(HandleFacts, u64) -> Call,
    ) -> Result<OnHandle<Permit>, Unfit> {
        let call = self.call(gate, call)?;
        let proof = gate.admit(call)?;
        Ok(OnHandle { proof, file: Arc::clone(&self.file) })
    }

    /// The call on this handle, unless it is one that no grant mends: the folder's grant has the right, and the handle was not
    /// opened for it.
    fn call(&self, gate: &mut Gate, call: impl FnOnce(HandleFacts, u64) -> Call) -> Result<Call, Unfit> {
        let facts = HandleFacts { grant: self.grant, rights: self.rights };
        let call = call(facts, gate.quota_left(self.grant));
        let Some((access, errno)) = opened_for(&call) else { return Ok(call) };
        let granted = gate.set().fs.get(usize::from(self.grant.0)).is_some_and(|fs| fs.access.contains(access));
        if granted && !self.rights.contains(access) {
            gate.count(call.function());
            return Err(Unfit::Handle(errno));
        }
        Ok(call)
    }
}

/// Why a call on a handle is not made.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// The gate refuses it.
    Refused(Refused),
    /// The handle was not opened for it: the kernel's reason for a descriptor like it.
    Handle(Errno),
}

impl From<Refused> for Unfit {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What a handle must have been opened for that is acted on like this, and Linux's error for one that was not.
#[allow(clippy::wildcard_enum_match_arm, reason = "any other call does not rest on what its handle was opened for")]
fn opened_for(call: &Call) -> Option<(Access, Errno)> {
    match call {
        Call::Fs(FsCall::Read { .. }) => Some((Access::Read, Errno::BADF)),
        Call::Fs(FsCall::Write { .. } | FsCall::Append { .. }) => Some((Access::Write, Errno::BADF)),
        Call::Fs(FsCall::SetSize { .. }) => Some((Access::Write, Errno::INVAL)),
        Call::Fs(FsCall::ReadDirectory { .. }) => Some((Access::List, Errno::NOTDIR)),
        _ => None,
    }
}

/// A call on a handle that was allowed, and the handle's file: an effect takes both.
#[must_use = "an effect needs it"]
#[derive(Debug)]
pub(crate) struct OnHandle<P> {
    proof: P,
    file: Arc<std::fs::File>,
}

impl<P> OnHandle<P> {
    /// The proof, and what it is about.
    pub(crate) fn into_parts(self) -> (P, Arc<std::fs::File>) {
        (self.proof, self.file)
    }
}

/// What a resource of the guest's table is to the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// A descriptor or listing of a handle.
    Handle(usize),
    /// A stream that reads the handle's file from an offset on.
    Input {
        /// The handle.
        slot: usize,
        /// Where the next byte comes from.
        offset: u64,
    },
    /// A stream that writes the handle's file.
    Output {
        /// The handle.
        slot: usize,
        /// Where the next byte goes; `None` appends.
        offset: Option<u64>,
    },
    /// A stream of the bytes that came with the call: all of them share one place.
    Stdin,
    /// The captured stdout or stderr.
    Captured(Stdio),
    /// Anything else: pollables, errors, the network token.
    Other,
}

impl Held {
    fn slot(self) -> Option<usize> {
        match self {
            Self::Handle(slot) | Self::Input { slot, .. } | Self::Output { slot, .. } => Some(slot),
            Self::Stdin | Self::Captured(_) | Self::Other => None,
        }
    }
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
    pub(crate) fn new(open_max: u32) -> Self {
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
        if let Some(slot) = held.slot()
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

    /// Moves the place of a stream on by what went through it.
    pub(crate) fn advance(&mut self, rep: u32, bytes: u64) {
        match self.held.get_mut(index(rep)) {
            Some(Some(Held::Input { offset, .. } | Held::Output { offset: Some(offset), .. })) => {
                *offset = offset.saturating_add(bytes);
            }
            Some(
                Some(
                    Held::Output { offset: None, .. } | Held::Handle(_) | Held::Stdin | Held::Captured(_) | Held::Other,
                )
                | None,
            )
            | None => {}
        }
    }

    /// The slot of the handle behind a resource.
    pub(crate) fn slot(&self, rep: u32) -> Option<usize> {
        self.held(rep)?.slot()
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Handle> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Handle> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Forgets the resource; returns its handle if this was the last holder.
    pub(crate) fn release(&mut self, rep: u32) -> Option<Handle> {
        let held = self.held.get_mut(index(rep))?.take()?;
        self.open -= 1;
        let place = self.slots.get_mut(held.slot()?)?;
        let handle = place.as_mut()?;
        handle.holders -= 1;
        if handle.holders == 0 { place.take() } else { None }
    }

    /// Forgets everything; returns the handles that are still open.
    pub(crate) fn release_all(&mut self) -> impl Iterator<Item = Handle> + use<> {
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}

fn index(rep: u32) -> usize {
    usize::try_from(rep).unwrap_or(usize::MAX)
}
