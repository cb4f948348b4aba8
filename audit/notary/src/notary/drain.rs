//! A look into a pipe that takes nothing out, by `tee(2)`.
//!
//! Bytes leave a pipe only by `splice(2)` into the journal: a notary that is killed has neither lost nor doubled any.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, tee};
use tollgate_audit::frame::{Head, head};
use tollgate_audit::ids::{CallId, LeafHash};
use tollgate_system::{can_take_from_pipes, of_call};

use super::intake::Taken;

/// A copy of the first bytes of a pipe.
#[derive(Debug)]
pub(super) struct Peek {
    read: OwnedFd,
    write: OwnedFd,
    buffer: Box<[u8]>,
    leaves: Vec<LeafHash>,
}

/// Frames at the start of a pipe that its writer may write. Their bytes are in the [`Peek`] that saw them.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// All of them.
    pub(super) bytes: usize,
    /// Those that are not in the journal yet.
    pub(super) left: usize,
    /// Calls that end, by the place of the end among these frames.
    pub(super) ends: Vec<(u64, CallId)>,
}

/// What a pipe holds.
pub(super) enum Seen {
    /// So many bytes, in the buffer.
    Bytes(usize),
    /// Nothing at the moment.
    Empty,
    /// Nothing, and nobody is left to write.
    Over,
}

impl Peek {
    pub(super) fn new() -> io::Result<Self> {
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let (read, write) = pipe.map_err(|errno| of_call("pipe2", errno))?;
        can_take_from_pipes()?;
        // As large as a pipe is made anyway. A smaller one, where the system has no pages left, shows less at a time.
        fcntl_setpipe_size(&write, PIPE_SHARE_BYTES).ok();
        Ok(Self { read, write, buffer: vec![0; PIPE_SHARE_BYTES].into_boxed_slice(), leaves: Vec::new() })
    }

    pub(super) fn look(&mut self, pipe: BorrowedFd<'_>) -> io::Result<Seen> {
        self.leaves.clear();
        let bytes = loop {
            match tee(pipe, &self.write, PIPE_SHARE_BYTES, SpliceFlags::NONBLOCK) {
                Ok(0) => return Ok(Seen::Over),
                Ok(bytes) => break bytes,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Seen::Empty),
                Err(error) => return Err(error.into()),
            }
        };
        let mut have = 0;
        while have < bytes {
            let rest = self.buffer.get_mut(have..bytes).unwrap_or_default();
            match rustix::io::read(&self.read, rest) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => have += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Seen::Bytes(bytes))
    }

    pub(super) fn bytes(&self, count: usize) -> &[u8] {
        self.buffer.get(..count).unwrap_or_default()
    }

    /// Judges the bytes seen by `take`, and keeps the leaves of the entries that it takes.
    pub(super) fn take<F>(
        &mut self,
        count: usize,
        take: impl FnOnce(&[u8], &mut dyn FnMut(Taken<'_>)) -> (usize, Option<F>),
    ) -> (Drained, Option<F>) {
        let Self { buffer, leaves, .. } = self;
        let mut ends = Vec::new();
        let (bytes, fault) = take(buffer.get(..count).unwrap_or_default(), &mut |taken| {
            if let Some(call) = taken.ends {
                ends.push((leaves.len() as u64, call));
            }
            leaves.push(taken.leaf);
        });
        (Drained { bytes, left: bytes, ends }, fault)
    }

    /// The entries of `drained`, the latest that this saw.
    pub(super) fn entries(&self, drained: &Drained) -> impl Iterator<Item = (&[u8], LeafHash)> {
        let mut rest = self.bytes(drained.bytes);
        self.leaves.iter().map_while(move |leaf| {
            let Head::Frame { entry, size, .. } = head(rest) else { return None };
            rest = rest.get(size..).unwrap_or_default();
            Some((entry, *leaf))
        })
    }
}

/// The most bytes that a notary takes out of one pipe before it turns to the next one: some 250 entries. So no writer,
/// however fast it writes, holds up another one or the supervisor for longer than its share takes.
pub const PIPE_SHARE_BYTES: usize = 64 << 10;
