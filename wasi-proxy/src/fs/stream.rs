//! Streams over an open file, on the calling thread. Only regular files get here, so a read or write ends by itself.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, pread, pwrite, pwritev2};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes of one read: 64 KiB, so that a guest cannot make the host allocate more by asking.
pub(crate) const READ_BYTES_MAX: usize = 64 << 10;
/// Bytes of one write on a stream.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Reads up to `size` bytes at `offset`; fewer than asked are no end of the file, none are.
pub(crate) fn read_at(file: &std::fs::File, size: usize, offset: u64) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::with_capacity(size.min(READ_BYTES_MAX));
    loop {
        match pread(file, rustix::buffer::spare_capacity(&mut bytes), offset) {
            Ok(_read) => return Ok(bytes),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_at(file: &std::fs::File, bytes: &[u8], offset: u64) -> Result<u64, Errno> {
    write_all(bytes, |rest, done| pwrite(file, rest, offset.checked_add(done).ok_or(Errno::FBIG)?))
}

fn append(file: &std::fs::File, bytes: &[u8]) -> Result<u64, Errno> {
    write_all(bytes, |rest, _done| pwritev2(file, &[io::IoSlice::new(rest)], 0, ReadWriteFlags::APPEND))
}

fn write_all(mut rest: &[u8], mut write: impl FnMut(&[u8], u64) -> Result<usize, Errno>) -> Result<u64, Errno> {
    let mut done = 0;
    while !rest.is_empty() {
        match write(rest, done) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                rest = rest.get(written..).unwrap_or_default();
                done += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

/// A stream that reads a file from an offset on.
pub(crate) struct FileInput {
    file: Arc<std::fs::File>,
    offset: u64,
}

impl FileInput {
    pub(crate) fn new(file: Arc<std::fs::File>, offset: u64) -> Self {
        Self { file, offset }
    }
}

#[async_trait]
impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = read_at(&self.file, size, self.offset).map_err(failed)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset += bytes.len() as u64;
        Ok(bytes.into())
    }
}

#[async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

/// A stream that writes a file.
pub(crate) struct FileOutput {
    file: Arc<std::fs::File>,
    /// Where the next byte goes; `None` appends.
    offset: Option<u64>,
}

impl FileOutput {
    pub(crate) fn at(file: Arc<std::fs::File>, offset: u64) -> Self {
        Self { file, offset: Some(offset) }
    }

    pub(crate) fn append(file: Arc<std::fs::File>) -> Self {
        Self { file, offset: None }
    }
}

#[async_trait]
impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        match &mut self.offset {
            Some(offset) => *offset += write_at(&self.file, &bytes, *offset).map_err(failed)?,
            None => {
                append(&self.file, &bytes).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

fn failed(errno: Errno) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::from(io::Error::from(errno)))
}
