//! Caps as a manifest or a grant gives them: their units, and a choice of some of them. A value in here is inside its bounds;
//! nothing checks it again.

use std::collections::BTreeMap;

use serde::Deserialize;
use tollgate_capability::{Cap, Limits};
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError};
use crate::schema::{DurationSchema, SizeSchema, quantity};
use crate::units::{Quantity, Unit, UnitError};

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
            return Err(UnitError::TooSmall { key, given: show_limit(cap, value), min: show_limit(cap, min) });
        }
        if value > max {
            return Err(UnitError::TooLarge { key, given: show_limit(cap, value), max: show_limit(cap, max) });
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
        self.set(cap, unit(cap).read(quantity)?)
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
    pub(crate) fn resolve(self, document: &Document) -> Result<PartialLimits, DocumentError> {
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
    quantity(unit(cap), Limits::DEFAULT.get(cap), cap.bounds())
}

/// The value of a cap as it would be written, with its unit.
#[must_use]
pub fn show_limit(cap: Cap, value: u64) -> String {
    unit(cap).show(value)
}

const fn unit(cap: Cap) -> Unit {
    match cap {
        Cap::Memory | Cap::Input | Cap::Output | Cap::Stdio | Cap::Random | Cap::HostMemory | Cap::RecordBytes => {
            Unit::Bytes
        }
        Cap::Deadline => Unit::Time,
        Cap::Fuel | Cap::Handles | Cap::Calls | Cap::Records => Unit::Count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
