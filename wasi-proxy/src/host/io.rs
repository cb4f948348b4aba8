//! `wasi:io`: reads and writes of streams are checked against their handle, counted, and forwarded; waiting is not
//! gated, since it gives nothing.

use rustix::io::Errno;
use tollgate_capability::{Call, FsCall, Stdio, StdioCall};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::io::streams::HostInputStream;
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, FsError, StreamError, StreamResult};

use crate::fs::{self, READ_BYTES_MAX};
use crate::gate::Failed;
use crate::handle::Held;
use crate::host::filesystem::Untracked;
use crate::view::GateView;

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;

impl error::Host for GateView<'_> {}

impl error::HostError for GateView<'_> {
    fn to_debug_string(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<String> {
        error::HostError::to_debug_string(self.table, error)
    }

    fn drop(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<()> {
        self.ctx.release(error.rep());
        error::HostError::drop(self.table, error)
    }
}

impl poll::Host for GateView<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.ctx.gate.count("wasi:io/poll.poll");
        poll::Host::poll(self.table, pollables).await
    }
}

impl poll::HostPollable for GateView<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.ctx.gate.count("wasi:io/poll.[method]pollable.block");
        poll::HostPollable::block(self.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.ctx.release(pollable.rep());
        poll::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for GateView<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        let error = streams::Host::convert_stream_error(self.table, error)?;
        if let streams::StreamError::LastOperationFailed(cause) = &error {
            self.ctx.handles.hold(cause.rep(), Held::Other)?;
        }
        Ok(error)
    }
}

impl HostInputStream for GateView<'_> {
    fn read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        match self.ctx.handles.held(stream.rep()) {
            Some(Held::Input { slot, offset }) => self.read_file(&stream, slot, offset, read_size(len)),
            // Having it was the call that is gated.
            Some(Held::Stdin) => self.read_stdin(read_size(len)),
            Some(Held::Handle(_) | Held::Output { .. } | Held::Captured(_) | Held::Other) | None => Err(untracked()),
        }
    }

    /// A file and the bytes of stdin are always ready, so that there is nothing to wait for.
    async fn blocking_read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        self.read(stream, len)
    }

    fn skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        Ok(self.read(stream, len)?.len() as u64)
    }

    async fn blocking_skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        Ok(self.blocking_read(stream, len).await?.len() as u64)
    }

    fn subscribe(&mut self, stream: Input) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = HostInputStream::subscribe(self.table, stream)?;
        self.hold_pollable(pollable)
    }

    async fn drop(&mut self, stream: Input) -> wasmtime::Result<()> {
        let rep = stream.rep();
        HostInputStream::drop(self.table, stream).await?;
        self.ctx.release(rep);
        Ok(())
    }
}

impl streams::HostOutputStream for GateView<'_> {
    fn check_write(&mut self, stream: Output) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(self.table, stream)
    }

    fn write(&mut self, stream: Output, bytes: Vec<u8>) -> StreamResult<()> {
        match self.ctx.handles.held(stream.rep()) {
            Some(Held::Output { slot, offset }) => self.write_file(&stream, slot, offset, &bytes),
            Some(Held::Captured(stream)) => self.write_captured(stream, &bytes),
            Some(Held::Handle(_) | Held::Input { .. } | Held::Stdin | Held::Other) | None => Err(untracked()),
        }
    }

    async fn blocking_write_and_flush(&mut self, stream: Output, bytes: Vec<u8>) -> StreamResult<()> {
        if bytes.len() > BLOCKING_WRITE_BYTES_MAX {
            return Err(StreamError::trap("blocking-write-and-flush takes at most 4096 bytes"));
        }
        self.write(stream, bytes)
    }

    fn flush(&mut self, stream: Output) -> StreamResult<()> {
        streams::HostOutputStream::flush(self.table, stream)
    }

    async fn blocking_flush(&mut self, stream: Output) -> StreamResult<()> {
        streams::HostOutputStream::blocking_flush(self.table, stream).await
    }

    fn write_zeroes(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > READ_BYTES_MAX {
            return Err(StreamError::trap("write-zeroes takes at most what check-write permitted"));
        }
        self.write(stream, vec![0; len])
    }

    async fn blocking_write_zeroes_and_flush(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        if len > BLOCKING_WRITE_BYTES_MAX as u64 {
            return Err(StreamError::trap("blocking-write-zeroes-and-flush takes at most 4096 bytes"));
        }
        self.write_zeroes(stream, len)
    }

    fn splice(&mut self, stream: Output, source: Input, len: u64) -> StreamResult<u64> {
        let permitted = self.check_write(Resource::new_borrow(stream.rep()))?;
        let bytes = HostInputStream::read(self, source, len.min(permitted))?;
        let moved = bytes.len() as u64;
        self.write(stream, bytes)?;
        Ok(moved)
    }

    async fn blocking_splice(&mut self, stream: Output, source: Input, len: u64) -> StreamResult<u64> {
        let permitted = self.check_write(Resource::new_borrow(stream.rep()))?;
        let bytes = HostInputStream::blocking_read(self, source, len.min(permitted)).await?;
        let moved = bytes.len() as u64;
        self.write(stream, bytes)?;
        Ok(moved)
    }

    fn subscribe(&mut self, stream: Output) -> wasmtime::Result<Resource<DynPollable>> {
        let pollable = streams::HostOutputStream::subscribe(self.table, stream)?;
        self.hold_pollable(pollable)
    }

    async fn drop(&mut self, stream: Output) -> wasmtime::Result<()> {
        let rep = stream.rep();
        streams::HostOutputStream::drop(self.table, stream).await?;
        self.ctx.release(rep);
        Ok(())
    }
}

/// As `wasi:io/streams` says of the blocking writes.
const BLOCKING_WRITE_BYTES_MAX: usize = 4096;

fn read_size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(READ_BYTES_MAX)
}

impl GateView<'_> {
    pub(crate) fn hold_pollable(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<Resource<DynPollable>> {
        self.ctx.handles.hold(pollable.rep(), Held::Other)?;
        Ok(pollable)
    }

    fn read_file(&mut self, stream: &Input, slot: usize, offset: u64, size: usize) -> StreamResult<Vec<u8>> {
        let on = self.checked_on(slot, |handle, _quota| Call::Fs(FsCall::Read { handle })).map_err(stream_error)?;
        if size == 0 {
            return Ok(Vec::new());
        }
        let bytes = fs::read_at(on, size, offset).map_err(failed)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.ctx.handles.advance(stream.rep(), bytes.len() as u64);
        self.count_read(slot, bytes.len());
        Ok(bytes)
    }

    /// What is left of the caller's bytes, from whichever stream of them; they are empty unless stdin is granted.
    fn read_stdin(&mut self, size: usize) -> StreamResult<Vec<u8>> {
        let left = &mut self.ctx.stdin;
        if left.is_empty() {
            return Err(StreamError::Closed);
        }
        Ok(left.split_to(size.min(left.len())).into())
    }

    fn write_file(&mut self, stream: &Output, slot: usize, offset: Option<u64>, bytes: &[u8]) -> StreamResult<()> {
        let on = self.checked_write_at(slot, bytes.len() as u64, offset).map_err(stream_error)?;
        let written = fs::write(on, bytes, offset).map_err(failed)?;
        self.ctx.handles.advance(stream.rep(), written);
        self.count_written(slot, bytes.len());
        Ok(())
    }

    fn write_captured(&mut self, stream: Stdio, bytes: &[u8]) -> StreamResult<()> {
        let left = self.ctx.captured.left();
        let proof =
            self.ctx.gate.checked(Call::Stdio(StdioCall::WriteStdio { stream, bytes: bytes.len() as u64, left }))?;
        self.ctx.captured.write(proof, bytes).map_err(failed)
    }
}

fn untracked() -> StreamError {
    StreamError::Trap(Untracked.into())
}

/// Why an effect on a stream did not happen: its last failure for the guest, a broken invariant as a trap.
fn failed(failed: Failed) -> StreamError {
    match failed {
        Failed::Kernel(errno) => StreamError::LastOperationFailed(wasmtime::Error::from(std::io::Error::from(errno))),
        Failed::Escapes(_) | Failed::Raced | Failed::Exchanged | Failed::Broken => untracked(),
    }
}

/// A handle's refusal on a stream: the error code as the stream's last failure, a trap as a trap.
fn stream_error(error: FsError) -> StreamError {
    match error.downcast() {
        Ok(code) => {
            let errno = if code == ErrorCode::InsufficientSpace { Errno::NOSPC } else { Errno::PERM };
            StreamError::LastOperationFailed(wasmtime::Error::from(std::io::Error::from(errno)))
        }
        Err(trap) => StreamError::Trap(trap),
    }
}
