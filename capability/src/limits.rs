//! The caps by name, and their bounds with the reason for each.

use crate::set::{Cap, Limits};

/// Most memory of one call: what a 32-bit linear memory can address; a tool with more memories shares it among them.
pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Least memory of one call: a page of WebAssembly.
pub const MEMORY_BYTES_MIN: u64 = 64 << 10;
/// Most fuel of one call: the longest deadline at three instructions a nanosecond.
pub const FUEL_MAX: u64 = 10_000_000_000_000;
/// Longest deadline, in milliseconds: one hour. What takes longer is a job, not a call.
pub const DEADLINE_MS_MAX: u64 = 3_600_000;
/// Most JSON in or out, in bytes: both are held whole in the supervisor and in the worker.
pub const JSON_BYTES_MAX: u64 = 64 << 20;
/// Most captured from stdout and stderr, in bytes: held whole until the call ends.
pub const STDIO_BYTES_MAX: u64 = 16 << 20;
/// Most open handles of one call: half of what a process may usually open, less the worker's own.
pub const HANDLES_MAX: u64 = 8_192;
/// Most random bytes in one request: they are made in one piece in the worker's memory.
pub const RANDOM_BYTES_MAX: u64 = 16 << 20;
/// Most bytes that one host call may copy out of the guest: held in the worker beside the guest's memory.
pub const HOST_MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Most calls of one tool at the same time: each holds an instance slot of the pool.
pub const CALLS_MAX: u64 = 1_024;
/// Most entries that one call may add to the ledger: a host call for each of five million files.
pub const RECORDS_MAX: u64 = 10_000_000;
/// Most bytes of entries that one call may add to the ledger: so many entries of usual length.
pub const RECORD_BYTES_MAX: u64 = 4 << 30;

impl Cap {
    /// Every cap, in the order in which they are printed.
    pub const ALL: [Self; 12] = [
        Self::Memory,
        Self::Fuel,
        Self::Deadline,
        Self::Input,
        Self::Output,
        Self::Stdio,
        Self::Handles,
        Self::Random,
        Self::HostMemory,
        Self::Calls,
        Self::Records,
        Self::RecordBytes,
    ];

    /// The least and the most it can be set to. Where 0 is the least, it means "none", and that makes sense.
    #[must_use]
    pub const fn bounds(self) -> (u64, u64) {
        match self {
            Self::Memory => (MEMORY_BYTES_MIN, MEMORY_BYTES_MAX),
            Self::Fuel => (1, FUEL_MAX),
            Self::Deadline => (1, DEADLINE_MS_MAX),
            Self::Input | Self::Output => (1, JSON_BYTES_MAX),
            Self::Stdio => (0, STDIO_BYTES_MAX),
            Self::Handles => (0, HANDLES_MAX),
            Self::Random => (0, RANDOM_BYTES_MAX),
            Self::HostMemory => (1, HOST_MEMORY_BYTES_MAX),
            Self::Calls => (1, CALLS_MAX),
            Self::Records => (0, RECORDS_MAX),
            Self::RecordBytes => (0, RECORD_BYTES_MAX),
        }
    }
}

impl Limits {
    /// The value of one cap, in its unit: bytes, milliseconds, fuel units, handles, calls or entries.
    #[must_use]
    pub const fn get(&self, cap: Cap) -> u64 {
        match cap {
            Cap::Memory => self.memory,
            Cap::Fuel => self.fuel,
            Cap::Deadline => self.deadline_ms,
            Cap::Input => self.input,
            Cap::Output => self.output,
            Cap::Stdio => self.stdio,
            Cap::Handles => self.handles as u64,
            Cap::Random => self.random,
            Cap::HostMemory => self.host_memory,
            Cap::Calls => self.calls as u64,
            Cap::Records => self.records as u64,
            Cap::RecordBytes => self.record_bytes,
        }
    }

    /// Gives one cap this value, in its unit; what does not fit becomes the most there is. Must be inside [`Cap::bounds`].
    pub fn set(&mut self, cap: Cap, value: u64) {
        match cap {
            Cap::Memory => self.memory = value,
            Cap::Fuel => self.fuel = value,
            Cap::Deadline => self.deadline_ms = value,
            Cap::Input => self.input = value,
            Cap::Output => self.output = value,
            Cap::Stdio => self.stdio = value,
            Cap::Handles => self.handles = u32::try_from(value).unwrap_or(u32::MAX),
            Cap::Random => self.random = value,
            Cap::HostMemory => self.host_memory = value,
            Cap::Calls => self.calls = u32::try_from(value).unwrap_or(u32::MAX),
            Cap::Records => self.records = u32::try_from(value).unwrap_or(u32::MAX),
            Cap::RecordBytes => self.record_bytes = value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_inside_its_bounds() {
        for cap in Cap::ALL {
            let (min, max) = cap.bounds();
            let default = Limits::DEFAULT.get(cap);
            assert!((min..=max).contains(&default), "{}", cap.as_str());
        }
    }

    #[test]
    fn every_cap_is_set_and_read_by_its_own_name() {
        for cap in Cap::ALL {
            let mut limits = Limits::DEFAULT;
            limits.set(cap, 7);
            for other in Cap::ALL {
                let expected = if other == cap { 7 } else { Limits::DEFAULT.get(other) };
                assert_eq!(limits.get(other), expected, "{} after {}", other.as_str(), cap.as_str());
            }
        }
    }
}
