//! Steps on handles and streams with names, which stay open from one step to the next. What is still open after the
//! last step is never dropped.
#![allow(clippy::wildcard_enum_match_arm, reason = "each group of operations knows its own and hands on the rest")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;

use serde::Deserialize;
use serde_json::{Value, json};
use wasip2::filesystem::types::{Descriptor, ErrorCode, PathFlags};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::raw::{Failure, Preopens, descriptor_flags, open_flags, text};

/// What is open.
pub(crate) struct Table {
    preopens: ManuallyDrop<Preopens>,
    held: RefCell<BTreeMap<String, ManuallyDrop<Held>>>,
}

impl Table {
    /// A table in which nothing is open but what the host gives.
    pub(crate) fn new() -> Self {
        Self { preopens: ManuallyDrop::new(Preopens::get()), held: RefCell::default() }
    }
}

enum Held {
    Descriptor(Descriptor),
    Input(InputStream),
    Output(OutputStream),
}

/// One step: `{"op": "open", "of": "/docs", "path": "a", "flags": ["read"], "name": "a"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    op: Op,
    /// The handle that is acted on: a name that a step gave, or a preopened folder.
    of: String,
    /// The name of what the step opens.
    #[serde(default)]
    name: String,
    /// The input stream that `splice` takes from.
    #[serde(default)]
    from: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    follow: bool,
    /// `create`, `directory`, `exclusive`, `truncate`.
    #[serde(default)]
    open: Vec<String>,
    /// `read`, `write`, `mutate-directory`, …
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    data: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    len: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    Open,
    /// A stream that reads.
    Input,
    /// A stream that writes at `offset`.
    Output,
    /// A stream that appends.
    Append,
    /// `len` bytes, from a stream or from a file at `offset`.
    Read,
    /// `data`, to a stream or to a file at `offset`.
    Write,
    WriteZeroes,
    Skip,
    Splice,
    SetSize,
    /// The names in a folder, sorted, with the error code in the place of each that cannot be told.
    List,
    Drop,
}

impl Step {
    /// Takes the step: `{"ok": value}` or `{"err": {"kind", "errno", "message"}}`.
    pub(crate) fn take(&self, table: &Table) -> Value {
        match self.try_take(table) {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => json!({ "err": failure.tell() }),
        }
    }

    fn try_take(&self, table: &Table) -> Result<Value, Failure> {
        let opened = match self.op {
            Op::Open => Held::Descriptor(self.on_descriptor(table, |of| self.open_below(of))?),
            Op::Input => Held::Input(self.on_descriptor(table, |of| of.read_via_stream(self.offset))?),
            Op::Output => Held::Output(self.on_descriptor(table, |of| of.write_via_stream(self.offset))?),
            Op::Append => Held::Output(self.on_descriptor(table, Descriptor::append_via_stream)?),
            Op::Drop => {
                let held = table.held.borrow_mut().remove(&self.of).ok_or(Failure::NoHandle)?;
                drop(ManuallyDrop::into_inner(held));
                return Ok(Value::Null);
            }
            Op::Read | Op::Write | Op::WriteZeroes | Op::Skip | Op::Splice | Op::SetSize | Op::List => {
                return self.act(table);
            }
        };
        table.held.borrow_mut().insert(self.name.clone(), ManuallyDrop::new(opened));
        Ok(Value::Null)
    }

    fn on_descriptor<T>(
        &self,
        table: &Table,
        open: impl FnOnce(&Descriptor) -> Result<T, ErrorCode>,
    ) -> Result<T, Failure> {
        match table.held.borrow().get(&self.of).map(|held| &**held) {
            Some(Held::Descriptor(descriptor)) => Ok(open(descriptor)?),
            Some(Held::Input(_) | Held::Output(_)) => Err(Failure::NoHandle),
            None => Ok(open(table.preopens.named(&self.of)?)?),
        }
    }

    fn open_below(&self, of: &Descriptor) -> Result<Descriptor, ErrorCode> {
        let follow = if self.follow { PathFlags::SYMLINK_FOLLOW } else { PathFlags::empty() };
        of.open_at(follow, &self.path, open_flags(&self.open), descriptor_flags(&self.flags))
    }

    fn act(&self, table: &Table) -> Result<Value, Failure> {
        let held = table.held.borrow();
        let of = held.get(&self.of).map(|held| &**held).ok_or(Failure::NoHandle)?;
        let Self { offset, len, .. } = *self;
        let data = self.data.as_bytes();
        let done = |()| Value::Null;
        match (self.op, of) {
            (Op::Read, Held::Descriptor(file)) => Ok(file.read(len, offset).map(|(bytes, _)| text(&bytes))?),
            (Op::Read, Held::Input(stream)) => match stream.blocking_read(len) {
                Ok(bytes) => Ok(text(&bytes)),
                Err(StreamError::Closed) => Ok(text(&[])),
                Err(error) => Err(error.into()),
            },
            (Op::Skip, Held::Input(stream)) => Ok(stream.blocking_skip(len).map(Value::from)?),
            (Op::Write, Held::Descriptor(file)) => Ok(file.write(data, offset).map(Value::from)?),
            (Op::Write, Held::Output(stream)) => Ok(stream.blocking_write_and_flush(data).map(done)?),
            (Op::WriteZeroes, Held::Output(stream)) => Ok(stream.blocking_write_zeroes_and_flush(len).map(done)?),
            (Op::Splice, Held::Output(stream)) => match held.get(&self.from).map(|held| &**held) {
                Some(Held::Input(from)) => Ok(stream.blocking_splice(from, len).map(Value::from)?),
                _other => Err(Failure::NoHandle),
            },
            (Op::SetSize, Held::Descriptor(file)) => Ok(file.set_size(len).map(done)?),
            (Op::List, Held::Descriptor(folder)) => names(folder),
            _mismatch => Err(Failure::NoHandle),
        }
    }
}

fn names(folder: &Descriptor) -> Result<Value, Failure> {
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    loop {
        match entries.read_directory_entry() {
            Ok(Some(entry)) => names.push(entry.name),
            Ok(None) => break,
            Err(code) => names.push(code.name().to_owned()),
        }
    }
    names.sort_unstable();
    Ok(names.into())
}
