//! Steps in the file system.

use std::mem::ManuallyDrop;

use serde_json::{Value, json};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::io::streams::StreamError;

use super::world::datetime;
use super::{Failure, Held, Step, Table};

/// How many names a listing tells; all are counted.
const NAMES_TOLD: usize = 64;

/// Takes the step.
pub(crate) fn take(step: &Step, table: &Table) -> Result<Value, Failure> {
    if let Some(opened) = open(step, table)? {
        table.held.borrow_mut().insert(step.r#as.clone(), ManuallyDrop::new(opened));
        return Ok(Value::Null);
    }
    match step.r#do.as_str() {
        "drop" => {
            let held = table.held.borrow_mut().remove(&step.of).ok_or(Failure::Order("no such handle"))?;
            drop(ManuallyDrop::into_inner(held));
            Ok(Value::Null)
        }
        "link" | "rename" => table.on(&step.of, &step.path, |from, path| {
            table.on(&step.to_of, &step.to, |to, new| match step.r#do.as_str() {
                "link" => Ok(from.link_at(follow(step), path, to, new).map(done)?),
                _rename => Ok(from.rename_at(path, to, new).map(done)?),
            })
        }),
        "push" | "zeroes" | "pull" => stream(step, table),
        "read-handle" | "write-handle" | "stat-handle" | "hash-handle" | "set-size" | "touch-handle" | "sync" => {
            table.handle(&step.of, |of| on_handle(step, of))
        }
        _of_path => table.on(&step.of, &step.path, |of, path| on_path(step, of, path)),
    }
}

/// What the step opens, if that is what it does.
fn open(step: &Step, table: &Table) -> Result<Option<Held>, Failure> {
    Ok(Some(match step.r#do.as_str() {
        "open" => Held::Descriptor(table.on(&step.of, &step.path, |of, path| open_at(step, of, path))?),
        "input" => Held::Input(table.handle(&step.of, |of| Ok(of.read_via_stream(step.offset)?))?),
        "output" => Held::Output(table.handle(&step.of, |of| Ok(of.write_via_stream(step.offset)?))?),
        "append" => Held::Output(table.handle(&step.of, |of| Ok(of.append_via_stream()?))?),
        "hold-listing" => Held::Listing(table.handle(&step.of, |of| {
            let listing = of.read_directory()?;
            listing.read_directory_entry()?;
            Ok(listing)
        })?),
        _opens_nothing => return Ok(None),
    }))
}

fn open_at(step: &Step, of: &Descriptor, path: &str) -> Result<Descriptor, Failure> {
    Ok(of.open_at(follow(step), path, open_flags(&step.open), descriptor_flags(&step.flags))?)
}

fn on_path(step: &Step, of: &Descriptor, path: &str) -> Result<Value, Failure> {
    let open = |open, flags| of.open_at(follow(step), path, open, flags);
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    match step.r#do.as_str() {
        "make" => {
            let file = open(OpenFlags::CREATE | OpenFlags::EXCLUSIVE, write)?;
            let bytes = step.bytes();
            if bytes.is_empty() { Ok(0.into()) } else { Ok(file.write(&bytes, 0).map(Value::from)?) }
        }
        "overwrite" => Ok(open(OpenFlags::TRUNCATE, write)?.write(&step.bytes(), 0).map(Value::from)?),
        "read" => {
            let (bytes, _end) = open(OpenFlags::empty(), read)?.read(step.len.max(4096), step.offset)?;
            Ok(String::from_utf8_lossy(&bytes).into())
        }
        "list" => list(&open(OpenFlags::DIRECTORY, read)?),
        "mkdir" => Ok(of.create_directory_at(path).map(done)?),
        "rmdir" => Ok(of.remove_directory_at(path).map(done)?),
        "unlink" => Ok(of.unlink_file_at(path).map(done)?),
        "symlink" => {
            let text = String::from_utf8_lossy(&step.bytes()).into_owned();
            Ok(of.symlink_at(&text, path).map(done)?)
        }
        "readlink" => Ok(of.readlink_at(path).map(Value::from)?),
        "stat" => Ok(of.stat_at(follow(step), path).map(stat)?),
        "hash" => Ok(of.metadata_hash_at(follow(step), path).map(hash)?),
        "touch" => Ok(of.set_times_at(follow(step), path, NewTimestamp::Now, NewTimestamp::Now).map(done)?),
        _unknown => Err(Failure::Order("no such step")),
    }
}

fn on_handle(step: &Step, of: &Descriptor) -> Result<Value, Failure> {
    match step.r#do.as_str() {
        "read-handle" => Ok(String::from_utf8_lossy(&of.read(step.len.max(1), step.offset)?.0).into()),
        "write-handle" => Ok(of.write(&step.bytes(), step.offset).map(Value::from)?),
        "stat-handle" => Ok(of.stat().map(stat)?),
        "hash-handle" => Ok(of.metadata_hash().map(hash)?),
        "set-size" => Ok(of.set_size(step.len).map(done)?),
        "touch-handle" => Ok(of.set_times(NewTimestamp::Now, NewTimestamp::Now).map(done)?),
        _sync => Ok(of.sync().map(done)?),
    }
}

fn stream(step: &Step, table: &Table) -> Result<Value, Failure> {
    let held = table.held.borrow();
    match (step.r#do.as_str(), held.get(&step.of).map(|held| &**held)) {
        ("push", Some(Held::Output(stream))) => Ok(stream.blocking_write_and_flush(&step.bytes()).map(done)?),
        ("zeroes", Some(Held::Output(stream))) => Ok(stream.blocking_write_zeroes_and_flush(step.len).map(done)?),
        ("pull", Some(Held::Input(stream))) => match stream.blocking_read(step.len.max(1)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into()),
            Err(StreamError::Closed) => Ok("".into()),
            Err(error) => Err(error.into()),
        },
        _mismatch => Err(Failure::Order("no such stream")),
    }
}

impl Table {
    /// Acts on a path below the handle `of`, or below the granted folder that it begins with.
    fn on<T>(
        &self,
        of: &str,
        path: &str,
        act: impl FnOnce(&Descriptor, &str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if !of.is_empty() {
            return self.handle(of, |of| act(of, path));
        }
        self.granted(|folders| {
            let below = |guest: &str| {
                let rest = path.strip_prefix(guest)?;
                if rest.is_empty() { Some(".") } else { rest.strip_prefix('/') }
            };
            let found = folders.iter().filter_map(|(folder, guest)| Some((folder, below(guest)?)));
            // The deepest folder leaves the least of the path.
            let (folder, rest) =
                found.min_by_key(|(_, rest)| rest.len()).ok_or(Failure::Order("in no granted folder"))?;
            act(folder, rest)
        })
    }

    /// Acts on a handle, or on a granted folder by its name.
    fn handle<T>(&self, of: &str, act: impl FnOnce(&Descriptor) -> Result<T, Failure>) -> Result<T, Failure> {
        match self.held.borrow().get(of).map(|held| &**held) {
            Some(Held::Descriptor(descriptor)) => return act(descriptor),
            Some(Held::Input(_) | Held::Output(_) | Held::Listing(_)) => {
                return Err(Failure::Order("a stream is no file"));
            }
            None => {}
        }
        self.granted(|folders| {
            let found = folders.iter().find(|(_, guest)| guest == of);
            act(&found.ok_or(Failure::Order("no such handle"))?.0)
        })
    }

    fn granted<T>(&self, act: impl FnOnce(&[(Descriptor, String)]) -> Result<T, Failure>) -> Result<T, Failure> {
        act(self.preopens.get_or_init(|| ManuallyDrop::new(get_directories())))
    }
}

fn list(folder: &Descriptor) -> Result<Value, Failure> {
    let entries = folder.read_directory()?;
    let (mut names, mut count) = (Vec::new(), 0_u64);
    while let Some(entry) = entries.read_directory_entry()? {
        count += 1;
        if names.len() < NAMES_TOLD {
            names.push(entry.name);
        }
    }
    names.sort_unstable();
    Ok(json!({ "names": names, "count": count }))
}

fn stat(stat: DescriptorStat) -> Value {
    let DescriptorStat {
        type_,
        link_count,
        size,
        data_access_timestamp: accessed,
        data_modification_timestamp: modified,
        status_change_timestamp: changed,
    } = stat;
    let kind = match type_ {
        DescriptorType::Directory => "folder",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        DescriptorType::Unknown
        | DescriptorType::BlockDevice
        | DescriptorType::CharacterDevice
        | DescriptorType::Fifo
        | DescriptorType::Socket => "other",
    };
    let times = [accessed, modified, changed].map(|time| time.map_or(Value::Null, datetime));
    json!({ "type": kind, "len": size, "links": link_count, "times": times })
}

fn hash(hash: MetadataHashValue) -> Value {
    format!("{:016x}{:016x}", hash.upper, hash.lower).into()
}

fn done((): ()) -> Value {
    Value::Null
}

fn follow(step: &Step) -> PathFlags {
    if step.follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() }
}

fn open_flags(names: &[String]) -> OpenFlags {
    names.iter().fold(OpenFlags::empty(), |all, name| {
        all | match name.as_str() {
            "create" => OpenFlags::CREATE,
            "directory" => OpenFlags::DIRECTORY,
            "exclusive" => OpenFlags::EXCLUSIVE,
            "truncate" => OpenFlags::TRUNCATE,
            _unknown => OpenFlags::empty(),
        }
    })
}

fn descriptor_flags(names: &[String]) -> DescriptorFlags {
    names.iter().fold(DescriptorFlags::empty(), |all, name| {
        all | match name.as_str() {
            "read" => DescriptorFlags::READ,
            "write" => DescriptorFlags::WRITE,
            "mutate-directory" => DescriptorFlags::MUTATE_DIRECTORY,
            _unknown => DescriptorFlags::empty(),
        }
    })
}
