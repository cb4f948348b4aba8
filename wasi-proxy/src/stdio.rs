//! The guest's standard output: captured in memory. Never the host's own.

use tollgate_capability::{Call, Stdio, StdioCall};

use crate::gate::{Checked, Failed};

/// Hears what the guest writes to its standard error, as it does: pieces of any length, on the thread of the call.
pub type HearsStderr = Box<dyn FnMut(&[u8]) + Send>;

/// Captured output of both streams.
pub(crate) struct Captured {
    output: Stdout,
    left: u64,
    hears: Option<HearsStderr>,
}

impl Captured {
    pub(crate) fn new(cap_bytes: u64) -> Self {
        Self { output: Stdout::default(), left: cap_bytes, hears: None }
    }

    pub(crate) fn tell(&mut self, hears: HearsStderr) {
        self.hears = Some(hears);
    }

    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Captures what a write was allowed.
    pub(crate) fn write(&mut self, proof: Checked, bytes: &[u8]) -> Result<(), Failed> {
        let Call::Stdio(StdioCall::WriteStdio { stream, bytes: allowed, .. }) = proof.call() else {
            return Err(Failed::Broken);
        };
        if bytes.len() as u64 > *allowed {
            return Err(Failed::Broken);
        }
        match stream {
            Stdio::Stdout => self.output.stdout.extend_from_slice(bytes),
            Stdio::Stderr => {
                self.output.stderr.extend_from_slice(bytes);
                self.hears.iter_mut().for_each(|hears| hears(bytes));
            }
            Stdio::Stdin => return Err(Failed::Broken),
        }
        self.left = self.left.saturating_sub(*allowed);
        Ok(())
    }

    pub(crate) fn into_output(self) -> Stdout {
        self.output
    }
}

/// What the guest wrote to its standard streams, at most `limits.stdio` bytes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stdout {
    /// Bytes of stdout.
    pub stdout: Vec<u8>,
    /// Bytes of stderr.
    pub stderr: Vec<u8>,
}
