//! Steps by direct calls of `wasi:filesystem/types`.

use serde::Deserialize;
use serde_json::{Value, json};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use wasip2::io::streams::StreamError;

/// How much a step reads.
const READ_BYTES_MAX: u64 = 64 * 1024;

const TIME: NewTimestamp = NewTimestamp::Timestamp(Datetime { seconds: 1_000_000, nanoseconds: 0 });

/// The folders that the guest was given.
pub(crate) struct Preopens(Vec<(Descriptor, String)>);

impl Preopens {
    /// Asks the host for them.
    pub(crate) fn get() -> Self {
        Self(get_directories())
    }

    pub(super) fn named(&self, name: &str) -> Result<&Descriptor, Failure> {
        let found = self.0.iter().find(|(_, guest)| guest == name);
        found.map(|(folder, _)| folder).ok_or(Failure::NoPreopen)
    }
}

/// One step: `{"op": "open-at", "base": "/docs", "path": "../a", "flags": ["read"], "then": "read"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    op: Op,
    /// The preopened folder that `path` is relative to.
    base: String,
    #[serde(default)]
    path: String,
    /// A folder below `base` that is opened first; `path` is then relative to it.
    dir: Option<String>,
    /// The preopened folder that `to` is relative to; `base` if absent.
    to_base: Option<String>,
    /// As `dir`, for `to`.
    to_dir: Option<String>,
    #[serde(default)]
    to: String,
    /// Whether a symlink at the end of `path` is followed.
    #[serde(default)]
    follow: bool,
    /// `create`, `directory`, `exclusive`, `truncate`.
    #[serde(default)]
    open: Vec<String>,
    /// `read`, `write`, `mutate-directory`, `file-integrity-sync`, `data-integrity-sync`, `requested-write-sync`.
    #[serde(default)]
    flags: Vec<String>,
    /// What `open-at` does with what it opened.
    #[serde(default)]
    then: Then,
    /// What is written.
    #[serde(default)]
    data: String,
    /// The length that `set-size` sets, or where reading and writing start.
    #[serde(default)]
    offset: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    OpenAt,
    StatAt,
    SetTimesAt,
    MetadataHashAt,
    LinkAt,
    SymlinkAt,
    ReadlinkAt,
    RenameAt,
    UnlinkFileAt,
    RemoveDirectoryAt,
    CreateDirectoryAt,
    /// What `then` says, on the preopened folder itself.
    Preopen,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    #[default]
    Close,
    Read,
    Write,
    ReadViaStream,
    WriteViaStream,
    AppendViaStream,
    Advise,
    Sync,
    SyncData,
    GetFlags,
    GetType,
    SetSize,
    SetTimes,
    ReadDirectory,
    Stat,
    MetadataHash,
    IsSameObject,
}

pub(super) enum Failure {
    Code(ErrorCode),
    Stream(StreamError),
    NoPreopen,
    NoHandle,
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

impl Failure {
    /// `kind` is the WASI error code where there is one.
    pub(super) fn tell(&self) -> Value {
        let (kind, message) = match self {
            Self::Code(code) => (code.name(), code.message().to_owned()),
            Self::Stream(StreamError::Closed) => ("closed", "the stream is closed".to_owned()),
            Self::Stream(StreamError::LastOperationFailed(error)) => ("stream", error.to_debug_string()),
            Self::NoPreopen => ("no-preopen", "there is no such preopened folder".to_owned()),
            Self::NoHandle => ("no-handle", "there is no such handle, or it is of another kind".to_owned()),
        };
        json!({ "kind": kind, "errno": null, "message": message })
    }
}

impl Step {
    /// Takes the step: `{"ok": value}` or `{"err": {"kind", "errno", "message"}}`.
    pub(crate) fn take(&self, preopens: &Preopens) -> Value {
        match self.try_take(preopens) {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => json!({ "err": failure.tell() }),
        }
    }

    fn try_take(&self, preopens: &Preopens) -> Result<Value, Failure> {
        let Self { path, to, .. } = self;
        let base = preopens.named(&self.base)?;
        let to_base = preopens.named(self.to_base.as_ref().unwrap_or(&self.base))?;
        let (dir, to_dir) = (below(base, self.dir.as_ref())?, below(to_base, self.to_dir.as_ref())?);
        let (base, to_base) = (dir.as_ref().unwrap_or(base), to_dir.as_ref().unwrap_or(to_base));
        let follow = if self.follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
        let done = |()| Value::Null;
        match self.op {
            Op::OpenAt => {
                let opened = base.open_at(follow, path, open_flags(&self.open), descriptor_flags(&self.flags))?;
                self.then(&opened, base)
            }
            Op::StatAt => Ok(base.stat_at(follow, path).map(stat)?),
            Op::SetTimesAt => Ok(base.set_times_at(follow, path, TIME, TIME).map(done)?),
            Op::MetadataHashAt => Ok(base.metadata_hash_at(follow, path).map(hash)?),
            Op::LinkAt => Ok(base.link_at(follow, path, to_base, to).map(done)?),
            Op::SymlinkAt => Ok(base.symlink_at(path, to).map(done)?),
            Op::ReadlinkAt => Ok(base.readlink_at(path).map(Value::from)?),
            Op::RenameAt => Ok(base.rename_at(path, to_base, to).map(done)?),
            Op::UnlinkFileAt => Ok(base.unlink_file_at(path).map(done)?),
            Op::RemoveDirectoryAt => Ok(base.remove_directory_at(path).map(done)?),
            Op::CreateDirectoryAt => Ok(base.create_directory_at(path).map(done)?),
            Op::Preopen => self.then(base, base),
        }
    }

    fn then(&self, opened: &Descriptor, base: &Descriptor) -> Result<Value, Failure> {
        let done = |()| Value::Null;
        let Self { offset, .. } = *self;
        let data = self.data.as_bytes();
        match self.then {
            Then::Close => Ok(Value::Null),
            Then::Read => Ok(opened.read(READ_BYTES_MAX, offset).map(|(bytes, _)| text(&bytes))?),
            Then::Write => Ok(opened.write(data, offset).map(Value::from)?),
            Then::ReadViaStream => match opened.read_via_stream(offset)?.blocking_read(READ_BYTES_MAX) {
                Ok(bytes) => Ok(text(&bytes)),
                Err(StreamError::Closed) => Ok(text(&[])),
                Err(error) => Err(error.into()),
            },
            Then::WriteViaStream => Ok(opened.write_via_stream(offset)?.blocking_write_and_flush(data).map(done)?),
            Then::AppendViaStream => Ok(opened.append_via_stream()?.blocking_write_and_flush(data).map(done)?),
            Then::Advise => Ok(opened.advise(0, 0, Advice::WillNeed).map(done)?),
            Then::Sync => Ok(opened.sync().map(done)?),
            Then::SyncData => Ok(opened.sync_data().map(done)?),
            Then::GetFlags => Ok(opened.get_flags().map(flag_names)?),
            Then::GetType => Ok(opened.get_type().map(|kind| Value::from(type_name(kind)))?),
            Then::SetSize => Ok(opened.set_size(offset).map(done)?),
            Then::SetTimes => Ok(opened.set_times(TIME, TIME).map(done)?),
            Then::ReadDirectory => list(opened),
            Then::Stat => Ok(opened.stat().map(stat)?),
            Then::MetadataHash => Ok(opened.metadata_hash().map(hash)?),
            Then::IsSameObject => Ok(Value::from(opened.is_same_object(base))),
        }
    }
}

fn below(base: &Descriptor, dir: Option<&String>) -> Result<Option<Descriptor>, Failure> {
    let open = |dir| base.open_at(PathFlags::empty(), dir, OpenFlags::DIRECTORY, DescriptorFlags::READ);
    Ok(dir.map(|dir| open(dir)).transpose()?)
}

fn list(folder: &Descriptor) -> Result<Value, Failure> {
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry()? {
        names.push(entry.name);
    }
    names.sort_unstable();
    Ok(names.into())
}

pub(super) fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

fn stat(stat: DescriptorStat) -> Value {
    let times = [stat.data_access_timestamp, stat.data_modification_timestamp, stat.status_change_timestamp];
    let times = times.map(|time| time.map(|Datetime { seconds, nanoseconds }| [seconds, nanoseconds.into()]));
    json!({ "type": type_name(stat.type_), "len": stat.size, "links": stat.link_count, "times": times })
}

fn type_name(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Unknown => "unknown",
        DescriptorType::BlockDevice => "block-device",
        DescriptorType::CharacterDevice => "character-device",
        DescriptorType::Directory => "directory",
        DescriptorType::Fifo => "fifo",
        DescriptorType::SymbolicLink => "symbolic-link",
        DescriptorType::RegularFile => "regular-file",
        DescriptorType::Socket => "socket",
    }
}

fn hash(hash: MetadataHashValue) -> Value {
    format!("{:016x}{:016x}", hash.upper, hash.lower).into()
}

const OPEN_FLAGS: [(&str, OpenFlags); 4] = [
    ("create", OpenFlags::CREATE),
    ("directory", OpenFlags::DIRECTORY),
    ("exclusive", OpenFlags::EXCLUSIVE),
    ("truncate", OpenFlags::TRUNCATE),
];

const DESCRIPTOR_FLAGS: [(&str, DescriptorFlags); 6] = [
    ("read", DescriptorFlags::READ),
    ("write", DescriptorFlags::WRITE),
    ("mutate-directory", DescriptorFlags::MUTATE_DIRECTORY),
    ("file-integrity-sync", DescriptorFlags::FILE_INTEGRITY_SYNC),
    ("data-integrity-sync", DescriptorFlags::DATA_INTEGRITY_SYNC),
    ("requested-write-sync", DescriptorFlags::REQUESTED_WRITE_SYNC),
];

pub(super) fn open_flags(names: &[String]) -> OpenFlags {
    let chosen = OPEN_FLAGS.iter().filter(|(name, _)| names.iter().any(|chosen| chosen == name));
    chosen.fold(OpenFlags::empty(), |all, (_, flag)| all | *flag)
}

pub(super) fn descriptor_flags(names: &[String]) -> DescriptorFlags {
    let chosen = DESCRIPTOR_FLAGS.iter().filter(|(name, _)| names.iter().any(|chosen| chosen == name));
    chosen.fold(DescriptorFlags::empty(), |all, (_, flag)| all | *flag)
}

fn flag_names(flags: DescriptorFlags) -> Value {
    DESCRIPTOR_FLAGS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(name, _)| *name).collect()
}
