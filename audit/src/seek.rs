//! Finds where to begin to read for one call, by the time in its id, over the bundles of entries. A call that is not found so
//! is looked for from the ledger's start: clocks are set back, and tiles get lost.
//!
//! It must never keep an entry of the call from whoever reads from there.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::checkpoint;
use crate::codec::{CHECK_BYTES, LENGTH_BYTES, kind_and_call};
use crate::entry::{Entry, Kind};

use crate::beside::beside;
use crate::frame::{Frames, Step};
use crate::ids::{CallId, LeafIndex};
use crate::journal;
use crate::moment::{Moment, moment};
use crate::state::{self, Resume};
use crate::tile_path::{TILE_WIDTH, TileKind, TilePath};
use crate::tile_store::TileStore;
use crate::tiles::entry_ends;

/// The journal of the ledger in `dir` from before the first entry of `call` on, or from its start.
pub(crate) fn frames_for(dir: &Path, call: CallId) -> io::Result<Frames<File>> {
    // The door that no ledger of another format passes.
    let whole = journal::open_to_read(dir)?;
    match before(dir, call).filter(|place| starts_behind(dir, *place, call)) {
        Some(place) => frames_from(dir, place),
        None => Ok(Frames::new(whole)),
    }
}

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
    let bundle = |index| store.read(TilePath::full(TileKind::Entries, index)).ok();
    let from_ns = call.time_ms().saturating_sub(LATE_MS).saturating_mul(1_000_000);
    let signed = checkpoint::read(dir).ok()??.unverified().size;
    let (mut low, mut high) = (0, signed.0 / TILE_WIDTH);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        // One without a time is taken for a later one: more is read then, never less.
        if latest_ns(&bundle(middle)?).is_some_and(|latest| latest < from_ns) {
            low = middle;
        } else {
            high = middle;
        }
    }
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
    (entries(&bundle(low)?).next()? == frame.entry).then_some(place)
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

/// The length before an entry in a bundle (C2SP tlog-tiles).
const BUNDLE_LENGTH_BYTES: usize = 2;
