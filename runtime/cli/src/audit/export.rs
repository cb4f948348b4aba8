//! `tollgate audit export`: the names of its fields are documented in its help, and stay.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use tollgate_audit::Entry;
use tollgate_report::Context;

use super::args::ExportArgs;
use super::reading::{Reading, context_json};
use crate::exit::{Exit, Failure};
use crate::output::{self, Reader};
use crate::progress;

pub(super) fn export(args: &ExportArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, args.filter.filter()?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let printed = progress::during_output("exporting the ledger", || print_chosen(&mut reading, &mut out));
    output::flush(&mut out)?;
    printed.map(|()| Exit::Success)
}

/// Prints what is chosen, up to the ledger's end or until the reader has gone.
fn print_chosen(reading: &mut Reading, out: &mut impl Write) -> Result<(), Failure> {
    while let Some((index, entry)) = reading.next_chosen()? {
        let context = reading.context();
        let line = json!({
            "index": index,
            "leaf_hash": reading.leaf(),
            "time_ns": time_ns(&entry, context),
            "context": context.map(context_json),
            "entry": entry.to_json(),
        });
        if output::print_to(out, &format!("{line}\n"))? == Reader::Gone {
            return Ok(());
        }
    }
    reading.whole()
}

/// When the entry was made, as far as it or its call says.
fn time_ns(entry: &Entry<'_>, context: Option<&Context>) -> Option<u64> {
    let after = |at_us: u64| context.map(|context| context.time_ns_after(at_us));
    match entry {
        Entry::LedgerOpened(entry) => Some(entry.time_ns),
        Entry::Call(entry) => Some(entry.time_ns),
        Entry::Erasure(entry) => Some(entry.time_ns),
        Entry::Enforcement(entry) => Some(entry.time_ns),
        Entry::Takeover(entry) => Some(entry.time_ns),
        Entry::Adoption(entry) => Some(entry.time_ns),
        Entry::Reload(entry) => Some(entry.time_ns),
        Entry::Intent(entry) => after(entry.at_us),
        Entry::Outcome(entry) => after(entry.at_us),
        Entry::Violation(entry) => after(entry.at_us),
        Entry::CallEnd(entry) => after(entry.at_us),
        Entry::Policy(_) | Entry::Closer(_) | Entry::BlockedCall(_) | Entry::KernelRecord(_) => None,
    }
}
