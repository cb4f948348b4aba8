//! `wasi:filesystem`: paths are probed, decided on, recorded, and only then acted on; handles carry their rights.

use std::sync::Arc;

use rustix::fs::{Timespec, Timestamps};
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, Call, Ending, FsCall, GrantIndex, OpenFlags};
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::fs::{self, Flush, Listing, Name, Next, Opened, Probe, READ_BYTES_MAX};
use crate::gate::{Failed, Gate, Performed, Spent};
use crate::handle::{Held, Origin};
use crate::view::GateView;

mod handles;
#[cfg(test)]
mod tests;

pub(crate) use handles::Untracked;
use handles::{OK, RACES_MAX, TRAP, code, code_of, failed};

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
            let permit = self.ctx.gate.admit(Call::Fs(FsCall::Preopen { grant }))?;
            let Performed { result, spent } = fs::open_preopen(permit, &set);
            let folder = match result {
                Ok(folder) => folder,
                Err(Failed::Kernel(errno)) => {
                    self.ctx.gate.settle(spent, code(errno).name());
                    return Err(folder_gone(errno, &fs.guest).into());
                }
                Err(Failed::Escapes(_way)) => {
                    self.ctx.gate.settle(spent, code(Errno::PERM).name());
                    return Err(pseudo_folder(&fs.guest).into());
                }
                Err(Failed::Raced | Failed::Exchanged | Failed::Broken) => {
                    return Err(Untracked.into());
                }
            };
            let rights = fs.access.intersection(AccessSet::EMPTY.with(Access::List));
            let fd = self.push_folder(folder, Origin { grant, below: String::new(), rights }, spent)?;
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
        // As the kernel has it: a dot or a slash follows a link, and what must be new, or cannot be made, follows none.
        let new = flags.create && (flags.exclusive || path.folder_only());
        let follow = path.ending() == Ending::Dot || ((flags.follow || path.folder_only()) && !new);
        let flags = OpenFlags { follow, ..flags };
        for _race in 0..RACES_MAX {
            let Probe { target, .. } = self.look(&path, flags.follow)?;
            let handles_open = self.ctx.handles.open();
            let quota_left = if flags.create { self.ctx.gate.quota_left(path.grant) } else { 0 };
            let call = Call::Fs(FsCall::OpenAt { path: path.clone(), flags, target, handles_open, quota_left });
            let permit = self.ctx.gate.admit(call)?;
            match fs::open(permit, &self.ctx.roots) {
                Performed { result: Ok(Opened::Same(opened)), spent } => return self.push_opened(opened, spent),
                Performed { result: Ok(Opened::Raced), spent } => self.ctx.gate.raced(spent),
                Performed { result: Err(failed), spent } => {
                    return self.settle_effect(Performed { result: Err(failed), spent });
                }
            }
        }
        Err(ErrorCode::Busy.into())
    }

    async fn stat_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let (probed, permit) =
            self.metadata_call(&fd, path, follow, |path, target| Call::Fs(FsCall::StatAt { path, target }))?;
        let clock = self.ctx.gate.set().wall_clock;
        self.settle_effect(fs::stat_at(permit, probed, clock))
    }

    async fn metadata_hash_at(&mut self, fd: Fd, path_flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let (probed, permit) =
            self.metadata_call(&fd, path, follow, |path, target| Call::Fs(FsCall::MetadataHashAt { path, target }))?;
        let spent = permit.spend();
        let hash = match self.push_probed(probed) {
            Ok(fd) => {
                let hash = self.wasi_fs().metadata_hash(Resource::new_borrow(fd.rep())).await;
                self.table.delete(fd)?;
                hash
            }
            Err(error) => Err(error),
        };
        settle_result(&mut self.ctx.gate, spent, hash)
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
            self.metadata_call(&fd, path, follow, |path, target| Call::Fs(FsCall::SetTimesAt { path, target }))?;
        self.settle_effect(fs::set_times(permit, probed, &times))
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        self.change(|roots, gate| {
            let Name { found, .. } = roots.look_at_name(&path)?;
            let quota_left = gate.quota_left(path.grant);
            Ok(Call::Fs(FsCall::CreateDirectoryAt { path: path.clone(), target: found.target, quota_left }))
        })
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        self.change(|roots, _gate| {
            let Name { found, linked } = roots.look_at_name(&path)?;
            Ok(Call::Fs(FsCall::RemoveDirectoryAt { path: path.clone(), linked, target: found.target }))
        })
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        self.change(|roots, _gate| {
            let Name { found, .. } = roots.look_at_name(&path)?;
            Ok(Call::Fs(FsCall::UnlinkFileAt { path: path.clone(), target: found.target }))
        })
    }

    async fn rename_at(&mut self, fd: Fd, old_path: String, new_fd: Fd, new_path: String) -> FsResult<()> {
        let from = self.path(&fd, old_path)?;
        let to = self.path(&new_fd, new_path)?;
        self.change(|roots, gate| {
            let (old, new) = (roots.look_at_name(&from)?, roots.look_at_name(&to)?);
            Ok(Call::Fs(FsCall::RenameAt {
                from: from.clone(),
                from_linked: old.linked,
                source: old.found.target,
                reach: roots.reach_of_move((&from, &old), (&to, &new)),
                carries: roots.carried_by_move((&from, &old), &to),
                to: to.clone(),
                to_linked: new.linked,
                target: new.found.target,
                quota_left: gate.quota_left(to.grant),
            }))
        })
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
        self.change(|roots, gate| {
            let old = roots.look(&from, from.folder_only())?;
            let quota_left = gate.quota_left(to.grant);
            let reach = roots.reach_of_link(&from, &old, &to);
            let to_linked = roots.look_at_name(&to)?.linked;
            Ok(Call::Fs(FsCall::LinkAt {
                from: from.clone(),
                source: old.target,
                reach,
                to: to.clone(),
                to_linked,
                quota_left,
            }))
        })
    }

    async fn symlink_at(&mut self, fd: Fd, content: String, path: String) -> FsResult<()> {
        let path = self.path(&fd, path)?;
        self.change(|roots, gate| {
            let Name { linked, .. } = roots.look_at_name(&path)?;
            let quota_left = gate.quota_left(path.grant);
            Ok(Call::Fs(FsCall::SymlinkAt { content: content.clone(), path: path.clone(), linked, quota_left }))
        })
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let (_probed, permit) =
            self.metadata_call(&fd, path, false, |path, target| Call::Fs(FsCall::ReadlinkAt { path, target }))?;
        self.settle_effect(fs::read_link(permit, &self.ctx.roots))
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        let slot = self.file_slot(&fd)?;
        let on = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::Read { handle }))?;
        let size = usize::try_from(len).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
        let bytes = fs::read_at(on, size, offset).map_err(failed)?;
        self.count_read(slot, bytes.len());
        let end = bytes.is_empty() && size > 0;
        Ok((bytes, end))
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let slot = self.file_slot(&fd)?;
        let on = self.checked_write_at(slot, bytes.len() as u64, Some(offset))?;
        let written = fs::write(on, &bytes, Some(offset)).map_err(failed)?;
        self.count_written(slot, bytes.len());
        Ok(written)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let slot = self.stream_slot(&fd)?;
        let proof = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::Read { handle }))?;
        self.push_input(proof, slot, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.file_slot(&fd)?;
        let proof = self.checked_write(slot, 0)?;
        self.push_output(proof, slot, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.file_slot(&fd)?;
        let proof = self.checked_on(slot, |handle, quota_left| Call::Fs(FsCall::Append { handle, quota_left }))?;
        self.push_output(proof, slot, None)
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let slot = self.file_slot(&fd)?;
        let now = self.handle(slot)?.len().map_err(|error| code_of(&error))?;
        let growth = size.saturating_sub(now);
        let on =
            self.admit_on(slot, |handle, quota_left| Call::Fs(FsCall::SetSize { handle, size, growth, quota_left }))?;
        self.settle_effect(fs::set_size(on))
    }

    async fn set_times(&mut self, fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()> {
        let slot = self.any_slot(&fd)?;
        let times = Timestamps { last_access: timespec(accessed)?, last_modification: timespec(modified)? };
        let kind = self.kind(&fd)?;
        let on = self.admit_on(slot, |handle, _quota| Call::Fs(FsCall::SetTimes { handle }))?;
        self.settle_effect(fs::set_open_times(on, kind, &times))
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.flush_handle(&fd, Flush::All)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.flush_handle(&fd, Flush::Data)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let slot = self.any_slot(&fd)?;
        let proof = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::ReadDirectory { handle }))?;
        let listing = self.table.push(fs::list(proof).map_err(failed)?)?;
        self.ctx.handles.hold(listing.rep(), Held::Handle(slot))?;
        // To the bindings it is the listing of wasmtime-wasi, which nobody but that crate can make.
        Ok(Resource::new_own(listing.rep()))
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
        let slot = self.any_slot(&fd)?;
        let on = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::Stat { handle }))?;
        fs::stat(on, self.ctx.gate.set().wall_clock).map_err(failed)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        let slot = self.any_slot(&fd)?;
        let _on = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::MetadataHash { handle }))?;
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
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        loop {
            match self.table.get_mut(&listing)?.next() {
                Next::End => return Ok(None),
                Next::Page => self.turn_page(slot, &listing)?,
                Next::Unnameable => self.ctx.gate.count(UNNAMEABLE),
                Next::Entry(entry) if self.shows(slot, &entry)? => return Ok(Some(entry)),
                Next::Entry(_hidden) => {}
            }
        }
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let rep = stream.rep();
        self.table.delete(Resource::<Listing>::new_own(rep))?;
        self.ctx.release(rep);
        Ok(())
    }
}

/// Under what the record of a call counts the entries that listings left out.
pub const UNNAMEABLE: &str = "entries left out of listings: their names are not UTF-8";

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

fn pseudo_folder(guest: &str) -> FolderGone {
    FolderGone { guest: guest.to_owned(), why: "it is in a file system of the kernel's own" }
}

fn folder_gone(errno: Errno, guest: &str) -> FolderGone {
    let why = match errno {
        Errno::LOOP => "a symbolic link stands in the way that was resolved when the policy was loaded",
        Errno::NOENT => "it is no longer there",
        Errno::STALE => "another folder stands there than when the policy was loaded",
        _other => "the system refuses",
    };
    FolderGone { guest: guest.to_owned(), why }
}

fn settle_result<T>(gate: &mut Gate, spent: Spent, result: FsResult<T>) -> FsResult<T> {
    let outcome = match &result {
        Ok(_) => OK,
        Err(error) => error.downcast_ref().map_or(TRAP, ErrorCode::name),
    };
    gate.settle(spent, outcome);
    result
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
