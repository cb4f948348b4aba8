//! Damage to a signed ledger: bytes changed, cut off, put in, taken out or repeated, files taken away.

use tollgate_audit::{VerifyOptions, read, verify_with};
use tollgate_ledger::Ledger;

use crate::folder::{Files, Folder};
use crate::frames::{frames, is_older, with_checks_mended};
use crate::sample::{ORIGIN, Sample, sample};

/// The bytes say what happens to the files of the sample ledger, [`STEP_BYTES`] for each step. Whoever knows the key
/// and finds the ledger in order finds every covered entry, the checkpoint and all tiles as they were. While
/// checkpoint or state is there, it is not gone on with over covered entries that are lost or changed; if it is not
/// opened, journal and checkpoint stay; if it is, it is in order from then on, but for calls that were not before.
/// Entries before the first damage are read as they were. Its writer died: what nobody signed is opened only if it makes
/// sense, and without its memory it is not.
pub fn ledger(bytes: &[u8]) {
    let sample = sample();
    let mut files = sample.files.clone();
    for step in bytes.chunks_exact(STEP_BYTES).take(STEPS_MAX) {
        damage(&mut files, step.try_into().expect("a step"));
    }
    let folder = Folder::with(&files);
    let unharmed =
        files.get(JOURNAL).is_some_and(|journal| journal.starts_with(&sample.files[JOURNAL][..sample.covered_bytes]));
    if let Some(journal) = files.get(JOURNAL) {
        if is_older(&frames(journal).0) {
            assert!(read(&folder.ledger()).is_err());
            assert!(Ledger::open(&folder.ledger(), ORIGIN, "tollgate-fuzz", 4).is_err());
            assert_eq!(folder.files(), files);
            return;
        }
        read_up_to_the_damage(&folder, journal, sample);
        in_order(&folder, &files, unharmed, sample);
    }
    let known = files.contains_key(CHECKPOINT) || files.contains_key(STATE);
    match Ledger::open(&folder.ledger(), ORIGIN, "tollgate-fuzz", 4) {
        Ok(ledger) => {
            assert!(unharmed || !known, "opened over damage");
            assert!(files.contains_key(STATE) || !files.contains_key(KEY), "taken for a new ledger");
            let options = VerifyOptions { expected: None, key: Some(ledger.verifier_key()) };
            drop(ledger);
            let after = verify_with(&folder.ledger(), &options).expect("a ledger to read");
            assert!(after.is_clean(), "{:?}", after.findings);
        }
        Err(error) => {
            let after = folder.files();
            let journal = files.get(JOURNAL).map_or(&[][..], Vec::as_slice);
            assert_eq!(after.get(JOURNAL).map_or(&[][..], Vec::as_slice), journal, "{error:?}");
            assert_eq!(after.get(CHECKPOINT), files.get(CHECKPOINT), "{error:?}");
        }
    }
}

fn read_up_to_the_damage(folder: &Folder, journal: &[u8], sample: &Sample) {
    let same = journal.iter().zip(&sample.files[JOURNAL]).take_while(|(found, was)| found == was).count();
    let (whole, _) = frames(&journal[..same]);
    let mut items = read(&folder.ledger()).expect("a journal to read");
    for (place, entry) in whole.iter().enumerate() {
        let (index, read) = items.next().expect("an entry before the damage").expect("an entry");
        assert_eq!((index.0, read.encode().as_bytes()), (place as u64, *entry));
        assert_eq!(*entry, sample.entries[place]);
    }
}

fn in_order(folder: &Folder, files: &Files, unharmed: bool, sample: &Sample) {
    let options = VerifyOptions { expected: None, key: Some(sample.key.clone()) };
    let report = verify_with(&folder.ledger(), &options).expect("a ledger to read");
    if files == &sample.files {
        assert!(report.is_clean(), "{:?}", report.findings);
    }
    if !report.is_clean() {
        return;
    }
    assert!(unharmed, "a covered entry is lost or changed, and nothing is found");
    assert_eq!(report.signed_by.as_ref(), Some(&sample.key));
    let of_the_folder = |name: &&String| name.starts_with("ledger/") && *name != JOURNAL;
    for name in sample.files.keys().filter(of_the_folder) {
        let [found, was] = [files, &sample.files].map(|files| said(name, files.get(name)));
        assert_eq!(found, was, "{name} has changed, and nothing is found");
    }
}

/// What a file says: of the checkpoint its text, since anyone may add signatures or repeat them (C2SP signed-note).
fn said<'f>(name: &str, bytes: Option<&'f Vec<u8>>) -> Option<&'f [u8]> {
    let bytes = bytes?;
    let text = bytes.windows(2).position(|pair| pair == b"\n\n").filter(|_| name == CHECKPOINT);
    bytes.get(..text.unwrap_or(bytes.len()))
}

/// File, what to do, place (three bytes), value.
fn damage(files: &mut Files, [file, what, p0, p1, p2, value]: [u8; STEP_BYTES]) {
    let count = files.len().max(1);
    let Some(name) = files.keys().nth(usize::from(file) % count).cloned() else {
        return;
    };
    let bytes = files.get_mut(&name).expect("a file");
    let place = usize::try_from(u32::from_be_bytes([0, p0, p1, p2])).expect("24 bits") % (bytes.len() + 1);
    let end = bytes.len().min(place + usize::from(value) + 1);
    match what % 7 {
        0 => bytes[place..].iter_mut().take(1).for_each(|byte| *byte ^= value),
        1 => bytes.truncate(place),
        2 => bytes.insert(place, value),
        3 => drop(bytes.drain(place..end)),
        4 => bytes.splice(place..place, bytes[place..end].to_vec()).for_each(drop),
        5 => *bytes = with_checks_mended(bytes),
        _ => drop(files.remove(&name)),
    }
}

/// Bytes of a step.
pub const STEP_BYTES: usize = 6;

const STEPS_MAX: usize = 8;
const JOURNAL: &str = "ledger/journal";
const CHECKPOINT: &str = "ledger/checkpoint";
const STATE: &str = "ledger.state";
const KEY: &str = "ledger.key";
