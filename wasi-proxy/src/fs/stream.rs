//! The streams of files as the guest's table holds them. They hold no file: the gate reads and writes with the proof of
//! each call, and keeps the offset beside the handle.

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes a guest may offer at once: 64 KiB, as wasmtime-wasi's own streams.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A stream whose bytes go through the gate: always ready, and an error for whoever goes past the gate.
pub(crate) struct GatedStream;

const PAST_THE_GATE: &str = "a stream was used past the gate";

#[async_trait]
impl InputStream for GatedStream {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        Err(StreamError::trap(PAST_THE_GATE))
    }
}

#[async_trait]
impl OutputStream for GatedStream {
    fn write(&mut self, _bytes: Bytes) -> StreamResult<()> {
        Err(StreamError::trap(PAST_THE_GATE))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for GatedStream {
    async fn ready(&mut self) {}
}
