//! What a writer and the notary say to each other on the socket beside the writer's pipe: how entries are kept.
//!
//! A writer is not trusted: nothing that it can send here has a length or a text.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use tollgate_audit::record::Kept;

/// A writer asks: say when all that I wrote until now is kept so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) token: u64,
    pub(crate) kept: Kept,
}

/// The notary answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) token: u64,
    /// Whether it is kept as asked; if not, it never will be.
    pub(crate) done: bool,
}

pub(crate) const WAIT_BYTES: usize = 9;
pub(crate) const ANSWER_BYTES: usize = 9;

impl Wait {
    pub(crate) fn encode(self) -> [u8; WAIT_BYTES] {
        let kept = match self.kept {
            Kept::Pipe => 0,
            Kept::Journal => 1,
            Kept::Disk => 2,
        };
        with_token(self.token, kept)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (token, kept) = split_token(*bytes.as_array()?);
        let kept = match kept {
            0 => Kept::Pipe,
            1 => Kept::Journal,
            2 => Kept::Disk,
            3.. => return None,
        };
        Some(Self { token, kept })
    }
}

impl Answer {
    pub(crate) fn encode(self) -> [u8; ANSWER_BYTES] {
        with_token(self.token, u8::from(self.done))
    }

    pub(crate) fn decode(bytes: [u8; ANSWER_BYTES]) -> Self {
        let (token, done) = split_token(bytes);
        Self { token, done: done == 1 }
    }

    /// Says it on a writer's socket; `false` if that is full of answers that the writer has not read yet.
    pub(crate) fn send(self, acks: &OwnedFd) -> bool {
        let sent = send(acks, &self.encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        !matches!(sent, Err(Errno::AGAIN))
    }
}

fn with_token(token: u64, tag: u8) -> [u8; 9] {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = token.to_le_bytes();
    [t0, t1, t2, t3, t4, t5, t6, t7, tag]
}

fn split_token(bytes: [u8; 9]) -> (u64, u8) {
    let [token @ .., tag] = bytes;
    (u64::from_le_bytes(token), tag)
}
