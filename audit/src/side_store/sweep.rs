//! Texts of calls that the ledger does not know: their worker died before the first entry of the call left it.
//!
//! Nothing of a call that is in the ledger may be erased here, whatever cannot be read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use super::header::Header;
use super::{Erased, Writer};
use crate::entry::Entry;
use crate::frame::{FrameError, Frames, Step};
use crate::ids::{CallId, LeafIndex};
use crate::journal::JOURNAL_FILE;
use crate::regular;
use crate::side_record::{Record, RecordState, Records, SideStep};

impl Writer {
    pub(super) fn sweep(&mut self, file: &File, dir: &Path) -> io::Result<Erased> {
        let journal = dir.join(JOURNAL_FILE);
        let mut journal_end = match std::fs::metadata(&journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            metadata => metadata?.len(),
        };
        // The ledger is another one, or an older copy: what begins from now on may stand before that place.
        let is_shorter = journal_end < self.header.journal;
        let start = if is_shorter { 0 } else { self.header.journal };
        let mut erased = Erased::default();
        let mut from = self.header.swept;
        while from < self.end {
            let (calls, next) = live_calls(file, from, self.end)?;
            if !calls.is_empty() {
                let unknown;
                (unknown, journal_end) = not_recorded(&journal, start, calls)?;
                let records = records_of(file, from, next, &unknown)?;
                if !records.is_empty() {
                    let Erased { records, bytes } = self.erase(file, from, &records)?;
                    erased.records += records;
                    erased.bytes += bytes;
                }
            }
            from = next;
        }
        let has_read_much = self.end > self.header.swept + SWEPT_BYTES || journal_end > start + JOURNAL_BYTES_MAX;
        if has_read_much || is_shorter || erased.records > 0 {
            // No place may be remembered behind what is not on disk.
            file.sync_data()?;
            self.set_header(file, Header { hint: self.end, swept: self.end, journal: journal_end })?;
        }
        Ok(erased)
    }
}

/// The calls of live records from `from` on, as many as are held at once, and where those records end.
fn live_calls(file: &File, from: u64, end: u64) -> io::Result<(HashSet<CallId>, u64)> {
    let mut calls = HashSet::new();
    let mut records = Records::new(file, from, end)?;
    while calls.len() < CALLS_AT_ONCE
        && let SideStep::Record(record) = records.step()?
    {
        if record.state == RecordState::Live {
            calls.insert(record.call);
        }
    }
    Ok((calls, records.offset()))
}

fn records_of(file: &File, from: u64, end: u64, calls: &HashSet<CallId>) -> io::Result<Vec<Record>> {
    let (mut found, mut records) = (Vec::new(), Records::new(file, from, end)?);
    while let SideStep::Record(record) = records.step()? {
        if record.state == RecordState::Live && calls.contains(&record.call) {
            found.push(record);
        }
    }
    Ok(found)
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

fn take_recorded(mut journal: &File, from: u64, calls: &mut HashSet<CallId>) -> io::Result<u64> {
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

/// Some tens of megabytes of memory.
const CALLS_AT_ONCE: usize = 1 << 20;

/// Bytes of the side store and of the journal that the next sweep may read again: a millisecond, less than a sync.
const SWEPT_BYTES: u64 = 64 << 10;
const JOURNAL_BYTES_MAX: u64 = 256 << 10;
