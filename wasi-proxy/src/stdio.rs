//! The guest's standard streams: stdin from bytes, stdout and stderr into memory. Never the host's own.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tollgate_capability::Stdio;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::ctx::Stdout;

/// Captured output of both streams.
#[derive(Debug)]
pub(crate) struct Captured {
    output: Arc<Mutex<Stdout>>,
    left: u64,
}

impl Captured {
    pub(crate) fn new(cap_bytes: u64) -> Self {
        Self { output: Arc::default(), left: cap_bytes }
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    pub(crate) fn spend(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }

    pub(crate) fn stream(&self, stream: Stdio) -> CaptureStream {
        CaptureStream { output: Arc::clone(&self.output), stream }
    }

    pub(crate) fn into_output(self) -> Stdout {
        std::mem::take(&mut *self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One of the guest's output streams. The gate has counted what arrives here.
pub(crate) struct CaptureStream {
    output: Arc<Mutex<Stdout>>,
    stream: Stdio,
}

/// Bytes a guest may offer at once: 64 KiB, as wasmtime-wasi's own streams.
const WRITE_BYTES_MAX: usize = 64 << 10;

#[async_trait]
impl OutputStream for CaptureStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match self.stream {
            Stdio::Stdout => output.stdout.extend_from_slice(&bytes),
            Stdio::Stderr => output.stderr.extend_from_slice(&bytes),
            Stdio::Stdin => return Err(StreamError::Closed),
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
impl Pollable for CaptureStream {
    async fn ready(&mut self) {}
}

/// Stdin: the bytes that came with the call.
pub(crate) struct BytesStream(pub(crate) Bytes);

#[async_trait]
impl InputStream for BytesStream {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.0.is_empty() {
            return Err(StreamError::Closed);
        }
        Ok(self.0.split_to(size.min(self.0.len())))
    }
}

#[async_trait]
impl Pollable for BytesStream {
    async fn ready(&mut self) {}
}
