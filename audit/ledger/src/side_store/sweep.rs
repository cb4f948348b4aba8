//! Texts of calls that the ledger does not know: their worker died before the first entry of the call left it.
//!
//! Nothing of a call that is in the ledger may be erased here, whatever cannot be read.

use std::collections::HashSet;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use super::shard::{Shard, Swept, in_file};
use super::{Erased, length_of};
use crate::side_record::SideStep;
use tollgate_audit::entry::Entry;
use tollgate_audit::frame::{FrameError, Frames, Step};
use tollgate_audit::ids::{CallId, LeafIndex};
use tollgate_audit::journal::JOURNAL_FILE;
use tollgate_audit::regular;

impl Shard {
    /// See [`SideStore::sweep`](super::SideStore::sweep).
    pub(super) fn sweep(&mut self, dir: &Path) -> io::Result<Erased> {
        let journal = dir.join(JOURNAL_FILE);
        let mut journal_end = length_of(&journal)?;
        let Swept { until, journal: start } = self.swept;
        // The ledger is another one, or an older copy: what begins from now on may stand before that place.
        let is_shorter = journal_end < start;
        let start = if is_shorter { 0 } else { start };
        let mut erased = Erased::default();
        let calls = self.calls_from(until).map_err(|error| in_file(&self.path, error))?;
        if !calls.is_empty() {
            let unknown;
            (unknown, journal_end) = not_recorded(&journal, start, calls)?;
            if !unknown.is_empty() {
                erased = self.erase(|record| record.offset >= until && unknown.contains(&record.call))?;
            }
        }
        let has_read_much = self.end > until + SWEPT_BYTES || journal_end > start + JOURNAL_BYTES_MAX;
        if has_read_much || is_shorter || erased.records > 0 {
            // No place may be remembered behind what is not on disk.
            self.file.sync_data()?;
            self.set_swept(Swept { until: self.end, journal: journal_end })?;
        }
        Ok(erased)
    }

    /// The calls of records from byte `from` on.
    fn calls_from(&self, from: u64) -> io::Result<HashSet<CallId>> {
        let (mut calls, mut records) = (HashSet::new(), self.records(from)?);
        while let SideStep::Record(record) = records.step()? {
            calls.insert(record.call);
        }
        Ok(calls)
    }
}

/// Those of `calls` that have not begun in the journal, and where its whole entries end. It is read from byte `from` on; from
/// its start where no entry begins there, as in a ledger that was exchanged for another one.
fn not_recorded(path: &Path, from: u64, calls: HashSet<CallId>) -> io::Result<(HashSet<CallId>, u64)> {
    let journal = regular::open(path)?;
    if from > 0 {
        let mut left = calls.clone();
        if let Ok(end) = take_recorded(&journal, from, &mut left) {
            return Ok((left, end));
        }
    }
    let mut left = calls;
    let end = take_recorded(&journal, 0, &mut left)?;
    Ok((left, end))
}

fn take_recorded(mut journal: &std::fs::File, from: u64, calls: &mut HashSet<CallId>) -> io::Result<u64> {
    journal.seek(SeekFrom::Start(from))?;
    let mut frames = Frames::starting_at(journal, LeafIndex(0), from);
    let corrupt =
        |offset: u64| io::Error::new(io::ErrorKind::InvalidData, format!("the journal is corrupt at byte {offset}"));
    loop {
        match frames.step() {
            Ok(Step::Frame(frame)) => {
                let entry = Entry::decode(frame.entry).map_err(|_no_entry| corrupt(frame.offset))?;
                if let Entry::Call(call) = entry {
                    calls.remove(&call.call);
                }
            }
            Ok(Step::Torn { .. } | Step::End) => return Ok(frames.offset()),
            Err(FrameError::Io(error)) => return Err(error),
            Err(FrameError::Corrupt(frame)) => return Err(corrupt(frame.offset)),
        }
    }
}

/// Bytes of the shard and of the journal that the next sweep may read again: a millisecond, less than a sync.
const SWEPT_BYTES: u64 = 64 << 10;
const JOURNAL_BYTES_MAX: u64 = 256 << 10;
