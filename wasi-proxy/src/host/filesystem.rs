//! `wasi:filesystem`: paths are probed, decided on, recorded, and only then acted on; handles carry their rights.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Timespec, Timestamps};
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, FsPath, GrantIndex, HandleFacts, HostCall, OpenFlags, Target};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, FsPerms, OpenMode};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::ctx::{Handle, Held};
use crate::fs::{self, Failed, FileInput, FileOutput, Opened, Probe, READ_BYTES_MAX, Root, probe};
use crate::gate::{Gate, Permit};
use crate::view::GateView;

type Fd = Resource<Descriptor>;

impl preopens::Host for GateView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let set = Arc::clone(self.ctx.gate.set());
        if set.fs.is_empty() {
            self.ctx.gate.count("wasi:filesystem/preopens.get-directories");
        }
        let mut directories = Vec::with_capacity(set.fs.len());
        for (place, fs) in set.fs.iter().enumerate() {
            let grant = GrantIndex(u16::try_from(place)?);
            let permit = self.ctx.gate.admit(HostCall::Preopen { grant })?;
            let folder = match fs::open_preopen(&permit, &fs.host) {
                Ok(folder) => folder,
                Err(errno) => {
                    self.ctx.gate.settle(permit, code(errno).name());
                    return Err(cannot_preopen(errno, &fs.guest));
                }
            };
            let rights = fs.access.intersection(AccessSet::EMPTY.with(Access::List));
            let fd = self.push_folder(folder, Origin { grant, below: String::new(), rights }, permit)?;
            directories.push((fd, fs.guest.clone()));
        }
        Ok(directories)
    }
}

impl types::Host for GateView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.wasi_fs().convert_error_code(error)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.wasi_fs().filesystem_error_code(error)
    }
}

impl HostDescriptor for GateView<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        oflags: types::OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let flags = open_flags(path_flags, oflags, flags)?;
        let path = self.path(&fd, path)?;
        for _race in 0..OPEN_RACES_MAX {
            let root = self.root(path.grant)?;
            let Probe { target, .. } = self.look(&root, &path, flags.follow);
            let handles_open = self.ctx.handles.open();
            let call = HostCall::OpenAt { path: path.clone(), flags, target, handles_open };
            let permit = self.ctx.gate.admit(call)?;
            match fs::open(&permit, self.rooted(&root, path.grant)) {
                Ok(Opened::Same(opened)) => return self.push_opened(opened, &path, flags, target, permit),
                Ok(Opened::Raced) => self.ctx.gate.settle(permit, RACED),
                Err(Errno::XDEV) => return Err(self.ctx.gate.escaped(permit).into()),
                Err(errno) => return Err(settle_errno(&mut self.ctx.gate, permit, errno)),
            }
        }
        Err(ErrorCode::Busy.into())
    }

    async fn stat_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let (probed, permit) =
            self.metadata_call(&fd, path, follow, |path, target| HostCall::StatAt { path, target })?;
        let stat = match self.push_probed(probed) {
            Ok(fd) => {
                let stat = self.wasi_fs().stat(Resource::new_borrow(fd.rep())).await;
                self.table.delete(fd)?;
                stat
            }
            Err(error) => Err(error),
        };
        settle_result(&mut self.ctx.gate, permit, stat)
    }

    async fn metadata_hash_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let (probed, permit) =
            self.metadata_call(&fd, path, follow, |path, target| HostCall::MetadataHashAt { path, target })?;
        let hash = match self.push_probed(probed) {
            Ok(fd) => {
                let hash = self.wasi_fs().metadata_hash(Resource::new_borrow(fd.rep())).await;
                self.table.delete(fd)?;
                hash
            }
            Err(error) => Err(error),
        };
        settle_result(&mut self.ctx.gate, permit, hash)
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let times = Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? };
        let (probed, permit) =
            self.metadata_call(&fd, path, follow, |path, target| HostCall::SetTimesAt { path, target })?;
        let result = probed.and_then(|file| fs::set_times(&permit, &file, &times));
        self.settle_effect(permit, result.map_err(Failed::from))
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        let root = self.root(path.grant)?;
        let permit = self.ctx.gate.admit(HostCall::CreateDirectoryAt { path: path.clone() })?;
        let result = fs::create_folder(&permit, self.rooted(&root, path.grant), &path);
        self.settle_effect(permit, result)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        let root = self.root(path.grant)?;
        let permit = self.ctx.gate.admit(HostCall::RemoveDirectoryAt { path: path.clone() })?;
        let result = fs::remove_folder(&permit, self.rooted(&root, path.grant), &path);
        self.settle_effect(permit, result)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        let root = self.root(path.grant)?;
        let Probe { target, .. } = self.look(&root, &path, false);
        let permit = self.ctx.gate.admit(HostCall::UnlinkFileAt { path: path.clone(), target })?;
        let result =
            no_file_as_folder(&path, target).and_then(|()| fs::unlink(&permit, self.rooted(&root, path.grant), &path));
        self.settle_effect(permit, result)
    }

    async fn rename_at(&mut self, fd: Fd, old_path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        let from = self.path(&fd, old_path)?;
        let to = self.path(&new_fd, new_path)?;
        let (from_root, to_root) = (self.root(from.grant)?, self.root(to.grant)?);
        let Probe { target: source, .. } = self.look(&from_root, &from, false);
        let Probe { target, .. } = self.look(&to_root, &to, false);
        let call = HostCall::RenameAt { from: from.clone(), source, to: to.clone(), target };
        let permit = self.ctx.gate.admit(call)?;
        let result = no_file_as_folder(&from, source).and_then(|()| no_file_as_folder(&to, source)).and_then(|()| {
            let old = (self.rooted(&from_root, from.grant), &from);
            fs::rename(&permit, old, (self.rooted(&to_root, to.grant), &to))
        });
        self.settle_effect(permit, result)
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        old_path_flags: PathFlags,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        if old_path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
            return Err(ErrorCode::Invalid.into());
        }
        let from = self.path(&fd, old_path)?;
        let to = self.path(&new_fd, new_path)?;
        let (from_root, to_root) = (self.root(from.grant)?, self.root(to.grant)?);
        let Probe { target: source, .. } = self.look(&from_root, &from, false);
        let permit = self.ctx.gate.admit(HostCall::LinkAt { from: from.clone(), source, to: to.clone() })?;
        let result = no_file_as_folder(&from, source).and_then(|()| no_file_as_folder(&to, source)).and_then(|()| {
            let old = (self.rooted(&from_root, from.grant), &from);
            fs::hard_link(&permit, old, (self.rooted(&to_root, to.grant), &to))
        });
        self.settle_effect(permit, result)
    }

    async fn symlink_at(&mut self, fd: Fd, content: String, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        let root = self.root(path.grant)?;
        let call = HostCall::SymlinkAt { content: content.clone(), path: path.clone() };
        let permit = self.ctx.gate.admit(call)?;
        let result = fs::symlink(&permit, self.rooted(&root, path.grant), &content, &path);
        self.settle_effect(permit, result)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let path = self.path(&fd, path)?;
        let root = self.root(path.grant)?;
        let permit = self.ctx.gate.admit(HostCall::ReadlinkAt { path: path.clone() })?;
        let result = fs::read_link(&permit, self.rooted(&root, path.grant), &path);
        self.settle_effect(permit, result)
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let slot = self.file_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::Read { handle })?;
        let size = usize::try_from(len).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
        let bytes = fs::read_at(&*self.file(slot)?, size, offset).map_err(code)?;
        self.count_read(slot, bytes.len());
        let end = bytes.is_empty() && size > 0;
        Ok((bytes, end))
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let slot = self.file_slot(&fd)?;
        let hole = if bytes.is_empty() { 0 } else { self.hole(slot, offset)? };
        self.admit_write(slot, hole.saturating_add(bytes.len() as u64))?;
        let written = fs::write_at(&*self.file(slot)?, &bytes, offset).map_err(code)?;
        self.count_written(slot, bytes.len());
        Ok(written)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let slot = self.stream_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::Read { handle })?;
        let stream: DynInputStream = Box::new(FileInput::new(self.file(slot)?, offset));
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Handle(slot))?;
        Ok(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.file_slot(&fd)?;
        let hole = self.hole(slot, offset)?;
        self.admit_write(slot, hole)?;
        let stream = FileOutput::at(self.file(slot)?, offset);
        self.push_output(slot, stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.file_slot(&fd)?;
        self.admit_on(slot, |handle, quota_left| HostCall::Append { handle, quota_left })?;
        let stream = FileOutput::append(self.file(slot)?);
        self.push_output(slot, stream)
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let slot = self.file_slot(&fd)?;
        let file = self.file(slot)?;
        let now = file.metadata().map_err(|error| code_of(&error))?.len();
        let growth = size.saturating_sub(now);
        let permit = self.permit_on(slot, |handle, quota_left| HostCall::SetSize { handle, growth, quota_left })?;
        let result = rustix::fs::ftruncate(&*file, size);
        if result.is_ok() {
            self.spend(slot, growth);
        }
        self.settle_effect(permit, result.map_err(Failed::from))
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let slot = self.any_slot(&fd)?;
        let times = Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? };
        let permit = self.permit_on(slot, |handle, _quota| HostCall::SetTimes { handle })?;
        let result = rustix::fs::futimens(&*self.file(slot)?, &times);
        self.settle_effect(permit, result.map_err(Failed::from))
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        let slot = self.any_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::Sync { handle })?;
        self.wasi_fs().sync(fd).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        let slot = self.any_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::Sync { handle })?;
        self.wasi_fs().sync_data(fd).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let slot = self.any_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::ReadDirectory { handle })?;
        let entries = self.wasi_fs().read_directory(fd).await?;
        self.ctx.handles.hold(entries.rep(), Held::Handle(slot))?;
        Ok(entries)
    }

    async fn advise(&mut self, fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()> {
        self.wasi_fs().advise(fd, offset, len, advice).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.wasi_fs().get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.wasi_fs().get_type(fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.wasi_fs().stat(fd).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.wasi_fs().metadata_hash(fd).await
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        self.wasi_fs().is_same_object(a, b).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        let rep = fd.rep();
        HostDescriptor::drop(&mut self.wasi_fs(), fd)?;
        self.ctx.release(rep);
        Ok(())
    }
}

impl HostDirectoryEntryStream for GateView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let slot = self.slot_of(stream.rep())?;
        loop {
            let borrowed = Resource::new_borrow(stream.rep());
            let Some(entry) = self.wasi_fs().read_directory_entry(borrowed).await? else { return Ok(None) };
            if self.shows(slot, &entry)? {
                return Ok(Some(entry));
            }
        }
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let rep = stream.rep();
        HostDirectoryEntryStream::drop(&mut self.wasi_fs(), stream)?;
        self.ctx.release(rep);
        Ok(())
    }
}

/// Times in a row that another file may stand where one was decided on, before the guest gets `busy`.
const OPEN_RACES_MAX: u32 = 3;
/// Outcome of an open that found another file than the one decided on.
const RACED: &str = "raced";

/// Where an opened file or folder belongs.
struct Origin {
    grant: GrantIndex,
    below: String,
    rights: AccessSet,
}

impl GateView<'_> {
    fn path(&self, fd: &Fd, asked: String) -> FsResult<FsPath> {
        match self.table.get(fd)? {
            Descriptor::Dir(_) => {}
            Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
        }
        let handle = self.handle(self.slot_of(fd.rep())?)?;
        Ok(FsPath::new(handle.grant, &handle.below, asked))
    }

    fn root(&self, grant: GrantIndex) -> FsResult<Arc<std::fs::File>> {
        match self.ctx.roots.get(usize::from(grant.0)) {
            Some(Some(root)) => Ok(Arc::clone(root)),
            Some(None) | None => Err(FsError::trap(Untracked)),
        }
    }

    fn rooted<'r>(&self, folder: &'r std::fs::File, grant: GrantIndex) -> Root<'r> {
        let fs = self.ctx.gate.set().fs.get(usize::from(grant.0));
        Root { folder, patterned: fs.is_none_or(|fs| !fs.patterns.is_empty()) }
    }

    /// Looks at a path whose text is usable; one whose text is not is denied on its text alone.
    fn look(&self, root: &std::fs::File, path: &FsPath, follow: bool) -> Probe {
        match path.resolved() {
            Ok(below) => probe(self.rooted(root, path.grant), below, follow),
            Err(_fault) => Probe { target: Target::Unknown, fd: Err(Errno::INVAL) },
        }
    }

    /// Admits a call on what stands at a path, and hands out the `O_PATH` descriptor of it.
    fn metadata_call(
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
    fn push_probed(&mut self, probed: Result<OwnedFd, Errno>) -> FsResult<Fd> {
        let file = File::new(probed.map_err(code)?.into(), FsPerms::ReadOnly, OpenMode::empty(), true);
        Ok(self.table.push(Descriptor::File(file))?)
    }

    fn push_opened(
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
        if flags.read || !(flags.write || flags.truncate) {
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

    fn push_folder(&mut self, folder: std::fs::File, origin: Origin, permit: Permit) -> wasmtime::Result<Fd> {
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

    fn push_handle(
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

    fn push_output(&mut self, slot: usize, stream: FileOutput) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(stream);
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Handle(slot))?;
        Ok(stream)
    }

    /// The handle behind a resource that the gate made; anything else is a broken invariant.
    fn slot_of(&self, rep: u32) -> FsResult<usize> {
        self.ctx.handles.slot(rep).ok_or_else(|| FsError::trap(Untracked))
    }

    fn any_slot(&self, fd: &Fd) -> FsResult<usize> {
        self.slot_of(fd.rep())
    }

    fn file_slot(&self, fd: &Fd) -> FsResult<usize> {
        match self.table.get(fd)? {
            Descriptor::File(_) => self.slot_of(fd.rep()),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// As [`Self::file_slot`]; reading a folder is `is-directory`, as POSIX has it.
    fn stream_slot(&self, fd: &Fd) -> FsResult<usize> {
        match self.table.get(fd)? {
            Descriptor::File(_) => self.slot_of(fd.rep()),
            Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    fn handle(&self, slot: usize) -> FsResult<&Handle> {
        self.ctx.handles.get(slot).ok_or_else(|| FsError::trap(Untracked))
    }

    fn file(&self, slot: usize) -> FsResult<Arc<std::fs::File>> {
        Ok(Arc::clone(&self.handle(slot)?.file))
    }

    fn permit_on(&mut self, slot: usize, call: impl FnOnce(HandleFacts, u64) -> HostCall) -> FsResult<Permit> {
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
    fn hole(&self, slot: usize, offset: Filesize) -> FsResult<u64> {
        if offset == 0 {
            return Ok(0);
        }
        let end = self.file(slot)?.metadata().map_err(|error| code_of(&error))?.len();
        Ok(offset.saturating_sub(end))
    }

    fn spend(&mut self, slot: usize, bytes: u64) {
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
    fn shows(&self, slot: usize, entry: &DirectoryEntry) -> FsResult<bool> {
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
    fn settle_effect<T>(&mut self, permit: Permit, result: Result<T, Failed>) -> FsResult<T> {
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
const OK: &str = "ok";

/// A resource that the gate did not make: a broken invariant, so the instance ends.
#[derive(Debug, thiserror::Error)]
#[error("a resource reached the gate that the gate did not make")]
pub(crate) struct Untracked;

fn cannot_preopen(errno: Errno, guest: &str) -> wasmtime::Error {
    let why = match errno {
        Errno::LOOP => "a symbolic link stands in the way that was resolved when the policy was loaded",
        Errno::NOENT => "it is no longer there",
        _other => "the system refuses",
    };
    wasmtime::Error::from(std::io::Error::from(errno)).context(format!("cannot open the folder for {guest}: {why}"))
}

fn settle_errno(gate: &mut Gate, permit: Permit, errno: Errno) -> FsError {
    let code = code(errno);
    gate.settle(permit, code.name());
    code.into()
}

fn settle_result<T>(gate: &mut Gate, permit: Permit, result: FsResult<T>) -> FsResult<T> {
    let outcome = match &result {
        Ok(_) => OK,
        Err(error) => error.downcast_ref().map_or("trap", ErrorCode::name),
    };
    gate.settle(permit, outcome);
    result
}

fn code(errno: Errno) -> ErrorCode {
    code_of(&std::io::Error::from(errno))
}

fn code_of(error: &std::io::Error) -> ErrorCode {
    ErrorCode::from(error)
}

/// A path with a trailing slash means a folder; on a file the kernel is not even asked.
fn no_file_as_folder(path: &FsPath, target: Target) -> Result<(), Failed> {
    match target {
        Target::File { .. } | Target::Symlink if path.folder_only() => Err(Errno::NOTDIR.into()),
        Target::File { .. }
        | Target::Symlink
        | Target::Absent
        | Target::Folder { .. }
        | Target::Special
        | Target::Outside
        | Target::Unknown => Ok(()),
    }
}

fn open_flags(path: PathFlags, open: types::OpenFlags, flags: DescriptorFlags) -> FsResult<OpenFlags> {
    let syncs = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    if flags.intersects(syncs) {
        return Err(ErrorCode::Unsupported.into());
    }
    let makes = types::OpenFlags::CREATE | types::OpenFlags::EXCLUSIVE | types::OpenFlags::TRUNCATE;
    if open.contains(types::OpenFlags::DIRECTORY) && open.intersects(makes) {
        return Err(ErrorCode::Invalid.into());
    }
    Ok(OpenFlags {
        create: open.contains(types::OpenFlags::CREATE),
        exclusive: open.contains(types::OpenFlags::EXCLUSIVE),
        truncate: open.contains(types::OpenFlags::TRUNCATE),
        directory: open.contains(types::OpenFlags::DIRECTORY),
        read: flags.contains(DescriptorFlags::READ),
        write: flags.contains(DescriptorFlags::WRITE),
        follow: path.contains(PathFlags::SYMLINK_FOLLOW),
    })
}

fn timespec(time: NewTimestamp) -> Result<Timespec, ErrorCode> {
    match time {
        NewTimestamp::NoChange => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }),
        NewTimestamp::Now => Ok(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW }),
        NewTimestamp::Timestamp(at) => {
            let tv_sec = i64::try_from(at.seconds).map_err(|_too_late| ErrorCode::Overflow)?;
            Ok(Timespec { tv_sec, tv_nsec: i64::from(at.nanoseconds.min(999_999_999)) })
        }
    }
}
