//! Steps through `std::fs`.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use hostile_guests::outcome;
use serde::Deserialize;
use serde_json::{Value, json};

/// One step: `{"op": "rename", "path": "/docs/a", "to": "/docs/b"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    op: Op,
    path: String,
    /// The new name (`rename`, `hard-link`, `copy`), or the place of the link that points to `path` (`symlink`).
    #[serde(default)]
    to: String,
    /// What is written.
    #[serde(default)]
    data: String,
    /// The length that `set-len` sets.
    #[serde(default)]
    len: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    /// The text of a file.
    Read,
    /// Creates or truncates, then writes `data`.
    Write,
    /// Writes `data` to the end of a file that exists.
    Append,
    /// Writes `data` to the start of a file that exists.
    Overwrite,
    /// Creates a file that must not exist, then writes `data`.
    CreateNew,
    /// Truncates a file that exists.
    Truncate,
    SetLen,
    Mkdir,
    Rmdir,
    Unlink,
    Rename,
    HardLink,
    Symlink,
    Readlink,
    /// The names in a folder, sorted.
    List,
    Stat,
    Lstat,
    /// The metadata of an open file, which needs no access to its path.
    Fstat,
    SetTimes,
    OpenDir,
    /// The path without links and dots.
    Canonicalize,
    /// Copies a file's content to `to`.
    Copy,
    MkdirAll,
    RmdirAll,
    Exists,
}

impl Step {
    /// Takes the step: `{"ok": value}` or `{"err": {"kind", "errno", "message"}}`.
    pub(crate) fn take(&self) -> Value {
        outcome(self.try_take())
    }

    fn try_take(&self) -> io::Result<Value> {
        let Self { path, to, .. } = self;
        let done = |()| Value::Null;
        match self.op {
            Op::Read => fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into()),
            Op::Write => self.write(OpenOptions::new().write(true).create(true).truncate(true)),
            Op::Append => self.write(OpenOptions::new().append(true)),
            Op::Overwrite => self.write(OpenOptions::new().write(true)),
            Op::CreateNew => self.write(OpenOptions::new().write(true).create_new(true)),
            Op::Truncate => self.write(OpenOptions::new().write(true).truncate(true)),
            Op::SetLen => OpenOptions::new().write(true).open(path)?.set_len(self.len).map(done),
            Op::Mkdir => fs::create_dir(path).map(done),
            Op::Rmdir => fs::remove_dir(path).map(done),
            Op::Unlink => fs::remove_file(path).map(done),
            Op::Rename => fs::rename(path, to).map(done),
            Op::HardLink => fs::hard_link(path, to).map(done),
            Op::Symlink => symlink(path, to).map(done),
            Op::Readlink => fs::read_link(path).map(|target| target.to_string_lossy().into()),
            Op::List => list(path),
            Op::Stat => fs::metadata(path).map(|metadata| stat(&metadata)),
            Op::Lstat => fs::symlink_metadata(path).map(|metadata| stat(&metadata)),
            Op::Fstat => File::open(path)?.metadata().map(|metadata| stat(&metadata)),
            Op::SetTimes => set_times(path).map(done),
            Op::OpenDir => File::open(path).map(|_| Value::Null),
            Op::Canonicalize => fs::canonicalize(path).map(|plain| plain.to_string_lossy().into()),
            Op::Copy => fs::copy(path, to).map(Value::from),
            Op::MkdirAll => fs::create_dir_all(path).map(done),
            Op::RmdirAll => fs::remove_dir_all(path).map(done),
            Op::Exists => fs::exists(path).map(Value::from),
        }
    }

    fn write(&self, how: &OpenOptions) -> io::Result<Value> {
        how.open(&self.path)?.write_all(self.data.as_bytes()).map(|()| Value::Null)
    }
}

#[allow(deprecated, reason = "the only stable way to make a symlink on WASI")]
fn symlink(target: &str, link: &str) -> io::Result<()> {
    fs::soft_link(target, link)
}

fn list(path: &str) -> io::Result<Value> {
    let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names.into())
}

fn stat(metadata: &Metadata) -> Value {
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_file() => "file",
        kind if kind.is_symlink() => "symlink",
        _ => "other",
    };
    json!({ "type": kind, "len": metadata.len() })
}

fn set_times(path: &str) -> io::Result<()> {
    let early = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let times = FileTimes::new().set_accessed(early).set_modified(early);
    OpenOptions::new().write(true).open(path)?.set_times(times)
}
