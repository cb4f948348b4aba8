//! When an entry was made, as far as it says.

use crate::entry::Entry;

/// When an entry was made, by what it says itself.
#[derive(Debug)]
pub enum Moment {
    /// Wall clock, nanoseconds since the Unix epoch.
    At(u64),
    /// Microseconds since its call started.
    Since(u64),
    /// It does not say.
    Unsaid,
}

pub fn moment(entry: &Entry<'_>) -> Moment {
    match entry {
        Entry::LedgerOpened(entry) => Moment::At(entry.time_ns),
        Entry::Call(entry) => Moment::At(entry.time_ns),
        Entry::Erasure(entry) => Moment::At(entry.time_ns),
        Entry::Enforcement(entry) => Moment::At(entry.time_ns),
        Entry::Takeover(entry) => Moment::At(entry.time_ns),
        Entry::Adoption(entry) => Moment::At(entry.time_ns),
        Entry::Reload(entry) => Moment::At(entry.time_ns),
        Entry::Intent(entry) => Moment::Since(entry.at_us),
        Entry::Outcome(entry) => Moment::Since(entry.at_us),
        Entry::Violation(entry) => Moment::Since(entry.at_us),
        Entry::CallEnd(entry) => Moment::Since(entry.at_us),
        Entry::Policy(_) | Entry::Closer(_) | Entry::BlockedCall(_) | Entry::KernelRecord(_) => Moment::Unsaid,
    }
}
