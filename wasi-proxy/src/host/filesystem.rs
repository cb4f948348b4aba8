//! `wasi:filesystem`: paths are probed, decided on, recorded, and only then acted on; handles carry their rights.

use std::sync::Arc;

use rustix::fs::{Timespec, Timestamps};
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, FsPath, GrantIndex, HostCall, OpenFlags, Target};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::ctx::Held;
use crate::fs::{self, Failed, FileInput, FileOutput, Opened, Probe, READ_BYTES_MAX};
use crate::gate::{Gate, Permit};
use crate::view::GateView;

mod handles;

pub(crate) use handles::Untracked;
use handles::{OK, Origin, code, code_of, settle_errno};

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
                    return Err(folder_gone(errno, &fs.guest).into());
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
        self.can_be_flushed(&fd, slot)?;
        self.wasi_fs().sync(fd).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        let slot = self.any_slot(&fd)?;
        self.admit_on(slot, |handle, _quota| HostCall::Sync { handle })?;
        self.can_be_flushed(&fd, slot)?;
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

/// A granted folder cannot be opened, though it was there when the policy was loaded: the operator's to mend, not the
/// tool's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot open the folder for {guest}: {why}")]
pub struct FolderGone {
    /// The folder, as the guest sees it.
    pub guest: String,
    /// What stands in the way.
    pub why: &'static str,
}

fn folder_gone(errno: Errno, guest: &str) -> FolderGone {
    let why = match errno {
        Errno::LOOP => "a symbolic link stands in the way that was resolved when the policy was loaded",
        Errno::NOENT => "it is no longer there",
        _other => "the system refuses",
    };
    FolderGone { guest: guest.to_owned(), why }
}

fn settle_result<T>(gate: &mut Gate, permit: Permit, result: FsResult<T>) -> FsResult<T> {
    let outcome = match &result {
        Ok(_) => OK,
        Err(error) => error.downcast_ref().map_or("trap", ErrorCode::name),
    };
    gate.settle(permit, outcome);
    result
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
