//! What a guest holds: paths resolved from their root, handles with their rights and totals.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, FsPath, GrantIndex, HandleFacts, HostCall, OpenFlags, Target};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode, Filesize};
use wasmtime_wasi::p2::{DynOutputStream, FsError, FsResult};

use super::Fd;
use crate::ctx::{Handle, Held};
use crate::fs::{Failed, FileOutput, Probe, Root, probe};
use crate::gate::{Gate, Permit};
use crate::view::GateView;

/// Where an opened file or folder belongs.
pub(super) struct Origin {
    pub(super) grant: GrantIndex,
    pub(super) below: String,
    pub(super) rights: AccessSet,
}

impl GateView<'_> {
    pub(super) fn path(&self, fd: &Fd, asked: String) -> FsResult<FsPath> {
        match self.table.get(fd)? {
            Descriptor::Dir(_) => {}
            Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
        }
        let handle = self.handle(self.slot_of(fd.rep())?)?;
        Ok(FsPath::new(handle.grant, &handle.below, asked))
    }

    pub(super) fn root(&self, grant: GrantIndex) -> FsResult<Arc<std::fs::File>> {
        match self.ctx.roots.get(usize::from(grant.0)) {
            Some(Some(root)) => Ok(Arc::clone(root)),
            Some(None) | None => Err(FsError::trap(Untracked)),
        }
    }

    pub(super) fn rooted<'r>(&self, folder: &'r std::fs::File, grant: GrantIndex) -> Root<'r> {
        let fs = self.ctx.gate.set().fs.get(usize::from(grant.0));
        Root { folder, patterned: fs.is_none_or(|fs| !fs.patterns.is_empty()) }
    }

    /// Looks at a path whose text is usable; one whose text is not is denied on its text alone.
    pub(super) fn look(&self, root: &std::fs::File, path: &FsPath, follow: bool) -> Probe {
        match path.resolved() {
            Ok(below) => probe(self.rooted(root, path.grant), below, follow),
            Err(_fault) => Probe { target: Target::Unknown, fd: Err(Errno::INVAL) },
        }
    }

    /// Admits a call on what stands at a path, and hands out the `O_PATH` descriptor of it.
    pub(super) fn metadata_call(
        &mut self,
        fd: &Fd,
        path: String,
        follow: bool,
        call: impl FnOnce(FsPath, Target) -> HostCall,
    ) -> FsResult<(Result<OwnedFd, Errno>, Permit)> {
        let path = self.path(fd, path)?;
        let root = self.root(path.grant)?;
        let Probe { target, fd: probed } = self.look(&root, &path, follow);
        let folder_only = path.folder_only();
        let permit = self.ctx.gate.admit(call(path, target))?;
        let probed = match target {
            Target::File { .. } if folder_only => Err(Errno::NOTDIR),
            Target::File { .. }
            | Target::Folder { .. }
            | Target::Absent
            | Target::Symlink
            | Target::Special
            | Target::Outside
            | Target::Unknown => probed,
        };
        Ok((probed, permit))
    }

    /// Makes a probed file a descriptor for wasmtime-wasi to ask about; the caller deletes it.
    pub(super) fn push_probed(&mut self, probed: Result<OwnedFd, Errno>) -> FsResult<Fd> {
        let file = File::new(probed.map_err(code)?.into(), FsPerms::ReadOnly, OpenMode::empty(), true);
        Ok(self.table.push(Descriptor::File(file))?)
    }

    pub(super) fn push_opened(
        &mut self,
        opened: OwnedFd,
        path: &FsPath,
        flags: OpenFlags,
        target: Target,
        permit: Permit,
    ) -> FsResult<Fd> {
        let below = path.resolved().unwrap_or_default().to_owned();
        let grant = path.grant;
        let file = std::fs::File::from(opened);
        if matches!(target, Target::Folder { .. }) {
            let rights = AccessSet::EMPTY.with(Access::List);
            return self.push_folder(file, Origin { grant, below, rights }, permit).map_err(FsError::trap);
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
        self.push_handle(Descriptor::File(file), shared, origin, permit).map_err(FsError::trap)
    }

    pub(super) fn push_folder(
        &mut self,
        folder: std::fs::File,
        origin: Origin,
        permit: Permit,
    ) -> wasmtime::Result<Fd> {
        let grant = usize::from(origin.grant.0);
        let folder = Dir::new(folder, FsPerms::ReadOnly, OpenMode::READ, true);
        let shared = Arc::clone(&folder.dir);
        if origin.below.is_empty()
            && let Some(root @ None) = self.ctx.roots.get_mut(grant)
        {
            *root = Some(Arc::clone(&shared));
        }
        self.push_handle(Descriptor::Dir(folder), shared, origin, permit)
    }

    pub(super) fn push_handle(
        &mut self,
        descriptor: Descriptor,
        file: Arc<std::fs::File>,
        Origin { grant, below, rights }: Origin,
        permit: Permit,
    ) -> wasmtime::Result<Fd> {
        let fd = self.table.push(descriptor)?;
        let intent = permit.into_intent();
        let handle =
            Handle { grant, below, rights, intent, file, bytes_read: 0, bytes_written: 0, calls: 0, holders: 0 };
        let slot = self.ctx.handles.insert(handle);
        self.ctx.handles.hold(fd.rep(), Held::Handle(slot))?;
        Ok(fd)
    }

    pub(super) fn push_output(&mut self, slot: usize, stream: FileOutput) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(stream);
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Handle(slot))?;
        Ok(stream)
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
    pub(super) fn can_be_flushed(&self, fd: &Fd, slot: usize) -> FsResult<()> {
        match self.table.get(fd)? {
            Descriptor::Dir(_) if !self.handle(slot)?.rights.contains(Access::List) => Err(ErrorCode::Access.into()),
            Descriptor::Dir(_) | Descriptor::File(_) => Ok(()),
        }
    }

    pub(super) fn handle(&self, slot: usize) -> FsResult<&Handle> {
        self.ctx.handles.get(slot).ok_or_else(|| FsError::trap(Untracked))
    }

    pub(super) fn file(&self, slot: usize) -> FsResult<Arc<std::fs::File>> {
        Ok(Arc::clone(&self.handle(slot)?.file))
    }

    pub(super) fn permit_on(
        &mut self,
        slot: usize,
        call: impl FnOnce(HandleFacts, u64) -> HostCall,
    ) -> FsResult<Permit> {
        let handle = self.handle(slot)?.facts();
        let quota_left = self.ctx.gate.quota_left(handle.grant);
        Ok(self.ctx.gate.admit(call(handle, quota_left))?)
    }

    /// Admits a call on a handle whose outcome goes into the handle's totals.
    pub(crate) fn admit_on(&mut self, slot: usize, call: impl FnOnce(HandleFacts, u64) -> HostCall) -> FsResult<()> {
        let permit = self.permit_on(slot, call)?;
        self.ctx.gate.settle(permit, OK);
        if let Some(handle) = self.ctx.handles.get_mut(slot) {
            handle.calls += 1;
        }
        Ok(())
    }

    /// Admits a write of `bytes` and takes them off the quota.
    pub(crate) fn admit_write(&mut self, slot: usize, bytes: u64) -> FsResult<()> {
        self.admit_on(slot, |handle, quota_left| HostCall::Write { handle, bytes, quota_left })?;
        self.spend(slot, bytes);
        Ok(())
    }

    /// Bytes from the end of a file to `offset`: writing there makes the file longer by them too, so they count as
    /// written.
    pub(super) fn hole(&self, slot: usize, offset: Filesize) -> FsResult<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let end = self.file(slot)?.metadata().map_err(|error| code_of(&error))?.len();
        Ok(offset.saturating_sub(end))
    }

    pub(super) fn spend(&mut self, slot: usize, bytes: u64) {
        if let Some(handle) = self.ctx.handles.get(slot) {
            self.ctx.gate.spend_quota(handle.grant, bytes);
        }
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
        if fs.patterns.is_empty() {
            return Ok(true);
        }
        let below =
            if handle.below.is_empty() { entry.name.clone() } else { format!("{}/{}", handle.below, entry.name) };
        Ok(match entry.type_ {
            DescriptorType::Directory => fs.patterns.allow_folder(&below),
            DescriptorType::RegularFile
            | DescriptorType::SymbolicLink
            | DescriptorType::BlockDevice
            | DescriptorType::CharacterDevice
            | DescriptorType::Fifo
            | DescriptorType::Socket
            | DescriptorType::Unknown => fs.patterns.allow_file(&below),
        })
    }

    /// Settles an effect; a way that leads out is the kernel's own denial.
    pub(super) fn settle_effect<T>(&mut self, permit: Permit, result: Result<T, Failed>) -> FsResult<T> {
        match result {
            Ok(value) => {
                self.ctx.gate.settle(permit, OK);
                Ok(value)
            }
            Err(Failed::Escapes) => Err(self.ctx.gate.escaped(permit).into()),
            Err(Failed::Kernel(errno)) => Err(settle_errno(&mut self.ctx.gate, permit, errno)),
        }
    }
}

/// Outcome of a call that did what was asked.
pub(super) const OK: &str = "ok";

/// A resource that the gate did not make: a broken invariant, so the instance ends.
#[derive(Debug, thiserror::Error)]
#[error("a resource reached the gate that the gate did not make")]
pub(crate) struct Untracked;

pub(super) fn settle_errno(gate: &mut Gate, permit: Permit, errno: Errno) -> FsError {
    let code = code(errno);
    gate.settle(permit, code.name());
    code.into()
}

pub(super) fn code(errno: Errno) -> ErrorCode {
    code_of(&std::io::Error::from(errno))
}

pub(super) fn code_of(error: &std::io::Error) -> ErrorCode {
    ErrorCode::from(error)
}
