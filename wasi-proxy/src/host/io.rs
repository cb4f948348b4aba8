//! `wasi:io`: reads and writes of streams are checked against their handle, counted, and forwarded; waiting is not
//! gated, since it gives nothing.

use rustix::io::Errno;
use tollgate_capability::{HostCall, Stdio};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::io::streams::HostInputStream;
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, FsError, StreamError, StreamResult};

use crate::ctx::Held;
use crate::fs::READ_BYTES_MAX;
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
        self.admit_read(&stream)?;
        let bytes = self.table.get_mut(&stream)?.read(read_size(len))?;
        self.note_read(&stream, bytes.len());
        Ok(bytes.into())
    }

    async fn blocking_read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        self.admit_read(&stream)?;
        let bytes = self.table.get_mut(&stream)?.blocking_read(read_size(len)).await?;
        self.note_read(&stream, bytes.len());
        Ok(bytes.into())
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
        let size = bytes.len();
        self.admit_stream_write(&stream, size)?;
        let rep = stream.rep();
        streams::HostOutputStream::write(self.table, stream, bytes)?;
        self.note_written(rep, size);
        Ok(())
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

    fn admit_read(&mut self, stream: &Input) -> StreamResult<()> {
        match self.ctx.handles.held(stream.rep()) {
            Some(Held::Handle(slot)) => {
                self.admit_on(slot, |handle, _quota| HostCall::Read { handle }).map_err(stream_error)
            }
            // Stdin: opening it was the call that is gated.
            Some(Held::Other) => Ok(()),
            Some(Held::Output(_)) | None => Err(StreamError::Trap(Untracked.into())),
        }
    }

    fn note_read(&mut self, stream: &Input, bytes: usize) {
        if let Some(slot) = self.ctx.handles.slot(stream.rep()) {
            self.count_read(slot, bytes);
        }
    }

    fn admit_stream_write(&mut self, stream: &Output, bytes: usize) -> StreamResult<()> {
        match self.ctx.handles.held(stream.rep()) {
            Some(Held::Handle(slot)) => self.admit_write(slot, bytes as u64).map_err(stream_error),
            Some(Held::Output(stream)) => self.admit_captured(stream, bytes as u64),
            Some(Held::Other) | None => Err(StreamError::Trap(Untracked.into())),
        }
    }

    fn admit_captured(&mut self, stream: Stdio, bytes: u64) -> StreamResult<()> {
        let left = self.ctx.captured.left();
        let permit = self.ctx.gate.admit(HostCall::WriteStdio { stream, bytes, left })?;
        self.ctx.gate.settle(permit, "ok");
        self.ctx.captured.spend(bytes);
        Ok(())
    }

    fn note_written(&mut self, rep: u32, bytes: usize) {
        if let Some(slot) = self.ctx.handles.slot(rep) {
            self.count_written(slot, bytes);
        }
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
