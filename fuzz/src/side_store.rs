//! Bytes as a shard of the side store of a ledger: found, opened, put to, erased from.

use std::collections::BTreeSet;

use tollgate_audit::{CallId, Private, Salt};
use tollgate_ledger::SideStore;

use crate::folder::Folder;
use crate::side_records::{HEADER_BYTES, SideEnd, kept, record, side_records, swept, with_side_checks_mended};

/// What is found is what a second reader (`src/side_records.rs`) finds, before and after each step: nothing but texts
/// whose check fits. It opens exactly if it can be read from where its calls were compared with the ledger; then it loses an
/// unfinished record at most. If it does not open, no byte of it has changed. What is put is found; what is erased is not, it
/// stands nowhere, and all other records stand as they were.
///
/// Once with the bytes as they are, and once with checks that fit, which no mutation would find.
pub fn side_store(bytes: &[u8]) {
    store(bytes);
    let mended = with_side_checks_mended(bytes);
    if mended != bytes {
        store(&mended);
    }
}

fn store(bytes: &[u8]) {
    let folder = Folder::with(&[(FILE.to_owned(), bytes.to_vec())].into());
    let calls = calls(bytes);
    found_alike(&folder, bytes, &calls);
    let opened = SideStore::open(&folder.ledger());
    let after = file(&folder);
    let Some(expected) = after_open(bytes) else {
        assert!(opened.is_err(), "opened over damage");
        assert_eq!(after, bytes);
        return;
    };
    let store = opened.expect("a side store that can be read");
    assert_eq!(after, expected, "opened");
    found_alike(&folder, &after, &calls);

    let put = Private { call: NEW, salt: Salt([5; 32]), arguments: Some(b"{}".to_vec()), result: Some(Vec::new()) };
    store.put_call(NEW, &put.salt, put.arguments.as_deref()).expect("room");
    store.put_result(NEW, b"").expect("room");
    let new = [record(1, NEW.0, &[5; 32]), record(2, NEW.0, b"{}"), record(3, NEW.0, b"")].concat();
    let with_new = [&after[..], &new].concat();
    assert_eq!(file(&folder), with_new, "put");
    found_alike(&folder, &with_new, &calls);
    let is_sound = side_records(&after, HEADER_BYTES).1 == SideEnd::Sound && ends_whole(&after);
    if is_sound && !calls.contains(&NEW) {
        assert_eq!(SideStore::find(&folder.ledger(), NEW).expect("a sound store"), Some(put));
    }
    let named = SideStore::find_calls(&folder.ledger(), usize::MAX, |_call| true).ok();
    let records = side_records(&with_new, HEADER_BYTES).0;
    let calls_of = records.iter().map(|record| record.call).collect::<BTreeSet<_>>();
    assert!(named.is_none_or(|named| named == calls_of), "calls of which there are records");
    for call in calls.iter().take(ERASED).chain([&NEW]) {
        erased(&folder, &store, *call, &calls);
    }
    drop(store);
    let closed = file(&folder);
    drop(SideStore::open(&folder.ledger()).expect("a side store that was open"));
    assert_eq!(file(&folder), closed, "nothing to mend");
}

/// All calls that the records name, as far as they can be read.
fn calls(bytes: &[u8]) -> BTreeSet<CallId> {
    let from_start = side_records(bytes, HEADER_BYTES).0;
    let from_swept = swept(bytes).map(|swept| side_records(bytes, swept).0);
    from_start.iter().chain(from_swept.iter().flatten()).map(|record| record.call).collect()
}

fn found_alike(folder: &Folder, bytes: &[u8], calls: &BTreeSet<CallId>) {
    for call in calls.iter().take(FOUND).chain([&NEW]) {
        let found = SideStore::find(&folder.ledger(), *call).map_err(|_error| ());
        assert_eq!(found, kept(bytes, *call), "{call}");
    }
}

/// What the file holds when it is open; `None` if it does not open.
fn after_open(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < HEADER_BYTES {
        return Some(crate::side_records::side_store_of(&[]));
    }
    let start = swept(bytes)?;
    let (records, end) = side_records(bytes, start);
    if end == SideEnd::Corrupt {
        return None;
    }
    let whole = match records.last() {
        None => start,
        Some(last) if !last.is_whole => last.start,
        Some(last) => last.end(),
    };
    Some(bytes[..whole].to_vec())
}

fn ends_whole(bytes: &[u8]) -> bool {
    side_records(bytes, HEADER_BYTES).0.last().map_or(HEADER_BYTES, |last| last.end()) == bytes.len()
}

fn erased(folder: &Folder, store: &SideStore, call: CallId, calls: &BTreeSet<CallId>) {
    let before = file(folder);
    let (records, end) = side_records(&before, HEADER_BYTES);
    let Ok(erased) = store.erase(call) else {
        assert_eq!(end, SideEnd::Corrupt);
        assert_eq!(file(folder), before);
        return;
    };
    let (of_call, others): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.call == call);
    let expected: Vec<u8> = others.iter().flat_map(|record| &before[record.start..record.end()]).copied().collect();
    let after = file(folder);
    if !of_call.is_empty() {
        assert_eq!(after[HEADER_BYTES..], expected, "erased {call}");
    }
    assert_eq!(erased.records, of_call.len() as u64);
    assert_eq!(erased.bytes, of_call.iter().map(|record| record.content.len() as u64).sum::<u64>());
    assert!(!matches!(SideStore::find(&folder.ledger(), call), Ok(Some(_))), "{call} is erased");
    assert_eq!(folder.files().keys().filter(|name| name.starts_with("ledger.private/")).count(), 1, "no copy");
    found_alike(folder, &after, calls);
}

fn file(folder: &Folder) -> Vec<u8> {
    folder.files().remove(FILE).expect("the side store")
}

const FILE: &str = "ledger.private/00000001.open";

const NEW: CallId = CallId([0xfe; 16]);

/// Calls that are looked for.
const FOUND: usize = 8;

/// Calls that are erased: each syncs.
const ERASED: usize = 2;
