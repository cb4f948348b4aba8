//! What a guest holds: paths resolved from their root, handles with their rights and totals.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, Call, FsCall, FsCapability, FsPath, HandleFacts, Target};
use wasmtime::Trap;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode, Filesize};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::Fd;
use crate::fs::{self, Flush, GatedStream, Kind, Listing, Probe, Roots};
use crate::gate::{Checked, Failed, Gate, Performed, Permit, Spent};
use crate::handle::{Handle, Held, OnHandle, Origin};
use crate::view::GateView;

impl GateView<'_> {
    pub(super) fn path(&self, fd: &Fd, asked: String) -> FsResult<FsPath> {
        match self.table.get(fd)? {
            Descriptor::Dir(_) => {}
            Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
        }
        let handle = self.handle(self.slot_of(fd.rep())?)?;
        Ok(FsPath::new(handle.grant, &handle.below, asked))
    }

    /// Looks at what stands at a path, before anything is decided.
    pub(super) fn look(&self, path: &FsPath, follow: bool) -> FsResult<Probe> {
        self.ctx.roots.look(path, follow).map_err(failed)
    }

    /// Admits a call that changes names, and performs it: what was looked at before the decision is looked at again as long
    /// as something else stands there when it comes to the effect.
    pub(super) fn change(&mut self, call: impl Fn(&Roots, &Gate) -> Result<Call, Failed>) -> FsResult<()> {
        for _race in 0..RACES_MAX {
            let call = call(&self.ctx.roots, &self.ctx.gate).map_err(failed)?;
            let permit = self.ctx.gate.admit(call)?;
            match fs::change(permit, &self.ctx.roots) {
                Performed { result: Err(Failed::Raced), spent } => self.ctx.gate.raced(spent),
                performed => return self.settle_effect(performed),
            }
        }
        Err(ErrorCode::Busy.into())
    }

    /// Admits a call on what stands at a path, and hands out the `O_PATH` descriptor of it.
    pub(super) fn metadata_call(
        &mut self,
        fd: &Fd,
        path: String,
        follow: bool,
        call: impl FnOnce(FsPath, Target) -> Call,
    ) -> FsResult<(Result<OwnedFd, Errno>, Permit)> {
        let path = self.path(fd, path)?;
        let folder_only = path.folder_only();
        let Probe { target, fd: probed } = self.look(&path, follow || folder_only)?;
        let permit = self.ctx.gate.admit(call(path, target))?;
        let probed = match target {
            Target::File { .. } | Target::Special { .. } if folder_only => Err(Errno::NOTDIR),
            Target::File { .. }
            | Target::Folder { .. }
            | Target::Link { .. }
            | Target::Absent
            | Target::Symlink
            | Target::Special { .. }
            | Target::Outside
            | Target::Mount
            | Target::Pseudo
            | Target::Policy
            | Target::Unknown => probed,
        };
        Ok((probed, permit))
    }

    /// Makes a probed file a descriptor for wasmtime-wasi to ask about; the caller deletes it.
    pub(super) fn push_probed(&mut self, probed: Result<OwnedFd, Errno>) -> FsResult<Fd> {
        let file = File::new(probed.map_err(code)?.into(), FsPerms::ReadOnly, OpenMode::empty(), true);
        Ok(self.table.push(Descriptor::File(file))?)
    }

    /// Hands out what an `open-at` opened, with the rights that it was opened for.
    pub(super) fn push_opened(&mut self, opened: OwnedFd, spent: Spent) -> FsResult<Fd> {
        let Call::Fs(FsCall::OpenAt { path, flags, target, .. }) = spent.call() else {
            return Err(FsError::trap(Untracked));
        };
        let (flags, target, grant) = (*flags, *target, path.grant);
        let below = path.resolved().unwrap_or_default().to_owned();
        let file = std::fs::File::from(opened);
        if matches!(target, Target::Folder { .. }) {
            let rights = AccessSet::EMPTY.with(Access::List);
            return self.push_folder(file, Origin { grant, below, rights }, spent).map_err(FsError::trap);
        }
        let mut rights = AccessSet::EMPTY;
        let mut mode = OpenMode::empty();
        let made_only = matches!(target, Target::Absent) && flags.makes_only();
        if flags.read || !(flags.write || flags.truncate || made_only) {
            rights = rights.with(Access::Read);
            mode |= OpenMode::READ;
        }
        if flags.write {
            rights = rights.with(Access::Write);
            mode |= OpenMode::WRITE;
        }
        let perms = if flags.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        let file = File::new(file, perms, mode, true);
        let shared = Arc::clone(&file.file);
        let origin = Origin { grant, below, rights };
        self.push_handle(Descriptor::File(file), shared, origin, spent).map_err(FsError::trap)
    }

    pub(super) fn push_folder(&mut self, folder: std::fs::File, origin: Origin, spent: Spent) -> wasmtime::Result<Fd> {
        let granted = self.ctx.gate.set().fs.get(usize::from(origin.grant.0));
        let mut mode = OpenMode::READ;
        // What `get-flags` tells; whether something below may be changed is decided for each call.
        mode.set(OpenMode::WRITE, granted.is_some_and(FsCapability::may_change));
        let folder = Dir::new(folder, FsPerms::ReadOnly, mode, true);
        let shared = Arc::clone(&folder.dir);
        if origin.below.is_empty() {
            self.ctx.roots.opened(origin.grant, &shared);
        }
        self.push_handle(Descriptor::Dir(folder), shared, origin, spent)
    }

    fn push_handle(
        &mut self,
        descriptor: Descriptor,
        file: Arc<std::fs::File>,
        origin: Origin,
        spent: Spent,
    ) -> wasmtime::Result<Fd> {
        let fd = self.table.push(descriptor)?;
        let slot = self.ctx.handles.insert(Handle::new(origin, file, spent.into_intent()));
        self.ctx.handles.hold(fd.rep(), Held::Handle(slot))?;
        Ok(fd)
    }

    /// Hands out a stream that reads; its bytes are checked one by one, the proof is for having it.
    pub(super) fn push_input(
        &mut self,
        _having: OnHandle<Checked>,
        slot: usize,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(GatedStream);
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Input { slot, offset })?;
        Ok(stream)
    }

    /// As [`Self::push_input`], for a stream that writes at an offset or appends.
    pub(super) fn push_output(
        &mut self,
        _having: OnHandle<Checked>,
        slot: usize,
        offset: Option<Filesize>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(GatedStream);
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Output { slot, offset })?;
        Ok(stream)
    }

    /// Reads the next page of a listing, as a call of its own. A folder in which patterns hide everything has pages without
    /// end in one call of the guest's: the deadline holds between them.
    pub(super) fn turn_page(&mut self, slot: usize, listing: &Resource<Listing>) -> FsResult<()> {
        if Instant::now() >= self.ctx.input.call.deadline {
            return Err(FsError::trap(Trap::Interrupt));
        }
        let proof = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::ReadDirectory { handle }))?;
        self.table.get_mut(listing)?.turn(proof).map_err(failed)
    }

    /// The handle behind a resource that the gate made; anything else is a broken invariant.
    pub(super) fn slot_of(&self, rep: u32) -> FsResult<usize> {
        self.ctx.handles.slot(rep).ok_or_else(|| FsError::trap(Untracked))
    }

    pub(super) fn any_slot(&self, fd: &Fd) -> FsResult<usize> {
        self.slot_of(fd.rep())
    }

    pub(super) fn file_slot(&self, fd: &Fd) -> FsResult<usize> {
        match self.table.get(fd)? {
            Descriptor::File(_) => self.slot_of(fd.rep()),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// As [`Self::file_slot`]; reading a folder is `is-directory`, as POSIX has it.
    pub(super) fn stream_slot(&self, fd: &Fd) -> FsResult<usize> {
        match self.table.get(fd)? {
            Descriptor::File(_) => self.slot_of(fd.rep()),
            Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    /// To flush a folder is to open it for reading, which the kernel lets a sealed host do where `list` is granted; without
    /// `list` it is refused everywhere, so that a tool behaves the same in a sealed host and in one that is not.
    pub(super) fn flush_handle(&mut self, fd: &Fd, flush: Flush) -> FsResult<()> {
        let slot = self.any_slot(fd)?;
        let on = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::Sync { handle }))?;
        let flushed = match self.kind(fd)? {
            Kind::File => fs::sync(on, flush),
            Kind::Listed => fs::sync_folder(on, flush),
            Kind::Place => return Err(ErrorCode::Access.into()),
        };
        flushed.map_err(failed)
    }

    /// What a handle is of.
    pub(super) fn kind(&self, fd: &Fd) -> FsResult<Kind> {
        Ok(match self.table.get(fd)? {
            Descriptor::File(_) => Kind::File,
            Descriptor::Dir(_) if self.handle(self.slot_of(fd.rep())?)?.rights.contains(Access::List) => Kind::Listed,
            Descriptor::Dir(_) => Kind::Place,
        })
    }

    pub(super) fn handle(&self, slot: usize) -> FsResult<&Handle> {
        self.ctx.handles.get(slot).ok_or_else(|| FsError::trap(Untracked))
    }

    /// Admits a call on a handle that has an intent and an outcome of its own.
    pub(super) fn admit_on(
        &mut self,
        slot: usize,
        call: impl FnOnce(HandleFacts, u64) -> Call,
    ) -> FsResult<OnHandle<Permit>> {
        let handle = self.ctx.handles.get(slot).ok_or_else(|| FsError::trap(Untracked))?;
        Ok(handle.admit(&mut self.ctx.gate, call)?)
    }

    /// Checks a call on a handle whose outcome goes into the handle's totals.
    pub(crate) fn checked_on(
        &mut self,
        slot: usize,
        call: impl FnOnce(HandleFacts, u64) -> Call,
    ) -> FsResult<OnHandle<Checked>> {
        let handle = self.ctx.handles.get_mut(slot).ok_or_else(|| FsError::trap(Untracked))?;
        let on = handle.checked(&mut self.ctx.gate, call)?;
        handle.calls += 1;
        Ok(on)
    }

    /// Checks a write of `bytes`, a hole before them included.
    pub(super) fn checked_write(&mut self, slot: usize, bytes: u64) -> FsResult<OnHandle<Checked>> {
        self.checked_on(slot, |handle, quota_left| Call::Fs(FsCall::Write { handle, bytes, quota_left }))
    }

    /// Checks a write of so many bytes at an offset, or at the end of the file, with the hole that it makes now: the file
    /// may have been cut since the last write.
    pub(crate) fn checked_write_at(
        &mut self,
        slot: usize,
        bytes: u64,
        offset: Option<Filesize>,
    ) -> FsResult<OnHandle<Checked>> {
        let hole = match offset {
            Some(offset) if bytes > 0 => self.hole(slot, offset)?,
            Some(_) | None => 0,
        };
        self.checked_write(slot, hole.saturating_add(bytes))
    }

    /// Bytes from the end of a file to `offset`: writing there makes the file longer by them too, so they count as
    /// written.
    fn hole(&self, slot: usize, offset: Filesize) -> FsResult<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let end = self.handle(slot)?.len().map_err(|error| code_of(&error))?;
        Ok(offset.saturating_sub(end))
    }

    pub(crate) fn count_read(&mut self, slot: usize, bytes: usize) {
        if let Some(handle) = self.ctx.handles.get_mut(slot) {
            handle.bytes_read += bytes as u64;
        }
    }

    pub(crate) fn count_written(&mut self, slot: usize, bytes: usize) {
        if let Some(handle) = self.ctx.handles.get_mut(slot) {
            handle.bytes_written += bytes as u64;
        }
    }

    /// Whether patterns let a listing show an entry.
    pub(super) fn shows(&self, slot: usize, entry: &DirectoryEntry) -> FsResult<bool> {
        let handle = self.handle(slot)?;
        let Some(fs) = self.ctx.gate.set().fs.get(usize::from(handle.grant.0)) else { return Ok(false) };
        if fs.hides(&entry.name) {
            return Ok(false);
        }
        if fs.patterns.is_empty() {
            return Ok(true);
        }
        let below =
            if handle.below.is_empty() { entry.name.clone() } else { format!("{}/{}", handle.below, entry.name) };
        Ok(match entry.type_ {
            DescriptorType::Directory => fs.patterns.allow_folder(&below),
            // No link is followed there, so none is of use.
            DescriptorType::SymbolicLink => false,
            DescriptorType::RegularFile
            | DescriptorType::BlockDevice
            | DescriptorType::CharacterDevice
            | DescriptorType::Fifo
            | DescriptorType::Socket
            | DescriptorType::Unknown => fs.patterns.allow_file(&below),
        })
    }

    /// Records what came of an effect; a way that leads out is the kernel's own denial.
    pub(super) fn settle_effect<T>(&mut self, Performed { result, spent }: Performed<T>) -> FsResult<T> {
        let gate = &mut self.ctx.gate;
        match result {
            Ok(value) => {
                gate.settle(spent, OK);
                Ok(value)
            }
            Err(Failed::Escapes(way)) => Err(gate.escaped(spent, way).into()),
            Err(Failed::Exchanged) => Err(gate.exchanged(spent).into()),
            Err(Failed::Raced) => {
                gate.raced(spent);
                Err(ErrorCode::Busy.into())
            }
            Err(Failed::Kernel(errno)) => {
                if made_nothing(errno) {
                    gate.give_back(&spent);
                }
                let code = code(errno);
                gate.settle(spent, code.name());
                Err(code.into())
            }
            Err(Failed::Broken) => {
                gate.settle(spent, TRAP);
                Err(failed(Failed::Broken))
            }
        }
    }
}

/// Outcome of a call that did what was asked.
pub(super) const OK: &str = "ok";
/// Times in a row that another file may stand where one was decided on, before the guest gets `busy`.
pub(super) const RACES_MAX: u32 = 3;
/// Outcome of a call that ended the instance.
pub(super) const TRAP: &str = "trap";

/// A resource that the gate did not make, or a permit of another call: a broken invariant, so the instance ends.
#[derive(Debug, thiserror::Error)]
#[error("a resource or a permit reached the gate that is not for this call")]
pub(crate) struct Untracked;

/// Why a checked effect did not happen, for the guest; a broken invariant ends the instance.
pub(crate) fn failed(failed: Failed) -> FsError {
    match failed {
        Failed::Kernel(errno) => code(errno).into(),
        Failed::Escapes(_) | Failed::Raced | Failed::Exchanged | Failed::Broken => FsError::trap(Untracked),
    }
}

/// Whether this error says for certain that nothing was made. After any other one, such as a failing disk's, what was asked
/// for may have come into being all the same, and stays charged.
fn made_nothing(errno: Errno) -> bool {
    const CERTAIN: [Errno; 15] = [
        Errno::BUSY,
        Errno::DQUOT,
        Errno::EXIST,
        Errno::FBIG,
        Errno::INVAL,
        Errno::ISDIR,
        Errno::LOOP,
        Errno::MLINK,
        Errno::NAMETOOLONG,
        Errno::NOENT,
        Errno::NOSPC,
        Errno::NOTDIR,
        Errno::NOTEMPTY,
        Errno::ROFS,
        Errno::XDEV,
    ];
    CERTAIN.contains(&errno)
}

pub(super) fn code(errno: Errno) -> ErrorCode {
    // What moves files copies them where it gets this.
    if errno == Errno::XDEV {
        return ErrorCode::CrossDevice;
    }
    code_of(&std::io::Error::from(errno))
}

pub(super) fn code_of(error: &std::io::Error) -> ErrorCode {
    ErrorCode::from(error)
}
