//! The caps by name: their units, their bounds with the reason for each, and a choice of some of them as a manifest or a
//! grant gives it. A value in here is inside its bounds; nothing checks it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError};
use crate::schema::quantity;
use crate::set::{Cap, Limits};
use crate::units::{Quantity, Unit, UnitError};

/// Most memory of one call: what a 32-bit linear memory can address; a tool with more memories shares it among them.
pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Least memory of one call: a page of WebAssembly.
pub const MEMORY_BYTES_MIN: u64 = 64 << 10;
/// Most fuel of one call: the longest deadline at three instructions a nanosecond.
pub const FUEL_MAX: u64 = 10_000_000_000_000;
/// Longest deadline, in milliseconds: one hour. What takes longer is a job, not a call.
pub const DEADLINE_MS_MAX: u64 = 3_600_000;
/// Most JSON in or out, in bytes: both are held whole in the front and in the host.
pub const JSON_BYTES_MAX: u64 = 64 << 20;
/// Most captured from stdout and stderr, in bytes: held whole until the call ends.
pub const STDIO_BYTES_MAX: u64 = 16 << 20;
/// Most open handles of one call: half of what a process may usually open, less the host's own.
pub const HANDLES_MAX: u64 = 8_192;
/// Most random bytes in one request: they are made in one piece in the host's memory.
pub const RANDOM_BYTES_MAX: u64 = 16 << 20;
/// Most bytes that one host call may copy out of the guest: held in the host beside the guest's memory.
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

    /// The value as it would be written, with its unit.
    #[must_use]
    pub fn show(self, value: u64) -> String {
        self.unit().show(value)
    }

    /// The cap with this key in `[limits]`.
    pub(crate) fn by_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cap| cap.as_str() == key)
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Memory
            | Self::Input
            | Self::Output
            | Self::Stdio
            | Self::Random
            | Self::HostMemory
            | Self::RecordBytes => Unit::Bytes,
            Self::Deadline => Unit::Time,
            Self::Fuel | Self::Handles | Self::Calls | Self::Records => Unit::Count,
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

    pub(crate) fn set(&mut self, cap: Cap, value: u64) {
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

/// Values for some of the caps: what a manifest expects, or the ceilings of a grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartialLimits(BTreeMap<Cap, u64>);

impl PartialLimits {
    /// The value given for `cap`, in its unit.
    #[must_use]
    pub fn get(&self, cap: Cap) -> Option<u64> {
        self.0.get(&cap).copied()
    }

    /// Whether no cap is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives `cap` this value, in its unit.
    ///
    /// # Errors
    ///
    /// [`UnitError::TooSmall`] or [`UnitError::TooLarge`] if it is outside [`Cap::bounds`].
    pub fn set(&mut self, cap: Cap, value: u64) -> Result<(), UnitError> {
        let (min, max) = cap.bounds();
        let key = cap.as_str();
        if value < min {
            return Err(UnitError::TooSmall { key, given: cap.show(value), min: cap.show(min) });
        }
        if value > max {
            return Err(UnitError::TooLarge { key, given: cap.show(value), max: cap.show(max) });
        }
        self.0.insert(cap, value);
        Ok(())
    }

    /// Takes over what `other` gives, in place of what was there.
    pub fn replace_with(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Reads the value from a text such as `16MiB`.
    pub(crate) fn set_text(&mut self, cap: Cap, text: &str) -> Result<(), UnitError> {
        self.set_quantity(cap, &Quantity::Text(text.to_owned()))
    }

    fn set_quantity(&mut self, cap: Cap, quantity: &Quantity) -> Result<(), UnitError> {
        self.set(cap, cap.unit().read(quantity)?)
    }
}

/// The caps on a call.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(crate) struct RawLimits {
    /// Memory of a call, over all linear memories and tables.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::Memory))]
    memory: Option<Spanned<Quantity>>,
    /// Fuel of a call: about one unit per WebAssembly instruction.
    #[schemars(with = "Option<u64>", transform = bounds(Cap::Fuel))]
    fuel: Option<Spanned<Quantity>>,
    /// Time of a call, over everything: instantiation, running, waiting host calls.
    #[schemars(with = "Option<DurationSchema>", transform = bounds(Cap::Deadline))]
    deadline: Option<Spanned<Quantity>>,
    /// JSON arguments of a call.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::Input))]
    input: Option<Spanned<Quantity>>,
    /// JSON output of a call.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::Output))]
    output: Option<Spanned<Quantity>>,
    /// What a call may print to stdout and stderr together.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::Stdio))]
    stdio: Option<Spanned<Quantity>>,
    /// Open handles of every kind, at the same time.
    #[schemars(with = "Option<u64>", transform = bounds(Cap::Handles))]
    handles: Option<Spanned<Quantity>>,
    /// Random bytes of one request.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::Random))]
    random: Option<Spanned<Quantity>>,
    /// What one host call may copy out of the guest.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::HostMemory))]
    host_memory: Option<Spanned<Quantity>>,
    /// Calls of the tool at the same time.
    #[schemars(with = "Option<u64>", transform = bounds(Cap::Calls))]
    calls: Option<Spanned<Quantity>>,
    /// Entries that a call may add to the ledger, beside its start and its end: two for each host call that is recorded.
    #[schemars(with = "Option<u64>", transform = bounds(Cap::Records))]
    records: Option<Spanned<Quantity>>,
    /// Bytes of the entries that a call may add to the ledger. One that is open holds 3 KiB for its end until it has one.
    #[schemars(with = "Option<SizeSchema>", transform = bounds(Cap::RecordBytes))]
    record_bytes: Option<Spanned<Quantity>>,
}

impl RawLimits {
    pub(crate) fn narrow(self, document: &Document) -> Result<PartialLimits, DocumentError> {
        let given = [
            (Cap::Memory, self.memory),
            (Cap::Fuel, self.fuel),
            (Cap::Deadline, self.deadline),
            (Cap::Input, self.input),
            (Cap::Output, self.output),
            (Cap::Stdio, self.stdio),
            (Cap::Handles, self.handles),
            (Cap::Random, self.random),
            (Cap::HostMemory, self.host_memory),
            (Cap::Calls, self.calls),
            (Cap::Records, self.records),
            (Cap::RecordBytes, self.record_bytes),
        ];
        let mut limits = PartialLimits::default();
        for (cap, quantity) in given.into_iter().filter_map(|(cap, quantity)| Some((cap, quantity?))) {
            limits.set_quantity(cap, quantity.get_ref()).map_err(|error| document.value(quantity.span(), error))?;
        }
        Ok(limits)
    }
}

/// Default and bounds of a cap, for its schema.
fn bounds(cap: Cap) -> impl FnMut(&mut schemars::Schema) {
    quantity(cap.unit(), Limits::DEFAULT.get(cap), cap.bounds())
}

/// A number of bytes, or a text of a whole number and a unit: `16MiB`, `512B`, `2MB`. `KiB`, `MiB`, `GiB` and `TiB` are
/// powers of 1024, `KB`, `MB`, `GB` and `TB` of 1000.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Size")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) enum SizeSchema {
    /// Bytes.
    Bytes(u64),
    /// A number and a unit.
    Text(#[schemars(regex(pattern = r"^[0-9]+(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)?$"))] String),
}

/// A text of a whole number and a unit: `500ms`, `2s`, `1m`, `1h`.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Duration")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct DurationSchema(#[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h)$"))] String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_inside_its_bounds() {
        for cap in Cap::ALL {
            let (min, max) = cap.bounds();
            let default = Limits::DEFAULT.get(cap);
            assert!((min..=max).contains(&default), "{}", cap.as_str());
            assert_eq!(Cap::by_key(cap.as_str()), Some(cap));
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

    #[test]
    fn values_outside_the_bounds_are_refused() {
        for cap in Cap::ALL {
            let (min, max) = cap.bounds();
            let mut limits = PartialLimits::default();
            assert!(limits.set(cap, max + 1).is_err(), "{}", cap.as_str());
            assert!(min == 0 || limits.set(cap, min - 1).is_err(), "{}", cap.as_str());
            assert_eq!(limits, PartialLimits::default());
            assert_eq!(limits.set(cap, min), Ok(()));
            assert_eq!(limits.set(cap, max), Ok(()));
            assert_eq!(limits.get(cap), Some(max));
        }
    }
}
