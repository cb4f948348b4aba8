//! Finds where to begin to read for one call, by the time in its id, over the bundles of entries. A call that is not found so
//! is looked for from the ledger's start: clocks are set back, and tiles get lost.
//!
//! It must never keep an entry of the call from whoever reads from there. [`find_call`] alone gives up: it is for whoever asks on
//! behalf of others, who must not have a whole ledger read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use crate::checkpoint;
use crate::codec::{CHECK_BYTES, LENGTH_BYTES, kind_and_call};
use crate::entry::{Entry, Kind};

use crate::beside::beside;
use crate::frame::{Frames, Step};
use crate::ids::{CallId, LeafIndex, TreeSize};
use crate::journal;
use crate::moment::{Moment, moment};
use crate::state::{self, Resume};
use crate::tile_path::{TILE_WIDTH, TileKind, TilePath};
use crate::tile_store::TileStore;
use crate::tiles::{edge_tile, entry_ends};

/// The journal of the ledger in `dir` from before the first entry of `call` on, or from its start.
pub(crate) fn frames_for(dir: &Path, call: CallId) -> io::Result<Frames<File>> {
    // The door that no ledger of another format passes.
    let whole = journal::open_to_read(dir)?;
    match before(dir, call).filter(|place| starts_behind(dir, *place, call)) {
        Some(place) => frames_from(dir, place),
        None => Ok(Frames::new(whole)),
    }
}

/// A call, as the bundles of entries have it that a checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// Its start and its `call-end` are there.
    Ended {
        /// The `call-end`.
        end: LeafIndex,
    },
    /// Its start is there, and no `call-end` up to the last entry that is covered.
    Begun,
    /// Its start is there, and its `call-end` is further behind than is read.
    BegunLongBefore,
    /// Nothing of it is there, up to the last entry that is covered.
    NotCovered,
    /// Nothing of it is where its time says that it would be.
    NotThere,
}

/// Looks for a call where the time in its id says that it is, in at most [`SOUGHT_BUNDLES`] bundles and [`SOUGHT_BYTES`] of them: more of
/// a ledger is not read, so that what is asked costs the same however long the ledger is. Where it begins is by when the notary wrote
/// the bundles, on which no worker has a say; in a copy of a ledger, by what entries say of their times. A call that was recorded while
/// a clock was set back is not found so. `is_theirs` is told who was proven to ask for the call; where it says no, the call is not there, and that
/// is found out in the same time.
///
/// # Errors
///
/// Checkpoint or bundles cannot be read. Where they are exchanged meanwhile, looking again helps.
pub fn find_call(dir: &Path, call: CallId, is_theirs: impl Fn(Option<&str>) -> bool) -> io::Result<Sought> {
    let store = TileStore::new(dir);
    let signed = checkpoint::read(dir).map_err(io::Error::other)?.map_or(TreeSize(0), |read| read.unverified().size);
    let full = signed.0 / TILE_WIDTH;
    let low = bundle_before(full, |index| {
        let path = TilePath::full(TileKind::Entries, index);
        Ok(was_whole(store.written(path)?, call) || says_before(&store.read(path)?, call))
    })?;
    let (mut is_found, mut bytes) = (false, 0);
    for index in low..signed.0.div_ceil(TILE_WIDTH) {
        if index - low >= SOUGHT_BUNDLES || bytes > SOUGHT_BYTES {
            return Ok(if is_found { Sought::BegunLongBefore } else { Sought::NotThere });
        }
        let bundle = edge_bundle(&store, index, signed)?;
        bytes += bundle.len();
        for (place, entry) in (index * TILE_WIDTH..).zip(entries(&bundle)) {
            match kind_and_call(entry) {
                Some((Kind::Call, Some(of))) if of == call => is_found = is_theirs(agent_of(entry).as_deref()),
                Some((Kind::CallEnd, Some(of))) if of == call && is_found => {
                    return Ok(Sought::Ended { end: LeafIndex(place) });
                }
                Some(_) | None => {}
            }
        }
    }
    Ok(if is_found { Sought::Begun } else { Sought::NotCovered })
}

/// Who was proven to ask, by the entry of a call's start.
fn agent_of(entry: &[u8]) -> Option<String> {
    let Ok(Entry::Call(start)) = Entry::decode(entry) else { return None };
    start.agent.map(|agent| agent.as_str().to_owned())
}

/// A bundle, which need not be full if it is the last one.
fn edge_bundle(store: &TileStore, index: u64, signed: TreeSize) -> io::Result<Vec<u8>> {
    let (edge, width) = edge_tile(signed, 0);
    match store.read(TilePath::full(TileKind::Entries, index)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && index == edge && width > 0 => {
            store.read(TilePath::of_width(TileKind::Entries, index, width))
        }
        read => read,
    }
}

/// Bundles that are read for one call: 65,536 entries.
pub const SOUGHT_BUNDLES: u64 = 256;

/// Bytes of them, and the last bundle's beyond.
pub const SOUGHT_BYTES: usize = 32 << 20;

fn frames_from(dir: &Path, Resume { index, offset }: Resume) -> io::Result<Frames<File>> {
    Ok(Frames::starting_at(journal::read_from(dir, offset)?, LeafIndex(index), offset))
}

/// Whether `call` starts behind `place`: all its entries then do, since they were made after its id.
fn starts_behind(dir: &Path, place: Resume, call: CallId) -> bool {
    let Ok(mut frames) = frames_from(dir, place) else { return false };
    while let Ok(Step::Frame(frame)) = frames.step() {
        if kind_and_call(frame.entry) == Some((Kind::Call, Some(call))) {
            return true;
        }
    }
    false
}

/// The start of a bundle of entries that were all made well before `call`, or of the ledger. `None` where tiles and memory do
/// not tell, or do not fit the journal.
fn before(dir: &Path, call: CallId) -> Option<Resume> {
    let store = TileStore::new(dir);
    let known = state::read(&beside(dir, "state").ok()?).ok()?.ok()??.resume;
    let bundle = |index| store.read(TilePath::full(TileKind::Entries, index));
    let signed = checkpoint::read(dir).ok()??.unverified().size;
    let low = bundle_before(signed.0 / TILE_WIDTH, |index| Ok(says_before(&bundle(index)?, call))).ok()?;
    if low == 0 {
        return Some(Resume::default());
    }
    // From the nearer of the two places that are known.
    let at = known.index / TILE_WIDTH;
    let offset = if low < at / 2 {
        journal_bytes(&store, 0..low)?
    } else {
        (known.offset + journal_bytes(&store, at..low)?).checked_sub(journal_bytes(&store, low..at)?)?
    };
    let place = Resume { index: low * TILE_WIDTH, offset };
    let mut frames = frames_from(dir, place).ok()?;
    let Ok(Step::Frame(frame)) = frames.step() else { return None };
    (entries(&bundle(low).ok()?).next()? == frame.entry).then_some(place)
}

/// The last bundle of so many full ones that is before a call, or the first.
fn bundle_before(full: u64, is_before: impl Fn(u64) -> io::Result<bool>) -> io::Result<u64> {
    let (mut low, mut high) = (0, full);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_before(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Whether a bundle that was written then was whole before `call` began.
fn was_whole(written: SystemTime, call: CallId) -> bool {
    let written_ms = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    written_ms + u128::from(CLOCK_MS) < u128::from(call.time_ms())
}

/// Whether all entries of a bundle say that they were made well before `call`.
fn says_before(bundle: &[u8], call: CallId) -> bool {
    let from_ns = call.time_ms().saturating_sub(LATE_MS).saturating_mul(1_000_000);
    // One without a time is taken for a later one: more is read then, never less.
    latest_ns(bundle).is_some_and(|latest| latest < from_ns)
}

/// How long the entries of full bundles are in the journal.
fn journal_bytes(store: &TileStore, mut bundles: Range<u64>) -> Option<u64> {
    let frames = TILE_WIDTH * (LENGTH_BYTES + CHECK_BYTES - BUNDLE_LENGTH_BYTES) as u64;
    bundles.try_fold(0, |sum, index| {
        let bytes = store.bytes(TilePath::full(TileKind::Entries, index)).ok()?;
        Some(sum + bytes + frames)
    })
}

/// When the latest entry of a bundle was made, of those that say so: nanoseconds since the Unix epoch.
fn latest_ns(bundle: &[u8]) -> Option<u64> {
    let made_ns = |entry: &[u8]| {
        let entry = Entry::decode(entry).ok()?;
        match moment(&entry) {
            Moment::At(time_ns) => Some(time_ns),
            Moment::Since(at_us) => {
                let start_ns = entry.call()?.time_ms().saturating_mul(1_000_000);
                Some(start_ns.saturating_add(at_us.saturating_mul(1000)))
            }
            Moment::Unsaid => None,
        }
    };
    entries(bundle).filter_map(made_ns).max()
}

fn entries(bundle: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    entry_ends(bundle).filter_map(move |end| {
        let entry = bundle.get(start + BUNDLE_LENGTH_BYTES..end);
        start = end;
        entry
    })
}

/// How long an entry may wait in its writer until it is written, while others are: until the call asks for something more, or has
/// written enough. Of one that waits for longer, its call is looked for from the start.
const LATE_MS: u64 = 10_000;

/// By how much the time of a file may be behind that of an id: file systems take theirs from the last tick of the clock.
const CLOCK_MS: u64 = 20;

/// The length before an entry in a bundle (C2SP tlog-tiles).
const BUNDLE_LENGTH_BYTES: usize = 2;
